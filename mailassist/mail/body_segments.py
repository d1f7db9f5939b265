"""The runs of lines that a body consists of: the author's own, quotes, history, signatures. `quotes` judges them.

Every search below looks at a bounded number of lines, or is given up for good once it failed: time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.mail import notes_headers
from mailassist.mail import quote_markers as markers
from mailassist.mail.marked_quotes import Segment, mark_below, mark_of, quote
from mailassist.mail.signature_block import signature

_DELIMITER = re.compile(r"(?:--|- -- ?|—|––?|_{2,4}|-{3,})\s*|_{6,}|-{6,}")
_LEFT_OUT = re.compile(
    r"\s*(?:[<\[(]?(?:\.\s?\.\s?\.+|…|snip|snipped|cut|schnipp)[>\])]?|[<\[(]\.{3}.{1,60}\.{3}[>\])])\s*",
    re.IGNORECASE,
)  # of a quote
_MOST_DELIMITERS = 500  # that are looked at closely
_WRAPPED = 60  # characters of a line from which on a program may have wrapped it
_MOST_TRIES = 5_000  # lines looked at closely; no real mail has as many
_RULE = re.compile(r"\s*(?:-{16,}|_{16,})\s*")
_NAME_LINE = re.compile(r"[^.!?:;]{1,60}|[^\s@]{1,60}@[^\s@]{3,60}")
_ABOVE_HEADERS = re.compile(r"\s*message\s+du\s?:?\s.{0,20}\d\d\s*", re.IGNORECASE)  # Orange, SFR
_ADDRESS_LINE = re.compile(r"\s*[^\s@<>]{1,64}@[^\s@<>]{3,80}\s*")
_PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_PGP_SIGNATURE = ("-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----")
_ENCODED = re.compile(r"begin [0-7]{3,4} \S.*")
_HEADS = frozenset("-_*=—–‐#~[(<+")
_LOOKED_AT = _HEADS | frozenset(">＞")
_MAY_SEPARATE = _HEADS | frozenset("rRpPtTwW")


def segments(lines: Sequence[str], end: int) -> list[Segment]:
    """The lines before `end` in runs, in order, without a gap."""
    return _Finder(lines, end).found()


class _Finder:
    def __init__(self, lines: Sequence[str], end: int) -> None:
        self.lines, self.end = lines, end
        self.own = 0  # where the run of the author's lines begins that is being read
        self.tries, self.delimiters = _MOST_TRIES, _MOST_DELIMITERS
        self.encoded_ends = True
        self.notes = not notes_headers.TO_LINES.isdisjoint(lines)
        self.announced = False  # whether an attribution at the top belongs to a quote below the author's text
        self.mark: str | re.Pattern[str] = ""  # how an attributed quote above was marked, where not by ">"
        self.segments: list[Segment] = []

    def found(self) -> list[Segment]:
        lines, end, number = self.lines, self.end, 0
        while number < end:
            line = lines[number]
            if not line:
                number += 1
                continue
            head = line[0] if line[0] not in " \t\xa0" else line.lstrip()[:1]
            if head in "`b" and (skipped := self._verbatim(number, line)):
                number = skipped
                continue
            segment = None
            if head and (
                head in _LOOKED_AT
                or ":" in line
                or "：" in line
                or line[-1] in markers.LAST_CHARACTERS
                or self.mark
                or (self.notes and line in notes_headers.TO_LINES)
            ):
                segment = self._special(number, line, head)
            if segment is None:
                number += 1
                continue
            if segment.start > self.own:
                self.segments.append(Segment("own", self.own, segment.start))
            self.segments.append(segment)
            number = self.own = segment.end
        if end > self.own:
            self.segments.append(Segment("own", self.own, end))
        return self.segments

    def _verbatim(self, number: int, line: str) -> int:
        """Where code between fences, or a file in uuencode, ends that begins at `number`; 0 if nothing does."""
        lines, end = self.lines, self.end
        if line.lstrip()[:3] == "```":
            for after in range(number + 1, min(end, number + 500)):
                if lines[after].lstrip()[:3] == "```":
                    return after + 1
        elif line[:6] == "begin " and self.encoded_ends and _ENCODED.fullmatch(line.rstrip()):
            for after in range(number + 1, end):
                if lines[after].rstrip() == "end":
                    return after + 1
            self.encoded_ends = False
        return 0

    def _special(self, number: int, line: str, head: str) -> Segment | None:
        """What begins at or around line `number`, where it is no ordinary line."""
        if len(self.segments) > 2 * _MOST_TRIES:
            return None
        if head in ">＞":
            return self._marked(number, line, head)
        if self.mark and (head == self.mark or (not isinstance(self.mark, str) and self.mark.match(line))):
            return quote(self.lines, number, self.end, self.mark)
        colon = ":" in line or "：" in line
        if self.tries <= 0:
            return None
        if (head == "|" or line in notes_headers.TO_LINES or (colon and line[:8].isspace())) and (
            copied := self._notes(number, head)
        ):
            return copied
        if not (colon or head in _HEADS or markers.may_end_attribution(line) or "bove this line" in line):
            return None
        if head in _HEADS and (segment := self._delimited(number, line)):
            return segment
        if (head in _MAY_SEPARATE or line.rstrip()[-1:] in (":", "：")) and (announced := markers.separator(line)):
            return self._history(number, number + 1, announced)
        if colon and markers.header_key(line):
            self.tries -= 1
            block = markers.header_block(self.lines, number, number > 0 and self._ruled(number))
            if block:
                return self._history(number, block, "")
        return self._attributed(number, line)

    def _notes(self, number: int, head: str) -> Segment | None:
        """History below a header that Lotus Notes copied, which line `number` may be in."""
        self.tries -= 1
        if head == "|":
            after = notes_headers.box(self.lines, number)
            found = (number, after) if after else None
        elif self.lines[number] in notes_headers.TO_LINES:
            found = notes_headers.plain_header(self.lines, number, self.own)
        else:
            found = notes_headers.columns(self.lines, number, self.own)
        if found is None:
            return None
        return Segment("history", _below_own(self.lines, found[0], self.own), self.end, True, found[1])

    def _ruled(self, number: int) -> bool:
        """Whether a rule stands right above line `number`, and an address in it: Outlook's short header blocks."""
        above = number - 1
        while above > self.own and not self.lines[above].strip() and number - above < 3:
            above -= 1
        return _RULE.fullmatch(self.lines[above]) is not None and "@" in self.lines[number]

    def _marked(self, number: int, line: str, head: str) -> Segment | None:
        lines = self.lines
        if line[:2] == ">>" and (found := markers.attribution(lines, number, self.own)):
            return self._after_attribution(number, *found)
        segment = quote(lines, number, self.end, mark_of(head))
        if self.announced:
            self.announced = False
            segment.attributed, segment.content = True, max(segment.content, number)
            return segment
        if segment.end == number + 1 and line[:6] == ">From " and not segment.attributed:
            return None  # how mbox files write a line that begins with "From "
        if segment.attributed:
            segment.start = _below_own(lines, number, self.own)
        return segment

    def _attributed(self, number: int, line: str) -> Segment | None:
        if markers.may_end_attribution(line):
            self.tries -= 1
            found = markers.attribution(self.lines, number, self.own)
            if found and (segment := self._after_attribution(number, *found)):
                return segment
        if "@" in line and ": " in line and markers.begins_with_attribution(line):
            return Segment("history", _below_own(self.lines, number, self.own), self.end, True, number)
        return None

    def _delimited(self, number: int, line: str) -> Segment | None:
        """A signature, or what PGP puts around a signed text."""
        bare = line.rstrip()
        if bare[-1] not in _HEADS:
            return None
        self.tries -= 1
        if bare == _PGP_SIGNED:
            end = number + 1
            while end < self.end and self.lines[end].startswith(("Hash:", "Comment:", "Version:", "Charset:")):
                end += 1
            return Segment("signature", number, end)
        if bare == _PGP_SIGNATURE[0]:
            for after in range(number + 1, min(self.end, number + 200)):
                if self.lines[after].rstrip() == _PGP_SIGNATURE[1]:
                    return Segment("signature", number, after + 1)
        if _DELIMITER.fullmatch(line) is None:
            return None
        strict = line in ("-- ", "- -- ") or (bare == "--" and len(line) > 2)
        if self.delimiters <= 0:
            return None
        self.delimiters -= 1
        end = signature(self.lines, number, self.own, self.end, strict)
        return Segment("signature", number, end) if end else None

    def _history(self, start: int, content: int, announced: str) -> Segment:
        """A separator or header block: what follows is an earlier message, to the end unless it is marked by ">"."""
        lines, end = self.lines, self.end
        first = _below_own(lines, start, self.own) if announced else _below_own(lines, start, self.own, signed=True)
        number = content
        for _ in range(3):  # attributions and header blocks below each other
            while number < end and not lines[number].strip():
                number += 1
            if number >= end:
                break
            if block := markers.header_block(lines, number, bool(announced)):
                content = number = block
                continue
            after = next(
                (last for last in range(number, min(number + 4, end)) if lines[last].rstrip()[-1:] == ":"), None
            )
            if after is None or not (found := markers.attribution(lines, after, number)) or found[0] > number:
                break
            content = number = after + 1
        forwarded = announced == "forward"
        if number < end and lines[number].lstrip()[:1] == ">":
            segment = quote(lines, number, end, ">", first)
            segment.forwarded = forwarded
            return segment
        return Segment("history", first, end, True, content, forwarded)

    def _after_attribution(self, last: int, start: int, certain: bool) -> Segment | None:
        lines, end = self.lines, self.end
        number = last + 1
        own_text = markers.begins_with_own_text(lines[start])
        while number < end and number - last < 8 and (not lines[number].strip() or _LEFT_OUT.fullmatch(lines[number])):
            number += 1
        if number < end:
            if mark := mark_below(lines, number, end):
                self.mark = "" if mark == ">" else mark
                return quote(lines, number, end, mark, number if own_text else start)
            if certain and number - last <= 8 and (block := markers.header_block(lines, number)):
                return self._history(start, block, "original")
        if not certain or own_text:
            return None
        if number + 1 < end and lines[number + 1][:1] == ">" and len(lines[number]) > _WRAPPED:
            segment = quote(lines, number + 1, end, ">", start)  # whose first line lost its mark where it was wrapped
            segment.content = number
            return segment
        if not self.segments and not any(map(str.strip, lines[self.own : start])) and self._quoted_below(last):
            self.announced = True
            return Segment("history", start, last + 1, True, last + 1)
        return Segment("history", _below_own(lines, start, self.own), end, True, last + 1)

    def _quoted_below(self, last: int) -> bool:
        """Whether the next marked lines below the attribution on line `last` have no other one: Claws Mail sets the
        author's text between the two, while an earlier message would attribute what it quotes.
        """
        lines, number = self.lines, last + 1
        while number < self.end and lines[number][:1] != ">":
            number += 1
        if number >= self.end or quote(lines, number, self.end, ">").attributed:
            return False
        above = number - 1
        while above > last and not lines[above].strip():
            above -= 1
        return above > last and markers.attribution(lines, above, last + 1) is None


def _below_own(lines: Sequence[str], start: int, own: int, signed: bool = False) -> int:
    """`start`, or where the empty lines and rules above it begin, which programs draw below the author's own text.

    `signed`: the name below a rule, or the address, that Foxmail sets above its header block counts as well.
    """
    first = start
    while first > own:
        line = lines[first - 1]
        if (
            line.strip()
            and not _ABOVE_HEADERS.fullmatch(line)
            and not (markers.RULE.fullmatch(line) and line not in lines[max(own, first - 41) : first - 1])
        ):
            break
        first -= 1
    if not signed or first <= own or start - first > 4:
        return first
    if _ADDRESS_LINE.fullmatch(lines[first - 1]) and (first - 2 < own or not lines[first - 2].strip()):
        return first - 1
    for number in range(first - 2, max(first - 4, own), -1):
        if _RULE.fullmatch(lines[number]) and not lines[number - 1].strip():
            return number if all(_NAME_LINE.fullmatch(line.strip()) for line in lines[number + 1 : first]) else first
    return first
