"""What of one message the model may see: what its author newly wrote, and quoted text that nobody else here wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailassist.context.clean import data_text, one_line
from mailassist.mail import quote_markers as markers
from mailassist.mail.closing_lines import list_footer
from mailassist.mail.message import Message
from mailassist.mail.threads import Conversation, Entry

RUN = 3  # words in a row that count as one piece of text when quotes are compared
LEAST_WORDS = 4  # a shorter block of quoted text says nothing
MOST_NAMES = 8  # attachments that are named
LONGEST_HEADER = 4_000  # characters that name who wrote what is forwarded
MOST_COLONS = 5_000  # of quoted text that is looked through for attributions; time stays linear

_QUOTE_MARKS = re.compile(r"^[ \t]*(?:[>|][ \t]*)+|^[ \t]+$", re.MULTILINE)
# Chinese, Japanese and Thai put no spaces between words: there, a character is one.
_WORDS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
_BLIND_COPY = re.compile(r"^[ \t>*]*(?:bcc|blindkopie|cci|cco|ccn|bilaga-bcc)\s*:.*\n?", re.IGNORECASE | re.MULTILINE)
_LONG_LINK = re.compile(r"((?i:https?)://[^\s<>]{192})[!-;=?-~]+")
_SIGNATURE = re.compile(r"--? ?(?:\n|$)")


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
        quoted = missing_history(_data(entry.message.quoted, delimiter), seen)
        seen.update(runs(quoted))
        found.append(Visible(entry, _with_remarks(entry, text, bool(quoted), delimiter), quoted))
    return found


def missing_history(quoted: str, seen: set[tuple[str, ...]]) -> str:
    """The paragraphs of `quoted` that consist mostly of runs of words that are not in `seen`, without quote marks."""
    kept: list[str] = []
    leads = False  # whether the block below is kept: what only stands above a quotation is kept with it
    colons = 0
    for block in reversed(_blocks(quoted)):
        colons += block.count(":") + block.count("：")
        text = _quotation(block) if colons <= MOST_COLONS else block.strip()
        leads = (_is_new(text, seen) and not _is_list_footer(block)) or (leads and not text)
        if leads:
            kept.append(block.strip())
    return "\n\n".join(reversed(kept))


def _blocks(quoted: str) -> list[str]:
    """The paragraphs of quoted text, without quote marks and blind copies."""
    return re.split(r"\n\s*\n", _QUOTE_MARKS.sub("", _BLIND_COPY.sub("", quoted)).strip())


def runs(text: str) -> Iterable[tuple[str, ...]]:
    """Every run of `RUN` words of `text`, in any case and layout."""
    words = _WORDS.findall(text.casefold())
    return zip(*(words[start:] for start in range(RUN)), strict=False)


def _is_new(text: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether `text` says something that is not in `seen`."""
    if len(_WORDS.findall(text)) < LEAST_WORDS or _SIGNATURE.match(text):
        return False
    found = list(runs(text))
    return 2 * sum(run not in seen for run in found) > len(found)


def _is_list_footer(block: str) -> bool:
    return list_footer(block.strip().split("\n")) == 0


def _quotation(block: str) -> str:
    """`block` without the lines that mail programs put above a quotation: attributions, copied headers, separators."""
    lines = block.strip("\n").split("\n")
    above: set[int] = set()
    in_header = False
    for number, line in enumerate(lines):
        in_header = bool(markers.header_key(line)) or (in_header and line[:1] in (" ", "\t"))
        if in_header or markers.is_separator(line) or markers.RULE.fullmatch(line):
            above.add(number)
        elif found := markers.attribution(lines, number):
            above.update(range(found[0], number + 1))
    return "\n".join(line for number, line in enumerate(lines) if number not in above).strip()


def _own_text(message: Message, delimiter: str) -> str:
    """What the author newly wrote; all of the text where nothing is quoted and the split found nothing of theirs.

    Of a bare forward, and of a quotation that is answered line by line, what names its author stands above it.
    """
    text = message.reply if message.reply.strip() or message.quoted.strip() else message.text
    above = message.quoted.strip()
    if message.reply.strip() and 0 < len(above) <= LONGEST_HEADER and message.text.lstrip().startswith(above):
        blocks = _blocks(data_text(above, delimiter))
        if not any(map(_quotation, blocks)):
            text = "\n".join([*blocks, text])
    return _data(text, delimiter)


def _data(text: str, delimiter: str) -> str:
    """`text` as data; of links that only machines read (trackers, safe links) the beginning, as in HTML."""
    return _LONG_LINK.sub(r"\1…", data_text(text, delimiter))


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
