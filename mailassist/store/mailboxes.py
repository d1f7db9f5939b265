"""Each team mailbox as the watcher last saw it, and whether drafts are made for it: the table `mailboxes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mailassist.errors import InputError
from mailassist.store.database import Store
from mailassist.store.dialect import put_missing
from mailassist.store.schema import folders
from mailassist.store.team_schema import looked as _positions
from mailassist.store.team_schema import mailboxes

_GET = sa.select(mailboxes).where(mailboxes.c.mailbox == sa.bindparam("name"))
_LOOKED = (
    mailboxes.update()
    .where(mailboxes.c.mailbox == sa.bindparam("name"))
    .values(looked_at=sa.bindparam("now"), error="", error_at=None)
)
_same = (_positions.c.mailbox == folders.c.account) & (_positions.c.folder == folders.c.folder)
_reached = (
    (_positions.c.uidvalidity == folders.c.uidvalidity)
    & (_positions.c.uid >= folders.c.highest_uid)
    & (_positions.c.lowest <= folders.c.lowest_uid)
)
_BEHIND = (
    sa.select(folders.c.folder)
    .outerjoin(_positions, _same & _reached)
    .where(folders.c.account == sa.bindparam("name"), _positions.c.folder.is_(None))
)
_FIRST = {"cutoff": 0.0, "paused": "", "resumed_at": 0.0, "watcher": "", "connection": "", "error": ""}


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One row, as in store/team_schema.py; times in seconds since 1970."""

    mailbox: str
    cutoff: float = 0.0
    paused: str = ""
    paused_at: float | None = None
    resumed_at: float = 0.0  # drafts from before say nothing of how drafts are used
    watcher: str = ""
    connection: str = ""  # idle | notify | poll | offline | refused; "" before the first connection
    connected_at: float | None = None
    looked_at: float | None = None
    error: str = ""
    error_at: float | None = None

    @property
    def broken(self) -> bool:
        """Whether the newest thing known is an error: nothing came through since."""
        return bool(self.error) and (self.error_at or 0.0) >= (self.looked_at or 0.0)


def begin(store: Store, mailbox: str, *, cutoff: float) -> float:
    """Make the row of a mailbox that is watched for the first time; the cut-off that holds, which never changes."""
    with store.write() as connection:
        _insert_missing(connection, mailbox, cutoff)
        unset = (mailboxes.c.mailbox == mailbox) & (mailboxes.c.cutoff == 0.0)  # paused before it was ever watched
        connection.execute(mailboxes.update().where(unset).values(cutoff=cutoff))
        query = sa.select(mailboxes.c.cutoff).where(mailboxes.c.mailbox == mailbox)
        return float(connection.scalar(query) or 0.0)


def rows(store: Store) -> dict[str, MailboxRow]:
    """Every mailbox that was ever watched or paused, by name."""
    with store.read() as connection:
        found = connection.execute(sa.select(mailboxes).order_by(mailboxes.c.mailbox))
        return {row.mailbox: MailboxRow(**row._mapping) for row in found}


def get(store: Store, mailbox: str) -> MailboxRow:
    """One of them; an empty row where nothing is known yet."""
    with store.read() as connection:
        row = connection.execute(_GET, {"name": mailbox}).one_or_none()
    return MailboxRow(mailbox) if row is None else MailboxRow(**row._mapping)


def connected(store: Store, mailbox: str, kind: str, *, watcher: str, now: float) -> None:
    """The watcher (host:pid) waits for news: `kind` is `idle`, `notify` or `poll`. The error stays until a look."""
    _change(store, mailbox, connection=kind, connected_at=now, watcher=watcher)


def looked(store: Store, mailbox: str, *, now: float) -> None:
    """A look with the cursor came through: what was wrong before is over."""
    with store.write() as connection:
        if connection.execute(_LOOKED, {"name": mailbox, "now": now}).rowcount == 0:
            _insert_missing(connection, mailbox)
            connection.execute(_LOOKED, {"name": mailbox, "now": now})


def behind(store: Store, mailbox: str) -> frozenset[str]:
    """The folders of which the index has what was not looked through for arrivals yet."""
    with store.read() as connection:
        return frozenset(connection.scalars(_BEHIND, {"name": mailbox}))


def failed(store: Store, mailbox: str, error: str, *, refused: bool = False, now: float) -> None:
    """A look or a connection did not come through. `error`: one line without secrets; `refused`: the login was."""
    _change(store, mailbox, connection="refused" if refused else "offline", error=error, error_at=now)


def let_go(store: Store, mailbox: str, *, watcher: str) -> None:
    """`watcher` watches this mailbox no longer; another's entry is left alone."""
    with store.write() as connection:
        mine = (mailboxes.c.mailbox == mailbox) & (mailboxes.c.watcher == watcher)
        connection.execute(mailboxes.update().where(mine).values(watcher="", connection=""))


def pause(
    store: Store, mailbox: str, reason: str, *, now: float, noted: Callable[[sa.Connection], object] = lambda _: None
) -> bool:
    """Make no drafts for this mailbox; mail is still read and queued. False when it is paused already.

    `reason`: in plain words, without content of mail; `noted` is called last in the transaction, where it was done.
    Raises InputError for an empty reason.
    """
    if not reason.strip():
        raise InputError("A pause needs a reason", cure="Say why, in a few words: people read it in `status`.")
    with store.write() as connection:
        done = pause_within(connection, mailbox, reason, now=now)
        if done:
            noted(connection)
        return done


def pause_within(connection: sa.Connection, mailbox: str, reason: str, *, now: float) -> bool:
    """The same in the caller's transaction."""
    _insert_missing(connection, mailbox)
    running = (mailboxes.c.mailbox == mailbox) & (mailboxes.c.paused == "")
    change = mailboxes.update().where(running).values(paused=reason, paused_at=now)
    return connection.execute(change).rowcount == 1


def resume(
    store: Store, mailbox: str, *, now: float, noted: Callable[[sa.Connection], object] = lambda _: None
) -> bool:
    """Make drafts again; False when it was not paused. What became of earlier drafts no longer counts."""
    with store.write() as connection:
        mine = (mailboxes.c.mailbox == mailbox) & (mailboxes.c.paused != "")
        values = {"paused": "", "paused_at": None, "resumed_at": now}
        done = connection.execute(mailboxes.update().where(mine).values(**values)).rowcount == 1
        if done:
            noted(connection)
        return done


def count_anew(store: Store, mailbox: str, *, now: float) -> None:
    """What became of drafts until now says nothing of how drafts are used."""
    _change(store, mailbox, resumed_at=now)


def _change(store: Store, mailbox: str, **values: Any) -> None:
    with store.write() as connection:
        change = mailboxes.update().where(mailboxes.c.mailbox == mailbox).values(values)
        if connection.execute(change).rowcount == 0:
            _insert_missing(connection, mailbox)
            connection.execute(change)


def _insert_missing(connection: sa.Connection, mailbox: str, cutoff: float = 0.0) -> None:
    put_missing(connection, mailboxes, _FIRST | {"mailbox": mailbox, "cutoff": cutoff})
