"""What is new in a mailbox: by UID cursors from the header index, each message once, and whose it is.

A hint says only "look". The look brings the index up to date (EXAMINE, headers by BODY.PEEK), then goes through what
lies above its own cursors, and commits what it found together with how far it went. \\Seen and UNSEEN play no part: the
team reads too. After a change of UIDVALIDITY a folder is gone through anew; what was there before the last look is old.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailassist.daemon import logs
from mailassist.daemon.moved_in import moved_in
from mailassist.daemon.parts import Mailbox, Parts
from mailassist.daemon.rules import arrival_key, no_reply_needed
from mailassist.daemon.unread import not_given, unread
from mailassist.errors import MailassistError
from mailassist.intake.grouping import containing, conversations
from mailassist.intake.records import in_inbox, in_sent, index_row, is_draft
from mailassist.intake.sync import catch_up
from mailassist.mail.automatic import automatic_reply
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_headers
from mailassist.mail.threads import Conversation
from mailassist.store import index, looks, mailboxes
from mailassist.store.cases import About
from mailassist.store.forgotten import Forgotten
from mailassist.store.index import Cursor, IndexRow
from mailassist.store.looks import Answered, Arrived, Position
from mailassist.team.office_time import due
from mailassist.transport.source import HeaderRecord, Location, MailSource, Role

if TYPE_CHECKING:
    import sqlalchemy as sa

OLDER = 2000  # messages that one look takes in of what lies below those of earlier looks, the newest first
OVERLAP = 3600.0  # seconds: clocks of servers differ, and what was looked at twice is one arrival all the same
log = logs.logger("watching")


def look(parts: Parts, name: str, source: MailSource, only: Collection[str] = ()) -> list[int]:
    """Bring the index up to date (of the folders `only`, else of all), and take in what is new.

    The ids of arrivals that are to be worked on. Raises MailboxError, ConnectionFailed, StoreError.
    """
    mailbox = parts.mailboxes[name]
    moved, inboxes = moved_in(source, parts.store, mailbox, only)
    done = catch_up(source, parts.store, name, mailbox.account, now=parts.now, only=only)
    for line in done.unread:
        log.warning("something could not be read", mailbox=name, text=line)
    return take_in(parts, mailbox, source, done.folders, moved, inboxes)


def take_in(
    parts: Parts,
    mailbox: Mailbox,
    source: MailSource,
    folders: Collection[str],
    moved: Sequence[IndexRow],
    inboxes: Mapping[str, Position],
) -> list[int]:
    """Go through what the index has of `folders` and no look has gone through, and record it.

    New mail is gone through at once; what a first look left below it, where it found much, with the looks that follow.
    `folders`: those that this look has brought up to date. Another may be in the middle of a further one, whose
    cursor says where it begins before its messages are there. `moved`, `inboxes`: as from `moved_in`.
    """
    store, name = parts.store, mailbox.name
    if not inboxes and mailboxes.behind(store, name).isdisjoint(folders):  # as nearly always after a look without news
        return []
    known = mailboxes.get(store, name)
    if not known.cutoff:
        mailboxes.begin(store, name, cutoff=_first_cutoff(parts))
        known = mailboxes.get(store, name)
    before = looks.positions(store, name)
    found = [_Found(row, parse_headers(row.headers), Role.ALL) for row in moved if row.received >= known.cutoff]
    lost: list[Arrived] = []
    oldest = _oldest(parts, mailbox)
    reached = dict(inboxes)
    for folder, cursor in index.cursors(store, name).items():
        if folder not in folders:
            continue
        gone_through = _gone_through(before.get(folder), cursor)
        since = _since(before.get(folder), cursor, known)
        recent = max(since, oldest)
        rows = index.between(store, name, folder, gone_through.uid + 1, cursor.highest, since=since)
        older = index.between(
            store, name, folder, cursor.lowest, gone_through.lowest - 1, since=recent, most=OLDER
        )  # fmt: skip
        lowest = older[0].uid if len(older) == OLDER else min(cursor.lowest, gone_through.lowest)
        position = Position(cursor.uidvalidity, max(cursor.highest, gone_through.uid), lowest)
        if position == before.get(folder):
            continue
        found += [_Found(row, parse_headers(row.headers), cursor.role) for row in (*older, *rows)]
        if _is_watched(cursor, mailbox):
            for first, last in ((lowest, gone_through.lowest - 1), (gone_through.uid + 1, cursor.highest)):
                uids = not_given(source, store, name, folder, first, last, since=recent) if first <= last else []
                lost += [unread(mailbox, Location(folder, cursor.uidvalidity, uid), parts.now()) for uid in uids]
        reached[folder] = position
    if not reached:
        return []
    found.sort(key=lambda one: one.row.received)
    old = sum(one.row.received < oldest and _is_in_inbox(one, mailbox) for one in found)
    if old:
        log.info("mail that is too old to be drafted", mailbox=name, messages=old)
    return _record(parts, mailbox, [*_judged(parts, mailbox, found), *lost], reached)


def take_in_late(parts: Parts, mailbox: Mailbox, record: HeaderRecord) -> list[int]:
    """Take in a message that lies within what was gone through, and that the server did not give then."""
    row = index_row(mailbox.name, record)
    cursor = index.cursors(parts.store, mailbox.name).get(row.folder)
    if cursor is None or is_draft(record.flags, record.labels) or Forgotten.of(parts.store).covers(row):
        return []
    index.add(parts.store, mailbox.name, [row])
    if row.received < mailboxes.get(parts.store, mailbox.name).cutoff:
        return []
    found = _Found(row, parse_headers(row.headers), cursor.role)
    return _record(parts, mailbox, list(_judged(parts, mailbox, [found])), {})


def _record(
    parts: Parts, mailbox: Mailbox, judged: Sequence[Arrived | Answered], reached: Mapping[str, Position]
) -> list[int]:
    name = mailbox.name
    ranks = {other: box.rank for other, box in parts.mailboxes.items()}
    return looks.take_in(
        parts.store, name, judged, reached, now=parts.now(),
        outranks=lambda other: mailbox.rank < ranks.get(other, len(ranks)),
        tell=lambda connection, case_id, reason: _tell(parts, connection, name, case_id, reason),
    )  # fmt: skip


def _tell(parts: Parts, connection: sa.Connection, mailbox: str, case_id: int, reason: str) -> None:
    if not parts.shadow:
        parts.people.case(connection, mailbox, case_id, reason)


@dataclass(frozen=True, slots=True)
class _Found:
    """A copy of a message that no look has seen."""

    row: IndexRow
    message: Message
    role: str  # of its folder


def _is_watched(cursor: Cursor, mailbox: Mailbox) -> bool:
    """Whether what customers or the team write comes to that folder."""
    return cursor.role in (Role.INBOX, Role.SENT, Role.ALL) or cursor.folder in mailbox.account.folders.inbox


def _first_cutoff(parts: Parts) -> float:
    """Mail from before the first start is not drafted, but for what the operator asked for (servers know seconds)."""
    return math.floor((parts.started or parts.now()) - parts.config.daemon.first_start_days * 86_400.0)


def _oldest(parts: Parts, mailbox: Mailbox) -> float:
    """What arrived before waits no longer: of a mailbox that nobody watched for long, the rest is not drafted."""
    days = max(mailbox.account.waiting.max_age_days, parts.config.daemon.first_start_days)
    return parts.now() - days * 86_400.0


def _gone_through(position: Position | None, cursor: Cursor) -> Position:
    """What the looks have gone through of a folder; nothing where the index has begun anew, above its top."""
    if position is None or position.uidvalidity != cursor.uidvalidity or cursor.lowest > position.uid + 1:
        return Position(cursor.uidvalidity, cursor.highest, cursor.highest + 1)
    return position


def _since(position: Position | None, cursor: Cursor, known: mailboxes.MailboxRow) -> float:
    """What arrived before is old."""
    if position is not None and position.uidvalidity != cursor.uidvalidity:
        return max(known.cutoff, (known.looked_at or 0.0) - OVERLAP)
    return known.cutoff


def _judged(parts: Parts, mailbox: Mailbox, found: Sequence[_Found]) -> Iterator[Arrived | Answered]:
    """Each new message as what it is for the team; one that breaks us is a person's, and stops no other."""
    for one in found:
        try:
            judged = _of_one(parts, mailbox, one)
        except MailassistError:
            raise
        except Exception as error:  # noqa: BLE001  (what a sender found in our reading of headers)
            judged = [_not_understood(mailbox, one, f"its headers cannot be read ({type(error).__name__})")]
        yield from judged


def _of_one(parts: Parts, mailbox: Mailbox, one: _Found) -> list[Arrived | Answered]:
    """One message, with the answer to it that was there before, if there was one."""
    if _is_sent(one):  # From alone proves nothing: anybody can write an own address into it
        if automatic_reply(one.message):  # a colleague's out-of-office is no answer
            return []
        about = _about(mailbox, one, _conversation(parts, mailbox, one.row)[0], one.row.message_id)
        named = (*one.message.in_reply_to, *one.message.references)
        return [Answered(one.row.message_id, one.row.received, about, named)]
    if not _is_in_inbox(one, mailbox) or one.row.received < _oldest(parts, mailbox):
        return []
    reason = no_reply_needed(one.message, mailbox)
    conversation, copies = (None, []) if reason else _conversation(parts, mailbox, one.row)
    arrived = _arrived(parts, mailbox, one, reason, conversation)
    if conversation is None or arrived.person:
        return [arrived]
    assert arrived.about is not None
    answer = _answer_there(parts, mailbox, one, copies, arrived.about)
    return [arrived] if answer is None else [arrived, answer]


def _answer_there(
    parts: Parts, mailbox: Mailbox, one: _Found, copies: Sequence[IndexRow], about: About
) -> Answered | None:
    """An answer of ours that was there before the message: moved since, or dated by a clock that is late."""
    asked = one.row.message_id
    named = [row for row in copies if asked in (*row.in_reply_to.split(), *row.reference_ids.split())]
    cursors = index.cursors(parts.store, mailbox.name) if named else {}
    sent = [folder for folder, cursor in cursors.items() if cursor.role == Role.SENT]
    ids = [row.message_id for row in named if in_sent(row, sent)]
    headers = index.headers_of(parts.store, mailbox.name, ids) if ids else {}
    for message_id, fields in headers.items():
        if not automatic_reply(parse_headers(fields)):
            return Answered(message_id, one.row.received, about, (asked,))
    return None


def _not_understood(mailbox: Mailbox, one: _Found, why: str) -> Arrived:
    row = one.row
    about = About(row.message_id, (), row.subject, row.sender_address, None)
    place = (row.folder, row.uidvalidity, row.uid)
    key = f"unread {mailbox.name} {row.message_id}"
    return Arrived(key, row.message_id, *place, row.sender_address, row.received, person=why, about=about)


def _arrived(parts: Parts, mailbox: Mailbox, one: _Found, reason: str, conversation: Conversation | None) -> Arrived:
    """A message of the other side. `reason`: why it needs no reply, else ""."""
    row = one.row
    author = mailbox.own.correspondent(one.message)
    key = arrival_key(one.message)
    about, person = (None, "") if reason else _about_arrived(mailbox, one, conversation, key)
    return Arrived(
        key=key,
        message_id=row.message_id,
        folder=row.folder,
        uidvalidity=row.uidvalidity,
        uid=row.uid,
        sender=author.key if author else "",
        received=row.received,
        reason=reason,
        person=person,
        backlog=row.received < parts.started,
        # Bursts are waited out; a server whose clock is ahead delays nothing.
        not_before=0.0 if reason else min(row.received, parts.now()) + mailbox.policy.burst_seconds,
        about=about,
    )


def _about_arrived(mailbox: Mailbox, one: _Found, conversation: Conversation | None, key: str) -> tuple[About, str]:
    """Its conversation; where another author's message has the same Message-ID, none, and why a person is wanted."""
    held = conversation.message(one.row.message_id) if conversation else None
    if held is not None and held.author is not None and held.author.email != one.row.sender_address:
        return _about(mailbox, one, None, key), "another message has the same Message-ID"
    return _about(mailbox, one, conversation, one.row.message_id), ""


def _conversation(parts: Parts, mailbox: Mailbox, row: IndexRow) -> tuple[Conversation | None, Sequence[IndexRow]]:
    """The conversation of a message, as far as the index knows it, and all copies of its messages."""
    rows = index.conversation_of(parts.store, mailbox.name, row.message_id)
    return containing(conversations(rows, mailbox.own), row.message_id) or (None, [])


def _about(mailbox: Mailbox, one: _Found, conversation: Conversation | None, key: str) -> About:
    author = mailbox.own.correspondent(one.message)
    ids: tuple[str, ...] = ()
    if conversation is not None:
        key, ids = conversation.key, tuple(message.message_id for message in conversation.messages)
    return About(key, ids, one.message.subject, str(author or ""), due(one.row.received, mailbox.policy))


def _is_sent(one: _Found) -> bool:
    return one.role == Role.SENT or in_sent(one.row, ())


def _is_in_inbox(one: _Found, mailbox: Mailbox) -> bool:
    return one.role == Role.INBOX or in_inbox(one.row, mailbox.account.folders.inbox)
