"""Thread-Index, by which Outlook joins conversations ([MS-OXOMSG] 2.2.1.3, PidTagConversationIndex).

22 bytes of header: one reserved byte 0x01, the five high bytes below it of a FILETIME, a GUID; then five bytes for each
reply: a bit that says which part of the time difference follows, 31 bits of it, and a byte of random and sequence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

_HEADER = 22
_CHILD = 5
_LONGEST = _HEADER + 200 * _CHILD
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def thread_index(value: str) -> bytes:
    """What a Thread-Index header says; b"" where it is none."""
    if len(value) > 2 * _LONGEST:
        return b""
    try:
        index = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
    if len(index) < _HEADER or (len(index) - _HEADER) % _CHILD or len(index) > _LONGEST:
        return b""
    return index


def beginning(index: bytes) -> bytes:
    """The header of an index, which all messages of a conversation share."""
    return index[:_HEADER]


def ancestors(index: bytes) -> Iterator[bytes]:
    """The indexes of the messages above the one with `index`, the nearest first."""
    for end in range(len(index) - _CHILD, _HEADER - 1, -_CHILD):
        yield index[:end]


def child(parent: str, date: datetime, seed: str) -> str:
    """The Thread-Index of a reply written at `date` to a message whose Thread-Index is `parent`; "" for a bad one.

    `seed`: gives the byte that [MS-OXOMSG] wants random (our msg-id), so that a rebuilt message is the same.
    """
    index = thread_index(parent)
    if not index:
        return ""
    return base64.b64encode(index + _block(index, date, seed)).decode("ascii")


def _block(index: bytes, date: datetime, seed: str) -> bytes:
    """The five bytes of one reply: bits 18 to 48 of the difference below 1.7 years, else bits 23 to 53 and a mark."""
    started = int.from_bytes(index[:6], "big") << 16
    since = date - _EPOCH
    now = (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10
    difference = abs(now - started)
    if difference >> 49:
        time = 0x80000000 | ((difference >> 23) & 0x7FFFFFFF)
    else:
        time = (difference >> 18) & 0x7FFFFFFF
    return time.to_bytes(4, "big") + hashlib.sha256(seed.encode()).digest()[:1]
