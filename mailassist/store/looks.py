"""What a look at a mailbox found, taken in: messages that need a reply with their cases, and what our own messages end.

How far a look went is recorded with what it found, in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from mailassist.store import cases, drafts, joined
from mailassist.store import team_schema as schema
from mailassist.store.arrivals import ANSWERED, COLUMNS, JOINED, ON_THE_WAY, TAKEN_OUT, of_draft, set_withdrawing
from mailassist.store.database import Store
from mailassist.store.dialect import put, serialise

_arrivals = schema.arrivals
_copies = schema.arrival_copies
_looked = schema.looked
_NO_DRAFT_YET = ("seen", "triaged", "packed")
_WITH_DRAFT = ("drafted", "delivered", "missing")
_BY_KEY = sa.select(*COLUMNS).where(_arrivals.c.key == sa.bindparam("this_key"))
_NEW = _arrivals.insert().returning(_arrivals.c.id)
_CHANGE = _arrivals.update().where(_arrivals.c.id == sa.bindparam("number"))
_SUPERSEDE = (
    _arrivals.update()
    .where(
        _arrivals.c.case_id == sa.bindparam("this_case"),
        _arrivals.c.id != sa.bindparam("number"),
        _arrivals.c.state.in_((*ON_THE_WAY, "delivered", "missing", "person")),
    )
    .values(
        state="superseded", reason="a newer message came", owner="", changed_at=sa.bindparam("now"),
        fence=_arrivals.c.fence + 1,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    """How far a folder was looked through: from `lowest` up to `uid`; below it what is still to come is read later."""

    uidvalidity: int
    uid: int
    lowest: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message from the other side that a look has found."""

    key: str
    message_id: str
    folder: str
    uidvalidity: int
    uid: int
    sender: str
    received: float
    reason: str = ""  # why no reply is needed, where the headers say so
    person: str = ""  # why a person is wanted at once
    state: str = "seen"  # or "unread": the server does not give its headers
    backlog: bool = False
    not_before: float = 0.0
    about: cases.About | None = None  # None only with a reason


@dataclass(frozen=True, slots=True)
class Answered:
    """A message of ours that a look has found."""

    message_id: str
    at: float
    about: cases.About
    answers: tuple[str, ...] = ()  # In-Reply-To and References: what was there when it was written, whatever clocks say


def positions(store: Store, mailbox: str) -> dict[str, Position]:
    """How far each folder was looked through."""
    query = sa.select(_looked).where(_looked.c.mailbox == mailbox)
    with store.read() as connection:
        return {row.folder: Position(row.uidvalidity, row.uid, row.lowest) for row in connection.execute(query)}


def take_in(
    store: Store,
    mailbox: str,
    found: Sequence[Arrived | Answered],
    reached: Mapping[str, Position],
    *,
    now: float,
    outranks: Callable[[str], bool] = lambda other: False,
    tell: Callable[[sa.Connection, int, str], object] = lambda *_: None,
) -> list[int]:
    """Record what a look found, oldest first, with how far it went, in one transaction; the ids to be worked on.

    A message that came to another team mailbox, too, is one arrival: of the mailbox that `outranks` the other, until
    work on it has begun. `tell` is called, in the transaction, with a case that goes straight to a person, and why.
    """
    fresh: list[int] = []
    with store.write() as connection:
        if found:
            serialise(connection, "arrivals")  # the same message may come to two mailboxes at once
        for one in found:
            if isinstance(one, Answered):
                fresh += _answered(connection, mailbox, one, now)
                continue
            made = _arrived(connection, mailbox, one, now, outranks, tell)
            if made is not None:
                fresh.append(made)
        for folder, position in reached.items():
            put(connection, _looked, {"mailbox": mailbox, "folder": folder, **asdict(position)})
    return fresh


def _arrived(
    connection: sa.Connection,
    mailbox: str,
    one: Arrived,
    now: float,
    outranks: Callable[[str], bool],
    tell: Callable[[sa.Connection, int, str], object],
) -> int | None:
    place = {"folder": one.folder, "uidvalidity": one.uidvalidity, "uid": one.uid}
    put(connection, _copies, {"key": one.key, "mailbox": mailbox, **place})
    held = connection.execute(_BY_KEY, {"this_key": one.key}).first()
    values: dict[str, Any] = {
        "mailbox": mailbox, "message_id": one.message_id, "sender": one.sender, "received": one.received,
        "reason": one.reason, "backlog": one.backlog, "not_before": one.not_before, "changed_at": now,
    }  # fmt: skip
    if held is None:
        values |= {"key": one.key, "state": "none" if one.reason else one.state, "created_at": now}
        number = int(connection.execute(_NEW, values).scalar_one())
    elif held.mailbox != mailbox and _is_to_move(connection, mailbox, one, held, outranks):
        number = held.id
        free = (_arrivals.c.id == number) & (_arrivals.c.state == held.state) & (_arrivals.c.owner == "")
        taken = _arrivals.update().where(free).values(**values, state="seen", case_id=None)
        if connection.execute(taken).rowcount != 1:
            return None  # work on it has begun just now
        if held.case_id is not None:
            reason = "it is answered from another mailbox of the team"
            cases.change(connection, held.case_id, now=now, state="none", reason=reason)
    elif held.mailbox == mailbox and not one.reason and _is_back(connection, held):
        number = held.id
        again = {**values, "state": "seen", "attempts": 0, "error": "", "fence": _arrivals.c.fence + 1}
        connection.execute(_arrivals.update().where(_arrivals.c.id == number).values(**again))
    else:
        return None
    if one.about is None or one.reason:
        return None
    return _into_case(connection, mailbox, one, one.about, number, now, tell)


def _into_case(
    connection: sa.Connection,
    mailbox: str,
    one: Arrived,
    about: cases.About,
    number: int,
    now: float,
    tell: Callable[[sa.Connection, int, str], object],
) -> int | None:
    known = cases.of_conversation(connection, mailbox, about.conversation, about.message_ids)
    same = joined.others(connection, mailbox, about.message_ids, known.id) if known is not None else []
    newest = max([known, *same], key=lambda case: case.arrived) if known is not None else None
    if newest is not None and newest.arrived > one.received and newest.message_id != one.message_id:
        done = {"case_id": newest.id, "state": "superseded", "reason": "a newer message was there already"}
        connection.execute(_CHANGE, {"number": number, **done})
        rest = joined.others(connection, mailbox, about.message_ids, newest.id)
        _join(connection, rest, newest.id, now, tell)
        return None
    if known is not None:
        serialise(connection, "case", str(known.id))
        known = cases.read(connection, known.id)  # as it is now that nobody else changes it
    case_id = cases.open_anew(connection, mailbox, known, about, one.message_id, one.received, now)
    if one.person:
        done = {"case_id": case_id, "state": "person", "reason": one.person}
        connection.execute(_CHANGE, {"number": number, **done})
        cases.change(connection, case_id, now=now, state="person", reason=one.person)
        tell(connection, case_id, one.person)
        return None
    if known is not None:
        connection.execute(_SUPERSEDE, {"number": number, "this_case": case_id, "now": now})
    connection.execute(_CHANGE, {"number": number, "case_id": case_id})
    _join(connection, same, case_id, now, tell)
    return number


def _join(
    connection: sa.Connection,
    same: Sequence[cases.CaseRow],
    case_id: int,
    now: float,
    tell: Callable[[sa.Connection, int, str], object],
) -> None:
    """The conversation of the cases `same` goes on in `case_id`."""
    for other in same:
        _superseded(connection, other.id, joined.goes_on(connection, other, case_id, now, tell), now)


def _superseded(connection: sa.Connection, case_id: int, wholly: bool, now: float) -> None:
    """Nothing is drafted any more in a case whose conversation goes on in another; `wholly`: its draft goes, too."""
    states = (*ON_THE_WAY, "delivered", "missing", "person", "failed") if wholly else ON_THE_WAY
    mine = (_arrivals.c.case_id == case_id) & _arrivals.c.state.in_(states)
    ended = {"state": "superseded", "reason": JOINED, "changed_at": now, "owner": "", "fence": _arrivals.c.fence + 1}
    connection.execute(_arrivals.update().where(mine).values(**ended))
    if wholly and drafts.lies_in_mailbox(connection, case_id):
        set_withdrawing(connection, of_draft(connection, case_id), now, reason=JOINED)


def _is_to_move(
    connection: sa.Connection, mailbox: str, one: Arrived, held: sa.Row[Any], outranks: Callable[[str], bool]
) -> bool:
    """Whether a message that another mailbox has is to be this one's: before work on it has begun.

    Where one of both knows the conversation already, it is that one's; else the one that outranks the other has it.
    """
    if one.reason or held.owner:
        return False
    if held.state == "none" and held.case_id is None:
        return True  # by the other's policy nobody answers it; by this one's, somebody
    if held.state != "seen":
        return False
    earlier = (_arrivals.c.case_id == held.case_id) & (_arrivals.c.id != held.id)
    if connection.scalar(sa.select(_arrivals.c.id).where(earlier).limit(1)) is not None:
        return False
    about = one.about
    known = cases.of_conversation(connection, mailbox, about.conversation, about.message_ids) if about else None
    return known is not None or outranks(held.mailbox)


def _is_back(connection: sa.Connection, held: sa.Row[Any]) -> bool:
    """Whether a message had left the inbox before it was drafted, and nothing has happened to its case since."""
    if (held.state, held.reason) != ("none", TAKEN_OUT):
        return False
    case = cases.read(connection, held.case_id)
    return case is not None and (case.state, case.reason, case.message_id) == ("none", TAKEN_OUT, held.message_id)


def _answered(connection: sa.Connection, mailbox: str, one: Answered, now: float) -> list[int]:
    """What our own message ends; the ids of arrivals whose draft is to be withdrawn."""
    found = cases.of_conversation(connection, mailbox, one.about.conversation, one.about.message_ids)
    if found is None:
        found = _elsewhere(connection, mailbox, one)
    if found is None:
        return []
    same = joined.others(connection, mailbox, one.about.message_ids, found.id)
    return [ended for case in (found, *same) for ended in _case_answered(connection, case, one, now)]


def _case_answered(connection: sa.Connection, found: cases.CaseRow, one: Answered, now: float) -> list[int]:
    if found.arrived > one.at and found.message_id not in one.answers:
        return []
    serialise(connection, "case", str(found.id))
    cases.answered_by(connection, found, ANSWERED, now)
    mine = _arrivals.c.case_id == found.id
    ended = {"changed_at": now, "owner": "", "reason": ANSWERED, "fence": _arrivals.c.fence + 1}
    waiting = mine & _arrivals.c.state.in_((*_NO_DRAFT_YET, "person"))
    connection.execute(_arrivals.update().where(waiting).values(state="answered", **ended))
    drafted = mine & _arrivals.c.state.in_((*_WITH_DRAFT, "theirs"))  # what they made of it is in what they sent
    ids = list(connection.scalars(sa.select(_arrivals.c.id).where(drafted)))
    if not ids and drafts.lies_in_mailbox(connection, found.id):
        ids = of_draft(connection, found.id)  # the draft is of a message that a newer one had superseded
    set_withdrawing(connection, ids, now, reason=ANSWERED)
    return ids


def _elsewhere(connection: sa.Connection, mailbox: str, one: Answered) -> cases.CaseRow | None:
    """The case of what is answered, where another mailbox of the team works on that message, too."""
    copy = (_copies.c.key == _arrivals.c.key) & (_copies.c.mailbox == mailbox)
    named = _arrivals.c.message_id.in_(one.answers[-cases.MOST_IDS :]) & (_arrivals.c.mailbox != mailbox)
    query = sa.select(_arrivals.c.case_id).where(named, _arrivals.c.case_id.is_not(None), sa.exists().where(copy))
    number = connection.scalar(query.order_by(_arrivals.c.received.desc()).limit(1))
    return cases.read(connection, number) if number is not None else None
