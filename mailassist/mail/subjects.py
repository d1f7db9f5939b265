"""Subjects: what stays when all reply and forward prefixes of all languages are folded (RFC 5256, 2.1, extended)."""

from __future__ import annotations

import re

# Prefixes that mail programs write, by language; matched in any case, with a counter (Re[2]:, Re^3:, RE(2):).
_REPLY = (
    "re",
    "aw",
    "antw",
    "antwort",
    "ant",
    "sv",
    "svar",
    "vs",
    "vá",
    "odp",
    "ynt",
    "yan",
    "rv",
    "res",
    "rif",
    "r",
    "réf",
    "réf.",
    "rép",
    "odg",
    "trả lời",
    "ответ",
    "отв",
    "απ",
    "σχετ",
    "回复",
    "回覆",
    "答复",
    "答覆",
    "返信",
    "회신",
    "답장",
    "תשובה",
    "השב",
    "رد",
    "الرد",
    "ตอบ",
    "ตอบกลับ",
    "bls",
    "balas",
    "atb",
    "nd",
    "atsakymas",
    "vast",
)
_FORWARD = (
    "fwd",
    "fw",
    "wg",
    "wtr",
    "weitergeleitet",
    "tr",
    "vl",
    "vb",
    "doorst",
    "pd",
    "enc",
    "i",
    "továbbítás",
    "tov",
    "vidb",
    "vidarebefordrat",
    "videresendt",
    "vs",
    "пересл",
    "переслано",
    "προωθ",
    "παρθ",
    "πρθ",
    "ilt",
    "i̇lt",
    "转发",
    "轉寄",
    "轉發",
    "転送",
    "전달",
    "הועבר",
    "העבר",
    "إعادة توجيه",
    "تحويل",
    "ส่งต่อ",
    "trs",
    "proslj",
    "posr",
    "chuyển tiếp",
)
_ONE = "|".join(sorted({re.escape(word) for word in _REPLY + _FORWARD}, key=len, reverse=True))
_REPLY_ONE = "|".join(sorted({re.escape(word) for word in _REPLY}, key=len, reverse=True))
_COUNTER = r"\s*(?:\[\d{1,5}\]|\(\d{1,5}\)|\^\d{1,5}|\*\d{1,5}|\d{1,2})?"
_PREFIX = re.compile(rf"\s*(?:{_ONE}){_COUNTER}\s*[:：]\s*", re.IGNORECASE)
_REPLY_PREFIX = re.compile(rf"\s*(?:{_REPLY_ONE}){_COUNTER}\s*[:：]", re.IGNORECASE)
_TAG = re.compile(r"\s*\[[^\[\]]{1,80}\]\s*")
_TRAILER = re.compile(r"\s*\(fwd\)\s*\Z", re.IGNORECASE)
_LONGEST = 2_000


def base_subject(subject: str) -> str:
    """`subject` without prefixes, list tags and white space noise, case folded: equal for all of a conversation."""
    text = _TRAILER.sub("", subject[:_LONGEST])
    position = 0
    while True:
        match = _PREFIX.match(text, position) or _TAG.match(text, position)
        if match is None or match.end() == position:
            break
        if match.re is _TAG and match.end() >= len(text.rstrip()):
            break  # a tag alone is the subject
        position = match.end()
    return " ".join(text[position:].split()).casefold()


def is_reply(subject: str) -> bool:
    """Whether `subject` has a reply prefix ("Re:", "AW:", "回复："), perhaps after a list's tag."""
    tag = _TAG.match(subject)
    return bool(_REPLY_PREFIX.match(subject) or (tag and _REPLY_PREFIX.match(subject, tag.end())))


def reply_subject(subject: str) -> str:
    """The subject of a reply: `subject` on one line, with `Re: ` in front unless it has a reply prefix already."""
    line = " ".join(subject.split())
    return line if _REPLY_PREFIX.match(line) else f"Re: {line}".rstrip()
