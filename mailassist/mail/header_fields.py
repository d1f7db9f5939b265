"""A header block's fields: split, unfolded, decoded (RFC 5322 section 2.2, RFC 2047), in linear time.

The standard library's header parser raises on an encoded CR LF and recurses on comments, and lets a newline survive in
a decoded value; this one does neither. Values come out on one line, without NUL.
"""

from __future__ import annotations

import binascii
import re
import sys
from dataclasses import dataclass
from functools import lru_cache

from mailassist.mail.charsets import decode

_END_IN_PART = re.compile(rb"\r?\n(?:\r?\n|(?=--))")  # a border may follow a part's header at once
_FOLD = re.compile(r"\n[ \t]+")
_FIELD = re.compile(r"^([!-9;-~]+)[ \t]*:[ \t]*(.*)", re.MULTILINE)
_NAME = re.compile(r"[!-9;-~]+")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]+")
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields of a header block, in order: (lower-case name, unfolded raw value)."""

    fields: tuple[tuple[str, str], ...]
    body_start: int
    warnings: tuple[str, ...] = ()
    too_long: bool = False


def split_headers(raw: bytes, start: int = 0, *, size: int, count: int, border: bool = False) -> HeaderBlock:
    """The fields that begin at `start`, at most `size` bytes and `count` fields of them.

    A line that is no field ends the header, as if the empty line were missing; "From " and ">From " lines are skipped.
    `border`: the header is a part's and ends before a line that begins with "--".
    """
    if raw.startswith((b"\n", b"\r\n"), start):
        return HeaderBlock((), start + (1 if raw[start] == 0x0A else 2))
    end, body = _end_in_part(raw, start) if border else _end(raw, start)
    text = raw_text(raw[start : min(end, start + size)])
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    found = _FIELD.findall(text)
    too_long = end - start > size
    if len(found) == text.count("\n") + 1 <= count:  # the ordinary case: every line is a field
        fields = [(name.lower(), value.rstrip()) for name, value in found]
    else:
        lines = text.split("\n")
        fields, read = _fields(lines, count)
        too_long = too_long or (read < len(lines) and len(fields) >= count)
        if read < len(lines) and not too_long:
            body = _body_after(raw, start, body)
    warnings = ("structure-limit: the header is too long; only its beginning was read",) if too_long else ()
    return HeaderBlock(tuple(fields), body, warnings, too_long)


def _end(raw: bytes, start: int) -> tuple[int, int]:
    """Where the fields end and where the body begins."""
    found = raw.find(b"\n\r\n", start)
    plain = raw.find(b"\n\n", start, found if found >= 0 else len(raw))
    if plain >= 0:
        return plain, plain + 2
    return (found, found + 3) if found >= 0 else (len(raw), len(raw))


def _end_in_part(raw: bytes, start: int) -> tuple[int, int]:
    found = _END_IN_PART.search(raw, start)
    if found is None:
        return len(raw), len(raw)
    # A border at once: the line break belongs to it.
    return (found.start(), found.start() if raw.startswith(b"--", found.end()) else found.end())


def raw_text(data: bytes) -> str:
    """Raw header bytes as text: UTF-8 (RFC 6532) where valid, else windows-1252; line ends are newlines."""
    if data.isascii():
        text = data.decode("ascii")
    else:
        text = decode(data)[0]
    return text.replace("\r\n", "\n").replace("\r", " ") if "\r" in text else text


def _fields(lines: list[str], count: int) -> tuple[list[tuple[str, str]], int]:
    """Fields from unfolded lines, and how many lines were read."""
    fields: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        name, colon, value = line.partition(":")
        if colon and (known := _field_name(name)):
            if len(fields) >= count:
                return fields, number
            fields.append((known, value.strip()))
        elif line and not line.startswith(("From ", ">From ")):
            return fields, number
    return fields, len(lines)


@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    """The lower-case name of a field, or "" where it is none."""
    name = name.rstrip(" \t")
    return sys.intern(name.lower()) if len(name) < 200 and _NAME.fullmatch(name) else ""


def _body_after(raw: bytes, start: int, default: int) -> int:
    """Where the body begins when the empty line is missing: at the first line that is no field."""
    position = start
    for line in raw[start:default].split(b"\n"):
        name = line.split(b":", 1)[0].rstrip(b" \t")
        field = b":" in line and name and all(0x21 <= byte <= 0x7E for byte in name)
        if not (field or line[:1] in b" \t" or line.startswith((b"From ", b">From "))):
            return position
        position += len(line) + 1
    return default


def decode_words(value: str) -> str:
    """`value` with its RFC 2047 encoded words decoded, on one line, without control characters."""
    if "=?" in value:
        value = _with_words(value)
    return value if value.isprintable() else _CONTROLS.sub(" ", value).strip()


def _with_words(value: str) -> str:
    """Decode the encoded words; neighbours of one charset as one, since programs split characters between them."""
    pieces: list[str] = []
    data, charset, position = b"", "", 0
    for match in _WORD.finditer(value):
        label = match.group(1).partition("*")[0]  # RFC 2231, 5: a language may follow
        word = _word_bytes(match.group(2), match.group(3))
        between = value[position : match.start()]
        apart = bool(between.strip()) or not data
        if apart or label.lower() != charset.lower() or word is None:
            pieces.append(decode(data, charset)[0] if data else "")
            pieces.append(between if apart or word is None else "")
            data = b""
        if word is None:
            pieces.append(match.group())
        else:
            data, charset = data + word, label
        position = match.end()
    pieces.append(decode(data, charset)[0] if data else "")
    pieces.append(value[position:])
    return "".join(pieces)


def _word_bytes(encoding: str, text: str) -> bytes | None:
    """The bytes of one encoded word, or None where they cannot be read."""
    try:
        data = text.encode("ascii")
        if encoding in "qQ":
            return binascii.a2b_qp(data, header=True)
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except (UnicodeEncodeError, binascii.Error):
        return None
