"""How much of a model's account may be used now: by all threads, and on PostgreSQL by all processes together.

    with use.call(prompt_tokens + output_tokens, stopped) as slot:
        paid = paid_write(writer, ...)
        slot.used(paid.usage)

Requests and tokens a minute are token buckets (a call is charged its upper bound before, and corrected after). What the
server asks for with Retry-After holds for everybody. A model that fails again and again is left alone for a while, then
one call tries whether it works again (a circuit breaker); mail waits in the queue meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from mailassist.errors import ModelError
from mailassist.model import errors
from mailassist.model.registry import Usage
from mailassist.store import model_use
from mailassist.store.database import Store
from mailassist.store.model_use import Use
from mailassist.team_settings import Limits

PATIENCE = 5.0  # seconds that a call waits in its thread; the queue looks again later otherwise
BURST = 10.0  # seconds whose requests and tokens may be used at once
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0  # seconds that a failing model is left alone
_TRIAL = 300.0  # seconds after which a trial call whose process died no longer keeps the others waiting
_LONGEST_WAIT = 86_400.0  # seconds; a server that asks for more is asked again after a day
_LOOK = 0.5  # seconds between two looks at `stopped`, of every thread that waits

# Nothing but a person can help: the next call would fail like this one, whatever it asks.
_HOPELESS = (
    errors.NoKey, errors.WrongKey, errors.NoPermission, errors.NoCredit, errors.ModelMissing, errors.EndpointMissing,
    errors.LocalModelMissing,
)  # fmt: skip
_FAILURES = (
    errors.RateLimited, errors.ServerFailed, errors.Unreachable, errors.ConnectionBroke, errors.NoAnswerInTime,
    errors.BrokenAnswer,
)  # fmt: skip


class ModelBusy(ModelError):
    """No call is possible now. `until`: when to look again, seconds since 1970; nothing was sent."""

    def __init__(self, message: str, *, until: float) -> None:
        """`message` as in MailassistError."""
        super().__init__(message)
        self.until = until


class State(Protocol):
    """Where the use is kept."""

    def change(self, to: Callable[[Use], Use]) -> Use:
        """Replace what is kept by `to` of it, atomically, and give it."""


class InMemory:
    """For one process."""

    def __init__(self) -> None:
        """Nothing was used yet."""
        self._use = Use()
        self._lock = threading.Lock()

    def change(self, to: Callable[[Use], Use]) -> Use:
        """As in State."""
        with self._lock:
            self._use = to(self._use)
            return self._use


class InStore:
    """For all processes that share a store."""

    def __init__(self, store: Store, name: str) -> None:
        """`name`: of host and model."""
        self._store, self._name = store, name

    def change(self, to: Callable[[Use], Use]) -> Use:
        """As in State. Raises StoreError."""
        return model_use.change(self._store, self._name, to)


@dataclass(slots=True)
class Slot:
    """One call that may be made. Not told how it ended, it counts as not made."""

    tokens: int  # its upper bound
    trial: bool = False
    _ended: str = field(default="", init=False)  # used | failed
    _usage: Usage | None = field(default=None, init=False)
    _error: Exception | None = field(default=None, init=False)

    def used(self, usage: Usage | None) -> None:
        """The model answered; `usage` None: the upper bound counts."""
        self._ended, self._usage = "used", usage

    def failed(self, error: Exception) -> None:
        """The call failed; a ModelCallFailed that leaves the `with` block is noted by itself."""
        self._ended, self._error = "failed", error


@dataclass(frozen=True, slots=True)
class Standing:
    """For status and metrics."""

    running: int  # calls of this process
    failures: int  # in a row, as far as this process knows
    not_before: float  # seconds since 1970; 0 while calls are made
    paused: bool  # the model is left alone because it failed


class ModelUse:
    """The use of one model by this process. Thread-safe."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        state: State | None = None,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`name`: for people; `state`: where other processes see it, None for this process alone."""
        self.name = name
        self.limits = limits  # may be replaced while calls are made
        self._state = state or InMemory()
        self._patience = patience
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._running = 0
        self._free = threading.Condition()
        self._owed = (0.0, 0.0)  # requests and tokens that were charged and not used, to be given back
        self._seen = Use()  # as of the last change that this process made

    @contextmanager
    def call(self, tokens: int, stopped: Callable[[], bool]) -> Iterator[Slot]:
        """Wait until a call of at most `tokens` tokens (prompt and answer) may be made, and note how it ended.

        Raises ModelBusy when that takes longer than `patience` seconds, errors.Stopped when `stopped()` is true.
        """
        self._enter(stopped)
        try:
            slot = Slot(tokens, trial=self._charge(tokens, stopped))
            try:
                yield slot
            except errors.ModelCallFailed as failed:
                slot.failed(failed)
                raise
            finally:
                self._settle(slot)
        finally:
            with self._free:
                self._running -= 1
                self._free.notify()

    def standing(self) -> Standing:
        """How it is now, as this process knows it."""
        seen, now = self._seen, self._clock()
        blocked = seen.not_before if seen.not_before > now else 0.0
        return Standing(self._running, seen.failures, blocked, seen.failures >= self.limits.failures_until_pause)

    def _enter(self, stopped: Callable[[], bool]) -> None:
        """Wait for one of the calls at once."""
        end = self._clock() + self._patience
        with self._free:
            while self._running >= self.limits.calls_at_once:
                if stopped():
                    raise _stopped()
                if self._clock() >= end:
                    raise ModelBusy(f"{self.name}: all calls at once are in use", until=self._clock() + 1.0)
                self._free.wait(_LOOK)
            self._running += 1

    def _charge(self, tokens: int, stopped: Callable[[], bool]) -> bool:
        """Take a request and `tokens` from the buckets and wait until they are there; whether it is a trial call."""
        while True:
            if stopped():
                raise _stopped()
            taken, wait, trial = self._take(tokens)
            if not taken and wait > self._patience:
                why = "left alone after failures" if self.standing().paused else "its limits are used up for now"
                raise ModelBusy(f"{self.name}: {why}", until=self._clock() + wait)
            if not self._pause(wait, stopped):
                if taken:
                    self._unmade(Slot(tokens, trial))
                raise _stopped()
            if taken and wait and not trial and self._state.change(self._paid_back).not_before > self._clock():
                self._give_back(1.0, tokens)  # the server asked everybody to wait meanwhile
                taken = False
            if taken:
                return trial

    def _take(self, tokens: int) -> tuple[bool, float, bool]:
        """Whether the call was charged, the seconds to wait before it is made, or asked for again; a trial call?"""
        now = self._clock()
        answer = (False, 0.0, False)

        def take(use: Use) -> Use:
            nonlocal answer
            use = self._filled(self._paid_back(use), now)
            if use.not_before > now:
                answer = (False, use.not_before - now, False)
                return use
            wait = self._missing(use, tokens)
            if wait > self._patience:
                answer = (False, wait, False)
                return use
            trial = use.failures >= self.limits.failures_until_pause
            answer = (True, wait, trial)
            not_before = now + _TRIAL if trial else use.not_before
            return replace(use, requests=use.requests - 1, tokens=use.tokens - tokens, not_before=not_before)

        self._seen = self._state.change(take)
        return answer

    def _filled(self, use: Use, now: float) -> Use:
        """The buckets as of `now`; full where they are new."""
        rate, token_rate = self._rates()
        most, most_tokens = max(1.0, rate * BURST), token_rate * BURST
        if not use.at:
            return replace(use, requests=most, tokens=most_tokens, at=now)
        passed = max(0.0, now - use.at)
        requests, tokens = use.requests + rate * passed, use.tokens + token_rate * passed
        return replace(use, requests=min(requests, most), tokens=min(tokens, most_tokens), at=max(use.at, now))

    def _missing(self, use: Use, tokens: int) -> float:
        """Seconds until the buckets hold the call; one that is larger than a bucket waits for a full one."""
        rate, token_rate = self._rates()
        wait = (1.0 - use.requests) / rate if rate else 0.0
        if token_rate:
            wait = max(wait, (min(tokens, token_rate * BURST) - use.tokens) / token_rate)
        return max(0.0, wait)

    def _rates(self) -> tuple[float, float]:
        """Requests and tokens a second; 0 for no limit."""
        return (self.limits.requests_per_minute or 0) / 60, (self.limits.tokens_per_minute or 0) / 60

    def _pause(self, seconds: float, stopped: Callable[[], bool]) -> bool:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            if stopped():
                return False
            self._sleep(min(left, _LOOK))
        return True

    def _settle(self, slot: Slot) -> None:
        error = slot._error
        if not slot._ended or not isinstance(error, errors.ModelCallFailed | None):
            self._unmade(slot)
        elif isinstance(error, errors.Stopped):
            self._unmade(slot, sent=error.sent)
        elif isinstance(error, (*_FAILURES, *_HOPELESS)):
            if not (error.sent and error.accepted):
                self._give_back(0.0, slot.tokens)
            self._change(lambda use: self._after(use, error, slot.trial))
        else:
            usage = slot._usage or (error.usage if error else None)
            if usage is not None:
                self._give_back(0.0, slot.tokens - usage.input - usage.output)
            if slot.trial or self._seen.failures:  # it works
                self._change(lambda use: replace(use, failures=0, not_before=0.0 if slot.trial else use.not_before))

    def _unmade(self, slot: Slot, *, sent: bool = False) -> None:
        """Nothing is known from this call; after a trial call the next one tries."""
        if not sent:
            self._give_back(1.0, slot.tokens)
        if slot.trial:
            self._change(lambda use: replace(use, not_before=self._clock()))

    def _after(self, use: Use, error: errors.ModelCallFailed, trial: bool) -> Use:
        """`use` after a failure. What was under way when the pause began does not make it longer."""
        now, limit = self._clock(), self.limits.failures_until_pause
        asked = error.wait
        not_before = now if trial else use.not_before
        if asked is not None:
            not_before = max(not_before, now + min(asked, _LONGEST_WAIT))
        if asked is not None and isinstance(error, errors.RateLimited) and not trial:
            return replace(use, not_before=not_before)  # it works, and has said when
        if use.failures >= limit and not trial:
            return replace(use, not_before=not_before)
        failures = max(use.failures + 1, limit if isinstance(error, _HOPELESS) else 0)
        if failures >= limit:
            doubled = min(FIRST_PAUSE * 2.0 ** min(failures - limit, 20), LONGEST_PAUSE)
            not_before = max(not_before, now + doubled * (1 + 0.25 * self._jitter()))
        return replace(use, failures=failures, not_before=not_before)

    def _change(self, to: Callable[[Use], Use]) -> None:
        self._seen = self._state.change(lambda use: to(self._paid_back(use)))

    def _give_back(self, requests: float, tokens: float) -> None:
        """With the next change: a transaction for each call is enough."""
        with self._free:
            self._owed = (self._owed[0] + requests, self._owed[1] + tokens)

    def _paid_back(self, use: Use) -> Use:
        with self._free:
            (requests, tokens), self._owed = self._owed, (0.0, 0.0)
        return replace(use, requests=use.requests + requests, tokens=use.tokens + tokens)


def _stopped() -> errors.Stopped:
    stopped = errors.Stopped()
    stopped.sent = False
    return stopped
