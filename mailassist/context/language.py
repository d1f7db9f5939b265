"""Which language the reply is written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailassist.mail.threads import Conversation


def reply_language(conversation: Conversation, languages: Sequence[str] = ()) -> str:
    """The BCP 47 code of the language to answer in: that of the other side's newest message.

    `languages`: those the user writes, the preferred first; another is never chosen. "" when nothing can be told.
    """
    return languages[0] if languages else ""
