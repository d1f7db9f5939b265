"""Words of attributions: where a line says that somebody wrote, and what may be a name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mailassist.mail import quote_words as words

_APART = re.compile("[]:：<>\"',.]")
_WORD = re.compile(r"[^\W\d_]+(?:\([^\W\d_]+\))?")
_WROTE_WITHIN = re.compile(words.WROTE_WITHIN)
SPELLED = re.compile(r"[^\s<>@]{1,60} at (?:[\w-]+\.)+[a-z]{2,24}\s")
YOU = words.word_set("you du sie ihr tú usted vous tu você je jij u вы ты siz sen")
OTHERS = words.word_set(
    """
    i he she we they ich er wir ik hij zij jag han hon jeg hun il elle ele ela я он она yo él ella eu io lui
    lei
    """
)
_NOT_IN_NAMES = (
    words.word_set(
        """
    the a an as and but so then when since because here what my our your this that in if yesterday today also
    now once before after recently earlier later like it there to for who someone somebody everybody everyone
    one der die das ein eine wie und aber dann als da hier was mein unser dies gestern heute auch jetzt jemand
    le la les un une comme et mais puis quand ici ce mon notre hier el los como y pero luego cuando aquí mi
    """
    )
    | YOU
    | OTHERS
)
_PARTICLES = words.word_set(
    "von van de der den del della di da dos du la le el al bin ibn ter ten zu zur und via a ha e y"
)


class Verb(NamedTuple):
    """Where a text says "wrote", and the words before and after it."""

    start: int
    end: int
    by: frozenset[str]
    said: bool = False


def says_wrote(text: str) -> bool:
    """Whether a word for "wrote" is in `text`: faster than to look where."""
    found = _APART.sub(" ", text).lower().split()
    return not words.WROTE.isdisjoint(found) or (not text.isascii() and _WROTE_WITHIN.search(text) is not None)


@lru_cache(maxsize=64)  # the same few lines are looked at several times in a row
def wrote(text: str) -> Verb | None:
    """Where `text` says that somebody wrote (or, at its end, said), with the words beside it."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text  # one of the few letters whose small form is longer: the places below have to be those of `text`
    before: re.Match[str] | None = None
    matches = _WORD.finditer(lowered)
    for match in matches:
        word = match[0]
        if word in words.WROTE or (word in words.SAID and text[match.end() :].strip() in (":", "：")):
            name_ends = before is not None and lowered[before.start() - 1 : before.start()] not in (".", "@")
            by = [before[0]] if before is not None and name_ends else []
            if word in words.WROTE and (after := next(matches, None)):
                by.append(after[0])
            return Verb(match.start(), match.end(), frozenset(by), word in words.SAID)
        if word not in words.AUXILIARIES:
            before = match
    if not text.isascii() and (within := _WROTE_WITHIN.search(text)):
        return Verb(within.start(), within.end(), frozenset())
    return None


def is_name(text: str) -> bool:
    """Whether `text` may be somebody's name: few words, capitals where the script has them, no word of a sentence."""
    found = text.strip(" ,\"'*").split()
    if not 0 < len(found) <= 7 or found[0].lower().strip(",") in _NOT_IN_NAMES:
        return False
    if SPELLED.match(text):
        return True
    return all(
        (not one[0].islower() or one.lower().strip(",.") in _PARTICLES) and ("." not in one or len(one) <= 5)
        for one in found
    )
