"""pymap, a second real IMAP server that differs from Dovecot: OBJECTID, no SPECIAL-USE, no THREAD, no CONDSTORE."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class CannotStart(Exception):
    """pymap is not here; the text says how to get it."""


@dataclass(frozen=True)
class PymapServer:
    """A running server with one empty mailbox in memory."""

    host: str
    port: int
    user: str = "demouser"
    password: str = "demopass"


@contextmanager
def running() -> Iterator[PymapServer]:
    """Start pymap and stop it at the end. Raises CannotStart."""
    beside = Path(sys.executable).with_name("pymap")
    program = str(beside) if beside.exists() else shutil.which("pymap")
    if program is None:
        raise CannotStart("pymap is not installed: pip install -e '.[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--no-tls"]
    # ManageSieve and the admin service would listen on fixed ports.
    command += ["--no-service", "managesieve", "--no-service", "admin", "dict"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait_until_up(process, port)
        yield PymapServer("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                if connection.recv(10).startswith(b"* OK"):
                    return
        except OSError:
            time.sleep(0.1)
    process.kill()
    said = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
    raise CannotStart(f"pymap did not start: {said[-500:]}")
