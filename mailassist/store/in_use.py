"""Who works with an SQLite file: a daemon says so while it runs, and no newer mailassist changes the tables meanwhile.

The file beside the store holds nothing: SQLite's own lock on it, shared or exclusive, is gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mailassist.errors import StoreError


@contextmanager
def held(store: Path) -> Iterator[None]:
    """The tables stay as they are. Raises StoreError while they are being changed."""
    with _lock(store, "BEGIN", f"The tables of {store} are being changed", "Try again in a moment."):
        yield


@contextmanager
def exclusively(store: Path) -> Iterator[None]:
    """Nobody is within `held`. Raises StoreError where a daemon is."""
    cure = "Stop it (systemctl stop mailassist), then run the same command again."
    with _lock(store, "BEGIN EXCLUSIVE", f"A daemon works with {store}, whose tables have to change", cure):
        yield


@contextmanager
def _lock(store: Path, begin: str, problem: str, cure: str) -> Iterator[None]:
    file = store.with_name(f"{store.name}.in-use")
    with closing(sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)) as connection:
        try:
            connection.execute(begin)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            raise StoreError(problem, cure=cure) from error
        yield
