"""The store: one SQLite file on one machine, PostgreSQL on several (GUARANTEES in docs/ARCHITECTURE.md)."""

from __future__ import annotations

import secrets as random_source
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from mailassist.store import backup, schema
from mailassist.store.dialect import put, put_missing
from mailassist.store.sqlite_file import SqliteFile


class Backend(Protocol):
    """Where the tables lie: an SQLite file, or a database of PostgreSQL."""

    engine: sa.Engine
    path: Path | None  # of the SQLite file
    restored_from: Path | None  # the backup that a new file was filled from

    @property
    def name(self) -> str:
        """Which it is, for people."""
        ...

    @property
    def way_back(self) -> str:
        """What to do where it is damaged."""
        ...

    def named_errors(self) -> AbstractContextManager[None]:
        """The database's errors as StoreError: one line with the cure."""
        ...

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """As `Store.write`; the database's errors come as they are."""
        ...

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """As `Store.read`; the database's errors come as they are."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...

    def hold_schema(self) -> AbstractContextManager[None]:
        """As `Store.hold_schema`."""
        ...

    def compact(self) -> None:
        """Let go of the bytes of what was deleted. Raises StoreError."""
        ...

    def damage(self) -> str:
        """What is wrong with it; "" when it is whole."""
        ...


class Store:
    """The open database. Thread-safe: each transaction has a connection for itself.

    `Store(path)` creates file and tables when they are missing (file mode 0600), with what a backup beside it holds.
    `Store.in_memory()` is for look-ups that keep nothing, `Store.on_postgres()` for several machines. Raises
    StoreError, with the cure, for a file that is damaged, locked, full or too new, and for a server that is not there;
    a transaction that failed so has changed nothing, but for one whose end was not heard of.
    """

    def __init__(self, path: Path | None) -> None:
        """`path`: the SQLite file; None keeps everything in memory."""
        self._use(SqliteFile(path))

    @classmethod
    def in_memory(cls) -> Store:
        """A store that is gone when it is closed."""
        return cls(None)

    @classmethod
    def on_postgres(cls, url: str, password: str | None = None) -> Store:
        """The store in a database of PostgreSQL: `url` as postgresql://user@host/name, the password apart from it.

        Connections are made again by themselves after the server was away. Raises StoreError, also where the tables are
        not those of this mailassist (`mailassist db upgrade`).
        """
        from mailassist.store.postgres_server import PostgresServer

        store = cls.__new__(cls)
        store._use(PostgresServer(url, password))
        with store.read():
            pass  # connects, and so looks at the tables' revision
        return store

    def _use(self, backend: Backend) -> None:
        self._backend = backend
        self._engine = backend.engine
        self.path = backend.path
        self._key: bytes | None = None  # it never changes
        self.restored_from = backend.restored_from

    @property
    def name(self) -> str:
        """Which store it is, for people: a path, or host and database."""
        return self._backend.name

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may write: committed (and synced to disk) at the end, rolled back on an exception.

        In SQLite no other writes at the same time; in PostgreSQL others do, see `dialect.serialise`.
        """
        with self._backend.named_errors(), self._backend.writing() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._backend.named_errors(), self._backend.reading() as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """A connection of one's own outside of transactions, for locks that last as long as it does (PostgreSQL)."""
        with (
            self._backend.named_errors(),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            try:
                yield connection
            finally:
                connection.invalidate()  # closed for good: its locks go with it

    def key(self) -> bytes:
        """32 random bytes of this store, for keyed hashes (prompt_cache_key, our own message ids)."""
        if self._key is not None:
            return self._key
        facts = schema.facts
        mine = sa.select(facts.c.value).where(facts.c.name == "key")
        with self.write() as connection:
            found = connection.scalar(mine)
            if found is None:
                put_missing(connection, facts, {"name": "key", "value": random_source.token_bytes(32)})
                found = connection.execute(mine).scalar_one()
            self._key = bytes(found)
            return self._key

    def fact(self, name: str) -> bytes | None:
        """A small thing learnt once, or None."""
        with self.read() as connection:
            found = connection.scalar(sa.select(schema.facts.c.value).where(schema.facts.c.name == name))
        return None if found is None else bytes(found)

    def learn(self, name: str, value: bytes) -> None:
        """Remember a small thing; what was known under this name gives way."""
        with self.write() as connection:
            put(connection, schema.facts, {"name": name, "value": value})

    def unlearn(self, name: str) -> None:
        """Forget a small thing."""
        with self.write() as connection:
            connection.execute(schema.facts.delete().where(schema.facts.c.name == name))

    def compact(self) -> None:
        """Let go of the bytes of what was deleted. Raises StoreError when another process keeps them in use."""
        self._backend.compact()

    def hold_schema(self) -> AbstractContextManager[None]:
        """What a daemon runs within: no other mailassist changes the tables meanwhile. Raises StoreError.

        In PostgreSQL every connection of a store holds that by itself, this makes sure that there is one.
        """
        return self._backend.hold_schema()

    def back_up(self, *, now: float) -> None:
        """Copy what no mailbox has into the backup beside the store, unless that was done today. Raises StoreError.

        PostgreSQL has backups of its own.
        """
        if self.path is None or not backup.due(self.path, now=now):
            return
        with self.read() as connection:
            rows = backup.rows(connection)
        with self._backend.named_errors():
            backup.write(self.path, rows, now=now)

    def damage(self) -> str:
        """What is wrong with the store; "" when it is whole."""
        return self._backend.damage()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is one file of one machine."""
        return self._engine.dialect.name == "sqlite"

    @property
    def way_back(self) -> str:
        """What to do where the store is damaged."""
        return self._backend.way_back

    def close(self) -> None:
        """Close every connection."""
        self._backend.close()
