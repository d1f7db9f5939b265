"""The newest conversation that waits, straight from the server, with nothing of ours stored: few commands, no index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailassist.config import Account
from mailassist.errors import NothingWaiting
from mailassist.intake.folders import inbox_folders
from mailassist.intake.grouping import containing, conversations
from mailassist.intake.pull import Pulled, from_records, linked_ids, with_earlier
from mailassist.intake.records import index_row, is_draft
from mailassist.intake.waiting import Judge
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.parse import parse_headers
from mailassist.store.database import Store
from mailassist.transport.source import HeaderRecord, Location, MailSource

NEWEST = (50, 500)  # messages of the inbox that are looked at: first a few, then more
MOST_LOOKUPS = 20  # conversations followed before giving up: each is a search


def pull_latest(
    source: MailSource, store: Store, name: str, account: Account, own: OwnAddresses, *, now: Callable[[], float]
) -> Pulled:
    """The newest waiting conversation, whole. Raises NothingWaiting.

    The inbox is read and a candidate's conversation followed; only then is it known whether a later answer lies in
    Sent. If so, the next candidate is tried. `store` is asked for skipped and answered messages only.
    """
    roles = {folder.name: folder.role.value for folder in source.folders()}
    judge = Judge.of(store, name, account, own, now(), roles)
    known: set[str] = set()
    tried = 0
    for candidate in _candidates(source, judge):
        message = parse_headers(candidate.headers)
        if message.message_id in known:
            continue
        if tried == MOST_LOOKUPS:
            break
        tried += 1
        records = _with(candidate, source.thread(candidate, linked_ids(candidate)))
        rows = [index_row(name, record) for record in records if not is_draft(record.flags, record.labels)]
        found = containing(conversations(rows, own), message.message_id)
        assert found is not None, "the candidate is among the rows"
        conversation, copies = found
        known.update(entry.message.message_id for entry in conversation.entries)
        if conversation.newest.message.message_id == message.message_id and not judge.at_a_glance(conversation, copies):
            return from_records(source, with_earlier(source, candidate, records), own, message.message_id)
    raise NothingWaiting(cure="After `mailassist sync`, `mailassist list --all` says of each conversation why.")


def _candidates(source: MailSource, judge: Judge) -> Iterator[HeaderRecord]:
    """Messages of the inboxes that may wait as far as they show it themselves, newest first."""
    inboxes = [folder.name for folder in inbox_folders(source, judge.account.folders)]
    seen: set[Location] = set()
    for count in NEWEST:
        records: list[HeaderRecord] = []
        for folder in inboxes:
            if source.examine(folder).exists > len([place for place in seen if place.folder == folder]):
                records += source.newest_headers(folder, count)
        records.sort(key=lambda record: index_row(judge.name, record).date, reverse=True)
        for record in records:
            if record.location not in seen and judge.may_wait(record):
                yield record
        seen.update(record.location for record in records)


def _with(candidate: HeaderRecord, found: list[HeaderRecord]) -> list[HeaderRecord]:
    """The conversation with the candidate itself, should the server's search not find it."""
    return found if any(record.location == candidate.location for record in found) else [*found, candidate]
