"""Which sentences of a long conversation bear on what is asked now. No model.

Words that the newest message and a sentence share count by how rare they are in the conversation (inverse document
frequency; Spärck Jones, 1972), words of one meaning somewhat less. A sentence that holds the kind of answer that is
asked for ("when?" and a date) gains; so do sentences with amounts, dates, numbers and names, and the neighbours of
those that fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import fsum, log

from mailassist.context.asks import asks_of
from mailassist.context.matching import STEM, answer_kinds, asked_kinds, spoken, stem, words_of_groups
from mailassist.context.sentences import is_question, sentences

LONGEST_PIECE = 320  # characters; a longer sentence is cut at spaces
LONGEST_QUESTION = 20_000  # characters that are looked through for what is asked
MOST_TEXT = 80_000  # characters that are looked at sentence by sentence

_ASKED, _BESIDE = 1.0, 0.4  # what a word of a question counts, and one of the rest of the newest message
_SAME_MEANING = 0.5  # of what the same word counts
_KIND = 1.2  # for the kind of answer that is asked for, in a sentence that fits
_KIND_ALONE = 0.5  # in any other
_FACT = 0.05  # for each kind of fact in a sentence
_SMALL = 0.12  # for a function word that the question has, too: where languages mix, its own counts
_NEW = 5.0  # for words that stand nowhere else in the conversation: what is said once may be what is asked
_CODE = 0.3  # of what prose counts
_NEIGHBOUR = 0.2  # of what the sentence beside it counts
_LETTERS = 0.82  # the part of prose that is letters and spaces
_PUNCTUATION = ".,;:!?()[]<>\"'“”„«»…*_|"
_SHORT = 4  # words of a piece, below which it can hardly say something new
_LONG = 25  # words, from which on a sentence's length counts against it


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or a line of a table, of a message or attachment."""

    source: int  # which message or attachment
    place: int  # which sentence of it
    text: str


def pieces_of(text: str, source: int) -> Iterator[Piece]:
    """The sentences of `text`, none longer than `LONGEST_PIECE` characters."""
    place = 0
    for sentence in sentences(text):
        for part in _parts(sentence):
            yield Piece(source, place, part)
            place += 1


def _parts(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST_PIECE:
        cut = sentence.rfind(" ", LONGEST_PIECE // 2, LONGEST_PIECE)
        cut = cut if cut > 0 else LONGEST_PIECE
        yield sentence[:cut]
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence


@dataclass(frozen=True)
class Question:
    """What a message asks, by which the sentences of other texts are ranked."""

    wanted: Mapping[str, float]  # stems, and what each counts
    sought: Mapping[str, float]  # the same of groups of meaning
    small: frozenset[str]  # the words that tell its language
    kinds: frozenset[str]  # of the answers that are asked for

    @classmethod
    def of(cls, text: str) -> Question:
        """The questions and requests of `text` count most, the rest of it less."""
        whole = spoken(text[:LONGEST_QUESTION])
        asked = [ask for ask, _ in asks_of(text[:LONGEST_QUESTION])]
        several = [spoken(ask) for ask in asked]
        wanted = dict.fromkeys(whole.terms, _BESIDE)
        sought = dict.fromkeys(whole.senses, _BESIDE)
        for one in several:
            wanted |= dict.fromkeys(one.terms, _ASKED)
            sought |= dict.fromkeys(one.senses, _ASKED)
        return cls(wanted, sought, whole.small, frozenset(kind for ask in asked for kind in asked_kinds(ask)))

    def ranked(self, texts: Sequence[str]) -> list[Piece]:
        """The sentences of `texts` that are worth something, the worthiest first.

        Of very much text, only those of the texts that fit best.
        """
        pieces = [piece for source in self._fitting(texts) for piece in pieces_of(texts[source], source)]
        said = [spoken(piece.text) for piece in pieces]
        words = _Rarity.of([one.terms for one in said], self.wanted)
        senses = _Rarity.of([one.senses for one in said], self.sought)
        small = _Rarity.of([one.small for one in said], dict.fromkeys(self.small, _SMALL))
        counts = Counter(term for one in said for term in one.terms)
        fits = []
        alone = []
        for piece, one in zip(pieces, said, strict=True):
            fit = words.fit(one.terms) + _SAME_MEANING * senses.fit(one.senses) + small.fit(one.small)
            fits.append(fit / max(len(one.terms) / _LONG, 1.0) ** 0.5)
            new = sum(counts[term] == 1 for term in one.terms) / max(len(one.terms), _SHORT)
            prose = 1.0 if _is_prose(piece.text) else _CODE
            alone.append(prose * (self._fact(piece.text, fit) + _NEW * new))
        worth = [
            fit + fact + _NEIGHBOUR * max(_beside(pieces, fits, number))
            for number, (fit, fact) in enumerate(zip(fits, alone, strict=True))
        ]
        order = sorted((n for n in range(len(pieces)) if worth[n] > 0), key=lambda n: (-worth[n], n))
        return [pieces[number] for number in order]

    def _wanted_among(self, words: Set[str]) -> frozenset[str]:
        """Those of `words`, with their punctuation, that the question has or that mean something alike."""
        whole, beginnings = words_of_groups(self.sought)
        plain = {word: word.strip(_PUNCTUATION) for word in words}
        found = {word for word, bare in plain.items() if bare in whole or bare[:STEM] in self.wanted}
        found.update(word for word, bare in plain.items() if len(bare) <= STEM and bare[: STEM - 1] in self.wanted)
        found.update(word for word, bare in plain.items() if not bare.isascii() and stem(bare) in self.wanted)
        for length in {len(one) for one in beginnings}:
            found.update(word for word, bare in plain.items() if bare[:length] in beginnings)
        return frozenset(found)

    def _fact(self, text: str, fit: float) -> float:
        """What the kinds of facts in `text` count."""
        given = answer_kinds(text)
        fact = _FACT * (len(given) + is_question(text))
        if self.kinds & given:
            fact += _KIND if fit else _KIND_ALONE
        return fact

    def _fitting(self, texts: Sequence[str]) -> list[int]:
        """The numbers of the texts that are looked at closely, in their order."""
        if sum(map(len, texts)) <= MOST_TEXT:
            return list(range(len(texts)))
        said = [set(text.casefold().split()) for text in texts]
        wanted = self._wanted_among(frozenset().union(*said))
        counts = Counter(word for words in said for word in words & wanted)
        worth = [fsum(log(1 + len(texts) / counts[word]) for word in words & wanted) for words in said]
        room = MOST_TEXT
        chosen = []
        for number in sorted(range(len(texts)), key=lambda one: -worth[one]):
            room -= len(texts[number])
            if room < 0:
                break
            chosen.append(number)
        return sorted(chosen)


def _is_prose(text: str) -> bool:
    """Whether `text` is words, not code or the output of a program."""
    return sum(map(str.isalpha, text)) + text.count(" ") >= _LETTERS * len(text)


def _beside(pieces: Sequence[Piece], fits: Sequence[float], number: int) -> tuple[float, float]:
    """How well the sentences before and after fit, where they are of the same text."""
    before = number > 0 and pieces[number - 1].source == pieces[number].source
    after = number + 1 < len(pieces) and pieces[number + 1].source == pieces[number].source
    return fits[number - 1] if before else 0.0, fits[number + 1] if after else 0.0


@dataclass(frozen=True)
class _Rarity:
    """What each wanted word counts: its weight, and more the rarer it is."""

    worth: Mapping[str, float]

    @classmethod
    def of(cls, found: Sequence[Set[str]], wanted: Mapping[str, float]) -> _Rarity:
        counts = Counter(one for said in found for one in said if one in wanted)
        return cls({one: wanted[one] * log(1 + len(found) / (count + 0.5)) for one, count in counts.items()})

    def fit(self, said: Set[str]) -> float:
        """What the wanted words among `said` count together."""
        return fsum(self.worth[one] for one in said if one in self.worth)  # the same in any order: sets have none
