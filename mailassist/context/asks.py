"""What the other side asks, and which of it nobody has answered yet: found by going through the conversation.

A question is told by its mark, a request by the phrases of `requests.toml`. An answer closes what it takes up: what it
quotes, what it shares words with, what it gives the kind of answer for ("when?" and a date). An answer that takes up
nothing of what was asked is a whole one ("Yes, that suits us.") and closes everything.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from unicodedata import normalize

from mailassist.context.clean import data_text, one_line
from mailassist.context.language import detect
from mailassist.context.matching import answer_kinds, asked_kinds, terms
from mailassist.context.sentences import is_question, sentences
from mailassist.mail.message import BlockKind, Message
from mailassist.mail.threads import Conversation, Entry

LONGEST_ASK = 200  # characters
LONGEST_TEXT = 20_000  # characters of a message that are looked at
MOST_ASKS = 12
LOOKED_AT = 40  # of the newest messages: what was asked before is not waited for any more
_MOST_OPEN = 60  # that are kept in mind; the oldest give way

# What must not be carried on unseen: addresses of the web and of mail, in the other side's words.
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>]{0,2000}[^\s<>.,;:!?)\]]|(?<![^\s<>@])[^\s<>@]{1,64}@[^\s<>@]{1,255}\.\w+",
    re.IGNORECASE,
)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)  # what they answered there
_GONE = "\ufffc"  # stands for an address while sentences are told apart
# Where a clause begins, after a mark; where a word begins, after the conjunctions that Hebrew and Arabic write onto it.
_CLAUSE = r"(?:^|[,:;(…、，：；،؛]|\s[-–—])[\s\"'“„«¡¿]*"
_WORD_BEGINS = r"(?<!\w)[וفو]?"
_WITHOUT_SPACES = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question or request of the other side that nobody has answered."""

    message_id: str
    day: str  # as above the message in the prompt
    author: str
    text: str  # one sentence, addresses in it as "[...]"
    kind: str  # "question" or "request"


@dataclass(slots=True)
class OpenAsk:
    """An ask while the conversation is gone through."""

    entry: Entry
    text: str
    kind: str


def open_asks(conversation: Conversation) -> list[OpenAsk]:
    """What the other side asked and nobody has answered since, oldest first, each once; at most `MOST_ASKS`."""
    found: list[OpenAsk] = []
    for entry in conversation.entries[-LOOKED_AT:]:
        if found:
            found = _still_open(found, entry)
        if not entry.ours:
            asked = [OpenAsk(entry, text, kind) for text, kind in asks_of(_written(entry.message))]
            again = {ask.text.casefold() for ask in asked}
            found = [*(ask for ask in found if ask.text.casefold() not in again), *asked][-_MOST_OPEN:]
    return found[-MOST_ASKS:]


def asks_of(text: str) -> list[tuple[str, str]]:
    """The questions and requests in `text`, in order, each once: its sentence and what it is."""
    found: dict[str, tuple[str, str]] = {}
    requests = _requests(detect(text))
    for sentence in sentences(_ADDRESS.sub(_GONE, text)):
        question = is_question(sentence)
        if question or requests.holds(sentence):
            asked = one_line(sentence, LONGEST_ASK).replace(_GONE, "[...]")
            found.setdefault(asked.casefold(), (asked, "question" if question else "request"))
    return list(found.values())


def _written(message: Message) -> str:
    written = data_text((message.reply or message.text)[:LONGEST_TEXT], "")
    return _QUOTED_LINE.sub("", written)


def _still_open(found: Sequence[OpenAsk], entry: Entry) -> list[OpenAsk]:
    """The asks that `entry` leaves open: an author does not answer their own, a third person only what fits."""
    author = _author(entry)
    theirs = [ask for ask in found if _author(ask.entry) != author]
    if not theirs:
        return list(found)
    answer = _Answer.of(entry.message)
    parent = entry.parent
    matched = {id(ask) for ask in theirs if answer.takes_up(ask.text)}
    if entry.ours:
        direct = [ask for ask in theirs if parent in (None, ask.entry.message.message_id)]
        if not any(id(ask) in matched for ask in direct):
            matched.update(id(ask) for ask in direct)  # "Yes, that suits us."
        matched.update(id(ask) for ask in direct if not answer.misses(ask.text))
    return [ask for ask in found if id(ask) not in matched]


def _author(entry: Entry) -> str:
    author = entry.message.author
    return "" if entry.ours else (author.key if author else "?")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an answer takes up."""

    terms: frozenset[str]
    kinds: frozenset[str]
    quoted: str  # what it answers line by line, words only

    @classmethod
    def of(cls, message: Message) -> _Answer:
        text = _written(message)
        quoted = " ".join(block.text for block in message.blocks if block.kind is BlockKind.ANSWERED)
        return cls(frozenset(terms(text)), answer_kinds(text), _folded(quoted.replace(">", " ")[:LONGEST_TEXT]))

    def takes_up(self, ask: str) -> bool:
        """Whether the answer says something to `ask` in particular."""
        if self.quoted and _folded(ask) in self.quoted:
            return True
        asked = set(terms(ask))
        shared = asked & self.terms
        return len(shared) >= 2 or len(shared) * 2 >= len(asked) > 0 or bool(asked_kinds(ask) & self.kinds)

    def misses(self, ask: str) -> bool:
        """Whether `ask` wants a kind of answer that is not there, or was left out where others were quoted."""
        return bool(self.quoted) or bool(asked_kinds(ask) - self.kinds) or not asked_kinds(ask)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class _Requests:
    """What tells a request without a question mark in one language."""

    any_ask: re.Pattern[str]  # whether one of `asks` is there at all
    asks: tuple[re.Pattern[str], ...]
    no_asks: tuple[re.Pattern[str], ...]

    def holds(self, sentence: str) -> bool:
        """Whether one of `asks` stands in `sentence`, and none of `no_asks` goes on with it or around it."""
        lower = normalize("NFC", sentence).casefold().replace("’", "'")
        if not self.any_ask.search(lower):
            return False
        ends = {match.end(1) for ask in self.asks for match in ask.finditer(lower)}
        formulas = [match.span(1) for formula in self.no_asks for match in formula.finditer(lower)] if ends else []
        return any(not any(start < end <= last for start, last in formulas) for end in ends)


@cache
def _requests(language: str) -> _Requests:
    """Those of `language`; of a text too short to tell (""), those of every language."""
    tables = [_phrases(language)] if language else list(_table().values())
    asks, no_asks = (
        tuple(_phrase(phrase) for table in tables for phrase in table.get(key, ())) for key in ("asks", "no_asks")
    )
    return _Requests(re.compile("|".join(ask.pattern for ask in asks)), asks, no_asks)


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


def _phrases(language: str) -> Mapping[str, Any]:
    """The data file's table for `language`, else English."""
    base = language.partition("-")[0].lower()
    return _table().get({"no": "nb", "nn": "nb"}.get(base, base), _table()["en"])


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files("mailassist.context").joinpath("requests.toml").read_text(encoding="utf-8"))
