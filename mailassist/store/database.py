"""One SQLite file: WAL, synchronous=FULL, one writer at a time (docs: GUARANTEES in docs/ARCHITECTURE.md)."""

from __future__ import annotations

import os
import secrets as random_source
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from mailassist.errors import StoreError
from mailassist.store import backup, schema
from mailassist.store import team_schema as team_schema  # its tables are in the same metadata


class Store:
    """The open database. Thread-safe: each transaction uses its own connection of the pool.

    `Store(path)` creates file and tables when they are missing (file mode 0600), with what a backup beside it holds.
    `Store.in_memory()` is for look-ups that keep nothing. Raises StoreError, with the cure, for a file that is damaged,
    locked, full or too new.
    """

    def __init__(self, path: Path | None) -> None:
        """`path`: the SQLite file; None keeps everything in memory."""
        self.path = path
        self.restored_from: Path | None = None  # the backup that this new store was filled from
        if path is not None:
            _prepare_file(path)
        self._engine = sa.create_engine(
            "sqlite+pysqlite:///" + (str(path) if path else ":memory:"),
            connect_args={"check_same_thread": False, "timeout": 5.0},
            poolclass=None if path else sa.StaticPool,
        )
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)
        self._create_tables()

    @classmethod
    def in_memory(cls) -> Store:
        """A store that is gone when it is closed."""
        return cls(None)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may write: committed (and synced to disk) at the end, rolled back on an exception."""
        with (
            _named_errors(self.path),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with _named_errors(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    def key(self) -> bytes:
        """32 random bytes of this store, for keyed hashes (prompt_cache_key, our own message ids)."""
        with self.write() as connection:
            found = connection.scalar(sa.select(schema.facts.c.value).where(schema.facts.c.name == "key"))
            if found is None:
                found = random_source.token_bytes(32)
                connection.execute(schema.facts.insert().values(name="key", value=found))
            return bytes(found)

    def fact(self, name: str) -> bytes | None:
        """A small thing learnt once, or None."""
        with self.read() as connection:
            found = connection.scalar(sa.select(schema.facts.c.value).where(schema.facts.c.name == name))
        return None if found is None else bytes(found)

    def learn(self, name: str, value: bytes) -> None:
        """Remember a small thing; what was known under this name gives way."""
        with self.write() as connection:
            connection.execute(schema.facts.insert().prefix_with("OR REPLACE").values(name=name, value=value))

    def compact(self) -> None:
        """Rewrite the file without what was deleted, and empty the write-ahead log: deleted bytes are gone from both.

        Raises StoreError when another process keeps the file from being rewritten.
        """
        with _named_errors(self.path), self._engine.connect().execution_options(outside=True) as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if busy:
            raise StoreError(
                "The rows are removed, but another mailassist keeps their bytes in the file",
                cure="Close the other mailassist and run the same command again.",
            )

    def back_up(self, *, now: float) -> None:
        """Copy what no mailbox has into the backup beside the store, unless that was done today. Raises StoreError."""
        if self.path is None or not backup.due(self.path, now=now):
            return
        with self.read() as connection:
            rows = backup.rows(connection)
        with _named_errors(self.path):
            backup.write(self.path, rows, now=now)

    def damage(self) -> str:
        """What SQLite's quick_check says; "" for a whole file."""
        with self.read() as connection:
            said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        return "" if said == "ok" else said

    @property
    def way_back(self) -> str:
        """What to do where the file is damaged."""
        return _way_back(self.path)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _create_tables(self) -> None:
        with self.write() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version > schema.SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path} was written by a newer mailassist (schema {version})", cure="Upgrade mailassist."
                )
            if version == 1:
                _keep_drafts(connection)
            if version == 2:
                connection.exec_driver_sql("ALTER TABLE drafts ADD COLUMN case_id INTEGER")
                connection.exec_driver_sql("ALTER TABLE drafts ADD COLUMN placed_for VARCHAR NOT NULL DEFAULT ''")
                connection.exec_driver_sql("CREATE UNIQUE INDEX drafts_case ON drafts (case_id)")
            if version < schema.SCHEMA_VERSION:
                schema.metadata.create_all(connection)
                if version == 0 and self.path:
                    self.restored_from = backup.restore(connection, self.path)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")


def _prepare_file(path: Path) -> None:
    """Make folder (0700) and file (0600) before SQLite would make them readable by others."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened: {error.strerror}", cure="Check the folder's owner and disk."
        ) from error


def _keep_drafts(connection: sa.Connection) -> None:
    """From schema 1, which had one text before the current one, in the same row."""
    connection.exec_driver_sql("ALTER TABLE drafts RENAME TO drafts_1")
    schema.metadata.create_all(connection)
    old = {row[1] for row in connection.exec_driver_sql("PRAGMA table_info(drafts_1)")}
    names = ", ".join(column.name for column in schema.drafts.columns if column.name in old)
    connection.exec_driver_sql(f"INSERT INTO drafts ({names}, version, reply_all) SELECT {names}, 1, 0 FROM drafts_1")
    connection.exec_driver_sql(
        "INSERT INTO versions (account, answers, text, written_by, complete, at) "
        "SELECT account, answers, previous, 'person', 1, changed_at FROM drafts_1 WHERE previous != ''"
    )
    connection.exec_driver_sql("DROP TABLE drafts_1")


def _configure(connection: object, _record: object) -> None:
    """Settings of each new connection; transactions are begun by `_begin`, not by the driver."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Writers take the lock at once: a lock that is upgraded later can fail without waiting.

    VACUUM stands outside of any transaction.
    """
    options = connection.get_execution_options()
    if options.get("outside", False):
        return
    writes = options.get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _way_back(path: Path | None) -> str:
    """What to do about a damaged store, and what is lost then."""
    found = backup.files(path) if path else []
    lost = "drafts, approved replies and costs are lost: there is no backup yet"
    if found:
        lost = f"drafts, approved replies and costs come back from the backup of {backup.day(found[0])}"
    return f"Close every mailassist, move this file elsewhere and start again: the mailbox is read anew, {lost}."


@contextmanager
def _named_errors(path: Path | None) -> Iterator[None]:
    """SQLite's errors as one line with the cure."""
    try:
        yield
    except DatabaseError as error:
        text = str(error.orig)
        cures = {
            "full": "Free some disk space; nothing that was saved is lost.",
            "locked": "Another mailassist is writing; try again.",
            "malformed": _way_back(path),
            "not a database": _way_back(path),
            "readonly": "Check who owns the file.",
        }
        cure = next((cure for word, cure in cures.items() if word in text), "")
        raise StoreError(f"{path or 'the store'}: {text}", cure=cure) from error
