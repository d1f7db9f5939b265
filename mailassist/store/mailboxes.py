"""The mailboxes table: what the watcher last saw of each team mailbox, and why nothing is drafted, where that is so."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from mailassist.store import team_schema as schema
from mailassist.store.database import Store

_mailboxes = schema.mailboxes


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One team mailbox; the columns of store/team_schema.py."""

    mailbox: str
    cutoff: float
    paused: str
    paused_at: float | None
    resumed_at: float
    watcher: str
    connection: str
    connected_at: float | None
    looked_at: float | None
    error: str
    error_at: float | None


_COLUMNS = [_mailboxes.c[field.name] for field in fields(MailboxRow)]


def begin(store: Store, mailbox: str, *, cutoff: float) -> MailboxRow:
    """The row of a mailbox; at the first start it is made, with the moment from which on mail is drafted."""
    found = get(store, mailbox)
    if found is None:
        with store.write() as connection:
            if connection.scalar(sa.select(_mailboxes.c.mailbox).where(_mailboxes.c.mailbox == mailbox)) is None:
                connection.execute(_mailboxes.insert().values(mailbox=mailbox, cutoff=cutoff))
        found = get(store, mailbox)
        assert found is not None
    return found


def get(store: Store, mailbox: str) -> MailboxRow | None:
    """What is known of a mailbox, or None."""
    with store.read() as connection:
        found = connection.execute(sa.select(*_COLUMNS).where(_mailboxes.c.mailbox == mailbox)).first()
    return MailboxRow(**found._mapping) if found else None


def listed(store: Store) -> list[MailboxRow]:
    """Every mailbox that was ever watched, by name."""
    with store.read() as connection:
        query = sa.select(*_COLUMNS).order_by(_mailboxes.c.mailbox)
        return [MailboxRow(**found._mapping) for found in connection.execute(query)]


def change(store: Store, mailbox: str, **values: Any) -> None:
    """Change the row of a mailbox that has begun."""
    with store.write() as connection:
        connection.execute(_mailboxes.update().where(_mailboxes.c.mailbox == mailbox).values(**values))


def pause(store: Store, mailbox: str, reason: str, *, now: float) -> bool:
    """Make no drafts for this mailbox until `resume`; False where it is paused already."""
    mine = (_mailboxes.c.mailbox == mailbox) & (_mailboxes.c.paused == "")
    with store.write() as connection:
        values = {"paused": reason, "paused_at": now}
        return connection.execute(_mailboxes.update().where(mine).values(**values)).rowcount == 1


def resume(store: Store, mailbox: str, *, now: float) -> bool:
    """Make drafts again; False where it was not paused."""
    mine = (_mailboxes.c.mailbox == mailbox) & (_mailboxes.c.paused != "")
    with store.write() as connection:
        values = {"paused": "", "paused_at": None, "resumed_at": now}
        return connection.execute(_mailboxes.update().where(mine).values(**values)).rowcount == 1
