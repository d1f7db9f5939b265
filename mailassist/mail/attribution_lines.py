"""Attributions: the line or lines above a quote that say who wrote when ("On Tue, 3 Nov 2026, Tomás Vidal wrote:")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.mail import quote_words as words
from mailassist.mail.attribution_words import OTHERS, SPELLED, YOU, is_name, says_wrote, wrote

# Marks of direction (UAX #9) that right-to-left programs put around names and addresses.
DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")

_DIGIT = re.compile(r"\d")
_OPENER = re.compile(
    rf"(?:{words.OPENERS})\b|(?:{words.OPENERS_WITHIN})|(?:{words.SHORT_DAYS})\b\.?,?\s+(?:den\s+)?\d"
    r"|[\w\u0900-\u0dff]{1,12}\.?,\s+\d|\d{1,4}[./\-,년年月 ]|<?[^\s<>@]+@\S+|\"?[^<>\"]{1,60}\"?\s*[<(\[]"
)  # of text in small letters: ignoring case costs four times as much
DATE = re.compile(  # a year, a time, or a day and month; a digit in front of all lets the search skip to digits
    r"\d(?:(?:(?<=\b1)9|(?<=\b2)0)\d\d\b|(?<=\b\d)\d?(?:[:.h]\d\d\b|[./-]\d{1,2}[./-]\d{2,4}\b)"
    r"|\d{3}\s*[年년]|\d?\s*月|(?<=[٠-٩۰-۹])[٠-٩۰-۹]{3})"
)
_WHOLE_DATE = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2,4}\b|\d{4}\s*[年년]|[٠-٩۰-۹]{4}")
_TIME = re.compile(r"(?<![\d.])\d{1,2}[:.h]\d\d(?![.\d])|\d\s*[時时시]|\b\d{1,2}\s?[ap]\.?m\b", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"[.!?](?<=[^\W\d_]{5}.)\s+[^\W\d_a-z]")
# Archives of lists write "x at y.example"; GitHub writes "***@***.***>".
_BRACKETED_ADDRESS = re.compile(r"[<(\[](?:mailto:)?[^\s<>()\[\]]+(?:@| at (?=\S+\.))[^\s<>()\[\]]+[>)\]]")
_BESIDE_ADDRESSES = frozenset("<>\"'()[]")
_ENDS_WITH_ADDRESS = re.compile(
    r"(?:[<(\[][^\s<>()\[\]]+@[^\s<>()\[\]]+[>)\]]"
    r"|\d[:.]\d\d(?:\s\S{1,8})?\s+(?:by|von|de|da|van|od|от|av|af)\s+[^\s<>()\[\]]+@[^\s<>()\[\]:]+)"
    r"\s*[,;]?\s*[:：]\s*$"
)
_DATE_NAME_ADDRESS = re.compile(  # without verb and colon, as Gmail once wrote
    r"\d{4}[/.-]\d{1,2}[/.-]\d{1,2},?\s+(?:\d{1,2}:\d\d\s+)?(?:[^\s<>@:]+\s+){0,6}<[^\s<>]+@[^\s<>]+>"
)
_LISTED = re.compile(r"\*\s.{1,80}<[^\s<>]+@[^\s<>]+>.{0,10}[\[(].{0,20}\d.{0,20}[\])]:")  # * Name <address> [date]:
_GROUPWISE = re.compile(r"\s*>{2,3}\s*([^>\s].*?\d.*?)\s*>{2,3}\s*:?\s*")
_SUPERCITE = re.compile(r"\s*>{3,}\s*.{1,100}==.{1,150}[:：]\s*")
_BETWEEN_RULES = re.compile(r"\s*-{3,}\s*([^\s-].*[^\s-])\s*-{3,}")  # so Zoho writes its attributions
_OWN_TEXT = re.compile(rf".{{0,200}}?[^\W\d_]{{2}}[.!?…]+\s+(?=[^\W\d_a-zà-ÿ])(?i:{words.OPENERS})\s")
_LEADING = re.compile(r"^[\s\-*_•]+(?=\S)")
_THEN_TEXT = re.compile(
    r"^(.{10,300}?[>)\]]\s*(?:wrote|writes|schrieb|a\s+écrit|escribió|escreveu|ha\s+scritto|schreef|napisał\(?a?\)?"
    r"|skrev|yazdı|пишет)\s*[:：])\s+\S",
    re.IGNORECASE,
)
_GLUED = re.compile(r"([<(\[])\s+")
_ENDS = frozenset(":：\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_LAST_TWO = frozenset(word[-2:] for word in words.LAST_WORDS)
_LONGEST = 400
_MOST_LINES = 5
LAST_CHARACTERS = _ENDS | frozenset(".>-] \t\xa0") | frozenset(word[-1] for word in words.LAST_WORDS)
_LOOKED_BACK = 20  # lines above an attribution


def attribution(lines: Sequence[str], last: int, first: int = 0) -> tuple[int, bool] | None:
    """The attribution that ends with line `last`: where it begins (at `first` or after), and whether it is certain.

    Certain means that a program wrote it, so that what follows without quote marks is an earlier message: it names
    date and time or an address, and stands where a program puts it, below a finished text. None where there is none.
    """
    end = lines[last].rstrip()
    if len(end) > _LONGEST:
        return None
    if not end.isascii() and DIRECTION.search(end):
        end = DIRECTION.sub("", end).rstrip()
    mark = end[-1:]
    if mark == ">" and end.lstrip()[:2] == ">>":
        return (last, True) if _GROUPWISE.fullmatch(end) and DATE.search(end) else None
    if mark == "-" and end.lstrip()[:3] == "---" and (between := _BETWEEN_RULES.fullmatch(end)):
        end, mark = f"{between[1].rstrip(' :')}:", ":"
    if mark == "]" and end.lstrip()[:1] == "[":  # [Tomás Vidal wrote on 3 Nov 2026]
        end, mark, first = f"{end.strip()[1:-1].rstrip(' :')}:", ":", last
    if mark == "." and end[-3:] == "..." and "news:" in end:  # "wrote in message news:ID..."
        end, mark = f"{end[:-3]}:", ":"
    if mark not in (":", "："):
        if not _ends_without_colon(end, mark):
            return None
        if mark == ">" and end.lstrip()[:1] != "<":
            return (last, True) if _DATE_NAME_ADDRESS.fullmatch(end.strip()) else None
    if end.lstrip()[:1] == ">":
        return (last, False) if _SUPERCITE.fullmatch(end) else None
    return _joined(lines, last, first, end)


def may_end_attribution(line: str) -> bool:
    """A cheap look at a line's end: False where `attribution` finds nothing; never False where it does."""
    mark = line[-1:]
    if mark.isspace():
        line = line.rstrip()
        mark = line[-1:]
    if mark in _ENDS:
        return True
    if mark == ".":
        return line[-3:] == "..." and "news:" in line
    if mark == ">":
        return "@" in line or line.lstrip()[:2] == ">>"
    if mark == "-":
        return line.lstrip()[:3] == "---"
    if mark == "]":
        return line.lstrip()[:1] == "[" and len(line) <= _LONGEST and says_wrote(line.replace("[", " "))
    return line[-2:] in _LAST_TWO and line.endswith(words.LAST_WORDS)


def _ends_without_colon(end: str, mark: str) -> bool:
    if mark == ">":
        return "@" in end and (end.lstrip()[:1] == "<" or end.lstrip()[:1].isdigit())
    return end.endswith(words.LAST_WORDS)


def begins_with_attribution(line: str) -> bool:
    """Whether a program's attribution and the earlier message stand on one line (Yahoo's phones, text made of HTML)."""
    if "@" not in line:
        return False
    found = _THEN_TEXT.match(line[:600])
    return found is not None and bool(DATE.search(found[1])) and _attributes(found[1]) and not _by_person(found[1])


def begins_with_own_text(line: str) -> bool:
    """Whether a sentence stands in front of the attribution in `line`: the line is the author's then."""
    found = _OWN_TEXT.match(line[:_LONGEST])
    return found is not None and DATE.search(line[found.end() :]) is not None


def _joined(lines: Sequence[str], last: int, first: int, end: str) -> tuple[int, bool] | None:
    """The lines up to `last`, as few as make an attribution and as many as belong to it."""
    text = end.strip()
    if not ("@" in text or " at " in text or _DIGIT.search(text) or says_wrote(text)):
        return None
    found: tuple[int, str] | None = None
    for start in range(last, max(last - _MOST_LINES, first - 1), -1):
        if start < last:
            line = lines[start].strip()
            if not line or len(line) + len(text) > _LONGEST or line[0] in ">＞":
                break
            if found and not _goes_on(line, text):
                break
            if not line.isascii():
                line = DIRECTION.sub("", line).strip()
            text = _GLUED.sub(r"\1", f"{line} {text}")
        if _attributes(text):
            if found and not _OPENER.match(_LEADING.sub("", text).lower()):
                break
            found = (start, text)
        elif found:
            break
    if found:
        start, text = found
        return start, _certain(text, lines[max(first, start - _LOOKED_BACK) : start])
    return (last, False) if _short(end) else None


def _goes_on(line: str, text: str) -> bool:
    """Whether `line` above the attribution `text` may be its beginning: a date, or the name for an address."""
    if line[-1] in ".!?:;…" or len(line) > 120:
        return False
    return DATE.search(line) is not None or (text[0] in "<(" and len(line) <= 60)


def _attributes(text: str) -> bool:
    """Whether `text` as a whole is an attribution with a date or an address in it."""
    text = text.strip()
    if text[:1] in ("*", "-", "_", "•"):
        if _LISTED.fullmatch(text):
            return True
        text = _LEADING.sub("", text)
    dated, addressed = DATE.search(text), _addressed(text)
    if not (dated or addressed):
        return False
    verb = wrote(text)
    if verb and verb.by & OTHERS:
        return False
    if not _OPENER.match(text.lower()) and not (verb and is_name(text[: verb.start])):
        return False
    if verb:
        return bool(dated) or (addressed and len(text) < 200)
    if text[:3].lower() in ("on ", "at ") or not (YOU | OTHERS).isdisjoint(text.lower().split()):
        return False
    return (bool(dated) and addressed and _ENDS_WITH_ADDRESS.search(text) is not None) or (
        _DATE_NAME_ADDRESS.fullmatch(text) is not None
    )


def _addressed(text: str) -> bool:
    """Whether `text` names an address, be it spelled out as archives of lists do."""
    return has_email(text) or (
        " at " in text and (_BRACKETED_ADDRESS.search(text) is not None or SPELLED.match(text) is not None)
    )


def has_email(text: str) -> bool:
    """Whether an address with "@" is in `text`."""
    at = text.find("@", 1, -1)
    while at > 0:
        before, after = text[at - 1], text[at + 1]
        if not (before.isspace() or after.isspace() or before in _BESIDE_ADDRESSES or after in _BESIDE_ADDRESSES):
            return True
        at = text.find("@", at + 1, -1)
    return False


def has_bracketed_address(text: str) -> bool:
    """Whether an address between brackets is in `text`, be it spelled out ("x at y.example") or hidden ("***")."""
    return ("@" in text or " at " in text) and (_BRACKETED_ADDRESS.search(text) is not None or "***@***.***>" in text)


def _by_person(text: str) -> bool:
    """Whether only a person writes so: a sentence before it, or "I wrote", "as he wrote"."""
    if _SENTENCE_ENDS.search(text):
        return True
    verb = wrote(text)
    return verb is not None and bool(verb.by & (YOU | OTHERS))


def _certain(text: str, above: Sequence[str]) -> bool:
    """Whether a program wrote the attribution `text` below the lines `above`, and not the author about somebody."""
    if _by_person(text):
        return False
    if has_bracketed_address(text):
        return True
    if not _WHOLE_DATE.search(text) or not (_TIME.search(text) or has_email(text)):
        return False
    if above and above[-1].strip():
        return False  # it goes on with a paragraph
    written = [line for line in above if line.strip()]
    return len(written) != 1 or not written[0].rstrip().endswith((",", "，", "،"))  # a greeting alone is no answer


def _short(line: str) -> bool:
    """`Tomás Vidal wrote:` alone, or "On Monday, Tomás wrote:"."""
    line = line.strip()
    if len(line) > 80 or (line[-1:] not in (":", "：") and not line.endswith(words.LAST_WORDS)):
        return False
    verb = wrote(line)
    if verb is None or verb.said or verb.by & (YOU | OTHERS):
        return False
    name = (line[: verb.start] + line[verb.end :]).strip(" :：,")
    if _OPENER.match(name.lower()) and not name[:1].isdigit():
        name = name.split(None, 1)[-1]
    return 0 < len(name.split()) <= 6 and is_name(name)
