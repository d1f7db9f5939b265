"""A draft without any model: greeting, one line with a gap for each question and request, closing.

Every word of it comes from the data file or from the other side's own questions; nothing is invented.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from mailassist.context.clean import data_text, one_line
from mailassist.context.language import detect, reply_language

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
# Points that end no sentence, whatever follows: after single letters, numbers, dotted letters (z.B., but not the hours'
# a.m. and p.m.), titles, and what stands before a noun. A small letter behind a point tells the others (etc., ca.).
_ABBREVIATION = re.compile(
    r"(?:^|[\s(/«„\"“])(?:[^\W\d_]|\d{1,2}|(?![ap]\.m\.)[^\W\d_]{1,2}(?:\.[^\W\d_]{1,3})+|[^\W\d_]-[^\W\d_]"
    r"|p\.\s?e[jx]|dra?|mrs?|ms|mx|messrs|mme|mmes|mlle|mgr|prof|st|ste|sra?|srta|sres|sig|sigg|dott|avv|ing|geom|spett|egr|exm[oa]"
    r"|dhr|mevr|drs|hr|fr|frl|dipl|dña|judr|mudr|phdr|rndr|inż|sn|doç|κκ|κα|κος|bzw|resp|inkl|incl|exkl|excl|zzgl|abzgl"
    r"|evtl|evt|ggfs?|vgl|insb|sog|bijv|zgn|esim|np|tzn|tj|tzv|např|napr|příp|popř|eks|approx|ca|cca|aprox|env|örn|pl|cf"
    r"|viz|vs|betr|lt|bez|attn|ul|avda|blvd|т\.?е|т\.?к|им|ул|г-н|г-жа|проф|гр)\.$",
    re.IGNORECASE,
)
# The same where a number follows.
_BEFORE_NUMBER = re.compile(
    r"(?:^|[\s(/])(?:nos?|nrs?|nro|núm|num|arts?|abs|abt|kap|figs?|abb|tab|vol|ref|réf|pp|pgs?|p[aá]gs?|str|t[eé]ls?|tlf"
    r"|max|min|mind|est|ext|kl|klo|godz|ok|čj|č\.?p|sz|stk|av|gem|αρ|τηλ|σελ|стр|тел|ст|кв"
    r"|jan|feb|febr|mar|apr|aug|sept?|o[ck]t|nov|de[cz])\.$",
    re.IGNORECASE,
)
_NUMBER_FOLLOWS = re.compile(r"\s*[#+€$£¥№]?\s?\d")
_QUESTION = re.compile(r"[?？؟\u055e\u037e]")
# What a reply must not carry on unseen: addresses of the web and of mail, in the other side's words.
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>]{0,2000}[^\s<>.,;:!?)\]]|(?<![^\s<>@])[^\s<>@]{1,64}@[^\s<>@]{1,255}\.\w+",
    re.IGNORECASE,
)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)  # what they answered there
_GONE = "\ufffc"  # stands for an address while sentences are told apart
_GREEK = re.compile("[\u0370-\u03ff]")
# Where a clause begins, after a mark; where a word begins, after the conjunctions that Hebrew and Arabic write onto it.
_CLAUSE = r"(?:^|[,:;(…、，：；،؛]|\s[-–—])[\s\"'“„«¡¿]*"
_WORD_BEGINS = r"(?<!\w)[וفو]?"
_WITHOUT_SPACES = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LIST_MARK = re.compile(r"^\s*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")


def outline(conversation: Conversation, identity: Identity, language: str = "") -> str:
    """The outline of the reply to `conversation`, without signature (code adds it); the name, where there is none.

    `language` is a BCP 47 code; "": the language of the other side's newest message, as far as `identity` allows.
    """
    words = _words(language or reply_language(conversation, identity.languages))
    asked = conversation.newest_from_others
    name = _called(conversation.own.correspondent(asked.message), given=bool(words.get("given"))) if asked else ""
    greeting = str(words["named"]).format(name=name) if name else str(words["plain"])
    gap = str(words["gap"])
    lines = [f"{ask} {gap}" for ask in asks(conversation)] or [gap]
    closing = str(words["closing"]) if identity.signature.strip() else f"{words['closing']}\n{identity.name}".rstrip()
    return "\n\n".join([greeting, *lines, closing])


def asks(conversation: Conversation) -> list[str]:
    """The questions and requests of the messages that came after the user's last one, in order, each once."""
    found: dict[str, str] = {}
    for text in _latest(conversation):
        requests = _requests(detect(text))
        for sentence in sentences(_ADDRESS.sub(_GONE, text)):
            if _is_question(sentence) or requests.holds(sentence):
                asked = one_line(sentence, LONGEST_ASK).replace(_GONE, "[...]")
                found.setdefault(asked.casefold(), asked)
    return list(found.values())[:MOST_ASKS]


def sentences(text: str) -> Iterator[str]:
    """The sentences of `text`; a line end inside a paragraph is a space, a list's items stand alone."""
    for paragraph in re.split(r"\n\s*\n|\n(?=[ \t]*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s)", text):
        rest = " ".join(_LIST_MARK.sub("", paragraph).split())
        start = 0
        for end in _SENTENCE_END.finditer(rest):
            if _goes_on(rest[max(start, end.end() - LOOKED_BACK) : end.end()], rest[end.end() : end.end() + 4]):
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
    if not following.strip():
        return False
    shortened = _ABBREVIATION.search(before) or (_NUMBER_FOLLOWS.match(following) and _BEFORE_NUMBER.search(before))
    return following.lstrip()[:1].islower() or bool(shortened)


def _is_question(sentence: str) -> bool:
    return bool(_QUESTION.search(sentence)) or (sentence.endswith(";") and bool(_GREEK.search(sentence)))


@dataclass(frozen=True, slots=True)
class _Requests:
    """What tells a request without a question mark in one language."""

    asks: tuple[re.Pattern[str], ...]
    no_asks: tuple[re.Pattern[str], ...]

    def holds(self, sentence: str) -> bool:
        """Whether one of `asks` stands in `sentence`, and none of `no_asks` goes on with it or around it."""
        lower = normalize("NFC", sentence).casefold().replace("’", "'")
        ends = {match.end(1) for ask in self.asks for match in ask.finditer(lower)}
        formulas = [match.span(1) for formula in self.no_asks for match in formula.finditer(lower)] if ends else []
        return any(not any(start < end <= last for start, last in formulas) for end in ends)


@cache
def _requests(language: str) -> _Requests:
    """Those of `language`; of a text too short to tell (""), those of every language."""
    tables = [_words(language)] if language else list(_table().values())
    asks, no_asks = (
        tuple(_phrase(phrase) for table in tables for phrase in table.get(key, ())) for key in ("asks", "no_asks")
    )
    return _Requests(asks, no_asks)


def _phrase(entry: str) -> re.Pattern[str]:
    """The pattern of an entry of `asks` or `no_asks`; its group is the phrase."""
    phrase = re.escape(normalize("NFC", entry.strip("^* ")).casefold())
    if _WITHOUT_SPACES.match(entry.strip("^")):
        return re.compile(f"{_CLAUSE if entry.startswith('^') else ''}({phrase})")
    if entry.startswith("*"):
        return re.compile(rf"\w({phrase})(?!\w)")
    before = _CLAUSE if entry.startswith("^") else _WORD_BEGINS
    after = r"(?!\w)" if entry.endswith(" ") else ""
    return re.compile(f"{before}({phrase}){after}")


def _latest(conversation: Conversation) -> list[str]:
    """What the other side wrote since the user's last message; the newest of theirs in any case."""
    entries = list(conversation.entries)
    latest: list[str] = []
    while entries and not (entries[-1].ours and latest):
        entry = entries.pop()
        if not entry.ours:
            written = data_text((entry.message.reply or entry.message.text)[:LONGEST_TEXT], "")
            latest.append(_QUOTED_LINE.sub("", written))
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
