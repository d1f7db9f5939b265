"""The drafts table: the text of each reply being worked on, and where its revision in the Drafts folder lies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from mailassist.errors import DeliveryError
from mailassist.store import schema, versions
from mailassist.store.database import Store

_drafts = schema.drafts


class DraftChanged(DeliveryError):
    """Another process is saving the same draft; this one stopped before there were two."""


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One reply being worked on; the columns of store/schema.py."""

    id: int
    account: str
    answers: str
    conversation: str
    generation: int
    text: str
    written_by: str
    model: str
    instruction: str
    complete: bool
    version: int
    reply_all: bool
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float
    state: str
    pending: bytes
    owner: str
    message_id: str
    own_id: str
    fingerprint: str
    folder: str
    uidvalidity: int | None
    uid: int | None
    old_own_id: str
    old_fingerprint: str
    old_folder: str
    old_uidvalidity: int | None
    old_uid: int | None
    error: str
    case_id: int | None
    created_at: float
    changed_at: float


_COLUMNS = [_drafts.c[field.name] for field in fields(DraftRow)]


def get(store: Store, account: str, answers: str) -> DraftRow | None:
    """The draft that answers the message `answers`, or None."""
    with store.read() as connection:
        found = connection.execute(sa.select(*_COLUMNS).where(*_key(account, answers))).first()
    return DraftRow(**found._mapping) if found else None


def rows(store: Store, account: str, *, state: str = "") -> list[DraftRow]:
    """Every draft of the account, or those in `state`, oldest first."""
    query = sa.select(*_COLUMNS).where(_drafts.c.account == account).order_by(_drafts.c.id)
    if state:
        query = query.where(_drafts.c.state == state)
    with store.read() as connection:
        return [DraftRow(**found._mapping) for found in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Kept:
    """What saving a text came to."""

    version: int
    overtaken: bool = False  # another process had changed the text; what it wrote is among the versions


def save_text(
    store: Store,
    account: str,
    answers: str,
    text: str,
    *,
    written_by: str,
    now: float,
    base: int | None = None,
    apart: bool = False,
    **about: Any,
) -> Kept:
    """Keep `text` as the current draft; `about`: other columns (model, complete, conversation, cost, ...).

    `base`: the version that the writer knows, 0 for none; None: whichever there is. `apart`: the text is another one,
    not the one before, edited further. A text that gives way to one by somebody else, by another process, or to one
    that is apart stays among the versions; the same text stays whose it was. What is known of a revision in the Drafts
    folder stays, but it no longer holds the current text.
    """
    values = {"text": text, "written_by": written_by, "changed_at": now, **about}
    with store.write() as connection:
        found = connection.execute(sa.select(*_COLUMNS).where(*_key(account, answers))).first()
        if found is None:
            fresh = {
                "account": account,
                "answers": answers,
                "created_at": now,
                "state": "kept",
                "generation": 0,
                "version": 1,
            }
            connection.execute(_drafts.insert().values(**{**fresh, **values}))
            return Kept(1)
        changed = found.text != text
        overtaken = changed and base is not None and base != found.version
        if changed and (overtaken or apart or "model" in (written_by, found.written_by)):
            before = versions.Version(found.text, found.written_by, found.complete)
            versions.add(connection, account, answers, before, at=found.changed_at)
        if not changed:
            values["written_by"] = found.written_by
        readdressed = about.get("reply_all", found.reply_all) != found.reply_all
        if found.state == "approved" or ((changed or readdressed) and found.state == "appended"):
            values["state"] = "kept"  # what lies in Drafts is no longer this
        version = found.version + changed
        connection.execute(_drafts.update().where(*_key(account, answers)).values(**values, version=version))
        return Kept(version, overtaken)


def change(store: Store, row: DraftRow, *, now: float, **changes: Any) -> DraftRow:
    """Change the row if generation and owner are still those of `row`; the row as it is now. Raises DraftChanged."""
    with store.write() as connection:
        same = _drafts.c.id == row.id, _drafts.c.generation == row.generation, _drafts.c.owner == row.owner
        done = connection.execute(_drafts.update().where(*same).values(changed_at=now, **changes))
        if done.rowcount != 1:
            raise DraftChanged()
        found = connection.execute(sa.select(*_COLUMNS).where(_drafts.c.id == row.id)).one()
        return DraftRow(**found._mapping)


def unfinished(store: Store, account: str) -> list[DraftRow]:
    """Drafts whose revision is on its way into the mailbox, or has come there beside the one it replaces."""
    query = sa.select(*_COLUMNS).where(
        _drafts.c.account == account,
        sa.or_(
            _drafts.c.state == "appending",
            sa.and_(_drafts.c.state.in_(("appended", "kept")), _drafts.c.old_folder != ""),
        ),
    )
    with store.read() as connection:
        return [DraftRow(**found._mapping) for found in connection.execute(query.order_by(_drafts.c.id))]


def claim(store: Store, row: DraftRow, owner: str, *, now: float) -> DraftRow:
    """Make `owner` the one that goes on with `row`, if nothing has touched it meanwhile. Raises DraftChanged."""
    with store.write() as connection:
        same = (
            _drafts.c.id == row.id, _drafts.c.generation == row.generation,
            _drafts.c.owner == row.owner, _drafts.c.changed_at == row.changed_at,
        )  # fmt: skip
        done = connection.execute(_drafts.update().where(*same).values(owner=owner, changed_at=now))
        if done.rowcount != 1:
            raise DraftChanged()
        found = connection.execute(sa.select(*_COLUMNS).where(_drafts.c.id == row.id)).one()
        return DraftRow(**found._mapping)


def release(store: Store, row_id: int, owner: str) -> None:
    """`owner` no longer works on the row: any process may go on."""
    with store.write() as connection:
        connection.execute(_drafts.update().where(_drafts.c.id == row_id, _drafts.c.owner == owner).values(owner=""))


def note(store: Store, row_id: int, error: str, *, now: float) -> None:
    """Keep why the draft is not in the mailbox yet."""
    with store.write() as connection:
        connection.execute(_drafts.update().where(_drafts.c.id == row_id).values(error=error, changed_at=now))


def _key(account: str, answers: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _drafts.c.account == account, _drafts.c.answers == answers
