"""The ledger: reserved before, settled after, summed up by the user's day."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from mailassist.errors import BudgetReached, StoreError
from mailassist.store.database import Store
from mailassist.store.ledger import (
    Call,
    Spent,
    by_day,
    cache_hit_rate,
    day_of,
    day_start,
    entries,
    is_this_machine,
    reserve,
    settle,
    spent_since,
)

CALL = Call("work", "ann@example.org", "gpt-4o-mini", "api.openai.com", messages=3)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def spent(cost: float, **values: object) -> Spent:
    tokens = {"input_tokens": 1000, "cached_tokens": 0, "output_tokens": 100}
    return Spent(**{"model": "gpt-4o-mini"} | tokens | values, cost=cost)  # type: ignore[arg-type]


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def book(
    store: Store, cost: float, *, budget: float | None = 1.0, now: float = NOON, call: Call = CALL, **more: float
) -> int:
    day = day_start(now, UTC)
    return reserve(store, call, spent(cost), now=now, daily_budget=budget, day=day, **more)


def test_a_call_is_in_the_ledger_before_it_is_made_and_settled_after(store: Store) -> None:
    number = book(store, 0.02)
    (before,) = entries(store)
    assert (before.state, before.cost, before.estimated, before.messages) == ("reserved", 0.02, True, 3)
    settle(store, number, spent(0.004, cached_tokens=512, output_tokens=70))
    (after,) = entries(store)
    assert (after.state, after.cost, after.cached_tokens, after.output_tokens) == ("done", 0.004, 512, 70)
    assert (after.account, after.mailbox, after.host) == ("work", "ann@example.org", "api.openai.com")


def test_a_call_that_crashed_stays_visible_and_counts_with_its_upper_bound(
    store: Store, open_store: Callable[[], Store]
) -> None:
    book(store, 0.7)
    store.close()
    again = open_store()
    assert [entry.state for entry in entries(again)] == ["reserved"]
    assert spent_since(again, day_start(NOON, UTC)) == pytest.approx(0.7)
    with pytest.raises(BudgetReached):
        book(again, 0.4)


def test_the_daily_budget_stops_a_call_before_anything_is_written(store: Store) -> None:
    settle(store, book(store, 0.9), spent(0.9))
    with pytest.raises(BudgetReached, match=r"\$1\.00.*\$0\.9000.*\$0\.2000") as caught:
        book(store, 0.2)
    assert "model.daily_budget" in caught.value.cure
    assert len(entries(store)) == 1
    book(store, 0.1)  # exactly up to the limit


def test_an_accounts_own_budget_stops_its_calls_and_no_others(store: Store) -> None:
    book(store, 0.3, account_budget=0.4)
    with pytest.raises(BudgetReached, match=r"\$0\.40 for work .*accounts\.work\.team\.daily_budget"):
        book(store, 0.2, account_budget=0.4)
    book(store, 0.2, account_budget=0.4, call=Call("home", "a@example.net", "gpt-4o", "api.openai.com", 1))
    assert [entry.account for entry in entries(store)] == ["work", "home"]


def test_two_processes_do_not_take_the_same_rest_of_the_budget(open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(4)]

    def tried(store: Store) -> int:
        taken = 0
        for _ in range(10):
            try:
                book(store, 0.1)
            except BudgetReached:
                continue
            taken += 1
        return taken

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(tried, stores)) == 10


def test_calls_that_cost_nothing_are_never_stopped(store: Store) -> None:
    with pytest.raises(BudgetReached):
        book(store, 0.01, budget=0.0)
    book(store, 0.0, budget=0.0)


def test_yesterday_does_not_count(store: Store) -> None:
    book(store, 1.0, now=NOON - 86_400)
    book(store, 1.0)


def test_a_call_is_settled_once(store: Store) -> None:
    number = book(store, 0.1)
    settle(store, number, spent(0.1))
    for wrong in (number, number + 1):
        with pytest.raises(StoreError):
            settle(store, wrong, spent(0.5))
    assert entries(store)[0].cost == 0.1


def test_the_day_is_the_users() -> None:
    auckland = timezone(timedelta(hours=13))
    assert (day_of(NOON, UTC), day_of(NOON, auckland)) == (date(2026, 11, 23), date(2026, 11, 24))
    assert day_start(NOON, auckland) == datetime(2026, 11, 23, 11, tzinfo=UTC).timestamp()
    assert day_start(NOON, UTC, days_ago=22) == datetime(2026, 11, 1, tzinfo=UTC).timestamp()


def test_a_day_of_23_hours_begins_at_midnight() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    noon = datetime(2026, 3, 29, 12, tzinfo=berlin).timestamp()  # the clocks go forward at two
    assert noon - day_start(noon, berlin) == 11 * 3600


def test_calls_are_summed_up_by_day_and_account(store: Store) -> None:
    settle(store, book(store, 0.1), spent(0.1, cached_tokens=500))
    settle(store, book(store, 0.1), spent(0.2))
    book(store, 0.3, now=NOON + 86_400, call=Call("home", "a@example.net", "gpt-4o", "api.openai.com", 1))
    newest, older = by_day(entries(store), "account", "model", zone=UTC)
    assert (newest.day, newest.key, newest.open) == (date(2026, 11, 24), ("home", "gpt-4o-mini"), 1)
    assert (older.key, older.calls, older.messages, older.input_tokens, older.cached_tokens) == (
        ("work", "gpt-4o-mini"), 2, 6, 2000, 500,
    )  # fmt: skip
    assert older.cost == pytest.approx(0.3)
    assert cache_hit_rate(entries(store)) == 0.25  # of what the provider counted


def test_without_a_counted_call_there_is_no_hit_rate(store: Store) -> None:
    book(store, 0.1)
    assert cache_hit_rate(entries(store)) is None


@pytest.mark.parametrize(
    "host", ["this machine", "localhost", "localhost:1234", "127.0.0.1:11434", "[::1]:8080", "[::1]"]
)
def test_loopback_hosts_are_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["api.openai.com", "127.example.org", "localhost.example.org:80", "192.168.1.5:11434"])
def test_other_hosts_are_not(host: str) -> None:
    assert not is_this_machine(host)
