"""What the daemon would draft, and what that would cost: nothing is recorded, nothing is sent to a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailassist.config import Config
from mailassist.daemon.parts import Mailbox
from mailassist.daemon.rules import no_reply_needed
from mailassist.drafting.pipeline import DraftRequest, prepare
from mailassist.errors import MailboxError, NotDraftable
from mailassist.intake.pull import pull
from mailassist.intake.sync import catch_up
from mailassist.intake.waiting import Waiting, waiting
from mailassist.mail.parse import parse_headers
from mailassist.mail.recipients import plan_reply
from mailassist.model import registry
from mailassist.model.registry import ModelInfo, Usage
from mailassist.store import index
from mailassist.store.database import Store
from mailassist.transport.source import MailSource

SAMPLE = 20  # conversations of a mailbox that are packed to know the price of all
REPLY_TOKENS = 120  # of a reply of some 90 words
TRIAGE = Usage(450, 0, 60)  # tokens of one triage, as measured on the sample mailbox


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one mailbox."""

    mailbox: str
    conversations: int  # that would be drafted
    looked_at: int  # that arrived in the time
    sampled: int  # that were packed to know the price
    tokens: int  # of all prompts, from the sample
    price: float  # US dollars, triage included
    error: str = ""  # why nothing is known


def forecast(
    config: Config,
    mailbox: Mailbox,
    source: MailSource,
    info: ModelInfo,
    triage_info: ModelInfo,
    *,
    days: float,
    now: Callable[[], float],
) -> Forecast:
    """Count the conversations of the last `days` that wait, and pack some of them. Raises MailassistError.

    `info`, `triage_info`: the models that would write and triage.
    """
    store = Store.in_memory()
    try:
        name, account = mailbox.name, mailbox.account
        catch_up(source, store, name, account, now=now)
        since = now() - days * 86_400.0
        found = [one for one in waiting(store, name, account, mailbox.own, now=now) if one.date >= since]
        wanted = [one for one in found if not _ruled_out(store, mailbox, one)]
        counts = [
            tokens
            for one in wanted[:SAMPLE]
            if (tokens := _tokens(config, store, mailbox, source, info, one, now)) is not None
        ]
        mean = sum(counts) / len(counts) if counts else 0.0
        count = len(wanted)
        triage = mailbox.policy.triage == "model"
        each = registry.cost(info, Usage(round(mean), 0, REPLY_TOKENS)) + (
            registry.cost(triage_info, TRIAGE) if triage else 0.0
        )
        arrived = len(index.arrived_since(store, name, since))
        return Forecast(name, count, arrived, len(counts), round(mean * count), each * count)
    finally:
        store.close()


def _ruled_out(store: Store, mailbox: Mailbox, one: Waiting) -> bool:
    headers = index.headers_of(store, mailbox.name, [one.message_id]).get(one.message_id, b"")
    return bool(no_reply_needed(parse_headers(headers), mailbox))


def _tokens(
    config: Config,
    store: Store,
    mailbox: Mailbox,
    source: MailSource,
    info: ModelInfo,
    one: Waiting,
    now: Callable[[], float],
) -> int | None:
    """Of the prompt of one conversation; None where it would not be drafted."""
    account = mailbox.account
    try:
        pulled = pull(source, store, mailbox.name, account, mailbox.own, one.message_id, now=now)
        answered = pulled.conversation.answered.message
        plan = plan_reply(pulled.conversation, answered, mailbox.own, account.faces, reply_all=False)
        request = DraftRequest(mailbox.name, pulled.conversation, account.faces[plan.identity])
        return prepare(request, info=info, store=store, config=config, now=now).tokens
    except (NotDraftable, MailboxError):
        return None
