"""Conversations: Jamie Zawinski's threading ("message threading", jwz.org/doc/threading.html) with rules of ours.

In-Reply-To always links. References link only messages with the same base subject, since people start new topics from
old mail. What no id links, Outlook's Thread-Index may, and last the subject (`thread_links`). For the prompt a
participant in common is required (`participants`). Everything is linear in the size of the headers (but for the order
by date), without recursion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Message
from mailassist.mail.participants import participants_in_common as participants_in_common
from mailassist.mail.placeholders import Placeholder, placeholders
from mailassist.mail.resent import resent, still_pending
from mailassist.mail.thread_links import Links

_SAME_ID = "same-id: its Message-ID is also that of"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a conversation."""

    message: Message
    ours: bool  # written by one of the user's identities
    new_topic: bool  # its base subject differs from its parent's
    parent: str | None  # the Message-ID of the message of this conversation that it answers
    rule: str = ""  # by which it belongs here (`thread_links`); "" for one that answers nothing
    duplicates: tuple[str, ...] = ()  # the Message-IDs under which the same was sent again


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages that belong together, oldest to newest."""

    key: str  # the oldest id known of the chain: as stable as it can be when more messages arrive
    entries: tuple[Entry, ...]
    own: OwnAddresses = field(default_factory=OwnAddresses)
    missing: tuple[Placeholder, ...] = ()  # what the messages name and what is not there

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the entries."""
        return tuple(entry.message for entry in self.entries)

    @property
    def newest(self) -> Entry:
        """The last entry."""
        return self.entries[-1]

    @property
    def newest_from_others(self) -> Entry | None:
        """The last entry that is not ours."""
        return next((entry for entry in reversed(self.entries) if not entry.ours), None)

    @property
    def answered(self) -> Entry:
        """The entry that a reply answers: the last that is not ours, else the last."""
        return self.newest_from_others or self.newest

    @property
    def subject(self) -> str:
        """The subject of the newest message."""
        return self.newest.message.subject

    def message(self, message_id: str) -> Message | None:
        """The message with this id, or of which one with this id is a copy; None where there is none."""
        for entry in self.entries:
            if entry.message.message_id == message_id or message_id in entry.duplicates:
                return entry.message
        return None


def thread(
    messages: Iterable[Message], own: OwnAddresses, fingerprints: Mapping[str, str] | None = None
) -> list[Conversation]:
    """The conversations among `messages`, the one with the newest message last.

    Copies with the same Message-ID count once: the richer one of the author who came first in `messages`, so that
    nobody replaces a message by naming its id. What was resent with another id counts once, too. Messages that are
    missing link those that name them. Cycles in References are broken. `fingerprints`: by Message-ID those of
    `resent.fingerprint`, where `messages` have no bodies.
    """
    known = _once(messages)
    links = Links(known, own)
    again = resent(known.values(), links.subjects, fingerprints)
    for other, first in again.items():
        links.join(first, other)
    conversations = [_conversation(members, links, again, known, own) for members in links.together()]
    conversations.sort(key=lambda found: _when(found.entries[0].message))
    taken: set[str] = set()
    done = []
    for found in conversations:
        key = found.key
        if key in taken or (key in known and found.message(key) is None):  # another conversation's
            key = found.entries[0].message.message_id
        taken.add(key)
        done.append(replace(found, key=key) if key != found.key else found)
    done.sort(key=lambda found: _when(found.newest.message))
    return done


def _once(messages: Iterable[Message]) -> dict[str, Message]:
    known: dict[str, Message] = {}
    for message in messages:
        held = known.get(message.message_id)
        if held is None:
            known[message.message_id] = message
        elif _author_key(held) != _author_key(message):
            known[message.message_id] = _with_doubt(held, message)
        elif _richness(message) > _richness(held):
            known[message.message_id] = message
    return known


def _author_key(message: Message) -> str:
    return message.author.key if message.author is not None else ""


def _with_doubt(held: Message, other: Message) -> Message:
    """`held` with the warning that somebody else uses its id: a list that rewrites From, or a forger."""
    if any(warning.startswith(_SAME_ID) for warning in held.warnings):
        return held
    return replace(held, warnings=(*held.warnings, f"{_SAME_ID} a later message from {_author_key(other)[:80]}"))


def _richness(message: Message) -> tuple[int, int, int]:
    return len(message.text), len(message.references) + len(message.in_reply_to), message.size


def _when(message: Message) -> datetime:
    return message.date or _LONG_AGO


def _conversation(
    members: list[Message], links: Links, again: Mapping[str, str], known: Collection[str], own: OwnAddresses
) -> Conversation:
    here = {message.message_id: message for message in members}
    copies: dict[str, list[str]] = {}
    pending = still_pending(here, again) if again else {}
    for other, sent in pending.items():
        copies.setdefault(sent, []).append(other)
        del here[other]
    subjects = links.subjects
    parents = {message_id: _first(links.of[message_id].parent, pending) for message_id in here}
    _break_cycles(parents, here)
    moments = _moments(parents, here)
    order = sorted(here, key=lambda message_id: moments[message_id])
    entries = []
    topic = ""
    for number, message_id in enumerate(order):
        message, parent = here[message_id], parents[message_id]
        before = subjects[parent] if parent is not None else topic
        topic = subjects[message_id]
        new_topic = number > 0 and topic != before
        twins = tuple(copies.get(message_id, ())) if copies else ()
        entries.append(Entry(message, own.wrote(message), new_topic, parent, links.of[message_id].rule, twins))
    first = entries[0].message
    key = next(iter(first.references), "") or next(iter(first.in_reply_to), "") or first.message_id
    missing = placeholders((entry.message for entry in entries), parents, known)
    return Conversation(key, tuple(entries), own, missing)


def _first(message_id: str | None, again: Mapping[str, str]) -> str | None:
    """The message that `message_id` stands for: what was resent counts as the first time."""
    return again.get(message_id, message_id) if message_id is not None else None


def _break_cycles(parents: dict[str, str | None], here: dict[str, Message]) -> None:
    """Where messages name each other as parents, the oldest of them has none."""
    done: set[str] = set()
    for start in parents:
        path: list[str] = []
        on_path: set[str] = set()
        current: str | None = start
        while current is not None and current not in done and current not in on_path:
            path.append(current)
            on_path.add(current)
            current = parents[current]
        if current is not None and current in on_path:
            cycle = path[path.index(current) :]
            parents[min(cycle, key=lambda message_id: _when(here[message_id]))] = None
        done.update(path)


def _moments(parents: dict[str, str | None], here: dict[str, Message]) -> dict[str, tuple[datetime, int]]:
    """When each message counts as written: never before what it answers; (moment, depth)."""
    moments: dict[str, tuple[datetime, int]] = {}
    for start in parents:
        path = []
        current: str | None = start
        while current is not None and current not in moments:
            path.append(current)
            current = parents[current]
        for message_id in reversed(path):
            parent = parents[message_id]
            own = _when(here[message_id])
            if parent is None:
                moments[message_id] = (own, 0)
            else:
                before, depth = moments[parent]
                moments[message_id] = (own, depth + 1) if own > before else (before, depth + 1)
    return moments
