"""The store as one SQLite file: WAL, synchronous=FULL, one writer at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolIsEmpty

from mailassist.errors import StoreError
from mailassist.store import backup, in_use, revisions, schema
from mailassist.store import triggers as triggers  # made with the tables


class SqliteFile:
    """An open file; see `store.database.Backend`."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made with mode 0600 where it is missing; None keeps everything in memory."""
        self.path = path
        self.restored_from: Path | None = None  # the backup that this new file was filled from
        self.opened_at = 0  # the revision that the file had
        if path is not None:
            _prepare_file(path)
        self.engine = sa.create_engine(
            "sqlite+pysqlite:///" + (str(path) if path else ":memory:"),
            connect_args={"check_same_thread": False, "timeout": 5.0},
            pool_reset_on_return=None,  # every transaction is ended where it was begun
            **({"pool_size": 16, "max_overflow": 48} if path else {"poolclass": sa.StaticPool}),
        )
        # The threads of this process stand in line: SQLite's own waiting is asking again, up to 100 ms later each time.
        self._turn = threading.RLock()
        # All that this process writes goes through one connection: for any other, what that one has written makes
        # SQLite read the pages anew that it had.
        self._writer: sa.Connection | None = None
        sa.event.listen(self.engine, "connect", _configure)
        self._create_tables()

    @property
    def name(self) -> str:
        """Which store it is, for people."""
        return str(self.path or "the store")

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that takes the lock at once: a lock that is upgraded later can fail without waiting."""
        with self._turn:
            writer = self._writer = self._writer or self.engine.connect()
            try:
                with writer.begin():
                    _begin(writer, "BEGIN IMMEDIATE")
                    yield writer
            except (DatabaseError, sqlite3.DatabaseError):  # nobody knows what state it is in
                if self.path is not None:  # in memory it is all that there is; it was rolled back
                    self._writer = None
                    writer.invalidate()
                    writer.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that waits for nobody."""
        with self.engine.connect() as connection, connection.begin():
            _begin(connection, "BEGIN")
            yield connection

    def close(self) -> None:
        """Close every connection; the last one tidies the write-ahead log up."""
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()

    def compact(self) -> None:
        """Rewrite the file without what was deleted, and empty the write-ahead log: deleted bytes are gone from both.

        Raises StoreError when another process keeps the file from being rewritten.
        """
        with self.named_errors(), self.engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if busy:
            raise StoreError(
                "The rows are removed, but another mailassist keeps their bytes in the file",
                cure="Close the other mailassist and run the same command again.",
            )

    def damage(self) -> str:
        """What SQLite's quick_check says; "" for a whole file."""
        with self.named_errors(), self.engine.connect() as connection, connection.begin():
            said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        return "" if said == "ok" else said

    @property
    def way_back(self) -> str:
        """What to do about a damaged file, and what is lost then."""
        found = backup.files(self.path) if self.path else []
        lost = "drafts, approved replies and costs are lost: there is no backup yet"
        if found:
            lost = f"drafts, approved replies and costs come back from the backup of {backup.day(found[0])}"
        return f"Close every mailassist, move this file elsewhere and start again: the mailbox is read anew, {lost}."

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """SQLite's errors as one line with the cure."""
        try:
            yield
        except PoolIsEmpty as error:
            cure = "Start fewer threads, or wait for those that use it."
            raise StoreError(f"{self.name}: every connection is in use", cure=cure) from error
        except (DatabaseError, sqlite3.DatabaseError) as error:
            text = str(error.orig if isinstance(error, DatabaseError) else error)
            cures = {
                "full": "Free some disk space; nothing that was saved is lost.",
                "locked": "Another mailassist is writing; try again.",
                "malformed": self.way_back,
                "not a database": self.way_back,
                "readonly": "Check who owns the file.",
            }
            cure = next((cure for word, cure in cures.items() if word in text), "")
            raise StoreError(f"{self.name}: {text}", cure=cure) from error

    def hold_schema(self) -> AbstractContextManager[None]:
        """The tables stay as they are; see `Store.hold_schema`."""
        return in_use.held(self.path) if self.path else nullcontext()

    def upgrade(self) -> tuple[int, int]:
        """The revision that the file had when it was opened, and the one that it has."""
        return self.opened_at, schema.REVISION

    def downgrade(self) -> tuple[int, int]:
        """Go one revision back; which one it had, and has. Raises StoreError."""
        assert self.path is not None
        with in_use.exclusively(self.path), self._writing() as connection:
            before = revisions.recorded(connection)
            if before <= 1:
                raise StoreError(f"{self.path} is at the first revision", cure="There is no way back from there.")
            revisions.downgrade(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {before}")
        return before, before - 1

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self.named_errors(), self.writing() as connection:
            yield connection

    def _create_tables(self) -> None:
        """Make the tables of a new file, or bring those of an older one up to date."""
        with self._writing() as connection:
            version = self._version(connection)
            if version == 0:
                revisions.create(connection)
                if self.path:
                    self.restored_from = backup.restore(connection, self.path)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.REVISION + 1}")
        self.opened_at = max(version - 1, 0)
        if 0 < version < schema.REVISION + 1:
            assert self.path is not None
            with in_use.exclusively(self.path), self._writing() as connection:
                version = self._version(connection)  # another process may have been quicker
                if version < schema.REVISION + 1:
                    if version > 1:
                        revisions.stamp(connection, version - 1)
                    revisions.upgrade(connection)
                    connection.exec_driver_sql(f"PRAGMA user_version = {schema.REVISION + 1}")

    def _version(self, connection: sa.Connection) -> int:
        version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if version > schema.REVISION + 1:
            raise StoreError(
                f"{self.path} was written by a newer mailassist (schema {version})", cure="Upgrade mailassist."
            )
        return version


def _begin(connection: sa.Connection, how: str) -> None:
    """Said to the driver: with a listener for SQLAlchemy's event, every statement would cost twice as much."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(how)


def _prepare_file(path: Path) -> None:
    """Make folder (0700) and file (0600) before SQLite would make them readable by others."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened: {error.strerror}", cure="Check the folder's owner and disk."
        ) from error


def _configure(connection: object, _record: object) -> None:
    """Settings of each new connection; transactions are begun by `_begin`, not by the driver."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
