"""Finding our own copy again in Sent or Drafts: by own header, by Message-ID, by fingerprint.

Servers rewrite Message-IDs, some cannot search a header they do not know, some index late: so all three are asked, and
the newest messages are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailassist.delivery.identifiers import fingerprint
from mailassist.errors import CannotStore, MailboxError
from mailassist.mail.compose import OWN_HEADER
from mailassist.mail.parse import parse_headers
from mailassist.transport.source import HeaderRecord, Location, MailSource, Role

_NEWEST = 50  # headers looked at where searching finds nothing
_READ = 10  # of these, messages whose fingerprint is compared


@dataclass(frozen=True, slots=True)
class Wanted:
    """What our copy can be known by."""

    own_id: str
    message_ids: Sequence[str]
    fingerprint: str


def folder_of(source: MailSource, role: Role) -> str:
    """The name of the folder for `role`. Raises CannotStore when the mailbox has none."""
    for folder in source.folders():
        if folder.role == role and folder.selectable:
            return folder.name
    raise CannotStore(
        f"The mailbox has no {role.capitalize()} folder", cure=f'Name it: [accounts.NAME.folders] {role} = "...".'
    )


def find(source: MailSource, folder: str, wanted: Wanted, *, only_marked: bool = False) -> list[Location]:
    """Every copy in `folder`, oldest first; by its fingerprint only where nothing else finds it.

    `only_marked`: it must carry our header then too, since a person may have written the same; for what is removed.
    Raises ConnectionFailed.
    """
    state = source.examine(folder)
    uids = set(_search(source, folder, OWN_HEADER, wanted.own_id))
    for message_id in wanted.message_ids:
        uids |= set(_search(source, folder, "Message-ID", message_id))
    found = [one.location for one in source.headers(folder, sorted(uids)) if _is_ours(one, wanted)] if uids else []
    if not found:
        newest = source.newest_headers(folder, _NEWEST)
        found = [one.location for one in newest if _is_ours(one, wanted)]
        if not found:
            likely = [one for one in newest if not only_marked or parse_headers(one.headers).header(OWN_HEADER)]
            found = _by_fingerprint(source, folder, likely, wanted)
    return sorted((one for one in found if one.uidvalidity == state.uidvalidity), key=lambda one: one.uid)


def fingerprint_at(source: MailSource, location: Location) -> str:
    """The fingerprint of the message at `location`, "" when it is not there any more or marked as deleted."""
    raw = source.standing(location)
    return "" if raw is None else fingerprint(raw)


def holds(source: MailSource, location: Location, raw: bytes, text: str) -> bool:
    """Whether `raw`, of which `text` is the fingerprint, lies at `location`; servers may have rewritten it."""
    there = source.standing(location)
    return there is not None and (there == raw or fingerprint(there) == text)


def _search(source: MailSource, folder: str, name: str, value: str) -> list[int]:
    try:
        return source.search_header(folder, name, value)
    except MailboxError:
        return []  # iCloud: NO for a header it does not index; the newest messages are looked at instead


def _is_ours(record: HeaderRecord, wanted: Wanted) -> bool:
    message = parse_headers(record.headers)
    known = message.header(OWN_HEADER) == wanted.own_id or message.message_id in wanted.message_ids
    return known and _stands(record)


def _stands(record: HeaderRecord) -> bool:
    """Without UIDPLUS a removed message stays, marked: for us it is gone."""
    return "\\Deleted" not in record.flags


def _by_fingerprint(source: MailSource, folder: str, newest: Sequence[HeaderRecord], wanted: Wanted) -> list[Location]:
    uids = [record.location.uid for record in newest[:_READ] if _stands(record)]
    if not uids:
        return []
    return [place for place, raw in source.raw(folder, uids) if fingerprint(raw) == wanted.fingerprint]
