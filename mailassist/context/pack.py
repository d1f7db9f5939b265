"""Which part of a conversation the model sees: the newest messages, as much as the token budget holds.

Of each message only what its author newly wrote is taken, and quoted text only where its original is not in the
conversation. Hidden text, Bcc and signatures never enter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailassist.context.clean import data_text, one_line
from mailassist.context.tokens import TokenCounter
from mailassist.mail.message import Message
from mailassist.mail.threads import Conversation, Entry, participants_in_common

HEADER_TOKENS = 12  # the line above each message: delimiter, date, author
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # not strftime: it speaks the language of the machine
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHORTEST = 24  # tokens of text below which a shortened message says nothing


@dataclass(frozen=True, slots=True)
class PackedMessage:
    """One message as the model sees it."""

    message_id: str
    text: str
    tokens: int  # of header and text
    header: str = ""  # the line above it: delimiter, date, author
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message, or a part of one, that the model does not see, and why."""

    message_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Packed:
    """What the model sees of a conversation, oldest message first."""

    messages: tuple[PackedMessage, ...]
    left_out: tuple[LeftOut, ...]
    tokens: int  # of the messages with their headers
    exact: bool  # False: `tokens` is an upper estimate
    delimiter: str
    subject: str = ""


def pack(conversation: Conversation, budget: int, counter: TokenCounter, delimiter: str) -> Packed:
    """Fill `budget` tokens with the messages of `conversation`, the newest first; the result is in reading order.

    The newest message is always in, cut where it alone is too long. The first message that does not fit any more is
    shortened to the room that is left; those before it are left out.
    """
    conversation, left_out = _with_common_participants(conversation)
    texts = _texts(conversation, delimiter)
    chosen: list[PackedMessage] = []
    room = budget
    for entry in reversed(conversation.entries):
        header = header_line(entry, conversation, delimiter, counter)
        text = texts[entry.message.message_id]
        packed = _fit(entry.message.message_id, header, text, room, counter, must=not chosen) if room > 0 else None
        if packed is None:
            left_out.append(LeftOut(entry.message.message_id, "over the token budget"))
            room = 0
            continue
        if packed.shortened:
            left_out.append(LeftOut(packed.message_id, "shortened to the token budget"))
        chosen.append(packed)
        room = 0 if packed.shortened else room - packed.tokens
    return Packed(
        tuple(reversed(chosen)),
        tuple(left_out),
        sum(message.tokens for message in chosen),
        counter.exact,
        delimiter,
        one_line(data_text(conversation.subject, delimiter), 200),
    )


def _with_common_participants(conversation: Conversation) -> tuple[Conversation, list[LeftOut]]:
    """What of `conversation` may enter a prompt, and what may not: a forged reference brings no stranger's text in."""
    answered = conversation.newest_from_others or conversation.newest
    known = participants_in_common(conversation, answered.message)
    kept = {entry.message.message_id for entry in known.entries}
    strangers = [entry.message.message_id for entry in conversation.entries if entry.message.message_id not in kept]
    return known, [
        LeftOut(message_id, "no participant in common with the message answered") for message_id in strangers
    ]


def header_line(entry: Entry, conversation: Conversation, delimiter: str, counter: TokenCounter) -> str:
    """The line above a message: delimiter, day and author, in at most `HEADER_TOKENS` tokens ("me": the user)."""
    message = entry.message
    parts = [delimiter, _day(message, conversation)]
    name = "me" if entry.ours else one_line(data_text(_author(message), delimiter), 60)
    line = " ".join(part for part in [*parts, name] if part)
    while counter.exact and name and counter.count(line + "\n") > HEADER_TOKENS:
        name = name.rpartition(" ")[0] if " " in name else name[: len(name) // 2]
        line = " ".join(part for part in [*parts, name] if part)
    return line


def _author(message: Message) -> str:
    author = message.author
    if author is None:
        return "unknown"
    return author.name or author.email.partition("@")[0]


def _day(message: Message, conversation: Conversation) -> str:
    """`Fri 20 Nov`, and with the year where it is not that of the newest message."""
    if message.date is None:
        return ""
    newest = conversation.newest.message.date
    same_year = newest is not None and newest.year == message.date.year
    day = f"{message.date.day} {_MONTHS[message.date.month - 1]}"
    return f"{_DAYS[message.date.weekday()]} {day}" if same_year else f"{day} {message.date.year % 100:02}"


def _fit(
    message_id: str, header: str, text: str, room: int, counter: TokenCounter, *, must: bool
) -> PackedMessage | None:
    """The message whole, else cut to `room`; None where too little would be left of it (never if it `must` be in)."""
    head = counter.count(header + "\n")
    whole = head + _count_up_to(text + "\n", room - head, counter)
    if whole <= room:
        return PackedMessage(message_id, text, whole, header)
    if not must and room - head < SHORTEST:
        return None
    shorter = shorten(text, room - head, counter)
    return PackedMessage(message_id, shorter, head + counter.count(shorter + "\n"), header, shortened=True)


def _count_up_to(text: str, limit: int, counter: TokenCounter) -> int:
    """The tokens of `text`, or a number over `limit` without counting all of a text that is far too long."""
    longest = max(limit, 0) * 128 + 128  # no token of o200k_base has more than 128 bytes
    if len(text) > longest:
        return limit + 1
    return counter.count(text)


def shorten(text: str, limit: int, counter: TokenCounter) -> str:
    """`text` cut to at most `limit` tokens: its beginning and end, whole words, with a mark where the rest was.

    Requests stand at the beginning or the end of a message more often than in the middle.
    """
    text = text[: limit * 128] + text[-limit * 128 :] if len(text) > limit * 256 > 0 else text
    words = re.findall(r"\s*\S{1,200}", text)
    low, high = 0, len(words)  # how many words are kept; `low` fits, or is 0
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(_ends(words, middle) + "\n") <= limit:
            low = middle
        else:
            high = middle - 1
    return _ends(words, low)


def _ends(words: Sequence[str], kept: int) -> str:
    """The first two thirds of `kept` words and the last third, and between them how many were cut."""
    if kept >= len(words):
        return "".join(words)
    tail = kept // 3
    head = "".join(words[: kept - tail])
    end = "".join(words[len(words) - tail :]) if tail else ""
    return f"{head} [... {len(words) - kept} words left out ...]{end}".strip()


def _texts(conversation: Conversation, delimiter: str) -> dict[str, str]:
    """Of each message, by its id: what the model may see of it."""
    return {
        entry.message.message_id: data_text(entry.message.reply or entry.message.text, delimiter)
        for entry in conversation.entries
    }
