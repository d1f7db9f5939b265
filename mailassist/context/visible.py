"""What of one message the model may see: what its author newly wrote, and quoted text that nobody else here wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailassist.context.clean import data_text, one_line
from mailassist.mail.message import Message
from mailassist.mail.threads import Conversation, Entry

RUN = 3  # words in a row that count as one piece of text when quotes are compared
LEAST_WORDS = 4  # a shorter block of quoted text says nothing
MOST_NAMES = 8  # attachments that are named

_QUOTE_MARKS = re.compile(r"^[ \t]*(?:[>|][ \t]*)+|^[ \t]+$", re.MULTILINE)
_WORDS = re.compile(r"\w+")
_BLIND_COPY = re.compile(r"^[ \t>*]*(?:bcc|blindkopie|cci|cco|ccn|bilaga-bcc)\s*:.*\n?", re.IGNORECASE | re.MULTILINE)
# The lines that mail programs put above a quotation: attributions and copied headers. Alone they are no history.
_ABOVE_QUOTE = re.compile(
    r"^.{0,300}(?:wrote|schrieb|écrit|escribió|escreveu|scritto|schreef|skrev|napisał\w*)[^\n]{0,40}:$"
)
_SIGNATURE = re.compile(r"--? ?(?:\n|$)")
_COPIED_HEADER = re.compile(r"^\*?[\w -]{2,20}\*?\s?:\s\S")


@dataclass(frozen=True, slots=True)
class Visible:
    """One message as data for a prompt."""

    entry: Entry
    text: str  # what its author newly wrote; never empty
    quoted: str = ""  # what it quotes that is not in the conversation


def visible(conversation: Conversation, delimiter: str) -> list[Visible]:
    """Every message of `conversation` in its order. Text that several of them quote stands in the oldest of these."""
    own = [_own_text(entry.message, delimiter) for entry in conversation.entries]
    seen = set(runs(" ".join(own)))
    for entry in conversation.entries:
        seen.update(runs(entry.message.signature))
    found = []
    for entry, text in zip(conversation.entries, own, strict=True):
        quoted = missing_history(data_text(entry.message.quoted, delimiter), seen)
        seen.update(runs(quoted))
        found.append(Visible(entry, _with_remarks(entry, text, bool(quoted), delimiter), quoted))
    return found


def missing_history(quoted: str, seen: set[tuple[str, ...]]) -> str:
    """The paragraphs of `quoted` that consist mostly of runs of words that are not in `seen`, without quote marks."""
    plain = _QUOTE_MARKS.sub("", _BLIND_COPY.sub("", quoted))
    blocks = [block.strip() for block in re.split(r"\n\s*\n", plain)]
    kept = [(block, _is_new(block, seen)) for block in blocks if block]
    if not any(new for _, new in kept):
        return ""
    lines = [block for number, (block, new) in enumerate(kept) if new or _leads_to_new(kept, number)]
    return "\n\n".join(lines)


def runs(text: str) -> Iterable[tuple[str, ...]]:
    """Every run of `RUN` words of `text`, in any case and layout."""
    words = _WORDS.findall(text.casefold())
    return zip(*(words[start:] for start in range(RUN)), strict=False)


def _is_new(block: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether `block` says something that is not in `seen`."""
    body = "\n".join(line for line in block.split("\n") if not _is_above_quote(line))
    if len(_WORDS.findall(body)) < LEAST_WORDS or _SIGNATURE.match(body):
        return False
    found = list(runs(body))
    return 2 * sum(run not in seen for run in found) > len(found)


def _leads_to_new(blocks: list[tuple[str, bool]], number: int) -> bool:
    """Whether a block is the attribution of the new block behind it."""
    block = blocks[number][0]
    return number + 1 < len(blocks) and blocks[number + 1][1] and all(map(_is_above_quote, block.split("\n")))


def _is_above_quote(line: str) -> bool:
    return bool(_ABOVE_QUOTE.match(line) or _COPIED_HEADER.match(line))


def _own_text(message: Message, delimiter: str) -> str:
    """What the author newly wrote; all of the text where nothing is quoted and the split found nothing of theirs."""
    text = message.reply if message.reply.strip() or message.quoted.strip() else message.text
    return data_text(text, delimiter)


def _with_remarks(entry: Entry, text: str, quotes: bool, delimiter: str) -> str:
    return "\n".join([*_before(entry, delimiter), text or _nothing(entry.message, quotes), *_after(entry, delimiter)])


def _before(entry: Entry, delimiter: str) -> Iterator[str]:
    if entry.new_topic:
        yield f"[new subject: {one_line(data_text(entry.message.subject, delimiter), 200)}]"


def _after(entry: Entry, delimiter: str) -> Iterator[str]:
    names = [part.name or part.content_type for part in entry.message.attachments if not part.inline]
    if names:
        shown = [one_line(data_text(name, delimiter), 60) for name in names[:MOST_NAMES]]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"[attached: {', '.join(shown)}{more}]"


def _nothing(message: Message, quotes: bool) -> str:
    if message.encrypted:
        return f"[encrypted: {message.encrypted}]"
    return "[only quoted text]" if quotes else "[no text]"
