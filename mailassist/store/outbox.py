"""The outbox table: approved replies and how far each has come. Every function is one committed transaction.

A row is changed by the holder of its lease only: each lease has a fencing number that grows, and a change that names an
older number is refused (LeaseLost). What a server has said is a fact and is written down without a lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from mailassist.errors import DeliveryError
from mailassist.store import schema, versions
from mailassist.store.database import Store
from mailassist.store.dialect import serialise

_outbox = schema.outbox
WORKABLE = ("approved", "sending", "sent", "filed", "unknown")  # states in which something is left to do
OPEN = ("approved", "sending", "unknown")  # states in which nobody may approve another reply to the same message


class LeaseLost(DeliveryError):
    """Another process has taken over this reply; this one stopped before it could send it twice."""


class AnotherReply(DeliveryError):
    """Another reply to the same message is on its way."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One approved reply; the columns of store/schema.py."""

    id: int
    account: str
    answers: str
    conversation: str
    state: str
    attempt: int
    tries: int
    fence: int
    leased_until: float
    owner: str
    not_before: float
    message_id: str
    sent_message_id: str
    own_id: str
    fingerprint: str
    sender: str
    recipients: str
    raw: bytes
    raw_hash: str
    subject: str
    text: str
    error: str
    server_answer: str
    data_started: bool
    filing_started: bool
    answered_folder: str
    answered_uidvalidity: int | None
    answered_uid: int | None
    created_at: float
    changed_at: float

    @property
    def recipient_list(self) -> tuple[str, ...]:
        """RCPT TO."""
        return tuple(self.recipients.split("\n"))


_COLUMNS = [_outbox.c[field.name] for field in fields(OutboxRow)]


def insert(store: Store, values: Mapping[str, Any], *, now: float) -> int:
    """Store an approved reply and mark the draft of the same message as approved; its id.

    The same text to the same recipients in answer to the same message is the same reply: its id is given again. Raises
    AnotherReply while a different reply to that message is open; StoreError.
    """
    with store.write() as connection:
        serialise(connection, "replies", values["account"])
        same = _outbox.c.account == values["account"], _outbox.c.answers == values["answers"]
        rows = connection.execute(sa.select(*_COLUMNS).where(*same, _outbox.c.state.not_in(("cancelled", "refused"))))
        for row in map(_row, rows):
            if (row.text, row.recipients) == (values["text"], values["recipients"]):
                return row.id
            if row.state in OPEN:
                raise AnotherReply(
                    f"Another reply to this message is {row.state} (outbox {row.id})",
                    cure=f"See `mailassist outbox show {row.id}`; undo it with `mailassist outbox cancel {row.id}`.",
                )
        inserted = connection.execute(
            _outbox.insert().values(**values, state="approved", created_at=now, changed_at=now)
        )
        _set_draft(connection, values["account"], values["answers"], {"state": "approved"}, now)
        key = inserted.inserted_primary_key
        assert key is not None
        return int(key[0])


def get(store: Store, row_id: int) -> OutboxRow | None:
    """One row, or None."""
    with store.read() as connection:
        found = connection.execute(sa.select(*_COLUMNS).where(_outbox.c.id == row_id)).first()
    return _row(found) if found else None


def of_message(store: Store, account: str, answers: str) -> list[OutboxRow]:
    """Every reply to the message `answers`, oldest first, those that were taken back included."""
    mine = _outbox.c.account == account, _outbox.c.answers == answers
    with store.read() as connection:
        found = connection.execute(sa.select(*_COLUMNS).where(*mine).order_by(_outbox.c.id))
        return [_row(one) for one in found]


def rows(store: Store, *, account: str = "", through: bool = False, recent: float | None = None) -> list[OutboxRow]:
    """Rows, oldest first; only those that are not through, or changed after `recent`, unless `through`."""
    query = sa.select(*_COLUMNS).order_by(_outbox.c.id)
    if not through:
        shown = _outbox.c.state.not_in(("done", "cancelled"))
        query = query.where(shown if recent is None else shown | (_outbox.c.changed_at > recent))
    if account:
        query = query.where(_outbox.c.account == account)
    with store.read() as connection:
        return [_row(found) for found in connection.execute(query)]


def lease(
    store: Store,
    accounts: list[str],
    *,
    now: float,
    seconds: float,
    owner: str,
    alive: Callable[[str], bool],
    only: int | None = None,
) -> OutboxRow | None:
    """Take the next row that is due, for `seconds`; None when there is none. `only`: this row and no other.

    A row is due when `not_before` has passed and nobody holds it, or its holder is no longer `alive`.
    """
    due = sa.select(*_COLUMNS).where(
        _outbox.c.account.in_(accounts), _outbox.c.state.in_(WORKABLE), _outbox.c.not_before <= now
    )
    if only is not None:
        due = due.where(_outbox.c.id == only)
    with store.write() as connection:
        for row in map(_row, connection.execute(due.order_by(_outbox.c.not_before, _outbox.c.id))):
            if row.leased_until > now and row.owner != "" and alive(row.owner):
                continue
            held = {"fence": row.fence + 1, "leased_until": now + seconds, "owner": owner}
            same = (
                _outbox.c.id == row.id, _outbox.c.fence == row.fence, _outbox.c.state == row.state,
                _outbox.c.leased_until == row.leased_until,
            )  # fmt: skip
            if connection.execute(_outbox.update().where(*same).values(**held)).rowcount != 1:
                continue  # on PostgreSQL another process was quicker
            return _row(connection.execute(sa.select(*_COLUMNS).where(_outbox.c.id == row.id)).one())
    return None


def advance(store: Store, row: OutboxRow, *, now: float, **changes: Any) -> OutboxRow:
    """Change a row whose lease is held; the row as it is now. Raises LeaseLost, and nothing is changed."""
    with store.write() as connection:
        return _advance(connection, row, now, changes)


def return_text(store: Store, row: OutboxRow, *, now: float, **changes: Any) -> OutboxRow:
    """`advance`, and give the approved text back to the drafts in the same transaction."""
    with store.write() as connection:
        serialise(connection, "replies", row.account)
        changed = _advance(connection, row, now, changes)
        _give_back(connection, row, now)
        return changed


def record_sent(store: Store, row: OutboxRow, *, now: float, **changes: Any) -> bool:
    """Write down that the server took attempt `row.attempt`; False when another attempt has begun since."""
    with store.write() as connection:
        done = connection.execute(
            _outbox.update()
            .where(
                _outbox.c.id == row.id, _outbox.c.attempt == row.attempt, _outbox.c.state.in_(("sending", "unknown"))
            )
            .values(state="sent", tries=0, error="", changed_at=now, **changes)
        )
        return done.rowcount == 1


def decide(store: Store, row_id: int, states: tuple[str, ...], *, now: float, give_back: bool, **changes: Any) -> bool:
    """A person's decision about a row in one of `states` that nobody works on; False when it is not in them."""
    mine = _outbox.c.id == row_id, _outbox.c.state.in_(states), _outbox.c.leased_until <= now
    with store.write() as connection:
        account = connection.scalar(sa.select(_outbox.c.account).where(_outbox.c.id == row_id))
        serialise(connection, "replies", account or "")
        found = connection.execute(sa.select(*_COLUMNS).where(*mine).with_for_update()).first()
        if found is None:
            return False
        row = _row(found)
        if not give_back:
            _refuse_second(connection, row)
        _advance(connection, row, now, {**changes, "fence": row.fence + 1})
        if give_back:
            _give_back(connection, row, now)
        else:
            _take_back(connection, row, now)
        return True


def _refuse_second(connection: sa.Connection, row: OutboxRow) -> None:
    """Raises AnotherReply where another reply to the same message is open."""
    others = sa.select(_outbox.c.id, _outbox.c.state).where(
        _outbox.c.account == row.account, _outbox.c.answers == row.answers, _outbox.c.id != row.id,
        _outbox.c.state.in_(OPEN),
    )  # fmt: skip
    other = connection.execute(others).first()
    if other is not None:
        raise AnotherReply(f"Another reply to this message is {other.state} (outbox {other.id})")


def _advance(connection: sa.Connection, row: OutboxRow, now: float, changes: Mapping[str, Any]) -> OutboxRow:
    held = _outbox.update().where(_outbox.c.id == row.id, _outbox.c.fence == row.fence)
    if connection.execute(held.values(changed_at=now, **changes)).rowcount != 1:
        raise LeaseLost(f"Another process works on outbox {row.id} now")
    return _row(connection.execute(sa.select(*_COLUMNS).where(_outbox.c.id == row.id)).one())


def _give_back(connection: sa.Connection, row: OutboxRow, now: float) -> None:
    """The approved text as the current draft again; beside it, if the person has begun another one since.

    Another window may have saved a text before this one was approved: it gives way, and stays among the versions.
    """
    drafts = schema.drafts
    mine = drafts.c.account == row.account, drafts.c.answers == row.answers
    found = connection.execute(sa.select(drafts).where(*mine).with_for_update()).first()
    if found is None:
        again = {"account": row.account, "answers": row.answers, "conversation": row.conversation, "text": row.text}
        fresh = {"written_by": "person", "state": "kept", "created_at": now, "changed_at": now}
        connection.execute(drafts.insert().values(**again, **fresh))
    elif found.state == "approved" or not found.text:
        changes: dict[str, Any] = {"state": "kept"}
        if found.text != row.text:
            other = versions.Version(found.text, found.written_by, found.complete)
            versions.add(connection, row.account, row.answers, other, at=found.changed_at)
            changes |= {"text": row.text, "written_by": "person", "complete": True, "version": found.version + 1}
        _set_draft(connection, row.account, row.answers, changes, now)
    elif found.text != row.text:
        versions.add(connection, row.account, row.answers, versions.Version(row.text, "person"), at=now)


def _take_back(connection: sa.Connection, row: OutboxRow, now: float) -> None:
    """The draft of a reply that is on its way again, unless the person has changed it since."""
    drafts = schema.drafts
    same = drafts.c.account == row.account, drafts.c.answers == row.answers, drafts.c.text == row.text
    connection.execute(drafts.update().where(*same).values(state="approved", changed_at=now))


def _set_draft(connection: sa.Connection, account: str, answers: str, changes: Mapping[str, Any], now: float) -> None:
    drafts = schema.drafts
    mine = drafts.c.account == account, drafts.c.answers == answers
    connection.execute(drafts.update().where(*mine).values(changed_at=now, **changes))


def _row(found: sa.Row[Any]) -> OutboxRow:
    return OutboxRow(**found._mapping)
