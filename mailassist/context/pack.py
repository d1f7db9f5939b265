"""Which part of a conversation the model sees: the newest messages, as much as the token budget holds.

Of each message only what its author newly wrote is taken, and quoted text only where its original is not in the
conversation. Hidden text, Bcc and signatures never enter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize

from mailassist.context.clean import data_text, one_line
from mailassist.context.tokens import TokenCounter
from mailassist.context.visible import Visible, visible
from mailassist.mail.message import Address, Message
from mailassist.mail.threads import Conversation, Entry, participants_in_common

HEADER_TOKENS = 12  # the line above each message: delimiter, date, author
NAME_TOKENS = 3  # that a name may have even where the tokenizer makes more of the delimiter's digits
NAME_SHARE = 16  # the part of the budget that one name may have where counts are estimates, far above the truth
SHORTEST = 24  # tokens below which what is left of a message says nothing

_CHARACTERS = 12  # of a token at most, for the first cut of a text that is far too long; prose has 3 to 5
_NAME_WORD = re.compile(r"\w+")
_QUOTED = "\n[quoted, not among these messages:]\n"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # not strftime: it speaks the language of the machine
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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
    subject: str = ""  # of the first message here; a later change stands in its message

    @property
    def missing(self) -> int:
        """How many messages are left out as a whole."""
        return len({part.message_id for part in self.left_out} - {message.message_id for message in self.messages})


def pack(conversation: Conversation, budget: int, counter: TokenCounter, delimiter: str) -> Packed:
    """Fill `budget` tokens with the messages of `conversation`, the newest first; the result is in reading order.

    The newest message and the one answered are always in, cut where they are too long, unless `budget` does not even
    hold their headers. What is newer than the one answered leaves it half of the budget. The first older message that
    does not fit is shortened to the room that is left; those before it are left out. Room that is left then holds
    quoted text whose original is missing. Messages without a participant in common with the one answered never enter.
    """
    known = _with_common_participants(conversation)
    parts = visible(known, delimiter)
    own = _newest_first(parts, known, budget, counter, delimiter)
    messages = _with_quotes(own, parts, budget - sum(message.tokens for message in own), counter)[::-1]
    return Packed(
        tuple(messages),
        tuple(_left_out(conversation, known, parts, {message.message_id: message for message in messages})),
        sum(message.tokens for message in messages),
        counter.exact,
        delimiter,
        _subject(known, messages, delimiter),
    )


def _with_common_participants(conversation: Conversation) -> Conversation:
    """What of `conversation` may enter a prompt: a forged reference brings no stranger's text in."""
    answered = conversation.newest_from_others or conversation.newest
    return participants_in_common(conversation, answered.message)


def _newest_first(
    parts: Sequence[Visible], known: Conversation, budget: int, counter: TokenCounter, delimiter: str
) -> list[PackedMessage]:
    """What fits of the authors' own texts, the newest first."""
    chosen: list[PackedMessage] = []
    answered = known.newest_from_others or known.newest
    room = budget
    reached = False  # whether the message answered is in: those newer leave it half of the budget, all together
    for part in reversed(parts):
        reached = reached or part.entry is answered
        header = header_line(part.entry, known, delimiter, counter, budget // NAME_SHARE)
        share = room if reached else room - budget // 2
        packed = _fit(part, header, share, counter, must=not chosen or part.entry is answered)
        if packed is None:
            if not reached:
                continue
            break
        chosen.append(packed)
        room -= packed.tokens
        if packed.shortened and reached:
            break
    return chosen


def _fit(part: Visible, header: str, room: int, counter: TokenCounter, *, must: bool) -> PackedMessage | None:
    """The message whole, else cut to `room`; None where too little would be left of it.

    Of one that `must` be in, only the mark of what was cut has to fit.
    """
    message_id, text = part.entry.message.message_id, part.text
    head = counter.count(header + "\n")
    if len(text) <= room * _CHARACTERS:
        whole = head + counter.count(text + "\n")
        if whole <= room:
            return PackedMessage(message_id, text, whole, header)
    if not must and room - head < SHORTEST:
        return None
    shorter = shorten(text, room - head, counter)
    tokens = head + counter.count(shorter + "\n")
    return PackedMessage(message_id, shorter, tokens, header, shortened=True) if tokens <= room else None


def _with_quotes(
    own: Sequence[PackedMessage], parts: Sequence[Visible], room: int, counter: TokenCounter
) -> list[PackedMessage]:
    """`own` with the quoted text whose original is missing, as much as `room` holds, in the newest first."""
    quotes = {part.entry.message.message_id: part.quoted for part in parts}
    whole: list[PackedMessage] = []
    for message in own:
        quoted = quotes[message.message_id]
        if quoted and not message.shortened and room >= 2 * SHORTEST:
            text = message.text + _QUOTED + shorten(quoted, room - SHORTEST, counter)
            tokens = counter.count(f"{message.header}\n") + counter.count(text + "\n")
            if tokens - message.tokens <= room:
                room -= tokens - message.tokens
                message = replace(message, text=text, tokens=tokens)
        whole.append(message)
    return whole


def _left_out(
    conversation: Conversation, known: Conversation, parts: Sequence[Visible], packed: Mapping[str, PackedMessage]
) -> Iterator[LeftOut]:
    """What the model does not see, oldest first."""
    members = {part.entry.message.message_id: part for part in parts}
    for message_id in (entry.message.message_id for entry in conversation.entries):
        part, message = members.get(message_id), packed.get(message_id)
        if part is None:
            yield LeftOut(message_id, "no participant in common with the message answered")
        elif message is None:
            yield LeftOut(message_id, "over the token budget")
        elif message.shortened:
            yield LeftOut(message_id, "shortened to the token budget")
        elif part.quoted and not message.text.endswith(part.quoted):
            yield LeftOut(message_id, "quoted text shortened to the token budget")


def _subject(known: Conversation, messages: Sequence[PackedMessage], delimiter: str) -> str:
    first = known.message(messages[0].message_id) if messages else None
    return one_line(data_text(first.subject, delimiter), 200) if first else ""


def header_line(
    entry: Entry, conversation: Conversation, delimiter: str, counter: TokenCounter, longest_name: int
) -> str:
    """The line above a message: delimiter, day and author, "me" for the user. Long names are shortened.

    A day stands there in any case, and nobody else is called "me": a name must not make another of the prompt's own
    lines, such as the one that ends the data.

    In o200k_base it has at most `HEADER_TOKENS` tokens; where `counter` estimates, the name has at most `longest_name`.
    """
    message = entry.message
    start = f"{delimiter} {_day(message, conversation)}"
    if entry.ours:
        return f"{start} me"
    name = one_line(data_text(_author(conversation.own.correspondent(message)), delimiter), 60) or "unknown"
    if _is_called_me(name):
        name = "other"
    left = HEADER_TOKENS - counter.count(start + "\n")
    room = (left if left > 0 else NAME_TOKENS) if counter.exact else max(longest_name, NAME_TOKENS)
    while len(name) > 1 and counter.count(f" {name}") > room:
        name = name.rpartition(" ")[0] or name[: len(name) // 2]
    return f"{start} {name}" if counter.count(f" {name}") <= room else f"{start} other"


def _author(author: Address | None) -> str:
    return (author.name or author.email.partition("@")[0]) if author else ""


def _is_called_me(name: str) -> bool:
    """Whether `name` would pass for the user's; "Me Durand" (Maître) does not."""
    words = _NAME_WORD.findall(normalize("NFKC", name))
    return words[:1] == ["me"] or [word.casefold() for word in words] == ["me"]


def _day(message: Message, conversation: Conversation) -> str:
    """`Fri 20 Nov`, `20 Nov 25` where the year is not that of the newest message, or `undated`."""
    if message.date is None:
        return "undated"
    newest = conversation.newest.message.date
    day = f"{message.date.day} {_MONTHS[message.date.month - 1]}"
    if newest is not None and newest.year != message.date.year:
        return f"{day} {message.date.year % 100:02}"
    return f"{_DAYS[message.date.weekday()]} {day}"


def shorten(text: str, limit: int, counter: TokenCounter) -> str:
    """`text` cut to at most `limit` tokens: its beginning and end in whole words, with a mark where the rest was.

    Requests stand at the beginning or the end of a message more often than in the middle. Where `limit` does not even
    hold the mark, the mark is all that is left.
    """
    longest = max(limit, 0) * _CHARACTERS
    if len(text) <= longest and counter.count(text + "\n") <= limit:
        return text
    words = _words(text[:longest].rstrip()) + _words(text[max(longest, len(text) - longest) :].rstrip())
    total = len(text.split())
    low, high = 0, max(len(words) - 1, 0)  # how many words are kept: `low` fits, unless it is 0
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(_ends(words, middle, total) + "\n") <= limit:
            low = middle
        else:
            high = middle - 1
    return _ends(words, low, total)


def _words(text: str) -> list[str]:
    """The words of `text`, each with the white space before it; what is endless is cut in pieces."""
    return re.findall(r"\s*\S{1,100}", text)


def _ends(words: Sequence[str], kept: int, total: int) -> str:
    """The first two thirds of `kept` words and the last third, and between them how many of `total` were cut."""
    tail = kept // 3
    head, end = "".join(words[: kept - tail]), "".join(words[len(words) - tail :])
    return f"{head} [{max(total - kept, 1)} words left out]{end}".strip()
