"""Which messages of a mailbox may belong to one conversation, found in one pass that keeps a few numbers a message.

So a conversation of a large mailbox is read without holding the mailbox: first this, then the messages that it names.
"""

from __future__ import annotations

from array import array

from mailassist.mail.message import Message
from mailassist.mail.subjects import base_subject
from mailassist.mail.thread_index import beginning, thread_index


class Related:
    """Disjoint sets of messages that share a link: an id, the beginning of a Thread-Index, a subject.

    A set is a superset of a conversation; `threads.thread` decides among its messages.
    """

    def __init__(self) -> None:
        """Begin with an empty mailbox."""
        self._numbers: dict[int, int] = {}  # hash of a link -> its place in `_parents`
        self._parents = array("q")
        self._messages = array("q")  # the number of each message's own id, in the order of the mailbox

    def add(self, message: Message) -> None:
        """Note the next message of the mailbox; its header fields are enough."""
        own = self._number(message.message_id)
        self._messages.append(own)
        for named in (*message.in_reply_to, *message.references):
            self._join(own, self._number(named))
        if "thread-index" in message.headers and (index := thread_index(message.header("thread-index"))):
            self._join(own, self._number(beginning(index)))
        if subject := base_subject(message.subject):
            self._join(own, self._number(f"subject {subject}"))

    def places(self, message_id: str) -> set[int]:
        """Where in the mailbox the messages lie that may belong to the conversation of `message_id`, from 0."""
        wanted = self._find(self._number(message_id))
        return {place for place, number in enumerate(self._messages) if self._find(number) == wanted}

    def _number(self, link: str | bytes) -> int:
        number = self._numbers.setdefault(hash(link), len(self._parents))
        if number == len(self._parents):
            self._parents.append(number)
        return number

    def _find(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    def _join(self, one: int, other: int) -> None:
        self._parents[self._find(other)] = self._find(one)
