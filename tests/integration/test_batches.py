"""Drafts that can wait, at half the price: collected, submitted, matched, and never lost or paid for twice."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers.model_api import ModelServer, Reply, Request
from servers.model_batches import Batches as Provider

from mailassist.daemon.batches import Batches, can_wait
from mailassist.drafting.budget import Payer
from mailassist.errors import BudgetReached, StoreError
from mailassist.model.answers import Answer
from mailassist.model.batch import BatchApi
from mailassist.model.connection import Endpoint
from mailassist.model.errors import WrongKey
from mailassist.model.registry import find
from mailassist.model.request import Prompt
from mailassist.store import forgotten
from mailassist.store.arrivals import due
from mailassist.store.batches import take_turn
from mailassist.store.database import Store
from mailassist.store.ledger import entries
from mailassist.store.team_schema import arrivals, prompts
from mailassist.team_settings import Limits

LUNA = find("gpt-6-luna")
START = 1_800_000_000.0
HALF = (1000 * 0.10 + 50 * 0.50) / 1e6 / 2
MINUTES, HOURS = 60.0, 3600.0


def answer_to(request: Request) -> Reply:
    return Reply(f"Answer to {request.body['input']}", usage=(1000, 0, 50))


@dataclass
class Desk:
    """A store with arrivals, the provider, and what was finished."""

    store: Store
    server: ModelServer
    now: float = START
    finished: dict[int, Answer] = field(default_factory=dict)
    fails: set[int] = field(default_factory=set)  # arrivals whose results nobody can take

    def __post_init__(self) -> None:
        api = BatchApi(Endpoint(self.server.base_url, api="responses"))
        self.batches = Batches(self.store, api, self.finish, Limits(batch_hours=6.0), clock=lambda: self.now)

    def finish(self, arrival_id: int, answer: Answer) -> None:
        if arrival_id in self.fails:
            raise StoreError("full")
        assert arrival_id not in self.finished
        self.finished[arrival_id] = answer

    def arrive(self, count: int) -> list[int]:
        with self.store.write() as connection:
            for number in range(count):
                row = {"key": f"k{number}", "mailbox": "support", "message_id": f"<{number}@a.example>", "fence": 7}
                times = {"received": START, "created_at": START, "changed_at": START}
                connection.execute(arrivals.insert().values(**row, **times, state="packed"))
            return list(connection.scalars(sa.select(arrivals.c.id)))

    def add(self, arrival_id: int, *, budget: float = 1.0, fence: int = 7) -> bool:
        prompt = Prompt("You draft.", f"mail {arrival_id}", 500, "c0ffee")
        payer = Payer("support", "support@example.org", budget)
        return self.batches.add(
            arrival_id, fence, prompt, LUNA, payer, input_tokens=2_000, messages=1, until=START + 90 * 24 * HOURS
        )

    def work(self, *, after: float = 0.0, times: int = 1) -> None:
        for _ in range(times):
            self.now += after
            self.batches.work()

    def waiting(self) -> dict[int, str]:
        with self.store.read() as connection:
            rows = connection.execute(sa.select(arrivals.c.id, arrivals.c.batch).where(arrivals.c.batch != ""))
            return {row.id: row.batch for row in rows}

    def prompts(self) -> int:
        with self.store.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(prompts)) or 0

    def costs(self) -> list[tuple[str, float]]:
        return sorted((entry.state, round(entry.cost, 9)) for entry in entries(self.store))

    def asked(self) -> list[str]:
        return sorted(str(request.body["input"]) for request in self.server.requests if request.method == "BATCH")

    @property
    def provider(self) -> Provider:
        return self.server.batches


@pytest.fixture
def desk(open_store: Callable[[], Store]) -> Iterator[Desk]:
    with ModelServer([answer_to]) as server:
        desk = Desk(open_store(), server)
        yield desk
        desk.batches.close()


@pytest.fixture
def submitted(desk: Desk) -> Desk:
    """Four arrivals in a batch that is worked on."""
    desk.provider.ends = ""
    for arrival_id in desk.arrive(4):
        assert desk.add(arrival_id)
    desk.work(after=6 * MINUTES)
    assert len(desk.provider.batches) == 1 and not desk.finished
    return desk


def test_what_was_collected_is_answered_at_half_the_price_and_leaves_nothing_behind(desk: Desk) -> None:
    numbers = desk.arrive(3)
    for arrival_id in numbers:
        assert desk.add(arrival_id)
    desk.work(after=1 * MINUTES)
    assert set(desk.waiting()) == set(numbers) and not desk.provider.batches  # others may come
    desk.provider.ends = ""
    desk.work(after=5 * MINUTES)
    [file] = desk.provider.files.values()
    lines = [json.loads(line) for line in file["content"].splitlines()]
    assert file["purpose"] == "batch" and {line["url"] for line in lines} == {"/v1/responses"}
    assert all(line["body"]["store"] is False and "stream" not in line["body"] for line in lines)
    desk.provider.ends = "completed"
    desk.work(after=1 * MINUTES)
    assert {number: answer.text for number, answer in desk.finished.items()} == {
        number: f"Answer to mail {number}" for number in numbers
    }
    assert desk.costs() == [("done", pytest.approx(HALF))] * 3
    assert not desk.waiting() and not desk.prompts() and not desk.provider.files and desk.batches.idle()


@pytest.mark.parametrize("end", ["expired", "failed", "cancelled"])
def test_what_a_batch_does_not_answer_is_asked_directly_and_costs_nothing(end: str, submitted: Desk) -> None:
    submitted.provider.ends = end
    submitted.work(after=1 * MINUTES)
    done = 0 if end == "failed" else 2
    assert len(submitted.finished) == done and not submitted.waiting() and not submitted.provider.files
    assert submitted.costs() == [("done", pytest.approx(HALF))] * done + [("failed", 0.0)] * (4 - done)


def test_a_batch_that_takes_too_long_is_cancelled_and_what_was_done_is_used(submitted: Desk) -> None:
    submitted.work(after=5 * HOURS)
    assert len(submitted.waiting()) == 4
    submitted.work(after=1.1 * HOURS)  # now it is cancelled
    submitted.work(after=5 * MINUTES)
    assert len(submitted.finished) == 2 and not submitted.waiting() and submitted.batches.idle()


def test_a_request_that_failed_is_asked_directly(desk: Desk) -> None:
    desk.server.answers = [Reply(status=500), Reply("", how="failed"), answer_to]
    for arrival_id in desk.arrive(3):
        desk.add(arrival_id)
    desk.work(after=6 * MINUTES, times=2)
    assert len(desk.finished) == 1 and not desk.waiting() and desk.batches.idle()


def test_a_batch_whose_creation_was_not_answered_is_found_again(desk: Desk) -> None:
    desk.provider.lost = True
    for arrival_id in desk.arrive(2):
        desk.add(arrival_id)
    desk.work(after=6 * MINUTES, times=3)
    assert len(desk.provider.batches) == 1 and len(desk.finished) == 2 and desk.batches.idle()
    assert len(desk.asked()) == 2


def test_while_the_provider_is_down_arrivals_wait_and_then_they_do_not(desk: Desk) -> None:
    for arrival_id in desk.arrive(2):
        desk.add(arrival_id)
    desk.server.close()
    desk.work(after=6 * MINUTES, times=2)
    assert len(desk.waiting()) == 2
    desk.work(after=2 * HOURS)
    assert not desk.waiting() and desk.costs() == [("failed", 0.0)] * 2


def test_what_the_provider_refuses_is_asked_directly(desk: Desk) -> None:
    for arrival_id in desk.arrive(2):
        desk.add(arrival_id)
    desk.server.key = "another"
    desk.work(after=6 * MINUTES)
    assert not desk.waiting() and desk.costs() == [("failed", 0.0)] * 2


def test_one_result_that_cannot_be_taken_is_tried_again_and_stops_no_other(submitted: Desk) -> None:
    submitted.provider.ends, submitted.fails = "completed", {1}
    submitted.work(after=1 * MINUTES, times=3)
    assert sorted(submitted.finished) == [2, 3, 4] and set(submitted.waiting()) == {1} and submitted.provider.files
    submitted.fails.clear()
    submitted.work(after=1 * MINUTES)
    assert sorted(submitted.finished) == [1, 2, 3, 4] and submitted.batches.idle()


def test_while_one_process_works_on_batches_no_other_does(submitted: Desk) -> None:
    submitted.provider.ends = "completed"
    api = BatchApi(Endpoint(submitted.server.base_url, api="responses"))
    handed: list[int] = []

    def make(owner: str, finish: Callable[[int, Answer], None]) -> Batches:
        return Batches(submitted.store, api, finish, Limits(), owner=owner, clock=lambda: submitted.now)

    other = make("b:2", lambda number, answer: handed.append(-number))

    def finish(number: int, answer: Answer) -> None:
        other.work()
        handed.append(number)

    make("a:1", finish).work()
    assert sorted(handed) == [1, 2, 3, 4]
    other.work()  # its turn, and nothing left
    assert len(handed) == 4
    api.close()


def test_a_result_that_nobody_waits_for_any_more_is_paid_and_thrown_away(submitted: Desk) -> None:
    with submitted.store.write() as connection:
        connection.execute(arrivals.update().where(arrivals.c.id == 2).values(state="superseded"))
    submitted.provider.ends = "completed"
    submitted.work(after=1 * MINUTES)
    assert sorted(submitted.finished) == [1, 3, 4] and submitted.costs() == [("done", pytest.approx(HALF))] * 4


EVE = "eve@customer.example"


def forget(desk: Desk, arrival_id: int) -> None:
    """What `mailassist forget` does in the store with the person who wrote a message."""
    with desk.store.write() as connection:
        connection.execute(arrivals.update().where(arrivals.c.id == arrival_id).values(sender=EVE))
    forgotten.forget(desk.store, EVE, now=desk.now)


def test_the_batch_of_a_forgotten_person_ends_at_once_and_what_else_was_in_it_is_asked_directly(
    submitted: Desk,
) -> None:
    forget(submitted, 2)
    assert submitted.batches.withdraw() == []
    assert not submitted.provider.files and not submitted.waiting() and not submitted.prompts()
    assert [one.id for one in due(submitted.store, now=submitted.now, limit=9)] == [1, 3, 4]
    submitted.work(after=1 * MINUTES)
    assert submitted.finished == {} and submitted.batches.idle()


def test_a_message_that_names_a_forgotten_person_leaves_the_provider_and_is_asked_directly(submitted: Desk) -> None:
    with submitted.store.write() as connection:
        connection.execute(prompts.update().where(prompts.c.arrival_id == 3).values(body=f'{{"input": "for {EVE}"}}'))
    found = forgotten.forget(submitted.store, EVE, now=submitted.now)
    assert found.team.batches == tuple(submitted.provider.batches) and submitted.batches.withdraw() == []
    assert not submitted.provider.files and not submitted.waiting()
    assert len(due(submitted.store, now=submitted.now, limit=9)) == 4


def test_batches_without_the_forgotten_person_go_on(submitted: Desk) -> None:
    with submitted.store.write() as connection:
        connection.execute(arrivals.update().where(arrivals.c.id == 2).values(sender=EVE, batch=""))
    forgotten.forget(submitted.store, EVE, now=submitted.now)
    assert submitted.batches.withdraw() == [] and set(submitted.waiting()) == {1, 3, 4}
    submitted.provider.ends = "completed"
    submitted.work(after=1 * MINUTES)
    assert sorted(submitted.finished) == [1, 3, 4]


def test_while_the_provider_cannot_be_reached_what_is_forgotten_waits_for_the_daemon(submitted: Desk) -> None:
    forget(submitted, 2)
    submitted.server.key = "another"
    with pytest.raises(WrongKey):
        submitted.batches.withdraw()
    submitted.work(after=1 * MINUTES)
    assert submitted.provider.files and set(submitted.waiting()) == {1, 2, 3, 4}
    submitted.server.key = ""
    submitted.work(after=1 * MINUTES)
    assert not submitted.provider.files and not submitted.waiting() and not submitted.finished


def test_a_batch_that_the_provider_ends_later_is_emptied_then(submitted: Desk) -> None:
    submitted.provider.cancels = False
    forget(submitted, 2)
    [number] = submitted.provider.batches
    assert submitted.batches.withdraw() == [number] and not submitted.waiting()
    assert not submitted.provider.files  # the prompts are gone
    submitted.provider.cancels = True  # and what was done of it lies there
    submitted.work(after=1 * MINUTES)
    assert not submitted.provider.files and submitted.batches.idle()


def test_a_batch_whose_creation_was_not_answered_is_submitted_without_the_forgotten_person(desk: Desk) -> None:
    for arrival_id in desk.arrive(3):
        desk.add(arrival_id)
    desk.provider.refuses_creation = True
    desk.work(after=6 * MINUTES)
    assert desk.provider.files and not desk.provider.batches
    forget(desk, 2)
    [number] = desk.batches.withdraw()
    assert number.startswith("new-")
    desk.provider.refuses_creation = False
    desk.work(after=6 * MINUTES, times=2)
    assert desk.asked() == ["mail 1", "mail 3"] and sorted(desk.finished) == [1, 3]
    assert not desk.provider.files and not desk.waiting()


def test_while_another_process_works_on_batches_it_is_left_to_that_one(submitted: Desk) -> None:
    forget(submitted, 2)
    assert take_turn(submitted.store, "other:1", now=submitted.now, seconds=600.0)
    assert submitted.batches.withdraw() == list(submitted.provider.batches) and submitted.provider.files
    assert take_turn(submitted.store, "other:1", now=submitted.now, seconds=0.0)
    submitted.work(after=1 * MINUTES)
    assert not submitted.provider.files


def test_nothing_is_put_aside_beyond_the_budget_or_under_a_lost_lease(desk: Desk) -> None:
    first, second = desk.arrive(2)
    with pytest.raises(BudgetReached):
        desk.add(first, budget=0.0001)
    assert not desk.add(second, fence=6)
    assert not desk.waiting() and not desk.prompts() and not entries(desk.store)
    assert desk.add(first) and not desk.add(first)
    assert len(entries(desk.store)) == 1


@pytest.mark.parametrize("open_store", ["sqlite"], indirect=True)
def test_what_was_put_aside_once_is_asked_directly_from_then_on(submitted: Desk) -> None:
    submitted.provider.ends = "failed"
    submitted.work(after=1 * MINUTES)
    with submitted.store.read() as connection:
        assert set(connection.scalars(sa.select(arrivals.c.batched))) == {True}


@pytest.mark.parametrize(
    ("kinds", "mail", "waits"),
    [
        ([], {"backlog": True, "urgency": "low", "in_office": False}, False),
        (["backlog"], {"backlog": True, "urgency": "normal", "in_office": True}, True),
        (["backlog"], {"backlog": False, "urgency": "low", "in_office": False}, False),
        (["night"], {"backlog": False, "urgency": "normal", "in_office": False}, True),
        (["night"], {"backlog": False, "urgency": "normal", "in_office": True}, False),
        (["low"], {"backlog": False, "urgency": "low", "in_office": True}, True),
        (["backlog", "night", "low"], {"backlog": True, "urgency": "high", "in_office": False}, False),
    ],
)
def test_what_can_wait(kinds: list[str], mail: dict[str, object], waits: bool) -> None:
    rule: Callable[..., bool] = can_wait
    assert rule(kinds, **mail) is waits


@pytest.mark.parametrize("open_store", ["sqlite"], indirect=True)
def test_killed_at_every_request_nothing_is_lost_or_paid_for_twice(desk: Desk) -> None:
    """A process of its own, killed when its n-th request has arrived at the provider, for each n; then a last one."""
    numbers = desk.arrive(3)
    for arrival_id in numbers:
        desk.add(arrival_id)
    command = [sys.executable, "-m", "servers.batch_worker", str(desk.store.path), desk.server.base_url]
    where = Path(__file__).parent.parent
    killed = 0
    for number in range(1, 7):
        worker = subprocess.Popen(command, cwd=where)
        arrived = iter(range(number - 1, -1, -1))
        desk.server.on_request = lambda worker=worker, arrived=arrived: next(arrived, 0) or worker.kill()  # type: ignore[misc]
        killed += worker.wait(60) != 0
    desk.server.on_request = lambda: None
    assert subprocess.run(command, cwd=where, timeout=60).returncode == 0
    assert killed >= 5
    with desk.store.read() as connection:
        assert set(connection.scalars(sa.select(arrivals.c.state))) == {"drafted"}
    assert desk.asked() == [f"mail {number}" for number in numbers]
    assert desk.costs() == [("done", pytest.approx(HALF))] * 3
    assert not desk.waiting() and not desk.prompts() and not desk.provider.files and len(desk.provider.batches) == 1
