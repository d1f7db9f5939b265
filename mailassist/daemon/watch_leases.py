"""Who watches which mailbox, where several machines could: an advisory lock of PostgreSQL for each.

The locks belong to one connection. When its process dies, or the server is gone, they are free, and another watcher
takes them within seconds; whoever lost the connection stops watching at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store.database import Store

LOOK_EVERY = 5.0  # seconds between two looks for mailboxes that nobody watches


class WatchLeases:
    """The mailboxes that this process may watch."""

    def __init__(
        self,
        store: Store,
        names: Callable[[], Collection[str]],
        changed: Callable[[frozenset[str]], object],
        *,
        troubled: Callable[[StoreError], object] = lambda error: None,
        every: float = LOOK_EVERY,
    ) -> None:
        """`names`: all that are to be watched by somebody; `changed` hears which of them are ours from now on."""
        self._store = store
        self._names = names
        self._changed = changed
        self._troubled = troubled
        self._every = every
        self._held: frozenset[str] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Take what is free and keep it until `stop` is set; meant for a thread."""
        while not stop.is_set():
            try:
                with self._store.alone() as connection:
                    while not stop.is_set():
                        self._look(connection)
                        stop.wait(self._every)
            except StoreError as error:
                self._troubled(error)
            finally:
                self._tell(frozenset())
            stop.wait(self._every)

    def _look(self, connection: sa.Connection) -> None:
        wanted = frozenset(self._names())
        for name in self._held - wanted:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_key(name))))
        held = self._held & wanted
        taken = {name for name in sorted(wanted - held) if connection.scalar(sa.select(_taken(name)))}
        if not taken and held == self._held:
            connection.execute(sa.select(1))  # notices that the server is gone
        self._tell(held | taken)

    def _tell(self, held: frozenset[str]) -> None:
        if held != self._held:
            self._held = held
            self._changed(held)


def _key(name: str) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(f"mailassist: who watches {name}", 0)


def _taken(name: str) -> sa.ColumnElement[bool]:
    return sa.func.pg_try_advisory_lock(_key(name))
