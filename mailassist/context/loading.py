"""Loading what takes long while something else waits for the network."""

from __future__ import annotations

import threading
from collections.abc import Callable


def load_in_background(name: str, load: Callable[[], object]) -> threading.Thread:
    """Run `load` in a thread of its own, which is returned, started; it never keeps the program from ending."""

    def run() -> None:
        try:
            load()
        except Exception:
            if threading.main_thread().is_alive():  # a program that has ended no longer imports, and nobody waits
                raise

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
