"""The one door through which a value reaches an IMAP command (GUARANTEES 0.1 and P12).

An encoded Message-ID can decode to CR LF and a command of its own, and imaplib and imapclient would send it. So the
session sends nothing but `Argument` and `Literal`, and only the functions here make them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from imapclient.imap_utf7 import encode as modified_utf7

from mailassist.errors import InputError

_KEYWORD = re.compile(r"[A-Za-z0-9.+\-]+(?:\[[A-Za-z0-9. ()\-]*\](?:<\d+\.\d+>)?)?")
_FLAG = re.compile(r"\\?[A-Za-z0-9$._\-]+")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,996}>")
_OBJECT_ID = re.compile(r"[A-Za-z0-9_\-]{1,255}")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONGEST_QUOTED = 1000


class Argument(bytes):
    """A part of a command that was checked; goes out as it is."""


class Literal(bytes):
    """Bytes that go out as a literal (RFC 3501, 4.3): announced with their length, so that nothing in them can be a
    command.
    """


class UnsafeArgument(InputError):
    """A value from mail cannot be part of an IMAP command."""


def string(value: str) -> Argument | Literal:
    """`value` as an IMAP string: quoted where it is printable ASCII, else a literal in UTF-8.

    Raises UnsafeArgument for CR, LF and NUL, which no string that we send has any use for.
    """
    if any(mark in value for mark in "\r\n\0"):
        raise UnsafeArgument(f"Refused to send {value!r} to a mail server: it holds a line end or NUL")
    if value.isascii() and value.isprintable() and len(value) <= _LONGEST_QUOTED:
        return Argument(b'"%s"' % value.replace("\\", "\\\\").replace('"', '\\"').encode("ascii"))
    try:
        return Literal(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise UnsafeArgument(f"Refused to send {value!r} to a mail server: it is no valid Unicode") from None


def message_id(value: str) -> Argument:
    """A msg-id with its angle brackets, quoted. Raises UnsafeArgument for anything else."""
    if not _MESSAGE_ID.fullmatch(value):
        raise UnsafeArgument(f"Refused to send {value!r} to a mail server: it is no Message-ID")
    checked = string(value)
    assert isinstance(checked, Argument)  # visible ASCII of at most 998 characters
    return checked


def folder(name: str) -> Argument | Literal:
    """A folder's name, in modified UTF-7 (RFC 3501, 5.1.3). Raises UnsafeArgument."""
    if not name or any(mark in name for mark in "\r\n\0"):
        raise UnsafeArgument(f"Refused to use {name!r} as a folder's name")
    try:
        return string(modified_utf7(name).decode("ascii"))
    except UnicodeEncodeError:
        raise UnsafeArgument(f"Refused to use {name!r} as a folder's name: it is no valid Unicode") from None


def folder_as_sent(name: bytes) -> Argument | Literal:
    """A folder's name as the server itself wrote it, where that is no modified UTF-7. Raises UnsafeArgument."""
    if not name or any(mark in name for mark in b"\r\n\0"):
        raise UnsafeArgument(f"Refused to use {name!r} as a folder's name")
    return string(name.decode("ascii")) if name.isascii() else Literal(name)


def keyword(text: str) -> Argument:
    """A word of the protocol (`UID`, `SEARCH`, `BODY.PEEK[HEADER.FIELDS (SUBJECT)]`), written by us."""
    if not _KEYWORD.fullmatch(text):
        raise UnsafeArgument(f"{text!r} is no IMAP keyword")
    return Argument(text.encode("ascii"))


def items(names: Iterable[str]) -> Argument:
    """A parenthesised list of keywords."""
    return Argument(b"(%s)" % b" ".join(keyword(name) for name in names))


def group(*parts: Argument) -> Argument:
    """The parts in parentheses. Raises UnsafeArgument for a literal, which cannot stand in the middle of one."""
    if any(not isinstance(part, Argument) for part in parts):
        raise UnsafeArgument("A literal cannot be part of a group")
    return Argument(b"(%s)" % b" ".join(parts))


def flags(names: Iterable[str]) -> Argument:
    """A parenthesised list of flags. Raises UnsafeArgument."""
    for name in (names := list(names)):
        if not _FLAG.fullmatch(name):
            raise UnsafeArgument(f"{name!r} is no IMAP flag")
    return Argument(f"({' '.join(names)})".encode("ascii"))


def number(value: int) -> Argument:
    """A number, such as X-GM-THRID. Raises UnsafeArgument when it is negative."""
    if value < 0:
        raise UnsafeArgument(f"{value} is negative")
    return Argument(b"%d" % value)


def day(value: date) -> Argument:
    """A date as SEARCH wants it, whatever the locale."""
    return Argument(f"{value.day}-{_MONTHS[value.month - 1]}-{value.year:04d}".encode("ascii"))


def span(first: int, last: int) -> Argument:
    """All numbers from `first` to `last`. Raises UnsafeArgument when there are none."""
    if not 0 < first <= last <= 0xFFFFFFFF:
        raise UnsafeArgument(f"{first}:{last} is no range of UIDs")
    return Argument(b"%d:%d" % (first, last))


def number_sets(numbers: Iterable[int], longest: int, most: int) -> Iterable[tuple[Argument, Sequence[int]]]:
    """Sequence sets (RFC 3501, 9) for `numbers`, neighbours joined to ranges, with the numbers of each.

    A set has at most `longest` bytes (servers limit their lines) and `most` numbers.
    """
    parts: list[bytes] = []
    held: list[int] = []
    length = 0
    for first, last in _runs(sorted(set(numbers)), most):
        part = b"%d" % first if first == last else b"%d:%d" % (first, last)
        if parts and (length + len(part) + 1 > longest or len(held) + last - first + 1 > most):
            yield Argument(b",".join(parts)), held
            parts, held, length = [], [], 0
        parts.append(part)
        held.extend(range(first, last + 1))
        length += len(part) + 1
    if parts:
        yield Argument(b",".join(parts)), held


def _runs(numbers: Sequence[int], most: int) -> Iterable[tuple[int, int]]:
    start = previous = None
    for value in numbers:
        if not 0 < value <= 0xFFFFFFFF:
            raise UnsafeArgument(f"{value} is no UID")
        if start is None or previous is None or value != previous + 1 or value - start >= most:
            if start is not None and previous is not None:
                yield start, previous
            start = value
        previous = value
    if start is not None and previous is not None:
        yield start, previous


def header_search(name: str, value: str) -> list[Argument | Literal]:
    """`HEADER name value`, a criterion of SEARCH."""
    return [keyword("HEADER"), keyword(name), string(value)]


def any_of(criteria: Sequence[Sequence[Argument | Literal]]) -> list[Argument | Literal]:
    """The criteria joined by OR, which takes two at a time (RFC 3501, 6.4.4); nested like a tree, not like a comb."""
    if len(criteria) == 1:
        return list(criteria[0])
    half = len(criteria) // 2
    return [keyword("OR"), *any_of(criteria[:half]), *any_of(criteria[half:])]


def object_id(value: str) -> Argument:
    """An object identifier of RFC 8474 (THREADID), which is sent bare. Raises UnsafeArgument for anything else."""
    if not _OBJECT_ID.fullmatch(value):
        raise UnsafeArgument(f"Refused to send {value!r} to a mail server: it is no object identifier")
    return Argument(value.encode("ascii"))
