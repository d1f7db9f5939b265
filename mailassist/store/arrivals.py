"""The arrivals table: each message that reached a team mailbox, and how far its answer has come.

A step is recorded before the next begins. A row is worked on under a lease with a fencing number; whoever lost it
changes nothing any more. One row of a case at a time is leased.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store import cases, drafts, joined
from mailassist.store import team_schema as schema
from mailassist.store.database import Store
from mailassist.store.dialect import among, is_postgres, put, serialise

_arrivals = schema.arrivals
_cases = schema.cases
_drafts = drafts.table
_copies = schema.arrival_copies
_looked = schema.looked
ANSWERED = "somebody of the team has answered"  # the reason of what ended so
TAKEN_OUT = "a colleague has taken it out of the inbox"  # the same; it may come back
JOINED = "a newer message has made one conversation of two"
ON_THE_WAY = ("unread", "seen", "triaged", "packed", "drafted", "withdrawing")
_NO_DRAFT_YET = ("seen", "triaged", "packed")
_WITH_DRAFT = ("drafted", "delivered", "missing")


class LeaseLost(StoreError):
    """Another worker has taken over this message; this one stopped."""


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """One arrival; the columns of store/team_schema.py."""

    id: int
    key: str
    mailbox: str
    message_id: str
    case_id: int | None
    sender: str
    received: float
    state: str
    reason: str
    backlog: bool
    attempts: int
    not_before: float
    error: str
    fence: int
    owner: str
    leased_until: float
    prompt_tokens: int
    prompt_hash: str
    prompt_version: str
    batch: str
    batched: bool
    created_at: float
    changed_at: float


TURN = (_arrivals.c.backlog, _arrivals.c.received.desc())  # in which order they are worked on
_COLUMNS = [_arrivals.c[field.name] for field in fields(ArrivalRow)]
# Made once: the steps of each message use them again and again.
_GET = sa.select(*_COLUMNS).where(_arrivals.c.id == sa.bindparam("number"))
_CASE = sa.select(_arrivals.c.case_id).where(_arrivals.c.id == sa.bindparam("number"))
_copy = (_copies.c.key == _arrivals.c.key) & (_copies.c.mailbox == sa.bindparam("this_mailbox"))
_STANDING = (
    sa.select(_arrivals.c.fence, _copies.c.folder, _copies.c.uidvalidity, _copies.c.uid)
    .select_from(_arrivals.outerjoin(_copies, _copy))
    .where(_arrivals.c.id == sa.bindparam("number"))
)
_FROM_SENDER = sa.select(sa.func.count()).where(
    _arrivals.c.mailbox == sa.bindparam("this_mailbox"),
    _arrivals.c.sender == sa.bindparam("this_sender"),
    _arrivals.c.received >= sa.bindparam("since"),
    _arrivals.c.state != "none",
)
_BY_KEY = sa.select(*_COLUMNS).where(_arrivals.c.key == sa.bindparam("this_key"))
_NEW = _arrivals.insert().returning(_arrivals.c.id)
_CHANGE = _arrivals.update().where(_arrivals.c.id == sa.bindparam("number"))
_ADVANCE = _arrivals.update().where(
    _arrivals.c.id == sa.bindparam("number"), _arrivals.c.fence == sa.bindparam("this_fence")
)
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
_busy = _arrivals.alias("busy")
_LEASE = (
    _arrivals.update()
    .where(
        _arrivals.c.id == sa.bindparam("number"),
        _arrivals.c.state.in_(ON_THE_WAY),
        _arrivals.c.not_before <= sa.bindparam("now"),
        _arrivals.c.batch == sa.bindparam("this_batch"),
        (_arrivals.c.owner == "") | (_arrivals.c.leased_until <= sa.bindparam("now")),
        sa.not_(
            sa.exists().where(
                _busy.c.case_id == _arrivals.c.case_id,
                _busy.c.id != _arrivals.c.id,
                _busy.c.owner != "",
                _busy.c.leased_until > sa.bindparam("now"),
            )
        ),
    )
    .values(owner=sa.bindparam("worker"), leased_until=sa.bindparam("until"), fence=_arrivals.c.fence + 1)
    .returning(*_COLUMNS)
)


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
    if known is not None and known.arrived > one.received and known.message_id != one.message_id:
        done = {"case_id": known.id, "state": "superseded", "reason": "a newer message was there already"}
        connection.execute(_CHANGE, {"number": number, **done})
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
    for other in joined.others(connection, mailbox, about.message_ids, case_id):
        _superseded(connection, other.id, joined.goes_on(connection, other, case_id, now, tell), now)
    return number


def _superseded(connection: sa.Connection, case_id: int, wholly: bool, now: float) -> None:
    """Nothing is drafted any more in a case whose conversation goes on in another; `wholly`: its draft goes, too."""
    states = (*ON_THE_WAY, "delivered", "missing", "person", "failed") if wholly else ON_THE_WAY
    mine = (_arrivals.c.case_id == case_id) & _arrivals.c.state.in_(states)
    ended = {"state": "superseded", "reason": JOINED, "changed_at": now, "owner": "", "fence": _arrivals.c.fence + 1}
    connection.execute(_arrivals.update().where(mine).values(**ended))
    if wholly and drafts.lies_in_mailbox(connection, case_id):
        _set_withdrawing(connection, _of_draft(connection, case_id), now, reason=JOINED)


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
        ids = _of_draft(connection, found.id)  # the draft is of a message that a newer one had superseded
    _set_withdrawing(connection, ids, now, reason=ANSWERED)
    return ids


def _elsewhere(connection: sa.Connection, mailbox: str, one: Answered) -> cases.CaseRow | None:
    """The case of what is answered, where another mailbox of the team works on that message, too."""
    copy = (_copies.c.key == _arrivals.c.key) & (_copies.c.mailbox == mailbox)
    named = _arrivals.c.message_id.in_(one.answers[-cases.MOST_IDS :]) & (_arrivals.c.mailbox != mailbox)
    query = sa.select(_arrivals.c.case_id).where(named, _arrivals.c.case_id.is_not(None), sa.exists().where(copy))
    number = connection.scalar(query.order_by(_arrivals.c.received.desc()).limit(1))
    return cases.read(connection, number) if number is not None else None


def _of_draft(connection: sa.Connection, case_id: int) -> list[int]:
    """The arrival that the case's draft answers, else the newest one of the case."""
    mine = _arrivals.c.case_id == case_id
    answered = sa.select(_drafts.c.answers).where(_drafts.c.case_id == case_id).scalar_subquery()
    newest = _arrivals.c.received.desc(), _arrivals.c.id.desc()
    query = sa.select(_arrivals.c.id).where(mine).order_by((_arrivals.c.message_id == answered).desc(), *newest)
    return list(connection.scalars(query.limit(1)))


def _set_withdrawing(connection: sa.Connection, ids: Sequence[int], now: float, **more: Any) -> None:
    again = {
        "state": "withdrawing", "attempts": 0, "not_before": now, "error": "", "changed_at": now,
        "owner": "", "leased_until": 0.0, "fence": _arrivals.c.fence + 1,
    }  # fmt: skip
    connection.execute(_arrivals.update().where(_arrivals.c.id.in_(ids)).values(**again | more))


def get(store: Store, arrival_id: int) -> ArrivalRow | None:
    """One arrival, or None."""
    with store.read() as connection:
        found = connection.execute(_GET, {"number": arrival_id}).first()
    return ArrivalRow(*found) if found else None


def standing(store: Store, arrival_id: int, mailbox: str) -> tuple[int, tuple[str, int, int] | None]:
    """The number of the row's last lease; folder, UIDVALIDITY and UID of the mailbox's copy of the message.

    Another number than one's own means that somebody else has the row, or that a look has ended it.
    """
    with store.read() as connection:
        found = connection.execute(_STANDING, {"number": arrival_id, "this_mailbox": mailbox}).first()
    if found is None:
        return 0, None
    return found.fence, (found.folder, found.uidvalidity, found.uid) if found.folder is not None else None


def is_due(now: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Whether a row can be worked on at `now` and is not leased."""
    return sa.and_(
        _arrivals.c.state.in_(ON_THE_WAY), _arrivals.c.not_before <= now, _arrivals.c.batch == "",
        _arrivals.c.leased_until <= now,
    )  # fmt: skip


_DUE = sa.select(*_COLUMNS).where(is_due(sa.bindparam("now"))).order_by(*TURN).limit(sa.bindparam("most"))


def due(store: Store, *, now: float, limit: int, mailboxes: Collection[str] | None = None) -> list[ArrivalRow]:
    """What can be worked on now and is not leased, new mail before the backlog, the newest first."""
    query = _DUE if mailboxes is None else _DUE.where(_arrivals.c.mailbox.in_(mailboxes))
    with store.read() as connection:
        return [ArrivalRow(*found) for found in connection.execute(query, {"now": now, "most": limit})]


def next_due(store: Store) -> float | None:
    """When the next row that waits can be worked on (seconds since 1970), None where none waits."""
    query = sa.select(sa.func.min(sa.func.coalesce(_arrivals.c.not_before, 0.0))).where(
        _arrivals.c.state.in_(ON_THE_WAY), _arrivals.c.batch == ""
    )
    with store.read() as connection:
        found = connection.scalar(query)
    return None if found is None else float(found)


def lease(
    store: Store, arrival_id: int, owner: str, *, now: float, seconds: float, batch: str = ""
) -> ArrivalRow | None:
    """Take a row that is due; None where it is not, or it or another of its case is being worked on.

    `batch`: the one that it waits in; nobody else takes it there.
    """
    with store.write() as connection:
        if is_postgres(connection):
            case_id = connection.scalar(_CASE, {"number": arrival_id})
            if case_id is not None:
                serialise(connection, "case", str(case_id))
        asked = {"number": arrival_id, "now": now, "worker": owner, "until": now + seconds, "this_batch": batch}
        leased = connection.execute(_LEASE, asked).first()
    return ArrivalRow(*leased) if leased else None


def advance(
    store: Store,
    row: ArrivalRow,
    *,
    now: float,
    case: Mapping[str, Any] | None = None,
    also: Callable[[sa.Connection], object] | None = None,
    **values: Any,
) -> ArrivalRow:
    """Record a step under the lease of `row`, its case and what belongs to it, in one transaction. Raises LeaseLost."""
    ends = values.get("state", row.state) not in ON_THE_WAY or values.get("not_before", 0.0) > now
    if ends:
        values |= {"owner": "", "leased_until": 0.0}
    with store.write() as connection:
        if row.case_id is not None:
            serialise(connection, "case", str(row.case_id))  # before the row: in this order everywhere
        changed = {"number": row.id, "this_fence": row.fence, "changed_at": now, **values}
        if connection.execute(_ADVANCE, changed).rowcount != 1:
            raise LeaseLost()
        if case and row.case_id is not None:
            cases.work_on(connection, row.case_id, now=now, **case)
        if also is not None:
            also(connection)
    return replace(row, changed_at=now, **values)


def end_case(store: Store, case_id: int, *, now: float, states: Collection[str], state: str, reason: str) -> None:
    """Arrivals of a case in `states`, and the case, come to an end that nobody worked for; neither, if there are none.

    A newer message, or an answer, may just have come.
    """
    mine = (_arrivals.c.case_id == case_id) & _arrivals.c.state.in_(states)
    ended = {"state": state, "reason": reason, "changed_at": now, "fence": _arrivals.c.fence + 1}
    with store.write() as connection:
        serialise(connection, "case", str(case_id))
        if connection.execute(_arrivals.update().where(mine).values(**ended)).rowcount:
            cases.work_on(connection, case_id, now=now, state=state, reason=reason)


def withdraw(store: Store, case_ids: Collection[int], *, now: float) -> list[int]:
    """The drafts of these cases are to leave the Drafts folder; the ids of the arrivals that will see to it.

    Where a message of the case is still on its way, its end decides what becomes of the draft.
    """
    found: list[int] = []
    for case_id in sorted(case_ids):
        at_work = (_arrivals.c.case_id == case_id) & _arrivals.c.state.in_(ON_THE_WAY)
        with store.write() as connection:
            serialise(connection, "case", str(case_id))
            if connection.scalar(sa.select(_arrivals.c.id).where(at_work).limit(1)) is None:
                ids = _of_draft(connection, case_id)
                _set_withdrawing(connection, ids, now)
                found += ids
    return found


def place_kept(store: Store, mailboxes: Collection[str], *, now: float) -> int:
    """Drafts that are only kept go into the Drafts folder after all; how many.

    They were written in a shadow run, or while the policy wanted the queue alone, or a person took the approval of
    one back. What somebody has in hand waits.
    """
    of_case = (_cases.c.id == _arrivals.c.case_id) & (_cases.c.message_id == _arrivals.c.message_id)
    idle = (_cases.c.state == "drafted") & (_cases.c.claimed_until <= now)
    kept = (_drafts.c.case_id == _cases.c.id) & (_drafts.c.answers == _cases.c.message_id)
    whole = (_drafts.c.state == "kept") & (_drafts.c.written_by == "model") & (_drafts.c.text != "")
    there = sa.exists().where(of_case, idle, kept, whole, sa.not_(drafts.in_mailbox()))
    mine = (_arrivals.c.state == "delivered") & there
    with store.read() as connection:
        found = sa.select(_arrivals.c.id).where(mine, among(connection, _arrivals.c.mailbox, mailboxes))
        ids = list(connection.scalars(found))
    if not ids:  # as nearly always: nothing is written
        return 0
    again = {"state": "drafted", "attempts": 0, "not_before": now, "error": "", "changed_at": now}
    with store.write() as connection:
        chosen = mine & among(connection, _arrivals.c.id, ids)
        return connection.execute(_arrivals.update().where(chosen).values(**again)).rowcount


def settle_answered(store: Store, mailboxes: Collection[str], *, now: float) -> int:
    """End the cases that an approval has left open when it was stopped, though somebody has answered; how many."""
    mine = (_arrivals.c.case_id == _cases.c.id) & (_arrivals.c.message_id == _cases.c.message_id)
    open_still = (_cases.c.state == "drafted") & sa.exists().where(mine, _arrivals.c.state == "answered")
    with store.read() as connection:
        found = sa.select(_cases.c.id).where(open_still, among(connection, _cases.c.mailbox, mailboxes))
        ids = list(connection.scalars(found))
    if not ids:
        return 0
    ended = {"state": "answered", "reason": ANSWERED, "changed_at": now}
    with store.write() as connection:
        chosen = open_still & among(connection, _cases.c.id, ids)
        return connection.execute(_cases.update().where(chosen).values(**ended)).rowcount


def of_case(store: Store, case_id: int) -> list[ArrivalRow]:
    """The arrivals of a case, oldest first."""
    query = sa.select(*_COLUMNS).where(_arrivals.c.case_id == case_id).order_by(_arrivals.c.received, _arrivals.c.id)
    with store.read() as connection:
        return [ArrivalRow(**found._mapping) for found in connection.execute(query)]


def release_dead(store: Store, alive: Callable[[str], bool], *, now: float) -> int:
    """Free the rows of workers that are gone (after a crash); how many."""
    query = sa.select(_arrivals.c.owner).where(_arrivals.c.owner != "").distinct()
    with store.write() as connection:
        gone = [owner for owner in connection.scalars(query) if not alive(owner)]
        if not gone:
            return 0
        free = {"owner": "", "leased_until": 0.0, "fence": _arrivals.c.fence + 1, "changed_at": now}
        return connection.execute(_arrivals.update().where(_arrivals.c.owner.in_(gone)).values(**free)).rowcount


def release(store: Store, arrival_ids: Collection[int], *, now: float, owner: str = "") -> int:
    """Free rows whose worker is known to be gone; how many. Should it live after all, the fence stops it.

    `owner`: only where it has them, or a thread of it (`owner:thread`).
    """
    mine = _arrivals.c.id.in_(arrival_ids) & (_arrivals.c.owner != "")
    if owner:
        mine &= (_arrivals.c.owner == owner) | _arrivals.c.owner.startswith(f"{owner}:", autoescape=True)
    free = {"owner": "", "leased_until": 0.0, "fence": _arrivals.c.fence + 1, "changed_at": now}
    with store.write() as connection:
        return connection.execute(_arrivals.update().where(mine).values(**free)).rowcount


def from_sender(store: Store, mailbox: str, sender: str, since: float) -> int:
    """How many messages of this sender were let through to a model since then."""
    asked = {"this_mailbox": mailbox, "this_sender": sender, "since": since}
    with store.read() as connection:
        return int(connection.scalar(_FROM_SENDER, asked) or 0)


def counted(store: Store) -> dict[tuple[str, str], int]:
    """How many arrivals there are, by mailbox and state."""
    query = sa.select(_arrivals.c.mailbox, _arrivals.c.state, sa.func.count()).group_by(
        _arrivals.c.mailbox, _arrivals.c.state
    )
    with store.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}
