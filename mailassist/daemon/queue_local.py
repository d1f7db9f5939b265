"""Who does the next step on one machine: a pool of threads that lease rows of the store; no other service is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from mailassist.daemon.steps import Steps
from mailassist.errors import StoreError
from mailassist.store import arrivals

LOOK_ANYWAY = 2.0  # seconds: rows become due by time, too
_AHEAD = 4  # rows a thread that are fetched at once


class LocalQueue:
    """Threads that bring due arrivals on their way."""

    def __init__(
        self,
        steps: Steps,
        workers: int,
        *,
        progressed: Callable[[], object] = lambda: None,
        troubled: Callable[[StoreError], object] = lambda error: None,
        mailboxes: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        """`progressed` is called after each row and each empty look; `troubled` where the store cannot be used."""
        self._steps = steps
        self._progressed = progressed
        self._troubled = troubled
        self._mailboxes = mailboxes
        self._news = threading.Condition()
        self._waiting: list[int] = []
        self._in_hand: set[int] = set()
        self._left_leased: set[int] = set()
        self._stopping = False
        self._looking = False
        self._is_news = False  # since the last look began
        self._keeps_time = False  # one of those that wait looks anyway after a while, for all of them
        self._count = workers
        self._threads = [
            threading.Thread(target=self._work, args=(f"worker-{number}",), name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Start working; what a crash left is freed first."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        with self._news:
            self._is_news = True
            self._news.notify_all()

    def stop(self, seconds: float) -> bool:
        """Take nothing new, wait for what is in flight; whether all ended in time."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        end = time.monotonic() + seconds  # for all of them together
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def busy(self) -> int:
        """How many rows are in hand."""
        return len(self._in_hand)

    def _work(self, name: str) -> None:
        while True:
            number = self._next()
            if number is None:
                return
            try:
                self._steps.advance(number, name)
            except StoreError as error:
                self._troubled(error)
                with self._news:
                    self._left_leased.add(number)
                self._pause()
            finally:
                with self._news:
                    self._in_hand.discard(number)
                    self._news.notify()
            self._progressed()

    def _next(self) -> int | None:
        """The next row to work on; None when it is time to stop."""
        while True:
            with self._news:
                if self._stopping:
                    return None
                while self._waiting:
                    number = self._waiting.pop(0)
                    if number not in self._in_hand:
                        self._in_hand.add(number)
                        return number
                if self._looking:
                    self._wait()
                    continue
                self._looking, self._is_news = True, False
            found: list[int] = []
            try:
                found = self._due()
            except StoreError as error:
                self._troubled(error)
            except BaseException:  # this thread ends: another one looks
                with self._news:
                    self._looking = False
                    self._news.notify()
                raise
            with self._news:
                self._looking = False
                self._waiting = [one for one in found if one not in self._in_hand]
                if self._waiting:
                    self._news.notify_all()
                elif not self._stopping and not self._is_news:
                    self._wait()
            self._progressed()

    def _wait(self) -> None:
        """For news, or until it is time to look anyway; with `_news` held.

        One of those that wait keeps the time. It may leave for work: nobody else waits then, since all are woken when
        there is work, and whoever finds none looks again.
        """
        if self._keeps_time:
            self._news.wait()
            return
        self._keeps_time = True
        try:
            self._news.wait(LOOK_ANYWAY)
        finally:
            self._keeps_time = False

    def _due(self) -> list[int]:
        parts = self._steps.parts
        with self._news:
            lost = self._left_leased - self._in_hand
        if lost:  # their work ended with the store away, so that nobody could give the lease back
            arrivals.release(parts.store, lost, now=parts.now(), owner=parts.owner)
            with self._news:
                self._left_leased -= lost
        rows = arrivals.due(
            parts.store, now=parts.now(), limit=self._count * _AHEAD, mailboxes=self._mailboxes()
        )  # fmt: skip
        return [row.id for row in rows]

    def _pause(self) -> None:
        with self._news:
            if not self._stopping:
                self._news.wait(LOOK_ANYWAY)
