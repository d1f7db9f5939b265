"""How much of a model's account is used, for all processes together: one row for each model, changed atomically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.dialect import put_missing
from mailassist.store.team_schema import model_use


@dataclass(frozen=True, slots=True)
class Use:
    """What is left of the limits, and since when the model fails. Times are seconds since 1970."""

    requests: float = 0.0  # left in the bucket; below zero: promised to calls that wait
    tokens: float = 0.0
    at: float = 0.0  # when the buckets were last filled; 0: never
    not_before: float = 0.0  # no call is made before
    failures: int = 0  # in a row


# Made once: they run for every call.
_ROW = sa.select(model_use).where(model_use.c.name == sa.bindparam("of")).with_for_update()
_CHANGE = (
    model_use.update()
    .where(model_use.c.name == sa.bindparam("of"))
    .values({field: sa.bindparam(field) for field in Use.__slots__})
)


def change(store: Store, name: str, to: Callable[[Use], Use]) -> Use:
    """Replace the row `name` by `to` of it, in one transaction; gives what it is now. `to` is called once."""
    with store.write() as connection:
        row = _locked(connection, name)
        if row is None:
            put_missing(connection, model_use, {"name": name})
            row = _locked(connection, name)
            assert row is not None
        before = Use(row.requests, row.tokens, row.at, row.not_before, row.failures)
        after = to(before)
        if after != before:
            connection.execute(_CHANGE, {"of": name, **{field: getattr(after, field) for field in Use.__slots__}})
        return after


def _locked(connection: sa.Connection, name: str) -> sa.Row[tuple[object, ...]] | None:
    """The row, for nobody else until the end of the transaction; a writer of SQLite is alone anyway."""
    return connection.execute(_ROW, {"of": name}).one_or_none()
