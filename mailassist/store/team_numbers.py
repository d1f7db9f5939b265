"""Counts and ages of a team's work, by mailbox: for `status`, the metrics and the mail to people. Never any text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mailassist.store.arrivals import ON_THE_WAY
from mailassist.store.database import Store
from mailassist.store.schema import ledger
from mailassist.store.team_schema import arrivals, cases, feedback, model_use

WAITING = ("open", "drafted", "person", "missing", "failed")  # of cases: no answer is on its way
PEOPLES_TURN = ("drafted", "person", "missing", "failed")  # of those: nothing happens until a person does something


@dataclass(frozen=True, slots=True)
class Numbers:
    """One mailbox."""

    arrivals: Mapping[str, int] = field(default_factory=dict)  # by state
    cases: Mapping[str, int] = field(default_factory=dict)  # by state
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


def numbers(
    store: Store, mailboxes: Iterable[str], *, now: float, today: float, outcomes_since: float
) -> dict[str, Numbers]:
    """The numbers of each of `mailboxes`. `today`: when the day began, for calls; all in seconds since 1970."""
    with store.read() as connection:
        arrived = _by_state(connection, arrivals)
        in_hand = _by_state(connection, cases)
        oldest_arrival = _oldest(connection, arrivals, arrivals.c.received, ON_THE_WAY)
        oldest_case = _oldest(connection, cases, cases.c.arrived, PEOPLES_TURN)
        under_way = arrivals.c.state.in_(ON_THE_WAY)
        batched = _count(connection, arrivals, under_way & (arrivals.c.batch != ""))
        again = _count(connection, arrivals, under_way & (arrivals.c.attempts > 0))
        overdue = _count(connection, cases, cases.c.state.in_(WAITING) & (cases.c.due < now))
        outcomes = _grouped(connection, feedback, feedback.c.outcome, feedback.c.at >= outcomes_since)
        calls = _calls(connection, today)
    return {
        name: Numbers(
            arrived[name],
            in_hand[name],
            outcomes[name],
            in_batches=batched.get(name, 0),
            tried_again=again.get(name, 0),
            oldest_arrival=oldest_arrival.get(name),
            oldest_case=oldest_case.get(name),
            overdue=overdue.get(name, 0),
            **calls.get(name, {}),
        )
        for name in mailboxes
    }


def model_accounts(store: Store) -> list[ModelAccount]:
    """Every model account that was used."""
    query = sa.select(model_use.c.name, model_use.c.failures, model_use.c.not_before).order_by(model_use.c.name)
    with store.read() as connection:
        return [ModelAccount(**row._mapping) for row in connection.execute(query)]


def _by_state(connection: sa.Connection, table: sa.Table) -> dict[str, dict[str, int]]:
    return _grouped(connection, table, table.c.state, sa.true())


def _grouped(
    connection: sa.Connection, table: sa.Table, by: sa.Column[str], where: sa.ColumnElement[bool]
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    query = sa.select(table.c.mailbox, by, sa.func.count()).where(where).group_by(table.c.mailbox, by)
    for mailbox, value, count in connection.execute(query):
        found[mailbox][value] = count
    return found


def _oldest(
    connection: sa.Connection, table: sa.Table, moment: sa.Column[float], states: tuple[str, ...]
) -> dict[str, float]:
    query = sa.select(table.c.mailbox, sa.func.min(moment)).where(table.c.state.in_(states)).group_by(table.c.mailbox)
    return {row[0]: row[1] for row in connection.execute(query)}


def _count(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(table.c.mailbox, sa.func.count()).where(where).group_by(table.c.mailbox)
    return {row[0]: row[1] for row in connection.execute(query)}


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
