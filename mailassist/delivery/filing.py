"""After a reply was sent: its copy in Sent, \\Answered on the original, our draft out of Drafts.

None of these steps can cause a second sending: they begin when the row says `sent` and never lead back. Each can be
done again after a crash without a second effect.
"""

from __future__ import annotations

from mailassist.delivery.drafts import remove_untouched
from mailassist.delivery.lookup import Wanted, find, folder_of
from mailassist.delivery.sending import backoff
from mailassist.delivery.work import LOOK_AGAIN, Work
from mailassist.errors import MailassistError, MailboxError
from mailassist.store import drafts as draft_table
from mailassist.store import outbox as table
from mailassist.store.outbox import OutboxRow
from mailassist.transport.source import Location, MailSource, Role

# Submission servers that file the copy themselves (ours would be a second one).
_FILE_THEMSELVES = (
    "gmail.com", "googlemail.com", "office365.com", "office365.us", "outlook.com", "hotmail.com", "live.com",
    "outlook.cn", "zoho.com", "zoho.eu", "zoho.in",
)  # fmt: skip
_REFUSALS = 3  # of an APPEND to Sent, then the reply is through without a copy, and the person is told


def files_itself(work: Work, source: MailSource | None = None) -> bool:
    """Whether the provider is known to put sent mail into Sent, so that a copy of ours would be a double."""
    if work.route.sent_copy != "auto":
        return work.route.sent_copy == "server"
    host = work.route.smtp_host.casefold()
    known = any(host == one or host.endswith(f".{one}") for one in _FILE_THEMSELVES)
    return known or bool(source and source.gmail)


def file_copy(work: Work, row: OutboxRow) -> OutboxRow:
    """`sent -> filed`. A server that cannot be reached: later; one that refuses: three times, then without a copy."""
    if files_itself(work):
        return _filed(work, row)
    try:
        with work.route.open_source() as source:
            if not files_itself(work, source):
                row = _append_once(work, row, source)
    except table.LeaseLost:
        raise
    except MailassistError as error:
        refused = isinstance(error, MailboxError)
        if refused and row.tries + 1 >= _REFUSALS:
            return _filed(work, row, f"Sent, but without a copy in Sent: {error}")
        return table.advance(
            work.store, row, now=work.now(), tries=row.tries + 1, error=f"Sent; its copy is not filed yet: {error}",
            not_before=work.now() + backoff(row.tries + 1), leased_until=0.0,
        )  # fmt: skip
    return _filed(work, row)


def finish(work: Work, row: OutboxRow) -> OutboxRow:
    """`filed -> done`: \\Answered on the original, and our own untouched draft of this reply out of Drafts."""
    note = row.error
    try:
        with work.route.open_source() as source:
            _mark_answered(source, row)
            work.mark("answered:flagged")
            _remove_draft(work, row, source)
            work.mark("answered:draft-removed")
    except table.LeaseLost:
        raise
    except MailboxError as error:
        note = note or f"Sent, but the original is not marked as answered: {error}"
    except MailassistError as error:
        return table.advance(
            work.store, row, now=work.now(), tries=row.tries + 1, error=f"Sent; not marked as answered yet: {error}",
            not_before=work.now() + backoff(row.tries + 1), leased_until=0.0,
        )  # fmt: skip
    row = table.advance(work.store, row, now=work.now(), state="done", tries=0, error=note, leased_until=0.0)
    work.mark("done")
    return row


def _append_once(work: Work, row: OutboxRow, source: MailSource) -> OutboxRow:
    """Look, then APPEND with \\Seen; what an APPEND that broke has left is found by the next look."""
    sent = folder_of(source, Role.SENT)
    wanted = Wanted(row.own_id, [one for one in (row.message_id, row.sent_message_id) if one], row.fingerprint)
    auto = work.route.sent_copy == "auto"
    fact = f"no sent copy by {work.route.smtp_host} for {work.route.account}"
    unknown = auto and work.store.fact(fact) is None  # some servers file the copy a moment after they have answered
    if (auto or row.filing_started) and (
        find(source, sent, wanted) or ((unknown or row.filing_started) and _came_late(work, wanted))
    ):
        return row
    work.mark("file:looked")
    row = table.advance(work.store, row, now=work.now(), filing_started=True)
    work.mark("file:intent")
    source.append(sent, row.raw, ["\\Seen"])
    work.mark("file:appended")
    if unknown:
        work.store.learn(fact, b"yes")  # and it is not waited for again
    return row


def _came_late(work: Work, wanted: Wanted) -> bool:
    """Once more after five seconds in a new session."""
    work.around.pause(LOOK_AGAIN)
    with work.route.open_source() as source:
        return bool(find(source, folder_of(source, Role.SENT), wanted))


def _filed(work: Work, row: OutboxRow, note: str = "") -> OutboxRow:
    row = table.advance(work.store, row, now=work.now(), state="filed", tries=0, error=note)
    work.mark("file:recorded")
    return row


def _mark_answered(source: MailSource, row: OutboxRow) -> None:
    """Set \\Answered where the original lay; where it lies now, if the folder's UIDs have changed since."""
    if not row.answered_folder or row.answered_uidvalidity is None or row.answered_uid is None:
        return
    place = Location(row.answered_folder, row.answered_uidvalidity, row.answered_uid)
    if source.add_flags(place, ["\\Answered"]):
        return
    state = source.examine(row.answered_folder)
    if state.uidvalidity == row.answered_uidvalidity:
        return  # moved or deleted by the person
    for uid in source.search_header(row.answered_folder, "Message-ID", row.answers):
        source.add_flags(Location(row.answered_folder, state.uidvalidity, uid), ["\\Answered"])


def _remove_draft(work: Work, row: OutboxRow, source: MailSource) -> None:
    draft = draft_table.get(work.store, row.account, row.answers)
    if draft is not None and draft.state == "approved" and draft.lies_in_mailbox:
        remove_untouched(work, source, draft)
