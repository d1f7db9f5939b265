"""Counts and ages of a team's work, by mailbox: for `status`, the metrics and the mail to people. No text of mail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mailassist.store.arrivals import ON_THE_WAY
from mailassist.store.database import Store
from mailassist.store.schema import ledger
from mailassist.store.team_schema import approvals, arrival_copies, arrivals, cases, feedback, model_use

WAITING = ("open", "drafted", "person", "missing", "failed")  # of cases: no answer is on its way
PEOPLES_TURN = ("drafted", "person", "missing", "failed")  # of those: nothing happens until a person does something


@dataclass(frozen=True, slots=True)
class Numbers:
    """One mailbox."""

    arrivals: Mapping[str, int] = field(default_factory=dict)  # on their way or failed, by state
    cases: Mapping[str, int] = field(default_factory=dict)  # waiting, or with an approved reply, by state
    outcomes: Mapping[str, int] = field(default_factory=dict)  # of drafts, since the moment that was asked for
    in_batches: int = 0  # of the arrivals on their way, those that wait for the provider's Batch API
    tried_again: int = 0  # of them, those whose present step has failed before
    oldest_arrival: float | None = None  # when the oldest on its way came (seconds since 1970)
    oldest_case: float | None = None  # when the oldest came that waits for a person
    overdue: int = 0  # waiting cases past their reply target
    calls: int = 0  # to models, today
    failed_calls: int = 0
    cost: float = 0.0  # US dollars, today

    @property
    def backlog(self) -> int:
        """Arrivals that the daemon has still to work on."""
        return sum(self.arrivals.get(state, 0) for state in ON_THE_WAY)

    @property
    def peoples_turn(self) -> int:
        """Cases that wait for a person."""
        return sum(self.cases.get(state, 0) for state in PEOPLES_TURN)


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """One account of a model, as all processes together use it."""

    name: str
    failures: int  # in a row
    not_before: float  # when it may be asked again (seconds since 1970)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An approved reply of which nobody knows whether it was sent: its case waits until a person says so."""

    case_id: int
    who: str  # approved it
    since: float  # the last that was heard of it (seconds since 1970)


def numbers(
    store: Store, mailboxes: Iterable[str], *, now: float, today: float, outcomes_since: float
) -> dict[str, Numbers]:
    """The numbers of each of `mailboxes`. `today`: when the day began, for calls; all in seconds since 1970."""
    with store.read() as connection:
        arrived = _by_mailbox(connection, _arrivals())
        in_hand = _by_mailbox(connection, _cases(now))
        outcomes = _by_mailbox(connection, _outcomes(outcomes_since))
        calls = _calls(connection, today)
    return {
        name: Numbers(
            {row.state: row.number for row in arrived[name]},
            {row.state: row.number for row in in_hand[name]},
            {row.outcome: row.number for row in outcomes[name]},
            in_batches=sum(row.batched for row in arrived[name]),
            tried_again=sum(row.again for row in arrived[name]),
            oldest_arrival=_oldest(arrived[name], ON_THE_WAY),
            oldest_case=_oldest(in_hand[name], PEOPLES_TURN),
            overdue=sum(row.overdue for row in in_hand[name]),
            **calls.get(name, {}),
        )
        for name in mailboxes
    }


def troubles(store: Store) -> dict[str, str]:
    """By mailbox, why what is on its way does not come forward: the newest reason, as it was recorded for one row."""
    table = arrivals
    tried = table.c.state.in_(ON_THE_WAY) & (table.c.attempts > 0) & (table.c.error != "")
    query = sa.select(table.c.mailbox, table.c.error).where(tried).order_by(table.c.changed_at)
    with store.read() as connection:
        return {row.mailbox: row.error for row in connection.execute(query)}


def elsewhere(store: Store) -> dict[str, dict[str, int]]:
    """By mailbox, how many waiting conversations came there and are answered from another mailbox, by that one."""
    copies = arrival_copies
    query = (
        sa.select(copies.c.mailbox, cases.c.mailbox.label("worked_on_in"), sa.func.count().label("number"))
        .join(arrivals, (arrivals.c.key == copies.c.key) & (arrivals.c.mailbox != copies.c.mailbox))
        .join(cases, (cases.c.id == arrivals.c.case_id) & (cases.c.message_id == arrivals.c.message_id))
        .where(cases.c.state.in_((*WAITING, "approved")))
        .group_by(copies.c.mailbox, cases.c.mailbox)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with store.read() as connection:
        for row in connection.execute(query):
            found[row.mailbox][row.worked_on_in] = row.number
    return found


def unsettled(store: Store) -> dict[str, list[Unsettled]]:
    """By mailbox, the approved replies that a person has to settle, the oldest first."""
    query = (
        sa.select(cases.c.mailbox, approvals.c.case_id, approvals.c.who, approvals.c.changed_at)
        .join(cases, approvals.c.case_id == cases.c.id)
        .where(approvals.c.open == 1, approvals.c.state == "unknown")
        .order_by(approvals.c.id)
    )
    found: dict[str, list[Unsettled]] = defaultdict(list)
    with store.read() as connection:
        for row in connection.execute(query):
            found[row.mailbox].append(Unsettled(row.case_id, row.who, row.changed_at))
    return found


def model_accounts(store: Store) -> list[ModelAccount]:
    """Every model account that was used."""
    query = sa.select(model_use.c.name, model_use.c.failures, model_use.c.not_before).order_by(model_use.c.name)
    with store.read() as connection:
        return [ModelAccount(**row._mapping) for row in connection.execute(query)]


# Only what is not through yet is looked at, by the indexes on `state`: what is through grows with the years.


def _arrivals() -> sa.Select[Any]:
    table = arrivals
    under_way = table.c.state != "failed"
    return (
        sa.select(
            table.c.mailbox,
            table.c.state,
            sa.func.count().label("number"),
            sa.func.min(table.c.received).label("oldest"),
            _sum(under_way & (table.c.batch != "")).label("batched"),
            _sum(under_way & (table.c.attempts > 0)).label("again"),
        )
        .where(table.c.state.in_((*ON_THE_WAY, "failed")))
        .group_by(table.c.mailbox, table.c.state)
    )


def _cases(now: float) -> sa.Select[Any]:
    table = cases
    late = table.c.state.in_(WAITING) & table.c.due.is_not(None) & (table.c.due < now)
    return (
        sa.select(
            table.c.mailbox,
            table.c.state,
            sa.func.count().label("number"),
            sa.func.min(table.c.arrived).label("oldest"),
            _sum(late).label("overdue"),
        )
        .where(table.c.state.in_((*WAITING, "approved")))
        .group_by(table.c.mailbox, table.c.state)
    )


def _outcomes(since: float) -> sa.Select[Any]:
    names = feedback.c.mailbox, feedback.c.outcome
    return sa.select(*names, sa.func.count().label("number")).where(feedback.c.at >= since).group_by(*names)


def _sum(where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((where, 1), else_=0))


def _by_mailbox(connection: sa.Connection, query: sa.Select[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.mailbox].append(row)
    return found


def _oldest(found: Iterable[Any], states: tuple[str, ...]) -> float | None:
    return min((row.oldest for row in found if row.state in states), default=None)


def _calls(connection: sa.Connection, today: float) -> dict[str, dict[str, Any]]:
    failed = sa.func.sum(sa.case((ledger.c.state == "failed", 1), else_=0))
    query = (
        sa.select(ledger.c.account, sa.func.count(), failed, sa.func.sum(ledger.c.cost))
        .where(ledger.c.at >= today)
        .group_by(ledger.c.account)
    )
    return {
        account: {"calls": calls, "failed_calls": int(failures or 0), "cost": float(cost or 0.0)}
        for account, calls, failures, cost in connection.execute(query)
    }
