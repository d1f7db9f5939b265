"""Many phrases looked for at once, in time linear in the text: they are one regular expression, a trie."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, cached_property
from unicodedata import normalize

from mailassist.context.sentences import HANGUL, UNSPACED

# Where a clause begins, after a mark; where a word begins, after the conjunctions that Hebrew and Arabic write onto it.
CLAUSE = r"(?:^|[,:;(…、，：；،؛]|\s[-–—])[\s\"'“„«¡¿]*"
WORD_BEGINS = r"(?<!\w)[וفو]?"
_WITHOUT_SPACES = re.compile(f"[{UNSPACED}{HANGUL}]")


def folded(text: str) -> str:
    """`text` as phrases are compared: NFC, lower case, straight apostrophes."""
    return normalize("NFC", text).casefold().replace("’", "'")


def any_of(entries: Iterable[str]) -> re.Pattern[str]:
    """What finds one of `entries`, written as `requests.toml` says, in folded text; nothing where there are none."""
    found = (f"{before}{trie(words)}{after}" for (before, after), words in _by_surroundings(entries).items())
    return re.compile("|".join(found) or "(?!)")


class Phrases:
    """Phrases, to be found wherever they stand, though they overlap."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Those of `entries`, written as `requests.toml` says; compiled when they are first looked for."""
        self._entries = tuple(entries)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        kinds = _by_surroundings(self._entries).items()
        return tuple(re.compile(f"(?={before}({trie(words)}){after})") for (before, after), words in kinds)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they begin and end in folded `text`: of those that begin at one place, the longest."""
        return [match.span(1) for pattern in self._patterns for match in pattern.finditer(text)]


def _by_surroundings(entries: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """The phrases of `entries` by what must stand before and behind them."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        before, phrase, after = _parts(entry)
        kinds.setdefault((before, after), []).append(phrase)
    return kinds


def _parts(entry: str) -> tuple[str, str, str]:
    """What must stand before the phrase of an entry, the phrase, and what must follow."""
    phrase = folded(entry.strip("^* "))
    if _WITHOUT_SPACES.match(phrase):
        return CLAUSE if entry.startswith("^") else "", phrase, ""
    if entry.startswith("*"):
        return r"\w", phrase, r"(?!\w)"
    return CLAUSE if entry.startswith("^") else WORD_BEGINS, phrase, r"(?!\w)" if entry.endswith(" ") else ""


def trie(words: Iterable[str]) -> str:
    """A regular expression of `words` that looks at each character of a text but once; the longest word is found."""
    return _branches(tuple(sorted(set(words))), 0)


def _branches(words: tuple[str, ...], depth: int) -> str:
    """The alternatives of `words`, sorted, which share their first `depth` characters."""
    ends = len(words[0]) == depth
    starts: dict[str, list[str]] = {}
    for word in words[1:] if ends else words:
        starts.setdefault(word[depth], []).append(word)
    options = [re.escape(first) + _branches(tuple(rest), depth + 1) for first, rest in starts.items()]
    if not options:
        return ""
    return f"(?:{'|'.join(options)}){'?' if ends else ''}" if ends or len(options) > 1 else options[0]


@cache
def listed(text: str) -> tuple[str, ...]:
    """The entries of a text in which ";" and line ends stand between them; the space behind a whole word is kept."""
    return tuple(entry.lstrip(" ") for line in text.splitlines() for entry in line.split(";") if entry.strip())
