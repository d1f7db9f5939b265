"""Writing text/plain; format=flowed (RFC 3676): paragraphs that every screen wraps as it likes, quotes that stay quotes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

WIDTH = 72  # characters a line, RFC 3676, 4.2: 78 at most with the quote marks
SIGNATURE_SEPARATOR = "-- "
_QUOTE = re.compile(r"(?:> ?)+")
# C0 but newline and tab, DEL, C1, bidirectional controls, line and paragraph separator, BOM, tags, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """`text` with "\\n" line ends, without control characters and without white space at the ends of lines."""
    unified = re.sub("\r\n?|\x85|\u2028", "\n", text).replace("\u2029", "\n\n")
    lines = _CONTROL.sub("", unified).split("\n")
    return "\n".join(line.rstrip() if line != SIGNATURE_SEPARATOR else line for line in lines)


def encode(text: str) -> str:
    """`text`, one paragraph a line, as flowed lines with "\\n" ends; lines that begin with ">" are quotes."""
    return "\n".join(flowed for line in text.split("\n") for flowed in _lines(line))


def quote(text: str) -> str:
    """`text` one level deeper quoted: the form in which it goes into a body."""
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in text.split("\n"))


def _lines(line: str) -> Iterator[str]:
    """One paragraph as lines of at most WIDTH characters, all but the last ending in a space (a soft break)."""
    if line == SIGNATURE_SEPARATOR:
        yield line
        return
    marks = _QUOTE.match(line)
    depth = marks.group().count(">") if marks else 0
    text = line[marks.end() :] if marks else line
    prefix = ">" * depth
    pieces = _wrapped(text.rstrip(" "), max(WIDTH - depth - 1, 20))
    for number, piece in enumerate(pieces):
        soft = " " if number < len(pieces) - 1 else ""
        # A quoted line is stuffed too: "> text" is depth one and the text (RFC 3676, 4.4).
        yield (f"{prefix} {piece}" if piece else prefix) + soft if depth else _stuffed(piece) + soft


def _wrapped(text: str, width: int) -> list[str]:
    """`text` cut at spaces, so that joining the pieces by a space gives `text` again."""
    if len(text) <= width:
        return [text]
    wrapper = textwrap.TextWrapper(
        width=width, break_long_words=False, break_on_hyphens=False, expand_tabs=False, replace_whitespace=False
    )
    pieces = wrapper.wrap(text)
    # Runs of spaces or tabs at a cut would be lost: such a paragraph stays one long line.
    return pieces if " ".join(pieces) == text else [text]


def _stuffed(line: str) -> str:
    """RFC 3676, 4.4: a space before lines that begin with a space, ">" or "From "."""
    return f" {line}" if line.startswith((" ", ">", "From ")) else line
