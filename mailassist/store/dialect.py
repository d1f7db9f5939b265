"""What SQLite and PostgreSQL say differently: rows that take each other's place, long lists, one writer after another.

SQLite has one writer at a time (BEGIN IMMEDIATE). PostgreSQL has many, each statement seeing what was committed before
it (READ COMMITTED): `serialise` makes those wait for each other that would go by what another is about to change.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def is_postgres(connection: sa.Connection) -> bool:
    """Whether the connection leads to PostgreSQL, not to SQLite."""
    return connection.dialect.name == "postgresql"


def serialise(connection: sa.Connection, *names: str) -> None:
    """Let this transaction wait for others of the same name, and others for it, until its end.

    The first names say of what, the last of which one: `serialise(c, "index", "work")` waits for another
    ("index", "work") and for ("index",), not for ("index", "home"). What was read before may be out of date.
    """
    if not is_postgres(connection):
        return
    locks = []
    for depth in range(1, len(names) + 1):
        lock = sa.func.pg_advisory_xact_lock if depth == len(names) else sa.func.pg_advisory_xact_lock_shared
        locks.append(lock(sa.func.hashtextextended("\n".join(names[:depth]), 0)))
    connection.execute(sa.select(*locks))


def put(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert a row; one with the same primary key gets these values."""
    connection.execute(_put(is_postgres(connection), table, tuple(values)), dict(values))


@lru_cache(maxsize=128)  # made once: making a statement costs more than running it
def _put(postgres: bool, table: sa.Table, names: tuple[str, ...]) -> sa.Executable:
    query = _insert(postgres, table)
    key = [column.name for column in table.primary_key]
    return query.on_conflict_do_update(
        index_elements=key, set_={name: query.excluded[name] for name in names if name not in key}
    )


def put_missing(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row, unless one is there that a unique key forbids it beside; whether it was inserted."""
    query = _put_missing(is_postgres(connection), table)
    # Without the option, PostgreSQL's driver does not tell how many rows an INSERT made.
    done = connection.execute(query, dict(values), execution_options={"preserve_rowcount": True})
    return done.rowcount == 1


@lru_cache(maxsize=128)
def _put_missing(postgres: bool, table: sa.Table) -> sa.Executable:
    return _insert(postgres, table).on_conflict_do_nothing()


def put_rows(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[Sequence[Any]], key: Sequence[str]
) -> None:
    """Insert many rows, given as the values of the columns `names`; those with the same unique `key` are replaced.

    The driver takes the rows as they are: a first sync brings a hundred thousand of them.
    """
    if not rows:
        return
    columns = ", ".join(names)
    if not is_postgres(connection):
        marks = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table.name} ({columns}) VALUES ({marks})", [*rows])
        return
    marks = ", ".join(["%s"] * len(names))
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    insert = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"
    connection.exec_driver_sql(f"{insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}", [*map(tuple, rows)])


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Whether `column` is one of `values`, of which there may be any number."""
    if is_postgres(connection):
        return column == sa.any_(sa.literal([*values], postgresql.ARRAY(column.type)))
    each = sa.func.json_each(json.dumps([*values])).table_valued("value")
    cut_short = [value for value in values if isinstance(value, str) and "\0" in value]  # json_each ends at a NUL
    found = column.in_(sa.select(each.c.value))
    return found | column.in_(cut_short) if cut_short else found


def _insert(postgres: bool, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if postgres else sqlite.insert(table)
