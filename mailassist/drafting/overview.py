"""A prompt taken apart: what became of each message and attachment, what is open, what is left out and why.

Two shapes of it: sections of rows, for people, and the messages with all that is in the prompt of each, for other
programs. The texts are from mail and not safe to print (see `mail.safe_text`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from mailassist.context.clean import data_text, one_line
from mailassist.context.headers import day_of, name_of
from mailassist.context.language import language_name
from mailassist.context.packed import Packed, PackedMessage
from mailassist.drafting.attachments import picture_line
from mailassist.drafting.prompt import Prompt
from mailassist.mail.threads import Conversation, Entry

FIRST_WORDS = 60  # characters of a message that is left out
HIDDEN_WORDS = 200  # characters of hidden text
MOST_GAPS = 20  # messages that were not found, one by one

Level = Literal["whole", "shortened", "summary", "excerpt"]
IN_WORDS: dict[Level, str] = {"whole": "whole", "shortened": "shortened", "summary": "in short", "excerpt": "excerpt"}
EXCERPT = "\n[excerpt] "  # stands before each excerpt behind what else there is of its message


@dataclass(frozen=True, slots=True)
class MessageShare:
    """All that is in a prompt of one message."""

    message_id: str
    header: str  # the line above it in the prompt
    level: Level
    text: str  # what is left of it in its place, then the excerpts, also those from its attachments
    tokens: int  # of all of it, with headers


@dataclass(frozen=True, slots=True)
class Row:
    """One thing in a section: a title and what is said of it (both may be ""), and its text."""

    text: str
    title: str = ""
    about: str = ""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind."""

    heading: str
    rows: tuple[Row, ...]


def level_of(message: PackedMessage) -> Level:
    """What became of one of `Packed.messages`."""
    return "summary" if message.summary else "shortened" if message.shortened else "whole"


def shares(packed: Packed, conversation: Conversation) -> list[MessageShare]:
    """All that is in the prompt of each message, oldest first; every token of `packed` is in one of them."""
    found = {one.message_id: MessageShare(*_own(one), one.text, one.tokens) for one in packed.messages}
    for one in packed.excerpts:
        text = f"{one.attached}: {one.text}" if one.attached else one.text
        before = found.get(one.message_id)
        if before is None:
            header = one.header.removesuffix(f", {one.attached}") if one.attached else one.header
            found[one.message_id] = MessageShare(one.message_id, header, "excerpt", text, one.tokens)
        else:
            found[one.message_id] = replace(
                before, text=before.text + EXCERPT + text, tokens=before.tokens + one.tokens
            )
    order = {entry.message.message_id: number for number, entry in enumerate(conversation.entries)}
    return sorted(found.values(), key=lambda share: order.get(share.message_id, len(order)))


def _own(message: PackedMessage) -> tuple[str, str, Level]:
    return message.message_id, message.header, level_of(message)


def sums(prompt: Prompt) -> list[str]:
    """The figures of a prompt, a few words each: its tokens and where they come from, language, length."""
    attached = sum(one.sent_tokens for one in prompt.documents)
    pictures = sum(one.tokens for one in prompt.images)
    rest = prompt.tokens - prompt.instruction_tokens - prompt.packed.tokens - pictures
    within = f" ({attached:,} of attachments)" if attached else ""
    parts = [f"instructions {prompt.instruction_tokens:,}", f"mail {prompt.packed.tokens:,}{within}"]
    parts += [f"pictures {pictures:,}"] if pictures else []
    parts += [f"the rest {rest:,}"] if rest > 0 else []
    total = f"{prompt.tokens:,} tokens, exact" if prompt.exact else f"at most {prompt.tokens:,} tokens, an estimate"
    least, most = prompt.sentences
    return [
        f"{total}: {', '.join(parts)}",
        f"in {language_name(prompt.language)}" if prompt.language else "language not told",
        *([f"{least}-{most} sentences"] if most else []),
    ]


def sections(prompt: Prompt, conversation: Conversation) -> list[Section]:
    """The whole of `prompt` for people, in its order, then what is left out of `conversation` and why."""
    packed = prompt.packed
    found = [
        Section("Messages", tuple(_message_row(one, level_of(one), packed.delimiter) for one in packed.messages)),
        Section(
            "From older text, on what is asked",
            tuple(_message_row(one, "excerpt", packed.delimiter) for one in packed.excerpts),
        ),
        Section("Still open", tuple(Row(f"{ask.author}, {ask.day}: {ask.text}") for ask in packed.open_asks)),
        Section("Attachments", tuple(_attachment_rows(prompt))),
        *_left_out(packed, conversation),
        Section("Could not be found", tuple(_gap_rows(packed, conversation))),
        Section("Hidden text, removed", tuple(_hidden_rows(packed, conversation))),
    ]
    return [section for section in found if section.rows]


def _message_row(message: PackedMessage, level: Level, delimiter: str) -> Row:
    return Row(message.text, message.header.removeprefix(delimiter).strip(), f"{message.tokens:,} tokens", level)


def _attachment_rows(prompt: Prompt) -> Iterator[Row]:
    for one in prompt.documents:
        if one.whole:
            yield Row(f"{one.name}: {one.tokens:,} tokens, whole")
        elif one.sent_tokens:
            yield Row(f"{one.name}: {one.sent_tokens:,} of {one.tokens:,} tokens")
        else:
            yield Row(f"{one.name}: left out, {one.tokens:,} tokens")
    for number, picture in enumerate(prompt.images, 1):
        yield Row(f"Image {number}: {picture_line(picture)}")


def _left_out(packed: Packed, conversation: Conversation) -> Iterator[Section]:
    """A section for each reason, those that concern whole messages first."""
    entries = {entry.message.message_id: entry for entry in conversation.entries}
    seen = {message.message_id for message in packed.messages}
    excerpts = {excerpt.message_id for excerpt in packed.excerpts}
    reasons: dict[str, list[str]] = {}
    for part in sorted(packed.left_out, key=lambda part: part.message_id in seen):
        reasons.setdefault(part.why, []).append(part.message_id)
    for why, ids in reasons.items():
        rows = []
        for one in ids:
            but = " (but for excerpts)" if one in excerpts else ""
            rows.append(Row(f"{_label(entries[one], packed, conversation)}: {_first_words(entries[one])}{but}"))
        yield Section(f"Left out: {why}", tuple(rows))


def _gap_rows(packed: Packed, conversation: Conversation) -> Iterator[Row]:
    """The messages that others name and that are not there, by who answers them."""
    entries = {entry.message.message_id: entry for entry in conversation.entries}
    answered = [[entries[one] for one in gap.children if one in entries] for gap in conversation.missing]
    told = [found for found in answered if found][:MOST_GAPS]
    for found in told:
        yield Row(f"what was answered by {'; '.join(_label(one, packed, conversation) for one in found[:MOST_GAPS])}")
    more = len(answered) - len(told)
    if more > 0:
        yield Row(f"{more:,} more, before that" if told else f"{more:,}")


def _hidden_rows(packed: Packed, conversation: Conversation) -> Iterator[Row]:
    for entry in conversation.entries:
        hidden = " … ".join(entry.message.hidden)
        if hidden.strip():
            yield Row(f"{_label(entry, packed, conversation)}: {_cut(hidden, HIDDEN_WORDS)}")


def _label(entry: Entry, packed: Packed, conversation: Conversation) -> str:
    """Author and day, as the prompt names them."""
    return f"{name_of(entry, conversation, packed.delimiter)}, {day_of(entry.message, conversation)}"


def _first_words(entry: Entry) -> str:
    text = _cut(data_text((entry.message.reply or entry.message.text)[: FIRST_WORDS * 20], ""), FIRST_WORDS)
    return f"“{text}”" if text else "(no text)"


def _cut(text: str, longest: int) -> str:
    """`text` on one line, with a mark where it is cut."""
    whole = " ".join(text[: longest * 20].split())
    return whole if len(whole) <= longest else one_line(whole, longest - 1) + "…"


def about(row: Row) -> str:
    """What is said of a row beside its title."""
    return ", ".join(word for word in (row.about, IN_WORDS[row.level] if row.level else "") if word)
