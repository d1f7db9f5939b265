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
    "utf-8-sig": "utf-8",
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


@lru_cache(maxsize=512)
def codec(label: str) -> str:
    """The Python codec that the charset `label` means, or "" where it names no character set."""
    name = label.strip(" \t\"'").lower()
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError, UnicodeError):
        return ""
    return _WIDER.get(found, found) if _CHARACTER_SET.fullmatch(found) else ""


def decode(data: bytes, label: str = "") -> tuple[str, str]:
    """The text of `data` labelled `label`, and a warning ("" where the label held).

    Without a usable label: UTF-8 where it is valid, else windows-1252. Never raises.
    """
    if data.isascii() and (not label or codec(label) in ("utf-8", "cp1252", "")):
        known = not label or codec(label) != ""
        return data.decode("ascii"), "" if known else f"charset: {label[:40]!r} is not known; read as ASCII"
    name = codec(label) if label else ""
    if not name:
        text, used = _guess(data)
        return text, f"charset: {label[:40]!r} is not known; read as {used}" if label else ""
    if name.startswith(("utf-16", "utf-32")):
        return _wide(data, name)
    try:
        if name == "cp1252":  # bytes that are valid UTF-8 are hardly ever anything else
            return data.decode("utf-8"), f"charset: labelled {label[:40]}, but is UTF-8"
        return _without_surrogates(data.decode(name)), ""
    except (UnicodeError, ValueError):
        return _mislabelled(data, name)


def _guess(data: bytes) -> tuple[str, str]:
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return _single_byte(data), "windows-1252"


def _single_byte(data: bytes) -> str:
    """windows-1252, with U+FFFD for the five bytes that it leaves open."""
    return data.decode("cp1252", "replace")


def _mislabelled(data: bytes, name: str) -> tuple[str, str]:
    """What does not fit its label: damaged in a few places, or another charset altogether."""
    if name == "cp1252":
        return _single_byte(data), ""
    if name == "utf-8" and data.decode("utf-8", "ignore").isascii():
        return _single_byte(data), "charset: labelled UTF-8, but is not; read as windows-1252"
    text, used = _guess(data)
    if used == "UTF-8":
        return text, f"charset: labelled {name}, but is UTF-8"
    return _without_surrogates(data.decode(name, "replace")), f"charset: some bytes are not {name}"


def _without_surrogates(text: str) -> str:
    """UTF-7 can spell half a character, which no file, store or server takes; it becomes "?"."""
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
