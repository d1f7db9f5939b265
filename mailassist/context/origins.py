"""Where quoted text comes from: it is looked for in the other messages of the conversation.

Two texts are compared by their lines, and where lines were wrapped anew, by runs of three words (shingles; Broder, "On
the resemblance and containment of documents", 1997). So quoting is recognised by the text itself, whatever marks a mail
program sets, and each line of a conversation can be in a prompt once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

RUN = 3  # words in a row that count as one piece of text
MARKS = re.compile(r"^[ \t]*(?:[>|][ \t]*)+|^[ \t]+$", re.MULTILINE)

# Chinese, Japanese and Thai put no spaces between words: there, a character is one.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_WORDS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\\s\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
_LINKS = re.compile(r"<?(?:https?://|mailto:|www\.)[^\s<>]*>?|\[image:?[^\]]*\]", re.IGNORECASE)
Run = tuple[str, ...]


def words_of(text: str) -> list[str]:
    """The words of `text` with their punctuation, in any case and layout."""
    text = text.casefold()
    return text.split() if text.isascii() or not _UNSPACED.search(text) else _WORDS.findall(text)


def runs_of(words: Sequence[str]) -> Iterable[Run]:
    """Every run of `RUN` of `words`; a shorter text is one run of all."""
    if len(words) < RUN:
        return (tuple(words),) if words else ()
    return zip(words, words[1:], words[2:], strict=False)


def folded(line: str) -> str:
    """What two copies of a line share."""
    return " ".join(words_of(line))


def _parts(text: str, number: int) -> tuple[dict[str, int], dict[Run, int]]:
    """The lines and runs of a text."""
    spoken = [words for words in map(words_of, text.split("\n")) if words]
    lines = {" ".join(words): number for words in spoken}
    runs = dict.fromkeys(runs_of([word for words in spoken for word in words]), number)
    for words in spoken:
        if len(words) < RUN:
            runs[tuple(words)] = number
    return lines, runs


@dataclass(slots=True)
class Origins:
    """The texts of a conversation, and which message each line and run of words is first from."""

    lines: dict[str, int] = field(default_factory=dict)  # folded line -> number of the message
    runs: dict[Run, int] = field(default_factory=dict)
    _looked_up: dict[tuple[str, int], tuple[float, int | None]] = field(default_factory=dict)

    def add(self, text: str, number: int) -> None:
        """Know that message `number` says `text`; what is known already stays with the message it is from."""
        lines, runs = _parts(text, number)
        for one, source in lines.items():
            self.lines.setdefault(one, source)
        for run, source in runs.items():
            self.runs.setdefault(run, source)

    def add_before(self, text: str, number: int) -> None:
        """The same, where what is known already is from later messages: faster for all of a conversation."""
        lines, runs = _parts(text, number)
        self.lines.update(lines)
        self.runs.update(runs)

    def trace(self, text: str, number: int) -> tuple[float, int | None]:
        """How much of `text` of message `number` is in other messages (0 to 1), and which of them has most of it."""
        found = self._looked_up.get((text, number))
        if found is None:
            found = self._looked_up[text, number] = self._traced(text, number)
        return found

    def _traced(self, text: str, number: int) -> tuple[float, int | None]:
        sources: Counter[int] = Counter()
        total = 0
        unknown: list[str] = []
        for line in text.split("\n"):
            source = self.lines.get(folded(line))
            if source is None or source == number:
                unknown.append(line)
            else:
                weight = max(len(line.split()), 1)
                sources[source] += weight
                total += weight
        rest = "\n".join(unknown)
        words = words_of(rest)
        if words and len(words) * 20 > total:
            spoken = words_of(_LINKS.sub(" ", rest)) or words  # what HTML writes as a link, plain text spells out
            for run in runs_of(spoken):
                total += 1
                source = self.runs.get(run)
                if source is not None and source != number:
                    sources[source] += 1
        if not total:
            return 1.0, None
        best = max(sources, key=lambda one: sources[one], default=None)
        return sum(sources.values()) / total, best

    def knows(self, text: str, number: int) -> bool:
        """Whether most of `text` is in other messages than `number`."""
        return self.trace(text, number)[0] * 2 >= 1
