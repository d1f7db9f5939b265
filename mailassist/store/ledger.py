"""The ledger: every call to a model, what it cost, and what left this machine. Never any text.

A call is one request to a server: one that is tried again is two calls.

A row is committed as "reserved", with the most that the call can cost, before anything is sent, and settled after; a
call that crashed stays visible as reserved and counts with its upper bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from ipaddress import ip_address
from urllib.parse import urlsplit

import sqlalchemy as sa

from mailassist.errors import BudgetReached, StoreError
from mailassist.store.database import Store
from mailassist.store.dialect import serialise
from mailassist.store.schema import ledger
from mailassist.store.statement import Statement

THIS_MACHINE = "this machine"

# Made once: they run for every call, and making them costs more than running them.
_SPENT = ("model", "input_tokens", "cached_tokens", "output_tokens", "cost", "estimated", "sent", "error")
_RESERVE = Statement(ledger.insert().returning(ledger.c.id))
_SETTLE = Statement(
    ledger.update()
    .where((ledger.c.id == sa.bindparam("number")) & (ledger.c.state == "reserved"))
    .values({name: sa.bindparam(name) for name in ("state", *_SPENT)})
)
_total_cost = sa.select(sa.func.sum(ledger.c.cost)).where(ledger.c.at >= sa.bindparam("since"))
_TOTAL = Statement(_total_cost)
_TOTAL_OF_ACCOUNT = Statement(_total_cost.where(ledger.c.account == sa.bindparam("account_name")))
_CALLS = Statement(
    sa.select(sa.func.count())
    .select_from(ledger)
    .where(
        ledger.c.at >= sa.bindparam("since"),
        ledger.c.account == sa.bindparam("account_name"),
        ledger.c.purpose == sa.bindparam("this_purpose"),
        ledger.c.state != "failed",
    )
)


@dataclass(frozen=True, slots=True)
class Call:
    """What is about to be sent: for whom, whereto, how much."""

    account: str
    mailbox: str
    model: str
    host: str
    messages: int  # how many messages' text the prompt holds
    purpose: str = "draft"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call came to. `sent`: whether the prompt can have left; `estimated`: counted here, not by the server."""

    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float  # US dollars
    estimated: bool = False
    sent: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger."""

    id: int
    at: float
    account: str
    mailbox: str
    purpose: str
    model: str
    host: str
    state: str  # reserved | done | failed
    sent: bool
    messages: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    estimated: bool
    cost: float
    error: str

    @property
    def left_machine(self) -> bool:
        """Whether text left this machine with this call, or may have."""
        return self.sent and not is_this_machine(self.host)


def reserve(
    store: Store,
    call: Call,
    bound: Spent,
    *,
    now: float,
    daily_budget: float | None,
    day: float,
    account_budget: float | None = None,
) -> int:
    """Commit `call` with its upper bound and return its number, to be settled.

    `day`: when the user's day began (`day_start`). Raises BudgetReached, with nothing written, when the day's calls and
    this one could come to more than `daily_budget` US dollars, or those of the call's account to more than
    `account_budget`; one transaction, so two processes cannot both take what is left. Calls that cost nothing are never
    refused.
    """
    with store.write() as connection:
        return reserve_in(
            connection, call, bound, now=now, daily_budget=daily_budget, account_budget=account_budget, day=day
        )


def reserve_in(
    connection: sa.Connection,
    call: Call,
    bound: Spent,
    *,
    now: float,
    daily_budget: float | None,
    day: float,
    account_budget: float | None = None,
) -> int:
    """`reserve` as part of the caller's transaction."""
    serialise(connection, "ledger")
    if bound.cost > 0:
        if daily_budget is not None:
            _check(daily_budget, _total(connection, day), bound.cost, "")
        if account_budget is not None:
            _check(account_budget, _total(connection, day, call.account), bound.cost, call.account)
    row = {"at": now, "state": "reserved", **_of_call(call), **_of_spent(bound), "estimated": True}
    return int(_RESERVE.scalar(connection, row))


def settle(store: Store, number: int, spent: Spent, *, failed: bool = False) -> None:
    """Replace the upper bound of a reserved call by what it came to. Raises StoreError when it is not reserved."""
    with store.write() as connection:
        if not settle_in(connection, number, spent, failed=failed):
            raise StoreError(f"The ledger has no reserved call {number}")


def settle_in(connection: sa.Connection, number: int, spent: Spent, *, failed: bool = False) -> bool:
    """`settle` as part of the caller's transaction; whether the call was reserved."""
    values = {"number": number, "state": "failed" if failed else "done", **_of_spent(spent)}
    return _SETTLE.change(connection, values) == 1


def entries(store: Store, *, since: float = 0.0) -> list[Entry]:
    """The calls from `since` on, oldest first."""
    with store.read() as connection:
        rows = connection.execute(sa.select(ledger).where(ledger.c.at >= since).order_by(ledger.c.at, ledger.c.id))
        return [Entry(**row._mapping) for row in rows]


def spent_since(store: Store, since: float) -> float:
    """US dollars from `since` on, reserved calls with their upper bound."""
    with store.read() as connection:
        return _total(connection, since)


def calls_since(store: Store, account: str, since: float, *, purpose: str = "draft") -> int:
    """How many calls of an account there were from `since` on, those that failed left out."""
    asked = {"since": since, "account_name": account, "this_purpose": purpose}
    with store.read() as connection:
        return int(_CALLS.scalar(connection, asked) or 0)


@dataclass(frozen=True, slots=True)
class DayTotal:
    """The calls of one day that share what they are grouped by (`key`)."""

    day: date
    key: tuple[str, ...]
    calls: int
    messages: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float
    open: int  # calls that never came back: reserved, counted with their upper bound


def by_day(calls: Iterable[Entry], *names: str, zone: tzinfo | None = None) -> list[DayTotal]:
    """`calls` summed up by the user's day and the fields `names` of Entry, the newest day first."""
    groups: dict[tuple[date, tuple[str, ...]], list[Entry]] = defaultdict(list)
    for call in calls:
        groups[day_of(call.at, zone), tuple(str(getattr(call, name)) for name in names)].append(call)
    newest_first = sorted(groups.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1]))
    return [_sum(day, key, group) for (day, key), group in newest_first]


def _sum(day: date, key: tuple[str, ...], calls: Sequence[Entry]) -> DayTotal:
    return DayTotal(
        day,
        key,
        calls=len(calls),
        messages=sum(call.messages for call in calls),
        input_tokens=sum(call.input_tokens for call in calls),
        cached_tokens=sum(call.cached_tokens for call in calls),
        output_tokens=sum(call.output_tokens for call in calls),
        cost=sum(call.cost for call in calls),
        open=sum(call.state == "reserved" for call in calls),
    )


def cache_hit_rate(calls: Iterable[Entry]) -> float | None:
    """The share of the prompt tokens that the providers had in their caches; None where none was counted."""
    counted = [call for call in calls if call.state == "done" and not call.estimated]
    sent = sum(call.input_tokens for call in counted)
    return sum(call.cached_tokens for call in counted) / sent if sent else None


def day_start(now: float, zone: tzinfo | None = None, *, days_ago: int = 0) -> float:
    """When the user's day that holds `now` began (or one `days_ago` days before); `zone` None: this machine's."""
    midnight = datetime.combine(day_of(now, zone) - timedelta(days=days_ago), time.min, zone)
    return midnight.timestamp()


def day_of(at: float, zone: tzinfo | None = None) -> date:
    """The user's calendar day of a moment."""
    return datetime.fromtimestamp(at, zone).date()


def is_this_machine(host: str) -> bool:
    """Whether a host of the ledger is this machine: text for it does not leave."""
    name = urlsplit(f"//{host}").hostname or ""
    if host == THIS_MACHINE or name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _total(connection: sa.Connection, since: float, account: str | None = None) -> float:
    if account is None:
        return float(_TOTAL.scalar(connection, {"since": since}) or 0.0)
    return float(_TOTAL_OF_ACCOUNT.scalar(connection, {"since": since, "account_name": account}) or 0.0)


def _check(budget: float, spent: float, bound: float, account: str) -> None:
    """Raises BudgetReached where a call of up to `bound` is too much; `account`: whose budget it is, "": of all."""
    if spent + bound <= budget:
        return
    setting = f"accounts.{account}.team.daily_budget" if account else "model.daily_budget"
    raise BudgetReached(
        f"Today's budget of ${budget:.2f}{f' for {account}' * bool(account)} does not allow this call: ${spent:.4f} is "
        f"spent or reserved, and it can cost up to ${bound:.4f}; it was not made",
        cure=f"Raise {setting}, lower model.context_tokens, wait until tomorrow, or use a local model.",
    )


def _of_call(call: Call) -> dict[str, object]:
    names = ("account", "mailbox", "model", "host", "messages", "purpose")
    return {name: getattr(call, name) for name in names}


def _of_spent(spent: Spent) -> dict[str, object]:
    return {name: getattr(spent, name) for name in _SPENT}
