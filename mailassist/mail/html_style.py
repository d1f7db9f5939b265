"""What CSS does to the visibility of text: the few properties that can hide it, and their inheritance.

No rendering: each rule is one that a person's mail program would obey. What cannot be decided counts as visible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mailassist.mail.css_properties import FONT_SIZES
from mailassist.mail.css_values import BLACK, WHITE, Color, color, pixels

_NEAR = 24  # two colours whose channels differ by no more cannot be told apart by a reader
_SMALLEST = 2.0  # pixels; smaller letters cannot be read
_FAR = 400.0  # pixels; so far to the left or top is off the screen
_FAINTEST = 0.1  # opacity
_SCALE = re.compile(r"scale(?:x|y|z|3d)?\(([^()]*)\)")
_TRANSLATE = re.compile(r"translate(?:x|y|z|3d)?\(([^()]*)")


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

    @property
    def hides(self) -> bool:
        """Whether a person does not see text in this style."""
        if not (self.shown and self.visible) or self.font_size * self.scale < _SMALLEST or self.color is None:
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
    return Style(
        base.shown and opacity >= _FAINTEST and not _box_hidden(rules),
        visible,
        _font_size(base.font_size, rules.get("font-size", "")),
        _text_color(base.color, rules),
        _background(base, rules),
        rules["white-space"].startswith("pre") if rules.get("white-space") else base.keeps_space,
        base.scale * _scale(rules),
        opacity,
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
    return None if rules.get("background-image", "none") not in ("", "none") else base.background


def _box_hidden(rules: Mapping[str, str]) -> bool:
    """Whether an element's box is not drawn, or drawn where nobody looks."""
    get = rules.get
    if get("display") == "none" or get("content-visibility") == "hidden":
        return True
    faded = re.search(r"opacity\(\s*([\d.]+%?)\s*\)", get("filter", "")[:200])
    if faded and _share(faded[1]) < _FAINTEST:
        return True
    return _clipped(rules) or _off_screen(rules)


def _clipped(rules: Mapping[str, str]) -> bool:
    get = rules.get
    for axis, side in (("x", "width"), ("y", "height")):
        if get(f"overflow-{axis}", "").startswith(("hidden", "clip")):
            for name in (f"max-{side}", side):
                size = pixels(rules[name], 1000.0) if name in rules else None
                if size is not None and size <= _SMALLEST:
                    return True
    clip = get("clip", "").replace(" ", "")
    if clip.startswith("rect(") and not re.search(r"[2-9]\d|\d{3}|auto", clip):
        return True
    path = get("clip-path", "").replace(" ", "")
    inset = re.match(r"inset\((\d+)%", path)
    return bool(inset and int(inset[1][:9]) >= 50) or path.startswith(("circle(0", "ellipse(0", "polygon(00"))


def _off_screen(rules: Mapping[str, str]) -> bool:
    placed = rules.get("position") in ("absolute", "fixed", "relative", "sticky")
    for name in ("left", "top", "right", "bottom"):
        if placed and name in rules and _far(rules[name]):
            return True
    if any(
        _far(rules[name].partition(" ")[0]) for name in ("text-indent", "margin-left", "margin-top") if name in rules
    ):
        return True
    moved = _TRANSLATE.findall(rules.get("transform", ""))
    return any(_far(part) for parts in moved[:4] for part in parts.split(","))


def _far(value: str) -> bool:
    size = pixels(value)
    return size is not None and (size <= -_FAR or size >= 10 * _FAR)


def _scale(rules: Mapping[str, str]) -> float:
    """By how much an element is made smaller, in the direction in which it is most; what makes larger is left out."""
    factors = [part for parts in _SCALE.findall(rules.get("transform", ""))[:4] for part in parts.split(",")]
    factors += rules.get("scale", "").split()[:3]
    shares = [abs(share) for share in (pixels(factor, 1.0) for factor in factors) if share is not None]
    zoom = pixels(rules.get("zoom", ""), 1.0)
    if zoom:  # 0 means nothing (CSS Viewport 1, 4)
        shares.append(abs(zoom))
    return min(1.0, *shares) if shares else 1.0
