"""A body's parts: what its author newly wrote, what is quoted, the signature.

Conventions: `reply` is what the author adds, in order, without attribution lines, history, client advertising and
signature. An attributed quote above the only answer is history; a bare quote that the answer needs stays; of answers
between quoted lines both stay. Of a forward with a comment only the comment is `reply`; where nothing but a quote or a
forward is there, it is the `reply`. When in doubt, keep. Every line goes to exactly one of the three parts; time is
linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailassist.mail.body_segments import Segment, segments
from mailassist.mail.closing_lines import is_advertising, list_footer, trailing
from mailassist.mail.disclaimers import leading
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
_CODE = re.compile(r"<-|[({\[;$=]|^\s*>\s*(?:\.|/|\w+\.\w)")


def split(text: str) -> Split:
    """Split `text` ("\\n" line ends) into what is new, what is quoted, and the signature."""
    lines = text.split("\n")
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
    return _assembled(lines, _judged(lines, found))


def _take_boilerplate(lines: Sequence[str], segment: Segment, at_top: bool) -> None:
    """Set apart what is not the author's at both ends of an own run."""
    if at_top and (after := leading(lines, segment.start, segment.end)) > segment.start:
        segment.before.append((BlockKind.DISCLAIMER, segment.start, after))
        segment.start = after
    segment.after = trailing(lines, segment.start, segment.end)
    if segment.after:
        segment.end = segment.after[0][1]


def _judged(lines: Sequence[str], found: list[Segment]) -> list[Segment]:
    """Decide of each quote whether it is history or part of the reply, and change its kind to that."""
    own = [index for index, segment in enumerate(found) if segment.kind == "own" and _filled(lines, segment)]
    if not own:
        return _only_quotes(found)
    followed = {
        index
        for index, segment in enumerate(found)
        if segment.kind == "quote" and index < own[-1] and _followed(lines, found, index)
    }
    for index, segment in enumerate(found):
        if segment.kind == "history":
            segment.kind = "forward" if segment.forwarded else "history"
        if segment.kind != "quote":
            continue
        if index in followed:
            kept = len(followed) > 1 or not segment.attributed
        else:
            kept = index > own[-1] and not segment.attributed and _typed(lines, found, index)
        segment.kind = "kept" if kept else "forward" if segment.forwarded else "history"
    return found


def _filled(lines: Sequence[str], segment: Segment) -> bool:
    return any(lines[number].strip() for number in range(segment.start, segment.end))


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

    def add(part: str, kind: BlockKind, start: int, end: int) -> None:
        if start < end:
            _append(parts[part], lines[start:end], after_gap=ends.get(part) != start)
            ends[part] = end
            blocks.append(Block(kind, "\n".join(lines[start:end])))

    for segment in found:
        for run in segment.before:
            add("signature", *run)
        kind, part = _KINDS[segment.kind]
        content = segment.start
        if segment.attributed or kind in (BlockKind.QUOTED, BlockKind.FORWARDED, BlockKind.ANSWERED):
            content = min(max(segment.content, segment.start), segment.end)
        add("quoted", BlockKind.ATTRIBUTION, segment.start, content)
        add(part, kind, content, segment.end)
        for run in segment.after:
            add("signature", *run)
    texts = {name: _text(part) for name, part in parts.items()}
    return Split(**texts, blocks=tuple(blocks))


def _append(part: list[str], lines: Sequence[str], after_gap: bool) -> None:
    """Add lines to a part; a gap stays where something between was taken out."""
    start = 0
    if part and lines and after_gap:
        if not part[-1].strip():
            while start < len(lines) and not lines[start].strip():
                start += 1
        elif lines[0].strip():
            part.append("")
    part.extend(lines[start:])


def _text(lines: list[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return "" if text.isspace() else text
