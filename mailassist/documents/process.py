"""The program's side of the process that reads files (`documents.worker`): started late, killed at the time limit."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

from mailassist.documents.content import Content
from mailassist.documents.worker import as_content, read_frame, write_frame

TOO_SLOW = "took too long"
# All of the environment that the process gets: no key, no token, no password.
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE",
                "PYTHONPYCACHEPREFIX", "TMPDIR", "TEMP", "TMP")  # fmt: skip
_GRACE = 2.0  # seconds for starting Python and loading a library, given once a process


def command() -> Sequence[str]:
    """How the process is started. Not from the current folder, where modules of a stranger may lie."""
    return [sys.executable, "-P", "-m", "mailassist.documents.worker"]


class Process:
    """One process after the other: one that was killed is started anew for the next file. Closed with `with`."""

    def __init__(self, seconds: float, started_by: Sequence[str] = ()) -> None:
        """`seconds`: for all files together; `started_by`: another command than ours."""
        self._command = list(started_by or command())
        self._end = time.monotonic() + seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Content | None] = queue.Queue()

    def read(self, kind: str, name: str, data: bytes, seconds: float) -> Content:
        """What a file says, within `seconds`. Never raises."""
        left = self._end - time.monotonic()
        if left <= 0:
            return Content(note=TOO_SLOW)
        grace = 0.0 if self._process else _GRACE
        try:
            process = self._process or self._start()
            sending = threading.Thread(target=_send, args=(process.stdin, kind, name, data), daemon=True)
            sending.start()
            content = self._answers.get(timeout=min(seconds + grace, left))
        except queue.Empty:
            self._kill()
            return Content(note=TOO_SLOW)
        except OSError as error:
            return Content(note=f"cannot be read ({error.strerror or type(error).__name__})")
        if content is None:
            self._kill()
            return Content(note="cannot be read (its reader broke down)")
        return content

    def _start(self) -> subprocess.Popen[bytes]:
        package = Path(__file__).resolve().parent.parent.parent
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        paths = [str(package), *(path for path in sys.path if path and Path(path).is_dir())]
        environment |= {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONIOENCODING": "utf-8"}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=package,
            start_new_session=True,  # a Ctrl-C in the terminal is for us
        )
        self._answers = queue.Queue()
        threading.Thread(target=_receive, args=(self._process.stdout, self._answers), daemon=True).start()
        return self._process

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:  # what was still to be written is of no use
                    pass
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()


def _send(stream: BinaryIO, kind: str, name: str, data: bytes) -> None:
    try:
        write_frame(stream, {"kind": kind, "name": name}, data)
    except (OSError, ValueError):  # killed meanwhile; the receiving side says so
        pass


def _receive(stream: BinaryIO, answers: queue.Queue[Content | None]) -> None:
    """Put every answer into the queue, and None at the end or for what is no answer."""
    try:
        while (frame := read_frame(stream)) is not None:
            answers.put(as_content(*frame))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    answers.put(None)
