"""One conversation straight from the server, in few commands: by the server's thread id, else by searching for ids.

Every command is a round trip, and a search by header reads every message it is not kept from. So folders are taken in
the order that needs no second EXAMINE, headers and bodies come in the same FETCH, and each search is bounded by date
and by a window of the newest UIDs: its cost does not grow with the mailbox. Only for what is missing in the end is
there one without the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from mailassist.mail.parse import parse_headers
from mailassist.transport.arguments import (
    Argument,
    Literal,
    UnsafeArgument,
    any_of,
    day,
    header_search,
    keyword,
    message_id,
    number,
    object_id,
)
from mailassist.transport.bodies import BEGINNING, FIRST_BYTES, beginning
from mailassist.transport.fetch import by_uid, header_items, line_limit, records
from mailassist.transport.session import Refused, Session
from mailassist.transport.source import HeaderRecord, Location

Criterion = Sequence[Argument | Literal]

_MOST_PASSES = 12
_MOST_MISSING = 20  # ids that EVERYTHING is searched for
_MOST_IDS = 60  # of one message's References; the first and the last ones are what others refer to
_HEADERS = ("MESSAGE-ID", "IN-REPLY-TO", "REFERENCES")


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a search reaches: days before what is known, and how many of a folder's newest UIDs.

    The second number is what keeps the price the same in a mailbox of any size.
    """

    days: int
    uids: int


NEAR = Bound(days=180, uids=2_500)
FAR = Bound(days=730, uids=6_000)  # for ids that were named and not found; only their own messages are looked for
EVERYTHING = Bound(days=730, uids=0xFFFFFFFF)  # its price grows with the mailbox: for ids that FAR did not find
_RECENT = timedelta(days=45)  # a conversation older than this is not among the newest UIDs


@dataclass
class Found:
    """What a look-up has collected so far."""

    records: dict[Location, HeaderRecord] = field(default_factory=dict)
    bodies: dict[Location, bytes] = field(default_factory=dict)  # whole ones
    large: dict[Location, bytes] = field(default_factory=dict)  # beginnings of those that did not end
    message_ids: set[str] = field(default_factory=set)  # of the messages found
    mentioned: set[str] = field(default_factory=set)  # ids that they name


def by_thread_id(session: Session, folders: Sequence[str], name: str, value: Argument, *, bodies: bool) -> Found:
    """All messages whose X-GM-THRID or THREADID (`name`) is `value`; without `bodies` their headers only."""
    found = Found()
    for folder in _from_the_open_one(session, folders):
        session.open_folder(folder)
        _collect(session, found, session.search(keyword(name), value), bodies=bodies)
    return found


def thread_criterion(session: Session, record: HeaderRecord) -> tuple[str, Argument] | None:
    """The server's own thread id of `record`, as a search key; None where the server has none for it."""
    if not record.thread_id:
        return None
    try:
        if session.offers("X-GM-EXT-1"):
            return "X-GM-THRID", number(int(record.thread_id))
        return "THREADID", object_id(record.thread_id)
    except (ValueError, UnsafeArgument):
        return None


def by_ids(
    session: Session,
    folders: Sequence[str],
    record: HeaderRecord,
    ids: Iterable[str],
    *,
    now: datetime,
    bodies: bool,
) -> Found:
    """Follow the chain of ids from `record` and `ids` across `folders` until nothing new appears.

    Without `bodies` the headers only.
    """
    start = parse_headers(record.headers)
    search = _Search(session, folders, record.received or now, now, bodies)
    wanted = _shortened([*start.references, *start.in_reply_to, start.message_id, *ids])
    asked: set[str] = set()
    sought: set[str] = set()  # by a FAR search
    for _ in range(_MOST_PASSES):
        if wanted:
            asked.update(wanted)
            search.run(wanted, _HEADERS, NEAR)
        else:
            missing = _shortened(sorted(asked - search.found.message_ids - sought))
            if not missing:
                break
            sought.update(missing)
            search.run(missing, ("MESSAGE-ID",), FAR)
        wanted = sorted((search.found.message_ids | search.found.mentioned) - asked)
    return search.found


def by_message_ids(
    session: Session,
    folders: Sequence[str],
    record: HeaderRecord,
    ids: Sequence[str],
    *,
    now: datetime,
    bodies: bool,
) -> Found:
    """The messages with these Message-IDs themselves, which belong to the conversation of `record`."""
    search = _Search(session, folders, record.received or now, now, bodies)
    search.run(list(dict.fromkeys(ids))[-_MOST_MISSING:], ("MESSAGE-ID",), EVERYTHING)
    return search.found


class _Search:
    """One pass after the other over the same folders, each as narrow as what is known allows."""

    def __init__(
        self, session: Session, folders: Sequence[str], received: datetime, now: datetime, bodies: bool
    ) -> None:
        self.found = Found()
        self._session = session
        self._folders = folders
        self._known = [received]
        self._now = now
        self._bodies = bodies
        self._refused: set[str] = set()  # headers that this server does not search

    def run(self, ids: Sequence[str], headers: Sequence[str], bound: Bound) -> None:
        """Search every folder for messages whose `headers` name one of `ids`, fetch what is new."""
        oldest, newest = min(self._known), max(self._known)
        is_recent = self._now - newest < _RECENT
        dates = [keyword("SINCE"), day(_shifted(oldest, -bound.days))]
        if not is_recent:
            dates += [keyword("BEFORE"), day(_shifted(newest, bound.days))]
        for folder in _from_the_open_one(self._session, self._folders):
            state = self._session.open_folder(folder)
            narrow = is_recent and state.exists > bound.uids and state.uidnext > bound.uids
            first = state.uidnext - bound.uids if narrow else 1
            if state.exists:
                uids = self._naming(ids, headers, dates, first)
                _collect(self._session, self.found, uids, bodies=self._bodies)
        self._known += [one.received for one in self.found.records.values() if one.received]

    def _naming(self, ids: Sequence[str], headers: Sequence[str], dates: Criterion, first: int) -> set[int]:
        """UIDs in the open folder; iCloud refuses a whole search for one header that it does not know."""
        usable = [one for one in headers if one not in self._refused]
        try:
            return self._matching(_criteria(ids, usable), dates, first)
        except Refused as error:
            if len(usable) == 1:
                raise
            refusal = error
        uids: set[int] = set()
        for header in usable:
            try:
                uids |= self._matching(_criteria(ids, [header]), dates, first)
            except Refused:
                self._refused.add(header)
        if self._refused.issuperset(usable):
            raise refusal
        return uids

    def _matching(self, criteria: Sequence[Criterion], dates: Criterion, first: int) -> set[int]:
        uids: set[int] = set()
        for chunk in _chunks(criteria, line_limit(self._session)):
            uids.update(self._session.search(*dates, *any_of(chunk), first=first, readable=True))
        return uids


def _shifted(moment: datetime, days: int) -> date:
    """A server's clock can say anything; a date that does not exist becomes the first or the last that does."""
    try:
        return (moment + timedelta(days=days)).date()
    except OverflowError:
        return date.min if days < 0 else date.max


def _collect(session: Session, found: Found, uids: Iterable[int], *, bodies: bool) -> None:
    """Headers, and with `bodies` these too, of what is not known yet, in one command."""
    state = session.selected
    assert state is not None
    new = [uid for uid in uids if Location(state.name, state.uidvalidity, uid) not in found.records]
    if not new:
        return
    answers = list(by_uid(session, new, header_items(session, *([BEGINNING] if bodies else []))))
    for record in records(session, answers):
        message = parse_headers(record.headers)
        found.records[record.location] = record
        found.message_ids.add(message.message_id)
        found.mentioned.update(_shortened([*message.references, *message.in_reply_to]))
    for attributes in answers:
        body = beginning(attributes)
        if body and "UID" in attributes:
            kind = found.bodies if len(body) < FIRST_BYTES else found.large
            kind[Location(state.name, state.uidvalidity, attributes["UID"])] = body


def _from_the_open_one(session: Session, folders: Sequence[str]) -> list[str]:
    """The same folders, the open one first: it needs no EXAMINE."""
    opened = session.selected.name if session.selected else ""
    return sorted(folders, key=lambda folder: folder != opened)


def _criteria(ids: Iterable[str], headers: Sequence[str]) -> list[Criterion]:
    criteria: list[Criterion] = []
    for one in ids:
        try:
            message_id(one)
        except UnsafeArgument:
            continue  # no valid id: nothing can refer to it
        criteria += [header_search(header, one) for header in headers]
    return criteria


def _chunks(criteria: Sequence[Criterion], longest: int) -> Iterable[Sequence[Criterion]]:
    chunk: list[Criterion] = []
    length = 0
    for criterion in criteria:
        size = sum(len(part) + 1 for part in criterion) + 3
        if chunk and length + size > longest:
            yield chunk
            chunk, length = [], 0
        chunk.append(criterion)
        length += size
    if chunk:
        yield chunk


def _shortened(ids: Iterable[str]) -> list[str]:
    """At most _MOST_IDS different ids: the first, which everybody refers to, and the newest."""
    distinct = list(dict.fromkeys(one for one in ids if one))
    return distinct if len(distinct) <= _MOST_IDS else [*distinct[:2], *distinct[2 - _MOST_IDS :]]
