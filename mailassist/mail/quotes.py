"""A body's parts: what its author newly wrote, what is quoted, the signature.

Conventions: `reply` is what the author adds, in order, without attribution lines, history, client advertising and
signature. An attributed quote above the only answer is history; a bare quote that the answer needs stays; of answers
between quoted lines both stay. Of a forward with a comment only the comment is `reply`; where nothing but a quote or a
forward is there, it is the `reply`. When in doubt, keep. Every line goes to exactly one of the three parts; time is
linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailassist.mail.body_segments import segments
from mailassist.mail.closing_lines import is_advertising, list_footer, trailing
from mailassist.mail.disclaimers import leading
from mailassist.mail.marked_quotes import Segment
from mailassist.mail.message import Block, BlockKind


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a body; together they hold every line of it, as `blocks` does in the body's order."""

    reply: str
    quoted: str = ""
    signature: str = ""
    blocks: tuple[Block, ...] = ()


_KINDS = {
    "own": (BlockKind.OWN, "reply"),
    "kept": (BlockKind.ANSWERED, "reply"),
    "only": (BlockKind.FORWARDED, "reply"),
    "forward": (BlockKind.FORWARDED, "quoted"),
    "quote": (BlockKind.QUOTED, "quoted"),
    "history": (BlockKind.QUOTED, "quoted"),
    "signature": (BlockKind.SIGNATURE, "signature"),
    "advertising": (BlockKind.ADVERTISING, "signature"),
    "footer": (BlockKind.FOOTER, "signature"),
}
_QUOTED = frozenset((BlockKind.QUOTED, BlockKind.FORWARDED, BlockKind.ANSWERED))
_MOST_LINES = 100_000  # that are looked at; what comes after them, of no real mail, counts as the author's
_CODE = re.compile(r"<-|[({\[;$=]|^\s*>\s*(?:\.|/|\w+\.\w)")


def split(text: str) -> Split:
    """Split `text` ("\\n" line ends) into what is new, what is quoted, and the signature."""
    lines = text.split("\n", _MOST_LINES)
    unread = lines.pop() if len(lines) > _MOST_LINES else None
    footer = list_footer(lines)
    found = segments(lines, footer)
    if footer < len(lines):
        found.append(Segment("footer", footer, len(lines)))
    for index, segment in enumerate(found):
        if segment.kind == "own":
            _take_boilerplate(lines, segment, index == 0)
        elif segment.kind == "signature":
            written = [line for line in lines[segment.start + 1 : segment.end] if line.strip()]
            if written and all(map(is_advertising, written[:6])):
                segment.kind = "advertising"
    if unread is not None:
        lines.append(unread)
        if found and found[-1].kind == "history":
            found[-1].end += 1
        else:
            found.append(Segment("own", len(lines) - 1, len(lines)))
    return _assembled(lines, _judged(lines, found))


def _take_boilerplate(lines: Sequence[str], segment: Segment, at_top: bool) -> None:
    """Set apart what is not the author's at both ends of an own run."""
    if at_top and (after := leading(lines, segment.start, segment.end)) > segment.start:
        segment.before = ((BlockKind.DISCLAIMER, segment.start, after),)
        segment.start = after
    segment.after = trailing(lines, segment.start, segment.end)
    if segment.after:
        segment.end = segment.after[0][1]


def _judged(lines: Sequence[str], found: list[Segment]) -> list[Segment]:
    """Decide of each quote whether it is history or part of the reply, and change its kind to that."""
    last_own = -1
    for index, segment in enumerate(found):
        if segment.kind == "own" and _filled(lines, segment):
            last_own = index
    if last_own < 0:
        return _only_quotes(found)
    followed = {index for index in range(last_own) if found[index].kind == "quote" and _followed(lines, found, index)}
    for index, segment in enumerate(found):
        if segment.kind == "history":
            segment.kind = "forward" if segment.forwarded else "history"
        if segment.kind != "quote":
            continue
        if index in followed:
            kept = len(followed) > 1 or not segment.attributed
        else:
            kept = index > last_own and not segment.attributed and _typed(lines, found, index)
        segment.kind = "kept" if kept else "forward" if segment.forwarded else "history"
    return found


def _filled(lines: Sequence[str], segment: Segment) -> bool:
    return bool("".join(lines[segment.start : segment.end]).strip())


def _followed(lines: Sequence[str], found: list[Segment], index: int) -> bool:
    """Whether own text comes right after the quote at `index`."""
    following = found[index + 1] if index + 1 < len(found) else None
    return following is not None and following.kind == "own" and _filled(lines, following)


def _typed(lines: Sequence[str], found: list[Segment], index: int) -> bool:
    """Whether a bare quote at the end was typed by the author: announced by a colon, or code with a prompt."""
    segment = found[index]
    before = found[index - 1] if index else None
    if before is not None and before.kind == "own":
        last = next((line for line in reversed(lines[before.start : before.end]) if line.strip()), "")
        if last.rstrip().endswith((":", "：")):
            return True
    quoted = [line for line in lines[segment.start : segment.end] if line.strip(" >")]
    return bool(quoted) and sum(bool(_CODE.search(line)) for line in quoted[:50]) * 2 >= len(quoted[:50])


def _only_quotes(found: list[Segment]) -> list[Segment]:
    """A message of nothing but a quote or a forward: its content is all there is."""
    for segment in found:
        if segment.kind == "quote":
            segment.kind = "only"
        elif segment.kind == "history":
            segment.kind = "only"
            break
    return found


def _assembled(lines: Sequence[str], found: list[Segment]) -> Split:
    """The blocks of the judged segments, and the three texts that they make."""
    parts: dict[str, list[str]] = {"reply": [], "quoted": [], "signature": []}
    blocks: list[Block] = []
    ends: dict[str, int] = {}  # of what each part holds so far
    for part, kind, start, end in _runs(found):
        if start >= end:
            continue
        text = "\n".join(lines[start:end])
        blocks.append(Block(kind, text))
        held = parts[part]
        if held and ends[part] != start:
            if _blank(lines[ends[part] - 1]):
                while start < end and _blank(lines[start]):
                    start += 1
                text = "\n".join(lines[start:end])
            elif not _blank(lines[start]):
                held.append("")  # a gap stays where something between was taken out
        if start < end:
            held.append(text)
        ends[part] = end
    return Split(_text(parts["reply"]), _text(parts["quoted"]), _text(parts["signature"]), tuple(blocks))


def _runs(found: list[Segment]) -> Iterator[tuple[str, BlockKind, int, int]]:
    """Which part of a `Split` and which kind of block the lines are, in their order; some of the runs are empty."""
    for segment in found:
        for run in segment.before:
            yield "signature", *run
        kind, part = _KINDS[segment.kind]
        content = segment.start
        if segment.attributed or kind in _QUOTED:
            content = min(max(segment.content, segment.start), segment.end)
            yield "quoted", BlockKind.ATTRIBUTION, segment.start, content
        yield part, kind, content, segment.end
        for run in segment.after:
            yield "signature", *run


def _blank(line: str) -> bool:
    return not line or line.isspace()


def _text(runs: list[str]) -> str:
    text = "\n".join(runs).strip("\n")
    return "" if text.isspace() else text
