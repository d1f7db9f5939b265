"""Quotes whose every line bears a mark: ">", a bar, somebody's initials; and the runs of lines as such."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailassist.mail import quote_markers as markers
from mailassist.mail.message import BlockKind

_INITIALS = re.compile(r"\s{0,8}([^\W\d_]{1,12})>(?!\S*=)")
_WIDE_MARK = re.compile(r"\s*[>＞]")
_BARS = "|}]:％%#＞»›│┃¦▌"


@dataclass(slots=True)
class Segment:
    """A run of lines: "own", "quote" (marked), "history" or "forward" (unmarked, to the end), or "signature"."""

    kind: str
    start: int
    end: int
    attributed: bool = False
    content: int = 0  # where, after the attribution or header block, the quoted text begins
    forwarded: bool = False
    before: Sequence[tuple[BlockKind, int, int]] = ()  # runs that are not the author's
    after: Sequence[tuple[BlockKind, int, int]] = ()


def mark_of(head: str) -> str | re.Pattern[str]:
    """The mark of a quote whose first line begins with `head`; both kinds of ">" go together where one is wide."""
    return ">" if head == ">" else _WIDE_MARK


def mark_below(lines: Sequence[str], number: int, end: int) -> str | re.Pattern[str] | None:
    """How the lines from `number` on, right below an attribution, are marked as quoted, if they are."""
    line = lines[number]
    head = line.lstrip()[:1]
    if head == ">":
        return ">"
    if line.lstrip()[:4] == "&gt;":
        return "&gt;"
    if head in _BARS:
        following = [one for one in lines[number : min(number + 4, end)] if one.strip()]
        if head in "|}＞»›│┃¦▌" or (len(following) > 1 and following[1].lstrip()[:1] == head):
            return head
    if initials := _INITIALS.match(line):
        return re.compile(rf"\s{{0,8}}(?:{re.escape(initials[1])})?>")
    return None


def quote(lines: Sequence[str], start: int, end: int, mark: str | re.Pattern[str], first: int | None = None) -> Segment:
    """The quoted lines from `start` on; an empty line between quoted lines belongs to them."""
    marked: Callable[[str], object] = _begins(mark)
    head = mark if isinstance(mark, str) and len(mark) == 1 else "\0"
    number = last = start
    while number < end:
        line = lines[number]
        if line[:1] == head or marked(line):
            last = number + 1
        elif not line or line.isspace():
            if number - last >= 1:
                break
        elif not (number == last and _wrapped(lines, number, end, marked)):
            break
        number += 1
    segment = Segment("quote", start if first is None else first, last, first is not None, start)
    if not segment.attributed:
        segment.attributed, segment.forwarded = _attributed_inside(lines, start, last)
    return segment


def _begins(mark: str | re.Pattern[str]) -> Callable[[str], object]:
    if isinstance(mark, str):
        return lambda line: line.startswith(mark) or line.lstrip().startswith(mark)
    return mark.match


def _wrapped(lines: Sequence[str], number: int, end: int, marked: Callable[[str], object]) -> bool:
    """Whether line `number` is the end of the quoted line above it, which a program wrapped without a mark."""
    line, above = lines[number], lines[number - 1]
    return (
        len(line) <= 25
        and len(above) >= 68
        and (line[0].islower() or line[0].isdigit())
        and above.rstrip()[-1] not in ".?!:"
        and number + 1 < end
        and bool(marked(lines[number + 1]))
    )


def _attributed_inside(lines: Sequence[str], start: int, end: int) -> tuple[bool, bool]:
    """Whether a quote begins with its own attribution or header block (Apple Mail, Hotmail), and passes it on."""
    inner = [re.sub(r"^[\s>＞]+", "", line[:500]) for line in lines[start : min(end, start + 12)]]
    first = next((number for number, line in enumerate(inner) if line.strip()), None)
    if first is None:
        return False, False
    announced = markers.separator(inner[first])
    if announced:
        return True, announced == "forward"
    headers = range(first, min(first + 2, len(inner)))  # "Message du 3/11/26" may stand above them
    if any(markers.header_block(inner, number) for number in headers):
        return True, False
    ends = (number for number in range(first, min(first + 4, len(inner))) if markers.may_end_attribution(inner[number]))
    return any((found := markers.attribution(inner, number, first)) and found[0] == first for number in ends), False
