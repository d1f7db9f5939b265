"""Conversations from index rows: the rows of one look-up, threaded by the rules of `mail.threads`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailassist.intake.records import light_message
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.threads import Conversation, thread
from mailassist.store.index import IndexRow


def conversations(rows: Iterable[IndexRow], own: OwnAddresses) -> list[tuple[Conversation, list[IndexRow]]]:
    """Each conversation among `rows`, of messages without bodies, with the rows of all copies of its messages."""
    copies = by_message(rows)
    messages = [light_message(best(found)) for found in copies.values()]
    return [
        (found, [row for entry in found.entries for row in copies[entry.message.message_id]])
        for found in thread(messages, own)
    ]


def best(copies: Sequence[IndexRow]) -> IndexRow:
    """The copy that says most about where its message belongs."""
    return max(genuine(copies), key=lambda row: (len(row.reference_ids) + len(row.in_reply_to), row.size))


def genuine(copies: Iterable[IndexRow]) -> list[IndexRow]:
    """The rows of one Message-ID but those of another sender than the first to arrive: nobody can replace a message."""
    rows = sorted(copies, key=lambda row: row.received)
    return [row for row in rows if row.sender_address == rows[0].sender_address]


def by_message(rows: Iterable[IndexRow]) -> dict[str, list[IndexRow]]:
    """The rows of each Message-ID."""
    copies: dict[str, list[IndexRow]] = {}
    for row in rows:
        copies.setdefault(row.message_id, []).append(row)
    return copies


def containing(
    found: Iterable[tuple[Conversation, list[IndexRow]]], message_id: str
) -> tuple[Conversation, list[IndexRow]] | None:
    """The conversation with the message `message_id`, or None."""
    return next((one for one in found if one[0].message(message_id) is not None), None)
