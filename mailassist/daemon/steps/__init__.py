"""What is done with one message, step by step: `seen -> triaged -> packed -> drafted -> delivered`.

Each step is idempotent and recorded in the store before the next begins, so that any process can go on after a crash.
The same function serves threads on SQLite and workers on PostgreSQL. What fails says why, waits, and is tried again;
one message never stops another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mailassist.context.loading import load_in_background
from mailassist.daemon.model_use import ModelBusy
from mailassist.daemon.parts import Parts
from mailassist.daemon.steps import drafting, placing, triage, unread
from mailassist.daemon.steps.run import LEASE, Run, Waits
from mailassist.drafting.pipeline import warm_up
from mailassist.errors import (
    BudgetReached,
    CannotStore,
    ConfigError,
    ConnectionFailed,
    LoginError,
    MailassistError,
    NotDraftable,
    SecretError,
    StoreError,
)
from mailassist.mail.safe_text import SafeText
from mailassist.model.connection import warm_up as load_client
from mailassist.model.errors import ModelCallFailed
from mailassist.store import approvals, arrivals, review
from mailassist.store.arrivals import LeaseLost, Outlook

if TYPE_CHECKING:
    import sqlalchemy as sa

_PAUSED = 600.0  # seconds between two looks whether a mailbox is still paused
_LONGEST_BACKOFF = 3600.0
_LONGEST_FOR_MODEL = 60.0  # an outage is the breaker's, for all rows together; this is one call of many that failed
_MOST_ATTEMPTS = 5  # of what is wrong with one message
# What is wrong with a server, mailbox, key, account or the budget, and passes: the message waits as long as it takes.
_PASSING = (ConnectionFailed, CannotStore, LoginError, SecretError, ConfigError, BudgetReached)

_STEPS: dict[str, Callable[[Run], None]] = {
    "unread": unread.read_again,
    "seen": triage.triage,
    "triaged": drafting.pack,
    "packed": drafting.draft,
    "drafted": placing.place,
    "withdrawing": placing.withdraw,
}


class Steps:
    """Brings arrivals on their way; any thread, one arrival of a case at a time."""

    def __init__(
        self, parts: Parts, *, stopped: Callable[[], bool] = lambda: False, cut: Callable[[], bool] = lambda: False
    ) -> None:
        """`stopped`: looked at between steps; `cut`: during calls to a model, which end at once."""
        self.parts = parts
        self._stopped = stopped
        self._cut = cut
        self.used: dict[str, tuple[int, float]] = {}  # by step: how often, and seconds of processor time
        self._counting = threading.Lock()
        self._is_warm = False

    def advance(self, arrival_id: int, worker: str = "") -> float | None:
        """Bring one arrival as far as it goes now.

        None when nothing is left to do or somebody else does it, else when to look again (seconds since 1970). Raises
        StoreError only.
        """
        parts = self.parts
        owner = f"{parts.owner}:{worker}"
        outlook = Outlook()

        def look_ahead(connection: sa.Connection) -> None:
            nonlocal outlook
            outlook = arrivals.outlook(connection, arrival_id)

        row = arrivals.lease(parts.store, arrival_id, owner, now=parts.now(), seconds=LEASE, also=look_ahead)
        if row is None:
            return self._left(arrival_id)
        run, was = Run(parts, row, self._cut, outlook=outlook), row.state
        if was == "seen" and not self._is_warm:
            self._warm_up(row.mailbox)
        try:
            self._go(run)
        except LeaseLost:
            return self._left(arrival_id)
        row = run.row
        if row.state in review.WITHOUT_DRAFT and was != "withdrawing":
            placing.leave_nothing(run)
        return None if row.state not in _STEPS else max(row.not_before, row.leased_until, parts.now())

    def _warm_up(self, mailbox: str) -> None:
        """With the first message: what writing needs is loaded while the mailbox is looked at."""
        self._is_warm = True
        with suppress(MailassistError):  # said by the step that cannot do without
            warm_up(self.parts.calls.info(mailbox), self.parts.overrides)
            load_in_background("load-model-client", load_client)

    def _go(self, run: Run) -> None:
        packs_at_once = False
        while run.row.state in _STEPS and not run.row.not_before > run.parts.now():
            # Packing costs nothing, and the step before it was recorded just now.
            if run.row.state != "withdrawing" and not packs_at_once and self._is_not_wanted(run):
                return
            if self._stopped():
                run.record()  # gives the lease back with the state as it is
                return
            before = run.row.state
            began = time.thread_time()
            try:
                _STEPS[before](run)
                self._count(before, time.thread_time() - began)
                run.parts.mark(f"{before}:done")
            except LeaseLost:
                raise
            except Waits as waits:
                run.record(not_before=waits.until, error=str(waits.reason))
                return
            except StoreError:
                raise
            except MailassistError as error:
                _failed(run, error)
                return
            except Exception as error:  # noqa: BLE001  (a bug, or what a sender found: it costs this message only)
                _failed(run, _Unexpected(error))
                return
            if run.row.state == before:
                return
            packs_at_once = run.row.state == "triaged"

    def _count(self, step: str, seconds: float) -> None:
        with self._counting:
            times, total = self.used.get(step, (0, 0.0))
            self.used[step] = times + 1, total + seconds

    def _is_not_wanted(self, run: Run) -> bool:
        """Whether nothing is drafted (now); what becomes of the message is recorded then.

        Nothing is while drafting is paused for the mailbox, while a reply that a person approved is on its way, nor
        where a person has decided.
        """
        row, store = run.row, run.parts.store
        outlook, run.outlook = run.outlook, None
        if outlook is None:
            with store.read() as connection:
                outlook = arrivals.outlook(connection, row.id)
        paused, decided = outlook.paused, outlook.case
        if paused and row.state != "unread":
            run.record(not_before=run.parts.now() + _PAUSED, error=f"Drafting is paused: {paused}")
            return True
        if decided == "approved":
            until = run.parts.now() + placing.APPROVED
            run.record(not_before=until, error="a person has approved a reply, which is on its way")
            return True
        if decided == "none":
            run.finish("none", placing.NOT_NEEDED)
            return True
        if decided == "answered" and approvals.was_sent(store, row.case_id or 0, row.message_id):
            run.finish("answered", "a reply that a person approved was sent")
            return True
        return False

    def _left(self, arrival_id: int) -> float | None:
        row = arrivals.get(self.parts.store, arrival_id)
        if row is None or row.state not in _STEPS or row.batch:
            return None
        return max(row.not_before, row.leased_until, self.parts.now())


class _Unexpected(MailassistError):
    """Something went wrong that mailassist has no name for."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"Something unexpected happened ({type(error).__name__})", cure="Please report it.")
        self.error = error


def _failed(run: Run, error: MailassistError) -> None:
    """Wait and try again; what is wrong with this very message is given to a person after a few attempts."""
    row, now = run.row, run.parts.now()
    reason = SafeText(error).line()
    run.parts.failed(row, error)
    if row.state == "withdrawing":
        _not_withdrawn(run, error, reason)
        return
    if isinstance(error, NotDraftable):
        hand_to_person(run, reason)
        return
    if isinstance(error, ModelBusy):  # nothing was asked
        run.record(not_before=error.until, error=reason)
        return
    attempts = row.attempts + 1
    passing = _passes(error)
    if not passing and attempts >= _MOST_ATTEMPTS:
        run.finish("failed", reason, case="failed", tell=True, blocked=True)
        return
    run.record(attempts=attempts, not_before=now + _backoff(run, attempts, error), error=reason)


def _backoff(run: Run, attempts: int, error: MailassistError) -> float:
    longest = _LONGEST_FOR_MODEL if isinstance(error, ModelCallFailed) else _LONGEST_BACKOFF
    wait = min(longest, 5.0 * 2.0 ** min(attempts, 20)) * (0.5 + run.parts.random() / 2)
    return max(wait, getattr(error, "seconds", 0.0) or 0.0)


def _not_withdrawn(run: Run, error: MailassistError, reason: str) -> None:
    """The case stays at its end; our draft is tried again for as long as it lies there, and people hear of it once."""
    if isinstance(error, NotDraftable):  # not a team mailbox any more: found again when it is one
        run.record(state="answered", reason=reason)
        return
    attempts = run.row.attempts + 1
    told = attempts == _MOST_ATTEMPTS and not _passes(error)

    def tell(connection: sa.Connection) -> None:
        run.tell(connection, "our draft could not be taken out of the Drafts folder", blocked=True)

    wait = _backoff(run, attempts, error)
    run.record(attempts=attempts, not_before=run.parts.now() + wait, error=reason, also=tell if told else None)


def _passes(error: MailassistError) -> bool:
    """Whether the reason lies outside of this message, so that it waits for as long as it takes."""
    if isinstance(error, ModelCallFailed):
        return error.retry or not error.accepted  # what a model says to this very text does not pass
    return isinstance(error, _PASSING)


def hand_to_person(run: Run, reason: str) -> None:
    """No draft: a person is wanted."""
    run.finish("person", reason, case="person", tell=True)


__all__ = ["Steps", "hand_to_person"]
