"""What of one message the model may see: what its author newly wrote, and quoted text that nobody else here wrote.

A quotation whose original is in the conversation is dropped, up to the line that an answer in between needs; one whose
original is missing is kept as history. Marks and the text itself check each other: text that stands in an earlier
message is quoted though nothing marks it, and a line between unmarked quoted lines that nobody else wrote is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailassist.context.clean import LONGEST_TEXT, data_text, file_name, one_line
from mailassist.context.origins import MARKS, MOST_LINES, RUN, Origins, lines_of, runs_of, words_of
from mailassist.context.quotations import MOST_COLONS, PARAGRAPHS, cut, needed_line, quoted_messages
from mailassist.context.repeats import SHORT_LINE, without_repeats
from mailassist.mail import quote_markers as markers
from mailassist.mail.closing_lines import is_advertising, list_footer
from mailassist.mail.message import Block, BlockKind, Message
from mailassist.mail.threads import Conversation, Entry

LEAST_WORDS = 4  # a shorter paragraph of a quotation is kept only beside others
MOST_NAMES = 8  # attachments that are named
COPIED_WORDS = 30  # in a row, from which on a copy of an earlier message is taken for a quotation
WRAPPED_WORDS = 5  # of a line of prose, from which on it is known although it was wrapped anew
MARKED_COPY = 6  # the same, of lines with a mark that the split did not know

_BLIND_COPY = re.compile(r"^[ \t>*]*(?:bcc|blindkopie|cci|cco|ccn|bilaga-bcc)\s*:.*\n?", re.IGNORECASE | re.MULTILINE)
_LONG_LINK = re.compile(r"((?i:https?)://[^\s<>]{192})[!-;=?-~]+")
_MARKED_LINE = re.compile(r"^[ \t]*[>|]", re.MULTILINE)
_CODE = re.compile(r"[(){}\[\]=;$<>]")
_WRITTEN = (BlockKind.OWN, BlockKind.FORWARDED)
_NOT_WRITTEN = (BlockKind.SIGNATURE, BlockKind.DISCLAIMER)


@dataclass(frozen=True, slots=True)
class Visible:
    """One message as data for a prompt."""

    entry: Entry
    text: str  # what its author newly wrote; never empty
    quoted: str = ""  # what it quotes that is not in the conversation
    own: str = ""  # the same without remarks of ours; may be empty
    sources: tuple[str, ...] = ()  # the Message-IDs of the earlier messages that it quotes


def visible(conversation: Conversation, delimiter: str, longest: int | None = None) -> list[Visible]:
    """Every message of `conversation` in its order. Text that several of them quote stands in the oldest of these.

    `longest`: characters, from the newest message back, beyond which no message can be packed whole; of those only
    their own text is taken, and what they quote is not looked for.
    """
    messages = conversation.messages
    blocks = [_blocks(message) for message in messages]
    near = _first_within(messages, longest)
    origins = Origins()
    for kinds in (_NOT_WRITTEN, _WRITTEN):
        shift = len(messages) if kinds is _NOT_WRITTEN else 0  # what equals a signature is no copy of a text
        for number, parts in reversed(list(enumerate(blocks))):
            for block in parts:
                if block.kind in kinds:
                    origins.add_before(block.text, number + shift, wrapped=number >= near)
    found = []
    for number, (entry, parts) in enumerate(zip(conversation.entries, blocks, strict=True)):
        reading = _Reading(origins, number)
        for block in parts:
            if number >= near:
                reading.take(block)
            elif block.kind in (BlockKind.OWN, BlockKind.FORWARDED):
                reading.own.append(block.text)
        own = _data("\n".join(reading.own).strip("\n"), delimiter)
        quoted = _data("\n\n".join(reading.missing), delimiter)
        quoted_ones = sorted({source % len(messages) for source in reading.sources})
        sources = tuple(messages[source].message_id for source in quoted_ones)
        found.append(Visible(entry, _with_remarks(entry, own, bool(quoted), delimiter), quoted, own, sources))
    return found


def _first_within(messages: Sequence[Message], longest: int | None) -> int:
    """The number of the oldest message that is within `longest` characters of the newest."""
    if longest is None:
        return 0
    for number in range(len(messages) - 1, -1, -1):
        longest -= len(messages[number].reply)
        if longest < 0:
            return number
    return 0


def _blocks(message: Message) -> Sequence[Block]:
    """The blocks of a message; all of its text is its author's where the split found nothing of theirs."""
    if message.blocks and (message.reply.strip() or message.quoted.strip()):
        return message.blocks
    parts = [(BlockKind.OWN, message.reply), (BlockKind.QUOTED, message.quoted)]
    if not (message.reply.strip() or message.quoted.strip()):
        parts = [(BlockKind.OWN, message.text[:LONGEST_TEXT])]
    return [Block(kind, text) for kind, text in (*parts, (BlockKind.SIGNATURE, message.signature)) if text.strip()]


@dataclass(slots=True)
class _Reading:
    """One message, block by block."""

    origins: Origins
    number: int
    own: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    sources: set[int] = field(default_factory=set)
    above: str = ""  # the attribution above the next block

    def take(self, block: Block) -> None:
        """Read the next block."""
        above, self.above = self.above, ""
        if block.kind is BlockKind.ATTRIBUTION:
            self.above = f"{above}\n{block.text}" if above else block.text
        elif block.kind is BlockKind.OWN:
            self.own.append(without_repeats(self._without_copies(block.text)))
        elif block.kind is BlockKind.ANSWERED:
            self._answered(block.text, above)
        elif block.kind is BlockKind.FORWARDED:
            self._forwarded(block.text, above)
        elif block.kind is BlockKind.QUOTED:
            self._quoted(block.text, above)

    def _quoted(self, text: str, above: str) -> None:
        """History: what of it is not in the conversation."""
        text = text[:LONGEST_TEXT]
        plain = MARKS.sub("", text)
        if self._all_known(plain):
            return
        marked = MARKS.match(text.lstrip("\n")) is not None
        for head, content in quoted_messages(f"{MARKS.sub('', above)}\n{plain}" if above else plain):
            self._history(head, content, marked=marked)

    def _all_known(self, text: str) -> bool:
        """Whether other messages have every line of `text`, apart from attributions: so it mostly is."""
        lines = text.split("\n")
        colons = 0
        for number, line in enumerate(lines_of(text)):
            source = self.origins.lines.get(line)
            if source is not None and source != self.number:
                self.sources.add(source)
            elif line and not self._wrapped(words_of(line)):
                colons += 1
                if line[-1] not in (":", "：") or colons > MOST_COLONS or not markers.attribution(lines, number):
                    return False
        return True

    def _wrapped(self, words: Sequence[str]) -> bool:
        """Whether a line that was wrapped anew is in other messages."""
        runs = self.origins.runs
        return len(words) >= RUN and all(runs.get(run, self.number) != self.number for run in runs_of(words))

    def _forwarded(self, text: str, above: str) -> None:
        """A forward without a comment: all of it, or what of it nobody here wrote."""
        if not self._known(text):
            self.own.append(f"{_plain(above).strip()}\n\n{text}" if above else text)
            return
        for _head, content in quoted_messages(MARKS.sub("", text)):
            paragraphs = [one for one in PARAGRAPHS.split(content) if words_of(one) and not self._known(one)]
            self.own.extend(f"{paragraph}\n" for paragraph in paragraphs if not is_advertising(paragraph))

    def _known(self, text: str) -> bool:
        plain = _plain(text)
        if not self.origins.knows(plain, self.number):
            return False
        source = self.origins.trace(plain, self.number)[1]
        if source is not None:
            self.sources.add(source)
        return True

    def _answered(self, text: str, above: str) -> None:
        """A quotation between answers: the line that they need, or all of it where its original is missing."""
        if self._known(text):
            needed = needed_line(_plain(text))
            if needed:
                self.own.append(f"> {needed}")
            return
        head = _plain(above).strip()
        self.own.append(f"{head}\n{text}" if head else text)
        self.origins.add(_plain(text), self.number)

    def _without_copies(self, text: str) -> str:
        """Own text without long pieces of earlier messages that nothing marks as quoted; all of it if it is one."""
        earlier = self.origins.lines.get
        known = any(earlier(line, self.number) < self.number for line in lines_of(text) if len(line) >= SHORT_LINE)
        if not known and not _MARKED_LINE.search(text):
            return text
        lines = text.split("\n", MOST_LINES)
        copied = self._copied(lines)
        kept = [line for number, line in enumerate(lines) if number not in copied]
        return "\n".join(kept) if any(words_of(line) for line in kept) else text

    def _copied(self, lines: Sequence[str]) -> set[int]:
        """The numbers of lines in a row that an earlier message has, where they are enough to be no chance."""
        copied: set[int] = set()
        stretch: list[int] = []
        words = 0
        for number, line in enumerate((*lines, None)):
            said = words_of(MARKS.sub("", line)) if line is not None else []
            source = self._earlier_source(line, said) if line is not None and said else None
            if line is not None and (not said or source is not None):
                stretch.append(number)
                words += len(said)
                continue
            marked = sum(MARKS.match(lines[one]) is not None for one in stretch) * 2 > len(stretch)
            if words >= (MARKED_COPY if marked else COPIED_WORDS):
                copied.update(stretch)
            stretch, words = [], 0
        return copied

    def _earlier_source(self, line: str, words: Sequence[str]) -> int | None:
        """The earlier message that has this line."""
        source = self.origins.lines.get(lines_of(MARKS.sub("", line))[0], self.number)
        if source >= self.number:
            marked = MARKS.match(line) is not None
            if not marked and (len(words) < WRAPPED_WORDS or _CODE.search(line)):
                return None  # a line that somebody changed a little is theirs
            same = {self.origins.runs.get(run, self.number) for run in runs_of(words)}
            if max(same) >= self.number:
                return None
            source = min(same)
        self.sources.add(source)
        return source

    def _history(self, head: str, content: str, *, marked: bool) -> None:
        """A quoted message: what of it is missing here, or what was written between its lines."""
        paragraphs = [one for one in PARAGRAPHS.split(content) if one.strip()]
        new = [self._is_new(paragraph) for paragraph in paragraphs]
        if not any(new):
            self._known(content)
        known = sum(len(one) for one, is_new in zip(paragraphs, new, strict=True) if not is_new)
        if not marked and (not any(new) or known * 2 > len(content)):
            self._insertions(content)
        elif any(new):
            self._missing(head, paragraphs, new)

    def _missing(self, head: str, paragraphs: Sequence[str], new: Sequence[bool]) -> None:
        """Keep those paragraphs of a quoted message that are `new`, and short ones beside them."""
        kept = []
        for place, (paragraph, is_new) in enumerate(zip(paragraphs, new, strict=True)):
            short = len(words_of(paragraph)) < LEAST_WORDS
            beside = new[max(place - 1, 0)] or new[min(place + 1, len(new) - 1)]
            if is_new or (short and beside and not self._known(paragraph)):
                kept.append(paragraph.strip("\n"))
        text = _BLIND_COPY.sub("", "\n\n".join([head.strip(), *kept] if head.strip() else kept))
        self.missing.append(text)
        self.origins.add(text, self.number)

    def _is_new(self, paragraph: str) -> bool:
        if len(words_of(paragraph)) < LEAST_WORDS or is_advertising(paragraph):
            return False
        return not self._known(paragraph) and list_footer(paragraph.strip().split("\n")) != 0

    def _insertions(self, content: str) -> None:
        """What the author wrote between unmarked lines of a message that is here, each below the line before it."""
        before = ""
        answer: list[str] = []
        for line in (*content.split("\n"), None):
            if line is not None and (not line.strip() or not self._knows_line(line)):
                if line.strip():
                    answer.append(line)
                continue
            if answer and before and any(words_of(one) for one in answer):
                self.own.extend([f"> {cut(before)}", *answer, ""])
            answer = []
            before = line or ""

    def _knows_line(self, line: str) -> bool:
        return self.origins.knows(line, self.number) or bool(markers.header_key(line)) or is_advertising(line)


def _plain(text: str) -> str:
    """Quoted text without quote marks and blind copies."""
    return _BLIND_COPY.sub("", MARKS.sub("", text))


def _data(text: str, delimiter: str) -> str:
    """`text` as data; of links that only machines read (trackers, safe links) the beginning, as in HTML."""
    return _LONG_LINK.sub(r"\1…", data_text(text, delimiter))


def _with_remarks(entry: Entry, text: str, quotes: bool, delimiter: str) -> str:
    after = list(_after(entry, delimiter))
    said = text or _nothing(entry.message, quotes, attached=bool(after))
    return "\n".join(filter(None, [*_before(entry, delimiter), said, *after]))


def _before(entry: Entry, delimiter: str) -> Iterator[str]:
    if entry.new_topic:
        yield f"[new subject: {one_line(data_text(entry.message.subject, delimiter), 200)}]"


def _after(entry: Entry, delimiter: str) -> Iterator[str]:
    names = [part.name or part.content_type for part in entry.message.attachments if not part.inline]
    if names:
        shown = [file_name(name, delimiter) for name in names[:MOST_NAMES]]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"[attached: {', '.join(shown)}{more}]"


def _nothing(message: Message, quotes: bool, attached: bool) -> str:
    if message.encrypted:
        return f"[encrypted: {message.encrypted}]"
    if attached and not quotes:
        return ""  # what is attached is what is said, as in an invitation
    return "[only quoted text]" if quotes else "[no text]"
