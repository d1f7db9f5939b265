"""The tables of a team's database, and those of its queue (procrastinate): to the newest version, or one step back.

Started from several machines at once, one does it and the others wait. Nobody else can be connected meanwhile: each
connection of a store holds `SCHEMA_LOCK`, and changing the tables needs it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store import revisions, schema
from mailassist.store.dialect import put
from mailassist.store.postgres_server import SCHEMA_LOCK, SETUP, PostgresServer

_ONE_AT_A_TIME = sa.func.hashtextextended("mailassist: db upgrade", 0)
_QUEUE = "queue version"  # the fact: the last of procrastinate's migrations
_WAIT = "5s"


@dataclass(frozen=True, slots=True)
class Versions:
    """Of our tables, the revision (0: none); of the queue's, the name of the last migration ("": none)."""

    store: int
    queue: str


def upgrade(url: str, password: str | None) -> tuple[Versions, Versions]:
    """Bring a database up to date; what it had before, and has now. Raises StoreError, with who is in the way."""
    with alone(url, password) as (server, connection):
        before = _versions(connection)
        wanted = Versions(schema.REVISION, queue_wanted())
        if before.store > wanted.store or before.queue > wanted.queue:
            raise StoreError(f"{server.name} is of a newer mailassist", cure="Upgrade mailassist.")
        if before != wanted:
            lock_schema(server, connection)
            upgrade_within(connection)
        return before, wanted


def upgrade_within(connection: sa.Connection) -> None:
    """The same on a connection that has `lock_schema`."""
    before = _versions(connection)
    with connection.begin():
        revisions.upgrade(connection)
        # Whoever connects looks at it, and is told by the rights on other tables what they may do.
        connection.exec_driver_sql("GRANT SELECT ON alembic_version TO PUBLIC")
    _upgrade_queue(connection, before.queue)


def downgrade(url: str, password: str | None) -> tuple[int, int]:
    """Go one revision of our tables back; which one it had, and has. The queue's tables stay. Raises StoreError."""
    with alone(url, password) as (server, connection):
        before = _versions(connection).store
        if before > schema.REVISION:
            raise StoreError(f"{server.name} is of a newer mailassist", cure="Go back with that one.")
        if before <= 1:
            raise StoreError(f"{server.name} is at the first revision", cure="There is no way back from there.")
        lock_schema(server, connection)
        with connection.begin():
            revisions.downgrade(connection)
        return before, before - 1


def queue_wanted() -> str:
    """The last migration of the procrastinate that is installed. Raises StoreError."""
    return _queue_migrations()[-1].stem


def queue_version(connection: sa.Connection) -> str:
    """The last migration of procrastinate that was applied; "" for none."""
    found = connection.scalar(sa.select(schema.facts.c.value).where(schema.facts.c.name == _QUEUE))
    return bytes(found).decode() if found else ""


@contextmanager
def alone(url: str, password: str | None) -> Iterator[tuple[PostgresServer, sa.Connection]]:
    """A connection of which there is one at a time, in all processes."""
    server = PostgresServer(url, password, joins=False)
    try:
        with server.named_errors(), server.engine.connect() as connection:
            with connection.begin():
                connection.exec_driver_sql("SET statement_timeout = 0")
                connection.exec_driver_sql("SET lock_timeout = 0")
            with connection.begin():
                connection.execute(sa.select(sa.func.pg_advisory_lock(_ONE_AT_A_TIME)))
            yield server, connection
    finally:
        server.engine.dispose()  # ends the session, and with it its locks


def lock_schema(server: PostgresServer, connection: sa.Connection) -> None:
    """Wait until nobody else is connected, but not for long. Raises StoreError."""
    connection.exec_driver_sql(f"SET lock_timeout = '{_WAIT}'")
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(SCHEMA_LOCK)))
        connection.exec_driver_sql("SET lock_timeout = 0")
        connection.commit()
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != "55P03":
            raise
        connection.rollback()
        who = ", ".join(connection.scalars(_HOLDERS.params(lock=connection.scalar(sa.select(SCHEMA_LOCK)))))
        connection.rollback()
        raise StoreError(
            f"{server.name} is in use, and its tables have to change: {who}",
            cure="Stop the daemons (systemctl stop mailassist) and close the reviews, then run the same command again.",
        ) from error


# Removes our tables and the queue's with all that is in them, and nothing else.
DROP_EVERYTHING = """
DO $body$ DECLARE one record; BEGIN
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind = 'r'
        AND (c.relname = ANY (string_to_array('@NAMES@', ' ')) OR starts_with(c.relname, 'procrastinate_'))
    LOOP EXECUTE 'DROP TABLE IF EXISTS ' || one.name || ' CASCADE'; END LOOP;
    FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema()
        AND (starts_with(p.proname, 'procrastinate_') OR starts_with(p.proname, 'mailassist_'))
    LOOP EXECUTE 'DROP FUNCTION IF EXISTS ' || one.name || ' CASCADE'; END LOOP;
    FOR one IN SELECT t.oid::regtype AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = current_schema() AND starts_with(t.typname, 'procrastinate_')
        AND (t.typtype = 'e' OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    LOOP EXECUTE 'DROP TYPE IF EXISTS ' || one.name || ' CASCADE'; END LOOP;
    DROP SEQUENCE IF EXISTS conversation_numbers;
END $body$""".replace("@NAMES@", " ".join((*schema.metadata.tables, "alembic_version")))

_HOLDERS = sa.text("""
SELECT DISTINCT concat_ws(' ', usename, nullif(application_name, '')) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND pid != pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND ((classid::bigint << 32) | objid::bigint) = :lock ORDER BY 1""")


def _versions(connection: sa.Connection) -> Versions:
    with connection.begin():
        store = revisions.recorded(connection)
        return Versions(store, queue_version(connection) if store else "")


def _upgrade_queue(connection: sa.Connection, before: str) -> None:
    """Apply procrastinate's schema, or the migrations since; each in a transaction of its own, as it wants it."""
    migrations = _queue_migrations()
    if before:
        for file in migrations:
            if file.stem > before:
                _apply(connection, file.read_text(encoding="utf-8"), file.stem)
        return
    with connection.begin():
        taken = sa.inspect(connection).has_table("procrastinate_jobs")
    if taken:
        cure = "Give mailassist a database of its own."
        raise StoreError("The database has a queue of procrastinate that is not mailassist's", cure=cure)
    from procrastinate.schema import SchemaManager

    _apply(connection, SchemaManager.get_schema(), migrations[-1].stem)


def _apply(connection: sa.Connection, statements: str, name: str) -> None:
    with connection.begin():
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(statements)  # without parameters: as many statements as there are
        put(connection, schema.facts, {"name": _QUEUE, "value": name.encode()})


def _queue_migrations() -> list[Path]:
    """Procrastinate's migrations in their order; the names begin with the version."""
    try:
        from procrastinate.schema import SchemaManager
    except ImportError as error:
        raise StoreError("The queue for several machines is not installed", cure=SETUP) from error
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
