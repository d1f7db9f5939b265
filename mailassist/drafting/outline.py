"""A draft without any model: greeting, one line with a gap for each question and request, closing.

Every word of it comes from the data file or from the other side's own questions; nothing is invented.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from mailassist.context.clean import data_text, one_line
from mailassist.context.language import reply_language

if TYPE_CHECKING:
    from mailassist.config import Identity
    from mailassist.mail.message import Address
    from mailassist.mail.threads import Conversation

MOST_ASKS = 12
LONGEST_ASK = 200  # characters
LONGEST_TEXT = 20_000  # characters of a message that are looked at
LOOKED_BACK = 40  # characters before the end of a sentence that tell whether it is one

_NAME = re.compile(r"[^\W\d_][\w .'’·-]{0,58}", re.UNICODE)
# The end of a sentence: a mark before white space, closing quotes included; marks of CJK need no space behind them.
_SENTENCE_END = re.compile(r"[.!?…؟।;\u037e]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”]?")
# Points that end no sentence: single letters, numbers, dotted letters (z.B.), and what is commonly shortened.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|\d{1,2}|[^\W\d_](?:\.[^\W\d_])+|dr|mrs?|ms|prof|no|nr|núm|st|str|hr|fr|frl|sr|sra|mme|bzw|ca|inkl"
    r"|approx|max|min|evtl|ggf|vs|t[eé]l|art|p[aá]g|jan|feb|mar|apr|aug|sept?|o[ck]t|nov|de[cz]|стр|им)\.$",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?？؟\u055e\u037e]")
# What a reply must not carry on unseen: addresses of the web and of mail, in the other side's words.
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>]{0,2000}[^\s<>.,;:!?)\]]|(?<![^\s<>@])[^\s<>@]{1,64}@[^\s<>@]{1,255}\.\w+",
    re.IGNORECASE,
)
_GONE = "\ufffc"  # stands for an address while sentences are told apart
_GREEK = re.compile("[\u0370-\u03ff]")
_LIST_MARK = re.compile(r"^\s*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")


def outline(conversation: Conversation, identity: Identity, language: str = "") -> str:
    """The outline of the reply to `conversation`, without signature (code adds it).

    `language` is a BCP 47 code; "": the language of the other side's newest message, as far as `identity` allows.
    """
    words = _words(language or reply_language(conversation, identity.languages))
    asked = conversation.newest_from_others
    name = _called(conversation.own.correspondent(asked.message), given=bool(words.get("given"))) if asked else ""
    greeting = str(words["named"]).format(name=name) if name else str(words["plain"])
    gap = str(words["gap"])
    lines = [f"{ask} {gap}" for ask in asks(conversation, words["asks"])] or [gap]
    return "\n\n".join([greeting, *lines, str(words["closing"])])


def asks(conversation: Conversation, requests: list[str]) -> list[str]:
    """The questions and requests of the messages that came after the user's last one, in order, each once.

    `requests`: what a sentence without a question mark holds when it asks for something.
    """
    found: dict[str, str] = {}
    for text in _latest(conversation):
        for sentence in sentences(_ADDRESS.sub(_GONE, text)):
            if _is_question(sentence) or _is_request(sentence, requests):
                asked = one_line(sentence, LONGEST_ASK).replace(_GONE, "[...]")
                found.setdefault(asked.casefold(), asked)
    return list(found.values())[:MOST_ASKS]


def sentences(text: str) -> Iterator[str]:
    """The sentences of `text`; a line end inside a paragraph is a space, a list's items stand alone."""
    for paragraph in re.split(r"\n\s*\n|\n(?=[ \t]*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s)", text):
        rest = " ".join(_LIST_MARK.sub("", paragraph).split())
        start = 0
        for end in _SENTENCE_END.finditer(rest):
            if _goes_on(rest[max(start, end.end() - LOOKED_BACK) : end.end()], rest[end.end() : end.end() + 2]):
                continue
            yield rest[start : end.end()].strip()
            start = end.end()
        if rest[start:].strip():
            yield rest[start:].strip()


def _goes_on(before: str, following: str) -> bool:
    """Whether the mark at the end of `before` is no end: a small letter follows, or an abbreviation precedes."""
    if before.endswith(";"):  # Greek's question mark, and a pause everywhere else
        return not _GREEK.search(before)
    if not before.endswith("."):
        return False
    return following.lstrip()[:1].islower() or bool(_ABBREVIATION.search(before) and following.strip())


def _is_question(sentence: str) -> bool:
    return bool(_QUESTION.search(sentence)) or (sentence.endswith(";") and bool(_GREEK.search(sentence)))


def _is_request(sentence: str, requests: list[str]) -> bool:
    """Whether `sentence` holds one of `requests` (at the beginning of a word, where the script has spaces)."""
    lower = " " + re.sub(r"[,:(]", " ", sentence.casefold()).replace("’", "'")
    return any((" " + ask if ask.isascii() or " " in ask else ask) in lower for ask in requests)


def _latest(conversation: Conversation) -> list[str]:
    """What the other side wrote since the user's last message; the newest of theirs in any case."""
    entries = list(conversation.entries)
    latest: list[str] = []
    while entries and not (entries[-1].ours and latest):
        entry = entries.pop()
        if not entry.ours:
            latest.append(data_text((entry.message.reply or entry.message.text)[:LONGEST_TEXT], ""))
    return latest[::-1]


def _called(author: Address | None, *, given: bool) -> str:
    """What to call `author`: the given name or the whole name, "" where the name is none."""
    name = one_line(author.name, 80).strip("'\" ") if author else ""
    if name.count(",") == 1:  # Meyer, Anna
        last, _, first = name.partition(",")
        name = f"{first.strip()} {last.strip()}"
    if not _NAME.fullmatch(name):
        return ""
    return name.split()[0] if given and 2 <= len(name.split()) <= 3 and len(name.split()[0]) > 2 else name


def _words(language: str) -> Mapping[str, Any]:
    """The data file's table for `language`, else English."""
    base = language.partition("-")[0].lower()
    return _table().get({"no": "nb", "nn": "nb"}.get(base, base), _table()["en"])


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files("mailassist.drafting").joinpath("outline.toml").read_text(encoding="utf-8"))
