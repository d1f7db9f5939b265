"""One call to a model, paid for: reserved in the ledger before anything is sent, settled after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING

from mailassist.errors import StoreError
from mailassist.model import registry
from mailassist.model.errors import ModelCallFailed
from mailassist.model.registry import ModelInfo, Usage
from mailassist.store import ledger
from mailassist.store.database import Store

if TYPE_CHECKING:
    from mailassist.model.client import Answer, Writer


@dataclass(frozen=True, slots=True)
class Payer:
    """For whom a call is made, and what a day may cost."""

    account: str
    mailbox: str
    daily_budget: float | None  # US dollars; None: no limit
    purpose: str = "draft"
    zone: tzinfo | None = None  # None: this machine's


@dataclass(frozen=True, slots=True)
class Paid:
    """An answer and what it came to."""

    answer: Answer
    usage: Usage
    cost: float  # US dollars
    estimated: bool  # counted here; the server did not say


def upper_bound(info: ModelInfo, input_tokens: int, max_output: int) -> float:
    """The most that a call can cost, in US dollars: nothing cached, the whole output used."""
    return registry.cost(info, Usage(input_tokens, 0, max_output))


def paid_write(
    writer: Writer,
    store: Store,
    payer: Payer,
    *,
    instructions: str,
    input: str,
    input_tokens: int,
    messages: int,
    max_output: int,
    cache_key: str,
    count: Callable[[str], int],
    on_text: Callable[[str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float],
) -> Paid:
    """Ask `writer` once, with a row in the ledger that is committed before the call and settled after it.

    `input_tokens`: of the whole prompt, an upper bound; `messages`: how many messages it holds; `count`: tokens of a
    text, for answers that come without usage. Raises BudgetReached before anything is sent, and what the writer raises.
    """
    asked = writer.info
    bound = ledger.Spent(asked.name, input_tokens, 0, max_output, upper_bound(asked, input_tokens, max_output))
    call = ledger.Call(payer.account, payer.mailbox, asked.name, writer.host, messages, payer.purpose)
    moment = now()
    day = ledger.day_start(moment, payer.zone)
    number = ledger.reserve(store, call, bound, now=moment, daily_budget=payer.daily_budget, day=day)
    try:
        answer = writer.write(
            instructions, input, max_output=max_output, cache_key=cache_key, on_text=on_text, stopped=stopped
        )
    except ModelCallFailed as failed:
        _settled(store, number, _of_failure(failed, writer.info, input_tokens, count), failed=True)
        raise
    usage = answer.usage or Usage(input_tokens, 0, count(answer.text))
    spent = _spent(writer.info, usage, estimated=answer.usage is None, error=answer.reason)
    said = (*_settled(store, number, spent), *_unpriced(writer, payer))
    return Paid(replace(answer, notices=(*answer.notices, *said)), usage, spent.cost, spent.estimated)


def _settled(store: Store, number: int, spent: ledger.Spent, *, failed: bool = False) -> tuple[str, ...]:
    """Settle; a store that cannot be written any more must not cost the person the draft: it is said instead."""
    try:
        ledger.settle(store, number, spent, failed=failed)
    except StoreError as error:
        return (f"What this call cost could not be recorded: {error}",)
    return ()


def _unpriced(writer: Writer, payer: Payer) -> tuple[str, ...]:
    """Say that a daily budget cannot hold for a model without prices."""
    if writer.info.priced or payer.daily_budget is None:
        return ()
    return (
        f"The price of {writer.info.name} is not known, so the daily budget does not count it; "
        "set model.input_price and model.output_price.",
    )


def _of_failure(
    failed: ModelCallFailed, info: ModelInfo, input_tokens: int, count: Callable[[str], int]
) -> ledger.Spent:
    """What a failed call came to: what the server counted; else the prompt is paid for if an answer had begun."""
    error = type(failed).__name__
    if failed.usage is not None:
        return _spent(info, failed.usage, estimated=False, error=error)
    if failed.partial:
        return _spent(info, Usage(input_tokens, 0, count(failed.partial)), estimated=True, error=error)
    return ledger.Spent(info.name, input_tokens if failed.sent else 0, 0, 0, 0.0, True, failed.sent, error)


def _spent(info: ModelInfo, usage: Usage, *, estimated: bool, error: str) -> ledger.Spent:
    cost = registry.cost(info, usage)
    return ledger.Spent(info.name, usage.input, usage.cached, usage.output, cost, estimated, True, error)
