"""What a Maildir and an mbox have in common: folders of entries that can be read without any server."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from mailassist.errors import MailboxError
from mailassist.mail.dates import parse_date
from mailassist.mail.parse import parse_headers
from mailassist.transport.source import HEADER_FIELDS, Folder, FolderState, HeaderRecord, Location, Role

_STEP = 0.5  # seconds between two looks at the disk
_THREAD_DAYS = 730  # how far back a conversation is looked for
_MOST_HEADER_BYTES = 1_000_000
_WANTED = frozenset(name.lower().encode("ascii") for name in HEADER_FIELDS)
_FIRST_CLOCK = datetime(1990, 1, 1, tzinfo=UTC)  # whatever says less was never set
_NOT_SEARCHED = (Role.DRAFTS, Role.JUNK, Role.TRASH)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message on disk."""

    uid: int
    flags: frozenset[str]
    received: datetime  # as the disk tells; the headers may know better
    size: int
    beginning: Callable[[int], bytes]  # at most so many bytes from the start; b"" when it is gone
    content: Callable[[], bytes]


class LocalSource(ABC):
    """A `MailSource` without a server; what differs is how folders are listed and how entries are found."""

    gmail = False

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._unreadable: list[Location] = []

    @abstractmethod
    def folders(self) -> Sequence[Folder]:
        """Every folder, with its role."""

    @abstractmethod
    def look(self, folder: str) -> tuple[FolderState, Mapping[int, Entry]]:
        """The folder as it is on disk now. Raises MailboxError when it is not there."""

    @abstractmethod
    def signature(self, folder: str) -> object:
        """Something cheap that changes when the folder does."""

    @abstractmethod
    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        """Store a message."""

    @abstractmethod
    def remove(self, location: Location) -> bool:
        """Move a message to Trash."""

    @abstractmethod
    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        """Add flags to a message."""

    def examine(self, folder: str) -> FolderState:
        """The folder's cursor."""
        return self.look(folder)[0]

    def state(self, folder: str) -> FolderState:
        """The same."""
        return self.examine(folder)

    def standing(self, location: Location) -> bytes | None:
        """The message, where its file is still there."""
        if self.examine(location.folder).uidvalidity != location.uidvalidity:
            return None
        found = list(self.flags(location.folder, [location.uid]))
        if not found or "\\deleted" in {flag.lower() for flag in found[0].flags}:
            return None
        return next((raw for _, raw in self.raw(location.folder, [location.uid])), None)

    def uids(self, folder: str, first: int, last: int, since: date | None = None) -> list[int]:
        """The UIDs in [first, last], ascending."""
        entries = self.look(folder)[1]
        return sorted(
            uid
            for uid, entry in entries.items()
            if first <= uid <= last and (since is None or entry.received.date() >= since)
        )

    def headers(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Headers of the messages that are there."""
        state, entries = self.look(folder)
        yield from self._records(state, (entries[uid] for uid in uids if uid in entries))

    def flags(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Flags of the messages that are there."""
        state, entries = self.look(folder)
        for uid in uids:
            if uid in entries:
                yield HeaderRecord(Location(state.name, state.uidvalidity, uid), b"", entries[uid].flags)

    def take_unreadable(self) -> list[Location]:
        """The messages whose files could not be read (whose permissions forbid it), since the last call."""
        taken, self._unreadable = self._unreadable, []
        return taken

    def newest_headers(self, folder: str, count: int) -> list[HeaderRecord]:
        """Headers of the last `count` messages, newest first."""
        state, entries = self.look(folder)
        newest = sorted(entries, reverse=True)[: max(0, count)]
        return list(self._records(state, (entries[uid] for uid in newest)))

    def raw(self, folder: str, uids: Sequence[int], *, limit: int = 1 << 62) -> Iterator[tuple[Location, bytes]]:
        """Whole messages; of one over `limit` its first `limit` bytes."""
        state, entries = self.look(folder)
        for entry in (entries[uid] for uid in uids if uid in entries):
            content = self._readable(
                state, entry, entry.content if entry.size <= limit else partial(entry.beginning, limit)
            )
            if content:
                yield Location(folder, state.uidvalidity, entry.uid), content

    def thread(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """All messages that are linked to `record` or `ids`, in every folder but Drafts, Junk and Trash."""
        start = parse_headers(record.headers)
        candidates = list(self._since((record.received or datetime.now(UTC)) - timedelta(days=_THREAD_DAYS)))
        known: set[str] = set()
        wanted = {start.message_id, *start.in_reply_to, *start.references, *ids}
        found: list[HeaderRecord] = []
        while wanted - known:
            marks = [one.encode("utf-8", "replace") for one in wanted - known]
            known |= wanted
            hits = [one for one in candidates if any(mark in one.headers for mark in marks)]
            taken = {one.location for one in hits}
            candidates = [one for one in candidates if one.location not in taken]
            found += hits
            for hit in hits:
                message = parse_headers(hit.headers)
                wanted |= {message.message_id, *message.in_reply_to, *message.references}
        return found

    def earlier(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """Nothing: `thread` has looked at every message."""
        return []

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """UIDs whose header contains `value`."""
        state, entries = self.look(folder)
        wanted = value.casefold()
        blocks = ((uid, self._header_block(state, entry)) for uid, entry in sorted(entries.items()))
        return [uid for uid, block in blocks if any(wanted in text.casefold() for text in _values(block, name))]

    def vouch(self, location: Location) -> None:  # noqa: B027 - nothing to do is all there is to do
        """There is no server that anything is sent to."""

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Look at the folder twice a second."""
        end = time.monotonic() + seconds
        before = self.signature(folder)
        while time.monotonic() < end and not stopped():
            time.sleep(min(_STEP, max(0.0, end - time.monotonic())))
            if self.signature(folder) != before:
                return True
        return False

    def close(self) -> None:  # noqa: B027  there is nothing to log out of
        """Nothing happens."""

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """For `with`."""
        self.close()

    def _since(self, oldest: datetime) -> Iterator[HeaderRecord]:
        for folder in self.folders():
            if folder.selectable and folder.role not in _NOT_SEARCHED:
                state, entries = self.look(folder.name)
                yield from self._records(state, (entry for entry in entries.values() if entry.received >= oldest))

    def _records(self, state: FolderState, entries: Iterable[Entry]) -> Iterator[HeaderRecord]:
        """Those of the messages that are still there and can be read."""
        for entry in entries:
            block = self._header_block(state, entry)
            if block:
                yield _record(state, entry, block)

    def _header_block(self, state: FolderState, entry: Entry) -> bytes:
        return self._readable(state, entry, partial(_header_block, entry))

    def _readable(self, state: FolderState, entry: Entry, read: Callable[[], bytes]) -> bytes:
        """What `read` gives; nothing of a message that cannot be read."""
        try:
            return read()
        except OSError:
            self._unreadable.append(Location(state.name, state.uidvalidity, entry.uid))
            return b""


def no_folder(name: str, where: object) -> MailboxError:
    """The error for a folder that is not there."""
    return MailboxError(f"There is no folder {name!r} in {where}", cure="Check [accounts.NAME.folders].")


def earlier(known: datetime, other: datetime | None) -> datetime:
    """The earlier of two moments; `known` where the other is none that a clock can have shown."""
    return other if other is not None and _FIRST_CLOCK <= other < known else known


def _record(state: FolderState, entry: Entry, block: bytes) -> HeaderRecord:
    fields = list(_fields(block))
    wanted = b"".join(field for name, field in fields if name in _WANTED)
    place = Location(state.name, state.uidvalidity, entry.uid)
    return HeaderRecord(place, wanted + b"\r\n", entry.flags, earlier(entry.received, _stamped(fields)), entry.size)


def _stamped(fields: Iterable[tuple[bytes, bytes]]) -> datetime | None:
    """When the message arrived, or was written here, by its own headers.

    Synchronising programs and restored backups give a file the time at which they wrote it. The topmost Received field
    is from the last server (RFC 5321, 4.4); what came by none has its Date.
    """
    first: dict[bytes, str] = {}
    for name, field in fields:
        if name in (b"received", b"date"):
            first.setdefault(name, _text(field))
    received = parse_date(first.get(b"received", "").rpartition(";")[2].strip())
    return received or parse_date(first.get(b"date", ""))


def _header_block(entry: Entry) -> bytes:
    size = 16 * 1024
    while True:
        start = entry.beginning(size)
        for end in (b"\n\n", b"\r\n\r\n"):
            head, found, _ = start.partition(end)
            if found:
                return head + b"\n"
        if len(start) < size or size > _MOST_HEADER_BYTES:
            return start
        size *= 8


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(lower-case name, the field with its continuation lines and CRLF line ends)."""
    lines: list[bytes] = []
    for line in [*block.splitlines(), b""]:
        if lines and line[:1] not in (b" ", b"\t"):
            name, colon, _ = lines[0].partition(b":")
            if colon:
                yield name.strip().lower(), b"".join(one + b"\r\n" for one in lines)
            lines = []
        lines.append(line)


def _values(block: bytes, name: str) -> Iterable[str]:
    wanted = name.lower().encode("ascii")
    for found, field in _fields(block):
        if found == wanted:
            yield _text(field)


def _text(field: bytes) -> str:
    return " ".join(field.partition(b":")[2].decode("utf-8", "replace").split())
