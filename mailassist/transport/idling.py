"""One IDLE (RFC 2177) on a session: begun, listened to with or without waiting, ended."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailassist.transport.session import Session

_CHANGES = frozenset(("EXISTS", "EXPUNGE", "FETCH", "VANISHED"))
_BYE = re.compile(rb"\* BYE", re.IGNORECASE)


class Idling:
    """IDLE in the folder that is open. Whoever begins it ends it, or leaves the connection."""

    __slots__ = ("_ended", "_session", "_tag", "untagged")

    def __init__(self, session: Session) -> None:
        """Nothing is sent before `begin`."""
        self._session = session
        self._tag = b""
        self._ended = False  # by the server
        # What came since the last command and before the server's go-ahead, then what came up to the end.
        self.untagged: dict[str, list[bytes]] = {}

    def begin(self) -> None:
        """Send IDLE and wait until it was accepted. Raises Refused, Throttled, BrokenConnection, ConnectionFailed."""
        session = self._session
        imap = session._imap
        with session._connection_errors():
            self._tag = tag = session._send("IDLE", ())
            while imap.tagged_commands[tag] is None and session._next_response() is not None:
                imap._check_bye()
            if imap.tagged_commands[tag] is not None:
                kind, data = imap.tagged_commands.pop(tag)
                session._refuse("IDLE", kind, data[0])
            self.untagged = dict(imap.untagged_responses)

    def line(self, seconds: float) -> bytes | None:
        """The next line, None where none comes within `seconds`. Raises BrokenConnection, ConnectionFailed."""
        session = self._session
        with session._connection_errors():
            if not session._imap.reader.ready(seconds):
                return None
            line: bytes = session._imap._get_line()
            self._note(line)
            return line

    def lines_there(self) -> list[bytes]:
        """The whole lines that are there now, without waiting. Raises BrokenConnection, ConnectionFailed."""
        session = self._session
        with session._connection_errors():
            lines: list[bytes] = session._imap.reader.there()
            for line in lines:
                self._note(line)
        return lines

    @property
    def ended(self) -> bool:
        """Whether the server has ended IDLE by itself."""
        return self._ended

    def end(self) -> None:
        """DONE, and read up to the end of IDLE. Raises BrokenConnection, ConnectionFailed when no answer comes."""
        session = self._session
        imap = session._imap
        with session._connection_errors():
            imap.sock.settimeout(session.settings.read_timeout)
            imap.untagged_responses.clear()
            session._begin_answer()
            if not self._ended:
                imap.send(b"DONE\r\n")
                while imap.tagged_commands[self._tag] is None:
                    session._next_response()
            imap.tagged_commands.pop(self._tag)
            self.untagged = dict(imap.untagged_responses)

    def _note(self, line: bytes) -> None:
        if _BYE.match(line):
            raise imaplib.IMAP4.abort(line[6:].decode("utf-8", "replace"))
        self._ended = self._ended or line.startswith(self._tag + b" ")

    def has_news(self) -> bool:
        """Whether `untagged` tells of a change in the open folder."""
        return not _CHANGES.isdisjoint(self.untagged)


@contextmanager
def idling(session: Session) -> Iterator[Idling]:
    """IDLE for the length of a `with`; `session.news`: whether something came before or after the waiting."""
    one = Idling(session)
    one.begin()
    session.news = one.has_news()
    yield one
    one.end()
    session.news = session.news or one.has_news()
