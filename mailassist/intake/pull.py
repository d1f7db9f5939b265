"""One whole conversation with its texts, from every folder where it lies: from the index, or cold from the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from mailassist.config import Account
from mailassist.errors import MailboxError
from mailassist.intake.folders import conversation_folders
from mailassist.intake.grouping import by_message, containing, conversations, genuine
from mailassist.intake.records import index_row, is_draft, location
from mailassist.intake.waiting import Judge
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_headers, parse_message
from mailassist.mail.threads import Conversation, thread
from mailassist.store import index, texts
from mailassist.store.database import Store
from mailassist.store.forgotten import Forgotten
from mailassist.store.index import IndexRow
from mailassist.transport.source import HeaderRecord, Location, MailSource

DAY = 86_400.0
Places = dict[str, tuple[Location, ...]]  # the copies of each message, by Message-ID


@dataclass(frozen=True, slots=True)
class Pulled:
    """A conversation with everything that is known of it."""

    conversation: Conversation
    locations: Mapping[str, tuple[Location, ...]]  # where the copies of each message lie, by Message-ID
    raw: Mapping[str, bytes]  # the messages as sent, by Message-ID
    missing: tuple[str, ...] = ()  # messages that are in the index but could not be fetched
    unknown: int = 0  # messages of it that could not be had, not even as the quoted text of an answer


def pull(
    source: MailSource,
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    message_id: str,
    *,
    now: Callable[[], float],
) -> Pulled:
    """The conversation of `message_id`.

    From the index where it knows the message: no search, only bodies that are not kept are fetched, one EXAMINE and
    one FETCH a folder. Where the index does not know it or is out of date: one look-up on the server. Raises
    MailboxError when the message is nowhere, or the server fails at it.
    """
    known = _indexed(store, name, own, message_id)
    if known is not None:
        keeps = account.sync.keep_text != "none"
        kept = texts.get(store, name, known.places, now=now()) if keeps else {}
        fetched = fetch(source, {one: places for one, places in known.places.items() if one not in kept})
        unreadable = _unreadable(source, known.places, message_id, fetched)
        pulled = _pulled({**kept, **fetched}, known.places, own, message_id, known.ids)
        if pulled is not None and unreadable.issuperset(pulled.missing):
            _keep(store, name, account, own, known, fetched, now())
            return pulled
    record = _known_record(store, name, known, message_id) or _search(source, account, message_id)
    records = source.thread(record, linked_ids(record))
    return from_records(source, with_earlier(source, record, records), own, message_id)


def pull_kept(
    store: Store, name: str, own: OwnAddresses, message_id: str, *, now: Callable[[], float]
) -> Pulled | None:
    """The conversation from the store alone, without a connection; None where a text is not kept."""
    known = _indexed(store, name, own, message_id)
    if known is None:
        return None
    kept = texts.get(store, name, known.places, now=now())
    pulled = _pulled(kept, known.places, own, message_id, known.ids)
    return pulled if pulled is not None and not pulled.missing else None


def with_earlier(source: MailSource, record: HeaderRecord, found: list[HeaderRecord]) -> list[HeaderRecord]:
    """What a look-up for `record` has found, and the messages that it names and did not find.

    A search of everything, for a conversation that is wanted: not for each that is looked at. A server that groups
    conversations itself has told all of them.
    """
    if record.thread_id:
        return found
    messages = [parse_headers(one.headers) for one in found]
    known = {message.message_id for message in messages}
    missing = [one for one in _named(messages) if one not in known]
    return [*found, *source.earlier(record, missing)] if missing else found


def from_records(source: MailSource, records: Iterable[HeaderRecord], own: OwnAddresses, message_id: str) -> Pulled:
    """The conversation of `message_id` among headers that a cold look-up found; bodies of that conversation only.

    Raises MailboxError when the message is not among them, gone by now, or the server fails at it.
    """
    rows = [index_row("", record) for record in records if not is_draft(record.flags, record.labels)]
    found = containing(conversations(rows, own), message_id)
    places = places_of(found[1] if found else ())
    raw = fetch(source, places)
    _unreadable(source, places, message_id, raw)
    pulled = _pulled(raw, places, own, message_id, {row.message_id for row in rows})
    if pulled is None:
        raise MailboxError(f"The message {message_id} is not in the mailbox any more", cure="Run `mailassist sync`.")
    return pulled


def fetch(source: MailSource, wanted: Places) -> dict[str, bytes]:
    """The bodies of messages, by Message-ID: from as few folders as possible; what is gone is left out."""
    found: dict[str, bytes] = {}
    left = {message_id: list(places) for message_id, places in wanted.items()}
    while left:
        folders = Counter(folder for places in left.values() for folder in dict.fromkeys(one.folder for one in places))
        if not folders:
            break
        folder = folders.most_common(1)[0][0]
        uids = {place: message_id for message_id, places in left.items() for place in places if place.folder == folder}
        for place, raw in source.raw(folder, sorted({place.uid for place in uids})):
            message_id = uids.get(place, "")
            if message_id and message_id not in found and parse_headers(raw).message_id == message_id:
                found[message_id] = raw
        left = {
            message_id: [place for place in places if place.folder != folder]
            for message_id, places in left.items()
            if message_id not in found
        }
    return found


def _unreadable(source: MailSource, places: Places, message_id: str, raw: Mapping[str, bytes]) -> set[str]:
    """The messages that are not in `raw` because the server fails at them. Raises MailboxError for `message_id`."""
    failed = set(source.take_unreadable())
    found = {one: there for one, there in places.items() if one not in raw and failed.intersection(there)}
    if message_id in found:
        place = next(iter(failed.intersection(found[message_id])))
        raise MailboxError(
            f"The mail server fails at the message {message_id} ({place.folder}, UID {place.uid})",
            cure="See whether another mail program can open it, and tell whoever runs the server.",
        )
    return set(found)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the index knows of a conversation."""

    conversation: Conversation
    copies: list[IndexRow]
    places: Places
    ids: Set[str]  # of these messages and of others that are linked to them


def _indexed(store: Store, name: str, own: OwnAddresses, message_id: str) -> _Known | None:
    rows = index.conversation_of(store, name, message_id)
    found = containing(conversations(rows, own), message_id)
    return _Known(*found, places_of(found[1]), {row.message_id for row in rows}) if found else None


def places_of(rows: Iterable[IndexRow]) -> Places:
    """Where the copies of each message lie, of `rows` from the index."""
    return {
        message_id: tuple(location(row) for row in genuine(copies)) for message_id, copies in by_message(rows).items()
    }


def _pulled(
    raw: Mapping[str, bytes], places: Places, own: OwnAddresses, message_id: str, there: Set[str]
) -> Pulled | None:
    """The conversation of the messages in `raw`; None without the message asked for. `there`: ids of the mailbox."""
    conversation = next(
        (one for one in thread(map(parse_message, raw.values()), own) if one.message(message_id) is not None), None
    )
    if conversation is None:
        return None
    missing = tuple(one for one in places if one not in raw)
    messages = conversation.messages
    quoted = {one for message in messages if message.quoted for one in _answered(message)}
    return Pulled(conversation, places, raw, missing, len(({*_named(messages)} - there | {*missing}) - quoted))


def _keep(
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    known: _Known,
    fetched: Mapping[str, bytes],
    now: float,
) -> None:
    """Keep fetched texts as `keep_text` says: of conversations that wait, of all, or of none."""
    policy = account.sync.keep_text
    if policy == "all" or (
        policy == "needed"
        and Judge.of(store, name, account, own, now).at_a_glance(known.conversation, known.copies) == ""
    ):
        received = {row.message_id: row.received for row in known.copies}
        fetched = Forgotten.of(store).without_mentions(fetched, received)
        texts.put(store, name, fetched, until=now + account.sync.retention_days * DAY)


def _known_record(store: Store, name: str, known: _Known | None, message_id: str) -> HeaderRecord | None:
    """What the index knows of the message, for a look-up on the server."""
    if known is None:
        return None
    row = next(row for row in known.copies if row.message_id == message_id)
    headers = index.headers_of(store, name, [message_id]).get(message_id, b"")
    received = datetime.fromtimestamp(row.received, UTC)
    return HeaderRecord(location(row), headers, received=received, thread_id=row.thread_id)


def _search(source: MailSource, account: Account, message_id: str) -> HeaderRecord:
    """Find a message by its id, folder by folder. Raises MailboxError."""
    for folder in conversation_folders(source, account.folders):
        source.examine(folder.name)
        uids = source.search_header(folder.name, "Message-ID", message_id)
        for record in source.headers(folder.name, uids) if uids else ():
            if parse_headers(record.headers).message_id == message_id:
                return record
    raise MailboxError(f"There is no message {message_id} in the mailbox", cure="Check the Message-ID.")


def _named(messages: Iterable[Message]) -> list[str]:
    """The ids that `messages` refer to, each once."""
    return list(dict.fromkeys(one for message in messages for one in (*message.references, *message.in_reply_to)))


def _answered(message: Message) -> Sequence[str]:
    """The ids of the messages that `message` answers directly."""
    return message.in_reply_to or message.references[-1:]


def linked_ids(record: HeaderRecord) -> list[str]:
    """The msg-ids that lead from a message to its conversation: its own and those it names."""
    message = parse_headers(record.headers)
    return list(dict.fromkeys((message.message_id, *message.in_reply_to, *message.references)))
