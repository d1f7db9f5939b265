"""An mbox file as a source (RFC 4155): one folder, read only.

A message's UID is its place in the file. Files that only grow keep their UIDVALIDITY; one whose old part changed gets
a new one, by a digest that we keep of what was there, without the fields that Thunderbird rewrites in place.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mailassist.errors import MailboxError
from mailassist.transport.files import from_line_date, is_from_line, unquoted
from mailassist.transport.local_source import Entry, LocalSource
from mailassist.transport.source import Folder, FolderState, Location, Role

_STATUS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}
_STATUS_FIELD = re.compile(rb"^(?:X-)?Status:[ \t]*([A-Z]*)", re.IGNORECASE | re.MULTILINE)
# Thunderbird's flags, in hexadecimal; it rewrites them in place, and what is expunged goes when it compacts the file.
_MOZILLA = {0x0001: "\\Seen", 0x0002: "\\Answered", 0x0004: "\\Flagged"}
_MOZILLA_EXPUNGED = 0x0008
_MOZILLA_FIELD = re.compile(rb"^X-Mozilla-Status:[ \t]*([0-9A-F]{1,8})\b", re.IGNORECASE | re.MULTILINE)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FIRST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Span:
    start: int  # of the message, after its From_ line
    end: int
    received: datetime | None  # None: its From_ line does not tell


class MboxSource(LocalSource):
    """One mbox file, called INBOX."""

    def __init__(self, path: Path, data_folder: Path) -> None:
        """`data_folder`: where the digest is kept. Raises MailboxError when there is no such file."""
        super().__init__()
        self._path = path
        self._record = data_folder / "mbox" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
        self._known: tuple[object, FolderState, Mapping[int, Entry]] | None = None
        self.signature("INBOX")

    def folders(self) -> Sequence[Folder]:
        """The file, as the inbox."""
        return (Folder("INBOX", Role.INBOX),)

    def signature(self, folder: str) -> object:
        """Size and time of the file."""
        status = self._status()
        return status.st_size, status.st_mtime_ns

    def look(self, folder: str) -> tuple[FolderState, Mapping[int, Entry]]:
        """The messages of the file; read anew only when it has changed. Raises MailboxError where it is no mbox."""
        status = self._status()
        now = status.st_size, status.st_mtime_ns
        if self._known is None or self._known[0] != now:
            spans, digests = _spans(self._path)
            if not spans and self._read(_Span(0, status.st_size, None), _FIRST_BYTES).strip():
                raise MailboxError(
                    f'{self._path} is no mbox file: no message in it begins with a line "From ..."',
                    cure="Name an mbox file, unpacked; a folder with cur, new and tmp inside is a `maildir`.",
                )
            written = datetime.fromtimestamp(status.st_mtime, UTC)
            found = (self._entry(uid, span, written) for uid, span in enumerate(spans, 1))
            entries = {entry.uid: entry for entry in found if entry is not None}
            state = FolderState("INBOX", self._epoch(digests), len(spans) + 1, len(entries))
            self._known = now, state, entries
        return self._known[1], self._known[2]

    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        """Refused: other programs write this file too, with locks that nobody agrees on."""
        raise _read_only(self._path)

    def remove(self, location: Location) -> bool:
        """Refused."""
        raise _read_only(self._path)

    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        """Refused."""
        raise _read_only(self._path)

    def _status(self) -> os.stat_result:
        try:
            status = self._path.stat()
        except OSError as error:
            raise MailboxError(f"{self._path} cannot be read: {error.strerror}", cure="Check `mbox`.") from error
        if not self._path.is_file() or not os.access(self._path, os.R_OK):
            raise MailboxError(f"{self._path} is no file that you may read", cure="Check `mbox`.")
        return status

    def _entry(self, uid: int, span: _Span, written: datetime) -> Entry | None:
        """The message in `span`; None where Thunderbird has expunged it."""
        start = _END_OF_HEADER.split(self._read(span, _FIRST_BYTES), maxsplit=1)[0]
        letters = b"".join(_STATUS_FIELD.findall(start)).decode("ascii").upper()
        flags = {_STATUS[letter] for letter in letters if letter in _STATUS}
        for digits in _MOZILLA_FIELD.findall(start):
            bits = int(digits, 16)
            if bits & _MOZILLA_EXPUNGED:
                return None
            flags |= {flag for bit, flag in _MOZILLA.items() if bits & bit}
        size = span.end - span.start
        received = span.received or written
        return Entry(uid, frozenset(flags), received, size, partial(self._read, span), partial(self._read, span, size))

    def _read(self, span: _Span, most: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(span.start)
            raw = file.read(min(most, span.end - span.start))
        return unquoted(raw)

    def _epoch(self, digests: Sequence[str]) -> int:
        """UIDVALIDITY: the last one while what we knew is still the beginning of the file, else one more."""
        epoch, count, digest = 1, 0, ""
        try:
            first, second, digest = self._record.read_text(encoding="ascii").split()
            epoch, count = int(first), int(second)
        except (FileNotFoundError, ValueError):
            pass
        if count > len(digests) or (count and digests[count - 1] != digest):
            epoch += 1
        self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._record.write_text(f"{epoch} {len(digests)} {digests[-1] if digests else '-'}\n", encoding="ascii")
        return epoch


def _spans(path: Path) -> tuple[list[_Span], list[str]]:
    """Where each message lies, and for each a digest of the beginnings of all messages up to it."""
    spans: list[_Span] = []
    digests: list[str] = []
    running = hashlib.sha256()
    received: datetime | None = None
    start, after_blank, position = -1, True, 0
    with path.open("rb") as file:
        for line in file:
            if after_blank and is_from_line(line):
                if start >= 0:
                    spans.append(_Span(start, position, received))
                start, received = position + len(line), from_line_date(line)
                running.update(line)
                digests.append(running.hexdigest())
            elif start >= 0 and position - start < _FIRST_BYTES and not line.startswith(b"X-Mozilla-"):
                running.update(line)
                digests[-1] = running.hexdigest()
            position += len(line)
            after_blank = line in (b"\n", b"\r\n")
    if start >= 0:
        spans.append(_Span(start, position, received))
    return spans, digests


def _read_only(path: Path) -> MailboxError:
    return MailboxError(
        f"{path} is an mbox file, which is only read", cure="Use an IMAP server or a Maildir for drafts."
    )
