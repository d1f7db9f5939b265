"""One draft: conversation -> context -> prompt -> model -> cleaned text.

Recipients, subject and everything else of the reply's headers are computed elsewhere; from the model comes text only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailassist.config import Config, Identity
from mailassist.context.asking import load as load_asks
from mailassist.context.language import reply_language
from mailassist.context.loading import load_in_background
from mailassist.context.tokens import TokenCounter, counter_for
from mailassist.context.tokens import warm_up as load_tokens
from mailassist.documents import Document
from mailassist.drafting.attachments import Sight
from mailassist.drafting.budget import Paid, Payer, paid_write, upper_bound
from mailassist.drafting.prompt import Author, Prompt, Wish, build
from mailassist.drafting.rendering import load_templates
from mailassist.drafting.reply_text import cleaned
from mailassist.errors import InputError, MailassistError, NotDraftable
from mailassist.mail.automatic import automatic
from mailassist.mail.message import Message
from mailassist.mail.threads import Conversation
from mailassist.model.errors import ModelCallFailed
from mailassist.model.registry import ModelInfo, Usage
from mailassist.model.request import Image
from mailassist.model.request import Prompt as Asked
from mailassist.store import conversations, ledger
from mailassist.store.database import Store

if TYPE_CHECKING:
    from mailassist.model.client import Writer

OUTLINE = "outline"  # the model's name in a draft that no model wrote


@dataclass(frozen=True)
class DraftRequest:
    """What is to be drafted: the answer to the newest message of `conversation` that is not the user's."""

    account_name: str
    conversation: Conversation
    identity: Identity
    instruction: str = ""
    previous: str = ""  # the draft to revise
    unknown: int = 0  # earlier messages that nobody could find
    documents: Mapping[str, Sequence[Document]] = field(default_factory=dict)  # what attachments say, by Message-ID
    reply_all: bool = False  # the person's choice of recipients
    language: str = ""  # BCP 47; "": that of the message answered, as far as the identity writes it


@dataclass(frozen=True)
class Draft:
    """A draft, for a person to look at. Nothing in `text` was checked to be true, and it may be unsafe to print."""

    text: str
    model: str  # who wrote it; `OUTLINE` where no model did
    usage: Usage | None
    cost: float  # US dollars
    prompt: Prompt | None  # None: no model was asked
    complete: bool  # False: the model stopped, or was stopped, before the end
    notices: tuple[str, ...]  # what the person should know, one line each; may hold text from mail
    failure: MailassistError | None = None  # why no model wrote, where one should have


def prepare(
    request: DraftRequest,
    *,
    info: ModelInfo,
    store: Store,
    config: Config,
    now: Callable[[], float],
    count: Callable[[str], int] | None = None,
    overrides: Path | None = None,
) -> Prompt:
    """Exactly what would be sent for `request`; nothing is sent.

    `count`: the model's own token count, where only its server has one; `overrides`: the user's templates.
    Raises NotDraftable, ConfigError (templates), InputError (a budget that is too small).
    """
    refuse_undraftable(request.conversation)
    identity = request.identity
    return build(
        request.conversation,
        Author(identity.name, identity.address, bool(identity.signature.strip()), identity.length),
        Wish(request.instruction, request.previous, language_of(request), request.reply_all),
        budget=token_budget(config, info),
        counter=counter_for(info.tokenizer, count),
        delimiter=conversations.delimiter(store, request.account_name, request.conversation.key),
        today=datetime.fromtimestamp(now()).date(),
        overrides=overrides,
        input_price=info.input_price,
        documents=request.documents,
        sight=_sight(request, info, store, config, now()) if request.documents else None,
    )


def _sight(request: DraftRequest, info: ModelInfo, store: Store, config: Config, now: float) -> Sight:
    """The prompt may cost what today's budget leaves beside the longest answer."""
    daily = config.model.daily_budget
    if daily is None or not info.priced:
        return Sight(info, allowed=config.model.pictures)
    left = daily - ledger.spent_since(store, ledger.day_start(now)) - upper_bound(info, 0, output_tokens(config, info))
    return Sight(info, max(left, 0.0), config.model.pictures)


def draft(
    request: DraftRequest,
    *,
    writer: Writer | None,
    store: Store,
    config: Config,
    on_text: Callable[[str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float],
    count: Callable[[str], int] | None = None,
    overrides: Path | None = None,
    failure: MailassistError | None = None,
) -> Draft:
    """Draft a reply; `on_text` gets each piece as it is written.

    `writer` None: no model is asked, the outline drafts; `failure` says why, where that was not wished. The outline
    also drafts where the model cannot be reached; it revises nothing: then the failure is raised. Raises NotDraftable,
    BudgetReached, ConfigError, InputError, and ModelError where the model was reached and gave nothing.
    """
    refuse_undraftable(request.conversation)
    if writer is None:
        return _outlined(request, config, on_text, failure)
    prompt = prepare(request, info=writer.info, store=store, config=config, now=now, count=count, overrides=overrides)
    counter = counter_for(writer.info.tokenizer, count)
    try:
        return write(request, prompt, writer, store, config, counter, on_text, stopped, now)
    except ModelCallFailed as failed:
        if failed.sent:
            raise
        return _outlined(request, config, on_text, failed)


def write(
    request: DraftRequest,
    prompt: Prompt,
    writer: Writer,
    store: Store,
    config: Config,
    counter: TokenCounter,
    on_text: Callable[[str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float],
    *,
    account_budget: float | None = None,
) -> Draft:
    """What the model makes of a prompt; `account_budget`: US dollars a day for this account alone.

    Raises ModelError, BudgetReached.
    """
    paid = _written(request, prompt, writer, store, config, counter, on_text, stopped, now, account_budget)
    return made_of(request, paid, prompt, prompt.packed.delimiter)


def made_of(request: DraftRequest, paid: Paid, prompt: Prompt | None, delimiter: str) -> Draft:
    """The draft from a model's answer; `delimiter`: what the prompt's data stood between."""
    answer = paid.answer
    cut = () if answer.complete else (f"The draft is not complete: {answer.reason or 'the model stopped early'}",)
    return Draft(
        cleaned(answer.text, delimiter=delimiter, signature=request.identity.signature),
        answer.model,
        paid.usage,
        paid.cost,
        prompt,
        answer.complete,
        (*cut, *answer.notices, *notices(request)),
    )


def asked_of(request: DraftRequest, prompt: Prompt, info: ModelInfo, store: Store, config: Config) -> Asked:
    """What a model is given for `prompt`."""
    return Asked(
        prompt.instructions,
        prompt.input,
        output_tokens(config, info),
        cache_key(store, request.account_name, request.conversation.key),
        tuple(Image(one.picture.content_type, one.picture.data, one.detail) for one in prompt.images),
        tuple(prompt.message_ends),
    )


def payer_of(request: DraftRequest, config: Config, account_budget: float | None = None) -> Payer:
    """Who pays for a draft."""
    account = config.accounts.get(request.account_name)
    mailbox = account.address if account else request.identity.address
    return Payer(request.account_name, mailbox, config.model.daily_budget, account_budget=account_budget)


def _written(
    request: DraftRequest,
    prompt: Prompt,
    writer: Writer,
    store: Store,
    config: Config,
    counter: TokenCounter,
    on_text: Callable[[str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float],
    account_budget: float | None,
) -> Paid:
    asked = asked_of(request, prompt, writer.info, store, config)
    return paid_write(
        writer,
        store,
        payer_of(request, config, account_budget),
        instructions=asked.instructions,
        input=asked.input,
        images=asked.images,
        input_tokens=prompt.tokens,
        messages=len(prompt.packed.messages),
        max_output=asked.max_output,
        cache_key=asked.cache_key,
        marks=asked.marks,
        count=counter.count,
        on_text=on_text,
        stopped=stopped,
        now=now,
    )


def _outlined(
    request: DraftRequest, config: Config, on_text: Callable[[str], None], failure: MailassistError | None
) -> Draft:
    """The outline as a draft, which says that it is one. Raises where a text was to be revised: it stays as it is."""
    from mailassist.drafting.outline import outline

    if request.previous:
        cure = "Edit the text yourself, or choose a model that writes: `mailassist models`."
        raise failure or InputError("An outline follows no instruction", cure=cure)
    text = outline(request.conversation, request.identity, request.language)
    on_text(text)
    why = (f"No model wrote this: {failure}",) if failure else ()
    unheeded = ("An outline follows no instruction",) if request.instruction else ()
    return Draft(text, OUTLINE, None, 0.0, None, True, (*why, *unheeded, *notices(request)), failure)


def language_of(request: DraftRequest) -> str:
    """The BCP 47 code of the language to write in; "" where nothing tells."""
    return request.language or reply_language(request.conversation, request.identity.languages)


def warm_up(info: ModelInfo, overrides: Path | None = None) -> None:
    """Load tables and templates in threads, while something else waits for the network. Raises nothing."""
    load_tokens(info.tokenizer)
    load_in_background("load-languages", load_asks)
    load_in_background("load-templates", lambda: load_templates(overrides))


def token_budget(config: Config, info: ModelInfo) -> int:
    """Tokens of a prompt: the configuration's, else the registry's; at most the window less the output."""
    wanted = config.model.context_tokens or info.default_budget
    return min(wanted, info.window - output_tokens(config, info))


def output_tokens(config: Config, info: ModelInfo) -> int:
    """Tokens of a draft: the configuration's, else the registry's; at most what the model gives."""
    return min(config.model.output_tokens or info.default_output, info.max_output)


def cache_key(store: Store, account: str, conversation: str) -> str:
    """The provider's prompt_cache_key: the same for a conversation, and telling nothing of it (HMAC-SHA-256)."""
    named = f"prompt cache\0{account}\0{conversation}".encode("utf-8", "surrogatepass")
    return hmac.new(store.key(), named, hashlib.sha256).hexdigest()[:32]


def refuse_undraftable(conversation: Conversation) -> None:
    """Raise NotDraftable where the message to be answered cannot be read, or there is none."""
    answered = _answered(conversation)
    if answered is None:
        raise NotDraftable("There is nothing to answer: no message here is from somebody else")
    if answered.author is None and not answered.text.strip():
        raise NotDraftable("There is nothing to answer: the message has neither a sender nor a text")
    if answered.encrypted:
        raise NotDraftable(
            f"This message is encrypted ({answered.encrypted}); mailassist does not read it",
            cure="Answer it in your mail program.",
        )
    if answered.too_complex:
        raise NotDraftable(
            "This message is too complex to be read safely; it was left as it is",
            cure="Answer it in your mail program.",
        )


def notices(request: DraftRequest) -> tuple[str, ...]:
    """What the person should know of the mail that was answered, one line each."""
    answered = _answered(request.conversation)
    return tuple(dict.fromkeys(_notices(request, answered))) if answered else ()


def _notices(request: DraftRequest, answered: Message) -> Iterator[str]:
    conversation = request.conversation
    reason = automatic(answered, conversation.own)
    if reason:
        yield f"Perhaps nobody waits for this answer: {reason}"
    yield from answered.warnings
    if request.unknown:
        counted = "1 earlier message" if request.unknown == 1 else f"{request.unknown} earlier messages"
        yield f"{counted} of this conversation could not be found or read; perhaps deleted or never in this mailbox"
    hidden = sum(len(text) for entry in conversation.entries for text in entry.message.hidden)
    if hidden:
        yield f"{hidden} hidden characters removed"
    for document in request.documents.get(answered.message_id, ()):
        if document.note:
            yield f"Attachment {document.name or document.content_type}: {document.note}"
    asked = {address.key for address in answered.reply_to}
    if asked and not asked <= {address.key for address in answered.from_}:
        yield "Reply-To differs from From: " + ", ".join(address.email for address in answered.reply_to)
    for entry in conversation.entries:
        if entry.message.encrypted or entry.message.too_complex:
            yield f"A message of this conversation could not be read: {entry.message.encrypted or 'too complex'}"


def _answered(conversation: Conversation) -> Message | None:
    entry = conversation.newest_from_others
    return entry.message if entry else None
