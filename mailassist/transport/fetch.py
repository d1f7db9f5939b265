"""Headers of many messages, quickly: what is asked, and a reader for exactly that shape of answer.

imapclient's parser of FETCH answers reads byte by byte; most of a header synchronisation would be spent there. The
reader here knows the few forms that our own request leads to, and hands everything else to imapclient's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_fetch_response

from mailassist.errors import MailboxError
from mailassist.transport.arguments import Argument, items, keyword, number_sets
from mailassist.transport.folders import decoded_name
from mailassist.transport.session import Session
from mailassist.transport.source import HEADER_FIELDS, HeaderRecord, Location

Attributes = dict[str, Any]  # UID, FLAGS, ... -> int, bytes, tuple of bytes, None

BATCH = 1000  # messages a command
LINE = 7000  # bytes of a sequence set; Dovecot takes 64 KiB, many servers 8,000
_SHORT_LINE = 800  # Yahoo takes 1,000 bytes
_HEADERS = f"BODY.PEEK[HEADER.FIELDS ({' '.join(HEADER_FIELDS)})]"
_PLAIN = ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", _HEADERS)

_STRING = rb'"(?:[^"\\\r\n]|\\["\\])*"'
_ATTRIBUTE = re.compile(
    rb" ?([A-Z0-9.\-]+(?:\[[^\]]*\](?:<\d+>)?)?) "
    rb"(?:(\d+)(?=[ )])|(NIL)(?=[ )])|(" + _STRING + rb")|\(((?:[^()\"{}]|" + _STRING + rb")*)\)|\{(\d+)\}$)"
)
_START = re.compile(rb"\d+ \(")
_WORD = re.compile(_STRING + rb"|[^ ]+")
_ESCAPED = re.compile(rb'\\(["\\])')
_DATE = re.compile(rb"([ \d]\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS = {name: number for number, name in enumerate(
    (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1)}  # fmt: skip


class Unreadable(MailboxError):
    """The server sent a FETCH answer that cannot be read."""


def line_limit(session: Session) -> int:
    """How many bytes of arguments this server takes in one command."""
    return _SHORT_LINE if any(name in session.host.lower() for name in ("yahoo", "aol.")) else LINE


def _message_limit(session: Session) -> int:
    """How many messages this server handles in one command (RFC 9738); of more it would tell a part only."""
    told = [name.partition(b"=")[2] for name in session.capabilities() if name.startswith(b"MESSAGELIMIT=")]
    return min([BATCH, *(int(number) for number in told if number.isdigit() and 0 < int(number) < BATCH)])


def header_items(session: Session, *more: str) -> Argument:
    """What is asked of each message for the index, with the thread id by this server's name for it."""
    extra: tuple[str, ...] = ()
    if session.offers("X-GM-EXT-1"):
        extra = ("X-GM-THRID", "X-GM-MSGID", "X-GM-LABELS")
    elif session.offers("OBJECTID", "OBJECTID+"):
        extra = ("THREADID", "EMAILID")
    return items([*_PLAIN, *extra, *more])


def flag_items(session: Session) -> Argument:
    """What is asked of each message for its flags and labels alone."""
    return items(["UID", "FLAGS", *(["X-GM-LABELS"] if session.offers("X-GM-EXT-1") else [])])


def by_uid(session: Session, uids: Iterable[int], wanted: Argument) -> Iterator[Attributes]:
    """UID FETCH in batches from the open folder; only what was asked for, in any order. A missing UID is gone."""
    for numbers, held in number_sets(uids, line_limit(session), _message_limit(session)):
        expected = set(held)
        for attributes in _fetch(session, "UID", keyword("FETCH"), numbers, wanted):
            uid = attributes.get("UID")
            if uid in expected:
                yield attributes


def newest(session: Session, count: int, wanted: Argument) -> Iterator[Attributes]:
    """The last `count` messages of the open folder, by sequence number: one command, no search."""
    assert session.selected is not None
    exists = session.selected.exists
    if exists and count > 0:
        numbers = Argument(b"%d:*" % max(1, exists - count + 1))
        yield from _fetch(session, "FETCH", numbers, wanted)


def records(session: Session, found: Iterable[Attributes]) -> Iterator[HeaderRecord]:
    """HeaderRecords of what was fetched; answers without headers (flag changes that nobody asked for) are left out."""
    folder = session.selected
    assert folder is not None
    for attributes in found:
        headers = header_bytes(attributes)
        if headers is None or "UID" not in attributes:
            continue
        yield HeaderRecord(
            Location(folder.name, folder.uidvalidity, attributes["UID"]),
            headers,
            _flags(attributes),
            internal_date(attributes.get("INTERNALDATE")),
            attributes.get("RFC822.SIZE") or 0,
            _identifier(attributes.get("X-GM-THRID") or attributes.get("THREADID")),
            _identifier(attributes.get("X-GM-MSGID") or attributes.get("EMAILID")),
            _labels(attributes),
        )


def flags(session: Session, found: Iterable[Attributes]) -> Iterator[HeaderRecord]:
    """HeaderRecords without headers, of what was fetched with `flag_items`."""
    folder = session.selected
    assert folder is not None
    for attributes in found:
        if "UID" in attributes and "FLAGS" in attributes:
            place = Location(folder.name, folder.uidvalidity, attributes["UID"])
            yield HeaderRecord(place, b"", _flags(attributes), labels=_labels(attributes))


def _flags(attributes: Attributes) -> frozenset[str]:
    return frozenset(_text(flag) for flag in attributes.get("FLAGS") or ())


def _labels(attributes: Attributes) -> frozenset[str]:
    return frozenset(decoded_name(bytes(label)) for label in attributes.get("X-GM-LABELS") or ())


def header_bytes(attributes: Attributes) -> bytes | None:
    """The header fields of an answer, None where it has none."""
    for name, value in attributes.items():
        if name.startswith("BODY[HEADER.FIELDS"):
            return value if isinstance(value, bytes) else None
    return None


def _fetch(session: Session, name: str, *parts: Argument) -> Iterator[Attributes]:
    unreadable: Unreadable | None = None
    for answer in session.responses("FETCH", name, *parts):
        if isinstance(answer, list):
            try:
                found = read(answer)
            except Unreadable as error:
                unreadable = error  # raised once the whole answer was taken from the connection
                continue
            yield from found
    if unreadable is not None:
        raise unreadable


def read(data: Sequence[Any]) -> list[Attributes]:
    """The attributes of FETCH responses as imaplib gives them: (text, literal) pairs and texts.

    Raises Unreadable when not even imapclient can read them.
    """
    attributes = read_exactly(data)
    return [attributes] if attributes is not None else _read_anything(data)


def read_exactly(data: Sequence[Any]) -> Attributes | None:
    """The attributes of one response of the expected shape; None for any other, which is not an error."""
    found: Attributes = {}
    first = True
    last = len(data) - 1
    for index, part in enumerate(data):
        text, literal = part if isinstance(part, tuple) else (part, None)
        at = 0
        if first:
            start = _START.match(text)
            if start is None:
                return None
            at = start.end()
            first = False
        while (match := _ATTRIBUTE.match(text, at)) is not None:
            value = _value(match, literal)
            if value is _NO_VALUE:
                return None
            found[match[1].decode("ascii")] = value
            at = match.end()
        rest = text[at:]
        if rest != (b"" if literal is not None else b")") or (literal is None) != (index == last):
            return None
    return found or None


_NO_VALUE = object()


def _value(match: re.Match[bytes], literal: bytes | None) -> Any:
    _, digits, nil, quoted, listed, size = match.groups()
    if digits is not None:
        return int(digits) if len(digits) <= 20 else _NO_VALUE
    if nil is not None:
        return None
    if quoted is not None:
        return _unquoted(quoted)
    if listed is not None:
        return tuple(_unquoted(word) for word in _WORD.findall(listed))
    return literal if literal is not None and len(literal) == int(size) else _NO_VALUE


def _unquoted(word: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", word[1:-1]) if word[:1] == b'"' else word


def _read_anything(data: Sequence[Any]) -> list[Attributes]:
    try:
        parsed = parse_fetch_response(list(data), normalise_times=False, uid_is_key=False)
    except (ProtocolError, ValueError, AssertionError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise Unreadable(f"The server sent a FETCH answer that cannot be read: {error}") from error
    return [{_text(name): value for name, value in one.items()} for one in parsed.values()]


def internal_date(value: Any) -> datetime | None:
    """INTERNALDATE (RFC 3501, 2.3.3) with its time zone; None for what is no date."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    match = _DATE.fullmatch(value) if isinstance(value, bytes) else None
    if match is None or match[2] not in _MONTHS:
        return None
    offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        zone = timezone(-offset if match[7] == b"-" else offset)
        hour, minute, second = int(match[4]), int(match[5]), int(match[6])
        return datetime(int(match[3]), _MONTHS[match[2]], int(match[1]), hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def _identifier(value: Any) -> str:
    """A thread or message id: a number, an atom, or one in parentheses; Cyrus sends (NIL) for none (RFC 8474)."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    if value in (None, b"NIL", b""):
        return ""
    return str(value) if isinstance(value, int) else _text(value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
