"""When a server asks for patience: how long, and how long to wait before trying again by ourselves."""

from __future__ import annotations

import math
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
    "[throttled]", "[inuse]", "request is throttled", "rate limit", "too many simultaneous connections",
    "too many connections", "maximum number of connections", "server unavailable", "server busy", "try again later",
)  # fmt: skip
# As an answer to one command they mean that command: iCloud says [UNAVAILABLE] to a SEARCH for a header it does not
# know, and RFC 5530 has [LIMIT] for too many flags.
_MARKS_OF_ALL = ("[unavailable]", "[limit]")


class Throttled(ConnectionFailed):
    """The mail server asks to wait.

    `seconds`: how long at least; `broken`: the connection is gone too.
    """

    def __init__(self, message: str, seconds: float, *, broken: bool = False) -> None:
        """See the class."""
        super().__init__(message, cure="Too many requests or connections; close other mail programs or wait.")
        self.seconds = seconds
        self.broken = broken


def _silent(line: str) -> None:
    """For a caller that tells nobody."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait: injected, so that tests need not."""

    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    tries: int = 4
    warn: Callable[[str], None] = _silent  # hears of a pause that the server asks for

    def pause(self, attempt: int, at_least: float = 0.0) -> None:
        """Wait before trying again: 1, 2, 4, ... s with jitter, so that clients do not come back all at once."""
        seconds = min(LONGEST, max(at_least, 2.0**attempt * (0.5 + self.random())))
        if at_least:
            self.warn(f"The server asks to wait {math.ceil(seconds)} s")
        self.sleep(seconds)


def suggested_pause(text: str, *, of_all: bool = False) -> float | None:
    """Seconds to wait, where a server's refusal is only a "not now" (at most LONGEST); None for a real refusal.

    `of_all`: what is refused is the login or the connection, not one command.
    """
    found = _SUGGESTED.search(text)
    if found:
        seconds = int(found[1][:9]) / (1000 if found[2] else 1)
        return min(LONGEST, seconds)
    lowered = text.casefold()
    marks = _MARKS + _MARKS_OF_ALL if of_all else _MARKS
    return _UNNAMED if any(mark in lowered for mark in marks) else None
