"""A program in a pseudo-terminal, and a person who reads its screen and presses keys."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pyte
import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX; run this under WSL", allow_module_level=True)

import fcntl
import pty
import termios

COLUMNS, LINES = 120, 40


class Terminal:
    """A program in a pseudo-terminal of its own; `written` is everything it wrote."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process, self._descriptor = process, descriptor
        self.written = b""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self) -> str:
        return "\n".join(self._screen.display)

    def read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ready, _, _ = select.select([self._descriptor], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self._descriptor, 65536)
                except OSError:  # the program has closed its side
                    time.sleep(0.05)
                    continue
                self.written += data
                self._stream.feed(_without_modes(data))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(300):
            if condition():
                return
            self.read(0.1)
        raise AssertionError(f"never: {what}\n{self.screen}")

    def press(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())


def _without_modes(data: bytes) -> bytes:
    """pyte does not know every private mode and key protocol that Textual asks for."""
    return re.sub(rb"\x1b\[[<>=?][0-9;]*[a-zA-Z$]+|\x1b\[[0-9;]*\$?p|\x1bP[^\x1b]*\x1b\\\\", b"", data)


@contextmanager
def terminal(*arguments: str, environment: dict[str, str] | None = None, log: Path | None = None) -> Iterator[Terminal]:
    """Run Python with `arguments` in a pseudo-terminal, with standard error in `log` if there is one."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    with log.open("wb") if log else nullcontext(follower) as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=follower, stdout=follower, stderr=errors, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **size, **(environment or {})},
        )  # fmt: skip
    os.close(follower)
    try:
        yield Terminal(process, leader)
    finally:
        process.kill()
        process.wait()
        os.close(leader)
