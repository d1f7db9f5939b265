"""Connections for work on team mailboxes: few, used again, closed when unused; they can write drafts only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from mailassist.config import Account
from mailassist.transport.source import MailSource

IDLE_LIMIT = 30.0  # seconds after which an unused connection is closed


class WorkConnections:
    """Sources of mail by account; thread-safe. A thread waits while all of an account's are in use."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        opened: Callable[[str], MailSource],
        most: Callable[[str], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`opened` logs in; `most`: how many connections for work an account may have at once."""
        self._opened = opened
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._limits: dict[str, threading.BoundedSemaphore] = {name: self._limit(name) for name in accounts}
        self._free: dict[str, list[tuple[float, MailSource]]] = {}

    def _limit(self, name: str) -> threading.BoundedSemaphore:
        return threading.BoundedSemaphore(max(1, self._most(name)))

    @contextmanager
    def borrowed(self, name: str) -> Iterator[MailSource]:
        """A source for one piece of work; after a failure it is closed instead of used again."""
        with self._lock:
            limit = self._limits.get(name) or self._limits.setdefault(name, self._limit(name))
        with limit:
            source = self._take(name) or self._opened(name)
            try:
                yield source
            except BaseException:
                source.close()
                raise
            with self._lock:
                self._free.setdefault(name, []).append((self._clock(), source))

    def opened(self, name: str) -> MailSource:
        """A new source, to be closed by the caller."""
        return self._opened(name)

    def close_unused(self, *, all_of_them: bool = False) -> None:
        """Log out of what nobody has used for a while."""
        old: list[MailSource] = []
        with self._lock:
            for name, free in self._free.items():
                keep = [] if all_of_them else [one for one in free if self._clock() - one[0] < IDLE_LIMIT]
                old += [source for _, source in free[: len(free) - len(keep)]]
                self._free[name] = keep
        for source in old:
            source.close()

    def _take(self, name: str) -> MailSource | None:
        with self._lock:
            free = self._free.get(name)
            return free.pop()[1] if free else None
