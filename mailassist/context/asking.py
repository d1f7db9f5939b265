"""What a text asks: questions by their mark, requests by the phrases of `requests.toml`; courtesies ask nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from mailassist.context.clean import one_line
from mailassist.context.language import detect
from mailassist.context.loading import data_file, for_language
from mailassist.context.phrases import Phrases, any_of, folded, listed, trie
from mailassist.context.sentences import is_question, sentences

LONGEST_ASK = 200  # characters
MOST_ASKS_OF_ONE = 60  # of one message
_LONGEST_SENTENCE = 1_000  # characters
_MOST_DOUBTS = 300  # sentences of one message that are looked at closely

# What must not be carried on unseen: addresses of the web and of mail, in the other side's words.
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>]{0,2000}[^\s<>.,;:!?)\]]|(?<![^\s<>@])[^\s<>@]{1,64}@[^\s<>@]{1,255}\.\w+",
    re.IGNORECASE,
)
_GONE = "\ufffc"  # stands for an address while sentences are told apart
_SHOWN = "[...]"
_CLAUSES = re.compile(r"[,;:!?…¿¡(){}\[\]\"“”„«».？！，、。：；؟،؛\u037e\ufffc]+|\s[-–—]+\s")
_SMALL_MARKS = re.compile(r"^[\W_]+|[\W_]+$")
_BEFORE = trie(  # words that lead to a question and do not change it
    listed(
        "and; but; so; or; oh; well; also; then; now; hi; hello; hey; und; aber; oder; ach; na; nun; hallo; et; mais"
        "; alors; ou; y; e; pero; entonces; o; mas; então; ma; allora; en; maar; dus; hoi; i; a; ale; więc; och; men"
        "; så; hej; og; hei; ja; mutta; no; и; а; но; ну; ve; ama; peki; και; αλλά"
    )
)
_LED = re.compile(rf"(?:{_BEFORE}\s+)+")
# A point behind a long word ends a sentence, whatever follows; abbreviations are shorter.
_SMALL_START = re.compile(r"(?<=[^\W\d_]{5}\.)\s+(?=[^\W\d_]{3})")
_WHOLE_CLAUSES = frozenset({"idle", "exclaimed", "opinion"})  # tables that `is_idle` reads
_LONGEST_GREETING = 3  # words of a clause before an idle question


def asks_of(text: str) -> list[tuple[str, str]]:
    """The questions and requests in `text`, in order, each once: its sentence and what it is."""
    found: dict[str, tuple[str, str]] = {}
    requests = requests_in(text)
    doubts = 0
    for sentence in pieces(_ADDRESS.sub(_GONE, text)):
        lower = folded(sentence)
        question = is_question(sentence)
        if not question and not requests.may_hold(lower):
            continue
        doubts += 1
        if not is_idle(sentence) if question else requests.holds(lower):
            asked = one_line(sentence, LONGEST_ASK).replace(_GONE, _SHOWN)
            found.setdefault(asked.casefold(), (asked, "question" if question else "request"))
        if len(found) >= MOST_ASKS_OF_ONE or doubts >= _MOST_DOUBTS:
            break
    return list(found.values())


def load() -> None:
    """Read and compile ahead what asks and answers are told by, which takes some tenths of a second."""
    asks_of("When can we expect the delivery of it?")


def pieces(text: str) -> Iterator[str]:
    """The sentences of `text`, the endless ones in pieces; those of people who write without capitals, too."""
    for sentence in sentences(text):
        for start in range(0, len(sentence), _LONGEST_SENTENCE):
            yield from _SMALL_START.split(sentence[start : start + _LONGEST_SENTENCE])


def without_addresses(text: str) -> str:
    """`text` with its addresses as `asks_of` shows them."""
    return _ADDRESS.sub(_SHOWN, text)


def is_idle(sentence: str) -> bool:
    """Whether a question only greets, exclaims or repeats an opinion: "How are you?", "Lovely, isn't it?"."""
    clauses = [part for part in (_SMALL_MARKS.sub("", one) for one in _CLAUSES.split(folded(sentence)[:400])) if part]
    if not clauses:
        return True  # a mark and nothing else
    idle, exclaimed, opinion = _idle()
    last = _led_to(clauses[-1])
    if exclaimed.fullmatch(last) or any(exclaimed.fullmatch(clause) for clause in clauses[:1] if len(clauses) > 1):
        return True
    if not idle.fullmatch(last):
        return False
    before = clauses[:-1]
    if before and len(last.split()) <= _LONGEST_GREETING and opinion.search(before[-1]):
        return True
    return all(idle.fullmatch(_led_to(one)) or (not n and _greets(one)) for n, one in enumerate(before))


def _greets(clause: str) -> bool:
    return len(clause.split()) <= _LONGEST_GREETING and not any(map(str.isdigit, clause))


def _led_to(clause: str) -> str:
    """`clause` without the words that lead to it."""
    led = _LED.match(clause)
    return " ".join((clause[led.end() :] if led else clause).split())


def addressee(sentence: str, ours: Collection[str], others: Collection[str]) -> str:
    """Whom `sentence` names as the one it is said to: "us", "others" or "" for nobody, by their names in lower case."""
    lower = folded(sentence)
    words = re.findall(r"[^\W\d_]+", lower)
    if not others or not any(word in others for word in words):
        return ""
    if any(word in ours for word in words):
        return "us"
    marked = re.match(r"\W*@\W*([^\W\d_]+)", lower)
    if marked and marked.group(1) in others:
        return "others"
    called = re.match(r"\W*((?:[^\W\d_]+[ .]+){0,2}[^\W\d_]+)\s*(?:[,:،，、!]|[-–—]\s)", lower)
    last = re.search(r",\s*([^\W\d_]+)\s*[?？؟!.]*$", lower)
    named = (called.group(1).split()[-1] if called else "", last.group(1) if last else "")
    return "others" if any(name in others for name in named) else ""


@dataclass(frozen=True, slots=True)
class Requests:
    """What tells a request without a question mark in one language."""

    any_ask: re.Pattern[str]  # whether one of `asks` is there at all
    asks: Phrases
    no_asks: Phrases

    def may_hold(self, lower: str) -> bool:
        """Whether one of `asks` stands in a folded sentence at all."""
        return bool(self.any_ask.search(lower))

    def holds(self, lower: str) -> bool:
        """Whether one of `asks` stands in a folded sentence, and none of `no_asks` goes on with it or around it."""
        if not self.may_hold(lower):
            return False
        ends = [end for _, end in self.asks.spans(lower)]
        formulas = self.no_asks.spans(lower) if ends else []
        return any(not any(start < end <= last for start, last in formulas) for end in ends)


def requests_in(text: str) -> Requests:
    """What tells the requests of `text`, by its language."""
    return _requests(_language_of(text))


@lru_cache(maxsize=64)
def _language_of(text: str) -> str:
    """A text is looked at as a question and as an answer."""
    return detect(text)


@cache
def _requests(language: str) -> Requests:
    """Those of `language`; of a text too short to tell (""), those of every language."""
    file = data_file("mailassist.context", "requests.toml")
    tables = [for_language(file, language)] if language else list(file.values())
    asks = [phrase for table in tables for phrase in table.get("asks", ())]
    no_asks = [phrase for table in tables for phrase in table.get("no_asks", ())]
    return Requests(any_of(asks), Phrases(asks), Phrases(no_asks))


@cache
def replies(name: str) -> tuple[str, ...]:
    """The entries of one table of `replies.toml`, of all languages."""
    file = data_file("mailassist.context", "replies.toml")
    return tuple(entry for words in file[name].values() for entry in listed(words))


@cache
def said(name: str) -> re.Pattern[str]:
    """What finds an entry of one table of `replies.toml` in folded text."""
    return any_of(replies(name))


@cache
def _idle() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What is idle as a whole clause, what exclaims as one, and what ends an opinion."""
    idle = [entry.strip() for entry in replies("idle")]
    whole = trie(folded(entry) for entry in idle if not entry.endswith("…"))
    begun = trie(folded(entry[:-1]) for entry in idle if entry.endswith("…"))
    exclaimed = trie(folded(entry.strip()) for entry in replies("exclaimed"))
    opinion = trie(folded(entry.strip()) for entry in replies("opinion"))
    return (
        re.compile(rf"{whole}|{begun}(?:\s+\S+){{0,5}}"),
        re.compile(exclaimed),
        re.compile(rf"(?<!\w){opinion}$"),
    )
