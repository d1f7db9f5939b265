"""Quoted text taken apart: the messages in it, who wrote them, and of each the line that an answer needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from mailassist.context.origins import words_of
from mailassist.context.sentences import is_question, sentences
from mailassist.mail import quote_markers as markers
from mailassist.mail.closing_lines import list_footer

NEEDED_LINE = 100  # characters of a quoted line that an answer needs
MOST_FOOTER_LINES = 9  # of a list's footer, its rule counted
MOST_COLONS = 5_000  # of quoted text that is looked through for attributions; time stays linear
PARAGRAPHS = re.compile(r"\n\s*\n")  # what stands between them

_SIGNATURE = re.compile(r"--? ?$")


def quoted_messages(quoted: str) -> Iterator[tuple[str, str]]:
    """The messages that are quoted one below the other: what names each one's author, and its text. No marks in it."""
    lines = quoted.strip("\n").split("\n")
    head: list[str] = []
    content: list[str] = []
    number = colons = 0
    while number < len(lines):
        line = lines[number]
        end = 0
        if colons <= MOST_COLONS and (":" in line or "：" in line or line.lstrip()[:1] in ("-", "_", "*", "=")):
            colons += 1
            end = _head_ends(lines, number)
            if not end and (found := markers.attribution(lines, number)) and number - found[0] <= len(content):
                taken = number - found[0]  # it began on lines that are in `content`
                yield from _if_any(head, content[: len(content) - taken])
                head, content = lines[found[0] : number + 1], []
                number += 1
                continue
        if end:
            if any(one.strip() for one in content):
                yield from _if_any(head, content)
                head, content = [], []
            if list_footer(lines[number:end]):  # a footer is nobody's text
                head.extend(lines[number:end])
            number = end
            continue
        if _SIGNATURE.match(line):
            number = _signature_ends(lines, number)
            continue
        content.append(line)
        number += 1
    yield from _if_any(head, content)


def _if_any(head: Sequence[str], content: Sequence[str]) -> Iterator[tuple[str, str]]:
    text = "\n".join(content)
    if text.strip():
        yield "\n".join(line for line in head if line.strip() and not markers.RULE.fullmatch(line)), text


def _head_ends(lines: Sequence[str], number: int) -> int:
    """Where a separator, a rule or a header block that begins at line `number` ends; 0 where there is none."""
    if markers.RULE.fullmatch(lines[number]):
        paragraph = list(takewhile(str.strip, lines[number : number + MOST_FOOTER_LINES]))
        return number + (len(paragraph) if list_footer(paragraph) == 0 else 1)
    if markers.is_separator(lines[number]):
        return number + 1
    return markers.header_block(lines, number)


def _signature_ends(lines: Sequence[str], number: int) -> int:
    """The next empty line after a signature's delimiter, or one that names the author of another message."""
    number += 1
    while number < len(lines) and lines[number].strip() and not markers.header_key(lines[number]):
        number += 1
    return number


def needed_line(text: str) -> str:
    """The line of a quotation that the answer below it needs: its last question, else its last sentence, cut."""
    last = [paragraph for paragraph in PARAGRAPHS.split(text) if words_of(paragraph)][-1:]
    said = [sentence for paragraph in last for sentence in sentences(paragraph[-2_000:])]
    asked = [sentence for sentence in said if is_question(sentence)]
    return cut((asked or said or [""])[-1])


def cut(line: str) -> str:
    """A quoted line in at most `NEEDED_LINE` characters, with a mark where it is cut."""
    line = " ".join(line.split())
    return line if len(line) <= NEEDED_LINE else f"{line[:NEEDED_LINE].rpartition(' ')[0] or line[:NEEDED_LINE]}…"
