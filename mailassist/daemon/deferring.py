"""Drafts that can wait go into a batch, and come back from it as if they had been asked for directly."""

from __future__ import annotations

from collections.abc import Callable

from mailassist.daemon.batches import Batches, can_wait
from mailassist.daemon.parts import Parts
from mailassist.daemon.steps import drafting, freshness
from mailassist.daemon.steps.run import Run
from mailassist.drafting.budget import Paid
from mailassist.drafting.pipeline import DraftRequest, asked_of, made_of, payer_of
from mailassist.errors import NotDraftable
from mailassist.model import registry
from mailassist.model.answers import Answer
from mailassist.model.batch import BatchApi, offered
from mailassist.model.connection import Endpoint
from mailassist.model.registry import ModelInfo, Usage
from mailassist.store import arrivals, batches, cases, conversations
from mailassist.store.arrivals import LeaseLost
from mailassist.team.office_time import in_office

_LEASE = 600.0  # seconds


class Deferring:
    """`Parts.defer` for one account at the provider, and the work on its batches."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        api: BatchApi,
        *,
        offered: Callable[[ModelInfo], bool] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`parts` are asked for at each step, since they name this; `offered`: for which models a batch is cheaper."""
        self._parts, self._stopped, self._api = parts, stopped, api
        self._offered = offered or self._known_to_be
        self._batches: Batches | None = None

    def __call__(self, run: Run) -> bool:
        """Put a packed message aside where it can wait; False: it is asked directly. Raises BudgetReached."""
        parts, box, row = run.parts, run.mailbox, run.row
        kinds = parts.config.daemon.limits.batch
        if not kinds or row.batched or run.request is None or run.prompt is None:
            return False
        case = cases.get(parts.store, row.case_id) if row.case_id is not None else None
        at_work = in_office(parts.now(), box.policy)
        if not can_wait(kinds, backlog=row.backlog, urgency=case.urgency if case else "", in_office=at_work):
            return False
        info = parts.calls.info(box.name)
        if not self._offered(info):
            return False
        config = parts.config_of(box)
        waits = self.batches.add(
            row.id,
            row.fence,
            asked_of(run.request, run.prompt, info, parts.store, config),
            info,
            payer_of(run.request, config, box.policy.daily_budget),
            input_tokens=run.prompt.tokens,
            messages=len(run.prompt.packed.messages),
            until=parts.now() + box.policy.retention_days * 86_400,
        )
        if not waits:
            raise LeaseLost()
        return True

    @property
    def batches(self) -> Batches:
        """What waits. Its `work` is to be called every minute."""
        if self._batches is None:
            parts = self._parts()
            daemon = parts.config.daemon
            self._batches = Batches(
                parts.store, self._api, self.finish, daemon.limits,
                owner=parts.owner, keep_prompts=daemon.keep_prompts, clock=parts.now,
            )  # fmt: skip
        return self._batches

    def finish(self, arrival_id: int, answer: Answer) -> None:
        """Keep an answer as the draft, if it is still wanted. Raises MailassistError: it is tried again."""
        parts = self._parts()
        row = arrivals.get(parts.store, arrival_id)
        if row is None or row.state != "packed":
            return
        leased = arrivals.lease(
            parts.store, arrival_id, f"{parts.owner}:batches", now=parts.now(), seconds=_LEASE, batch=row.batch
        )
        if leased is None:
            raise LeaseLost()
        run = Run(parts, leased, self._stopped)
        try:
            if freshness.check(run):
                box = run.mailbox
                face, conversation = box.account.faces[run.plan.identity], run.pulled.conversation
                request = DraftRequest(box.name, conversation, face, language=box.policy.language)
                delimiter = conversations.delimiter(parts.store, box.name, conversation.key)
                usage = answer.usage or Usage(0, 0, 0)
                cost = registry.cost(parts.calls.info(box.name), usage)
                paid = Paid(answer, usage, cost, estimated=answer.usage is None)
                drafting.finish(run, made_of(request, paid, None, delimiter))
        except NotDraftable:
            pass  # the step that asks directly says so
        finally:
            if run.row.owner:
                run.record()  # the lease goes back

    def _known_to_be(self, info: ModelInfo) -> bool:
        return offered(self._api.endpoint, info)


class Aside:
    """`Parts.defer` of a whole daemon: opened when something is to be put aside, or waits at the provider already."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        endpoint: Callable[[], Endpoint],
        *,
        finished: Callable[[], object],
        stopped: Callable[[], bool],
    ) -> None:
        """`endpoint`: where the model is; `finished` is called after results may have come."""
        self._parts, self._endpoint, self._finished, self._stopped = parts, endpoint, finished, stopped
        self._opened: Deferring | None = None

    def __call__(self, run: Run) -> bool:
        """See `Deferring`; nothing is put aside where nothing reaches a mailbox."""
        if not run.parts.config.daemon.limits.batch or run.parts.shadow:
            return False
        return self._deferring()(run)

    def work(self) -> None:
        """Submit what waits, and take in what has come back; to be called every minute."""
        if not batches.idle(self._parts().store) and not self._parts().shadow:
            self._deferring().batches.work()
            self._finished()

    def take_over(self) -> None:
        """Another configuration: it is opened anew when it is needed."""
        self._opened = None

    def _deferring(self) -> Deferring:
        if self._opened is None:
            self._opened = Deferring(self._parts, BatchApi(self._endpoint(), self._stopped), stopped=self._stopped)
        return self._opened
