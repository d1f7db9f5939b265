"""The one type of text that may reach a terminal, a log or a command's output.

Textual and Rich pass ESC, C1 and bidirectional controls through to the terminal, where they move the cursor, set the
clipboard or swap words. `SafeText` cannot hold them: building one makes every such character visible instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# C0 but newline and tab, DEL, C1, bidirectional controls (UAX #9), line/paragraph separators, BOM, lone surrogates,
# interlinear annotation, deprecated format characters and Unicode tag characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def _visible(match: re.Match[str]) -> str:
    """A picture of one unsafe character: Unicode's control pictures where there is one, else its number."""
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\u27e8{code:X}\u27e9"


class SafeText(str):
    """Text without any character that a terminal would obey; newline and tab stay.

    `SafeText(value)` replaces what is unsafe by a visible picture (ESC becomes "␛", U+009B becomes "⟨9B⟩"). Operations
    of `str` give a plain `str` back, so that only text that passed through here type-checks where `SafeText` is asked.
    """

    __slots__ = ()

    def __new__(cls, value: object = "") -> SafeText:
        """`value`: anything; its `str` is made safe. CRLF becomes a newline."""
        text = str(value).replace("\r\n", "\n")
        return super().__new__(cls, _UNSAFE.sub(_visible, text))

    def line(self) -> SafeText:
        """The same on one line: each run of white space folded to one space."""
        return SafeText(" ".join(self.split()))

    @staticmethod
    def joined(separator: str, parts: Iterable[object]) -> SafeText:
        """`parts` made safe and joined."""
        return SafeText(separator.join(str(part) for part in parts))
