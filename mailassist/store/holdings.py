"""What the store holds, in numbers: for `mailassist privacy`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from mailassist.store import schema
from mailassist.store.database import Store


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of local data: how much there is, and when the next of it is deleted (seconds since 1970)."""

    name: str  # of the table
    rows: int
    next_deletion: float | None = None


def holdings(store: Store) -> list[Holding]:
    """Headers, texts, drafts, approved replies and calls, in this order."""
    with store.read() as connection:
        counts = {
            table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (schema.messages, schema.texts, schema.drafts, schema.outbox, schema.ledger)
        }
        there = sa.func.length(schema.texts.c.raw) > 0  # an empty text is none
        counts["texts"] = connection.scalar(sa.select(sa.func.count()).select_from(schema.texts).where(there)) or 0
        next_deletion = connection.scalar(sa.select(sa.func.min(schema.texts.c.until)).where(there))
    return [Holding(name, rows, next_deletion if name == "texts" else None) for name, rows in counts.items()]
