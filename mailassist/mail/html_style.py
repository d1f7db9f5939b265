"""What CSS does to the visibility of text: the few properties that can hide it, and their inheritance.

No rendering: each rule is one that a person's mail program would obey. What cannot be decided counts as visible, but
for a rule of its own the caller is told (`Stylesheet.undecided`).
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

Color = tuple[int, int, int]
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)

_NAMED: dict[str, Color] = {
    "white": WHITE, "black": BLACK, "red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255),
    "yellow": (255, 255, 0), "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192),
    "maroon": (128, 0, 0), "navy": (0, 0, 128), "purple": (128, 0, 128), "teal": (0, 128, 128),
    "olive": (128, 128, 0), "lime": (0, 255, 0), "aqua": (0, 255, 255), "cyan": (0, 255, 255),
    "fuchsia": (255, 0, 255), "magenta": (255, 0, 255), "orange": (255, 165, 0), "pink": (255, 192, 203),
    "snow": (255, 250, 250), "ivory": (255, 255, 240), "ghostwhite": (248, 248, 255), "azure": (240, 255, 255),
    "whitesmoke": (245, 245, 245), "floralwhite": (255, 250, 240), "mintcream": (245, 255, 250),
    "honeydew": (240, 255, 240), "aliceblue": (240, 248, 255), "seashell": (255, 245, 238),
    "lightyellow": (255, 255, 224), "lavenderblush": (255, 240, 245), "linen": (250, 240, 230),
    "oldlace": (253, 245, 230), "beige": (245, 245, 220), "cornsilk": (255, 248, 220),
    "lightgray": (211, 211, 211), "lightgrey": (211, 211, 211), "gainsboro": (220, 220, 220),
    "darkgray": (169, 169, 169), "darkgrey": (169, 169, 169), "brown": (165, 42, 42), "gold": (255, 215, 0),
    "windowtext": BLACK, "window": WHITE, "canvas": WHITE, "canvastext": BLACK,
}  # fmt: skip
_NEAR = 24  # two colours whose channels differ by no more cannot be told apart by a reader
_SMALLEST = 2.0  # pixels; smaller letters cannot be read
_FAR = 400.0  # pixels; so far to the left or top is off the screen
_HIDING = re.compile(
    r"display|visib|opacity|font|color|background|position|left|top|indent|margin|transform|height|width|overflow"
    r"|clip|filter|text-fill|content-visibility",
    re.IGNORECASE,
)
_LENGTH = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(px|pt|em|rem|ex|ch|in|cm|mm|pc|vw|vh|%)?", re.IGNORECASE)
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "vw": 10.0, "vh": 8.0}
_SIZES = {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "smaller": 12.0}


@dataclass(frozen=True, slots=True)
class Style:
    """What text inherits, as far as its visibility depends on it."""

    shown: bool = True  # no box around it is hidden
    visible: bool = True  # CSS visibility, which a child can switch on again
    font_size: float = 16.0
    color: Color | None = BLACK  # None: transparent
    background: Color | None = WHITE  # None: cannot be known (an image, a gradient)
    keeps_space: bool = False  # white-space: pre

    @property
    def hides(self) -> bool:
        """Whether a person does not see text in this style."""
        if not (self.shown and self.visible) or self.font_size < _SMALLEST or self.color is None:
            return True
        if self.background is None:
            return False
        return max(abs(a - b) for a, b in zip(self.color, self.background, strict=True)) <= _NEAR


def declarations(css: str) -> dict[str, str]:
    """The declarations of a style attribute or rule: the last of a name wins, unless an earlier one is !important."""
    found: dict[str, str] = {}
    important: set[str] = set()
    for piece in css.split(";") if ";" in css else (css,):
        name, colon, value = piece.partition(":")
        if not colon:
            continue
        name, value = name.strip().lower(), value.strip().lower()
        if value.endswith("important") and "!" in value:
            value = value.rpartition("!")[0].strip()
            important.add(name)
        elif name in important:
            continue
        found[name] = value
    return found


def color(value: str) -> Color | str | None:
    """A CSS colour: its channels, None for transparent, "" for what this does not know."""
    value = value.strip().lower()
    if value == "transparent":
        return None
    if value.startswith("#"):
        return _hex(value[1:])
    if value.startswith(("rgb", "hsl")):
        return _function(value)
    return _NAMED.get(value, "")


def _hex(digits: str) -> Color | str | None:
    if not re.fullmatch(r"[0-9a-f]{3,8}", digits):
        return ""
    if len(digits) in (3, 4):
        digits = "".join(2 * digit for digit in digits)
    if len(digits) == 8 and int(digits[6:], 16) < 26:
        return None
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)) if len(digits) in (6, 8) else ""


def _function(value: str) -> Color | str | None:
    numbers = re.findall(r"(-?\d{1,4}(?:\.\d{1,6})?|\.\d{1,6})(%?)", value[:80])
    if len(numbers) < 3:
        return ""
    if len(numbers) > 3 and float(numbers[3][0]) / (100 if numbers[3][1] else 1) < 0.1:
        return None
    first, second, third = (float(number) for number, _ in numbers[:3])
    if value.startswith("hsl"):
        red, green, blue = colorsys.hls_to_rgb(first % 360 / 360, min(third, 100) / 100, min(second, 100) / 100)
        return round(red * 255), round(green * 255), round(blue * 255)
    scale = 2.55 if numbers[0][1] else 1.0
    return tuple(max(0, min(255, round(part * scale))) for part in (first, second, third))  # type: ignore[return-value]


def pixels(value: str, of: float = 16.0) -> float | None:
    """A CSS length in pixels, `of` being what em and % refer to; None where it is none."""
    match = _LENGTH.match(value)
    if match is None:
        return None
    number, unit = float(match.group(1)), (match.group(2) or "").lower()
    if unit == "%":
        return number * of / 100
    return number * _PIXELS.get(unit, of)


def styled(base: Style, rules: Mapping[str, str]) -> Style:
    """`base` changed by an element's own declarations."""
    shown = base.shown and not _box_hidden(rules)
    visible = base.visible
    if "visibility" in rules:
        visible = rules["visibility"] not in ("hidden", "collapse")
    return Style(
        shown,
        visible,
        _font_size(base.font_size, rules),
        _text_color(base.color, rules),
        _background(base.background, rules),
        rules["white-space"].startswith("pre") if "white-space" in rules else base.keeps_space,
    )


def _font_size(inherited: float, rules: Mapping[str, str]) -> float:
    value = rules.get("font-size", "")
    if not value and "font" in rules:
        match = re.search(r"(?:^|\s)([\d.]+(?:px|pt|em|rem|%))", rules["font"])
        value = match.group(1) if match else ""
    if not value:
        return inherited
    if value in _SIZES:
        return _SIZES[value]
    size = pixels(value, inherited or 16.0)
    return inherited if size is None else size


def _text_color(inherited: Color | None, rules: Mapping[str, str]) -> Color | None:
    value = rules.get("-webkit-text-fill-color") or rules.get("color", "")
    found = color(value) if value else ""
    return inherited if isinstance(found, str) else found


def _background(inherited: Color | None, rules: Mapping[str, str]) -> Color | None:
    background = inherited
    for name in ("background", "background-color"):
        if name not in rules:
            continue
        value = rules[name]
        found = color(value)
        if isinstance(found, tuple):
            background = found
            continue
        named = [part for part in map(color, re.findall(r"#[0-9a-f]+|rgba?\([^)]*\)|[a-z]+", value)) if part]
        if named and isinstance(named[0], tuple):
            background = named[0]
        elif "url(" in value or "gradient" in value:
            background = None
    if "background-image" in rules and rules["background-image"] != "none" and "background-color" not in rules:
        background = None
    return background


def _box_hidden(rules: Mapping[str, str]) -> bool:
    """Whether an element's box is not drawn, or drawn where nobody looks."""
    get = rules.get
    if get("display") == "none" or get("content-visibility") == "hidden":
        return True
    opacity = get("opacity", "")
    if opacity and (part := pixels(opacity, 1.0)) is not None and part < 0.1:
        return True
    if "opacity(0" in get("filter", "").replace(" ", ""):
        return True
    return _clipped(rules) or _off_screen(rules)


def _clipped(rules: Mapping[str, str]) -> bool:
    get = rules.get
    if get("overflow", get("overflow-y", "")).startswith(("hidden", "clip")):
        for name in ("max-height", "height", "max-width", "width"):
            size = pixels(rules[name]) if name in rules else None
            if size is not None and size <= _SMALLEST:
                return True
    clip = get("clip", "").replace(" ", "")
    if clip.startswith("rect(") and not re.search(r"[2-9]\d|\d{3}|auto", clip):
        return True
    path = get("clip-path", "").replace(" ", "")
    inset = re.match(r"inset\((\d+)%", path)
    return bool(inset and int(inset.group(1)) >= 50) or path.startswith(("circle(0", "ellipse(0", "polygon(00"))


def _off_screen(rules: Mapping[str, str]) -> bool:
    placed = rules.get("position") in ("absolute", "fixed", "relative", "sticky")
    for name in ("left", "top", "right", "bottom"):
        if placed and name in rules and _far(rules[name]):
            return True
    for name in ("text-indent", "margin-left", "margin-top", "margin"):
        if name in rules and any(_far(part) for part in rules[name].split()):
            return True
    transform = rules.get("transform", "").replace(" ", "")
    if re.search(r"scale[xy3d]*\(0(?:\.0+)?[,)]", transform):
        return True
    return any(
        _far(part) for part in re.findall(r"translate[xy3d]*\(([^)]*)", transform)[:4] for part in part.split(",")
    )


def _far(value: str) -> bool:
    size = pixels(value)
    return size is not None and (size <= -_FAR or size >= 10 * _FAR)


@dataclass(slots=True)
class Rule:
    """One rule of a stylesheet that touches visibility."""

    selector: str
    weight: tuple[int, int, int]
    rules: dict[str, str]
    order: int = 0


@dataclass(slots=True)
class Stylesheet:
    """The rules of all `<style>` elements that could hide or show text."""

    found: list[Rule] = field(default_factory=list)
    too_many: bool = False


_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"([{}])")
_MOST_RULES = 300


def stylesheet(css: str) -> Stylesheet:
    """Read CSS text: rules for a screen of 1024 pixels; other media are left out."""
    sheet = Stylesheet()
    applies = [True]
    selectors = ""
    for piece in _BRACE.split(_COMMENT.sub("", css)):
        if piece == "{":
            applies.append(applies[-1] and (not selectors.startswith("@") or _medium(selectors)))
        elif piece == "}":
            applies = applies[:-1] or [True]
        elif len(applies) > 1 and applies[-1] and selectors and not selectors.startswith("@") and _HIDING.search(piece):
            _add(sheet, selectors, declarations(piece))
            selectors = ""
        else:
            selectors = piece.rpartition(";")[2].strip()
    return sheet


def _add(sheet: Stylesheet, selectors: str, rules: dict[str, str]) -> None:
    for selector in selectors.split(","):
        selector = selector.strip()
        if not selector or selector.startswith("@") or len(selector) > 500:
            continue
        if len(sheet.found) >= _MOST_RULES:
            sheet.too_many = True
            return
        bare = re.sub(r":[a-z-]+", "", selector)
        weight = (bare.count("#"), bare.count(".") + bare.count("["), len(re.findall(r"(?:^|[\s>+~])[a-z]", bare)))
        sheet.found.append(Rule(selector, weight, rules, len(sheet.found)))


def _medium(query: str) -> bool:
    """Whether a @media (or other) block holds for a wide screen in light colours."""
    query = query.lower()
    if not query.startswith("@media"):
        return query.startswith(("@supports", "@layer"))
    if re.search(r"\bprint\b|\bdark\b|not all|speech|-webkit-min-device-pixel-ratio|hover|-ms-high-contrast", query):
        return False
    for least, most in re.findall(r"min-(?:device-)?width:\s*(\d+)|max-(?:device-)?width:\s*(\d+)", query):
        if (least and int(least) > 1024) or (most and int(most) < 1024):
            return False
    return True


def in_order(rules: list[Rule]) -> Iterator[Rule]:
    """By weight, then by place: what comes later wins (CSS Cascade 4, 6)."""
    return iter(sorted(rules, key=lambda rule: (rule.weight, rule.order)))


def hidden_box(style: Style) -> Style:
    """`style` for an element that is hidden by its attributes."""
    return replace(style, shown=False)
