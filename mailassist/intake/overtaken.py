"""Whether a message still waits for an answer: asked of the server itself, right before something is sent.

Neither the header index nor kept texts are used. Sent is looked at besides the conversation, since mail programs send
answers without In-Reply-To. An answer that nobody files where we can see it is not found; nothing here proves that
there is none.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher

from mailassist.config import Account
from mailassist.errors import MailboxError
from mailassist.intake.folders import conversation_folders, inbox_folders
from mailassist.intake.grouping import containing, conversations
from mailassist.intake.pull import linked_ids
from mailassist.intake.records import in_inbox, in_sent, index_row, is_draft
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.automatic import automatic_reply
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_headers, parse_message
from mailassist.mail.subjects import base_subject
from mailassist.store.index import IndexRow
from mailassist.transport.source import HeaderRecord, MailSource, Role

LIKE = 0.7  # of the words: then a message that was sent is taken for the draft, sent from elsewhere
_NEWEST = 50  # messages of Sent that are looked at
_READ = 10  # of these, messages whose text is read
_WORDS = 2000  # of a text that are compared
_DAY = 86_400.0


def overtaken(source: MailSource, account: Account, own: OwnAddresses, answers: str, text: str) -> str:
    """Why the message `answers` is not to be answered by `text` any more, in plain words; "" where it is.

    Raises MailboxError (no Sent folder, the server fails), ConnectionFailed.
    """
    record = _find(source, account, answers)
    if record is None:
        return "the message is not in the mailbox any more"
    found = source.thread(record, linked_ids(record))
    records = {one.location: one for one in (record, *found) if not is_draft(one.flags, one.labels)}
    rows = [index_row("", one) for one in records.values() if "\\Deleted" not in one.flags]
    conversation = containing(conversations(rows, own), answers)
    if conversation is None:
        return "the message was deleted"
    inboxes = [folder.name for folder in inbox_folders(source, account.folders)]
    sent = [folder.name for folder in source.folders() if folder.role is Role.SENT]
    rows = [row for row in conversation[1] if in_sent(row, sent) or not _claims_to_be_ours(row, own, inboxes)]
    return _in_conversation(rows, own, answers) or _in_sent(source, record, text)


def _claims_to_be_ours(row: IndexRow, own: OwnAddresses, inboxes: Collection[str]) -> bool:
    """Whether a copy came in with an own address in From, which anybody can write there: it is nobody's answer."""
    return in_inbox(row, inboxes) and own.wrote(parse_headers(row.headers))


def _find(source: MailSource, account: Account, answers: str) -> HeaderRecord | None:
    for folder in conversation_folders(source, account.folders):
        source.examine(folder.name)
        uids = source.search_header(folder.name, "Message-ID", answers)
        for record in source.headers(folder.name, uids) if uids else ():
            if parse_headers(record.headers).message_id == answers and not is_draft(record.flags, record.labels):
                return record
    return None


def _in_conversation(rows: list[IndexRow], own: OwnAddresses, answers: str) -> str:
    """A newer message of anybody in the conversation; what programs write by themselves does not count."""
    first = min((row for row in rows if row.message_id == answers), key=lambda row: row.received)
    for row in sorted(rows, key=lambda row: row.received):
        message = parse_headers(row.headers)
        if row.message_id == answers or automatic_reply(message):
            continue
        named = answers in (*message.in_reply_to, *message.references)
        later = row.received > first.received and row.date > first.date - _DAY
        if not (named or later):  # what names it came later, also in the same second
            continue
        if own.wrote(message):
            return "somebody of yours has answered it already"
        return f"a newer message has come in from {row.sender_address or 'somebody'}"
    return ""


def _in_sent(source: MailSource, record: HeaderRecord, text: str) -> str:
    """An answer in Sent that no id joins to the conversation: same subject and recipient, or a text like ours."""
    question = parse_headers(record.headers)
    people = {one.key for one in (*question.from_, *question.reply_to)}
    since = index_row("", record).received - _DAY
    likely: list[HeaderRecord] = []
    sent = _sent_folder(source)
    for one in source.newest_headers(sent, _NEWEST):
        message = parse_headers(one.headers)
        to_them = people & {address.key for address in (*message.to, *message.cc)}
        if not to_them or "\\Deleted" in one.flags or index_row("", one).received < since or automatic_reply(message):
            continue
        if question.message_id in (*message.in_reply_to, *message.references):
            return "somebody of yours has answered it already"
        if _without_ids(message) and base_subject(message.subject) == base_subject(question.subject):
            return "somebody of yours has sent an answer with the same subject"
        likely.append(one)
    uids = [one.location.uid for one in likely[:_READ]]
    for _, raw in source.raw(sent, uids) if uids else ():
        if _alike(parse_message(raw).reply, text) >= LIKE:
            return "somebody of yours has sent this text already"
    return ""


def _sent_folder(source: MailSource) -> str:
    for folder in source.folders():
        if folder.role is Role.SENT and folder.selectable:
            return folder.name
    raise MailboxError(
        "The mailbox has no Sent folder, so nobody can tell whether a colleague has answered",
        cure='Name it: [accounts.NAME.folders] sent = "...".',
    )


def _without_ids(message: Message) -> bool:
    return not message.in_reply_to and not message.references


def _alike(one: str, other: str) -> float:
    """How much of two texts is the same, 0 to 1, by words."""
    first, second = (text.casefold().split()[:_WORDS] for text in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() if first and second else 0.0
