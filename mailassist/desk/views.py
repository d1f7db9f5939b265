"""Rows of the store as the terminal UI sees them, and which message a reply answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailassist.errors import NotDraftable
from mailassist.worklist import OutboxEntry, SavedDraft

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
    return (conversation.newest_from_others or conversation.newest).message


def saved_draft(row: DraftRow) -> SavedDraft:
    """A row of the drafts table for the UI."""
    return SavedDraft(
        answers=row.answers,
        text=row.text,
        written_by="person" if row.written_by == "person" else "model",
        model=row.model,
        complete=row.complete,
        in_drafts=row.state == "appended",
        previous=row.previous,
        instruction=row.instruction,
        input_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
    )


def outbox_entry(row: OutboxRow) -> OutboxEntry:
    """A row of the outbox table for the UI."""
    return OutboxEntry(
        row.id, row.account, row.answers, row.state, row.not_before, row.subject, row.recipient_list, row.error
    )
