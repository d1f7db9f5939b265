"""Whole raw messages, kept for as long as they are needed and never beyond their retention time.

An empty one stands for a text that was not to be had, so that it is not asked for again until its time is up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.dialect import among, put_rows, serialise
from mailassist.store.schema import texts


def put(store: Store, account: str, raw: Mapping[str, bytes], *, until: float) -> None:
    """Keep messages, by Message-ID, until `until` (seconds since 1970)."""
    rows = [(account, message_id, body, until) for message_id, body in raw.items()]
    if rows:
        with store.write() as connection:
            serialise(connection, "texts", account)
            put_rows(connection, texts, ("account", "message_id", "raw", "until"), rows, key=("account", "message_id"))


def get(store: Store, account: str, message_ids: Collection[str], *, now: float) -> dict[str, bytes]:
    """What is kept of these messages, by Message-ID; nothing past its time."""
    query = sa.select(texts.c.message_id, texts.c.raw).where(
        texts.c.account == account, texts.c.until > now, sa.func.length(texts.c.raw) > 0
    )
    with store.read() as connection:
        rows = connection.execute(query.where(among(connection, texts.c.message_id, message_ids)))
        return {message_id: bytes(raw) for message_id, raw in rows}


def kept(store: Store, account: str) -> set[str]:
    """The Message-IDs of the messages whose text is kept, or was not to be had."""
    with store.read() as connection:
        return set(connection.scalars(sa.select(texts.c.message_id).where(texts.c.account == account)))


def expire(store: Store, account: str, *, now: float, needed: Collection[str] | None) -> int:
    """Delete what is past its time, and what is not in `needed` (None: whatever is in time is needed)."""
    mine = texts.c.account == account
    with store.write() as connection:
        serialise(connection, "texts", account)
        gone = connection.execute(texts.delete().where(mine, texts.c.until <= now)).rowcount
        if needed is not None:
            unneeded = set(connection.scalars(sa.select(texts.c.message_id).where(mine))) - set(needed)
            if unneeded:
                connection.execute(texts.delete().where(mine, among(connection, texts.c.message_id, unneeded)))
            gone += len(unneeded)
    return gone
