"""One thread that looks whether running calls are still wanted, and hangs up those that are not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK = 0.1  # seconds between two looks, while calls are running


class StopWatch:
    """For calls that wait in their own thread for a server: `stopped` is looked at for all of them by one thread."""

    def __init__(self) -> None:
        """Nothing runs before the first call."""
        self._changed = threading.Condition()
        self._calls: dict[object, tuple[Callable[[], bool], Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, stopped: Callable[[], bool], hang_up: Callable[[], None]) -> Iterator[None]:
        """Call `hang_up` once when `stopped()` is true while the body runs, and never after it; both must be quick."""
        call = object()
        with self._changed:
            self._calls[call] = (stopped, hang_up)
            if self._thread is None or not self._thread.is_alive():  # a fork leaves no thread behind
                self._thread = threading.Thread(target=self._look, name="model-watch", daemon=True)
                self._thread.start()
            elif len(self._calls) == 1:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._calls.pop(call, None)

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(_LOOK if self._calls else None)
                for call, (stopped, hang_up) in list(self._calls.items()):
                    if stopped():
                        del self._calls[call]
                        hang_up()
