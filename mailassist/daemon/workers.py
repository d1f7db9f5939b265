"""The workers of this process, whichever queue they take their work from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from mailassist.daemon.queue_postgres import PostgresQueue
from mailassist.daemon.steps import Steps
from mailassist.errors import StoreError


class Workers(Protocol):
    """What the daemon wants of its workers."""

    @property
    def busy(self) -> int:
        """How many messages are worked on here."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def wake(self) -> None:
        """There may be something to do."""
        ...

    def stop(self, seconds: float) -> bool:
        """Take nothing new, finish what is in flight; whether that came to an end in time."""
        ...


class PostgresWorkers:
    """Workers of procrastinate in a thread of this process."""

    def __init__(
        self,
        open_queue: Callable[[Callable[[int], float | None]], PostgresQueue],
        steps: Callable[[], Steps],
        workers: int,
        *,
        progressed: Callable[[], object] = lambda: None,
    ) -> None:
        """`open_queue` is given what does the work; `steps`: those of the configuration in force."""
        self._steps = steps
        self._progressed = progressed
        self._count = workers
        self._at_work = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._queue = open_queue(self._work)
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)

    @property
    def busy(self) -> int:
        """See `Workers`."""
        return self._at_work

    def start(self) -> None:
        """See `Workers`."""
        self._thread.start()

    def wake(self) -> None:
        """Make jobs of what is due now, for any machine's workers; else they find it within a second."""
        with suppress(StoreError):
            self._queue.sweep()

    def stop(self, seconds: float) -> bool:
        """See `Workers`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        ended = not self._thread.is_alive()
        self._queue.close()
        return ended

    def _run(self) -> None:
        self._queue.run_workers(self._count, self._stop)

    def _work(self, arrival_id: int) -> float | None:
        with self._lock:
            self._at_work += 1
        try:
            return self._steps().advance(arrival_id, threading.current_thread().name)
        finally:
            with self._lock:
                self._at_work -= 1
            self._progressed()
