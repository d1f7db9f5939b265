"""Who waits for an answer, from the index alone, and of everybody else why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailassist.config import Account
from mailassist.intake.grouping import conversations
from mailassist.intake.records import in_inbox, in_sent, index_row, is_draft, location
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.automatic import automatic
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_headers
from mailassist.mail.threads import Conversation
from mailassist.store import conversations as remembered
from mailassist.store import index, replies
from mailassist.store.database import Store
from mailassist.store.index import IndexRow
from mailassist.transport.source import HeaderRecord, Location, Role

DAY = 86_400.0
REFUSED = "refused"  # the one state of an approved reply that leaves the question open


@dataclass(frozen=True, slots=True)
class Waiting:
    """One conversation of the list."""

    account: str
    conversation: str  # the key of `mail.threads.Conversation`
    message_id: str  # its newest message, the one to answer
    subject: str
    correspondent: str  # who wrote it (of a web form: Reply-To), `Name <address>`
    date: float  # seconds since 1970
    count: int  # messages in the conversation
    excluded: str  # "" where it waits, else why it does not, in plain words
    location: Location
    reply: str = ""  # state in the outbox of an approved reply that is not through yet


def waiting(
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    *,
    now: Callable[[], float],
    excluded: bool = False,
    in_hand: bool = False,
) -> list[Waiting]:
    """The conversations that wait, newest first; with `excluded` all others too, each with the reason.

    `in_hand`: keep those whose reply is approved but not through, with its state in `reply`; else they count as
    answered. Nothing is asked of a server.
    """
    judged = judge_all(store, name, account, own, now=now, excluded=excluded)
    kept = [one for one, _ in judged if excluded or (not one.excluded and (in_hand or one.reply in ("", REFUSED)))]
    return sorted(kept, key=lambda one: one.date, reverse=True)


def judge_all(
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    *,
    now: Callable[[], float],
    excluded: bool = False,
) -> list[tuple[Waiting, list[IndexRow]]]:
    """Every conversation that may wait (all of them with `excluded`), judged, with the rows of all its copies."""
    judge = Judge.of(store, name, account, own, now())
    groups = index.active_conversations(store, name, 0.0 if excluded else judge.oldest)
    candidates = []
    for rows in groups.values():
        for conversation, copies in conversations(rows, own):
            why = judge.at_a_glance(conversation, copies)
            if excluded or not why:
                candidates.append((conversation, copies, why))
    headers = index.headers_of(store, name, [found.newest.message.message_id for found, _, _ in candidates])
    judged = []
    for conversation, copies, why in candidates:
        newest = parse_headers(headers.get(conversation.newest.message.message_id, b""))
        judged.append((judge.judged(conversation, copies, newest, why), copies))
    return judged


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What the store knows beside the index."""

    roles: Mapping[str, str]  # folder -> role
    skipped: frozenset[str]  # what was the newest message when a conversation was skipped
    replies: Mapping[str, str]  # message answered -> state of the reply

    @classmethod
    def of(cls, store: Store, name: str, roles: Mapping[str, str] | None) -> _Remembered:
        if roles is None:
            roles = {cursor.folder: cursor.role for cursor in index.cursors(store, name).values()}
        skipped = frozenset(remembered.skipped(store, name).values())
        return cls(roles, skipped, replies.reply_states(store, name))


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules who waits, for one account at one moment."""

    name: str
    account: Account
    own: OwnAddresses
    now: float
    remembered: _Remembered

    @classmethod
    def of(
        cls,
        store: Store,
        name: str,
        account: Account,
        own: OwnAddresses,
        now: float,
        roles: Mapping[str, str] | None = None,
    ) -> Judge:
        """With what the store remembers; `roles`: the folders' roles where they are fresh from the server."""
        return cls(name, account, own, now, _Remembered.of(store, name, roles))

    @property
    def oldest(self) -> float:
        """What arrived before this waits no longer."""
        return self.now - self.account.waiting.max_age_days * DAY

    def at_a_glance(self, conversation: Conversation, copies: Sequence[IndexRow]) -> str:
        """Why the conversation does not wait, as far as that shows without its headers; else ""."""
        entry = conversation.newest
        newest = [row for row in copies if row.message_id == entry.message.message_id]
        # Whether an own address wrote by itself, or a web form or a group did, only the headers say (`judged`).
        came_in = self.own.is_personal(entry.message) or any(self._is_in_inbox(row) for row in newest)
        if (entry.ours and not came_in) or any(self._is_sent(row) for row in newest):
            return "you wrote last"
        if any(is_answered(row.flags.split()) for row in newest):
            return "answered from another mail program"
        if self.remembered.replies.get(entry.message.message_id) in ("sent", "filed", "done"):
            return "answered from here"
        if entry.message.message_id in self.remembered.skipped:
            return "you skipped it; it comes back with the next message"
        if max(row.received for row in newest) < self.oldest:
            return f"older than {self.account.waiting.max_age_days} days"
        there = [row for row in newest if not _is_deleted(row.flags.split())]
        if not there:
            return "you deleted it (your mail program has not expunged it yet)"
        if not any(self._is_in_inbox(row) for row in there):
            return f"not in the inbox any more (it lies in {', '.join(sorted({row.folder for row in there}))})"
        return ""

    def may_wait(self, record: HeaderRecord) -> bool:
        """Whether a message waits as far as it says itself, before its conversation is known."""
        message = parse_headers(record.headers)
        row = index_row(self.name, record)
        return not (
            is_draft(record.flags, record.labels)
            or is_answered(record.flags)
            or _is_deleted(record.flags)
            or row.received < self.oldest
            or message.message_id in self.remembered.skipped
            or self.remembered.replies.get(message.message_id, REFUSED) != REFUSED
            or automatic(message, self.own)
        )

    def judged(self, conversation: Conversation, copies: Sequence[IndexRow], newest: Message, why: str) -> Waiting:
        """The conversation as a line of the list; `newest`: the headers of its newest message."""
        entry = conversation.newest
        rows = [row for row in copies if row.message_id == entry.message.message_id]
        if not why or not entry.ours:
            why = automatic(newest, self.own) or why
        return Waiting(
            account=self.name,
            conversation=conversation.key,
            message_id=entry.message.message_id,
            subject=entry.message.subject,
            correspondent=str(self.own.correspondent(newest) or ""),
            date=rows[0].date,
            count=len(conversation.entries),
            excluded=why,
            location=location(next((row for row in rows if self._is_in_inbox(row)), rows[0])),
            reply="" if why else self._reply(entry.message.message_id),
        )

    def _reply(self, message_id: str) -> str:
        state = self.remembered.replies.get(message_id, "")
        return state if state in ("approved", "sending", "unknown", REFUSED) else ""

    def _is_sent(self, row: IndexRow) -> bool:
        return self.remembered.roles.get(row.folder) == Role.SENT or in_sent(row, ())

    def _is_in_inbox(self, row: IndexRow) -> bool:
        return self.remembered.roles.get(row.folder) == Role.INBOX or in_inbox(row, self.account.folders.inbox)


def is_answered(flags: Iterable[str]) -> bool:
    """Whether a mail program has marked the message as answered."""
    return any(flag.lower() == "\\answered" for flag in flags)


def _is_deleted(flags: Iterable[str]) -> bool:
    """Whether a mail program has marked the copy as deleted: for its user it is gone."""
    return any(flag.lower() == "\\deleted" for flag in flags)
