"""How mail programs mark what is not new: header blocks, separators, attribution lines (see `attribution_lines`).

The words, by language, are in `quote_words`. Every function looks at a bounded number of lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mailassist.mail import quote_words as words
from mailassist.mail.attribution_lines import DATE, DIRECTION, has_bracketed_address, has_email
from mailassist.mail.attribution_lines import LAST_CHARACTERS as LAST_CHARACTERS
from mailassist.mail.attribution_lines import attribution as attribution
from mailassist.mail.attribution_lines import begins_with_attribution as begins_with_attribution
from mailassist.mail.attribution_lines import begins_with_own_text as begins_with_own_text
from mailassist.mail.attribution_lines import may_end_attribution as may_end_attribution

_KEYS = {
    key: kind
    for kind, keys in (("to", words.TO), ("date", words.DATED), ("subject", words.SUBJECT), ("from", words.FROM))
    for key in keys.split("|")
}
_COLON = re.compile("[:：]")
_WRITTEN_OUT = re.compile(
    r"[:：][*_]{0,2}\s*(?:.{1,60}[\s<(\[])?\S+ (?:at|\(at\)|\[at\]|AT) "
    r"(?:[\w-]+(?:\.| dot ))+[a-z]{2,24}[)\]>,;]*(?:\s|$)"
)
_FORM_LINE = re.compile(rf"\s*[*_]{{0,2}}(?:{words.FORM})[*_]{{0,2}}\s{{0,2}}[:：]", re.IGNORECASE)
_PLAIN_DATE = re.compile(
    r"\W*(?:date|datum|data|fecha|dato|дата|tarih|dátum|日期|날짜)\W*[:：]", re.IGNORECASE
)  # not "Sent:"
# All of a header block on one line, as text made of HTML has it.
_ON_ONE_LINE = re.compile(
    rf"\s*[*_]{{0,2}}(?:{words.FROM})[*_]{{0,2}}\s?:.{{3,200}}?[*_]{{0,2}}(?:{words.DATED})[*_]{{0,2}}\s?:.{{6,100}}?[*_]{{0,2}}(?:{words.TO})[*_]{{0,2}}\s?:"
    rf".{{3,400}}?[*_]{{0,2}}(?:{words.SUBJECT})[*_]{{0,2}}\s?:"
)
_DASHES = "-_*=—–‐~"
_SEPARATOR = re.compile(
    rf"\s*\*?(?:[-_*=—–‐#]{{2,}}\s*(?:(?:{words.ORIGINAL})|(?P<forward>{words.FORWARDED}))\s*[-_*=—–‐#]{{2,}}"
    rf"|-{{5,}}\s*(?:original\s+message|(?P<begin>forwarded\s+message)))\s*:?\s*"
)
_BEGIN = re.compile(rf"\s*(?:{words.FORWARD_BEGINS})\s*[:：]\s*")
# "##- Please type your reply above this line -##": marks at both sides, and the words for reply and above in between.
_MARKS = " \t-=~#_*+<>[]()—–‐"
_REPLY_ABOVE = re.compile(
    rf"(?:\b(?:{words.REPLY})\b.{{0,40}}?|(?:返信|回复|回覆|답장|회신).{{0,10}}?)(?:{words.ABOVE})", re.IGNORECASE
)
_ABOVE_REPLY = re.compile(rf"(?:{words.ABOVE}).{{0,40}}?(?:{words.REPLY})", re.IGNORECASE)
_REPLY_ABOVE_ALONE = re.compile(
    rf"\s*(?:please\s+)?(?:(?:type|write|enter|add)\s+(?:your\s+)?)?(?:{words.REPLY})\s+(?:{words.ABOVE})\s+this\s+line"
    r"(?:\s+to\s+(?:reply|respond|answer|add\s+a\s+comment|post).{0,40})?\s*\.?\s*",
    re.IGNORECASE,
)
RULE = re.compile(r"\s*(?:[-_*=—–]\s?){5,}\s*")


def is_separator(line: str) -> bool:
    """Whether `line` says that an earlier message follows ("-----Original Message-----")."""
    return separator(line) != ""


def separator(line: str) -> str:
    """What `line` announces where it is a separator: "original", "forward", "notice" (of a ticket system), or ""."""
    if len(line) > 160:
        return ""
    head = line.lstrip()[:1]
    if not head:
        return ""
    if head in _DASHES or head in "#<[(+":
        found = _SEPARATOR.fullmatch(line.lower()) if head in _DASHES or head == "#" else None
        if found:
            return "forward" if found["forward"] or found["begin"] else "original"
        return "notice" if _says_reply_above(line.strip()) else ""
    if line.rstrip()[-1:] in (":", "："):
        return "forward" if _BEGIN.fullmatch(line.lower()) else ""
    return "notice" if head in "rRpPtTwW" and _REPLY_ABOVE_ALONE.fullmatch(line) else ""


def _says_reply_above(line: str) -> bool:
    said = line.strip(_MARKS)
    before = line.find(said)
    if not 8 <= len(said) <= 120 or before < 2 or len(line) - before - len(said) < 2:
        return False
    return bool(_REPLY_ABOVE.search(said) or _ABOVE_REPLY.search(said))


def header_key(line: str) -> str:
    """What a line like `Von: ...` is in a header block: "from", "to", "date", "subject", or ""."""
    colon = line.find(":", 0, 60)
    if colon <= 0:
        colon = line.find("：", 0, 60)
        if colon <= 0:
            return ""
    return _kind_of_key(line[:colon])


@lru_cache(maxsize=1024)  # a few keys stand in most mails
def _kind_of_key(key: str) -> str:
    if kind := _KEYS.get(key.lower()):
        return kind
    if not key.isascii():
        key = DIRECTION.sub("", key)
    key = key.strip().strip("*_").strip()
    if len(key) > 25:
        return ""
    return _KEYS.get(key.lower(), "") or (
        _KEYS.get(" ".join(key.lower().split()), "") if " " in key or "\xa0" in key else ""
    )


def header_block(lines: Sequence[str], start: int, announced: bool = False) -> int:
    """Where the header block ends that begins at `start`, or 0.

    It has lines for From and two others, and looks as a mail program writes it: an address in From or To, or From or
    Date first, with a whole date and a subject. A form that people filled in ("From: London", "Message: ...") is none.
    Where a separator `announced` it, any two of the lines are enough.
    """
    if not header_key(lines[start]) or (start and not announced and _FORM_LINE.match(lines[start - 1])):
        return 0
    line = lines[start]
    if len(line) > 60 and line.count(":") > 3 and _ON_ONE_LINE.match(line[:1000].lower()) and has_email(line):
        return start + 1
    kinds: dict[str, str] = {}
    end = start
    others = blanks = 0
    for number in range(start, min(start + 25, len(lines))):
        line = lines[number]
        kind = header_key(line)
        if kind:
            kinds.setdefault(kind, line)
            end, others, blanks = number + 1, 0, 0
        elif not line.strip():
            blanks += 1
            if blanks > 1 or len(kinds) >= 4 or {"from", "subject"} <= kinds.keys():
                break
        elif _FORM_LINE.match(line) and not announced:
            return 0
        else:
            others += 1
            if others > 3 or blanks or len(line) > 200:
                break
    if announced and len(kinds) >= 2:
        return end
    return end if "from" in kinds and len(kinds) >= 3 and _by_program(kinds) else 0


def _by_program(kinds: dict[str, str]) -> bool:
    """Whether the lines of a header block hold what a mail program puts there."""
    for kind in ("from", "to"):
        line = kinds.get(kind, "")
        if has_email(line) or has_bracketed_address(line) or _WRITTEN_OUT.search(line):
            return True
    first = next(iter(kinds))
    if first == "from" and len(kinds) == 4 and not _PLAIN_DATE.match(kinds["date"]):
        return True
    return first in ("from", "date") and "subject" in kinds and bool(DATE.search(kinds.get("date", "")))
