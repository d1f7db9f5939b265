"""CSS as text: comments, strings, escapes, blocks and declarations (CSS Syntax 3, CSS Nesting 1), in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = "\0"
_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)|<!--|-->"""
    r"""|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?"""
    r"""|(?<=url\()[^"'()]+"""
    r"""|\\[0-9a-f]{1,6}[ \t\n\r\f]?|\\[^\n]""",
    re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n\r\f]?|(.))", re.DOTALL)
# What a string or an escape says cannot end a block or a declaration: its punctuation is kept apart until it is read.
_APART = {code: 0xE000 + code for code in range(1, 128) if not chr(code).isalnum() and chr(code) not in "-_"}
_TOGETHER = {apart: code for code, apart in _APART.items()}
_BRACE = re.compile(r"([{}])")
_IMPORTANT = re.compile(r"!\s*important\s*\Z", re.IGNORECASE)
_LONGEST_NESTED = 2_000  # characters of the selectors of one nested rule
_NARROWER = re.compile(r"(min|max)-(?:device-)?width\s*:\s*([\d.]+)\s*(em|rem)?")
_RANGE = re.compile(r"width\s*(<|>)=?\s*([\d.]+)\s*(em|rem)?")
_SCREEN = 1024  # pixels
_OTHER_MEDIUM = re.compile(
    r"\b(?:print|speech|aural|braille|handheld|projection|tty|tv|embossed)\b|\bdark\b|\bportrait\b|not all"
    r"|-webkit-min-device-pixel-ratio|hover|-ms-high-contrast|forced-colors:\s*active|prefers-contrast"
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `name: value`, both in lower case but for custom properties."""

    name: str
    value: str
    important: bool = False


def clean(css: str) -> str:
    """`css` without comments and escapes; the punctuation inside strings is set apart (`plain` puts it back)."""
    return _TOKEN.sub(_cleaned, css)


def plain(text: str) -> str:
    """What a name or string of cleaned CSS says."""
    return text if text.isascii() else text.translate(_TOGETHER)


def _cleaned(match: re.Match[str]) -> str:
    token = match.group()
    if token.startswith(("/*", "<!--", "-->")):
        return _COMMENT
    if token.startswith(('"', "'")):
        closed = len(token) > 1 and token.endswith(token[0])
        inner = token[1:-1] if closed else token[1:]
        return f'"{_ESCAPE.sub(_unescaped, inner).translate(_APART)}"'
    if token.startswith("\\"):
        return _ESCAPE.sub(_unescaped, token).translate(_APART)
    return token.translate(_APART)


def _unescaped(match: re.Match[str]) -> str:
    digits, other = match.groups()
    if not digits:
        return str(other)
    code = int(digits, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def declarations(css: str) -> tuple[Declaration, ...]:
    """The declarations of a cleaned block or style attribute, in order."""
    found: list[Declaration] = []
    for piece in css.split(";"):
        name, colon, value = piece.partition(":")
        name, value = name.strip(" \t\n\r\f\0"), value.replace(_COMMENT, " ").strip()
        if not colon or not name or _COMMENT in name:
            continue
        plainly = _IMPORTANT.sub("", value)
        name = name if name.startswith("--") else name.lower()
        found.append(Declaration(name, plainly.strip().lower(), plainly != value))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Block:
    """An open block: whose declarations stand in it, and whether its medium is ours."""

    selectors: str
    applies: bool

    def inner(self, prelude: str) -> _Block:
        """The block that `prelude` opens inside this one."""
        prelude = prelude.replace(_COMMENT, "").strip()
        if prelude.startswith("@"):
            return _Block(self.selectors, self.applies and medium_holds(prelude))
        return _Block(_nested(self.selectors, prelude), self.applies)

    def says(self, text: str) -> Iterator[tuple[str, str]]:
        """The declarations in `text`, if this block is a rule that holds."""
        if self.applies and self.selectors and ":" in text:
            yield self.selectors, text


def rules(css: str) -> Iterator[tuple[str, str]]:
    """Each rule for a screen of 1024 pixels in light colours: its list of selectors and its declarations, cleaned."""
    stack = [_Block("", True)]
    pending = ""
    for piece in _BRACE.split(clean(css)):
        if piece == "{":
            own, _, prelude = pending.rpartition(";")
            yield from stack[-1].says(own)
            stack.append(stack[-1].inner(prelude))
            pending = ""
        elif piece == "}" and len(stack) > 1:
            yield from stack.pop().says(pending)
            pending = ""
        elif piece == "}":
            pending = "}"  # a brace that closes nothing spoils the selector after it
        else:
            pending += piece
    yield from stack[-1].says(pending)


def _nested(outer: str, inner: str) -> str:
    """The selectors of a rule inside another."""
    if not outer:
        return inner
    if (outer.count(",") + 1) * (inner.count(",") + 1) * (len(outer) + len(inner)) > _LONGEST_NESTED:
        return ":too-long"  # nobody can read this selector, and so it is said
    joined = []
    for first in split_list(outer):
        for second in split_list(inner):
            joined.append(second.replace("&", first) if "&" in second else f"{first} {second}")
    return ",".join(joined)


def split_list(selectors: str) -> list[str]:
    """The selectors of a list: commas inside parentheses and brackets do not divide."""
    if "(" not in selectors and "[" not in selectors:
        return [selector.strip() for selector in selectors.split(",")]
    found, depth, start = [], 0, 0
    for position, letter in enumerate(selectors):
        if letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and depth <= 0:
            found.append(selectors[start:position].strip())
            start = position + 1
    return [*found, selectors[start:].strip()]


def medium_holds(rule: str) -> bool:
    """Whether the block of an at-rule holds for a screen of 1024 pixels in light colours."""
    rule = rule.lower()
    if not rule.startswith("@media"):
        return rule.startswith(("@supports", "@layer")) and not rule.startswith("@supports not")
    return any(_query_holds(query.strip()) for query in rule.removeprefix("@media").split(","))


def _query_holds(query: str) -> bool:
    if query.startswith("not ") and "not all" not in query:
        return not _features_hold(query.removeprefix("not "))
    return _features_hold(query)


def _features_hold(query: str) -> bool:
    if _OTHER_MEDIUM.search(query):
        return False
    bounds = [(">" if side == "min" else "<", number, unit) for side, number, unit in _NARROWER.findall(query)]
    for side, number, unit in [*bounds, *_RANGE.findall(query)]:
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", number):
            return False
        width = float(number) * (16 if unit else 1)
        if (side == ">" and width > _SCREEN) or (side == "<" and width < _SCREEN):
            return False
    return True
