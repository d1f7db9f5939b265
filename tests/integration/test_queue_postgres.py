"""Workers as real processes share the work of a team; one that is killed is replaced, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import postgres as postgres_server

from mailassist.daemon.queue_postgres import PostgresQueue
from mailassist.errors import StoreError
from mailassist.store import arrivals, cases, looks
from mailassist.store.database import Store

SCRIPT = Path(__file__).parents[1] / "servers" / "queue_worker.py"
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def database(postgres: postgres_server.Postgres) -> postgres_server.Database:
    made = postgres.database(postgres_server.with_tables)
    made.execute("CREATE TABLE done (arrival int, what text, pid int)", role="owner")
    return made


@pytest.fixture
def store(database: postgres_server.Database) -> Iterator[Store]:
    opened = Store.on_postgres(database.url())
    yield opened
    opened.close()


@pytest.fixture
def start(database: postgres_server.Database) -> Iterator[Start]:
    """Starts a worker process: seconds for each arrival, how many at once."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def begin(seconds: float, at_once: int, beat: float = 0.5) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(SCRIPT), database.url(), str(seconds), str(at_once), str(beat)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
        assert started[-1].stdout is not None and started[-1].stdout.readline() == b"ready\n"
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def arrive(
    store: Store, *numbers: int, conversation: str = "", sender: str = "anna@test", at: float = 0.0
) -> list[int]:
    ids = []
    for number in numbers:
        about = cases.About(conversation or f"<{number}@test>", (f"<{number}@test>",), "Hello", "Anna")
        one = looks.Arrived(
            f"k{number}", f"<{number}@test>", "INBOX", 1, number, sender, float(number), about=about, not_before=at
        )
        ids += looks.take_in(store, "m", [one], {}, now=1.0)
    return ids


def until(found: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def delivered(store: Store) -> int:
    return arrivals.counted(store).get(("m", "delivered"), 0)


def test_a_killed_workers_row_is_taken_over_and_none_is_done_twice(
    database: postgres_server.Database, store: Store, start: Start
) -> None:
    ids = arrive(store, *range(12))
    first = start(1.0, 4)
    until(lambda: len(database.execute("SELECT 1 FROM done")) >= 4)
    second = start(0.1, 4)
    first.kill()
    until(lambda: delivered(store) == 12)
    ended = database.execute("SELECT arrival, count(*) FROM done WHERE what = 'ended' GROUP BY 1 ORDER BY 1")
    assert ended == [(one, 1) for one in ids]
    again = database.execute("SELECT arrival FROM done WHERE what = 'began' GROUP BY 1 HAVING count(*) > 1")
    assert again  # what the first had in hand
    until(lambda: database.execute("SELECT 1 FROM procrastinate_jobs") == [])
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0


def test_two_of_a_case_are_never_in_hand_at_once(
    database: postgres_server.Database, store: Store, start: Start
) -> None:
    ids = arrive(store, 1, 2, conversation="<one@test>")
    with store.write() as connection:  # the older one was not superseded
        connection.execute(arrivals._arrivals.update().values(state="seen"))
    start(0.5, 2)
    start(0.5, 2)
    until(lambda: delivered(store) == 2)
    steps = [what for _, what in database.execute("SELECT arrival, what FROM done")]
    assert steps == ["began", "ended"] * 2 and len(ids) == 2


def test_what_waits_is_done_when_it_is_due_and_what_fails_is_tried_again(
    database: postgres_server.Database, store: Store, start: Start
) -> None:
    (later,) = arrive(store, 1, at=time.time() + 5)
    (newer,) = arrive(store, 2, sender="fails@test")
    start(0.0, 2)
    until(lambda: delivered(store) == 2)
    began = [arrival for arrival, what in database.execute("SELECT arrival, what FROM done") if what == "began"]
    assert began[0] == newer and sorted(began) == sorted([later, newer, newer])


def test_workers_go_on_after_the_database_was_away() -> None:
    with postgres_server.running() as server:  # one of its own: it is killed
        database = server.database(postgres_server.with_tables)
        database.execute("CREATE TABLE done (arrival int, what text, pid int)", role="owner")
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, str(SCRIPT), database.url(), "0.3", "2", "0.5"]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        try:
            assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
            store = Store.on_postgres(database.url())
            arrive(store, *range(10))
            until(lambda: delivered(store) >= 2)
            server.restart(signal.SIGQUIT)
            until(lambda: delivered(store) == 10)
            store.close()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
            worker.wait()


def test_a_heartbeat_that_fails_is_not_the_last(database: postgres_server.Database, start: Start) -> None:
    name, away = "procrastinate_update_heartbeat_v1", "away"
    start(0.0, 1)

    def is_silent() -> bool:
        beats = "SELECT last_heartbeat < clock_timestamp() - interval '2 s' FROM procrastinate_workers"
        return database.execute(beats) == [(True,)]

    until(lambda: database.execute("SELECT 1 FROM procrastinate_workers"))
    database.execute(f"ALTER FUNCTION {name} RENAME TO {away}")
    until(is_silent)
    database.execute(f"ALTER FUNCTION {away} RENAME TO {name}")
    until(lambda: not is_silent(), 20)


def test_stopping_waits_for_what_is_in_hand(database: postgres_server.Database, store: Store, start: Start) -> None:
    arrive(store, 1, 2)
    worker = start(3.0, 1, 2.0)
    until(lambda: database.execute("SELECT 1 FROM done"))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert [what for _, what in database.execute("SELECT arrival, what FROM done")] == ["began", "ended"]
    assert delivered(store) == 1


def test_a_job_is_made_once_and_another_version_is_refused(database: postgres_server.Database, store: Store) -> None:
    one, two = arrive(store, 1, 2)
    queue = PostgresQueue(database.url(), None, store, lambda arrival: None, owner="test")
    assert queue.defer(one, 1) and not queue.defer(one, 1)
    assert not queue.defer(two, 2, time.time() + 60)
    assert queue.sweep() == 1 and queue.sweep() == 0
    queue.close()
    database.execute("UPDATE facts SET value = '00' WHERE name = 'queue version'")
    with pytest.raises(StoreError, match="Run `mailassist db upgrade`"):
        PostgresQueue(database.url(), None, store, lambda arrival: None, owner="test")
