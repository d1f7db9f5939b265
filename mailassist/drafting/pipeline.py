"""One draft: conversation -> context -> prompt -> model -> cleaned text."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailassist.context.language import reply_language
from mailassist.context.tokens import TokenCounter, counter_for
from mailassist.drafting import budget
from mailassist.drafting.outline import outline
from mailassist.drafting.prompt import Author, Prompt, Wish, build
from mailassist.drafting.reply_text import cleaned
from mailassist.errors import ModelError, NotDraftable
from mailassist.mail.threads import Conversation, participants_in_common
from mailassist.model.registry import ModelInfo, Usage
from mailassist.store import conversations

if TYPE_CHECKING:
    from mailassist.config import Config, Identity
    from mailassist.model.client import Writer
    from mailassist.store.database import Store

OUTLINE = "outline"  # the model's name in a draft that no model wrote


@dataclass(frozen=True)
class DraftRequest:
    """What is to be drafted: the answer to the newest message of `conversation` that is not the user's."""

    account_name: str
    conversation: Conversation
    identity: Identity
    instruction: str = ""
    previous: str = ""  # the draft to revise


@dataclass(frozen=True)
class Draft:
    """A draft, for a person to look at. Nothing in `text` was checked to be true, and it may be unsafe to print."""

    text: str
    model: str
    usage: Usage | None
    cost: float  # US dollars
    prompt: Prompt | None  # None: no model was asked
    complete: bool  # False: the model stopped, or was stopped, before the end
    notices: tuple[str, ...]  # what the person should know, one line each


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
    """Exactly what would be sent. Raises NotDraftable, ConfigError (templates), InputError (budget)."""
    refuse_undraftable(request.conversation)
    known = participants_in_common(request.conversation, request.conversation.newest_from_others)
    counter: TokenCounter = counter_for(info.tokenizer, count)
    return build(
        known,
        Author(request.identity.name, request.identity.address),
        Wish(request.instruction, request.previous, reply_language(known, request.identity.languages)),
        budget=token_budget(config, info),
        counter=counter,
        delimiter=conversations.delimiter(store, request.account_name, request.conversation.key),
        today=datetime.fromtimestamp(now(), UTC).date(),
        overrides=overrides,
        input_price=info.input_price,
    )
