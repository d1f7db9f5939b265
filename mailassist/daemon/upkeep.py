"""What has to be done from time to time beside the mail itself, in one thread, each with its own error boundary."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailassist.daemon import logs
from mailassist.daemon.connections import WorkConnections
from mailassist.daemon.parts import Parts
from mailassist.errors import MailassistError
from mailassist.intake.sync import backfill
from mailassist.store import approvals, arrivals, drafts, index, retrying, review
from mailassist.store.approvals import ApprovalRow
from mailassist.team.audit import Trail

if TYPE_CHECKING:
    import sqlalchemy as sa

DAY = 86_400.0
UNCLAIMED = 1800.0  # seconds until an approval counts as given up: twice as long as a claim lasts
log = logs.logger("upkeep")


@dataclass(slots=True)
class _Task:
    """Something that is done every so many seconds."""

    name: str
    every: float
    work: Callable[[], object]
    due: float = 0.0


class Upkeep:
    """The tasks of one daemon."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        trail: Trail,
        connections: WorkConnections,
        *,
        stopped: threading.Event,
        more: tuple[tuple[str, float, Callable[[], object]], ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`parts`: those of the configuration in force; `more`: further tasks, (name, seconds, work)."""
        self._parts = parts
        self._trail = trail
        self._connections = connections
        self._stopped = stopped
        self._clock = clock
        self._tasks = [
            _Task("connections", 10.0, self._connections.close_unused),
            _Task("seal", 2.0, self._trail.seal_inbox),
            _Task("left behind", 10.0, lambda: settle(self._parts())),
            _Task("backfill", 60.0, self._backfill, clock() + 20.0),
            _Task("head", DAY, self._log_head, clock() + 5.0),
            _Task("backup", 3600.0, self._back_up, clock() + 60.0),
            *(_Task(*one) for one in more),
        ]

    def run(self) -> None:
        """Until it is time to stop."""
        while not self._stopped.wait(1.0):
            for task in self._tasks:
                if self._clock() < task.due or self._stopped.is_set():
                    continue
                task.due = self._clock() + task.every
                try:
                    task.work()
                except MailassistError as error:
                    log.warning("a task failed", task=task.name, error=error)
                except Exception:
                    log.exception("a task failed", task=task.name)

    def _log_head(self) -> None:
        """What proves later that nothing was cut off the trail's end."""
        number, seal = self._trail.head()
        log.info("the audit trail", entries=number, head=seal)

    def _back_up(self) -> None:
        parts = self._parts()
        parts.store.back_up(now=parts.now())

    def _backfill(self) -> None:
        """Read the header index of one mailbox on, below what the looks have read: conversations reach far back."""
        parts = self._parts()
        unread = index.incomplete(parts.store)
        for name, box in parts.mailboxes.items():
            if name not in unread:
                continue
            with parts.connections.borrowed(name) as source:
                through = backfill(
                    source, parts.store, name, box.account, now=parts.now, stopped=self._stopped.is_set
                )  # fmt: skip
            log.info("the header index", mailbox=name, complete=through)
            return


def settle(parts: Parts) -> None:
    """What people, crashes, and steps that crossed each other left behind, in all mailboxes at once.

    Approvals that nobody goes on with, cases that were answered while they were approved, what is to be tried again,
    drafts in the Drafts folder of cases that (now) have none, and drafts that belong there and are not (after a shadow
    run).
    """
    now, names = parts.now(), list(parts.mailboxes)

    def noted(connection: sa.Connection, row: ApprovalRow, mailbox: str) -> None:
        if row.state == "unknown" and not parts.shadow:
            reason = f"{approvals.NOBODY_KNOWS}: `mailassist team settle {row.case_id} sent|not-sent`"
            parts.people.case(connection, mailbox, row.case_id, reason, blocked=True)
        about = {"approval": row.id, "of": row.who}
        parts.trail.record_in(
            connection, row.state, who="daemon", mailbox=mailbox, case_id=row.case_id, details=about
        )  # fmt: skip

    approvals.give_up(parts.store, names, now=now, seconds=UNCLAIMED, noted=noted)
    arrivals.settle_answered(parts.store, names, now=now)
    retrying.begin(parts.store, names, now=now)
    drafts.forget_away(parts.store)
    if parts.shadow:
        return
    if found := review.to_withdraw(parts.store, names):
        arrivals.withdraw(parts.store, found, now=now)
    into_drafts = [name for name, box in parts.mailboxes.items() if box.policy.draft_mode != "queue"]
    arrivals.place_kept(parts.store, into_drafts, now=now)
