"""Characters that nobody sees: zero-width ones and Unicode tags, which carry text past a reader (P3)."""

from __future__ import annotations

import re

# Soft hyphen, combining grapheme joiner, Hangul and Khmer fillers, zero-width characters, word joiner and invisible
# operators, deprecated format characters, BOM, variation selectors 17 and up, tags.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e0fff]+"
)
# Where a joiner is part of writing: Arabic, Syriac, Indic, Mongolian letters, and emoji sequences.
_JOINED = re.compile(
    "[\u0590-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufeff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
)
# Variation selectors where they select nothing: several in a row carry bytes (0 to 15, then 16 to 255).
_CARRIERS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|(?<=[A-Za-z])[\ufe00-\ufe0f]")
_LEAST_CARRIED = 4  # bytes that are looked at
_FLAGS = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{2,7}\U000e007f")  # the flags of England, Scotland, Wales, ...
# Text spelled out with something invisible between the letters, so that no filter finds its words.
_SPELLED = re.compile(
    "(?:[^\n\u00ad\u200b-\u200d\u2060-\u2064\ufeff]{1,2}[\u00ad\u200b-\u200d\u2060-\u2064\ufeff]+){6,}"
    "[^\\s\u00ad\u200b-\u200d\u2060-\u2064\ufeff]{0,2}"
)


def without_invisible(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` without invisible characters, and what they hid: text written in tags, words cut up by them.

    Joiners stay where a script or an emoji needs them. Linear time.
    """
    if text.isascii():
        return text, ()
    hidden: list[str] = []
    if _CARRIERS.search(text):
        text = _CARRIERS.sub(lambda match: _carried(match.group(), hidden), text)
    if not _INVISIBLE.search(text):
        return text, tuple(hidden)
    if len(text) < 5_000_000:
        text = _without_spelled(text, hidden)
    flags = {match.start() for match in _FLAGS.finditer(text)}
    pieces: list[str] = []
    position = 0
    for match in _INVISIBLE.finditer(text):
        if match.start() - 1 in flags or _belongs(text, match):
            continue
        pieces.append(text[position : match.start()])
        position = match.end()
        tagged = "".join(chr(ord(letter) - 0xE0000) for letter in match.group() if 0xE0020 <= ord(letter) <= 0xE007E)
        if tagged.strip():
            hidden.append(tagged)
    pieces.append(text[position:])
    return "".join(pieces), tuple(hidden)


def _carried(selectors: str, hidden: list[str]) -> str:
    """Nothing, for selectors that nobody sees; what their bytes say goes to `hidden`."""
    data = bytes(code - 0xFE00 if code < 0xFE10 else (code - 0xE0100 + 16) & 0xFF for code in map(ord, selectors))
    said = data.decode("utf-8", "replace")
    if len(data) >= _LEAST_CARRIED and any(letter.isalnum() for letter in said):
        hidden.append(said)
    return ""


def _without_spelled(text: str, hidden: list[str]) -> str:
    """`text` without what is spelled out letter by letter, which goes to `hidden`."""

    def take(match: re.Match[str]) -> str:
        plain = _INVISIBLE.sub("", match.group())
        letters = sum(letter.isalnum() for letter in plain)
        if letters < 5 or all(_JOINED.match(letter) for letter in plain if not letter.isspace()):
            return match.group()
        hidden.append(plain.strip())
        return " "

    return _SPELLED.sub(take, text)


def _belongs(text: str, match: re.Match[str]) -> bool:
    """Whether a single joiner stands between letters or pictures that it joins."""
    if match.group() not in ("\u200c", "\u200d"):
        return False
    before, after = text[max(match.start() - 1, 0) : match.start()], text[match.end() : match.end() + 1]
    return bool(before and after and _JOINED.match(before) and _JOINED.match(after))
