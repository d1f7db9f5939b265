"""Bytes and a charset label in, text out: never an exception, whatever the label says.

Labels are read as browsers read them (WHATWG Encoding, 4.2): "iso-8859-1" and "us-ascii" mean windows-1252, "gb2312"
means gb18030. Python's codecs that are not character sets (rot13, punycode, unicode_escape) are not used.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_CHARACTER_SET = re.compile(
    r"utf-?(?:7|8|8-sig|16|16-[lb]e|32|32-[lb]e)|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gb18030|gbk|gb2312|hz"
    r"|big5\w*|shift_jis\w*|euc_\w+|iso2022_\w+|tis-620|ptcp154|kz1048|johab"
)
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "tis-620": "cp874",
    "big5": "big5hkscs",
    "utf-8-sig": "utf-8",
}
# What programs for Windows write under the name of a standard: both have the same letters, at least in part, and the
# control characters of the standard (80 to 9F) stand in no mail.
_WINDOWS = {
    "iso8859-2": "cp1250",
    "iso8859-6": "cp1256",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
_ALIASES = {
    "unicode-1-1-utf-7": "utf-7",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "x-gbk": "gbk",
    "x-sjis": "shift_jis",
    "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",
    "x-euc-jp": "euc_jp",
    "windows-874": "cp874",
    "windows-31j": "cp932",
    "ks_c_5601-1987": "cp949",
    "ansi_x3.110-1983": "cp1252",
    "8bit": "utf-8",
    "unknown-8bit": "utf-8",
    "x-unknown": "utf-8",
}
_C1 = re.compile(rb"[\x80-\x9f]")
_ASCII = re.compile(r"[\s\"']*(?:us-)?ascii[\s\"']*", re.IGNORECASE)
_META = re.compile(rb"""<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_ESCAPE = re.compile(rb"(\x1b[$(]+[A-Z@])")
_PAIR = re.compile(rb"[\x21-\x7e][\x21-\x7e]")


@lru_cache(maxsize=512)
def codec(label: str) -> str:
    """The Python codec that the charset `label` means, or "" where it names no character set."""
    name = label.strip(" \t\"'").lower()
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError, UnicodeError):
        return ""
    return _WIDER.get(found, found) if _CHARACTER_SET.fullmatch(found) else ""


def decode(data: bytes, label: str = "", inside: str = "") -> tuple[str, str]:
    """The text of `data` labelled `label`, and a warning ("" where the label held).

    Without a usable label: UTF-8 where it is valid, else what the text says of itself (`inside`), else windows-1252.
    Never raises.
    """
    if data.isascii() and (not label or codec(label) in ("utf-8", "cp1252", "")):
        known = not label or codec(label) != ""
        return data.decode("ascii"), "" if known else f"charset: {label[:40]!r} is not known; read as ASCII"
    name = codec(label) if label else ""
    if not name or (name == "cp1252" and codec(inside) and _ASCII.fullmatch(label)):
        text, used = _guess(data, codec(inside))
        if label:
            return text, f"charset: {label[:40]!r} {'does not hold' if name else 'is not known'}; read as {used}"
        return text, "" if used == "UTF-8" else f"charset: not labelled; read as {used}"
    if name.startswith("iso2022_jp"):
        return _japanese(data, name)
    if name.startswith(("utf-16", "utf-32")):
        return _wide(data, name)
    try:
        if name == "cp1252":  # bytes that are valid UTF-8 are hardly ever anything else
            return data.decode("utf-8"), f"charset: labelled {label[:40]}, but is UTF-8"
        if name in _WINDOWS and _C1.search(data):
            return _of_windows(data, label, _WINDOWS[name])
        return without_surrogates(data.decode(name)), ""
    except (UnicodeError, ValueError):
        return _mislabelled(data, name)


def inside(html: bytes) -> str:
    """The charset that an HTML page names in its first 1,024 bytes (WHATWG HTML, 13.2.3.2), or ""."""
    found = _META.search(_COMMENT.sub(b"", html[:1024]))
    label = found[1].decode("ascii", "replace") if found else ""
    return "utf-8" if codec(label).startswith(("utf-16", "utf-32")) else label


def _guess(data: bytes, inside: str = "") -> tuple[str, str]:
    """Read what has no label; `inside`: the codec that the text itself names."""
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        if inside not in ("", "utf-8", "cp1252"):
            return without_surrogates(data.decode(inside, "replace")), f"{inside}, as the text says of itself"
        return _single_byte(data), "windows-1252"


def _japanese(data: bytes, name: str) -> tuple[str, str]:
    """ISO-2022-JP as it is written: with the circled digits and signs of row 13, which only Microsoft's tables have.

    After WHATWG Encoding, 12.2: the characters of JIS X 0208 are those of cp932, moved.
    """
    try:
        return data.decode(name), ""
    except UnicodeDecodeError:
        if b"\x1b" not in data:
            return _unescaped_japanese(data, name)
    first, *runs = _ESCAPE.split(data)
    pieces = [first.decode("ascii", "replace")]
    for escape, run in zip(runs[::2], runs[1::2], strict=True):
        pieces.append(_japanese_run(escape, run))
    text = "".join(pieces)
    return text, f"charset: some bytes are not {name}" if "\ufffd" in text else ""


def _japanese_run(escape: bytes, run: bytes) -> str:
    """What follows one escape sequence, up to the next."""
    if escape in (b"\x1b$B", b"\x1b$@"):
        return _PAIR.sub(_shifted, run).decode("cp932", "replace")
    if escape == b"\x1b(I":  # half-width katakana
        return bytes(byte + 0x80 if 0x21 <= byte <= 0x5F else byte for byte in run).decode("cp932", "replace")
    if escape in (b"\x1b(B", b"\x1b(J"):
        return run.decode("ascii", "replace")
    return (escape + run).decode("iso2022_jp_ext", "replace").replace("\x1b", "\ufffd")


def _shifted(match: re.Match[bytes]) -> bytes:
    """One character of JIS X 0208 as Shift_JIS writes it."""
    row, cell = match[0][0] - 0x21, match[0][1] - 0x21
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + 0x40 + (cell >= 63)
    return bytes((lead, trail))


def _unescaped_japanese(data: bytes, name: str) -> tuple[str, str]:
    for other in ("utf-8", "euc_jp", "cp932"):
        try:
            return data.decode(other), f"charset: labelled {name}, but is {other}"
        except UnicodeDecodeError:
            continue
    return data.decode(name, "replace"), f"charset: some bytes are not {name}"


def _single_byte(data: bytes) -> str:
    """windows-1252, with U+FFFD for the five bytes that it leaves open."""
    return data.decode("cp1252", "replace")


def _of_windows(data: bytes, label: str, name: str) -> tuple[str, str]:
    """What holds bytes that its label has no characters for: UTF-8 where it is valid, else `name`."""
    try:
        return data.decode("utf-8"), f"charset: labelled {label[:40]}, but is UTF-8"
    except UnicodeDecodeError:
        return data.decode(name, "replace"), f"charset: labelled {label[:40]}, but is {name}"


def _mislabelled(data: bytes, name: str) -> tuple[str, str]:
    """What does not fit its label: damaged in a few places, or another charset altogether."""
    if name == "cp1252":
        return _single_byte(data), ""
    if name == "utf-8" and data.decode("utf-8", "ignore").isascii():
        return _single_byte(data), "charset: labelled UTF-8, but is not; read as windows-1252"
    text, used = _guess(data)
    if used == "UTF-8" and not data.isascii():  # ASCII that does not fit is a damaged escape sequence
        return text, f"charset: labelled {name}, but is UTF-8"
    return without_surrogates(data.decode(name, "replace")), f"charset: some bytes are not {name}"


def without_surrogates(text: str) -> str:
    """`text` with "?" for half a character, which UTF-7 can spell and which no file, store or server takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _wide(data: bytes, name: str) -> tuple[str, str]:
    """UTF-16 and UTF-32: the byte order mark decides, else where the zero bytes are."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        zeros = data[:4096].count(0)
        if data and zeros * 8 < min(len(data), 4096):  # text of a Latin alphabet has a zero in every character
            try:
                return data.decode("utf-8"), f"charset: labelled {name}, but is UTF-8"
            except UnicodeDecodeError:
                pass
        if name == "utf-16":
            name = "utf-16-be" if data[:4096:2].count(0) > data[1:4096:2].count(0) else "utf-16-le"
    text = data.decode(name, "replace").removeprefix("\ufeff")
    return text, f"charset: some bytes are not {name}" if "\ufffd" in text else ""
