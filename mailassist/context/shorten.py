"""A text cut to a number of tokens, with a mark where the rest was."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.context.tokens import TokenCounter

CHARACTERS = 12  # of a token at most, for the first cut of a text that is far too long; prose has 3 to 5


def shorten(text: str, limit: int, counter: TokenCounter) -> str:
    """`text` cut to at most `limit` tokens: its beginning and end in whole words, with a mark where the rest was.

    Requests stand at the beginning or the end of a message more often than in the middle. Where `limit` does not even
    hold the mark, the mark is all that is left.
    """
    longest = max(limit, 0) * CHARACTERS
    if len(text) <= longest and counter.count(text + "\n") <= limit:
        return text
    words = _words(text[:longest].rstrip()) + _words(text[max(longest, len(text) - longest) :].rstrip())
    total = len(text.split())
    low, high = 0, max(len(words) - 1, 0)  # how many words are kept: `low` fits, unless it is 0
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(_ends(words, middle, total) + "\n") <= limit:
            low = middle
        else:
            high = middle - 1
    return _ends(words, low, total)


def _words(text: str) -> list[str]:
    """The words of `text`, each with the white space before it; what is endless is cut in pieces."""
    return re.findall(r"\s*\S{1,100}", text)


def _ends(words: Sequence[str], kept: int, total: int) -> str:
    """The first two thirds of `kept` words and the last third, and between them how many of `total` were cut."""
    tail = kept // 3
    head, end = "".join(words[: kept - tail]), "".join(words[len(words) - tail :])
    return f"{head} [{max(total - kept, 1)} words left out]{end}".strip()
