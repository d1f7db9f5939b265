"""Which messages may belong to one conversation: disjoint sets that grow with every message, kept in the `links` table.

Each message carries a few links: its own id, the ids it answers, and each id it refers to together with its base
subject. Messages that share a link share a conversation number, whatever order they come in; a message that links two
conversations makes one of them, the smaller being renumbered (so that n messages cost n log n at most). The numbers are
a superset of what `mail.threads` finally decides from the messages themselves: they answer a look-up with one query.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import sqlalchemy as sa

from mailassist.mail.subjects import base_subject
from mailassist.store import schema

_NEXT = "next conversation"
_MOST_REFERENCES = 500  # of a message: the first ones and the last; more is not somebody's conversation


@dataclass(frozen=True, slots=True)
class Linked:
    """What of a message decides where it belongs."""

    message_id: str
    in_reply_to: Sequence[str]
    references: Sequence[str]
    subject: str
    thread_id: str = ""


def assign(connection: sa.Connection, account: str, batch: Sequence[Linked]) -> list[int]:
    """The conversation of each message of `batch`; merges conversations that turn out to be one."""
    carried = [_links(account, message) for message in batch]
    known = _conversations_of(connection, {link for links in carried for link in links})
    sets = _Sets()
    for links in carried:
        for link in links:
            sets.join(links[0], link)
    for link, conversation in known.items():
        sets.join(link, -conversation)
    numbers = _numbers(connection, account, sets, known, [links[0] for links in carried])
    found = [numbers[sets.find(links[0])] for links in carried]
    _keep(connection, zip(carried, found, strict=True), known)
    return found


def drop_unused(connection: sa.Connection) -> None:
    """Remove the links of conversations that have no message left."""
    used = sa.select(schema.messages.c.conversation)
    connection.execute(schema.links.delete().where(schema.links.c.conversation.not_in(used)))


class _Sets:
    """Disjoint sets with path halving: links are positive, the numbers of conversations negative."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, item: int) -> int:
        parent = self._parent
        root = parent.setdefault(item, item)
        while root != item:
            parent[item] = root = parent[root]
            item, root = root, parent[root]
        return item

    def join(self, one: int, other: int) -> None:
        first, second = self.find(one), self.find(other)
        if first != second:
            self._parent[second] = first

    def conversations(self) -> dict[int, list[int]]:
        """The stored conversations in each set that has some."""
        found: dict[int, list[int]] = {}
        for item in list(self._parent):
            if item < 0:
                found.setdefault(self.find(item), []).append(-item)
        return found


@lru_cache(maxsize=200_000)
def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def _links(account: str, message: Linked) -> list[int]:
    """The rules of `mail.threads`: In-Reply-To links always, a reference only with the same base subject."""
    mailbox = _hash(f"account {account}")
    subject = mailbox ^ _hash(f"subject {base_subject(message.subject)}")
    links = []
    for name in (message.message_id, *message.in_reply_to):
        number = _hash(name)
        links += [number ^ mailbox, number ^ subject]
    answered = message.in_reply_to
    links += [_hash(name) ^ subject for name in _some(message.references) if name not in answered]
    if message.thread_id:
        links.append(_hash(f"thread {message.thread_id}") ^ mailbox)
    return links


def _some(references: Sequence[str]) -> Sequence[str]:
    if len(references) <= _MOST_REFERENCES:
        return references
    half = _MOST_REFERENCES // 2
    return (*references[:half], *references[-half:])


def _conversations_of(connection: sa.Connection, links: Iterable[int]) -> dict[int, int]:
    query = "SELECT link, conversation FROM links WHERE link IN (SELECT value FROM json_each(?))"
    rows = connection.exec_driver_sql(query, (json.dumps(list(links)),))
    return {row[0]: row[1] for row in rows}


def _numbers(
    connection: sa.Connection, account: str, sets: _Sets, known: dict[int, int], members: Sequence[int]
) -> dict[int, int]:
    """The number of each set's conversation: the biggest one's that is there already, else a new one."""
    numbers: dict[int, int] = {}
    for root, there in sets.conversations().items():
        numbers[root] = _merged(connection, account, there, known) if len(there) > 1 else there[0]
    fresh = [root for root in dict.fromkeys(map(sets.find, members)) if root not in numbers]
    if fresh:
        first = _reserve(connection, len(fresh))
        numbers.update((root, first + place) for place, root in enumerate(fresh))
    return numbers


def _reserve(connection: sa.Connection, count: int) -> int:
    """The first of `count` numbers that no conversation ever had."""
    facts = schema.facts
    found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _NEXT))
    first = int(found) if found else 1
    value = {"name": _NEXT, "value": str(first + count).encode()}
    connection.execute(facts.insert().prefix_with("OR REPLACE").values(**value))
    return first


def _merged(connection: sa.Connection, account: str, there: list[int], known: dict[int, int]) -> int:
    """Make one conversation of several: all get the number of the biggest."""
    messages = schema.messages
    mine = messages.c.conversation
    rows = connection.execute(sa.select(mine, sa.func.count()).where(mine.in_(there)).group_by(mine)).all()
    sizes = {row[0]: row[1] for row in rows}
    kept = max(there, key=lambda number: (sizes.get(number, 0), -number))
    moved = [number for number in there if number != kept]
    columns = [messages.c[name] for name in ("message_id", "in_reply_to", "reference_ids", "subject", "thread_id")]
    links: set[int] = set()
    for row in connection.execute(sa.select(*columns).where(mine.in_(moved))):
        linked = Linked(row[0], row[1].split(), row[2].split(), row[3], row[4])
        links.update(_links(account, linked))
    links.update(link for link, number in known.items() if number in moved)
    _write(connection, [(link, kept) for link in links])
    connection.execute(messages.update().where(mine.in_(moved)).values(conversation=kept))
    return kept


def _keep(connection: sa.Connection, found: Iterable[tuple[list[int], int]], known: dict[int, int]) -> None:
    fresh = {link: number for links, number in found for link in links if known.get(link) != number}
    _write(connection, list(fresh.items()))


def _write(connection: sa.Connection, rows: list[tuple[int, int]]) -> None:
    if rows:
        connection.exec_driver_sql("INSERT OR REPLACE INTO links (link, conversation) VALUES (?, ?)", rows)
