"""Conversations: Jamie Zawinski's threading ("message threading", jwz.org/doc/threading.html) with two rules of ours.

In-Reply-To always links. References link only messages with the same base subject, since people start new topics from
old mail. For the prompt a participant in common is required (`participants_in_common`). Everything is linear in the
size of the headers, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailassist.mail.addresses import OwnAddresses, normal
from mailassist.mail.message import Address, Message
from mailassist.mail.subjects import base_subject

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a conversation."""

    message: Message
    ours: bool  # written by one of the user's identities
    new_topic: bool  # its base subject differs from its parent's
    parent: str | None  # the Message-ID of the message of this conversation that it answers


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages that belong together, oldest to newest."""

    key: str  # the oldest id known of the chain: as stable as it can be when more messages arrive
    entries: tuple[Entry, ...]
    own: OwnAddresses = field(default_factory=OwnAddresses)

    @property
    def newest(self) -> Entry:
        """The last entry."""
        return self.entries[-1]

    @property
    def newest_from_others(self) -> Entry | None:
        """The last entry that is not ours."""
        return next((entry for entry in reversed(self.entries) if not entry.ours), None)

    @property
    def subject(self) -> str:
        """The subject of the newest message."""
        return self.newest.message.subject

    def message(self, message_id: str) -> Message | None:
        """The message with this id, or None."""
        return next((entry.message for entry in self.entries if entry.message.message_id == message_id), None)


class _Groups:
    """Disjoint sets over any keys (Tarjan), with path halving; no recursion."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def find(self, item: object) -> object:
        """The representative of the set that `item` is in."""
        parent = self._parent
        root = parent.setdefault(item, item)
        while root != item:
            parent[item] = root = parent[root]
            item, root = root, parent[root]
        return item

    def join(self, one: object, other: object) -> None:
        """Make one set of two."""
        self._parent[self.find(other)] = self.find(one)


def thread(messages: Iterable[Message], own: OwnAddresses) -> list[Conversation]:
    """The conversations among `messages`, the one with the newest message last.

    Copies with the same Message-ID count once, the richer one wins. Messages that are missing link those that name
    them. Cycles in References are broken.
    """
    known = _once(messages)
    subjects = {message_id: base_subject(message.subject) for message_id, message in known.items()}
    groups = _Groups()
    for message_id, message in known.items():
        groups.find(message_id)
        for answered in message.in_reply_to:
            groups.join(answered, message_id)
            groups.join((answered, subjects[message_id]), message_id)
        for reference in message.references:
            if reference in known:
                if subjects[reference] == subjects[message_id]:
                    groups.join(reference, message_id)
            else:
                groups.join((reference, subjects[message_id]), message_id)
    together: dict[object, list[Message]] = {}
    for message_id, message in known.items():
        together.setdefault(groups.find(message_id), []).append(message)
    taken: set[str] = set()
    conversations = [_conversation(members, subjects, own) for members in together.values()]
    conversations.sort(key=lambda found: _when(found.entries[0].message))
    done = []
    for found in conversations:
        key = found.key if found.key not in taken else found.entries[0].message.message_id
        taken.add(key)
        done.append(replace(found, key=key))
    done.sort(key=lambda found: _when(found.newest.message))
    return done


def _once(messages: Iterable[Message]) -> dict[str, Message]:
    known: dict[str, Message] = {}
    for message in messages:
        held = known.get(message.message_id)
        if held is None or _richness(message) > _richness(held):
            known[message.message_id] = message
    return known


def _richness(message: Message) -> tuple[int, int, int]:
    return len(message.text), len(message.references) + len(message.in_reply_to), message.size


def _when(message: Message) -> datetime:
    return message.date or _LONG_AGO


def _conversation(members: list[Message], subjects: dict[str, str], own: OwnAddresses) -> Conversation:
    here = {message.message_id: message for message in members}
    parents = {message_id: _parent(message, here, subjects) for message_id, message in here.items()}
    _break_cycles(parents, here)
    moments = _moments(parents, here)
    order = sorted(here, key=lambda message_id: moments[message_id])
    entries = []
    topic = ""
    for number, message_id in enumerate(order):
        message, parent = here[message_id], parents[message_id]
        before = subjects[parent] if parent is not None else topic
        topic = subjects[message_id]
        ours = message.author is not None and own.owns(message.author.email)
        entries.append(Entry(message, ours, number > 0 and topic != before, parent))
    first = entries[0].message
    key = next(iter(first.references), "") or next(iter(first.in_reply_to), "") or first.message_id
    return Conversation(key, tuple(entries), own)


def _parent(message: Message, here: dict[str, Message], subjects: dict[str, str]) -> str | None:
    """The message of the conversation that `message` answers: In-Reply-To, else the last reference that links."""
    for answered in message.in_reply_to:
        if answered in here and answered != message.message_id:
            return answered
    subject = subjects[message.message_id]
    for reference in reversed(message.references):
        if reference in here and reference != message.message_id and subjects[reference] == subject:
            return reference
    return None


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


def participants_in_common(conversation: Conversation, newest: Message) -> Conversation:
    """The entries of `conversation` that may enter a prompt for an answer to `newest`."""
    own = conversation.own

    def others(message: Message) -> set[str]:
        addresses: tuple[Address, ...] = (*message.from_, *message.reply_to, *message.to, *message.cc)
        return {normal(address.email) for address in addresses if not own.owns(address.email)}

    wanted = others(newest)
    kept = tuple(
        entry
        for entry in conversation.entries
        if entry.message.message_id == newest.message_id or wanted & others(entry.message)
    )
    return replace(conversation, entries=kept)
