"""Where folders stand without opening them: STATUS, LIST-STATUS, and what NOTIFY tells unasked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mailassist.transport.arguments import Argument, group, items, keyword
from mailassist.transport.folders import decoded_name
from mailassist.transport.session import Refused, Session
from mailassist.transport.source import FolderState

_WANTED = ("MESSAGES", "UIDNEXT", "UIDVALIDITY")
_STATUS = re.compile(rb'("(?:[^"\\]|\\.)*"|[^\s("{]+) \(([^()]*)\)')
_ESCAPED = re.compile(rb'\\(["\\])')
_PAIR = re.compile(rb"([A-Z]+) (\d{1,20})\b")


def states(session: Session, names: Sequence[str]) -> dict[str, FolderState]:
    """The folders' states; one that the server does not tell of (gone, forbidden) is left out.

    In one command where the server can (RFC 5819, 5258). Raises Throttled, ConnectionFailed.
    """
    found: dict[str, FolderState] = {}
    sent = [session.folder_argument(name) for name in names if not any(mark in name for mark in "*%")]
    together = [name for name in sent if isinstance(name, Argument)]
    if len(together) > 1 and session.offers("LIST-STATUS") and session.offers("LIST-EXTENDED"):
        asked = group(keyword("STATUS"), items(_WANTED))
        try:
            answer = session.run("LIST", Argument(b'""'), group(*together), keyword("RETURN"), asked)
        except Refused:
            answer = {}
        found |= read(answer.get("STATUS", []), names)
    for name in names:
        if name not in found:
            try:
                answer = session.run("STATUS", session.folder_argument(name), items(_WANTED))
            except Refused:
                continue
            found |= read(answer.get("STATUS", []), names)
    return found


def read(lines: Iterable[object], names: Sequence[str]) -> dict[str, FolderState]:
    """What STATUS responses, without `* STATUS `, tell of the folders `names`; 0 for what they do not tell."""
    known = {_folded(name): name for name in names}
    found: dict[str, FolderState] = {}
    for line in lines:
        match = _STATUS.match(line) if isinstance(line, bytes) else None
        if match is None:
            continue
        word = match[1]
        name = known.get(_folded(decoded_name(_ESCAPED.sub(rb"\1", word[1:-1]) if word[:1] == b'"' else word)))
        if name is not None:
            told = {key: int(value) for key, value in _PAIR.findall(match[2].upper())}
            found[name] = FolderState(
                name, told.get(b"UIDVALIDITY", 0), told.get(b"UIDNEXT", 0), told.get(b"MESSAGES", 0)
            )
    return found


def differ(one: FolderState | None, other: FolderState | None) -> bool:
    """Whether something arrived, went, or was renumbered between the two; a UIDNEXT or UIDVALIDITY of 0 is unknown."""
    if one is None or other is None:
        return (one is None) != (other is None)
    pairs = ((one.uidvalidity, other.uidvalidity), (one.uidnext, other.uidnext))
    return one.exists != other.exists or any(a != b and a and b for a, b in pairs)


def _folded(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name
