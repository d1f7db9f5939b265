"""Who does the next step on several machines: procrastinate's workers, on the tables beside ours in PostgreSQL.

There are jobs only for what can be worked on now: every worker process looks for such rows each second, one at a time,
so a job that was lost is made again, and one that waits never stands before a newer one of its case. The store decides
who works on a row (lease and fence); the locks of the jobs only keep workers from trying in vain. A worker that sends
no heartbeat any more loses its jobs to the others. One that failed at a row, because the database was away, gives the
lease back when it can: until then nobody could work on it, and no job would help.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import procrastinate
import sqlalchemy as sa
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from mailassist.errors import StoreError
from mailassist.store import arrivals
from mailassist.store.database import Store
from mailassist.store.postgres_server import HOLD, PostgresServer
from mailassist.store.team_schema import arrivals as rows
from mailassist.store.upgrading import queue_version, queue_wanted

BEAT = 5.0  # seconds between two signs of life of a worker
DEAD_AFTER = 25.0  # seconds without one
LOOK_EVERY = 1.0  # seconds between two looks for rows that have become due
_AT_ONCE = 500  # rows of one look
_GRACE = 22.0  # seconds for what is in flight, when it is time to stop; without heartbeats, so less than DEAD_AFTER
_LONGEST_PAUSE = 60  # seconds until a job that failed is tried again
_QUEUE = "mailassist"
_TASK = "mailassist.advance"
_LOOK_LOCK = "mailassist: look for due rows"
_jobs = sa.table("procrastinate_jobs", sa.column("queueing_lock"), sa.column("status"))


class PostgresQueue:
    """Jobs for arrivals, and workers that do them. Thread-safe; close it in the end."""

    def __init__(
        self,
        url: str,
        password: str | None,
        store: Store,
        work: Callable[[int], float | None],
        *,
        owner: str,
        now: Callable[[], float] = time.time,
        troubled: Callable[[StoreError], object] = lambda error: None,
        beat: float = BEAT,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        """`work`: takes an arrival's id and brings it on its way; None when nothing is left to do, else when to look
        again.

        `owner`: this process, as its leases name it, before the colon and the name of a thread, if any.
        `troubled` is called where the database cannot be used; it is tried again. Raises StoreError where the queue's
        tables are not those of the procrastinate that is installed.
        """
        with store.read() as connection:
            if queue_version(connection) != queue_wanted():
                raise StoreError(
                    f"The queue of {store.name} is of another version", cure="Run `mailassist db upgrade`."
                )
        self._server = PostgresServer(url, password)
        self._store = store
        self._work = work
        self._owner = owner
        self._now = now
        self._troubled = troubled
        self._beat, self._dead_after = beat, dead_after
        address, settings = self._server.for_the_driver
        self._pool: dict[str, Any] = {"conninfo": address, "kwargs": settings, "min_size": 1}
        self._opening = threading.Lock()
        self._deferring: procrastinate.App | None = None
        self._in_hand: set[int] = set()  # jobs that threads of this process are at
        self._failed: set[int] = set()  # arrivals whose work failed, perhaps with the lease kept
        self._giving_back = threading.Lock()
        self._worker: int | None = None  # the present worker of this process, by its number in the database
        self._adrift: set[int] = set()  # its jobs that no thread was at when we last looked

    def defer(self, arrival_id: int, case_id: int | None, at: float | None = None, *, backlog: bool = False) -> bool:
        """Make the job of an arrival; whether there was none. `at`: later than now, its row is found when it is due.

        Raises StoreError.
        """
        if at is not None and at > self._now():
            return False
        name = f"arrival {arrival_id}"
        lock = f"case {case_id}" if case_id is not None else name
        try:
            job = self._app_to_defer().configure_task(
                _TASK, queue=_QUEUE, lock=lock, queueing_lock=name, priority=-1 if backlog else 0
            )
            job.defer(arrival_id=arrival_id)
        except AlreadyEnqueued:
            return False
        except ConnectorException as error:
            raise self._gone(error) from error
        return True

    def sweep(self) -> int:
        """Make jobs for rows that are due and have none; how many. One process does it at a time. Raises StoreError."""
        now = self._now()
        name = sa.literal("arrival ") + sa.cast(rows.c.id, sa.String)
        status = sa.cast(_jobs.c.status, sa.String)
        has_job = sa.exists().where(_jobs.c.queueing_lock == name, status.in_(("todo", "doing")))
        due = (
            sa.select(rows.c.id, rows.c.case_id, rows.c.backlog)
            .where(arrivals.is_due(now), sa.not_(has_job))
            .order_by(*arrivals.TURN)
            .limit(_AT_ONCE)
        )
        alone = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(_LOOK_LOCK, 0))
        with self._store.write() as connection:
            if not connection.scalar(sa.select(alone)):
                return 0
            found = connection.execute(due).all()
            return sum(self.defer(row.id, row.case_id, backlog=row.backlog) for row in found)

    def run_workers(self, concurrency: int, stop: threading.Event) -> bool:
        """Do jobs, `concurrency` at once, until `stop` is set; then take no more, and wait for those in flight.

        False where some did not end in half a minute: their threads live on, other workers take their jobs over.
        """
        threads = ThreadPoolExecutor(concurrency + 2, thread_name_prefix="worker")
        loop = asyncio.new_event_loop()
        loop.set_default_executor(threads)
        try:
            return loop.run_until_complete(self._until(stop, concurrency))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            loop.close()

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._deferring is not None:
                self._deferring.close()
                self._deferring = None
        self._server.engine.dispose()

    async def _until(self, stop: threading.Event, concurrency: int) -> bool:
        while not stop.is_set():
            session = asyncio.ensure_future(self._session(concurrency))
            while not session.done() and not stop.is_set():
                await asyncio.wait({session}, timeout=0.2)
            if not session.done():
                session.cancel()
                await asyncio.wait({session}, timeout=_GRACE + 4)
                return session.done()
            error = None if session.cancelled() else session.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            self._troubled(self._gone(error))
            await asyncio.sleep(LOOK_EVERY)
        return True

    async def _session(self, concurrency: int) -> None:
        """One worker, until the database goes away or it is cancelled."""
        pool = {**self._pool, "max_size": 8, "configure": _hold, "timeout": 10.0}
        connector = procrastinate.PsycopgConnector(**pool)
        app = self._app(connector)
        app.job_manager = _Jobs(connector, self._registered, lambda error: self._troubled(self._gone(error)))
        async with app.open_async():
            keeping = asyncio.ensure_future(self._keep(app))
            try:
                await app.run_worker_async(
                    queues=[_QUEUE],
                    concurrency=concurrency,
                    name=self._server.for_the_driver[1]["application_name"],
                    install_signal_handlers=False,
                    delete_jobs="always",
                    shutdown_graceful_timeout=_GRACE,
                    update_heartbeat_interval=self._beat,
                    stalled_worker_timeout=self._dead_after,
                    fetch_job_polling_interval=LOOK_EVERY,
                )
            finally:
                keeping.cancel()

    async def _keep(self, app: procrastinate.App) -> None:
        """Look for due rows, and for jobs of workers that are gone."""
        loop = asyncio.get_running_loop()
        looked = 0.0
        while True:
            try:
                await loop.run_in_executor(None, self._give_back)
                await loop.run_in_executor(None, self.sweep)
                if loop.time() - looked >= self._beat:
                    looked = loop.time()
                    await self._take_over(app)
            except StoreError as error:
                self._troubled(error)
            except ConnectorException as error:
                self._troubled(self._gone(error))
            await asyncio.sleep(LOOK_EVERY)

    async def _take_over(self, app: procrastinate.App) -> None:
        """Make jobs again whose worker is gone, or whose end could not be written while the database was away."""
        manager = app.job_manager
        stalled = list(await manager.get_stalled_jobs(queue=_QUEUE, seconds_since_heartbeat=self._dead_after))
        ours = [job for job in await manager.list_jobs_async(queue=_QUEUE, status="doing") if self._is_adrift(job)]
        stalled += [job for job in ours if job.id in self._adrift]
        self._adrift = {job.id for job in ours if job.id is not None}
        if not stalled:
            return
        ids = [int(str(job.task_kwargs["arrival_id"])) for job in stalled]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: arrivals.release(self._store, ids, now=self._now()))
        for job in stalled:
            try:
                await manager.retry_job(job)
            except ConnectorException:
                continue  # another process was quicker, or it has ended

    def _give_back(self) -> None:
        """Free the rows that the work of this process failed at. Raises StoreError: then the next look does it."""
        with self._giving_back:
            ids = set(self._failed)
            if ids:
                arrivals.release(self._store, ids, now=self._now(), owner=self._owner)
                self._failed -= ids

    def _app(self, connector: Any) -> procrastinate.App:
        app = procrastinate.App(connector=connector)

        def advance(context: procrastinate.JobContext, arrival_id: int) -> None:
            job = context.job
            assert job.id is not None
            self._in_hand.add(job.id)
            try:
                if arrival_id in self._failed:
                    self._give_back()  # now, and never while we work on it again
                self._work(arrival_id)  # whether it is to be looked at again, its row says, too
            except BaseException:
                self._failed.add(arrival_id)
                raise
            finally:
                self._in_hand.discard(job.id)

        app.task(name=_TASK, queue=_QUEUE, retry=_Again(), pass_context=True)(advance)
        return app

    def _registered(self, worker: int) -> None:
        self._worker = worker

    def _is_adrift(self, job: Job) -> bool:
        return job.worker_id is not None and job.worker_id == self._worker and job.id not in self._in_hand

    def _app_to_defer(self) -> procrastinate.App:
        with self._opening:
            if self._deferring is None:
                pool = {**self._pool, "max_size": 4, "configure": _hold_at_once, "timeout": 10.0}
                self._deferring = self._app(procrastinate.SyncPsycopgConnector(**pool))
                self._deferring.open()
            return self._deferring

    def _gone(self, error: BaseException | None) -> StoreError:
        cause = error.__cause__ if isinstance(error, ConnectorException) and error.__cause__ else error
        said = str(cause).strip().split("\n")[0] if cause else "the worker ended"
        return StoreError(f"{self._server.name}: {said}", cure="Check that PostgreSQL runs and can be reached.")


class _Jobs(JobManager):
    """Procrastinate's, but for a heartbeat that fails: the next is sent all the same.

    Nothing watches its heartbeats where no task is periodic. After one that failed, the worker would go on without any,
    and the others would take over whatever it has in hand.
    """

    def __init__(
        self, connector: Any, registered: Callable[[int], None], troubled: Callable[[ConnectorException], object]
    ) -> None:
        super().__init__(connector)
        self._registered, self._troubled = registered, troubled

    async def register_worker(self) -> int:
        worker = await super().register_worker()
        self._registered(worker)
        return worker

    async def update_heartbeat(self, worker_id: int) -> None:
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            self._troubled(error)


class _Again(procrastinate.BaseRetryStrategy):
    """A job that failed is tried again, later each time; no other of its case waits for it."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:
        seconds = min(2 ** min(job.attempts + 1, 10), _LONGEST_PAUSE)
        return procrastinate.RetryDecision(retry_in={"seconds": seconds}, lock=job.queueing_lock)


async def _hold(connection: Any) -> None:
    """A connection of the workers keeps the tables as they are, like each of a store."""
    (stay,) = await (await connection.execute(HOLD)).fetchone()
    await connection.commit()
    if not stay:
        raise StoreError("The database is being upgraded", cure="Try again in a minute.")


def _hold_at_once(connection: Any) -> None:
    (stay,) = connection.execute(HOLD).fetchone()
    connection.commit()
    if not stay:
        raise StoreError("The database is being upgraded", cure="Try again in a minute.")
