"""What CSS does to the visibility of text: the few properties that can hide it, and their inheritance.

No rendering: each rule is one that a person's mail program would obey. What cannot be decided counts as visible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import hypot

from mailassist.mail.css_properties import FONT_SIZES
from mailassist.mail.css_values import BLACK, WHITE, Color, color, colors_of, pixels, words_of

_NEAR = 24  # two colours whose channels differ by no more cannot be told apart by a reader
_SMALLEST = 3.0  # pixels; smaller letters cannot be read
_THINNEST = 2.0  # pixels; what is cut off to that shows no letter
_FAR = 400.0  # pixels; so far to the left or top is off the screen
_PAGE = 600.0  # pixels; what a percentage of a box's place refers to
_TIGHT, _WIDE = -0.4, 10.0  # letter-spacing by font size: letters upon each other, one letter a line
_FAINTEST = 0.1  # opacity
_SCALE = re.compile(r"scale(?:x|y|z|3d)?\(([^()]*)\)")
_TRANSLATE = re.compile(r"translate(?:x|y|z|3d)?\(([^()]*)")
_MATRIX = re.compile(r"matrix\(([^()]*)\)")
_ON_EDGE = re.compile(r"rotate[xy]\(\s*-?(?:90|270)deg\s*\)|rotate[xy]\(\s*-?0?\.[27]5turn\s*\)")
_BLUR = re.compile(r"blur\(([^()]*)\)")
_BEYOND = re.compile(
    r"(?:[1-9]\d\d+)(?:\.\d+)?[sld]?v[wh]|(?:[2-9]\d\d|\d{4,})(?:\.\d+)?%"
)  # right of the page, or below
_MOVING = ("text-indent", "margin-left", "margin-right", "margin-top", "padding-left", "padding-top")
_PLACES = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}  # of four sides in fewer values
_UNSEEN_DISPLAYS = frozenset({"none", "table-column", "table-column-group"})


@dataclass(frozen=True, slots=True)
class Style:
    """What text inherits, as far as its visibility depends on it."""

    shown: bool = True  # no box around it is hidden
    visible: bool = True  # CSS visibility, which a child can switch on again
    font_size: float = 16.0
    color: Color | None = BLACK  # None: transparent
    background: Color | None = WHITE  # None: cannot be known (an image, a gradient)
    keeps_space: bool = False  # white-space: pre
    scale: float = 1.0  # of all that is around it
    opacity: float = 1.0
    squeezed: bool = False  # the letters stand upon each other, or far apart
    struck: bool = False  # crossed out
    hides: bool = field(init=False, default=False)  # a person does not see text in this style

    def __post_init__(self) -> None:
        """See whether text in this style is seen."""
        object.__setattr__(self, "hides", self._hides())

    def _hides(self) -> bool:
        if (
            not (self.shown and self.visible)
            or self.squeezed
            or self.font_size * self.scale < _SMALLEST
            or self.color is None
        ):
            return True
        if self.background is None:
            return False
        return max(abs(a - b) for a, b in zip(self.color, self.background, strict=True)) <= _NEAR


def styled(base: Style, rules: Mapping[str, str]) -> Style:
    """`base` changed by an element's own longhand properties (`css_properties.expand`)."""
    opacity = base.opacity * _share(rules.get("opacity", ""))
    visible = base.visible
    if rules.get("visibility"):
        visible = rules["visibility"] == "visible"
    size = _font_size(base.font_size, rules.get("font-size", ""))
    return Style(
        base.shown and opacity >= _FAINTEST and not _box_hidden(rules),
        visible,
        size,
        _text_color(base.color, rules),
        _background(base, rules),
        rules["white-space"].startswith("pre") if rules.get("white-space") else base.keeps_space,
        base.scale * _scale(rules),
        opacity,
        _squeezed(size, rules["letter-spacing"]) if rules.get("letter-spacing") else base.squeezed,
        base.struck or "line-through" in rules.get("text-decoration-line", ""),
    )


def hidden_box(style: Style) -> Style:
    """`style` for an element that is not shown whatever CSS says."""
    return replace(style, shown=False)


def _share(value: str) -> float:
    """A number or percentage as a share of one."""
    share = pixels(value, 1.0) if value else None
    return 1.0 if share is None else min(max(share, 0.0), 1.0)


def _font_size(inherited: float, value: str) -> float:
    if not value:
        return inherited
    if value in FONT_SIZES:
        return FONT_SIZES[value]
    if value in ("smaller", "larger"):
        return inherited * (1.2 if value == "larger" else 5 / 6)
    size = pixels(value, inherited)
    return inherited if size is None else size


def _squeezed(size: float, spacing: str) -> bool:
    space = pixels(spacing, size)
    return space is not None and not _TIGHT * size < space < _WIDE * max(size, 1.0)


def _text_color(inherited: Color | None, rules: Mapping[str, str]) -> Color | None:
    found = color(rules.get("-webkit-text-fill-color") or rules.get("color", ""))
    return inherited if isinstance(found, str) else found


def _background(base: Style, rules: Mapping[str, str]) -> Color | None:
    """What lies behind the text; mail programs show no images before they are asked, and the colour then."""
    value = rules.get("background-color", "")
    if value == "currentcolor":
        return base.color
    found = color(value)
    if isinstance(found, tuple):
        return found
    image = rules.get("background-image", "none")
    if image in ("", "none"):
        return base.background
    colors = colors_of(image) if "gradient(" in image else []
    if not colors or any(one != colors[0] for one in colors):
        return None
    return colors[0] or base.background


def _box_hidden(rules: Mapping[str, str]) -> bool:
    """Whether an element's box is not drawn, or drawn where nobody looks."""
    get = rules.get
    if get("display") in _UNSEEN_DISPLAYS or get("content-visibility") == "hidden":
        return True
    return _filtered(get("filter", "")[:200]) or _masked(rules) or _clipped(rules) or _off_screen(rules)


def _filtered(value: str) -> bool:
    if not value:
        return False
    faded = re.search(r"(?:opacity|contrast)\(\s*([\d.]+%?)\s*\)", value)
    if faded and _share(faded[1]) < _FAINTEST:
        return True
    blurred = _BLUR.search(value)
    return bool(blurred and (pixels(blurred[1]) or 0.0) >= 8)


def _masked(rules: Mapping[str, str]) -> bool:
    """Whether a mask lets nothing through."""
    mask = rules.get("mask-image", "")
    colors = colors_of(mask) if "gradient(" in mask else []
    return bool(colors) and all(one is None for one in colors)


def _clipped(rules: Mapping[str, str]) -> bool:
    get = rules.get
    for axis, side in (("x", "width"), ("y", "height")):
        if get(f"overflow-{axis}", "").startswith(("hidden", "clip", "auto", "scroll")):
            for name in (f"max-{side}", side):
                size = pixels(rules[name], 1000.0) if name in rules else None
                if size is not None and size <= _THINNEST:
                    return True
    return _empty_rectangle(get("clip", "")) or _empty_path(get("clip-path", ""))


def _empty_rectangle(clip: str) -> bool:
    """Whether `clip: rect(top, right, bottom, left)` leaves nothing (CSS Masking 1, 6)."""
    sides = [pixels(word) for word in words_of(clip[5:-1])] if clip.startswith("rect(") else []
    if len(sides) != 4:
        return False
    top, right, bottom, left = sides
    flat = top is not None and bottom is not None and bottom - top <= _THINNEST
    return flat or (left is not None and right is not None and right - left <= _THINNEST)


def _empty_path(path: str) -> bool:
    """Whether a clip-path leaves nothing (CSS Masking 1, 5)."""
    kind, _, inner = path.partition("(")
    if kind == "inset":
        words = words_of(inner.partition("round")[0].rstrip(")"))
        sides = [pixels(word, _PAGE) or 0.0 for word in words][:4]
        if not sides:
            return False
        top, right, bottom, left = (sides[place] for place in _PLACES[len(sides)])
        return top + bottom >= _PAGE or left + right >= _PAGE
    if kind in ("circle", "ellipse"):
        return any(pixels(word) == 0 for word in words_of(inner.partition(" at ")[0].rstrip(")")))
    if kind == "polygon":
        points = [words_of(point) for point in inner.rstrip(")").split(",")]
        return any(len({point[axis] for point in points if len(point) == 2}) == 1 for axis in (0, 1))
    return kind == "path" and len(re.findall(r"\d+", inner)) < 6


def _off_screen(rules: Mapping[str, str]) -> bool:
    placed = rules.get("position") in ("absolute", "fixed", "relative", "sticky")
    for name in ("left", "top", "right", "bottom"):
        if placed and name in rules and (_far(rules[name]) or _BEYOND.fullmatch(rules[name])):
            return True
    if any(_far(rules[name].partition(" ")[0]) for name in _MOVING if name in rules):
        return True
    if _beside(rules):
        return True
    moved = _TRANSLATE.findall(rules.get("transform", ""))
    moved.append(rules.get("translate", "").replace(" ", ","))
    moved += [",".join(parts.split(",")[4:6]) for parts in _MATRIX.findall(rules.get("transform", ""))]
    return any(_far(part) for parts in moved[:8] for part in parts.split(","))


def _beside(rules: Mapping[str, str]) -> bool:
    """Whether a line begins where its box, which shows nothing else, has ended."""
    indent = rules.get("text-indent", "")
    cut = rules.get("overflow-x", "").startswith(("hidden", "clip"))
    return cut and indent.endswith("%") and (pixels(indent, 100.0) or 0.0) >= 100


def _far(value: str) -> bool:
    size = pixels(value, _PAGE if value.endswith("%") else 16.0)
    return size is not None and (size <= -_FAR or size >= 10 * _FAR)


def _scale(rules: Mapping[str, str]) -> float:
    """By how much an element is made smaller, in the direction in which it is most; what makes larger is left out."""
    transform = rules.get("transform", "")
    if _ON_EDGE.search(transform):
        return 0.0
    factors = [part for parts in _SCALE.findall(transform)[:4] for part in parts.split(",")]
    for matrix in _MATRIX.findall(transform)[:4]:
        a, b, c, d = ([pixels(part, 1.0) or 0.0 for part in matrix.split(",")] + [0.0] * 4)[:4]
        factors += [str(round(hypot(a, b), 4)), str(round(hypot(c, d), 4))]
    factors += rules.get("scale", "").split()[:3]
    shares = [abs(share) for share in (pixels(factor, 1.0) for factor in factors) if share is not None]
    zoom = pixels(rules.get("zoom", ""), 1.0)
    if zoom:  # 0 means nothing (CSS Viewport 1, 4)
        shares.append(abs(zoom))
    return min(1.0, *shares) if shares else 1.0
