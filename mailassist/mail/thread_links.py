"""Which message answers which: by In-Reply-To, References, Outlook's Thread-Index, and, cautiously, by subject.

Ids come first. Thread-Index and subject link only what no id links, and rather too little than too much: a wrong link
shows one person's text beside another's. Everything is linear in the size of the headers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailassist.mail.addresses import OwnAddresses, normal
from mailassist.mail.message import Message
from mailassist.mail.subject_links import subject_links
from mailassist.mail.subjects import base_subject
from mailassist.mail.thread_index import ancestors, beginning, thread_index

IN_REPLY_TO, REFERENCES, THREAD_INDEX, SUBJECT = "in-reply-to", "references", "thread-index", "subject"


@dataclass(frozen=True, slots=True)
class Link:
    """What a message answers and by which rule that is known.

    `parent` is None where the message that was answered is missing; `rule` is "" where nothing is known to be answered.
    """

    parent: str | None = None
    rule: str = ""


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

    def joiner(self, item: object) -> Callable[[object], None]:
        """What joins one thing after the other to the set of `item`, quickly where they are in it already."""
        parent = self._parent
        root = self.find(item)

        def join(other: object) -> None:
            nonlocal root
            if parent.get(other) != root:
                parent[root] = root = self.find(other)

        return join


class Links:
    """The links among messages, and which of them belong together."""

    def __init__(self, known: Mapping[str, Message], own: OwnAddresses) -> None:
        """Link `known`, messages by Message-ID; `own`: the user's addresses."""
        self._known = known
        self._own = own
        self._groups = _Groups()
        self._named: dict[str, dict[str, str]] = {}  # by subject: of each id the first message that names it
        self.subjects = {message_id: base_subject(message.subject) for message_id, message in known.items()}
        self.of = {message_id: self._by_id(message) for message_id, message in known.items()}
        self._by_thread_index()
        self._by_subject()

    def join(self, one: str, other: str) -> None:
        """Two messages belong together, though neither answers the other."""
        self._groups.join(one, other)

    def together(self) -> list[list[Message]]:
        """The messages that belong together, in the order in which they were given."""
        found: dict[object, list[Message]] = {}
        for message_id, message in self._known.items():
            found.setdefault(self._groups.find(message_id), []).append(message)
        return list(found.values())

    def _by_id(self, message: Message) -> Link:
        """In-Reply-To always links; References link messages with the same base subject.

        What is missing links those that name it.
        """
        message_id, known, subjects = message.message_id, self._known, self.subjects
        subject = subjects[message_id]
        named = self._named.setdefault(subject, {})
        join = self._groups.joiner(message_id)
        for answered in message.in_reply_to:
            join(answered)
            join(named.setdefault(answered, message_id))
        nearest = None
        for reference in message.references:
            if reference not in known:
                join(named.setdefault(reference, message_id))
            elif subjects[reference] == subject:
                join(reference)
                nearest = reference if reference != message_id else nearest
        for answered in message.in_reply_to:
            if answered in known and answered != message_id:
                return Link(answered, IN_REPLY_TO)
        if nearest is not None:
            return Link(nearest, REFERENCES)
        if message.in_reply_to:
            return Link(None, IN_REPLY_TO)
        return Link(None, REFERENCES if message.references else "")

    def _by_thread_index(self) -> None:
        """Messages below one another in Outlook's index, and those whose common beginning is missing."""
        indexes = ((message_id, message.headers.get("thread-index")) for message_id, message in self._known.items())
        indexed = {
            message_id: index for message_id, values in indexes if values and _tells(index := thread_index(values[0]))
        }
        places: dict[bytes, str] = {}
        for message_id, index in indexed.items():
            places.setdefault(index, message_id)
        for message_id, index in indexed.items():
            if self.of[message_id].parent is not None:
                continue
            above = next((places[one] for one in ancestors(index) if one in places), None)
            if above is not None and self._may_answer(message_id, above):
                self._link(message_id, Link(above, THREAD_INDEX))
            else:
                self._groups.join((beginning(index), self.subjects[message_id]), message_id)
                if above is None and index != beginning(index) and not self.of[message_id].rule:
                    self.of[message_id] = Link(None, THREAD_INDEX)

    def _may_answer(self, message_id: str, above: str) -> bool:
        """Whether the subject is the same, or else somebody but us took part in both."""
        if self.subjects[message_id] == self.subjects[above]:
            return True
        return bool(self._others(self._known[message_id]) & self._others(self._known[above]))

    def _others(self, message: Message) -> set[str]:
        addresses = (*message.from_, *message.to, *message.cc)
        return {normal(address.email) for address in addresses if not self._own.owns(address.email)}

    def _by_subject(self) -> None:
        """Replies that name no message at all (see `subject_links`)."""
        without = [
            message
            for message_id, message in self._known.items()
            if not (message.references or message.in_reply_to or self.of[message_id].rule)
        ]
        for message_id, answered in subject_links(without, self._known, self.subjects, self._own):
            self._link(message_id, Link(answered, SUBJECT))

    def _link(self, message_id: str, link: Link) -> None:
        self.of[message_id] = link
        self._groups.join(link.parent, message_id)


def _tells(index: bytes) -> bool:
    """Whether an index tells conversations apart: some programs write one whose GUID is empty."""
    return index[:1] == b"\x01" and len(set(index[6:22])) > 4
