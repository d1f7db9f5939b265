"""What a connection may send at most: an allow-list of IMAP commands, looked at before a byte leaves.

The daemon reads every folder and writes drafts; nothing else of it ever reaches a mail server. `Session._send`, through
which every command goes, asks here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.errors import MailassistError
from mailassist.transport.arguments import Argument, Literal
from mailassist.transport.source import FolderState, Location

Name = Argument | Literal
Parts = Sequence[Name]

_READING = frozenset((
    "CAPABILITY", "STARTTLS", "LOGIN", "AUTHENTICATE", "ID", "ENABLE", "NAMESPACE", "LIST", "XLIST", "LSUB", "STATUS",
    "EXAMINE", "UNSELECT", "NOOP", "IDLE", "NOTIFY", "SEARCH", "LOGOUT",
))  # fmt: skip
# What of a message may be asked for: nothing that sets \Seen (RFC 3501, 6.4.5), so BODY.PEEK[ and never BODY[.
_ITEM = re.compile(
    r"UID|FLAGS|INTERNALDATE|ENVELOPE|BODYSTRUCTURE|RFC822\.SIZE|MODSEQ|X-GM-(?:THRID|MSGID|LABELS)|THREADID|EMAILID"
    r"|BODY\.PEEK\[[A-Z0-9.\- ()]*\](?:<\d+\.\d+>)?",
    re.IGNORECASE,
)
_ONE_UID = re.compile(rb"([1-9]\d{0,9})")
_DELETED = (b"+FLAGS", b"(\\Deleted)")


class NotPermitted(MailassistError):
    """This connection may not send that command; nothing was sent."""


class ReadOnly:
    """Reading only: folders are opened by EXAMINE, bodies fetched by BODY.PEEK."""

    def check(self, writable: FolderState | None, name: str, parts: Parts) -> None:
        """Raise NotPermitted unless the command may leave; `writable`: the folder that is open for writing, if any."""
        word = name.upper()
        if word == "UID" and parts:
            word, parts = f"UID {parts[0].decode('ascii', 'replace').upper()}", parts[1:]
        if word in _READING or word == "UID SEARCH" or (word in ("FETCH", "UID FETCH") and _only_peeks(parts)):
            return
        if not self._may_write(writable, word, parts):
            raise NotPermitted(f"This connection may not send {word}; nothing was sent")

    def knows(self, drafts: str, as_sent: Name | None, trash_as_sent: Name | None) -> None:
        """Hear which folder is Drafts, and how it and Trash are written in a command; "" and None for none."""

    def appended(self, location: Location) -> None:
        """Hear where the server says that an APPEND went."""

    def vouch(self, location: Location) -> None:
        """Hear that the store's records say that we appended the message at `location`."""

    def _may_write(self, writable: FolderState | None, word: str, parts: Parts) -> bool:
        return False


class DraftsOnly(ReadOnly):
    """Reading, APPEND to Drafts, and taking away from Drafts what we appended ourselves.

    Ours is what APPENDUID told on this connection, and what the caller vouches for. No folder is ever made.
    """

    def __init__(self) -> None:
        """Nothing may be written before the folders were listed."""
        self._drafts = ""
        self._drafts_as_sent: Name | None = None
        self._trash_as_sent: Name | None = None
        self._ours: set[Location] = set()

    def knows(self, drafts: str, as_sent: Name | None, trash_as_sent: Name | None) -> None:
        """See `ReadOnly`. An INBOX that calls itself Drafts is not written to."""
        usable = drafts.upper() != "INBOX"
        self._drafts, self._drafts_as_sent = (drafts, as_sent) if usable else ("", None)
        self._trash_as_sent = trash_as_sent

    def appended(self, location: Location) -> None:
        """See `ReadOnly`."""
        self.vouch(location)

    def vouch(self, location: Location) -> None:
        """See `ReadOnly`. A place outside Drafts stays as closed as it was."""
        self._ours.add(location)

    def _may_write(self, writable: FolderState | None, word: str, parts: Parts) -> bool:
        if word in ("SELECT", "APPEND"):
            return bool(parts) and _is(parts[0], self._drafts_as_sent)
        if writable is None or writable.name != self._drafts or not parts or not (uid := _ONE_UID.fullmatch(parts[0])):
            return False
        if Location(writable.name, writable.uidvalidity, int(uid[1])) not in self._ours:
            return False
        if word in ("UID MOVE", "UID COPY"):
            return len(parts) == 2 and _is(parts[1], self._trash_as_sent)
        return (word == "UID STORE" and tuple(parts[1:]) == _DELETED) or (word == "UID EXPUNGE" and len(parts) == 1)


def _is(part: Name, wanted: Name | None) -> bool:
    """Whether both name the same folder: the same bytes mean another one as a literal."""
    return wanted is not None and type(part) is type(wanted) and part == wanted


def _only_peeks(parts: Parts) -> bool:
    """Whether a FETCH asks for known things only, none of which marks a message as read."""
    if len(parts) != 2 or any(isinstance(part, Literal) for part in parts):
        return False
    wanted = parts[1].decode("ascii", "replace")
    wanted = wanted[1:-1] if wanted.startswith("(") and wanted.endswith(")") else wanted
    at = 0
    while match := _ITEM.match(wanted, at):
        if match.end() == len(wanted):
            return True
        if wanted[match.end()] != " ":
            return False
        at = match.end() + 1
    return False
