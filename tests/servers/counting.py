"""A loopback proxy that counts the commands of an IMAP client, and nothing else."""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType
from typing import Self

_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")


class CountingProxy:
    """`with CountingProxy(host, port) as proxy`: connect to 127.0.0.1:`proxy.port`; `proxy.commands` are the lines."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.commands: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def words(self) -> list[str]:
        """Each command by name: `EXAMINE`, `UID SEARCH`, ..."""
        names = []
        for line in self.commands:
            words = line.split(" ")[1:3]
            names.append(" ".join(words).upper() if words[0].upper() == "UID" else words[0].upper())
        return names

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        """Client to server, line by line: a line begins a command unless a literal was announced before it."""
        reader = client.makefile("rb")
        continued = False
        while line := reader.readline():
            if not continued:
                self.commands.append(line.decode("ascii", "replace").strip())
            server.sendall(line)
            literal = _LITERAL.search(line)
            if literal:
                server.sendall(reader.read(int(literal[1])))
            continued = literal is not None
        _shut(server)


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    _shut(target)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
