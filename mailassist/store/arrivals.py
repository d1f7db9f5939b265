"""The arrivals table: each message that reached a team mailbox, and how far its answer has come.

A step is recorded before the next begins. A row is worked on under a lease with a fencing number; whoever lost it
changes nothing any more. One row of a case at a time is leased.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store import cases, drafts
from mailassist.store import team_schema as schema
from mailassist.store.database import Store
from mailassist.store.dialect import among, is_postgres, serialise
from mailassist.store.statement import Statement

_arrivals = schema.arrivals
_cases = schema.cases
_drafts = drafts.table
_copies = schema.arrival_copies
ANSWERED = "somebody of the team has answered"  # the reason of what ended so
TAKEN_OUT = "a colleague has taken it out of the inbox"  # the same; it may come back
JOINED = "a newer message has made one conversation of two"
ON_THE_WAY = ("unread", "seen", "triaged", "packed", "drafted", "withdrawing")


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


@dataclass(frozen=True, slots=True)
class Outlook:
    """What speaks against a draft."""

    paused: str = ""  # why no drafts are made for the mailbox
    case: str = ""  # the state of its case


TURN = (_arrivals.c.backlog, _arrivals.c.received.desc())  # in which order they are worked on
COLUMNS = [_arrivals.c[field.name] for field in fields(ArrivalRow)]
# Made once: the steps of each message use them again and again.
_GET = Statement(sa.select(*COLUMNS).where(_arrivals.c.id == sa.bindparam("number")))
_CASE = sa.select(_arrivals.c.case_id).where(_arrivals.c.id == sa.bindparam("number"))
_copy = (_copies.c.key == _arrivals.c.key) & (_copies.c.mailbox == sa.bindparam("this_mailbox"))
_STANDING = Statement(
    sa.select(_arrivals.c.fence, _copies.c.folder, _copies.c.uidvalidity, _copies.c.uid)
    .select_from(_arrivals.outerjoin(_copies, _copy))
    .where(_arrivals.c.id == sa.bindparam("number"))
)
_OUTLOOK = Statement(
    sa.select(schema.mailboxes.c.paused, _cases.c.state)
    .select_from(
        _arrivals.outerjoin(schema.mailboxes, schema.mailboxes.c.mailbox == _arrivals.c.mailbox).outerjoin(
            _cases, _cases.c.id == _arrivals.c.case_id
        )
    )
    .where(_arrivals.c.id == sa.bindparam("number"))
)
_FROM_SENDER = Statement(
    sa.select(sa.func.count()).where(
        _arrivals.c.mailbox == sa.bindparam("this_mailbox"),
        _arrivals.c.sender == sa.bindparam("this_sender"),
        _arrivals.c.received >= sa.bindparam("since"),
        _arrivals.c.state != "none",
    )
)
_ADVANCE = Statement(
    _arrivals.update().where(_arrivals.c.id == sa.bindparam("number"), _arrivals.c.fence == sa.bindparam("this_fence"))
)
_busy = _arrivals.alias("busy")
_LEASE = Statement(
    _arrivals.update()
    .where(
        _arrivals.c.id == sa.bindparam("number"),
        sa.or_(*(_arrivals.c.state == state for state in ON_THE_WAY)),
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
    .returning(*COLUMNS)
)


def of_draft(connection: sa.Connection, case_id: int) -> list[int]:
    """The arrival that the case's draft answers, else the newest one of the case."""
    mine = _arrivals.c.case_id == case_id
    answered = sa.select(_drafts.c.answers).where(_drafts.c.case_id == case_id).scalar_subquery()
    newest = _arrivals.c.received.desc(), _arrivals.c.id.desc()
    query = sa.select(_arrivals.c.id).where(mine).order_by((_arrivals.c.message_id == answered).desc(), *newest)
    return list(connection.scalars(query.limit(1)))


def set_withdrawing(connection: sa.Connection, ids: Sequence[int], now: float, **more: Any) -> None:
    """From now on these rows wait for our draft to be taken out of the Drafts folder; `more`: other columns."""
    again = {
        "state": "withdrawing", "attempts": 0, "not_before": now, "error": "", "changed_at": now,
        "owner": "", "leased_until": 0.0, "fence": _arrivals.c.fence + 1,
    }  # fmt: skip
    connection.execute(_arrivals.update().where(_arrivals.c.id.in_(ids)).values(**again | more))


def get(store: Store, arrival_id: int) -> ArrivalRow | None:
    """One arrival, or None."""
    with store.read() as connection:
        found = _GET.first(connection, {"number": arrival_id})
    return ArrivalRow(*found) if found else None


def standing(store: Store, arrival_id: int, mailbox: str) -> tuple[int, tuple[str, int, int] | None]:
    """The number of the row's last lease; folder, UIDVALIDITY and UID of the mailbox's copy of the message.

    Another number than one's own means that somebody else has the row, or that a look has ended it.
    """
    with store.read() as connection:
        found = _STANDING.first(connection, {"number": arrival_id, "this_mailbox": mailbox})
    if found is None:
        return 0, None
    fence, folder, uidvalidity, uid = found
    return fence, (folder, uidvalidity, uid) if folder is not None else None


def outlook(connection: sa.Connection, arrival_id: int) -> Outlook:
    """Whether a draft is wanted for an arrival, in the caller's transaction."""
    found = _OUTLOOK.first(connection, {"number": arrival_id})
    return Outlook(found[0] or "", found[1] or "") if found else Outlook()


def is_due(now: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Whether a row can be worked on at `now` and is not leased."""
    return sa.and_(
        _arrivals.c.state.in_(ON_THE_WAY), _arrivals.c.not_before <= now, _arrivals.c.batch == "",
        _arrivals.c.leased_until <= now,
    )  # fmt: skip


_DUE = sa.select(*COLUMNS).where(is_due(sa.bindparam("now"))).order_by(*TURN).limit(sa.bindparam("most"))


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
    store: Store,
    arrival_id: int,
    owner: str,
    *,
    now: float,
    seconds: float,
    batch: str = "",
    also: Callable[[sa.Connection], object] = lambda connection: None,
) -> ArrivalRow | None:
    """Take a row that is due; None where it is not, or it or another of its case is being worked on.

    `batch`: the one that it waits in; nobody else takes it there. `also`: read in the same transaction.
    """
    with store.write() as connection:
        if is_postgres(connection):
            case_id = connection.scalar(_CASE, {"number": arrival_id})
            if case_id is not None:
                serialise(connection, "case", str(case_id))
        asked = {"number": arrival_id, "now": now, "worker": owner, "until": now + seconds, "this_batch": batch}
        leased = _LEASE.first(connection, asked)
        also(connection)
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
        if _ADVANCE.change(connection, changed) != 1:
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
                ids = of_draft(connection, case_id)
                set_withdrawing(connection, ids, now)
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
    again = {"state": "drafted", "attempts": 0, "not_before": now, "error": "", "changed_at": now}
    return change_where(store, _arrivals, mine, mailboxes, again)


def settle_answered(store: Store, mailboxes: Collection[str], *, now: float) -> int:
    """End the cases that an approval has left open when it was stopped, though somebody has answered; how many."""
    mine = (_arrivals.c.case_id == _cases.c.id) & (_arrivals.c.message_id == _cases.c.message_id)
    open_still = (_cases.c.state == "drafted") & sa.exists().where(mine, _arrivals.c.state == "answered")
    ended = {"state": "answered", "reason": ANSWERED, "changed_at": now}
    return change_where(store, _cases, open_still, mailboxes, ended)


def change_where(
    store: Store,
    table: sa.Table,
    wanted: sa.ColumnElement[bool],
    mailboxes: Collection[str],
    values: Mapping[str, Any],
) -> int:
    """Change the arrivals or cases of these mailboxes that are `wanted`; how many.

    Looked for first, and again in the transaction that writes: nearly always there is none, and nothing is locked.
    """
    with store.read() as connection:
        found = sa.select(table.c.id).where(wanted, among(connection, table.c.mailbox, mailboxes))
        ids = list(connection.scalars(found))
    if not ids:
        return 0
    with store.write() as connection:
        chosen = wanted & among(connection, table.c.id, ids)
        return connection.execute(table.update().where(chosen).values(**values)).rowcount


def of_case(store: Store, case_id: int) -> list[ArrivalRow]:
    """The arrivals of a case, oldest first."""
    query = sa.select(*COLUMNS).where(_arrivals.c.case_id == case_id).order_by(_arrivals.c.received, _arrivals.c.id)
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
        return int(_FROM_SENDER.scalar(connection, asked) or 0)


def counted(store: Store) -> dict[tuple[str, str], int]:
    """How many arrivals there are, by mailbox and state."""
    query = sa.select(_arrivals.c.mailbox, _arrivals.c.state, sa.func.count()).group_by(
        _arrivals.c.mailbox, _arrivals.c.state
    )
    with store.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}
