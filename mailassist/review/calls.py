"""Blocking work in threads that never keep the program from ending.

Textual's own thread workers use asyncio's default executor, whose threads are joined when the program ends: a read
from a server that has gone silent would hold the terminal for a minute. These threads are daemons: on quitting they are
asked to stop and given a moment; what they do to the store and the servers survives being cut off at any point.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")
Stopped = Callable[[], bool]


class Calls:
    """Runs blocking functions beside the event loop."""

    def __init__(self) -> None:
        """No thread is started before `run`."""
        self._threads: set[threading.Thread] = set()
        self._ending = threading.Event()

    async def run(self, work: Callable[[Stopped], Result]) -> Result:
        """`work(stopped)` in a thread of its own; returns or raises what it does.

        When the awaiting task is cancelled, `stopped()` turns true and nobody waits for the thread any more.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        stop = threading.Event()

        def body() -> None:
            try:
                settle = partial(_succeed, future, work(lambda: stop.is_set() or self._ending.is_set()))
            except BaseException as error:  # noqa: BLE001  (raised again where the result is awaited)
                settle = partial(_fail, future, error)
            self._threads.discard(threading.current_thread())
            _post(loop, settle)

        thread = threading.Thread(target=body, name="mailassist-call", daemon=True)
        self._threads.add(thread)
        thread.start()
        try:
            return await future
        except asyncio.CancelledError:
            stop.set()
            raise

    def end(self, seconds: float) -> bool:
        """Ask every call to stop, and wait up to `seconds` in all; True when none is left."""
        self._ending.set()
        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in list(self._threads))


def _succeed(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Run `callback` in the loop; when the loop is gone, so is whoever waited."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        pass
