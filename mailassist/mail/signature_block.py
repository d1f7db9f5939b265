"""Signatures: the lines below a delimiter like "-- "."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.mail import quote_markers as markers
from mailassist.mail.closing_lines import is_advertising
from mailassist.mail.disclaimers import is_disclaimer
from mailassist.mail.marked_quotes import mark_below

_LONGEST_SIGNATURE = 25  # lines; what is longer is in doubt
_LOOKED_BACK = 40  # lines above "--" in which another one makes a rule of it
_SHORT_PROSE = 60  # characters; a motto below a name is no longer
_LONGEST_BARE = 8  # lines after a delimiter that is not "-- "; with a telephone number, an address or a link 16
_POSTSCRIPT = re.compile(r"\s*(?:p\.?\s?s\.?|ps\d?)\s*[:.\-–,]|\s*p\.\s?s\.\s|\s*PS\s", re.IGNORECASE)
_IN_NO_SIGNATURE = re.compile(r"(?<=\w)[?？؟](?!\w)|^--$")  # not the "?" of a garbled name
_CONTACT = re.compile(r"\+?\d[\d\s()/.-]{6,}\d|@|https?://|www\.|\b(?:tel|fon|fax|mobil|phone|cell)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:\S+\s+){5,}\S*[.!:;]\s*$|^\s*[-*•\d]")
_FAR = 300  # lines in which a signature ends


def signature(lines: Sequence[str], start: int, own: int, end: int, strict: bool) -> int:
    """Where the signature ends that begins with the delimiter at `start` (RFC 3676, 4.3), or 0: this is no signature.

    It ends at the next quote, a postscript or `end`; `own` is where the text above it begins.

    Another delimiter than "-- " may be a rule that somebody drew: only a short block, without a question or sentences,
    is a signature then, and below "---" and longer rules only one that holds a telephone number, an address or a link.
    """
    bare = lines[start].strip()
    if not strict and bare in (line.strip() for line in lines[max(start - _LOOKED_BACK, 0) : start]):
        return 0  # the lower one of two rules
    number = start + 1
    filled = sentences = 0
    reachable = False
    unnamed = strict or bare in ("--", "—", "–", "––", "__", "___", "____")
    while number < end:
        line = lines[number]
        if number - start > _FAR:
            return 0
        if line.lstrip()[:1] == ">" or markers.is_separator(line) or markers.header_block(lines, number):
            break
        if markers.may_end_attribution(line) or "@" in line:
            found = markers.attribution(lines, number, start + 1)
            if (found and _quoted_or_certain(lines, number, found[1], end)) or markers.begins_with_attribution(line):
                number = found[0] if found else number
                break
        if filled and _POSTSCRIPT.match(line):
            break
        filled += bool(line.strip())
        sentences += bare != "--" and not strict and (len(line) > 80 or _SENTENCE.search(line[:200]) is not None)
        reachable = reachable or _CONTACT.search(line[:200]) is not None
        if not strict and line.strip() == bare:
            return 0  # the upper one of two rules
        if filled > (_LONGEST_SIGNATURE if strict else _LONGEST_BARE * (1 + reachable)) or (
            not strict and _IN_NO_SIGNATURE.search(line)
        ):
            return 0
        number += 1
    if bare == "--" and not strict and not reachable and _is_prose(lines[start + 1 : number]):
        return 0
    if not strict and (not (unnamed or reachable) or sentences or (filled == 0 and number < end)):
        return 0
    if not strict and bare != "--" and (start + 1 >= end or not lines[start + 1].strip() or start == own == 0):
        return 0
    return number if filled or number >= end else 0


def _is_prose(lines: Sequence[str]) -> bool:
    """Whether what stands below "--" reads on as text: a paragraph of a sentence or more, which no program wrote."""
    first = " ".join(" ".join(lines).split())
    said = first.split()
    small = sum(word[0].islower() for word in said)
    return (
        len(first) > _SHORT_PROSE
        and first[-1] in ".!:;"
        and small * 3 > len(said) * 2
        and not any(is_advertising(line) for line in (first, *lines))
        and not is_disclaimer(first)
    )


def _quoted_or_certain(lines: Sequence[str], last: int, certain: bool, end: int) -> bool:
    number = last + 1
    while number < end and number - last < 8 and not lines[number].strip():
        number += 1
    return certain or (number < end and mark_below(lines, number, end) is not None)
