"""Text from mail made fit to stand as data in a prompt."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

LONGEST_NAME = 60  # characters of an attachment's name
LONGEST_TEXT = 2_000_000  # characters of one message that are looked at for the prompt

# Everything that shows nothing: C0 but newline and tab, DEL, C1, bidirectional controls, zero-width characters but
# the joiners that scripts and emoji need, Unicode tags, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
# What chat templates of local models take for the end of a turn: their servers read special tokens in data, too.
_TURN = re.compile(
    r"<\|(?=[\w ]{1,40}\|?>?)|<(?=/?(?:s|bos|eos|start_of_turn|end_of_turn|SYS)>)|\[(?=/?INST\])|<(?=<SYS>>)"
)


def data_text(text: str, delimiter: str) -> str:
    """`text` without the delimiter (in any spelling of its digits), without invisible and turn-ending characters."""
    text = _INVISIBLE.sub("", text[:LONGEST_TEXT].replace("\r\n", "\n"))
    text = without(text, delimiter)
    text = _TURN.sub(lambda match: match.group() + " ", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<![ \t])[ \t]+\n", "\n", text)).strip()


def without(text: str, delimiter: str) -> str:
    """`text` without `delimiter`, also where only its removal, or the folding of other digits, would make it appear."""
    if not delimiter or (delimiter not in text and text.isascii()):
        return text
    # Digits of any script are as good as ASCII's to a reader of numbers; what stands between them may be a joiner.
    digits = "[\u200c\u200d]*".join(f"[{_alike(digit)}]" for digit in delimiter)
    pattern = re.compile(digits)
    while True:
        shorter = pattern.sub("", text)
        if shorter == text:
            return text
        text = shorter


def _alike(character: str) -> str:
    """A regular expression's set of the characters that mean the same digit, or the character itself."""
    return re.escape(character) + _digits().get(character, "")


@cache
def _digits() -> dict[str, str]:
    alike: dict[str, str] = {}
    for character in filter(str.isdigit, map(chr, range(0x80, 0x20000))):
        value = str(unicodedata.digit(character))
        alike[value] = alike.get(value, "") + character
    return alike


def file_name(name: str, delimiter: str) -> str:
    """What a prompt calls an attachment."""
    return one_line(data_text(name, delimiter), LONGEST_NAME)


def one_line(text: str, longest: int) -> str:
    """`text` on one line, cut to `longest` characters."""
    return " ".join(text.split())[:longest].strip()
