"""A process that works on batches until nothing waits any more; for tests that kill it.

    python -m servers.batch_worker STORE BASE_URL      (with `tests` on PYTHONPATH)

Its clock runs 600 times as fast as the world's, from 1,800,000,000 on. A finished arrival becomes "drafted".
"""

import sys
import time
from pathlib import Path

from mailassist.daemon.batches import Batches
from mailassist.model.answers import Answer
from mailassist.model.batch import BatchApi
from mailassist.model.connection import Endpoint
from mailassist.store.database import Store
from mailassist.store.team_schema import arrivals
from mailassist.team_settings import Limits


def main(path: str, url: str) -> None:
    """Until nothing waits and no batch is open."""
    store, begun = Store(Path(path)), time.time()

    def finish(arrival_id: int, answer: Answer) -> None:
        with store.write() as connection:
            mine = arrivals.c.id == arrival_id
            connection.execute(arrivals.update().where(mine).values(state="drafted", reason=answer.text))

    def clock() -> float:
        return 1_800_000_000.0 + (time.time() - begun) * 600

    batches = Batches(store, BatchApi(Endpoint(url, api="responses")), finish, Limits(), clock=clock)
    while not batches.idle():
        batches.work()
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
