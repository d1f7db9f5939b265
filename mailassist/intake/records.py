"""From what a source says of a message to a row of the header index, and back to a message without a body."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from mailassist.mail.charsets import without_surrogates
from mailassist.mail.message import Address, Message
from mailassist.mail.parse import parse_headers
from mailassist.store.index import IndexRow
from mailassist.transport.source import HeaderRecord, Location

DRAFT = "\\draft"
_SENT_LABEL = "\\Sent"


def index_row(account: str, record: HeaderRecord) -> IndexRow:
    """The row for one copy of a message; its conversation is given when it is stored."""
    message = parse_headers(record.headers)
    received = record.received.timestamp() if record.received else None
    date = timestamp(message.date, received)
    author = message.author
    place = record.location
    return IndexRow(
        account,
        place.folder,
        place.uidvalidity,
        place.uid,
        message.message_id,
        " ".join(message.in_reply_to),
        " ".join(message.references),
        record.thread_id,
        0,
        without_surrogates(message.subject),
        without_surrogates(author.name) if author else "",
        without_surrogates(author.email) if author else "",
        without_surrogates(recipients(message)),
        date,
        date if received is None else received,
        record.size,
        *flags_and_labels(record),
        record.headers,
    )


def flags_and_labels(record: HeaderRecord) -> tuple[str, str]:
    """Both as they are stored."""
    flags = " ".join(sorted(record.flags)) if record.flags else ""
    return flags, "\n".join(sorted(record.labels)) if record.labels else ""


def recipients(message: Message) -> str:
    """The addresses of To and Cc, lower case, one space between."""
    return " ".join([address.email for address in (*message.to, *message.cc)]).lower()


def timestamp(date: datetime | None, received: float | None) -> float:
    """When a message counts as written: its Date, unless that lies a day or more after its arrival."""
    if date is None:
        return received or 0.0
    try:
        written = date.timestamp()
    except (OverflowError, ValueError):
        return received or 0.0
    return written if received is None or written < received + 86_400 else received


def light_message(row: IndexRow) -> Message:
    """The message of `row` as far as threading needs it."""
    return Message(
        message_id=row.message_id,
        subject=row.subject,
        date=datetime.fromtimestamp(row.date, UTC),
        from_=(Address(row.sender_name, row.sender_address),) if row.sender_address else (),
        in_reply_to=tuple(row.in_reply_to.split()),
        references=tuple(row.reference_ids.split()),
        size=row.size,
    )


def location(row: IndexRow) -> Location:
    """Where the copy of `row` lies."""
    return Location(row.folder, row.uidvalidity, row.uid)


def is_draft(flags: Iterable[str], labels: Iterable[str]) -> bool:
    """Whether a copy is a draft: by flag, or, in Gmail's \\All, by label."""
    return any(flag.lower() == DRAFT for flag in (*flags, *labels)) or "\\Drafts" in labels


def in_inbox(row: IndexRow, inboxes: Iterable[str]) -> bool:
    """Whether a copy lies in a folder whose mail is answered (on Gmail: has its label)."""
    return row.folder in inboxes or any(_is_inbox_label(label, inboxes) for label in row.labels.split("\n") if label)


def in_sent(row: IndexRow, sent: Collection[str]) -> bool:
    """Whether a copy lies in one of the folders `sent` (on Gmail: has that label): who may write there is the team.

    Anybody can write an own address into From.
    """
    return row.folder in sent or _SENT_LABEL in row.labels.split("\n")


def _is_inbox_label(label: str, inboxes: Iterable[str]) -> bool:
    return label.lower() == "\\inbox" or label in inboxes
