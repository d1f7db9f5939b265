"""Which messages may belong to one conversation: disjoint sets that grow with every message, kept in the `links` table.

A message's links are its own id, the ids it answers and all ids it refers to. Messages that share a link share a
conversation number, whatever order they come in; a message that links two conversations makes one of them, the smaller
being renumbered (n messages cost n log n at most). The subject plays no part here: `mail.threads` needs to see the
messages that References name in order to decide that they do not link. So a number stands for a superset of a
conversation, which one query finds; what is a conversation is decided from its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import sqlalchemy as sa

from mailassist.store import schema
from mailassist.store.dialect import among, is_postgres, put, put_rows, serialise

_NEXT = "next conversation"
_MOST_REFERENCES = 500  # of a message: the first ones and the last; more is not somebody's conversation


@dataclass(frozen=True, slots=True)
class Linked:
    """What of a message decides where it belongs."""

    message_id: str
    in_reply_to: Sequence[str]
    references: Sequence[str]
    thread_id: str = ""


def assign(connection: sa.Connection, account: str, batch: Sequence[Linked]) -> list[int]:
    """The conversation of each message of `batch`; merges conversations that turn out to be one."""
    serialise(connection, "index", account)
    carried = [_links(account, message) for message in batch]
    known = _conversations_of(connection, {link for links in carried for link in links})
    sets = _Sets(known)
    places = [sets.place(links) for links in carried]
    numbers = _numbers(connection, account, sets, known, places)
    found = [numbers[sets.find(place)] for place in places]
    _keep(connection, zip(carried, found, strict=True), known)
    return found


def drop_unused(connection: sa.Connection) -> None:
    """Remove the links of conversations that have no message left."""
    used = sa.select(schema.messages.c.conversation)
    connection.execute(schema.links.delete().where(schema.links.c.conversation.not_in(used)))


class _Sets:
    """Disjoint sets of links, with path halving: negative numbers are stored conversations, positive ones are new."""

    def __init__(self, known: Mapping[int, int]) -> None:
        self._of = {link: -conversation for link, conversation in known.items()}
        self._parent = {number: number for number in self._of.values()}

    def place(self, links: Sequence[int]) -> int:
        """Put a message's links into one set: that of those seen before, else a new one."""
        seen = {self._of[link] for link in links if link in self._of}
        roots = {self.find(number) for number in seen}
        home = min(roots) if roots else len(self._parent) + 1
        if not roots:
            self._parent[home] = home
        for root in roots:
            self._parent[root] = home
        self._of.update(dict.fromkeys(links, home))
        return home

    def find(self, item: int) -> int:
        """The set's representative: one of its stored conversations, where it has some."""
        parent = self._parent
        root = parent[item]
        while root != item:
            parent[item] = root = parent[root]
            item, root = root, parent[root]
        return item

    def conversations(self) -> dict[int, list[int]]:
        """The stored conversations in each set that has some."""
        found: dict[int, list[int]] = {}
        for number in list(self._parent):
            if number < 0:
                found.setdefault(self.find(number), []).append(-number)
        return found


@lru_cache(maxsize=200_000)
def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def _links(account: str, message: Linked) -> list[int]:
    mailbox = _hash(f"account {account}")
    names = [message.message_id, *message.in_reply_to, *_some(message.references)]
    if message.thread_id:
        names.append(f"thread {message.thread_id}")
    return [_hash(name) ^ mailbox for name in names]


def _some(references: Sequence[str]) -> Sequence[str]:
    if len(references) <= _MOST_REFERENCES:
        return references
    half = _MOST_REFERENCES // 2
    return (*references[:half], *references[-half:])


def _conversations_of(connection: sa.Connection, links: Iterable[int]) -> dict[int, int]:
    table = schema.links
    query = sa.select(table.c.link, table.c.conversation)
    return {row[0]: row[1] for row in connection.execute(query.where(among(connection, table.c.link, [*links])))}


def _numbers(
    connection: sa.Connection, account: str, sets: _Sets, known: dict[int, int], places: Sequence[int]
) -> dict[int, int]:
    """The number of each set's conversation: the biggest one's that is there already, else a new one."""
    numbers: dict[int, int] = {}
    for root, there in sets.conversations().items():
        numbers[root] = _merged(connection, account, there, known) if len(there) > 1 else there[0]
    fresh = [root for root in dict.fromkeys(map(sets.find, places)) if root not in numbers]
    if fresh:
        numbers.update(zip(fresh, _reserve(connection, len(fresh)), strict=True))
    return numbers


def _reserve(connection: sa.Connection, count: int) -> Sequence[int]:
    """`count` numbers that no conversation ever had."""
    facts = schema.facts
    if is_postgres(connection):  # a sequence: accounts do not wait for each other
        each = sa.func.generate_series(1, count).table_valued("number")
        return connection.scalars(sa.select(schema.conversation_numbers.next_value()).select_from(each)).all()
    found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _NEXT))
    first = int(found) if found else 1
    put(connection, facts, {"name": _NEXT, "value": str(first + count).encode()})
    return range(first, first + count)


def _merged(connection: sa.Connection, account: str, there: list[int], known: dict[int, int]) -> int:
    """Make one conversation of several: all get the number of the biggest."""
    messages = schema.messages
    mine = messages.c.conversation
    rows = connection.execute(sa.select(mine, sa.func.count()).where(mine.in_(there)).group_by(mine)).all()
    sizes = {row[0]: row[1] for row in rows}
    kept = max(there, key=lambda number: (sizes.get(number, 0), -number))
    moved = [number for number in there if number != kept]
    columns = [messages.c[name] for name in ("message_id", "in_reply_to", "reference_ids", "thread_id")]
    links: set[int] = set()
    for row in connection.execute(sa.select(*columns).where(mine.in_(moved))):
        linked = Linked(row[0], row[1].split(), row[2].split(), row[3])
        links.update(_links(account, linked))
    links.update(link for link, number in known.items() if number in moved)
    _write(connection, [(link, kept) for link in links])
    connection.execute(messages.update().where(mine.in_(moved)).values(conversation=kept))
    return kept


def _keep(connection: sa.Connection, found: Iterable[tuple[list[int], int]], known: dict[int, int]) -> None:
    fresh = {link: number for links, number in found for link in links if known.get(link) != number}
    _write(connection, list(fresh.items()))


def _write(connection: sa.Connection, rows: list[tuple[int, int]]) -> None:
    put_rows(connection, schema.links, ("link", "conversation"), rows, key=("link",))
