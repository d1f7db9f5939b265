"""Statements that run for every message: on SQLite the driver runs them, without SQLAlchemy in between.

SQLAlchemy makes the SQL, once; to run it by the driver costs a tenth of what its own way costs, which was a quarter of
a draft's processor time. PostgreSQL, whose connections SQLAlchemy also watches over, is reached in its own way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]
Converter = Callable[[Any], Any]
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The SQL for values of certain names."""

    sql: str
    parameters: tuple[tuple[str, Any], ...]  # name and what it is where no value is given, in the order of the SQL
    converters: tuple[tuple[int, Converter], ...]  # of the columns that come back, by number

    def run(self, connection: sa.Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Let the driver run it in the connection's transaction. Raises sqlite3.DatabaseError."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.execute(self.sql, [values.get(name, usual) for name, usual in self.parameters])

    def converted(self, row: Row) -> Row:
        """A row as SQLAlchemy would give it."""
        if not self.converters:
            return row
        made = list(row)
        for number, convert in self.converters:
            made[number] = convert(made[number])
        return tuple(made)


class Statement:
    """A SELECT, INSERT or UPDATE that is made once and run often, in a transaction of `Store`. Thread-safe.

    Not for lists (`IN`), whose length is a part of the SQL, and not for types that change what goes into the database
    (JSON, dates): the driver gets the values as they are.
    """

    def __init__(self, statement: sa.Select[Any] | sa.Insert | sa.Update) -> None:
        """`statement`: with a `sa.bindparam` for each value that is given later."""
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def rows(self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING) -> list[Row]:
        """Every row it gives."""
        compiled = self._for(connection, values)
        if compiled is None:
            return [tuple(row) for row in connection.execute(self._statement, values)]
        return [compiled.converted(row) for row in compiled.run(connection, values)]

    def first(self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING) -> Row | None:
        """The first row, or None; the rest is left."""
        compiled = self._for(connection, values)
        if compiled is None:
            found = connection.execute(self._statement, values).first()
            return None if found is None else tuple(found)
        rows = compiled.run(connection, values).fetchall()  # to the end: an UPDATE is not done before
        return compiled.converted(rows[0]) if rows else None

    def scalar(self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING) -> Any:
        """The first column of the first row, or None."""
        row = self.first(connection, values)
        return None if row is None else row[0]

    def change(self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING) -> int:
        """Do it; how many rows it changed."""
        compiled = self._for(connection, values)
        if compiled is None:
            return connection.execute(self._statement, values).rowcount
        return compiled.run(connection, values).rowcount

    def _for(self, connection: sa.Connection, values: Mapping[str, Any]) -> _Compiled | None:
        """The SQL for these values; None where SQLAlchemy runs it."""
        if connection.dialect.name != "sqlite":
            return None
        names = tuple(values)
        if names not in self._compiled:
            self._compiled[names] = self._compile(connection.dialect, names)
        return self._compiled[names]

    def _compile(self, dialect: sa.Dialect, names: tuple[str, ...]) -> _Compiled:
        statement = self._statement
        usual = _defaults(statement.table, names) if isinstance(statement, sa.Insert) else {}
        made = statement.compile(dialect=dialect, column_keys=[*names, *usual])
        assert isinstance(made, SQLCompiler) and not made.post_compile_params, "a list in a Statement"
        usual = {**made.params, **usual}
        parameters = tuple((name, usual.get(name)) for name in made.positiontup or ())
        columns = statement.exported_columns
        found = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        converters = tuple((number, convert) for number, convert in enumerate(found) if convert is not None)
        return _Compiled(made.string, parameters, converters)


def _defaults(table: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What an INSERT puts into the columns that it is not told of."""
    return {
        column.key: column.default.arg
        for column in table.columns
        if column.key not in names and column.default is not None and column.default.is_scalar
    }
