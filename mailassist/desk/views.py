"""Rows of the store as the terminal UI sees them, and which message a reply answers."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from mailassist.errors import NotDraftable
from mailassist.worklist import Author, OutboxEntry, Preview, SavedDraft

if TYPE_CHECKING:
    from mailassist.intake.pull import Pulled
    from mailassist.mail.message import Message
    from mailassist.store.drafts import DraftRow
    from mailassist.store.outbox import OutboxRow


def answered(pulled: Pulled) -> Message:
    """The message that a reply answers: the newest of somebody else, else the newest. Raises NotDraftable."""
    conversation = pulled.conversation
    if not conversation.entries:
        raise NotDraftable("The conversation is empty", cure="Run `mailassist sync`.")
    return conversation.answered.message


def author(written_by: str) -> Author:
    """Who wrote a text, of what the store says."""
    return "person" if written_by == "person" else "model"


def saved_draft(row: DraftRow, others: Container[str]) -> SavedDraft:
    """A row of the drafts table for the UI; `others`: messages and conversations with several texts."""
    return SavedDraft(
        answers=row.answers,
        text=row.text,
        written_by=author(row.written_by),
        model=row.model,
        complete=row.complete,
        in_drafts=row.state == "appended",
        version=row.version,
        others=row.answers in others or row.conversation in others,
        reply_all=row.reply_all,
        instruction=row.instruction,
        input_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
    )


def preview(raw: bytes) -> Preview:
    """A composed reply for the UI: what a mail program would show of it, and the headers that make it one."""
    from mailassist.mail.compose import OWN_HEADER
    from mailassist.mail.parse import parse_message

    drawn_later = ("date", "message-id", OWN_HEADER.lower(), "mime-version")

    message = parse_message(raw)
    names = (name for name in message.headers if name not in drawn_later and not name.startswith("content-"))
    headers = tuple((name.title(), value) for name in names for value in message.headers[name])
    return Preview(headers, message.text, bool(message.html))


def outbox_entry(row: OutboxRow) -> OutboxEntry:
    """A row of the outbox table for the UI."""
    return OutboxEntry(
        row.id, row.account, row.answers, row.state, row.not_before, row.subject, row.recipient_list, row.error
    )
