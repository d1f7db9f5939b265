"""One call to a model, paid for: each attempt at it is reserved in the ledger before it is made, and settled after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from mailassist.errors import BudgetReached, StoreError
from mailassist.model import registry
from mailassist.model.errors import ModelCallFailed
from mailassist.model.registry import ModelInfo, Usage
from mailassist.store import ledger
from mailassist.store.database import Store

if TYPE_CHECKING:
    from mailassist.model.client import Answer, Writer
    from mailassist.model.request import Image


@dataclass(frozen=True, slots=True)
class Payer:
    """For whom a call is made, and what a day may cost."""

    account: str
    mailbox: str
    daily_budget: float | None  # US dollars; None: no limit
    purpose: str = "draft"
    account_budget: float | None = None  # US dollars a day for this account alone
    zone: tzinfo | None = None  # None: this machine's


@dataclass(frozen=True, slots=True)
class Paid:
    """An answer and what it came to, every attempt at it together."""

    answer: Answer
    usage: Usage
    cost: float  # US dollars
    estimated: bool  # counted here, at least in part; the server did not say


def upper_bound(info: ModelInfo, input_tokens: int, max_output: int) -> float:
    """The most that a call can cost, in US dollars: nothing cached, all written to the cache, the whole output used."""
    return registry.cost(info, Usage(input_tokens, 0, max_output, written=input_tokens))


def paid_write(
    writer: Writer,
    store: Store,
    payer: Payer,
    *,
    instructions: str,
    input: str,
    images: Sequence[Image] = (),
    input_tokens: int,
    messages: int,
    max_output: int,
    cache_key: str,
    marks: Sequence[int] = (),
    count: Callable[[str], int],
    on_text: Callable[[str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float],
    schema: Mapping[str, Any] | None = None,
) -> Paid:
    """Ask `writer` once, with a row in the ledger for each attempt, committed before it and settled after it.

    `schema`: the answer is JSON by this JSON schema (`Writer.ask`: no images, no marks, nothing to `on_text`);
    `input_tokens`: of the whole prompt, an upper bound; `messages`: how many messages it holds; `count`: tokens of a
    text, for answers that come without usage. Raises BudgetReached before the attempt that the budget does not allow,
    and what the writer raises.
    """
    till = _Till(writer, store, payer, input_tokens, messages, max_output, count, now)
    if schema is not None:
        limits: dict[str, Any] = {"max_output": max_output, "cache_key": cache_key}
        return till.paid(writer.ask(instructions, input, schema, **limits, stopped=stopped, around=till.make))
    answer = writer.write(
        instructions,
        input,
        images=images,
        max_output=max_output,
        cache_key=cache_key,
        marks=marks,
        on_text=on_text,
        stopped=stopped,
        around=till.make,
    )
    return till.paid(answer)


@dataclass(slots=True)
class _Till:
    """Reserves and settles the attempts at one call."""

    writer: Writer
    store: Store
    payer: Payer
    input_tokens: int
    messages: int
    max_output: int
    count: Callable[[str], int]
    now: Callable[[], float]
    charged: list[ledger.Spent] = field(default_factory=list)  # of the attempts that the server accepted
    notices: list[str] = field(default_factory=list)
    failed: ModelCallFailed | None = None  # how the last attempt ended, where it did

    def make(self, attempt: Callable[[], Answer]) -> Answer:
        """Make one attempt at the call, paid for."""
        number = self._reserve()
        try:
            answer = attempt()
        except ModelCallFailed as failed:
            self.failed = failed
            self._settle(number, self._of_failure(failed), failed=True)
            raise
        usage = answer.usage or Usage(self.input_tokens, 0, self.count(answer.text))
        self._settle(number, self._charge(usage, estimated=answer.usage is None, error=answer.reason))
        return answer

    def paid(self, answer: Answer) -> Paid:
        """`answer` with what all attempts came to."""
        usage = Usage(
            sum(spent.input_tokens for spent in self.charged),
            sum(spent.cached_tokens for spent in self.charged),
            sum(spent.output_tokens for spent in self.charged),
        )
        cost, estimated = sum(spent.cost for spent in self.charged), any(spent.estimated for spent in self.charged)
        said = (*answer.notices, *self.notices, *_unpriced(self.writer, self.payer))
        return Paid(replace(answer, notices=said), usage, cost, estimated)

    def _reserve(self) -> int:
        """Raises BudgetReached, which also says how the attempt before this one failed."""
        info, payer, moment = self.writer.info, self.payer, self.now()
        most = upper_bound(info, self.input_tokens, self.max_output)
        bound = ledger.Spent(info.name, self.input_tokens, 0, self.max_output, most)
        call = ledger.Call(payer.account, payer.mailbox, info.name, self.writer.host, self.messages, payer.purpose)
        day = ledger.day_start(moment, payer.zone)
        try:
            return ledger.reserve(
                self.store, call, bound, now=moment, daily_budget=payer.daily_budget, day=day,
                account_budget=payer.account_budget,
            )  # fmt: skip
        except BudgetReached as reached:
            if self.failed is None:
                raise
            tried = f"{self.failed.message}; it was not tried again."
            raise BudgetReached(f"{tried} {reached.message}", cure=reached.cure) from self.failed

    def _settle(self, number: int, spent: ledger.Spent, *, failed: bool = False) -> None:
        """A store that cannot be written any more must not cost the person the draft: it is said instead."""
        try:
            ledger.settle(self.store, number, spent, failed=failed)
        except StoreError as error:
            self.notices.append(f"What this call cost could not be recorded: {error}")

    def _of_failure(self, failed: ModelCallFailed) -> ledger.Spent:
        """What a failed attempt came to: what the server counted; else what it took and gave, counted here."""
        error = type(failed).__name__
        if failed.usage is not None:
            return self._charge(failed.usage, estimated=False, error=error)
        if failed.sent and failed.accepted:
            return self._charge(Usage(self.input_tokens, 0, self.count(failed.partial)), estimated=True, error=error)
        tokens = self.input_tokens if failed.sent else 0
        return ledger.Spent(self.writer.info.name, tokens, 0, 0, 0.0, True, failed.sent, error)

    def _charge(self, usage: Usage, *, estimated: bool, error: str) -> ledger.Spent:
        info = self.writer.info
        cost = registry.cost(info, usage)
        self.charged.append(
            ledger.Spent(info.name, usage.input, usage.cached, usage.output, cost, estimated, True, error)
        )
        return self.charged[-1]


def _unpriced(writer: Writer, payer: Payer) -> tuple[str, ...]:
    """Say that a daily budget cannot hold for a model without prices."""
    if writer.info.priced or payer.daily_budget is None:
        return ()
    return (
        f"The price of {writer.info.name} is not known, so the daily budget does not count it; "
        "set model.input_price and model.output_price.",
    )
