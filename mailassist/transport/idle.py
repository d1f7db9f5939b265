"""Waiting for new mail: IDLE (RFC 2177) as a hint, NOOP where there is none.

imapclient's own idle functions swallow a closed connection and trip over split lines (PROVIDERS 6), so the lines are
read here. Whatever comes, or breaks, only means: look with the cursor.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from mailassist.transport.idling import idling
from mailassist.transport.session import BrokenConnection, Session

RENEW = 540.0  # seconds; servers end an IDLE after 30 minutes, some routers forget a quiet connection after 10
POLL = 60.0  # seconds between two NOOPs
_STEP = 0.5  # how soon `stopped` is noticed
_SILENCE = 300.0  # a server that gave signs of life and stops is deaf (mailbox.org)
_NEWS = re.compile(rb"\* \d+ (EXISTS|EXPUNGE|FETCH)|\* VANISHED", re.IGNORECASE)


def wait(
    session: Session,
    seconds: float,
    stopped: Callable[[], bool],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait in the open folder; True when something may have changed. Raises BrokenConnection."""
    if not session.offers("IDLE"):
        return _poll(session, now() + seconds, stopped, now, sleep)
    end = now() + seconds
    alive = _Alive(now)
    while now() < end and not stopped():
        if _idle_once(session, min(end, now() + RENEW), stopped, now, alive):
            return True
    return False


class _Alive:
    """Whether the server's regular sign of life has stopped."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: float | None = None  # of a "* OK Still here"; None while the server has sent none

    def heard(self, line: bytes) -> None:
        if line.upper().startswith(b"* OK"):
            self._last = self._now()

    def is_deaf(self) -> bool:
        return self._last is not None and self._now() - self._last > _SILENCE


def _idle_once(
    session: Session, until: float, stopped: Callable[[], bool], now: Callable[[], float], alive: _Alive
) -> bool:
    """One IDLE, ended with DONE; True at news."""
    with idling(session) as begun:
        while not session.news and now() < until and not stopped():
            line = begun.line(min(_STEP, max(0.0, until - now())))
            if line is None:
                if alive.is_deaf():
                    raise BrokenConnection(f"{session.host} has gone quiet")
                continue
            alive.heard(line)
            if _NEWS.match(line):
                return True
    return session.news


def _poll(
    session: Session, end: float, stopped: Callable[[], bool], now: Callable[[], float], sleep: Callable[[float], None]
) -> bool:
    next_look = now()
    while now() < end and not stopped():
        if now() >= next_look:
            if session.run("NOOP").keys() & {"EXISTS", "EXPUNGE", "FETCH"}:
                return True
            next_look = now() + POLL
        sleep(_STEP)
    return False
