"""What waits for the provider's Batch API: arrivals with their prompts, and the batches that they are in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mailassist.store import ledger
from mailassist.store.database import Store
from mailassist.store.dialect import put, serialise
from mailassist.store.schema import facts
from mailassist.store.schema import ledger as ledger_table
from mailassist.store.team_schema import arrivals, batches, prompts

WAITING = "waiting"  # arrivals.batch of what is in no batch yet
STATE = "packed"  # the state in which an arrival waits
NEW = "new-"  # the id of a batch begins so until the provider's is known
_TURN = "batches"  # whose turn it is: a fact
OPEN = ("submitting", "submitted", "cancelling")


@dataclass(frozen=True, slots=True)
class Aside:
    """An arrival whose draft can wait, and what is to be asked for it."""

    arrival_id: int
    fence: int  # of the lease under which it is put aside
    body: str  # JSON of the request
    until: float  # when its prompt is deleted at the latest


@dataclass(frozen=True, slots=True)
class Member:
    """An arrival that waits."""

    arrival_id: int
    state: str
    since: float  # when it was put aside
    body: str
    model: str
    ledger_id: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One row of `batches`; see store/team_schema.py."""

    id: str
    key: str
    model: str
    state: str
    input_file: str
    output_file: str
    error_file: str
    files_deleted: bool
    created_at: float
    expires_at: float


def take_turn(store: Store, owner: str, *, now: float, seconds: float) -> bool:
    """Whether `owner` may work on the batches for so long: nobody else does. `seconds` 0: its turn is over."""
    with store.write() as connection:
        serialise(connection, _TURN)
        held = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _TURN))
        whose, until = json.loads(held) if held else ("", 0.0)
        if whose != owner and until > now:
            return False
        put(connection, facts, {"name": _TURN, "value": json.dumps([owner, now + seconds]).encode()})
        return True


def put_aside(
    store: Store,
    item: Aside,
    call: ledger.Call,
    bound: ledger.Spent,
    *,
    now: float,
    daily_budget: float | None,
    account_budget: float | None,
    day: float,
) -> bool:
    """Reserve the cost, keep the prompt and end the lease, all or nothing; False where the lease was lost.

    Budgets and `day` as in `ledger.reserve`, which may raise BudgetReached.
    """
    with store.write() as connection:
        mine = (arrivals.c.id == item.arrival_id) & (arrivals.c.fence == item.fence) & (arrivals.c.batch == "")
        values = {"batch": WAITING, "batched": True, "owner": "", "leased_until": 0.0, "changed_at": now}
        if connection.execute(arrivals.update().where(mine, arrivals.c.state == STATE).values(values)).rowcount != 1:
            return False
        number = ledger.reserve_in(
            connection, call, bound, now=now, daily_budget=daily_budget, account_budget=account_budget, day=day
        )
        connection.execute(prompts.delete().where(prompts.c.arrival_id == item.arrival_id))
        row = {"arrival_id": item.arrival_id, "body": item.body, "until": item.until, "ledger_id": number}
        connection.execute(prompts.insert().values(row))
        return True


def waiting(store: Store, *, most: int) -> list[Member]:
    """At most `most` arrivals that are in no batch yet, the longest waiting first."""
    return _members(store, WAITING, most)


def members(store: Store, batch: str) -> list[Member]:
    """The arrivals that wait in `batch`."""
    return _members(store, batch, None)


def begin(store: Store, key: str, model: str, arrival_ids: Sequence[int], *, now: float) -> list[int]:
    """Record a batch that is about to be submitted, with those of the arrivals that still wait; these."""
    batch = f"{NEW}{key}"
    with store.write() as connection:
        free = arrivals.c.id.in_(arrival_ids) & (arrivals.c.batch == WAITING)
        connection.execute(arrivals.update().where(free).values(batch=batch))
        taken = list(connection.scalars(sa.select(arrivals.c.id).where(arrivals.c.batch == batch)))
        if taken:
            row = {"id": batch, "key": key, "model": model, "state": "submitting", "created_at": now}
            connection.execute(batches.insert().values(**row, expires_at=now))
        return taken


def submitted(store: Store, batch: Batch, number: str, input_file: str, *, now: float, expires_at: float) -> None:
    """Record that the provider has `batch`, as `number`."""
    values = {"id": number, "state": "submitted", "input_file": input_file}
    with store.write() as connection:
        times = {"created_at": now, "expires_at": expires_at}
        connection.execute(batches.update().where(batches.c.id == batch.id).values(**values, **times))
        connection.execute(arrivals.update().where(arrivals.c.batch == batch.id).values(batch=number))


def change(store: Store, batch: str, **values: object) -> None:
    """Set columns of a batch."""
    with store.write() as connection:
        connection.execute(batches.update().where(batches.c.id == batch).values(**values))


def unfinished(store: Store) -> list[Batch]:
    """The batches that are at work, or whose files are still at the provider, oldest first."""
    wanted = batches.c.state.in_(OPEN) | ~batches.c.files_deleted
    with store.read() as connection:
        rows = connection.execute(sa.select(batches).where(wanted).order_by(batches.c.created_at))
        return [Batch(**row._mapping) for row in rows]


def idle(store: Store) -> bool:
    """Whether nothing waits and no batch is at work or has files at the provider."""
    return not waiting(store, most=1) and not unfinished(store)


def has_forgotten(store: Store, batch: str) -> bool:
    """Whether `batch` holds a prompt that was deleted here meanwhile, since a person was forgotten."""
    joined = arrivals.outerjoin(prompts, prompts.c.arrival_id == arrivals.c.id)
    lacking = sa.select(arrivals.c.id).select_from(joined).where(arrivals.c.batch == batch, prompts.c.body.is_(None))
    with store.read() as connection:
        return connection.scalar(lacking.limit(1)) is not None


def release(store: Store, member: Member, spent: ledger.Spent | None, *, now: float, keep: bool, failed: bool) -> None:
    """The arrival no longer waits: settle its call, forget its prompt, and let the queue go on with it.

    `spent` None: what the call cost is not known, and its upper bound stays; `keep`: its prompt stays, too.
    """
    prompt = prompts.c.arrival_id == member.arrival_id
    with store.write() as connection:
        if member.ledger_id is not None and spent is not None:
            ledger.settle_in(connection, member.ledger_id, spent, failed=failed)
        if keep:
            connection.execute(prompts.update().where(prompt).values(ledger_id=None))
        else:
            connection.execute(prompts.delete().where(prompt))
        values = {"batch": "", "changed_at": now}
        connection.execute(arrivals.update().where(arrivals.c.id == member.arrival_id).values(**values))


def _members(store: Store, batch: str, most: int | None) -> list[Member]:
    joined = arrivals.outerjoin(prompts, prompts.c.arrival_id == arrivals.c.id).outerjoin(
        ledger_table, ledger_table.c.id == prompts.c.ledger_id
    )
    chosen = (
        sa.select(
            arrivals.c.id,
            arrivals.c.state,
            arrivals.c.changed_at,
            sa.func.coalesce(prompts.c.body, ""),
            sa.func.coalesce(ledger_table.c.model, ""),
            prompts.c.ledger_id,
        )
        .select_from(joined)
        .where(arrivals.c.batch == batch)
        .order_by(arrivals.c.changed_at, arrivals.c.id)
    )
    with store.read() as connection:
        return [Member(*row) for row in connection.execute(chosen if most is None else chosen.limit(most))]
