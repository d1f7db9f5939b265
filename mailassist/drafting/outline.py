"""A draft without any model: greeting, one line with a gap for each question and request, closing.

Every word of it comes from the data file or from the other side's own questions; nothing is invented.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailassist.context.asks import open_asks
from mailassist.context.clean import one_line
from mailassist.context.language import reply_language
from mailassist.context.loading import data_file, for_language

if TYPE_CHECKING:
    from mailassist.config import Identity
    from mailassist.mail.message import Address
    from mailassist.mail.threads import Conversation

_NAME = re.compile(r"[^\W\d_][\w .'’·-]{0,58}", re.UNICODE)


def outline(conversation: Conversation, identity: Identity, language: str = "") -> str:
    """The outline of the reply to `conversation`, without signature (code adds it); the name, where there is none.

    `language` is a BCP 47 code; "": the language of the other side's newest message, as far as `identity` allows.
    """
    written = language or reply_language(conversation, identity.languages)
    words = for_language(data_file("mailassist.drafting", "outline.toml"), written)
    asked = conversation.newest_from_others
    name = _called(conversation.own.correspondent(asked.message), given=bool(words.get("given"))) if asked else ""
    greeting = str(words["named"]).format(name=name) if name else str(words["plain"])
    gap = str(words["gap"])
    lines = [f"{ask.text} {gap}" for ask in open_asks(conversation)] or [gap]
    closing = str(words["closing"]) if identity.signature.strip() else f"{words['closing']}\n{identity.name}".rstrip()
    return "\n\n".join([greeting, *lines, closing])


def _called(author: Address | None, *, given: bool) -> str:
    """What to call `author`: the given name or the whole name, "" where the name is none."""
    name = one_line(author.name, 80).strip("'\" ") if author else ""
    if name.count(",") == 1:  # Meyer, Anna
        last, _, first = name.partition(",")
        name = f"{first.strip()} {last.strip()}"
    if not _NAME.fullmatch(name):
        return ""
    return name.split()[0] if given and 2 <= len(name.split()) <= 3 and len(name.split()[0]) > 2 else name
