"""Saving a reply to Drafts: the text into the store, then its revision into the mailbox."""

from __future__ import annotations

from mailassist.delivery.drafts import DraftOutcome, append_revision
from mailassist.delivery.reply import Built, Reply, build
from mailassist.delivery.work import Route, Surroundings, Work
from mailassist.store import drafts as table
from mailassist.store.database import Store

__all__ = ["DraftOutcome", "save_draft"]


def save_draft(
    store: Store,
    route: Route,
    reply: Reply,
    *,
    around: Surroundings | None = None,
    written_by: str = "person",
    anew: bool = False,
) -> DraftOutcome:
    """Keep `reply.text`, then put it into the Drafts folder in place of our earlier revision.

    The same text again changes nothing. A draft that the person edited or deleted in the mailbox is left alone
    (`state` "person" or "gone") unless they want it `anew`. Raises NotDraftable, UnsafeHeader, BuildFailed,
    MailboxError, ConnectionFailed, LoginError, DraftNotKept; the text is in the store in every case.
    """
    work = Work(store, route, around or Surroundings())
    answers = reply.original.message_id
    table.save_text(
        store, reply.account, answers, reply.text,
        now=work.now(), written_by=written_by, conversation=reply.conversation, reply_all=reply.plan.reply_all,
    )  # fmt: skip
    work.mark("draft:text-kept")
    row = table.get(store, reply.account, answers)
    assert row is not None

    def revision(generation: int) -> Built:
        return build(store, reply, now=work.now(), unique=f"draft {generation}")

    return append_revision(work, row, revision, anew=anew)
