"""The daemon as one process: what runs in it, how it starts, reloads and stops."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from mailassist.config import Config
from mailassist.daemon import logs
from mailassist.daemon.calls import ModelCalls
from mailassist.daemon.connections import WorkConnections
from mailassist.daemon.deferring import Aside
from mailassist.daemon.health import Health
from mailassist.daemon.lookout import Lookout
from mailassist.daemon.parts import Parts, mailboxes_of
from mailassist.daemon.people import People
from mailassist.daemon.queue_local import LocalQueue
from mailassist.daemon.retention import Retention
from mailassist.daemon.steps import Steps
from mailassist.daemon.systemd import Notifier, Watchdog
from mailassist.daemon.upkeep import Upkeep
from mailassist.daemon.watching.budget import budget
from mailassist.daemon.watching.mailbox import PATIENCE
from mailassist.delivery.work import alive, this_process
from mailassist.errors import ConfigError, MailassistError, StoreError
from mailassist.secrets import Keeper
from mailassist.store import arrivals, mailboxes
from mailassist.store.arrivals import ArrivalRow
from mailassist.store.database import Store
from mailassist.team.audit import Trail
from mailassist.team.status import Overview
from mailassist.transport.permitted import DraftsOnly
from mailassist.transport.source import MailSource
from mailassist.transport.throttling import Patience

if TYPE_CHECKING:
    from mailassist.daemon.serving import Serving
    from mailassist.daemon.workers import Workers

FINISH_WITHIN = 20.0  # seconds that calls to a model get to end by themselves
STOP_WITHIN = 28.0  # seconds for what is in flight; systemd and people expect an end within 30
LEAVE_AFTER = 29.0  # seconds after which a thread that hangs (a database, a server) keeps the process no longer
_TURN = 0.25  # seconds between two looks of the main thread
log = logs.logger("daemon")


@dataclass(frozen=True, slots=True)
class Wish:
    """How this run differs from the ordinary one."""

    shadow: bool = False  # nothing is put into any mailbox
    once: bool = False  # catch up, work until nothing is left, end
    workers_only: bool = False  # work, but watch nothing


class Service:
    """One daemon."""

    def __init__(
        self,
        config: Config,
        *,
        config_path: Path,
        store: Store,
        audit_key: bytes,
        wish: Wish,
        reload: Callable[[], Config],
        database: tuple[str, str | None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`reload` reads the configuration again, for SIGHUP; `database`: PostgreSQL's address and password.

        Raises ConfigError.
        """
        self._database = database
        self.config = without_smtp(config)
        self._config_path = config_path
        self._reload = reload
        self.store = store
        self._wish = wish
        self._now = now
        self._owner = this_process()
        self.leave: Callable[[], object] | None = None  # ends the process where something hangs as it stops
        self._boxes = mailboxes_of(self.config)
        if not self._boxes:
            raise ConfigError(
                "No team mailbox is configured", cure="Add a table [accounts.NAME.team]; `mailassist config example`."
            )
        self._stop = threading.Event()  # nothing new is begun
        self._cut = threading.Event()  # what is in flight ends, too
        self._reload_wanted = threading.Event()
        self._keeper = Keeper(lambda line: log.warning("a secret", text=line), found=logs.keep_out)
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier)
        self._connections = WorkConnections(
            self.config.accounts, partial(self._opened, patience=Patience()), self._most_connections
        )
        self._shared = store if not store.is_sqlite else None
        self._calls = self._model_calls()
        self._days = self._retention_days()
        self.trail = Trail(store, audit_key, now, retention_days=self._days)
        self._people = self._new_people()
        self._aside = Aside(
            lambda: self.parts, self._calls.endpoint, finished=lambda: self.queue.wake(), stopped=self._cut.is_set
        )
        self.parts = self._new_parts()
        self.steps = Steps(self.parts, stopped=self._stop.is_set, cut=self._cut.is_set)
        self.queue = self._new_queue()
        self._lookout: Lookout | None = None
        self._serving: Serving | None = None
        self._health: Health | None = None

    # -- the run

    def run(self) -> int:
        """Work until SIGTERM or SIGINT (or, `once`, until nothing is left to do); the exit code."""
        with ExitStack() as closing:
            closing.callback(self._close)
            self._handle_signals(closing)
            closing.enter_context(self.store.hold_schema())
            freed = arrivals.release_dead(self.store, self._is_alive, now=self._now())
            log.info("starts", mailboxes=len(self._boxes), version=_version(), freed=freed, shadow=self._wish.shadow)
            self._begin(closing)
            self._notifier.ready(self._status())
            log.info("ready")
            if self._wish.once:
                self._until_done()
            else:
                self._until_stopped()
            self._notifier.stopping()
            log.info("stops")
            self._end()
        used = {step: {"times": times, "seconds": round(spent, 3)} for step, (times, spent) in self.steps.used.items()}
        log.info("stopped", processor_time=used)
        return 0

    def stop(self) -> None:
        """End after what is in flight."""
        self._stop.set()

    def _begin(self, closing: ExitStack) -> None:
        self.queue.start()
        upkeep = Upkeep(
            lambda: self.parts, self.trail, self._connections, stopped=self._stop,
            more=(("retention", 3600.0, self._delete_old), ("batches", 60.0, self._aside.work)),
        )  # fmt: skip
        self._thread(closing, "upkeep", upkeep.run)
        self._thread(closing, "people", lambda: self._people.run(self._stop))
        self._health = self._listening(self.config.daemon.health)
        if self.config.daemon.review_socket is not None:
            self._serve_reviewers(closing, self.config.daemon.review_socket)
        if not self._wish.workers_only:
            self._lookout = Lookout(
                lambda: self.parts,
                partial(self._opened, patience=PATIENCE),
                found=self.queue.wake,
                progressed=self._watchdog.progress,
                watchers=self.config.daemon.watchers,
            )
            for name, work in self._lookout.threads(self._stop).items():
                self._thread(closing, name, work)

    def _until_stopped(self) -> None:
        told = 0.0
        while not self._stop.wait(_TURN):
            if self._reload_wanted.is_set():
                self._reload_wanted.clear()
                self.take_over()
            if time.monotonic() - told >= 30.0:
                told = time.monotonic()
                self._notifier.status(self._status())

    def _until_done(self) -> None:
        """Every mailbox was looked at or is known to be broken, and nothing is due."""
        since = self._now()
        while not self._stop.wait(_TURN):
            rows = mailboxes.rows(self.store)
            looked = all(
                name in rows and max(rows[name].looked_at or 0.0, rows[name].error_at or 0.0) >= since
                for name in self._boxes
            )
            due = arrivals.due(self.store, now=self._now(), limit=1)
            if (looked or self._wish.workers_only) and not due and not self.queue.busy:
                self._stop.set()

    def _end(self) -> None:
        if self.leave is not None and not self._wish.once:  # also while Python waits for threads at its own end
            _after(LEAVE_AFTER, self._leave)
        cutting = _after(FINISH_WITHIN, self._cut.set)
        if not self.queue.stop(STOP_WITHIN):
            log.warning("some work did not end in time; it is gone on with at the next start")
        cutting.cancel()

    def _leave(self) -> None:
        log.warning("something hangs; the process ends, and the next start goes on")
        assert self.leave is not None
        self.leave()

    def _close(self) -> None:
        self._stop.set()
        self._cut.set()
        if self._health is not None:
            self._health.close()
        self._connections.close_unused(all_of_them=True)
        self._calls.close()
        for name in self._boxes:
            mailboxes.let_go(self.store, name, watcher=self._owner)

    # -- a new configuration

    def take_over(self) -> bool:
        """Read the configuration again and take it over where it is valid; whether it was."""
        self._notifier.reloading()
        health = self._health
        with ExitStack() as undoing:
            try:
                config = without_smtp(self._reload())
                boxes = mailboxes_of(config)
                if not boxes:
                    raise ConfigError("No team mailbox is configured any more")
                if config.daemon.health != self.config.daemon.health:
                    health = self._listening(config.daemon.health)
                    if health is not None:
                        undoing.callback(health.close)
                self._people.take_over({name: box.policy for name, box in boxes.items()}, config.daemon.notices)
            except MailassistError as error:
                log.error("the new configuration is not valid; the old one stays", error=error)
                self._notifier.ready(self._status())
                return False
            undoing.pop_all()
        if self._health is not None and self._health is not health:
            self._health.close()
        if config.team.database != self.config.team.database:
            log.warning("another address of the database holds from the next start on")
        self.config, self._boxes, self._health = config, boxes, health
        logs.set_up(key=self.store.key(), log_content=config.daemon.log_content)
        self._days.clear()
        self._days.update(self._retention_days())
        self._calls.take_over(config, boxes)
        self.parts = self._new_parts()
        self.steps.parts = self.parts
        self._aside.take_over()
        if self._lookout is not None:
            self._lookout.take_over()
        if self._serving is not None:
            self._serving.take_over()
        log.info("the new configuration holds", mailboxes=len(boxes))
        self._notifier.ready(self._status())
        return True

    # -- parts

    def _new_parts(self) -> Parts:
        folder = self._config_path.parent / "templates"
        return Parts(
            config=self.config,
            store=self.store,
            mailboxes=self._boxes,
            connections=self._connections,
            calls=self._calls,
            now=self._now,
            owner=self._owner,
            shadow=self._wish.shadow,
            started=self._now(),
            overrides=folder if folder.is_dir() else None,
            trail=self.trail,
            people=self._people,
            failed=self._failed,
            defer=self._aside,
        )

    def _retention_days(self) -> dict[str, int]:
        return {name: box.policy.retention_days for name, box in self._boxes.items()}

    def _new_people(self) -> People:
        policies = {name: box.policy for name, box in self._boxes.items()}
        return People(self.store, policies, self.config.daemon.notices, now=self._now)

    def _model_calls(self) -> ModelCalls:
        return ModelCalls(self.config, self._boxes, self._keeper, self._today, shared=self._shared)

    def _new_queue(self) -> Workers:
        count = self.config.daemon.workers
        if self._database is None:
            return LocalQueue(
                self.steps, count, progressed=self._watchdog.progress, troubled=self._store_is_away
            )  # fmt: skip
        from mailassist.daemon.queue_postgres import PostgresQueue
        from mailassist.daemon.workers import PostgresWorkers

        url, password = self._database

        def opened(work: Callable[[int], float | None]) -> PostgresQueue:
            return PostgresQueue(
                url, password, self.store, work, owner=self._owner, now=self._now, troubled=self._store_is_away
            )

        return PostgresWorkers(opened, lambda: self.steps, count, progressed=self._watchdog.progress)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), UTC).date()

    def _most_connections(self, name: str) -> int:
        account = self.config.accounts.get(name)
        watching = 0 if self._wish.workers_only else 1
        return max(1, budget(account.imap.host) - watching) if account is not None and account.imap is not None else 1

    def _opened(self, name: str, patience: Patience) -> MailSource:
        """A connection that can read, and write drafts only."""
        from mailassist.transport.imap import connect

        account = self.config.accounts.get(name)
        if account is None or account.imap is None:
            raise ConfigError(
                f"{name} is no IMAP mailbox", cure=f"Add [accounts.{name}.imap], or remove its team table."
            )

        def secret() -> SecretStr:
            return self._keeper.get(name, account.secret)

        return connect(
            account.imap, account.address, secret, account.folders, patience=patience, permitted=DraftsOnly()
        )

    def _store_is_away(self, error: StoreError) -> None:
        log.error("the store cannot be used", error=error)

    def _failed(self, row: ArrivalRow, error: MailassistError) -> None:
        log.warning("a step failed", mailbox=row.mailbox, arrival=row.id, case=row.case_id, step=row.state, error=error)

    # -- from time to time

    def _delete_old(self) -> None:
        policies = {name: box.policy for name, box in self._boxes.items()}
        retention = Retention(self.store, policies, now=self._now)
        if retention.due:
            retention.run(self._stop.is_set)

    # -- what others see

    def _listening(self, where: str) -> Health | None:
        """Health at an address of the configuration, None for none. Raises ConfigError."""
        if not where:
            return None
        return Health(
            where, self._overview, since_progress=lambda: self._watchdog.since_progress,
            watched=lambda: self._lookout.names if self._lookout else [],
        )  # fmt: skip

    def _overview(self) -> Overview:
        from mailassist.team import status

        return status.look(self.store, self.config, now=self._now())

    def _status(self) -> str:
        counts = arrivals.counted(self.store)
        waiting = sum(count for (_, state), count in counts.items() if state in arrivals.ON_THE_WAY)
        return f"{len(self._boxes)} mailboxes, {waiting} messages on their way"

    def _serve_reviewers(self, closing: ExitStack, path: Path) -> None:
        from mailassist.daemon.serving import Serving
        from mailassist.team.status import as_record

        def status() -> Mapping[str, object]:
            return as_record(self._overview())

        self._serving = Serving(path.expanduser(), self.store, self.trail, lambda: self.config, status, self._now)
        closing.callback(self._serving.stop)

    # -- signals and threads

    def _handle_signals(self, closing: ExitStack) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        handlers: Mapping[str, Callable[..., object]] = {
            "SIGTERM": lambda *_: self._stop.set(),
            "SIGINT": lambda *_: self._stop.set(),
            "SIGHUP": lambda *_: self._reload_wanted.set(),
        }
        for name, handler in handlers.items():
            number = getattr(signal, name, None)
            if number is not None:
                closing.callback(signal.signal, number, signal.signal(number, handler))

    def _thread(self, closing: ExitStack, name: str, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        closing.callback(thread.join, 5.0)
        closing.callback(self._stop.set)

    def _is_alive(self, owner: str) -> bool:
        """Whether the worker `host:pid:thread` may still run."""
        process = owner.rpartition(":")[0]
        return process != self._owner and alive(process)


def without_smtp(config: Config) -> Config:
    """The configuration without any way to send: the daemon has no use for it, and looks for none of its secrets."""
    accounts = {
        name: account.model_copy(update={"smtp": None, "smtp_secret": None})
        for name, account in config.accounts.items()
    }
    return config.model_copy(update={"accounts": accounts})


def _after(seconds: float, do: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
    return timer


def report(store: Store, boxes: Sequence[str]) -> list[tuple[str, str, int]]:
    """Mailbox, state and count of cases, for `--once`."""
    from mailassist.store import cases

    counted = cases.counted(store)
    return sorted((mailbox, state, count) for (mailbox, state), count in counted.items() if mailbox in boxes)


def _version() -> str:
    from mailassist import __version__

    return __version__
