"""When a server asks for patience: how long, and how long to wait before trying again by ourselves."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from mailassist.errors import ConnectionFailed

LONGEST = 300.0  # seconds; providers have been seen to ask for far more than anybody can wait
_UNNAMED = 5.0
_SUGGESTED = re.compile(r"Backoff Time:?\s*(\d+)\s*(milli)?sec", re.IGNORECASE)
_MARKS = (
    "[throttled]", "[unavailable]", "[inuse]", "request is throttled", "too many simultaneous connections",
    "too many connections", "maximum number of connections", "server unavailable", "server busy", "try again later",
)  # fmt: skip


class Throttled(ConnectionFailed):
    """The mail server asks to wait.

    `seconds`: how long at least; `broken`: the connection is gone too.
    """

    def __init__(self, message: str, seconds: float, *, broken: bool = False) -> None:
        """See the class."""
        super().__init__(message, cure="Too many requests or connections; close other mail programs or wait.")
        self.seconds = seconds
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait: injected, so that tests need not."""

    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    tries: int = 4

    def pause(self, attempt: int, at_least: float = 0.0) -> None:
        """Wait before trying again: 1, 2, 4, ... s with jitter, so that clients do not come back all at once."""
        self.sleep(min(LONGEST, max(at_least, 2.0**attempt * (0.5 + self.random()))))


def suggested_pause(text: str) -> float | None:
    """Seconds to wait, where a server's refusal is only a "not now" (at most LONGEST); None for a real refusal."""
    found = _SUGGESTED.search(text)
    if found:
        seconds = int(found[1][:9]) / (1000 if found[2] else 1)
        return min(LONGEST, seconds)
    lowered = text.casefold()
    return _UNNAMED if any(mark in lowered for mark in _MARKS) else None
