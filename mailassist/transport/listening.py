"""A mailbox that is listened to without a thread that waits: IDLE and NOTIFY begun, heard and ended.

NOTIFY (RFC 5465) tells of all folders on one connection; IDLE (RFC 2177) alone of the one that is open. Where there is
neither, nothing is told, and whoever listens asks for the folders' states now and then. What is heard only means: look.
"""

from __future__ import annotations

import imaplib
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailassist.transport import states
from mailassist.transport.arguments import Argument, UnsafeArgument, group, items, keyword
from mailassist.transport.idling import Idling
from mailassist.transport.imap import ImapSource
from mailassist.transport.session import BrokenConnection, Refused, Session
from mailassist.transport.source import FolderState

Kind = Literal["idle", "notify", "poll"]

_CHANGED = re.compile(rb"\* (?:\d+ (?:EXISTS|EXPUNGE)|VANISHED)\b", re.IGNORECASE)
_ANSWERED = re.compile(
    rb"\* \d+ FETCH .*\\Answered", re.IGNORECASE
)  # of flags, the one that says: a colleague was here
_STATUS = re.compile(rb"\* STATUS (.*)", re.IGNORECASE)
_LITERAL = re.compile(rb"\{\d+\}\r?\n")
_OVERFLOW = re.compile(rb"\* OK \[NOTIFICATIONOVERFLOW", re.IGNORECASE)
_SIGN_OF_LIFE = re.compile(rb"\* OK\b", re.IGNORECASE)
_PROTOCOL = re.compile(rb"[*+] |[*+]\r?\n")
_NEW_MESSAGES = ("MessageNew", "MessageExpunge")


@dataclass(frozen=True, slots=True)
class Heard:
    """What lines have told: folders to look at, whether the server said that it lives, whether more is there."""

    folders: frozenset[str] = frozenset()
    alive: bool = False
    more: bool = False


class Listening:
    """One source and the folders listened to; the first is the one that is open while nothing happens.

    Used by one thread at a time. Everything raises ConnectionFailed where the connection breaks, Throttled where the
    server asks to wait, MailboxError where it does not open the first folder.
    """

    __slots__ = ("_idling", "_skips", "folders", "kind", "known", "source")

    def __init__(self, source: ImapSource, folders: Sequence[str]) -> None:
        """Say to the server what is wanted, where it has NOTIFY. `folders`: at least one."""
        self.source = source
        self.folders = tuple(folders)
        self.known: Mapping[str, FolderState] = {}  # as last told; what differs is news
        self._idling: Idling | None = None
        self._skips = False  # the next line goes on after a literal
        self.kind: Kind = source.on_session(self._way)

    def states(self, folders: Iterable[str]) -> dict[str, FolderState]:
        """Where `folders` stand now, the first one last, so that it stays open; unreadable ones are left out."""
        wanted = frozenset(folders)
        others = [name for name in self.folders[1:] if name in wanted]
        found = self.source.on_session(lambda session: states.states(session, others)) if others else {}
        if self.folders[0] in wanted:
            found[self.folders[0]] = self.source.examine(self.folders[0])
        return found

    def begin(self) -> frozenset[str]:
        """Go to wait, in the first folder, which is open; the folders of which something was told up to now.

        After this the connection is `socket`'s to wait for. Without IDLE nothing is sent.
        """
        session = self.source.on_session(lambda session: session)
        news = self._taken(session)
        if self.kind != "poll":
            idling = Idling(session)
            try:
                idling.begin()
            except Refused:  # it offers IDLE and does not do it
                self.kind = "poll"
            else:
                self._idling = idling
                news |= self._untagged(idling) | self._taken(session)
        return news | self.hear().folders

    def hear(self) -> Heard:
        """The lines that are there, without waiting."""
        session = self._session()
        lines = self._idling.lines_there() if self._idling is not None else _lines_there(session)
        folders: set[str] = set()
        alive = False
        for line in lines:
            folders |= self._news_of(session, line)
            alive = alive or bool(_SIGN_OF_LIFE.match(line))
        if self._idling is not None and self._idling.ended:
            folders.update(self.folders)
        return Heard(frozenset(folders), alive, session._imap.reader.pending())

    def end(self) -> frozenset[str]:
        """Wait no more; the folders of which something was told meanwhile."""
        idling, self._idling = self._idling, None
        session = self._session()
        session._imap.sock.settimeout(session.settings.read_timeout)
        if idling is None:
            return frozenset()
        idling.end()
        return self._untagged(idling) | self._taken(session)

    @property
    def socket(self) -> socket.socket:
        """What a selector waits for. Raises BrokenConnection when the connection is gone."""
        opened: socket.socket = self._session()._imap.sock
        return opened

    def _session(self) -> Session:
        session = self.source.session
        if session is None:
            raise BrokenConnection("The connection to the mail server is gone")
        return session

    def _way(self, session: Session) -> Kind:
        if not session.offers("IDLE"):
            return "poll"
        return "notify" if session.offers("NOTIFY") and self._notify(session) else "idle"

    def _notify(self, session: Session) -> bool:
        """NOTIFY SET for all folders; whether the server does it. It may know the command and not the events."""
        try:
            names = group(*(_plain(session.folder_argument(name)) for name in self.folders))
        except UnsafeArgument:
            return False
        events = items(_NEW_MESSAGES)
        opened = group(keyword("selected-delayed"), items([*_NEW_MESSAGES, "FlagChange"]))
        try:
            session.run("NOTIFY", keyword("SET"), opened, group(keyword("mailboxes"), names, events))
        except Refused:  # NO, or BAD [BADEVENT ...]
            return False
        session.keeps_status = True
        return True

    def _news_of(self, session: Session, line: bytes) -> set[str]:
        if self._skips:
            self._skips = bool(_LITERAL.search(line))
            return set()
        if _CHANGED.match(line) or _ANSWERED.match(line):
            return {self.folders[0]}
        if told := _STATUS.match(line):
            if _LITERAL.search(line):
                self._skips = True
                return set(self.folders)
            return self._differing([told[1]])
        if _OVERFLOW.match(line):
            session.overflowed = True
        elif not _PROTOCOL.match(line) and not (self._idling is not None and self._idling.ended):
            raise BrokenConnection(f"{session.host} sends what is no IMAP")
        return set(self.folders) if session.overflowed and self.kind == "notify" and self._falls_back() else set()

    def _falls_back(self) -> bool:
        self.kind = "idle"
        return True

    def _taken(self, session: Session) -> frozenset[str]:
        """What STATUS has told unasked, with the answers to other commands."""
        if self.kind != "notify":
            return frozenset()
        found = self._differing(session.take_statuses())
        if session.overflowed or not session.keeps_status:  # it gave up, or this is another connection than we knew
            self.kind = "idle"
            return frozenset(self.folders)
        return frozenset(found)

    def _differing(self, lines: Sequence[bytes]) -> set[str]:
        told = states.read(lines, self.folders)
        return {name for name, state in told.items() if states.differ(self.known.get(name), state)}

    def _untagged(self, idling: Idling) -> frozenset[str]:
        flags = [line for line in idling.untagged.get("FETCH", []) if isinstance(line, bytes)]
        answered = any(b"\\answered" in line.lower() for line in flags)
        changed = not idling.untagged.keys().isdisjoint(("EXISTS", "EXPUNGE", "VANISHED"))
        return frozenset(self.folders[:1] if changed or answered else ())


def _plain(name: object) -> Argument:
    if not isinstance(name, Argument):
        raise UnsafeArgument("A folder's name that goes out as a literal cannot be part of NOTIFY")
    return name


def _lines_there(session: Session) -> list[bytes]:
    with session._connection_errors():
        lines: list[bytes] = session._imap.reader.there()
        for line in lines:
            if line.upper().startswith(b"* BYE"):
                raise imaplib.IMAP4.abort(line[6:].decode("utf-8", "replace"))
    return lines
