"""The store in PostgreSQL, for several machines: many writers, READ COMMITTED (see `dialect.serialise`)."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolIsEmpty

from mailassist.errors import StoreError
from mailassist.store import schema

# Milliseconds. A transaction here takes some milliseconds; whoever waits longer is told so, and nobody holds a lock for
# longer because a process was stopped in the middle.
_TIMEOUTS = {"statement_timeout": 60_000, "lock_timeout": 15_000, "idle_in_transaction_session_timeout": 60_000}
# Seconds, but for the last (milliseconds): a server that is gone without a word is noticed within half a minute.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
_CURES = {
    "08": "Check that PostgreSQL runs and can be reached; what was not saved is done again.",
    "57P": "Check that PostgreSQL runs and can be reached; what was not saved is done again.",
    "28": "Check the user of team.database and the secret `team`.",
    "3D": "Create the database, then run `mailassist db upgrade`.",
    "42501": "Ask the owner of the database for it: `mailassist db grant`.",
    "42P01": "Run `mailassist db upgrade`.",
    "53100": "Free some disk space on the database's machine; nothing that was saved is lost.",
    "53300": "Raise max_connections of PostgreSQL.",
    "55P03": "Another process holds what is needed; try again.",
    "57014": "It took too long; try again.",
    "40": "Another process was quicker; try again.",
}
SETUP = 'Install it: pip install "mailassist[postgres]"'


_LOCK = "hashtextextended('mailassist: the tables stay as they are', 0)"
HOLD = f"SELECT pg_try_advisory_lock_shared({_LOCK})"  # what a new connection asks first
SCHEMA_LOCK: sa.ColumnElement[int] = sa.literal_column(_LOCK, sa.BigInteger)


class PostgresServer:
    """Connections to one database; see `store.database.Backend`. Opening it connects to nothing.

    Each connection holds SCHEMA_LOCK, shared, for as long as it is open, and has seen that the tables are those of this
    mailassist: whoever can write keeps them as they are, and an older one can never connect again.
    """

    path: Path | None = None
    restored_from: Path | None = None
    way_back = "Bring the database back from a backup: `mailassist db restore`."

    def __init__(self, url: str, password: str | None, *, joins: bool = True) -> None:
        """`url`: postgresql://user@host/name; the password stays out of every message. Raises StoreError.

        `joins`: False for what changes the tables itself.
        """
        self.url = _url(url, password)
        try:
            self.engine = sa.create_engine(
                self.url,
                pool_size=5,
                max_overflow=25,
                pool_timeout=30,
                connect_args=_settings(self.url),
            )
        except ImportError as error:
            raise StoreError("The driver of PostgreSQL is not installed", cure=SETUP) from error
        sa.event.listen(self.engine, "connect", self._joined if joins else _configure)
        sa.event.listen(self.engine, "checkout", _refuse_hung_up)

    @property
    def name(self) -> str:
        """Which database it is, for people."""
        return f"{self.url.host or 'PostgreSQL'}/{self.url.database or ''}"

    @property
    def for_the_driver(self) -> tuple[str, dict[str, Any]]:
        """The address without password, and what else libpq is told, for who connects without SQLAlchemy."""
        address = self.url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
        return address, {**_settings(self.url), **({"password": self.url.password} if self.url.password else {})}

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction; many write at once."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    reading = writing

    def close(self) -> None:
        """Close every connection of the pool."""
        self.engine.dispose()

    @contextmanager
    def hold_schema(self) -> Iterator[None]:
        """One connection at least; see `Store.hold_schema`."""
        with self.named_errors():
            connection = self.engine.connect()
        with connection:
            yield

    def compact(self) -> None:
        """Rewrite the tables without what was deleted. Raises StoreError when one of them is in use for too long."""
        outside = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with self.named_errors(), outside as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            try:
                for table in schema.metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table.name}")
            finally:
                connection.exec_driver_sql(f"SET statement_timeout = {_TIMEOUTS['statement_timeout']}")

    def damage(self) -> str:
        """PostgreSQL looks after its files itself."""
        return ""

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """PostgreSQL's errors as one line with the cure; without the values, which may be mail."""
        try:
            yield
        except PoolIsEmpty as error:
            cure = "Start fewer threads, or wait for those that use it."
            raise StoreError(f"{self.name}: every connection is in use", cure=cure) from error
        except DBAPIError as error:
            text = str(error.orig).strip().split("\n")[0]
            state = _state(error, text)
            cure = next((cure for start, cure in _CURES.items() if state and state.startswith(start)), "")
            raise StoreError(f"{self.name}: {text}", cure=cure) from error

    def _joined(self, connection: Any, record: object) -> None:
        """A new connection. Raises StoreError where the tables are not those of this mailassist."""
        _configure(connection, record)
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise

    def _check(self, connection: Any) -> None:
        import psycopg

        connection.autocommit = True
        try:
            (stay,) = connection.execute(HOLD).fetchone()
            if not stay:
                cure = "Try again in a minute."
                raise StoreError(f"{self.name} is being upgraded", cure=cure)
            (found,) = connection.execute("SELECT max(version_num::int) FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise StoreError(f"{self.name} has no tables of mailassist", cure="Run `mailassist db upgrade`.") from error
        except psycopg.errors.InsufficientPrivilege as error:
            cure = "Ask its owner for `mailassist db grant`."
            raise StoreError(f"{self.url.username} may not read {self.name}", cure=cure) from error
        connection.autocommit = False
        if found is None or found < schema.REVISION:
            raise StoreError(f"{self.name} is of an older mailassist", cure="Run `mailassist db upgrade`.")
        if found > schema.REVISION:
            raise StoreError(f"{self.name} is of a newer mailassist", cure="Upgrade mailassist.")


def _state(error: DBAPIError, text: str) -> str:
    """The SQLSTATE, which a connection that was refused has not."""
    state = getattr(error.orig, "sqlstate", None)
    if state or not (error.connection_invalidated or type(error.orig).__name__ == "OperationalError"):
        return state or ""
    refused = {"does not exist": "3D", "authentication failed": "28", "no password": "28", "too many": "53300"}
    return next((state for words, state in refused.items() if words in text), "08")


def _url(text: str, password: str | None) -> sa.URL:
    try:
        url = sa.make_url(text)
    except ArgumentError as error:
        raise StoreError(
            "team.database is no address of a database", cure="Write it as postgresql://user@host/name."
        ) from error
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise StoreError(f"There is no team's database in {url.drivername}", cure="Use postgresql://user@host/name.")
    return url.set(drivername="postgresql+psycopg", password=password or url.password)


def _settings(url: sa.URL) -> dict[str, Any]:
    """What libpq is told for each connection."""
    own = url.query.get("options", "")
    timeouts = " ".join(f"-c {name}={value}" for name, value in _TIMEOUTS.items())
    options = f"{timeouts} {own if isinstance(own, str) else ' '.join(own)}".strip()
    return {
        "connect_timeout": 10,
        "application_name": f"mailassist {socket.gethostname()}:{os.getpid()}",
        **_KEEPALIVE,
        "options": options,
    }


def _refuse_hung_up(connection: Any, _record: object, _proxy: object) -> None:
    """Another connection is made where the server has ended this one, which is seen without asking it.

    An idle connection has nothing to be read, but for the server's last word.
    """
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection.fileno(), selectors.EVENT_READ)
        if waiting.select(0):
            raise DisconnectionError()


def _configure(connection: Any, _record: object) -> None:
    """Text of any kind can be stored; see `postgres_text`."""
    from mailassist.store import postgres_text

    postgres_text.register(connection)
