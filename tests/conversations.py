"""Short conversations for tests, from what each message says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Address, Message
from mailassist.mail.threads import Conversation, thread

ME = Address("Tom Berg", "tom@example.org")
ANNA = Address("Anna Meyer", "anna@example.net")
OWN = OwnAddresses.of([(ME.email, [])])
FIRST = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


def message(number: int, reply: str, *, ours: bool = False, **other: object) -> Message:
    """Message `number` of a conversation, a day after the one before, which it answers."""
    author, reader = (ME, ANNA) if ours else (ANNA, ME)
    written = Message(
        message_id=f"<{number}@test>",
        subject="Offer" if number == 0 else "Re: Offer",
        date=FIRST + timedelta(days=number),
        from_=(author,),
        to=(reader,),
        in_reply_to=(f"<{number - 1}@test>",) if number else (),
        text=reply,
        reply=reply,
    )
    return replace(written, **other)  # type: ignore[arg-type]


def talk(*replies: str | Message) -> Conversation:
    """A conversation of Anna and Tom in turns, Anna's message last."""
    last = len(replies) - 1
    written = [
        said if isinstance(said, Message) else message(number, said, ours=(last - number) % 2 == 1)
        for number, said in enumerate(replies)
    ]
    return together(written)


def together(messages: Sequence[Message]) -> Conversation:
    """The one conversation of `messages`."""
    (found,) = thread(messages, OWN)
    return found
