"""The daemon as a real process, with its configuration: what tests start, signal and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mailassist.config import STORE_FILE
from mailassist.store.database import Store


@dataclass
class Daemon:
    """`mailassist daemon` with the configuration at `config`; `log` holds its lines."""

    config: Path
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _ready_before: int = 0

    @property
    def log_file(self) -> Path:
        return self.config.with_name("daemon.log")

    def start(self) -> Self:
        self._ready_before = self._count("ready")
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mailassist", "--config", str(self.config), "daemon", *self.options],
                stderr=log,
                env={**os.environ, **self.environment},
            )
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, seconds: float = 35.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, as far as it is whole."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Until this process says that it is; a server that is away may keep it from that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            if self._count("ready") > self._ready_before:
                return
            time.sleep(0.05)

    def _count(self, event: str) -> int:
        text = self.log_file.read_text() if self.log_file.exists() else ""
        return text.count(f'"event": "{event}"')

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.lines())

    def store(self) -> Store:
        """Its store, opened by another process."""
        return Store(self.config.parent / "data" / STORE_FILE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


def eventually(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `what` is true. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
