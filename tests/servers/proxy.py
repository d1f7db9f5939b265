"""A TCP proxy that cuts or stalls the wire where the test says so, changes what the server says, keeps the commands."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass
class Passed:
    """Octets that went through the latest connection."""

    up: int = 0  # from the client
    down: int = 0
    limit_up: int | None = None


_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")


class _Lines:
    """What a client sends, cut into its lines; the octets of literals are left out."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard, self._held, self._literal = heard, b"", 0

    def feed(self, data: bytes) -> None:
        self._held += data
        while self._held:
            if self._literal:
                taken = self._held[: self._literal]
                self._literal -= len(taken)
                self._held = self._held[len(taken) :]
                continue
            end = self._held.find(b"\n") + 1
            if not end:
                return
            line, self._held = self._held[:end], self._held[end:]
            literal = _LITERAL.search(line)
            self._literal = int(literal[1]) if literal else 0
            self._heard(line.decode("utf-8", "replace").rstrip("\r\n"))


class CutProxy:
    """`with CutProxy(host, port) as proxy`: connect to `proxy.port` on 127.0.0.1."""

    def __init__(self, host: str, port: int, *, change: Callable[[bytes], bytes] | None = None) -> None:
        """`change`: what becomes of each piece that the server sends."""
        self._target = (host, port)
        self._change = change
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.passed = Passed()
        self._cuts: dict[str, int] = {}
        self._open: list[socket.socket] = []
        self._stalled: set[int] = set()
        self.connections = 0
        self.lines: list[str] = []  # every line of every client, with its tag

    def commands(self) -> list[str]:
        """The lines without their tags; those that go on after a literal, and passwords, as they are."""
        return [line.partition(" ")[2] or line for line in list(self.lines)]

    def cut_all(self) -> None:
        """Cut every connection that is open now."""
        cut, self._open = self._open, []
        for end in cut:
            _shut(end)

    def stall(self) -> None:
        """Of every connection that is open now nothing goes through any more, and neither end hears of it."""
        self._stalled.update(id(end) for end in self._open)

    def cut(self, direction: str, offset: int) -> None:
        """Cut the next connection once `offset` octets have gone "up" or "down"."""
        self._cuts = {direction: offset}

    def cut_now(self, *, after_up: int) -> None:
        """Cut the latest connection once the client has sent `after_up` octets more."""
        self.passed.limit_up = self.passed.up + after_up

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            self.connections += 1
            passed, cuts = Passed(), dict(self._cuts)
            self.passed, self._cuts = passed, {}
            for direction, source, target in (("up", client, server), ("down", server, client)):
                pump = (direction, source, target, passed, cuts.get(direction))
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(
        self, direction: str, source: socket.socket, target: socket.socket, passed: Passed, limit: int | None
    ) -> None:
        lines = _Lines(self.lines.append)
        while True:
            try:
                data = source.recv(65536)
                if data and id(source) in self._stalled:
                    continue
                if direction == "up":
                    lines.feed(data)
                if data and direction == "down" and self._change:
                    data = self._change(data)
                if direction == "up" and passed.limit_up is not None:
                    limit = passed.limit_up
                if limit is not None:
                    data = data[: max(limit - getattr(passed, direction), 0)]
                target.sendall(data)
            except OSError:
                data = b""
            setattr(passed, direction, getattr(passed, direction) + len(data))
            if not data or getattr(passed, direction) == limit:
                for end in (source, target):
                    _shut(end)
                return


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
