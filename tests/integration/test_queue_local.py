"""Who does the next step on one machine: threads that find what is due, and ask for it no more often than is needed."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from servers.daemon import eventually

from mailassist.daemon import queue_local
from mailassist.daemon.queue_local import LocalQueue
from mailassist.store.arrivals import ArrivalRow
from mailassist.store.database import Store
from mailassist.store.team_schema import arrivals


@dataclass
class Work:
    """In place of the steps: a row is done when it was worked on; the first one takes until `go_on`."""

    store: Store
    done: list[int] = field(default_factory=list)
    looks: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.parts = SimpleNamespace(store=self.store, now=time.time, owner="tests:1")

    def arrive(self, number: int) -> None:
        row = {"id": number, "key": f"k{number}", "mailbox": "support", "message_id": f"<{number}@x>"}
        times = {"received": number, "created_at": 1.0, "changed_at": 1.0}
        with self.store.write() as connection:
            connection.execute(arrivals.insert().values(**row, **times))

    def advance(self, number: int, worker: str) -> None:
        with self.store.write() as connection:
            connection.execute(arrivals.update().where(arrivals.c.id == number).values(state="none"))
        self.done.append(number)
        if number == 1:
            self.go_on.wait(20)

    def looked(self) -> None:
        """Every mailbox is worked for; called with each look."""
        self.looks += 1


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    store = Store(tmp_path / "store.sqlite")
    yield Work(store)
    store.close()


@pytest.fixture
def queue(work: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalQueue]:
    monkeypatch.setattr(queue_local, "LOOK_ANYWAY", 0.2)
    made = LocalQueue(work, 8, mailboxes=work.looked)
    made.start()
    yield made
    work.go_on.set()
    assert made.stop(10)


def test_threads_without_work_look_for_each_other(work: Work, queue: LocalQueue) -> None:
    time.sleep(2.0)
    assert 1 < work.looks <= 20  # each for itself they would have looked 80 times


def test_what_becomes_due_is_found_without_a_word_while_a_thread_is_at_work_for_long(
    work: Work, queue: LocalQueue
) -> None:
    for number in range(1, 5):
        work.arrive(number)
        eventually(lambda number=number: number in work.done, 20)


def test_news_that_comes_during_a_look_is_not_lost(
    work: Work, queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = queue_local.arrivals.due

    def too_early(*arguments: Any, **more: Any) -> list[ArrivalRow]:
        found = due(*arguments, **more)
        if not work.done and not found:
            monkeypatch.setattr(queue_local.arrivals, "due", due)
            work.arrive(2)
            time.sleep(0.3)  # the others see that somebody looks, and wait
            queue.wake()
            time.sleep(0.3)
        return found

    monkeypatch.setattr(queue_local, "LOOK_ANYWAY", 60.0)
    time.sleep(0.5)
    monkeypatch.setattr(queue_local.arrivals, "due", too_early)
    queue.wake()
    eventually(lambda: work.done == [2], 20)


def test_news_is_worked_on_at_once(work: Work, queue: LocalQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    eventually(lambda: work.looks > 0, 20)
    monkeypatch.setattr(queue_local, "LOOK_ANYWAY", 60.0)
    time.sleep(0.5)
    work.arrive(2)
    queue.wake()
    eventually(lambda: work.done == [2], 20)
