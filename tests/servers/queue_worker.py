"""A worker process of the queue in PostgreSQL, for tests: each arrival takes a while, then it is delivered.

It writes down what it begins and ends into the table `done`: arrival, what, process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial

import sqlalchemy as sa

from mailassist.daemon.queue_postgres import PostgresQueue
from mailassist.store import arrivals
from mailassist.store.database import Store


def main(url: str, seconds: float, concurrency: int, beat: float) -> None:
    store = Store.on_postgres(url)
    stop = threading.Event()
    owner = f"worker:{os.getpid()}"
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def note(connection: sa.Connection, arrival: int, what: str) -> None:
        values = {"arrival": arrival, "what": what, "pid": os.getpid()}
        connection.execute(sa.text("INSERT INTO done VALUES (:arrival, :what, :pid)"), values)

    def work(arrival: int) -> float | None:
        row = arrivals.lease(store, arrival, owner, now=time.time(), seconds=300)
        if row is None:
            return time.time() + 1
        with store.write() as connection:
            note(connection, arrival, "began")
        if row.attempts == 0 and row.sender == "fails@test":
            arrivals.advance(store, row, now=time.time(), attempts=1, owner="", leased_until=0.0)
            raise RuntimeError("as it was told")
        time.sleep(seconds)
        # In one transaction: a kill between the two, or a look, would find it delivered and not ended.
        ended = partial(note, arrival=arrival, what="ended")
        arrivals.advance(store, row, now=time.time(), state="delivered", also=ended)
        return None

    def troubled(error: Exception) -> None:
        print(error, file=sys.stderr, flush=True)

    queue = PostgresQueue(url, None, store, work, owner=owner, troubled=troubled, beat=beat, dead_after=4 * beat)
    print("ready", flush=True)
    ended = queue.run_workers(concurrency, stop)
    queue.close()
    store.close()
    os._exit(0 if ended else 3)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
