"""An IMAP server that says exactly what a test wants, and keeps every byte that it was sent."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# What to answer to a command (without its tag): lines; the last becomes the tagged one. None: hang up.
Answer = Callable[[str], "list[str] | None"]
GREETING = "* OK [CAPABILITY IMAP4rev1 LITERAL+] ready"


@dataclass
class ScriptedServer:
    """Where it is and what it got."""

    host: str = "127.0.0.1"
    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    commands: list[str] = field(default_factory=list)
    connections: int = 0


@contextmanager
def scripted(answer: Answer, greeting: str = GREETING) -> Iterator[ScriptedServer]:
    """Serve until the end; an empty answer means: all is well, and after LOGIN the greeting's capabilities."""
    state = ScriptedServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            state.connections += 1
            self.send(greeting)
            idle_tag = ""
            while line := self.rfile.readline():
                state.received += line
                line = self.with_literals(line)
                tag, _, command = line.decode("utf-8", "surrogateescape").rstrip("\r\n").partition(" ")
                if tag == "DONE":
                    tag, command = idle_tag, "DONE"  # it ends IDLE and has no tag of its own
                idle_tag = tag if command == "IDLE" else ""
                state.commands.append(command)
                lines = answer(command)
                if lines is None:
                    return
                for one in self.lines(tag, command, lines):
                    self.send(one)
                if command == "LOGOUT":
                    return

        def with_literals(self, line: bytes) -> bytes:
            while literal := re.search(rb"\{(\d+)(\+?)\}\r?\n$", line):
                if not literal[2]:
                    self.send("+ go on")
                data = self.rfile.read(int(literal[1]))
                rest = self.rfile.readline()
                state.received += data + rest
                line = line[: literal.start()] + b"<" + data + b">" + rest
            return line

        def lines(self, tag: str, command: str, lines: list[str]) -> list[str]:
            if not lines:
                told = re.search(r"\[CAPABILITY [^\]]*\]", greeting)
                done = f"OK {told[0]} in" if told and command.startswith(("LOGIN", "AUTHENTICATE")) else "OK done"
                lines = ["* BYE", "OK bye"] if command == "LOGOUT" else [done]
            return [*lines[:-1], f"{tag} {lines[-1]}" if lines[-1] else ""]

        def send(self, text: str) -> None:
            if text:
                self.wfile.write(text.encode("utf-8", "surrogateescape") + b"\r\n")

    with socketserver.ThreadingTCPServer((state.host, 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        state.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()


def mailbox(command: str, more: dict[str, list[str]] | None = None) -> list[str] | None:
    """A usual mailbox with an empty INBOX; `more`: beginnings of commands and their answers, tried first."""
    for start, lines in (more or {}).items():
        if command.startswith(start):
            return lines
    if command.startswith("LIST"):
        return ['* LIST () "/" INBOX', '* LIST (\\Sent) "/" Sent', "OK done"]
    if command.startswith(("EXAMINE", "SELECT")):
        return ["* 2 EXISTS", "* OK [UIDVALIDITY 5] .", "* OK [UIDNEXT 30] .", "OK [READ-ONLY] done"]
    if command.startswith("UID SEARCH"):
        return ["* SEARCH", "OK done"]
    return []
