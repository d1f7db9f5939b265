"""Whether two texts speak of the same thing, though in other words. No model: stems, word groups, kinds of answer.

A stem is the first five letters of a word without accents, four of a short one (McNamee and Mayfield, "Character N-Gram
Tokenization for European Language Text Retrieval", 2004: close to a stemmer of the language's own, in every language).
Scripts without spaces between words, and Korean, are cut in pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from mailassist.context.loading import data_file, file_text
from mailassist.context.sentences import HANGUL, UNSPACED

STEM = 5  # letters
_LONGEST = 20_000  # characters that are looked at

_NO_SPACES = UNSPACED + HANGUL
_TERM = re.compile(rf"[{_NO_SPACES}]+|[^\W_{_NO_SPACES}]+(?:['’.\-][^\W_{_NO_SPACES}]+)*")
_PAIRS = re.compile(rf"[{_NO_SPACES}]")
_AMOUNT = re.compile(
    r"[€$£¥₹₽]\s?\d|\d[\d.,' ]{0,15}(?:[€$£¥₹₽%]|(?:eur|euros?|usd|chf|gbp|dollars?|pounds?|k|kg|km|pcs|stück|pieces?"
    r"|units?|people|persons?|personen|personnes|personas|persone|pessoas|percent|prozent|kr|zł|kč|руб|円|元|원|個|人|名)\b)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d")
_CLOCK = re.compile(
    r"\b\d{1,2}[:.h]\d\d\b|\b\d{1,2}\s?(?:am|pm|uhr|h)\b|\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b|\b(?:19|20)\d\d\b"
    r"|\d\s?[時时点月日]|\d\s?[시월일]",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?<=[^\s.!?:\"“„(>\n-] )[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][\w'’-]+(?:\s+[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][\w'’-]+)*|[^\s<>@]+@[^\s<>@]+\.\w+"
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the words of a text say."""

    terms: frozenset[str]  # stems of the words that say what it is about
    senses: frozenset[str]  # the groups of meaning that its words belong to
    small: frozenset[str]  # its function words, which tell its language


def spoken(text: str) -> Spoken:
    """The words of `text`, looked up."""
    words = _words(text)
    return Spoken(
        frozenset(term for word in words for term in _terms(word)),
        frozenset(sense for word in words for sense in _senses(word)),
        _stop() & words,
    )


def terms(text: str) -> frozenset[str]:
    """The stems of the words of `text` that say what it is about; loads no groups of meaning."""
    return frozenset(term for word in _words(text) for term in _terms(word))


def _words(text: str) -> set[str]:
    return set(_TERM.findall(text[:_LONGEST].casefold()))


@lru_cache(maxsize=100_000)
def _terms(word: str) -> tuple[str, ...]:
    """The stem of one word in lower case, or the pairs of a run of characters without spaces."""
    if _PAIRS.match(word):
        return tuple(word[start : start + 2] for start in range(max(len(word) - 1, 1)))
    root = stem(word)
    return (root,) if root else ()


def stem(word: str) -> str:
    """The stem of one word in lower case; "" for one that says nothing, and for scripts without spaces."""
    if word.isascii() and word.isalpha() and len(word) > 1:
        return "" if word in _stop() else word[: STEM if len(word) > STEM else STEM - 1]
    word = word.replace("’", "'")
    if _PAIRS.match(word) or word in _stop() or (len(word) < 2 and not word.isdigit()):
        return ""
    if not word.isalpha() and _DIGITS.search(word):
        return word
    if not word.isascii():
        word = "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))
    return word[: STEM if len(word) > STEM else STEM - 1]


@lru_cache(maxsize=100_000)
def _senses(word: str) -> frozenset[str]:
    """The names of the groups of meaning that a word, in lower case, belongs to."""
    if _PAIRS.match(word):
        return frozenset(name for one, names in _unspaced() if one in word for name in names)
    whole, prefixes = _groups()
    found = set(whole.get(word, ()))
    for length in range(2, len(word) + 1):
        found.update(prefixes.get(word[:length], ()))
    return frozenset(found)


def words_of_groups(names: Collection[str]) -> tuple[set[str], set[str]]:
    """The words of the groups `names`, and the beginnings of words."""
    wanted = frozenset(names)
    whole, beginnings = ({word for word, there in table.items() if not wanted.isdisjoint(there)} for table in _groups())
    return whole, beginnings


def asked_kinds(text: str) -> frozenset[str]:
    """The kinds of answer that `text` asks for: "time", "amount", "number", "person", "place"."""
    return frozenset(kind for kind, cues in _asked().items() if cues.search(text[:_LONGEST].casefold()))


def is_particular(text: str) -> bool:
    """Whether `text` asks with a word that yes or no does not answer: "when", "which", "how much"."""
    return bool(_interrogative().search(text[:_LONGEST].casefold()))


def answer_kinds(text: str) -> frozenset[str]:
    """The kinds of answer that `text` gives, by its form."""
    text = text[:_LONGEST]
    found = set()
    digits = _DIGITS.search(text) is not None
    words = _TERM.findall(text.casefold())
    unspaced = () if text.isascii() else [word for word in words if _PAIRS.match(word)]
    if (
        (digits and _CLOCK.search(text))
        or not _times().isdisjoint(words)
        or any(_unspaced_times().search(word) for word in unspaced)
    ):
        found.add("time")
    if digits and _AMOUNT.search(text):
        found.add("amount")
    if digits:
        found.add("number")
    if any(not name.group().isupper() for name in _NAME.finditer(text)):  # EUR is nobody
        found.update(("person", "place"))
    return frozenset(found)


def _data() -> Mapping[str, Mapping[str, str]]:
    return data_file("mailassist.context", "meanings.toml")


@cache
def _stop() -> frozenset[str]:
    return frozenset(_data()["stop"]["words"].split())


@cache
def _times() -> frozenset[str]:
    return frozenset(_data()["time"]["words"].split())


def _word_groups() -> Iterator[tuple[str, list[str]]]:
    """The data file: a line for each group, its name, a colon, its words; "*" behind a word: any ending may follow."""
    for line in file_text("mailassist.context", "word_groups.txt").splitlines():
        name, _, words = line.partition(":")
        yield name, words.split()


@cache
def _groups() -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    """Of whole words and of beginnings of words: the groups they are in."""
    whole: defaultdict[str, list[str]] = defaultdict(list)
    beginnings: defaultdict[str, list[str]] = defaultdict(list)
    for name, words in _word_groups():
        for word in words:
            if word[-1] == "*":
                beginnings[word[:-1]].append(name)
            else:
                whole[word].append(name)
    return dict(whole), dict(beginnings)


@cache
def _unspaced() -> tuple[tuple[str, Sequence[str]], ...]:
    whole, prefixes = _groups()
    return tuple((word, names) for table in (whole, prefixes) for word, names in table.items() if _PAIRS.match(word))


@cache
def _unspaced_times() -> re.Pattern[str]:
    return re.compile("|".join(sorted((word for word in _times() if _PAIRS.match(word)), key=len, reverse=True)))


@cache
def _interrogative() -> re.Pattern[str]:
    return _cues(_data()["interrogative"]["words"])


@cache
def _asked() -> Mapping[str, re.Pattern[str]]:
    return {kind: _cues(cues) for kind, cues in _data()["asked"].items()}


def _cues(cues: str) -> re.Pattern[str]:
    """What finds one of `cues`, between which ";" stands, in lower-case text."""
    phrases = [cue.strip() for cue in cues.split(";") if cue.strip()]
    spaced = "|".join(re.escape(cue) for cue in phrases if not _PAIRS.search(cue))
    unspaced = "|".join(re.escape(cue) for cue in phrases if _PAIRS.search(cue))
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{unspaced}")
