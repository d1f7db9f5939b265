"""The daemon's copies of a draft in the Drafts folder, as another process finds them: untouched, edited, or gone.

A copy is ours only with our own header and the text that we put there; everything else is a person's and stays.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

from mailassist.delivery.lookup import Wanted, find, fingerprint_at, folder_of
from mailassist.errors import MailboxError
from mailassist.mail.parse import parse_headers
from mailassist.transport.source import Location, MailSource, Role

_NEWEST = 100  # drafts that are looked at

Condition = Literal["untouched", "edited", "gone"]


class Copy(Protocol):
    """What is known of a copy."""

    @property
    def folder(self) -> str:
        """Where it was put; "" where its APPEND broke off."""
        ...

    @property
    def uidvalidity(self) -> int | None:
        """The epoch of `uid`."""
        ...

    @property
    def uid(self) -> int | None:
        """Where it lay then."""
        ...

    @property
    def own_id(self) -> str:
        """Our own header."""
        ...

    @property
    def message_id(self) -> str:
        """Its Message-ID, as we wrote it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of what we wrote."""
        ...


def look_at(source: MailSource, copy: Copy) -> tuple[Condition, Location | None]:
    """What has become of a copy, and where it lies where it is untouched. Raises MailboxError, ConnectionFailed."""
    folder = copy.folder or folder_of(source, Role.DRAFTS)
    if copy.uid is not None and copy.uidvalidity is not None:
        place = Location(folder, copy.uidvalidity, copy.uid)
        if fingerprint_at(source, place) == copy.fingerprint:
            return "untouched", place
    ids = [copy.message_id] if copy.message_id else []
    found = find(source, folder, Wanted(copy.own_id, ids, copy.fingerprint), only_marked=True)
    for place in found:
        if fingerprint_at(source, place) == copy.fingerprint:
            return "untouched", place
    return ("edited", None) if found else ("gone", None)


def take_away(source: MailSource, place: Location, copy: Copy) -> bool:
    """Move an untouched copy to Trash; False where it is not there any more, or not as we put it there."""
    return fingerprint_at(source, place) == copy.fingerprint and source.remove(place)


def others(source: MailSource, answers: str, ours: Collection[Location] = ()) -> list[Location]:
    """Drafts that answer the message `answers` and are not `ours`: somebody is writing, or has edited ours."""
    folder = folder_of(source, Role.DRAFTS)
    source.examine(folder)
    try:
        uids = source.search_header(folder, "In-Reply-To", answers)
    except MailboxError:  # a server that does not search this header: the newest drafts are looked at
        uids = []
    records = [*(source.headers(folder, uids) if uids else ()), *source.newest_headers(folder, _NEWEST)]
    return list(
        dict.fromkeys(
            record.location
            for record in records
            if "\\Deleted" not in record.flags
            and record.location not in ours
            and answers in parse_headers(record.headers).in_reply_to
        )
    )
