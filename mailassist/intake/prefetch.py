"""Fetching ahead: one thread reads from the server while the caller stores what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(items: Iterable[Item], depth: int = 2) -> Generator[Item]:
    """The same items, at most `depth` ahead, made in a thread of their own that has ended when this ends.

    What the thread raises is raised here, in its place. Nobody else may use the items' source meanwhile.
    """
    done = threading.Event()
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)

    def put(item: Item | None, error: BaseException | None) -> None:
        while not done.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item, None)
                if done.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  raised again by the caller below
            put(None, error)
            return
        put(None, StopIteration())

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        done.set()
        thread.join()
