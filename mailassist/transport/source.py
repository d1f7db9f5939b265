"""Where mail comes from: one interface for an IMAP server, a Maildir and an mbox file.

Folder names are Unicode here (modified UTF-7 stays inside the IMAP source). UIDs are integers that mean something only
together with a folder and its UIDVALIDITY (RFC 3501, 2.3.1.1). Nothing here ever sets \\Seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class Role(StrEnum):
    """What a folder is for (RFC 6154)."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    ARCHIVE = "archive"
    TRASH = "trash"
    JUNK = "junk"
    ALL = "all"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as the server lists it."""

    name: str
    role: Role
    selectable: bool = True


@dataclass(frozen=True, slots=True)
class FolderState:
    """What EXAMINE says: the cursor's epoch and position."""

    name: str
    uidvalidity: int
    uidnext: int
    exists: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where one copy of a message lies."""

    folder: str
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class HeaderRecord:
    """The headers of one message and what the server knows of it; the body was not fetched."""

    location: Location
    headers: bytes  # the raw header fields of HEADER_FIELDS, as sent; empty where only flags were asked for
    flags: frozenset[str] = frozenset()  # "\\Answered", "\\Seen", "\\Draft", ...
    received: datetime | None = None  # INTERNALDATE
    size: int = 0  # RFC822.SIZE
    thread_id: str = ""  # X-GM-THRID or THREADID; "" where the server has none
    server_id: str = ""  # X-GM-MSGID or EMAILID; "" where the server has none
    labels: frozenset[str] = frozenset()  # X-GM-LABELS; on Gmail, which folders it is in


# What is fetched of every message for the index: enough to thread, to tell who waits, and to show a list.
HEADER_FIELDS = (
    "MESSAGE-ID", "IN-REPLY-TO", "REFERENCES", "SUBJECT", "DATE", "FROM", "SENDER", "REPLY-TO", "TO", "CC",
    "AUTO-SUBMITTED", "PRECEDENCE", "LIST-ID", "LIST-POST", "LIST-UNSUBSCRIBE", "RETURN-PATH", "CONTENT-TYPE",
    "X-AUTO-RESPONSE-SUPPRESS", "X-AUTOREPLY", "X-FAILED-RECIPIENTS", "FEEDBACK-ID", "THREAD-INDEX", "X-MAILASSIST-ID",
)  # fmt: skip


class MailSource(Protocol):
    """A mailbox that can be read, and, for drafts and flags, written. Used by one thread at a time."""

    @property
    def gmail(self) -> bool:
        """Whether it has Gmail's extensions: labels, X-GM-THRID, one \\All folder that holds each message once."""
        ...

    def folders(self) -> Sequence[Folder]:
        """Every folder, with its role; found once per connection."""
        ...

    def examine(self, folder: str) -> FolderState:
        """Open `folder` read-only (EXAMINE). Raises MailboxError when it is not there."""
        ...

    def state(self, folder: str) -> FolderState:
        """The same, without opening it where it can be told so (STATUS)."""
        ...

    def uids(self, folder: str, first: int, last: int, since: date | None = None) -> list[int]:
        """The UIDs in [first, last] that exist, ascending; `since`: of what arrived on that day or later."""
        ...

    def headers(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Headers of `uids` of `folder`, fetched in batches, in any order; a missing UID is gone: left out."""
        ...

    def flags(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Flags and labels alone of `uids`, which no server reads a message for; a missing UID is gone: left out."""
        ...

    def take_unreadable(self) -> list[Location]:
        """What headers, bodies and look-ups have left out since the last call: the server fails at each of them."""
        ...

    def newest_headers(self, folder: str, count: int) -> list[HeaderRecord]:
        """Headers of the `count` messages that arrived last, newest first, in one round trip after EXAMINE."""
        ...

    def raw(self, folder: str, uids: Sequence[int], *, limit: int = ...) -> Iterator[tuple[Location, bytes]]:
        """Whole messages (BODY.PEEK[]); of one over `limit` bytes only headers and text parts are fetched."""
        ...

    def standing(self, location: Location) -> bytes | None:
        """The whole message that lies at `location` now; None when it is gone, renumbered, or marked as deleted.

        Without UIDPLUS a removed message stays, marked.
        """
        ...

    def thread(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """Cold look-up: headers of all copies of the conversation that `record` and the msg-ids `ids` belong to, from
        every folder where it lives (not Drafts, Junk, Trash). By X-GM-THRID, THREADID, or searches bounded by date.
        """
        ...

    def earlier(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """Headers of the messages `ids` that `thread` did not find for `record`. Slow in a large mailbox."""
        ...

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """UIDs of `folder` whose header `name` contains `value`; for finding our own drafts and sent replies again."""
        ...

    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        """APPEND with `flags` set in the same command; where it went, if the server says (APPENDUID)."""
        ...

    def remove(self, location: Location) -> bool:
        """Move one message to Trash (UID MOVE, else COPY + \\Deleted + UID EXPUNGE; never a plain EXPUNGE).

        False when it was not there any more (gone, or the folder's UIDVALIDITY changed).
        """
        ...

    def vouch(self, location: Location) -> None:
        """Say that the message at `location` is one that we appended, as the store's records or its own header and
        fingerprint show: a connection that may take away nothing else (`transport.permitted`) goes by it.
        """
        ...

    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        """Add flags such as \\Answered; False when the message is gone."""
        ...

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Wait for a hint that `folder` changed (IDLE, else NOOP polling); True: look with the cursor. May be early."""
        ...

    def close(self) -> None:
        """Log out; never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
