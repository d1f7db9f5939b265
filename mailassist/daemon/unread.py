"""Messages whose headers the server does not give: they are in the mailbox, and the index cannot have them.

They are found by comparing what lies between two cursors with the index, so that a crash or a broken connection loses
none of them, and whatever the server says instead of headers: NO, BAD, nothing, or what nobody can read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mailassist.daemon.parts import Mailbox
from mailassist.store import index
from mailassist.store.cases import About
from mailassist.store.database import Store
from mailassist.store.looks import Arrived
from mailassist.team.office_time import due
from mailassist.transport.source import Location, MailSource


def not_given(
    source: MailSource, store: Store, account: str, folder: str, first: int, last: int, *, since: float
) -> list[int]:
    """The UIDs in [first, last] of what arrived after `since` and cannot be read.

    Raises MailboxError, ConnectionFailed.
    """
    day = datetime.fromtimestamp(since, UTC).date() - timedelta(days=1)  # SEARCH knows days of any time zone
    known = set(index.uids(store, account, folder, first, last))
    missing = [uid for uid in source.uids(folder, first, last, day) if uid not in known]
    if not missing:
        return []
    given = {record.location.uid for record in source.headers(folder, missing)}  # drafts, and who was forgotten
    source.take_unreadable()
    return [uid for uid in missing if uid not in given]


def unread(mailbox: Mailbox, place: Location, now: float) -> Arrived:
    """Such a message as an arrival: it is tried again, and in the end a person's."""
    key = f"unread {mailbox.name} {place.folder} {place.uidvalidity} {place.uid}"
    about = About(key, (), "", "", due(now, mailbox.policy))
    return Arrived(key, key, place.folder, place.uidvalidity, place.uid, "", now, state="unread", about=about)
