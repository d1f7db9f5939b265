"""A few threads for what blocks. One that is stuck with a slow server is replaced for as long as it is."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

_MOST_STUCK = 4  # times the size of the pool: then everything waits


class Pool:
    """`size` threads, made when they are needed; work is put in by one thread only."""

    def __init__(self, size: int, slow: float, now: Callable[[], float] = time.monotonic) -> None:
        """`slow`: seconds after which a piece of work does not count any more."""
        self._size, self._slow, self._now = size, slow, now
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begun: dict[int, float] = {}  # thread -> since when it is at work
        self._handed = 0  # pieces in the queue
        self._threads: list[threading.Thread] = []

    def free(self) -> int:
        """How many more pieces of work would begin at once."""
        with self._lock:
            busy = len(self._begun) + self._handed
            stuck = min(self._stuck(), self._size * _MOST_STUCK)
        return max(0, self._size - (busy - stuck))

    def busy(self) -> int:
        """How many pieces are under way."""
        with self._lock:
            return len(self._begun) + self._handed

    def do(self, work: Callable[[], None]) -> None:
        """Have `work` done; it raises nothing."""
        with self._lock:
            self._handed += 1
            busy = len(self._begun) + self._handed
            if (
                busy > len(self._threads)
                and len(self._threads) - min(self._stuck(), self._size * _MOST_STUCK) < self._size
            ):
                thread = threading.Thread(target=self._run, name=f"watching-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._work.put(work)

    def stop(self, seconds: float) -> bool:
        """Let what is under way end; whether all of it did within `seconds`."""
        for _ in self._threads:
            self._work.put(None)
        end = self._now() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - self._now()))
        return not any(thread.is_alive() for thread in self._threads)

    def _stuck(self) -> int:
        return sum(self._now() - since > self._slow for since in self._begun.values())

    def _run(self) -> None:
        own = threading.get_ident()
        while (work := self._work.get()) is not None:
            with self._lock:
                self._handed -= 1
                self._begun[own] = self._now()
            try:
                work()
            finally:
                with self._lock:
                    del self._begun[own]
