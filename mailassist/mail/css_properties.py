"""CSS properties that can hide text: shorthands taken apart, invalid values dropped, var() put in.

A declaration that a browser drops must be dropped here too, or `display:none; display:bogus` would show what it hides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from mailassist.mail.css_values import color, pixels

FONT_SIZES = {
    "xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0,
    "xxx-large": 48.0,
}  # fmt: skip
_DISPLAYS = frozenset({
    "none", "block", "inline", "inline-block", "flow-root", "list-item", "contents", "run-in", "flex", "inline-flex",
    "grid", "inline-grid", "table", "inline-table", "table-row", "table-cell", "table-caption", "table-column",
    "table-row-group", "table-header-group", "table-footer-group", "table-column-group", "ruby", "ruby-base",
    "ruby-text", "math", "-webkit-box", "-webkit-inline-box", "-webkit-flex", "-webkit-inline-flex",
})  # fmt: skip
_FONT_STYLES = frozenset({
    "normal", "italic", "oblique", "bold", "bolder", "lighter", "small-caps", "condensed", "expanded",
    "semi-condensed", "semi-expanded",
})  # fmt: skip
_SIDES = ("top", "right", "bottom", "left")
_SHORTHANDS: dict[str, tuple[str, ...]] = {
    "font": ("font-size",),
    "background": ("background-color", "background-image"),
    "overflow": ("overflow-x", "overflow-y"),
    "margin": tuple(f"margin-{side}" for side in _SIDES),
    "padding": tuple(f"padding-{side}" for side in _SIDES),
    "inset": _SIDES,
    "text-decoration": ("text-decoration-line",),
}
_ALIASES = {
    f"{prefix}{name}": name
    for prefix in ("-webkit-", "-moz-", "-ms-", "-o-")
    for name in ("transform", "filter", "clip-path", "opacity", "mask-image")
} | {  # as they are where lines run from left to right and from top to bottom
    "block-size": "height", "max-block-size": "max-height", "inline-size": "width", "max-inline-size": "max-width",
    "inset-inline-start": "left", "inset-inline-end": "right", "inset-block-start": "top", "inset-block-end": "bottom",
    "margin-inline-start": "margin-left", "margin-block-start": "margin-top", "padding-inline-start": "padding-left",
    "padding-block-start": "padding-top", "mask": "mask-image", "-webkit-mask": "mask-image",
}  # fmt: skip
_INITIAL = {
    "display": "inline", "visibility": "visible", "font-size": "medium", "color": "canvastext", "opacity": "1",
    "background-color": "transparent", "background-image": "none",
}  # fmt: skip
_PARTS = re.compile(r"(?:[^\s()]|\((?:[^()]|\([^()]*\))*\))+")
_VARIABLE = re.compile(r"var\(\s*(--[^\s,()]+)\s*(?:,((?:[^()]|\([^()]*\))*))?\)")
_LONGEST_VALUE = 2_000
_LONGEST_FILLED = 300  # characters of a value with var()
_MOST_VARIABLES = 8  # in one value


def _length(value: str) -> bool:
    return value == "auto" or pixels(value) is not None


def _size(value: str) -> bool:
    size = pixels(value)
    return value in ("auto", "none", "min-content", "max-content", "fit-content", "-webkit-fill-available") or (
        size is not None and size >= 0
    )


def _font_size(value: str) -> bool:
    size = pixels(value)
    return value in FONT_SIZES or value in ("smaller", "larger") or (size is not None and size >= 0)


def _color(value: str) -> bool:
    return value == "currentcolor" or color(value) != ""


def _anything(value: str) -> bool:
    return bool(value)


_VALID: dict[str, Callable[[str], bool]] = {
    "display": lambda value: value in _DISPLAYS or (" " in value and "none" not in value.split()),
    "visibility": lambda value: value in ("visible", "hidden", "collapse"),
    "content-visibility": lambda value: value in ("visible", "hidden", "auto"),
    "opacity": lambda value: pixels(value) is not None,
    "zoom": lambda value: value in ("normal", "reset") or pixels(value) is not None,
    "font-size": _font_size,
    "color": _color,
    "-webkit-text-fill-color": _color,
    "background-color": _color,
    "position": lambda value: value in ("static", "relative", "absolute", "fixed", "sticky", "-webkit-sticky"),
    "text-indent": lambda value: _length(value.partition(" ")[0]),
    "white-space": _anything,
    "scale": _anything,
    "transform": _anything,
    "filter": _anything,
    "clip": _anything,
    "clip-path": _anything,
    "translate": _anything,
    "text-decoration-line": _anything,
    "mask-image": _anything,
    "mso-hide": _anything,
    "letter-spacing": lambda value: value == "normal" or pixels(value) is not None,
    "background-image": _anything,
} | {
    **{f"{most}{side}": _size for side in ("width", "height") for most in ("", "max-")},
    **{f"overflow-{axis}": lambda value: value in ("visible", "hidden", "clip", "scroll", "auto") for axis in "xy"},
    **{f"{outside}{side}": _length for side in _SIDES for outside in ("", "margin-", "padding-")},
}


def matters(name: str) -> bool:
    """Whether a property can hide text, or say how others do."""
    return name in _VALID or name in _SHORTHANDS or name in _ALIASES or name.startswith("--")


def expand(name: str, value: str) -> Mapping[str, str]:
    """The longhand properties that one declaration sets; none where a browser would drop it.

    A value of "" stands for what is inherited, or initial where nothing is. Values with var() stay as
    "name:value" until the element is known (`with_variables`). Custom properties stay as they are.
    """
    if name.startswith("--"):
        return {name: value} if len(value) <= _LONGEST_VALUE else {}
    if len(value) > _LONGEST_VALUE:
        return {}
    return _expanded(name, value)


@lru_cache(maxsize=1024)
def _expanded(name: str, value: str) -> Mapping[str, str]:
    name = _ALIASES.get(name, name)
    longhands = _SHORTHANDS.get(name, (name,))
    if "var(" in value:
        return dict.fromkeys(longhands, f"{name}:{value}")
    if value in ("inherit", "unset", "revert", "revert-layer"):
        return dict.fromkeys(longhands, "")
    if value == "initial":
        return {longhand: _INITIAL.get(longhand, "") for longhand in longhands}
    found = _TAKEN_APART[name](value) if name in _TAKEN_APART else {name: value}
    return {one: each for one, each in found.items() if _VALID[one](each)}


def _font(value: str) -> dict[str, str]:
    """The size in a `font`: what follows style and weight, and is followed by a family (CSS Fonts 4, 2.7)."""
    parts = _PARTS.findall(re.sub(r"\s*/\s*", "/", value))
    for place, part in enumerate(parts[:-1]):
        if part not in _FONT_STYLES and not re.fullmatch(r"[1-9]\d{0,3}", part):
            size = part.partition("/")[0] if "(" not in part else part
            return {"font-size": size}
        if place > 4:
            break
    return {}


def _background(value: str) -> dict[str, str]:
    parts = _PARTS.findall(value.replace(",", " , ") if "(" not in value else value)
    colors = [part for part in (part.strip(",") for part in parts) if _color(part)]
    images = [part for part in parts if part.startswith("url(") or "gradient(" in part or "image-set(" in part]
    image = "none" if not images else images[0] if len(images) == 1 else "url"
    return {"background-color": colors[-1] if colors else "transparent", "background-image": image}


def _overflow(value: str) -> dict[str, str]:
    parts = value.split()
    return {"overflow-x": parts[0], "overflow-y": parts[-1]} if 0 < len(parts) < 3 else {}


def _four(prefix: str) -> Callable[[str], dict[str, str]]:
    def taken_apart(value: str) -> dict[str, str]:
        parts = _PARTS.findall(value)
        if not 0 < len(parts) < 5:
            return {}
        places = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}[len(parts)]
        return {f"{prefix}{side}": parts[place] for side, place in zip(_SIDES, places, strict=True)}

    return taken_apart


_TAKEN_APART: dict[str, Callable[[str], dict[str, str]]] = {
    "font": _font,
    "background": _background,
    "overflow": _overflow,
    "margin": _four("margin-"),
    "padding": _four("padding-"),
    "inset": _four(""),
    "text-decoration": lambda value: {"text-decoration-line": value},
}


def with_variables(value: str, variables: Mapping[str, str], longhand: str) -> str:
    """What a value that `expand` left for later sets a `longhand` to (CSS Variables 1, 3); "" where it sets nothing."""
    name, _, value = value.partition(":")
    for _ in range(_MOST_VARIABLES):
        match = _VARIABLE.search(value) if len(value) <= _LONGEST_FILLED else None
        if match is None:
            break
        instead: str | None = match[2]
        known = variables.get(match[1], instead)
        if known is None:
            return ""
        value = f"{value[: match.start()]}{known}{value[match.end() :]}"
    return "" if "var(" in value else expand(name, value.strip()).get(longhand, "")
