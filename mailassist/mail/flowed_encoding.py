"""Writing text/plain; format=flowed (RFC 3676): paragraphs that every screen wraps, quotes that stay quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailassist.mail.invisible import without_invisible

WIDTH = 72  # characters a line, RFC 3676, 4.2: 78 at most with the quote marks
SIGNATURE_SEPARATOR = "-- "
_QUOTE = re.compile(r"(?:> ?)+")
# C0 but newline and tab, DEL, C1, bidirectional controls, line and paragraph separator, BOM, tags, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """`text` with "\\n" line ends, quotes as ">> text", nothing that controls or hides, no space at line ends."""
    seen, _hidden = without_invisible(text)
    unified = re.sub("\r\n?|\x85|\u2028", "\n", seen).replace("\u2029", "\n\n")
    lines = _CONTROL.sub("", unified).split("\n")
    return "\n".join(_tidy(line) if line != SIGNATURE_SEPARATOR else line for line in lines)


def _tidy(line: str) -> str:
    marks, text = _parted(line.rstrip())
    return f"{marks} {text}" if marks and text else marks + text


def _parted(line: str) -> tuple[str, str]:
    """The quote marks of a line, without spaces between, and the rest."""
    found = _QUOTE.match(line)
    return (">" * found.group().count(">"), line[found.end() :]) if found else ("", line)


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
    prefix, text = _parted(line)
    pieces = _wrapped(text.rstrip(" "), max(WIDTH - len(prefix) - 1, 20))
    for number, piece in enumerate(pieces):
        soft = " " if number < len(pieces) - 1 else ""
        # A quoted line is stuffed too: "> text" is depth one and the text (RFC 3676, 4.4).
        yield (f"{prefix} {piece}" if piece else prefix) + soft if prefix else _stuffed(piece) + soft


def _wrapped(text: str, width: int) -> list[str]:
    """`text` cut at spaces, so that joining the pieces by a space gives `text` again."""
    pieces: list[str] = []
    rest = text
    while len(rest) > width:
        cut = rest.rfind(" ", 0, width + 1)
        if cut < 0:
            cut = rest.find(" ", width)  # behind a word that is longer than a line
        if cut < 0:
            break
        pieces.append(rest[:cut])
        rest = rest[cut + 1 :]
    pieces.append(rest)
    # Runs of spaces or tabs at a cut would be lost, and "--" with its soft break would be a signature separator:
    # such a paragraph stays one long line.
    odd = any(piece.endswith((" ", "\t")) or piece in ("", "--") for piece in pieces[:-1])
    odd = odd or any(piece.startswith((" ", "\t")) or not piece for piece in pieces[1:])
    return [text] if odd else pieces


def _stuffed(line: str) -> str:
    """RFC 3676, 4.4: a space before lines that begin with a space, ">" or "From "."""
    return f" {line}" if line.startswith((" ", ">", "From ")) else line
