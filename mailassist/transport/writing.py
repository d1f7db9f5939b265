"""The few commands that change a mailbox: APPEND, moving to Trash, flags. Never EXPUNGE without UID, never repeated."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.errors import CannotStore, MailboxError
from mailassist.transport.arguments import Literal, flags, keyword, number
from mailassist.transport.session import Answer, Refused, Session
from mailassist.transport.source import Location

_TROUBLE_OF_THE_SERVER = ("[UNAVAILABLE]", "[SERVERBUG]", "[CONTACTADMIN]", "[INUSE]")  # RFC 5530, section 3
_STORAGE = re.compile(r"\bSTORAGE (\d{1,18}) (\d{1,18})", re.IGNORECASE)
_NEEDED = {"i": "store messages", "t": "delete messages", "e": "expunge"}  # rights of RFC 4314, section 2.1
_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]", re.IGNORECASE)
_NEEDED_AFTER_APPEND = "TRYCREATE"


def append(session: Session, name: str, raw: bytes, wanted: Sequence[str]) -> Location | None:
    """APPEND with the flags in the same command; where it went (RFC 4315), if the server says.

    Raises MailboxError (over quota, read-only, too large), BrokenConnection (it may have happened).
    """
    session.offers("LITERAL+")  # asked before, never between a command and its literal
    parts = (session.folder_argument(name), *([flags(wanted)] if wanted else []), Literal(raw))
    try:
        answer = session.run("APPEND", *parts)
    except Refused as error:
        if _NEEDED_AFTER_APPEND not in error.text.upper():
            raise _not_stored(session, name, error) from error
        if session.permit is not None:
            raise no_folder(session.host, name) from error
        session.run("CREATE", session.folder_argument(name))
        answer = session.run("APPEND", *parts)
    place = _appended(answer, name)
    if session.permit is not None and place is not None:
        session.permit.appended(place)
    return place


def why_not(session: Session, name: str) -> str:
    """Why a message cannot be stored in a folder or taken away again, in plain words, as far as a server tells it
    without storing one; "" where nothing speaks against it.

    SELECT may say READ-ONLY (RFC 3501, 7.1); MYRIGHTS must have insert, delete and expunge (RFC 4314), the quota of
    storage must not be used up (RFC 9208). Raises MailboxError, ConnectionFailed.
    """
    folder = session.folder_argument(name)
    session.selected = None
    try:
        answer = session.run("SELECT", folder)
        rights = session.run("MYRIGHTS", folder) if session.offers("ACL") else {}
        quota = session.run("GETQUOTAROOT", folder) if session.offers("QUOTA") else {}
    except Refused as error:
        return error.text
    if "READ-ONLY" in answer or "[READ-ONLY]" in _text(answer["tagged"][-1]).upper():
        return "it is read-only"
    mine = set(_text(rights["MYRIGHTS"][-1]).split()[-1]) if rights.get("MYRIGHTS") else set("ite")
    missing = [word for right, word in _NEEDED.items() if right not in mine]
    if missing:
        return f"this login may not {', '.join(missing)} there (its rights: {''.join(sorted(mine))})"
    for line in map(_text, quota.get("QUOTA", [])):
        storage = _STORAGE.search(line)
        if storage is not None and int(storage[1]) >= int(storage[2]) > 0:
            return f"the mailbox is full ({storage[1]} of {storage[2]} KiB)"
    return ""


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def no_folder(host: str, name: str) -> CannotStore:
    """The error for a folder that is not there, on a connection that makes none."""
    return CannotStore(
        f"{host} has no folder {name!r}, and this connection makes none",
        cure="Make the folder in a mail program, or name another one under [accounts.NAME.folders].",
    )


def remove(session: Session, place: Location, trash: str) -> bool:
    """Move one message to `trash`; without a Trash it is deleted. False when it was not there.

    UID MOVE (RFC 6851), else UID COPY, \\Deleted and UID EXPUNGE (RFC 4315); without UIDPLUS it stays marked.
    """
    if not _open_for(session, place):
        return False
    uid = number(place.uid)
    if trash and trash != place.folder:
        if session.offers("MOVE"):
            session.run("UID", keyword("MOVE"), uid, session.folder_argument(trash))
            return True
        session.run("UID", keyword("COPY"), uid, session.folder_argument(trash))
    session.run("UID", keyword("STORE"), uid, keyword("+FLAGS"), flags(["\\Deleted"]))
    if session.offers("UIDPLUS"):
        session.run("UID", keyword("EXPUNGE"), uid)
    return True


def add_flags(session: Session, place: Location, wanted: Sequence[str]) -> bool:
    """Add flags; False when the message is gone."""
    if not _open_for(session, place):
        return False
    session.run("UID", keyword("STORE"), number(place.uid), keyword("+FLAGS.SILENT"), flags(wanted))
    return True


def _open_for(session: Session, place: Location) -> bool:
    """SELECT the folder; whether the message still is the one that `place` meant."""
    state = session.open_folder(place.folder, writable=True)
    return state.uidvalidity == place.uidvalidity and session.search(first=place.uid, last=place.uid) != []


def _appended(answer: Answer, name: str) -> Location | None:
    match = _APPENDUID.search(answer["tagged"][0])
    return Location(name, int(match[1]), int(match[2])) if match else None


def _not_stored(session: Session, name: str, error: Refused) -> MailboxError:
    text = error.text.upper()
    cure, kind = "Nothing was stored.", MailboxError
    if "OVERQUOTA" in text or "QUOTA" in text:
        cure, kind = "The mailbox is full: make room and try again; nothing was stored.", CannotStore
    elif "TOOBIG" in text or "MAXIMUM SIZE" in text or "TOO LARGE" in text:
        cure = "The message is too large for this server; nothing was stored."
    elif "READ-ONLY" in text or "NOPERM" in text or "ACL" in text:
        cure, kind = "The folder cannot be written; name another one under [accounts.NAME.folders].", CannotStore
    elif any(code in text for code in _TROUBLE_OF_THE_SERVER):
        kind = CannotStore
    return kind(f"{session.host} does not store the message in {name!r}: {error.text}", cure=cure)
