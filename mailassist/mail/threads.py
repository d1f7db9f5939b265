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
from mailassist.mail.message import Message
from mailassist.mail.subjects import base_subject

# Where an equal domain does not mean that two people belong together.
_SHARED_DOMAINS = frozenset({
    "gmail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "icloud.com", "me.com", "mac.com",
    "aol.com", "gmx.de", "gmx.net", "gmx.com", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "mail.ru",
    "yandex.ru", "proton.me", "protonmail.com", "fastmail.com", "orange.fr", "free.fr", "laposte.net", "wanadoo.fr",
    "libero.it", "qq.com", "163.com", "126.com", "naver.com", "zoho.com", "mail.com", "comcast.net", "wp.pl", "o2.pl",
    "seznam.cz", "posteo.de", "mailbox.org", "tutanota.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "hotmail.co.uk",
    "hotmail.fr", "live.co.uk", "btinternet.com", "verizon.net", "att.net", "sbcglobal.net", "rediffmail.com",
})  # fmt: skip
_SAME_ID = "same-id: its Message-ID is also that of"
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

    Copies with the same Message-ID count once: the richer one of the author who came first in `messages`, so that
    nobody replaces a message by naming its id. Messages that are missing link those that name them. Cycles in
    References are broken.
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
        entries.append(Entry(message, own.wrote(message), number > 0 and topic != before, parent))
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
    """The entries of `conversation` that may enter a prompt for an answer to `newest`.

    Ids in mail can be recycled or forged, so an entry counts only if the author of `newest` (the newest from the other
    side, where `newest` is ours) took part in it, or somebody did whom an entry that counts vouches for: who wrote to
    that author, and whom we wrote to together. Whom the author merely names in To or Cc does not vouch for him, unless
    it is of his own domain or an address that never writes here (a list). Own addresses are never in common.
    """
    answered = newest
    if conversation.own.wrote(newest):
        other = conversation.newest_from_others
        answered = other.message if other is not None else newest
    trust = _Trust(conversation)
    trust.extend(_named_by_author(conversation, answered))
    kept = tuple(
        entry
        for index, entry in enumerate(conversation.entries)
        if index in trust.reached or entry.message.message_id in (answered.message_id, newest.message_id)
    )
    return replace(conversation, entries=kept)


class _Trust:
    """Which entries are reached from a set of participants; each entry and participant is looked at once."""

    def __init__(self, conversation: Conversation) -> None:
        self._entries = conversation.entries
        self._own = conversation.own
        self.reached: set[int] = set()
        self._seen: set[str] = set()
        self._by_participant: dict[str, list[int]] = {}
        for index, entry in enumerate(self._entries):
            for key in _authors(entry.message, self._own) | _recipients(entry.message, self._own):
                self._by_participant.setdefault(key, []).append(index)

    def extend(self, participants: set[str]) -> None:
        """Reach what these participants took part in, and whom those entries vouch for."""
        waiting = list(participants)
        while waiting:
            participant = waiting.pop()
            if participant in self._seen:
                continue
            self._seen.add(participant)
            for index in self._by_participant.get(participant, ()):
                if index not in self.reached:
                    self.reached.add(index)
                    waiting.extend(self._vouched(self._entries[index]))

    def _vouched(self, entry: Entry) -> set[str]:
        return _recipients(entry.message, self._own) if entry.ours else _authors(entry.message, self._own)


def _authors(message: Message, own: OwnAddresses) -> set[str]:
    senders = message.from_ or ((message.sender,) if message.sender else ())
    if own.is_form(message):
        senders = message.reply_to
    return {normal(address.email) for address in senders if not own.owns(address.email)}


def _recipients(message: Message, own: OwnAddresses) -> set[str]:
    return {normal(address.email) for address in (*message.to, *message.cc) if not own.owns(address.email)}


def _named_by_author(conversation: Conversation, message: Message) -> set[str]:
    """The author of `message`, and of those he names the ones that his word is enough for."""
    authors = _authors(message, conversation.own)
    domains = {key.rpartition("@")[2] for key in authors} - _SHARED_DOMAINS
    writers = {key for entry in conversation.entries for key in _authors(entry.message, conversation.own)}
    named = _recipients(message, conversation.own)
    return authors | {key for key in named if key not in writers or key.rpartition("@")[2] in domains}
