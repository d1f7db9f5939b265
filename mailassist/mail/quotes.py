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
from dataclasses import dataclass, field

from mailassist.mail import quote_markers as markers
from mailassist.mail.closing_lines import list_footer, trailing
from mailassist.mail.message import Block, BlockKind


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a body; together they hold every line of it, as `blocks` does in the body's order."""

    reply: str
    quoted: str = ""
    signature: str = ""
    blocks: tuple[Block, ...] = ()


_LONGEST_SIGNATURE = 25  # lines; what is longer is in doubt
_LOOKED_BACK = 40  # lines above "--" in which another one makes a rule of it
_LONGEST_BARE = 8  # lines after "--" without its space
_POSTSCRIPT = re.compile(r"\s*(?:p\.?\s?s\.?|ps\d?)\s*[:.\-–,]|\s*p\.\s?s\.\s|\s*PS\s", re.IGNORECASE)
_IN_NO_SIGNATURE = re.compile(r"[?？؟](?!\w)|^--$")  # not the "?" of a garbled name
_LEFT_OUT = re.compile(r"\s*[<\[(]?(?:\.\s?\.\s?\.+|…|snip|snipped|cut|schnipp)[>\])]?\s*", re.IGNORECASE)  # of a quote
_MOST_TRIES = 5_000  # lines looked at closely; no real mail has as many, and time stays linear
_QUOTED_KINDS = {
    "kept": (BlockKind.ANSWERED, "reply"),
    "forward": (BlockKind.FORWARDED, "reply"),
    "history": (BlockKind.QUOTED, "quoted"),
}
_CODE = re.compile(r"<-|[({\[;$=]|^\s*>\s*(?:\.|/|\w+\.\w)")


@dataclass(slots=True)
class _Segment:
    """A run of lines: the author's own ("own"), quoted ("quote"), history to the end ("history"), or a signature."""

    kind: str
    start: int
    end: int
    attributed: bool = False
    content: int = 0  # where, after the attribution or header block, the quoted text begins
    extra: list[tuple[int, int]] = field(default_factory=list)  # ranges that are signature


def split(text: str) -> Split:
    """Split `text` ("\\n" line ends) into what is new, what is quoted, and the signature."""
    lines = text.split("\n")
    footer = list_footer(lines)
    segments = _segments(lines, footer)
    if footer < len(lines):
        segments.append(_Segment("footer", footer, len(lines)))
    for segment in segments:
        if segment.kind == "own":
            cut = trailing(lines, segment.start, segment.end)
            if cut < segment.end:
                segment.extra.append((cut, segment.end))
                segment.end = cut
    return _assembled(lines, _judged(lines, segments))


def _segments(lines: Sequence[str], end: int) -> list[_Segment]:
    """The lines before `end` in runs."""
    segments: list[_Segment] = []
    fenced = False
    number = own = 0
    tries = _MOST_TRIES

    def close_own(before: int) -> None:
        if before > own:
            segments.append(_Segment("own", own, before))

    while number < end:
        line = lines[number]
        head = line.lstrip()[:3] if line and len(segments) <= _MOST_TRIES else ""
        segment = None
        if head == "```":
            fenced = not fenced and _fence_closes(lines, number, end)
        elif fenced or not head:
            pass
        elif head[0] == ">":
            segment = _quote(lines, number, end)
            if segment.attributed:
                segment.start = _below_own(lines, number, own)
        elif tries and (head[0] in "-_*=—–" or ":" in line or "：" in line):
            tries -= 1
            segment = _special(lines, number, own, end)
        if segment is None:
            number += 1
            continue
        close_own(segment.start)
        segments.append(segment)
        number = own = segment.end
    close_own(end)
    return segments


def _fence_closes(lines: Sequence[str], start: int, end: int) -> bool:
    """Whether a code fence is closed within reason, so that an odd one does not swallow the rest."""
    return any(lines[number].lstrip().startswith("```") for number in range(start + 1, min(end, start + 500)))


def _quote(lines: Sequence[str], start: int, end: int, first: int | None = None, mark: str = ">") -> _Segment:
    """The quoted lines from `start` on; empty lines between quoted lines belong to them."""
    number = last = start
    while number < end:
        line = lines[number]
        if line[:1] == mark or line.lstrip()[:1] == mark:
            last = number + 1
        elif (line and not line.isspace()) or number - last >= 1:
            break
        number += 1
    segment = _Segment("quote", start if first is None else first, last, first is not None, start)
    if not segment.attributed:
        segment.attributed = _attributed_inside(lines, start, last)
    return segment


def _attributed_inside(lines: Sequence[str], start: int, end: int) -> bool:
    """Whether a quote begins with its own attribution or header block (Apple Mail, Hotmail), or quotes a quote."""
    inner = [re.sub(r"^[\s>]+", "", line) for line in lines[start : min(end, start + 12)]]
    if any(re.match(r"\s*>\s?>", line) for line in lines[start : min(end, start + 12)]):
        return True
    first = next((number for number, line in enumerate(inner) if line.strip()), None)
    if first is None:
        return False
    headers = range(first, min(first + 2, len(inner)))  # "Message du 3/11/26" may stand above them
    if markers.is_separator(inner[first]) or any(markers.header_block(inner, number) for number in headers):
        return True
    return any(markers.attribution(inner, number) for number in range(first, min(first + 4, len(inner))))


def _special(lines: Sequence[str], number: int, own: int, end: int) -> _Segment | None:
    """What begins at or around line `number`, where it is no ordinary line."""
    line = lines[number]
    if line.rstrip() == "--":
        return _signature(lines, number, end)
    if markers.is_separator(line):
        return _history(lines, number, number + 1, own, end)
    if ":" not in line and "：" not in line:
        return None
    block = markers.header_block(lines, number)
    if block:
        return _history(lines, number, block, own, end)
    found = markers.attribution(lines, number, own)
    return _after_attribution(lines, number, *found, end) if found else None


def _signature(lines: Sequence[str], start: int, end: int) -> _Segment | None:
    """From the delimiter (RFC 3676, 4.3) to the next quote, a postscript or the end.

    "--" without its space may be a rule that somebody drew: only a short block without a question is a signature then.
    """
    filled = 0
    number = start + 1
    bare = lines[start] == "--"
    if bare and "--" in lines[max(start - _LOOKED_BACK, 0) : start]:
        return None  # the lower one of two rules
    while number < end:
        line = lines[number]
        if line.lstrip()[:1] == ">" or markers.is_separator(line) or markers.header_block(lines, number):
            break
        found = markers.attribution(lines, number, start + 1)
        if found and _after_attribution(lines, number, *found, end):
            number = found[0]
            break
        if filled and _POSTSCRIPT.match(line):
            break
        filled += bool(line.strip())
        if filled > (_LONGEST_BARE if bare else _LONGEST_SIGNATURE) or (bare and _IN_NO_SIGNATURE.search(line)):
            return None
        number += 1
    return _Segment("signature", start, number) if filled or number >= end else None


def _history(lines: Sequence[str], start: int, content: int, own: int, end: int) -> _Segment:
    """A separator or header block: what follows is an earlier message, to the end unless it is marked by ">"."""
    start = _below_own(lines, start, own)
    number = content
    while number < end and not lines[number].strip():
        number += 1
    if number < end and (block := markers.header_block(lines, number)):
        content = number = block
    while number < end and not lines[number].strip():
        number += 1
    if number < end and lines[number].lstrip()[:1] == ">":
        return _quote(lines, number, end, start)
    return _Segment("history", start, end, True, content)


def _below_own(lines: Sequence[str], start: int, own: int) -> int:
    """`start`, or where the empty lines and rules above it begin, which programs draw below the author's own text."""
    while start > own and (not lines[start - 1].strip() or markers.RULE.fullmatch(lines[start - 1])):
        start -= 1
    return start


def _after_attribution(lines: Sequence[str], last: int, start: int, certain: bool, end: int) -> _Segment | None:
    number = last + 1
    while number < end and number - last < 8 and (not lines[number].strip() or _LEFT_OUT.fullmatch(lines[number])):
        number += 1
    mark = lines[number].lstrip()[:1] if number < end else ""
    if mark in (">", "|", "}"):  # some programs quote with other marks; what follows the marked lines is the author's
        return _quote(lines, number, end, start, mark)
    return _Segment("history", start, end, True, last + 1) if certain else None


def _judged(lines: Sequence[str], segments: list[_Segment]) -> list[_Segment]:
    """Decide of each quote whether it is history or part of the reply, and change its kind to that."""
    own = [index for index, segment in enumerate(segments) if segment.kind == "own" and _filled(lines, segment)]
    if not own:
        return _only_quotes(lines, segments)
    answered = [index for index, segment in enumerate(segments) if segment.kind == "quote" and index < own[-1]]
    followed = {index for index in answered if _followed(lines, segments, index)}
    for index, segment in enumerate(segments):
        if segment.kind != "quote":
            continue
        if index in followed:
            kept = len(followed) > 1 or not segment.attributed
        else:
            kept = index > own[-1] and not segment.attributed and _typed(lines, segments, index)
        segment.kind = "kept" if kept else "history"
    return segments


def _filled(lines: Sequence[str], segment: _Segment) -> bool:
    return any(lines[number].strip() for number in range(segment.start, segment.end))


def _followed(lines: Sequence[str], segments: list[_Segment], index: int) -> bool:
    """Whether own text comes right after the quote at `index`."""
    following = segments[index + 1] if index + 1 < len(segments) else None
    return following is not None and following.kind == "own" and _filled(lines, following)


def _typed(lines: Sequence[str], segments: list[_Segment], index: int) -> bool:
    """Whether a bare quote at the end was typed by the author: announced by a colon, or code with a prompt."""
    segment = segments[index]
    before = segments[index - 1] if index else None
    if before is not None and before.kind == "own":
        last = next((line for line in reversed(lines[before.start : before.end]) if line.strip()), "")
        if last.rstrip().endswith((":", "：")):
            return True
    quoted = [line for line in lines[segment.start : segment.end] if line.strip(" >")]
    return bool(quoted) and sum(bool(_CODE.search(line)) for line in quoted[:50]) * 2 >= len(quoted[:50])


def _only_quotes(lines: Sequence[str], segments: list[_Segment]) -> list[_Segment]:
    """A message of nothing but a quote or a forward: its content is all there is."""
    for segment in segments:
        if segment.kind == "quote":
            segment.kind = "kept"
        elif segment.kind == "history":
            segment.kind = "forward"
            break
    return segments


def _assembled(lines: Sequence[str], segments: list[_Segment]) -> Split:
    """The blocks of the judged segments, and the three texts that they make."""
    parts: dict[str, list[str]] = {"reply": [], "quoted": [], "signature": []}
    blocks: list[Block] = []

    def add(part: str, kind: BlockKind, start: int, end: int) -> None:
        if start < end:
            _append(parts[part], lines[start:end])
            blocks.append(Block(kind, "\n".join(lines[start:end])))

    for segment in segments:
        start, end = segment.start, segment.end
        content = min(max(segment.content, start), end)
        if segment.kind == "own":
            add("reply", BlockKind.OWN, start, end)
        elif segment.kind in ("signature", "footer"):
            add("signature", BlockKind(segment.kind), start, end)
        else:
            kind, part = _QUOTED_KINDS[segment.kind]
            add("quoted", BlockKind.ATTRIBUTION, start, content)
            add(part, kind, content, end)
        for first, last in segment.extra:
            add("signature", BlockKind.ADVERTISING, first, last)
    texts = {name: _text(part) for name, part in parts.items()}
    return Split(**texts, blocks=tuple(blocks))


def _append(part: list[str], lines: Sequence[str]) -> None:
    """Add lines to a part; a gap stays where something between was taken out."""
    start = 0
    if part and lines:
        if not part[-1].strip():
            while start < len(lines) and not lines[start].strip():
                start += 1
        elif lines[0].strip():
            part.append("")
    part.extend(lines[start:])


def _text(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n") if any(line.strip() for line in lines) else ""
