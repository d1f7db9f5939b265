"""Lines in a row that come again in one message, as in a log: counted instead of shown."""

from __future__ import annotations

from collections.abc import Sequence

from mailassist.context.origins import MOST_LINES

SHORT_LINE = 12  # characters: what everybody writes ("Thanks,")
REPEATED_LINES = 4  # in a row, with as many characters, from which on a repetition is counted instead of shown
REPEATED_CHARACTERS = 160
_MOST_REPEATED = 100


def without_repeats(text: str) -> str:
    """Text in which lines in a row that stand further up word for word, as in a log, are counted instead."""
    lines = text.split("\n", MOST_LINES)
    if len(lines) < 2 * REPEATED_LINES:
        return text
    last: dict[str, int] = {}
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        again = len(line) >= SHORT_LINE and line in last
        length, characters = _repeated(lines, last[line], number) if again else (0, 0)
        if length >= REPEATED_LINES and characters >= REPEATED_CHARACTERS:
            kept.append(f"[{length} lines as above]")
            number += length
            continue
        if line:
            last[line] = number
        kept.append(lines[number])
        number += 1
    return "\n".join(kept)


def _repeated(lines: Sequence[str], above: int, number: int) -> tuple[int, int]:
    """How many lines from `number` on are those from `above` on, and their characters; at most `_MOST_REPEATED`."""
    length = characters = 0
    while length < _MOST_REPEATED and above + length < number and number + length < len(lines):
        line = lines[number + length].strip()
        if line != lines[above + length].strip():
            break
        length += 1
        characters += len(line)
    return length, characters
