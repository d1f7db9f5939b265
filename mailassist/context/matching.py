"""Whether two texts speak of the same thing, though in other words. No model: stems, word groups, kinds of answer.

A stem is the first five letters of a word without accents, four of a short one (McNamee and Mayfield, "Character N-Gram Tokenization for
European Language Text Retrieval", 2004: close to a stemmer of the language's own, in every language). Scripts without
spaces between words are cut in pairs of characters.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

STEM = 5  # letters
_LONGEST = 20_000  # characters that are looked at

_NO_SPACES = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # Korean puts spaces, and endings onto words
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


def terms(text: str) -> list[str]:
    """The stems of the words of `text` that say what it is about, in order, repeated as they are."""
    found = []
    for word in _TERM.findall(text[:_LONGEST].casefold()):
        stem = _stem(word)
        if stem:
            found.append(stem)
        elif _PAIRS.match(word):
            found.extend(word[start : start + 2] for start in range(max(len(word) - 1, 1)))
    return found


def function_words(text: str) -> set[str]:
    """The words of `text` that say nothing but which language it is in."""
    return _stop().intersection(_TERM.findall(text[:_LONGEST].casefold()))


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """The stem of one word in lower case; "" for one that says nothing, and for scripts without spaces."""
    word = word.replace("’", "'")
    if _PAIRS.match(word) or word in _stop() or (len(word) < 2 and not word.isdigit()):
        return ""
    if any(character.isdigit() for character in word):
        return word
    if not word.isascii():
        word = "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))
    return word[: STEM if len(word) > STEM else STEM - 1]


@lru_cache(maxsize=20_000)
def groups(word_or_stem: str) -> frozenset[str]:
    """The names of the groups of meaning that a word, in lower case, belongs to."""
    whole, prefixes = _groups()
    found = set(whole.get(word_or_stem, ()))
    for length in range(2, len(word_or_stem) + 1):
        found.update(prefixes.get(word_or_stem[:length], ()))
    return frozenset(found)


def meanings(text: str) -> set[str]:
    """The names of all groups of meaning that the words of `text` belong to."""
    found: set[str] = set()
    for word in _TERM.findall(text[:_LONGEST].casefold()):
        found |= groups(word)
        if _PAIRS.match(word):
            found.update(name for one, names in _unspaced() if one in word for name in names)
    return found


def prefixes_of(names: Collection[str]) -> set[str]:
    """The beginnings of words that belong to the groups `names`."""
    whole, prefixes = _groups()
    return {word for table in (whole, prefixes) for word, there in table.items() if not there.isdisjoint(names)}


def asked_kinds(text: str) -> frozenset[str]:
    """The kinds of answer that `text` asks for: "time", "amount", "number", "person", "place"."""
    return frozenset(kind for kind, cues in _asked().items() if cues.search(text[:_LONGEST].casefold()))


def answer_kinds(text: str) -> frozenset[str]:
    """The kinds of answer that `text` gives, by its form."""
    text = text[:_LONGEST]
    found = set()
    digits = _DIGITS.search(text) is not None
    if (digits and _CLOCK.search(text)) or any(word in _times() for word in _TERM.findall(text.casefold())):
        found.add("time")
    if digits and _AMOUNT.search(text):
        found.add("amount")
    if digits:
        found.add("number")
    if _NAME.search(text):
        found.update(("person", "place"))
    return frozenset(found)


@cache
def _data() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files("mailassist.context").joinpath("meanings.toml").read_text(encoding="utf-8"))


@cache
def _stop() -> frozenset[str]:
    return frozenset(str(_data()["stop"]["words"]).split())


@cache
def _times() -> frozenset[str]:
    return frozenset(str(_data()["time"]["words"]).split())


def _word_groups() -> Iterator[tuple[str, list[str]]]:
    """The data file: a line for each group, its name, a colon, its words; "*" behind a word: any ending may follow."""
    text = resources.files("mailassist.context").joinpath("word_groups.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        name, _, words = line.partition(":")
        yield name, words.split()


@cache
def _groups() -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
    """Of whole words and of beginnings of words: the groups they are in."""
    whole: dict[str, set[str]] = {}
    prefixes: dict[str, set[str]] = {}
    for name, words in _word_groups():
        for word in words:
            (prefixes if word.endswith("*") else whole).setdefault(word.rstrip("*"), set()).add(name)
    frozen = ({word: frozenset(names) for word, names in table.items()} for table in (whole, prefixes))
    return next(frozen), next(frozen)


@cache
def _unspaced() -> tuple[tuple[str, frozenset[str]], ...]:
    whole, prefixes = _groups()
    return tuple((word, names) for table in (whole, prefixes) for word, names in table.items() if _PAIRS.match(word))


@cache
def _asked() -> Mapping[str, re.Pattern[str]]:
    patterns = {}
    for kind, cues in _data()["asked"].items():
        phrases = [cue.strip() for cue in str(cues).split(";") if cue.strip()]
        spaced = "|".join(re.escape(cue) for cue in phrases if not _PAIRS.search(cue))
        unspaced = "|".join(re.escape(cue) for cue in phrases if _PAIRS.search(cue))
        patterns[kind] = re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{unspaced}")
    return patterns
