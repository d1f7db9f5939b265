"""A header block's fields: split, unfolded, decoded (RFC 5322 section 2.2, RFC 2047), in linear time.

The standard library's header parser raises on an encoded CR LF and recurses on comments, and lets a newline survive in
a decoded value; this one does neither. Values come out on one line, without NUL.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from mailassist.mail.charsets import decode

_END = re.compile(rb"\r?\n\r?\n")
_END_IN_PART = re.compile(rb"\r?\n(?:\r?\n|(?=--))")  # a border may follow a part's header at once
_FOLD = re.compile(r"\n[ \t]+")
_NAME = re.compile(r"[!-9;-~]+")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]+")
# An encoded word; white space between two of them is not part of the text (RFC 2047, 6.2).
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=(?:\s+(?==\?[^?\s]{1,80}\?[bBqQ]\?[^?]*\?=))?")


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
    found = (_END_IN_PART if border else _END).search(raw, start)
    end, body = (found.start(), found.end()) if found else (len(raw), len(raw))
    if found and border and raw.startswith(b"--", body):
        body = end  # the line break belongs to the border
    lines = _FOLD.sub(" ", raw_text(raw[start : min(end, start + size)])).split("\n")
    fields, read = _fields(lines, count)
    too_long = end - start > size or (len(fields) >= count > 0 and read < len(lines))
    if read < len(lines) and not too_long:
        body = _body_after(raw, start, body)
    warnings = ("structure-limit: the header is too long; only its beginning was read",) if too_long else ()
    return HeaderBlock(tuple(fields), body, warnings, too_long)


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
        if colon and _NAME.fullmatch(name := name.rstrip(" \t")):
            if len(fields) >= count:
                return fields, number
            fields.append((name.lower(), value.strip()))
        elif line and not line.startswith(("From ", ">From ")):
            return fields, number
    return fields, len(lines)


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
        value = _WORD.sub(_word, value)
    return _CONTROLS.sub(" ", value).strip() if not value.isprintable() else value


def _word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    charset = charset.partition("*")[0]  # RFC 2231, 5: a language may follow
    try:
        data = text.encode("ascii")
        if encoding in "qQ":
            data = binascii.a2b_qp(data, header=True)
        else:
            data = binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except (UnicodeEncodeError, binascii.Error):
        return match.group()
    return decode(data, charset)[0]
