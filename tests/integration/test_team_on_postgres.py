"""Rows of a team's work that several processes want at once, in both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from servers.postgres import Postgres, with_tables

from mailassist.errors import Stopped, Taken
from mailassist.store import approvals, arrivals, cases, drafts, looks, review
from mailassist.store.database import Store

Open = Callable[[], Store]


def arrived(number: int, conversation: str) -> looks.Arrived:
    about = cases.About(conversation, (f"<{number}@test>",), "Hello", "Anna <anna@test>")
    return looks.Arrived(f"k{number}", f"<{number}@test>", "INBOX", 1, number, "anna@test", float(number), about=about)


def test_the_same_message_at_two_addresses_is_one_arrival(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]

    def look(which: int) -> list[int]:
        found = [arrived(number, f"<{number}@test>") for number in range(10)]
        return [made for one in found for made in looks.take_in(stores[which], f"m{which}", [one], {}, now=1.0)]

    with ThreadPoolExecutor(4) as threads:
        made = [one for ids in threads.map(look, range(4)) for one in ids]
    assert len(made) == len(set(made)) == 10
    assert sum(arrivals.counted(stores[0]).values()) == 10


def test_a_message_that_joins_two_conversations_leaves_one_case_to_be_worked_on(open_store: Open) -> None:
    store = open_store()
    looks.take_in(store, "m", [arrived(1, "<1@test>"), arrived(2, "<2@test>")], {}, now=1.0)
    about = cases.About("<1@test>", ("<1@test>", "<2@test>", "<3@test>"), "Hello", "Anna <anna@test>")
    joining = looks.Arrived("k3", "<3@test>", "INBOX", 1, 3, "anna@test", 3.0, about=about)
    assert looks.take_in(store, "m", [joining], {}, now=2.0) == [3]
    assert [(case.id, case.state) for case in cases.listed(store)] == [(1, "open"), (2, "none")]
    assert [row.id for row in arrivals.due(store, now=5.0, limit=5)] == [3]


def test_one_row_of_a_case_is_worked_on_at_a_time(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]
    for turn in range(5):
        conversation = f"<c{turn}@test>"
        ids = looks.take_in(stores[0], "m", [arrived(10 * turn + one, conversation) for one in range(2)], {}, now=1.0)
        with stores[0].write() as connection:  # as if the newer message had come while the older is worked on
            table = arrivals._arrivals
            connection.execute(table.update().where(table.c.id.in_(ids)).values(state="seen"))

        def lease(which: int, ids: list[int] = ids) -> int:
            row = arrivals.lease(stores[which], ids[which % 2], f"p{which}", now=2.0, seconds=60)
            return row is not None

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(lease, range(4))) == 1


def test_steps_and_looks_do_not_stop_each_other(open_store: Open) -> None:
    stores = [open_store() for _ in range(2)]

    def work(_: int) -> None:
        for _turn in range(60):
            for row in arrivals.due(stores[0], now=5.0, limit=5):
                held = arrivals.lease(stores[0], row.id, "p", now=5.0, seconds=60)
                if held is not None:
                    try:
                        arrivals.advance(stores[0], held, now=5.0, state="delivered", case={"state": "drafted"})
                    except arrivals.LeaseLost:
                        continue

    def look(_: int) -> None:
        for number in range(60):
            looks.take_in(stores[1], "m", [arrived(number, "<one@test>")], {}, now=4.0)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one(0), (work, look)))
    (case,) = cases.listed(stores[0])
    assert case.message_id == "<59@test>"


def _delivered(store: Store) -> int:
    """An arrival whose draft is made, in the store only; its case."""
    (number,) = looks.take_in(store, "m", [arrived(1, "<c@test>")], {}, now=1.0)
    row = arrivals.lease(store, number, "p", now=2.0, seconds=60)
    assert row is not None
    assert row.case_id is not None
    new = drafts.NewText("m", row.message_id, row.case_id, "<c@test>", "Tomorrow.", "model")
    arrivals.advance(
        store, row, now=2.0, state="delivered", case={"state": "drafted"},
        also=lambda connection: drafts.put(connection, new, now=2.0),
    )  # fmt: skip
    return row.case_id


def test_a_draft_that_is_only_kept_is_placed_once(open_store: Open) -> None:
    store = open_store()
    _delivered(store)
    assert [arrivals.place_kept(store, ["m"], now=3.0) for _ in range(2)] == [1, 0]
    assert arrivals.counted(store) == {("m", "drafted"): 1}


def test_a_draft_without_a_case_that_wants_it_is_withdrawn_once(open_store: Open) -> None:
    store = open_store()
    case_id = _delivered(store)
    row = drafts.of_case(store, case_id)
    assert row is not None
    row = drafts.intend(store, row, now=3.0, state="appending", pending=b"raw")
    assert review.to_withdraw(store, ["m"]) == []
    with store.write() as connection:
        cases.change(connection, case_id, now=3.0, state="none")
    assert review.to_withdraw(store, ["m"]) == [case_id]
    assert [len(arrivals.withdraw(store, [case_id], now=3.0)) for _ in range(2)] == [1, 0]
    with pytest.raises(drafts.Decided):
        drafts.intend(store, row, now=3.0, state="appending")


def test_a_silent_approval_that_wakes_up_is_not_ended_over_its_head(postgres: Postgres) -> None:
    database = postgres.database(with_tables)
    store = Store.on_postgres(database.url())
    case_id = _delivered(store)
    about: dict[str, Any] = {"only_claimant": False, "noted": lambda *_: None, "seconds": 900.0}
    anns = approvals.begin(store, case_id, "ann", "Tomorrow.", now=10.0, **about)
    approvals.checked(store, anns.id, "ann", now=11.0)
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database.url("postgres")) as ann, ThreadPoolExecutor(1) as bob:
        ann.execute("UPDATE approvals SET state = 'sending', changed_at = 2000 WHERE id = %s", (anns.id,))
        begins = bob.submit(approvals.begin, store, case_id, "bob", "Friday.", now=2000.0, **about)
        while not database.execute(waits):
            time.sleep(0.01)
        ann.commit()
        with pytest.raises(Taken):
            begins.result(30)
    assert [(one.who, one.state) for one in approvals.open_of(store, "ann")] == [("ann", "sending")]
    store.close()


def test_approval_and_append_never_both_begin(open_store: Open) -> None:
    stores = [open_store() for _ in range(2)]
    case_id = _delivered(stores[0])

    def append(row: drafts.DraftRow, now: float) -> bool:
        with suppress(drafts.Decided):
            drafts.intend(stores[0], row, now=now, state="appending")
            return True
        return False

    def approve(now: float) -> bool:
        with suppress(Stopped):
            approvals.begin(
                stores[1], case_id, "dana", "Tomorrow.", now=now, seconds=900.0, only_claimant=False,
                noted=lambda *_: None,
            )  # fmt: skip
            return True
        return False

    for turn in range(1, 21):
        now = 1000.0 * turn
        row = drafts.of_case(stores[0], case_id)
        assert row is not None
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(append, row, now), threads.submit(approve, now)]
            assert sorted(one.result() for one in both) == [False, True]
        approvals.give_up(stores[0], "m", now=now + 950.0, seconds=900.0, noted=lambda *_: None)
        drafts.change(stores[0], row, now=now + 950.0, state="kept")
