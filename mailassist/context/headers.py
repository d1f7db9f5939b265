"""The one line above each message of a prompt: delimiter, day and author, in few tokens."""

from __future__ import annotations

import re
from unicodedata import normalize

from mailassist.context.clean import data_text, one_line
from mailassist.context.tokens import TokenCounter
from mailassist.mail.message import Address, Message
from mailassist.mail.threads import Conversation, Entry

HEADER_TOKENS = 12  # the line above each message: delimiter, date, author
NAME_TOKENS = 3  # that a name may have even where the tokenizer makes more of the delimiter's digits

_NAME_WORD = re.compile(r"\w+")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # not strftime: it speaks the language of the machine
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def header_line(
    entry: Entry, conversation: Conversation, delimiter: str, counter: TokenCounter, longest_name: int
) -> str:
    """The line above a message: delimiter, day and author, "me" for the user. Long names are shortened.

    A day stands there in any case, and nobody else is called "me": a name must not make another of the prompt's own
    lines, such as the one that ends the data.

    In o200k_base it has at most `HEADER_TOKENS` tokens; where `counter` estimates, the name has at most `longest_name`.
    """
    message = entry.message
    start = f"{delimiter} {day_of(message, conversation)}"
    if entry.ours:
        return f"{start} me"
    name = name_of(entry, conversation, delimiter)
    left = HEADER_TOKENS - counter.count(start + "\n")
    room = (left if left > 0 else NAME_TOKENS) if counter.exact else max(longest_name, NAME_TOKENS)
    while len(name) > 1 and counter.count(f" {name}") > room:
        name = name.rpartition(" ")[0] or name[: len(name) // 2]
    return f"{start} {name}" if counter.count(f" {name}") <= room else f"{start} other"


def name_of(entry: Entry, conversation: Conversation, delimiter: str) -> str:
    """What the prompt calls the author of `entry`, on one line: "me" is the user alone."""
    if entry.ours:
        return "me"
    name = one_line(data_text(_author(conversation.own.correspondent(entry.message)), delimiter), 60) or "unknown"
    return "other" if _is_called_me(name) else name


def _author(author: Address | None) -> str:
    return (author.name or author.email.partition("@")[0]) if author else ""


def _is_called_me(name: str) -> bool:
    """Whether `name` would pass for the user's; "Me Durand" (Maître) does not."""
    words = _NAME_WORD.findall(normalize("NFKC", name))
    return words[:1] == ["me"] or [word.casefold() for word in words] == ["me"]


def day_of(message: Message, conversation: Conversation) -> str:
    """`Fri 20 Nov`, `20 Nov 25` where the year is not that of the newest message, or `undated`."""
    if message.date is None:
        return "undated"
    newest = conversation.newest.message.date
    day = f"{message.date.day} {_MONTHS[message.date.month - 1]}"
    if newest is not None and newest.year != message.date.year:
        return f"{day} {message.date.year % 100:02}"
    return f"{_DAYS[message.date.weekday()]} {day}"
