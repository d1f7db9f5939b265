"""A TCP proxy that cuts the wire where the test says so, or changes what the server says."""

from __future__ import annotations

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
            server = socket.create_connection(self._target)
            passed, cuts = Passed(), dict(self._cuts)
            self.passed, self._cuts = passed, {}
            for direction, source, target in (("up", client, server), ("down", server, client)):
                pump = (direction, source, target, passed, cuts.get(direction))
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(
        self, direction: str, source: socket.socket, target: socket.socket, passed: Passed, limit: int | None
    ) -> None:
        while True:
            try:
                data = source.recv(65536)
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
