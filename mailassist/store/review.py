"""The review queue's tables: who has a case in hand, what colleagues say about it, the text, who sees what.

Every function is one transaction, and holds the case's row while it decides, so that of two people one gets it: SQLite
has one writer at a time, PostgreSQL locks the row. `noted` is called last in it, where something was done: the entry of
the audit trail is there when the change is. Approvals are in `store.approvals`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mailassist.errors import Stopped, Taken
from mailassist.store import dialect, team_schema, versions
from mailassist.store.cases import change
from mailassist.store.database import Store
from mailassist.store.dialect import among, serialise
from mailassist.store.drafts import in_mailbox
from mailassist.store.schema import drafts

_cases, _notes, _approvals = team_schema.cases, team_schema.case_notes, team_schema.approvals
_arrivals, _copies = team_schema.arrivals, team_schema.arrival_copies
ENDED = ("answered", "none")  # states of a case that nobody works on any more
WITHOUT_DRAFT = (*ENDED, "person", "missing", "theirs", "failed")  # states in which no draft of ours is in Drafts
Noted = Callable[[sa.Connection], object]
APPENDING = 180.0  # seconds without a change until the daemon's APPEND is no longer waited for


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case with what belongs to it; the columns of store/team_schema.py."""

    id: int
    mailbox: str
    conversation: str
    message_id: str
    arrived: float
    subject: str
    correspondent: str
    state: str
    reason: str
    missing: str
    category: str
    urgency: str
    due: float | None
    assigned_to: str
    claimed_by: str
    claimed_until: float
    notes: int
    drafted: bool
    in_drafts: bool
    also_in: tuple[str, ...] = ()  # other mailboxes that the message to be answered came to

    def holder(self, now: float) -> str:
        """Who has it in hand at `now`: whoever claimed it, or was given it a moment ago; "" for nobody."""
        return (self.claimed_by or self.assigned_to) if self.claimed_until > now else ""

    def held_against(self, who: str, now: float) -> bool:
        """Whether somebody else than `who` has it in hand at `now`."""
        return self.holder(now) not in ("", who)


@dataclass(frozen=True, slots=True)
class TextRow:
    """The current draft of a case."""

    case_id: int
    text: str
    written_by: str
    model: str
    complete: bool
    version: int
    reply_all: bool


_TEXT = [drafts.c[name] for name in TextRow.__slots__]
_PLAIN = [_cases.c[name] for name in CaseRow.__slots__ if name in _cases.c]


def cases(store: Store, mailboxes: Collection[str], *, through: bool = False) -> list[CaseRow]:
    """The cases of `mailboxes` that are open, or all of them with `through`."""
    query = _case_query().where(_cases.c.mailbox.in_(list(mailboxes)))
    if not through:
        query = query.where(_cases.c.state.not_in(ENDED))
    with store.read() as connection:
        rows = connection.execute(query.order_by(_cases.c.id)).all()
        others = _also_in(connection, _cases.c.mailbox.in_(list(mailboxes)))
    return [CaseRow(**row._mapping, also_in=others.get(row.id, ())) for row in rows]


def case(store: Store, case_id: int) -> CaseRow | None:
    """One case, or None."""
    with store.read() as connection:
        row = connection.execute(_case_query().where(_cases.c.id == case_id)).first()
        others = _also_in(connection, _cases.c.id == case_id)
    return CaseRow(**row._mapping, also_in=others.get(row.id, ())) if row else None


def texts(store: Store, case_ids: Sequence[int], mailboxes: Collection[str]) -> list[TextRow]:
    """The current drafts of these cases of `mailboxes`, where there are any."""
    query = sa.select(*_TEXT).join(_cases, drafts.c.case_id == _cases.c.id)
    query = query.where(_cases.c.mailbox.in_(list(mailboxes)), drafts.c.text != "")
    with store.read() as connection:
        rows = connection.execute(query.where(dialect.among(connection, _cases.c.id, case_ids)))
        return [TextRow(**row._mapping) for row in rows]


def claim(store: Store, case_id: int, who: str, *, now: float, until: float, noted: Noted) -> None:
    """Take the case, or keep it, until `until`; noted where it was not `who`'s before. Raises Taken, Stopped."""
    with store.write() as connection:
        row = locked(connection, case_id)
        refuse_ended(row)
        refuse_held(row, who, now)
        sender = connection.scalar(
            sa.select(_approvals.c.who).where(_approvals.c.case_id == case_id, _approvals.c.open == 1)
        )
        if sender not in (None, who):
            raise Taken(f"{sender} is sending a reply to this conversation")
        change(connection, case_id, now=now, claimed_by=who, claimed_until=until)
        if row.claimed_by != who or row.claimed_until <= now:
            noted(connection)


def release(store: Store, case_id: int, who: str, *, noted: Noted) -> None:
    """Give a claim up, where `who` has one."""
    mine = _cases.c.id == case_id, _cases.c.claimed_by == who
    with store.write() as connection:
        done = connection.execute(_cases.update().where(*mine).values(claimed_by="", claimed_until=0.0))
        if done.rowcount == 1:
            noted(connection)


def hand_over(
    store: Store, case_id: int, who: str, to: str, note: str, *, now: float, until: float, noted: Noted
) -> None:
    """Give the case to `to`, for whom it is kept until `until`, with a note. Raises Taken, Stopped.

    Nobody can claim it for somebody else; PostgreSQL would not let them.
    """
    with store.write() as connection:
        row = locked(connection, case_id)
        refuse_ended(row)
        refuse_held(row, who, now)
        change(connection, case_id, now=now, assigned_to=to, claimed_by="", claimed_until=until)
        if note:
            connection.execute(_notes.insert().values(case_id=case_id, at=now, who=who, text=note))
        noted(connection)


def notes(store: Store, case_id: int) -> list[tuple[float, str, str]]:
    """When, who, what; oldest first."""
    query = sa.select(_notes.c.at, _notes.c.who, _notes.c.text).where(_notes.c.case_id == case_id)
    with store.read() as connection:
        return [(row.at, row.who, row.text) for row in connection.execute(query.order_by(_notes.c.at, _notes.c.id))]


def add_note(store: Store, case_id: int, who: str, text: str, *, now: float, noted: Noted) -> None:
    """Write a note."""
    with store.write() as connection:
        connection.execute(_notes.insert().values(case_id=case_id, at=now, who=who, text=text))
        noted(connection)


def save_text(
    store: Store,
    case_id: int,
    who: str,
    text: str,
    *,
    base: int,
    reply_all: bool,
    written_by: str,
    now: float,
    until: float,
    noted: Noted,
) -> TextRow:
    """Keep `text` as the current draft; what it was not made from stays among the versions. It renews the claim.

    Raises Taken, Stopped.
    """
    with store.write() as connection:
        row = locked(connection, case_id)
        refuse_ended(row)
        if row.claimed_by != who:
            refuse_held(row, who, now)
            raise Taken("You have not claimed this conversation, or the claim has ended")
        if row.state == "approved":
            raise Stopped("A reply to this conversation is on its way")
        written = put_text(connection, row, text, base=base, reply_all=reply_all, written_by=written_by, now=now)
        state = "drafted" if text.strip() and row.state in ("theirs", "person", "missing", "failed") else row.state
        change(connection, case_id, now=now, claimed_until=until, state=state)
        noted(connection)
        return written


def discard(store: Store, case_id: int, who: str, reason: str, *, now: float, noted: Noted) -> None:
    """No reply is needed. Raises Taken, Stopped."""
    with store.write() as connection:
        row = locked(connection, case_id)
        refuse_ended(row)
        refuse_held(row, who, now)
        if row.state == "approved":
            raise Stopped("A reply to this conversation is on its way", cure="Take it back first.")
        change(connection, case_id, now=now, state="none", reason=reason, claimed_by="", claimed_until=0.0)
        noted(connection)


def to_withdraw(store: Store, mailboxes: Collection[str], case_id: int | None = None) -> list[int]:
    """Ids of cases whose draft still lies in the Drafts folder although nothing of ours belongs there (any more).

    A person has said that no reply is needed, or has taken it on; somebody has answered; or the newest message came
    to an end without a draft, and what lies there answers the one before.
    """
    query = (
        sa.select(_cases.c.id)
        .join(_cases, drafts.c.case_id == _cases.c.id)
        .where(_cases.c.state.in_(WITHOUT_DRAFT), in_mailbox())
    )
    if case_id is not None:
        query = query.where(_cases.c.id == case_id)
    with store.read() as connection:
        mine = query.where(among(connection, _cases.c.mailbox, mailboxes))
        return list(connection.scalars(mine.order_by(_cases.c.id)))


# -- parts of a transaction, for this module and `store.approvals`


def locked(connection: sa.Connection, case_id: int) -> CaseRow:
    """The case, which nobody else changes until the transaction ends. Raises Stopped where there is none."""
    row = connection.execute(sa.select(*_PLAIN).where(_cases.c.id == case_id).with_for_update()).first()
    if row is None:
        raise Stopped(f"There is no case {case_id}", cure="Look at the list again.")
    return CaseRow(**row._mapping, notes=0, drafted=False, in_drafts=False)


def refuse_held(row: CaseRow, who: str, now: float) -> None:
    """Raises Taken where somebody else has the case in hand."""
    if row.held_against(who, now):
        raise Taken(f"{row.holder(now)} is replying", cure="Ask them to hand it over, or wait until the claim ends.")


def refuse_ended(row: CaseRow) -> None:
    """Raises Stopped where nothing is left to do."""
    if row.state in ENDED:
        done = "is answered" if row.state == "answered" else "needs no reply"
        raise Stopped(f"The conversation {done}{f': {row.reason}' if row.reason else ''}")


def put_text(
    connection: sa.Connection, row: CaseRow, text: str, *, base: int, reply_all: bool, written_by: str, now: float
) -> TextRow:
    """Make `text` the case's draft, with the version it has then."""
    serialise(connection, "replies", row.mailbox)
    found = connection.execute(sa.select(drafts).where(drafts.c.case_id == row.id).with_for_update()).first()
    same = drafts.c.account == row.mailbox, drafts.c.answers == row.message_id
    if found is None:
        found = connection.execute(sa.select(drafts).where(*same).with_for_update()).first()
    about: dict[str, Any] = {"case_id": row.id, "answers": row.message_id, "reply_all": reply_all, "changed_at": now}
    if found is None:
        fresh = {"account": row.mailbox, "conversation": row.conversation, "state": "kept", "generation": 0}
        about |= fresh | {"text": text, "written_by": written_by, "version": 1, "created_at": now}
        connection.execute(drafts.insert().values(**about))
    else:
        changed = found.text != text
        other = base != found.version or "model" in (written_by, found.written_by)
        if changed and other:
            before = versions.Version(found.text, found.written_by, found.complete)
            versions.add(connection, row.mailbox, found.answers, before, at=found.changed_at)
        if changed:
            about |= {"text": text, "written_by": written_by, "complete": True, "version": found.version + 1}
        if found.state in ("approved", "person", "gone") or (changed and found.state == "appended"):
            about["state"] = "kept"  # what lies in Drafts, or did, is no longer this
        connection.execute(drafts.update().where(drafts.c.id == found.id).values(**about))
    return TextRow(**connection.execute(sa.select(*_TEXT).where(drafts.c.case_id == row.id)).one()._mapping)


def _also_in(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[int, tuple[str, ...]]:
    """By case, the other mailboxes of the team that have a copy of the message to be answered, in their order."""
    here = (_arrivals.c.case_id == _cases.c.id) & (_arrivals.c.message_id == _cases.c.message_id)
    there = (_copies.c.key == _arrivals.c.key) & (_copies.c.mailbox != _cases.c.mailbox)
    query = sa.select(_cases.c.id, _copies.c.mailbox).join(_arrivals, here).join(_copies, there).where(which)
    found: dict[int, tuple[str, ...]] = {}
    for row in connection.execute(query.order_by(_copies.c.mailbox)):
        found[row.id] = (*found.get(row.id, ()), row.mailbox)
    return found


def _case_query() -> sa.Select[Any]:
    counted = sa.select(sa.func.count()).where(_notes.c.case_id == _cases.c.id).scalar_subquery()
    draft = drafts.c.case_id == _cases.c.id
    has_text = sa.exists().where(draft, drafts.c.text != "")
    lies = sa.exists().where(draft, drafts.c.folder != "")
    return sa.select(*_PLAIN, counted.label("notes"), has_text.label("drafted"), lies.label("in_drafts"))
