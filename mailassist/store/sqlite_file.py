"""The store as one SQLite file: WAL, synchronous=FULL, one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from mailassist.errors import StoreError
from mailassist.store import backup, schema


class SqliteFile:
    """An open file; see `store.database.Backend`."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made with mode 0600 where it is missing; None keeps everything in memory."""
        self.path = path
        self.restored_from: Path | None = None  # the backup that this new file was filled from
        if path is not None:
            _prepare_file(path)
        self.engine = sa.create_engine(
            "sqlite+pysqlite:///" + (str(path) if path else ":memory:"),
            connect_args={"check_same_thread": False, "timeout": 5.0},
            poolclass=None if path else sa.StaticPool,
        )
        sa.event.listen(self.engine, "connect", _configure)
        sa.event.listen(self.engine, "begin", _begin)
        self._create_tables()

    @property
    def name(self) -> str:
        """Which store it is, for people."""
        return str(self.path or "the store")

    def compact(self) -> None:
        """Rewrite the file without what was deleted, and empty the write-ahead log: deleted bytes are gone from both.

        Raises StoreError when another process keeps the file from being rewritten.
        """
        with self.named_errors(), self.engine.connect().execution_options(outside=True) as connection:
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
        except DatabaseError as error:
            text = str(error.orig)
            cures = {
                "full": "Free some disk space; nothing that was saved is lost.",
                "locked": "Another mailassist is writing; try again.",
                "malformed": self.way_back,
                "not a database": self.way_back,
                "readonly": "Check who owns the file.",
            }
            cure = next((cure for word, cure in cures.items() if word in text), "")
            raise StoreError(f"{self.name}: {text}", cure=cure) from error

    def _create_tables(self) -> None:
        with (
            self.named_errors(),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version > schema.REVISION + 1:
                raise StoreError(
                    f"{self.path} was written by a newer mailassist (schema {version})", cure="Upgrade mailassist."
                )
            if version == 1:
                _keep_drafts(connection)
            if version == 2:
                connection.exec_driver_sql("ALTER TABLE drafts ADD COLUMN case_id INTEGER")
                connection.exec_driver_sql("ALTER TABLE drafts ADD COLUMN placed_for VARCHAR NOT NULL DEFAULT ''")
                connection.exec_driver_sql("CREATE UNIQUE INDEX drafts_case ON drafts (case_id)")
            if version < schema.REVISION + 1:
                schema.metadata.create_all(connection)
                if version == 0 and self.path:
                    self.restored_from = backup.restore(connection, self.path)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.REVISION + 1}")


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
