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

from mailassist.context.sentences import UNSPACED

MOST_LINES = 20_000  # of one message that are compared; nobody writes as many
RUN = 3  # words in a row that count as one piece of text
MARKS = re.compile(r"^[ \t]*(?:[>|][ \t]*)+|^[ \t]+$", re.MULTILINE)

# Where no spaces stand between words, a character is one.
_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORDS = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
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


def lines_of(text: str) -> list[str]:
    """The lines of `text`, each as two copies of it share it; lines after `MOST_LINES` are one."""
    return [" ".join(line.split()) for line in text.casefold().split("\n", MOST_LINES)]


def _parts(text: str, number: int) -> tuple[dict[str, int], dict[Run, int]]:
    """The lines and runs of a text."""
    lines = lines_of(text)
    runs = dict.fromkeys(runs_of(words_of(text)), number)
    for line in lines:
        if line and line.count(" ") < RUN - 1 and len(words := words_of(line)) < RUN:
            runs[tuple(words)] = number
    found = dict.fromkeys(lines, number)
    found.pop("", None)
    return found, runs


@dataclass(slots=True)
class Origins:
    """The texts of a conversation, and which message each line and run of words is first from."""

    lines: dict[str, int] = field(default_factory=dict)  # line -> number of the message
    runs: dict[Run, int] = field(default_factory=dict)
    _looked_up: dict[tuple[str, int], tuple[float, int | None]] = field(default_factory=dict)

    def add(self, text: str, number: int) -> None:
        """Know that message `number` says `text`; what is known already stays with the message it is from."""
        lines, runs = _parts(text, number)
        for one, source in lines.items():
            self.lines.setdefault(one, source)
        for run, source in runs.items():
            self.runs.setdefault(run, source)

    def add_before(self, text: str, number: int, *, wrapped: bool = True) -> None:
        """The same, where what is known already is from later messages: faster for all of a conversation.

        Without `wrapped` its lines are known, and not what becomes of them where they are wrapped anew.
        """
        if wrapped:
            lines, runs = _parts(text, number)
            self.runs.update(runs)
        else:
            lines = dict.fromkeys(lines_of(text), number)
            lines.pop("", None)
        self.lines.update(lines)

    def trace(self, text: str, number: int) -> tuple[float, int | None]:
        """How much of `text` of message `number` is in other messages (0 to 1), and which of them has most of it."""
        found = self._looked_up.get((text, number))
        if found is None:
            found = self._looked_up[text, number] = self._traced(text, number)
        return found

    def _traced(self, text: str, number: int) -> tuple[float, int | None]:
        sources: Counter[int] = Counter()
        unknown: list[str] = []
        for line in lines_of(text):
            source = self.lines.get(line)
            if source is None or source == number:
                unknown.append(line)
            else:
                sources[source] += line.count(" ") + 1
        known = total = sources.total()
        rest = "\n".join(unknown)
        words = words_of(rest)
        if words and len(words) * 20 > known:
            spoken = words_of(_LINKS.sub(" ", rest)) or words  # what HTML writes as a link, plain text spells out
            found = [self.runs.get(run) for run in runs_of(spoken)]
            total += len(found)
            sources.update(one for one in found if one is not None and one != number)
            known = sources.total()
        if not total:
            return 1.0, None
        return known / total, max(sources, key=lambda one: sources[one], default=None)

    def knows(self, text: str, number: int) -> bool:
        """Whether most of `text` is in other messages than `number`."""
        return self.trace(text, number)[0] * 2 >= 1
