"""CSS values that decide whether text can be seen: colours (CSS Color 4) and lengths (CSS Values 4)."""

from __future__ import annotations

import colorsys
import operator
import re
from collections.abc import Callable
from functools import lru_cache

Color = tuple[int, int, int]
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
UNKNOWN: Color = (-1000, -1000, -1000)  # a colour that this cannot compute; it is like no other

_NAMES = """
    aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 black
    000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0
    chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff
    darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9 darkgreen 006400 darkgrey a9a9a9 darkkhaki
    bdb76b darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon
    e9967a darkseagreen 8fbc8f darkslateblue 483d8b darkslategray 2f4f4f darkslategrey 2f4f4f darkturquoise 00ced1
    darkviolet 9400d3 deeppink ff1493 deepskyblue 00bfff dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick
    b22222 floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700
    goldenrod daa520 gray 808080 green 008000 greenyellow adff2f grey 808080 honeydew f0fff0 hotpink ff69b4
    indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00
    lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff lightgoldenrodyellow fafad2 lightgray
    d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa lightskyblue
    87cefa lightslategray 778899 lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00
    limegreen 32cd32 linen faf0e6 magenta ff00ff maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd
    mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371 mediumslateblue 7b68ee mediumspringgreen 00fa9a
    mediumturquoise 48d1cc mediumvioletred c71585 midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin
    ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 orangered
    ff4500 orchid da70d6 palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee palevioletred db7093 papayawhip
    ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 rebeccapurple 663399
    red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57
    seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue 6a5acd slategray 708090 slategrey 708090
    snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 turquoise
    40e0d0 violet ee82ee wheat f5deb3 white ffffff whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
"""
_NAMED: dict[str, Color] = {"windowtext": BLACK, "window": WHITE, "canvas": WHITE, "canvastext": BLACK}
_NAMED |= {
    name: (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16))
    for name, digits in zip(_NAMES.split()[::2], _NAMES.split()[1::2], strict=True)
}
_OTHER_SPACES = re.compile(r"(?:lab|lch|oklab|oklch|hwb|color|device-cmyk)\(")
_NUMBERS = re.compile(r"(-?\d{1,4}(?:\.\d{1,6})?|-?\.\d{1,6})(%?)")
_LENGTH = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(px|pt|pc|em|rem|ex|ch|in|cm|mm|q|[sld]?v(?:w|h|min|max)|%)?",
    re.IGNORECASE,
)
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945, "rem": 16.0}
_SUM = re.compile(r"\s*(?:([+-]?(?:\d+\.?\d*|\.\d+)[a-z%]*)|(calc|min|max|clamp)?(\()|([-+*/,)]))", re.IGNORECASE)
_LONGEST_SUM = 200
_LONGEST_LIST = 500
_WORDS = re.compile(r"[^\s,()]+(?:\([^()]*\))?")
_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}


@lru_cache(maxsize=1024)
def color(value: str) -> Color | str | None:
    """A CSS colour: its channels, None for transparent, "" for what is none."""
    value = value.strip().lower()
    if value == "transparent":
        return None
    if value.startswith("#"):
        return _hex(value[1:])
    if value.startswith(("rgb", "hsl")):
        return _function(value)
    if _OTHER_SPACES.match(value):
        return _other_space(value)
    if value.startswith(("color-mix(", "light-dark(")):
        return _of_several(value)
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
    numbers = _NUMBERS.findall(value[:80])
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


def _other_space(value: str) -> Color | None:
    """Colours of other spaces: transparent, white and black are told; between them it does not matter which."""
    numbers = _NUMBERS.findall(value.partition("/")[0][:80])
    alpha = _NUMBERS.findall(value.partition("/")[2][:20])
    if alpha and float(alpha[0][0]) / (100 if alpha[0][1] else 1) < 0.1:
        return None
    if value.startswith(("lab", "lch", "oklab", "oklch")) and numbers:
        lightness = float(numbers[0][0]) / (1 if value.startswith("ok") and not numbers[0][1] else 100)
        return WHITE if lightness > 0.97 else BLACK if lightness < 0.03 else UNKNOWN
    if value.startswith("hwb(") and len(numbers) >= 3:
        white, black = float(numbers[1][0]), float(numbers[2][0])
        return WHITE if white > 97 and black < 3 else BLACK if black > 97 and white < 3 else UNKNOWN
    if value.startswith("color(") and len(numbers) >= 3:
        parts = [float(number) / (100 if percent else 1) for number, percent in numbers[-3:]]
        return tuple(max(0, min(255, round(part * 255))) for part in parts)  # type: ignore[return-value]
    return UNKNOWN


def _of_several(value: str) -> Color | str | None:
    """light-dark() and color-mix(): what a light page shows; of a mixture only that of like colours."""
    found = [one for one in map(color, words_of(value.partition("(")[2][:-1])) if one != ""]
    if not found:
        return ""
    return found[0] if value.startswith("light") or all(one == found[0] for one in found) else UNKNOWN


def colors_of(image: str) -> list[Color | None]:
    """The colours of a gradient."""
    found = (color(word) for word in words_of(image.partition("(")[2][:-1]))
    return [one for one in found if not isinstance(one, str)]


def words_of(value: str) -> list[str]:
    """The words and functions of a value, without the commas and white space between them."""
    return _WORDS.findall(value[:_LONGEST_LIST])


def pixels(value: str, of: float = 16.0) -> float | None:
    """A CSS length or number in pixels, `of` being what em and % refer to; None where it is none."""
    value = value.strip().lower()
    match = _LENGTH.fullmatch(value)
    if match is not None:
        return _in_pixels(match, of)
    if value.startswith(("calc(", "min(", "max(", "clamp(")) and len(value) <= _LONGEST_SUM:
        return _calculated(value, of)
    return None


def _in_pixels(match: re.Match[str], of: float) -> float:
    number, unit = float(match.group(1)), (match.group(2) or "").lower()
    if unit == "%":
        return number * of / 100
    return number * (10.0 if unit and "v" in unit else _PIXELS.get(unit, of))


def _calculated(value: str, of: float) -> float | None:
    """calc(), min(), max() and clamp() (CSS Values 4, 10), by two stacks; None where they cannot be computed."""
    numbers: list[float] = []
    waiting: list[str] = []  # operators, and the functions that are open
    try:
        for amount, function, opens, sign in _SUM.findall(value):
            if amount:
                match = _LENGTH.fullmatch(amount)
                if match is None:
                    return None
                numbers.append(_in_pixels(match, of))
            elif opens:
                waiting.append(f"{function}(")
            elif sign == ")":
                _close(numbers, waiting)
            else:
                _reduce(numbers, waiting, _BINDS.get(sign, 0))
                waiting.append(sign)
        _reduce(numbers, waiting, 0)
    except (IndexError, ZeroDivisionError, OverflowError):
        return None
    return numbers[0] if len(numbers) == 1 and not waiting else None


def _reduce(numbers: list[float], waiting: list[str], binds: int) -> None:
    """Apply the waiting operators that bind at least as strongly."""
    while waiting and waiting[-1] in _BINDS and _BINDS[waiting[-1]] >= binds:
        right = numbers.pop()
        numbers[-1] = _OPERATORS[waiting.pop()](numbers[-1], right)


def _close(numbers: list[float], waiting: list[str]) -> None:
    """A parenthesis closes: apply the function to its arguments."""
    _reduce(numbers, waiting, 0)
    arguments = 1
    while waiting[-1] == ",":
        waiting.pop()
        arguments += 1
    function = waiting.pop()
    values = [numbers.pop() for _ in range(arguments)][::-1]
    if function == "min(":
        numbers.append(min(values))
    elif function == "max(":
        numbers.append(max(values))
    elif function == "clamp(" and arguments == 3:
        numbers.append(max(values[0], min(values[1], values[2])))
    else:
        numbers.append(values[-1])
