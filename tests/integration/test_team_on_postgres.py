"""Rows of a team's work that several processes want at once, in both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mailassist.store import arrivals, cases
from mailassist.store.database import Store

Open = Callable[[], Store]


def arrived(number: int, conversation: str) -> arrivals.Arrived:
    about = cases.About(conversation, (f"<{number}@test>",), "Hello", "Anna <anna@test>")
    return arrivals.Arrived(
        f"k{number}", f"<{number}@test>", "INBOX", 1, number, "anna@test", float(number), about=about
    )


def test_the_same_message_at_two_addresses_is_one_arrival(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]

    def look(which: int) -> list[int]:
        found = [arrived(number, f"<{number}@test>") for number in range(10)]
        return [made for one in found for made in arrivals.take_in(stores[which], f"m{which}", [one], {}, now=1.0)]

    with ThreadPoolExecutor(4) as threads:
        made = [one for ids in threads.map(look, range(4)) for one in ids]
    assert len(made) == len(set(made)) == 10
    assert sum(arrivals.counted(stores[0]).values()) == 10


def test_one_row_of_a_case_is_worked_on_at_a_time(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]
    for turn in range(5):
        conversation = f"<c{turn}@test>"
        ids = arrivals.take_in(
            stores[0], "m", [arrived(10 * turn + one, conversation) for one in range(2)], {}, now=1.0
        )
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
            arrivals.take_in(stores[1], "m", [arrived(number, "<one@test>")], {}, now=4.0)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one(0), (work, look)))
    (case,) = cases.listed(stores[0])
    assert case.message_id == "<59@test>"
