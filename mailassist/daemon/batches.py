"""What waits for half the price: arrivals are collected into batches, and each result is handed on when it is there.

`work` is called every minute or so; one process at a time does it. Each step is recorded before the next begins: a
batch is a row of ours before it is submitted, found by its key where nobody knows whether it was, and its files are
deleted once every result was handed on. Whatever does not come in time is asked directly by the queue.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mailassist.daemon import logs
from mailassist.drafting.budget import Payer, upper_bound
from mailassist.model import batch as provider
from mailassist.model import errors, registry
from mailassist.model.answers import Answer
from mailassist.model.batch import BatchApi, Job, Result
from mailassist.model.registry import ModelInfo
from mailassist.model.request import Prompt
from mailassist.store import batches as kept
from mailassist.store import ledger
from mailassist.store.batches import Aside, Batch, Member
from mailassist.store.database import Store
from mailassist.team_settings import Limits

COLLECTED = 300.0  # seconds that the first of a batch waits for others
_LISTED_AFTER = 120.0  # seconds after which a batch that was created stands in the provider's list
_TURN = 600.0  # seconds after which another process goes on for one that died
_LAST_TRIES = 3_600.0  # seconds for what comes at the end; OpenAI says that a cancellation takes ten minutes
log = logs.logger("batches")

# The provider took nothing, and will not take it the next time.
_REFUSED = (
    errors.RequestRefused, errors.WrongKey, errors.NoKey, errors.NoPermission, errors.NoCredit, errors.ModelMissing,
    errors.PromptTooLong, errors.ContentRefused,
)  # fmt: skip

Finish = Callable[[int, Answer], None]


def can_wait(kinds: Collection[str], *, backlog: bool, urgency: str, in_office: bool) -> bool:
    """Whether a draft may come hours later, by `daemon.limits.batch` ("backlog", "night", "low"); never an urgent one.

    `backlog`: the mail came while nobody watched; `in_office`: it is office time of its mailbox now.
    """
    if urgency == "high":
        return False
    because = {"backlog": backlog, "night": not in_office, "low": urgency == "low"}
    return any(because[kind] for kind in kinds)


class Batches:
    """The batches of one account at one provider."""

    def __init__(
        self,
        store: Store,
        api: BatchApi,
        finish: Finish,
        limits: Limits,
        *,
        owner: str = "",
        keep_prompts: bool = False,
        info_of: Callable[[str], ModelInfo] = registry.find,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`finish` gets each arrival's id and whole answer, in the state "packed", perhaps twice after a crash.

        It looks whether the draft is still wanted; what it raises is tried again with the next `work`. `owner`: this
        process, as `host:pid`.
        """
        self._store, self._api, self._finish, self._owner = store, api, finish, owner
        self.limits = limits  # may be replaced
        self._keep_prompts, self._info_of, self._clock = keep_prompts, info_of, clock

    def add(
        self, arrival_id: int, fence: int, prompt: Prompt, info: ModelInfo, payer: Payer, *,
        input_tokens: int, messages: int, until: float,
    ) -> bool:  # fmt: skip
        """Put an arrival aside for the next batch, its cost reserved; False where the lease `fence` was lost.

        `input_tokens`, `messages` as in `paid_write`; `until`: when its prompt is deleted at the latest, seconds since
        1970. Raises BudgetReached.
        """
        now = self._clock()
        body = json.dumps(self._api.body(prompt, info), ensure_ascii=True, separators=(",", ":"))
        cost = upper_bound(info, input_tokens, prompt.max_output) * info.batch_factor
        bound = ledger.Spent(info.name, input_tokens, 0, prompt.max_output, cost)
        call = ledger.Call(payer.account, payer.mailbox, info.name, self._api.host, messages, payer.purpose)
        day = ledger.day_start(now, payer.zone)
        item = Aside(arrival_id, fence, body, until)
        budgets = {"daily_budget": payer.daily_budget, "account_budget": payer.account_budget}
        return kept.put_aside(self._store, item, call, bound, now=now, day=day, **budgets)

    def work(self) -> None:
        """Submit what was collected, look at what was submitted, hand on what is there. Raises StoreError.

        Does nothing while another process does it.
        """
        with self._turn() as ours:
            if ours:
                self._work()

    def _work(self) -> None:
        self._collect()
        for batch in kept.unfinished(self._store):
            try:
                self._go_on(batch)
            except errors.ModelCallFailed as failed:  # the next `work` tries again
                log.warning("a batch could not be looked after", batch=batch.key, error=failed)
                if batch.state in kept.OPEN and self._clock() > batch.expires_at + _LAST_TRIES:
                    self._give_up(batch, "failed", type(failed).__name__, sent=batch.state != "submitting")

    def withdraw(self) -> list[str]:
        """Take back from the provider what it holds of people who were forgotten; the batches that hold some still.

        Such a batch ends: what else is in it is asked directly, whether or not it is answered already, and its files
        are deleted, with those of all batches that are over. What is not done here is left to `work`, which finds it
        in the store. Raises errors.ModelCallFailed, StoreError.
        """
        with self._turn() as ours:
            for batch in self._to_withdraw() if ours else ():
                if batch.state in kept.OPEN:
                    self._end(batch)
                else:
                    self._go_on(batch)
        return [batch.id for batch in self._to_withdraw()]

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Whether this process is the one that deals with the provider, which no other is as long as this lasts."""
        ours = kept.take_turn(self._store, self._owner, now=self._clock(), seconds=_TURN)
        try:
            yield ours
        finally:
            if ours:
                kept.take_turn(self._store, self._owner, now=self._clock(), seconds=0.0)

    def _to_withdraw(self) -> list[Batch]:
        """Those with something of a forgotten person, and those that are over: nobody knows whose mail was in them."""
        unfinished = kept.unfinished(self._store)
        return [one for one in unfinished if one.state not in kept.OPEN or kept.has_forgotten(self._store, one.id)]

    def idle(self) -> bool:
        """Whether nothing waits and no batch is at work or has files at the provider."""
        return kept.idle(self._store)

    def close(self) -> None:
        """Hang up."""
        self._api.close()

    def _collect(self) -> None:
        """Make batches of what waits; what waited too long already is asked directly."""
        now = self._clock()
        by_model: dict[str, list[Member]] = defaultdict(list)
        for member in kept.waiting(self._store, most=provider.MOST_REQUESTS):
            if not member.body or member.state != kept.STATE or now > member.since + self._hours:
                self._release(member, _nothing(member, "not submitted"), failed=True)
            else:
                by_model[member.model].append(member)
        for model, waiting in by_model.items():
            if now >= waiting[0].since + COLLECTED or len(waiting) >= provider.MOST_REQUESTS:
                chosen = [member.arrival_id for member in _that_fit(waiting)]
                key = secrets.token_hex(8)
                if kept.begin(self._store, key, model, chosen, now=now):
                    self._submit(next(batch for batch in kept.unfinished(self._store) if batch.key == key))

    def _go_on(self, batch: Batch) -> None:
        """The next step of a batch."""
        if batch.state == "submitting":
            self._recover(batch)
        elif batch.state in kept.OPEN and kept.has_forgotten(self._store, batch.id):
            self._end(batch)
        elif batch.state in kept.OPEN:
            job = self._look(batch)
            if job.state == "running":
                self._in_time(batch)
            elif self._hand_on(batch, job):
                state = "done" if job.state == "completed" else job.state
                files = {"input_file": job.input_file, "output_file": job.output_file, "error_file": job.error_file}
                kept.change(self._store, batch.id, state=state, **files)
                self._delete(batch, files.values())
        elif batch.id.startswith(kept.NEW) and (found := self._api.find(batch.key)):
            self._record(batch, found)  # given up, and there all the same: its end is waited for
        elif batch.id.startswith(kept.NEW):
            self._delete(batch, self._api.uploads(batch.key))
        else:
            job = self._look(batch)
            if job.state != "running":
                of_row = (batch.input_file, batch.output_file, batch.error_file)
                self._delete(batch, {*of_row, job.output_file, job.error_file})

    def _delete(self, batch: Batch, files: Iterable[str]) -> None:
        for number in filter(None, files):
            self._api.delete_file(number)
        kept.change(self._store, batch.id, files_deleted=True)

    def _end(self, batch: Batch) -> None:
        """All that waits in `batch` is asked directly from now on; of its files what can be deleted is."""
        if batch.state == "submitting":
            found = self._api.find(batch.key)
            if found is None:  # it is submitted again by `work`, without what was forgotten
                self._delete_uploads(batch)
                return
            self._record(batch, found)
            batch = replace(batch, id=found.id, state="submitted", input_file=found.input_file)
        job = self._look(batch)
        if job.state == "running" and batch.state == "submitted":
            self._cancel(batch)
            job = self._look(batch)
        self._give_up(batch, "cancelled", "", sent=True)
        if job.state != "running":
            self._delete(batch, {job.input_file, job.output_file, job.error_file})
        else:  # the prompts at least; what is answered already lies there when it has ended
            self._api.delete_file(job.input_file)

    def _look(self, batch: Batch) -> Job:
        try:
            return self._api.look(batch.id)
        except errors.EndpointMissing:  # HTTP 404: it is not there any more
            return Job(batch.id, "failed", batch.input_file)

    def _recover(self, batch: Batch) -> None:
        """Whether the provider has this batch is not known: look for it; submit it again where it has not."""
        job = self._api.find(batch.key)
        if job is not None:
            self._record(batch, job)
        elif self._clock() > batch.created_at + _LISTED_AFTER:
            self._delete_uploads(batch)
            kept.change(self._store, batch.id, created_at=self._clock())
            self._submit(batch)

    def _delete_uploads(self, batch: Batch) -> None:
        for number in self._api.uploads(batch.key):
            self._api.delete_file(number)

    def _submit(self, batch: Batch) -> None:
        """Submit it; where that fails it stays to be recovered, unless the provider refuses it."""
        waiting = kept.members(self._store, batch.id)
        bodies = {_custom_id(batch, member): member.body for member in waiting if member.body}
        for member in waiting:
            if not member.body:  # forgotten since it was collected
                self._release(member, None, failed=True)
        if not bodies:
            self._give_up(batch, "failed", "nothing waits for it")
            return
        try:
            job = self._api.submit(batch.key, bodies)
        except _REFUSED as failed:
            log.warning("a batch was refused", batch=batch.key, error=failed)
            self._give_up(batch, "failed", type(failed).__name__)
        except errors.ModelCallFailed as failed:
            log.warning("it is not known whether a batch was submitted", batch=batch.key, error=failed)
        else:
            self._record(batch, job)

    def _record(self, batch: Batch, job: Job) -> None:
        now = self._clock()
        log.info("a batch is at the provider", batch=batch.key, id=job.id)
        kept.submitted(self._store, batch, job.id, job.input_file, now=now, expires_at=now + self._hours)

    def _in_time(self, batch: Batch) -> None:
        """End a batch that takes longer than `batch_hours`; then give up one whose cancellation takes too long."""
        now = self._clock()
        if batch.state == "submitted" and now > batch.expires_at:
            self._cancel(batch)
        elif batch.state == "cancelling" and now > batch.expires_at + _LAST_TRIES:
            self._give_up(batch, "cancelled", "too late", sent=True)

    def _cancel(self, batch: Batch) -> None:
        self._api.cancel(batch.id)
        kept.change(self._store, batch.id, state="cancelling", expires_at=min(batch.expires_at, self._clock()))

    def _hand_on(self, batch: Batch, job: Job) -> bool:
        """Give each result to whom it belongs; whether nothing is left to be tried again."""
        info = self._info_of(batch.model)
        waiting = {_custom_id(batch, member): member for member in kept.members(self._store, batch.id)}
        last = self._clock() > batch.expires_at + _LAST_TRIES
        again = 0
        for result in self._results(job, info) if waiting else ():
            member = waiting.pop(result.custom_id, None)
            if member is None:
                continue
            try:
                if result.answer is not None and result.answer.complete and member.state == kept.STATE:
                    self._finish(member.arrival_id, result.answer)
            except Exception as failed:  # noqa: BLE001  (one that fails never stops the ones after it)
                log.warning("a result could not be taken", batch=batch.key, arrival=member.arrival_id, error=failed)
                if not last:
                    again += 1
                    continue
            self._release(member, _spent(member, result, info), failed=result.answer is None)
        for member in waiting.values():
            self._release(member, _nothing(member, "NotDone"), failed=True)
        if again:
            kept.change(self._store, batch.id, expires_at=min(batch.expires_at, self._clock()))
        return not again

    def _results(self, job: Job, info: ModelInfo) -> Iterator[Result]:
        try:
            yield from self._api.results(job, info)
        except errors.EndpointMissing:  # HTTP 404: the file is not there any more
            return

    def _give_up(self, batch: Batch, state: str, why: str, *, sent: bool = False) -> None:
        """All that waits in `batch` is asked directly; its files are deleted by the next `work`.

        `sent`: the provider may work on it, and charge for it.
        """
        for member in kept.members(self._store, batch.id):
            self._release(member, None if sent else _nothing(member, why), failed=True)
        kept.change(self._store, batch.id, state=state)

    def _release(self, member: Member, spent: ledger.Spent | None, *, failed: bool) -> None:
        kept.release(self._store, member, spent, now=self._clock(), keep=self._keep_prompts, failed=failed)

    @property
    def _hours(self) -> float:
        return self.limits.batch_hours * 3600.0


def _custom_id(batch: Batch, member: Member) -> str:
    return f"{batch.key}-{member.arrival_id}"


def _spent(member: Member, result: Result, info: ModelInfo) -> ledger.Spent | None:
    """What a result cost; None: more than nothing, and nobody said how much."""
    error = type(result.error).__name__ if result.error else ""
    usage = result.answer.usage if result.answer else result.error.usage if result.error else None
    if usage is not None:
        cost = registry.cost(info, usage)
        return ledger.Spent(info.name, usage.input, usage.cached, usage.output, cost, error=error)
    return None if result.error is None or result.error.accepted else _nothing(member, error)


def _nothing(member: Member, error: str) -> ledger.Spent:
    return ledger.Spent(member.model, 0, 0, 0, 0.0, error=error)


def _that_fit(waiting: Sequence[Member]) -> Iterator[Member]:
    """The first ones whose requests fit into one file."""
    size = 0
    for member in waiting:
        size += len(member.body) + 200
        if size > provider.MOST_BYTES:
            return
        yield member
