"""Removing a person's data, and keeping it from coming back: `mailassist forget`.

What is remembered of the person is a keyed hash of the address and the moment: mail that arrived before it is not
indexed again, mail that comes later is, since it may want an answer.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from mailassist.mail.message import Address
from mailassist.store import backup, links, schema
from mailassist.store.database import Store
from mailassist.store.dialect import is_postgres, put, serialise
from mailassist.store.forgotten_team import TeamRemoved, forget_team
from mailassist.store.index import IndexRow

_ADDRESS = re.compile(rb"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_UNDER_WAY = ("approved", "sending", "sent", "filed", "unknown", "refused")


@dataclass(frozen=True, slots=True)
class Removed:
    """What `forget` removed, and what it had to keep."""

    messages: int = 0
    texts: int = 0
    drafts: int = 0
    conversations: int = 0
    replies: int = 0  # outbox rows that were done
    kept_replies: tuple[tuple[int, str, str], ...] = ()  # (outbox id, state, subject) of replies not through yet
    team: TeamRemoved = field(default_factory=TeamRemoved)


def together(one: Removed, other: Removed) -> Removed:
    """What was removed from two stores."""
    return Removed(**_added(one, other))


def _added(one: Removed | TeamRemoved, other: Removed | TeamRemoved) -> dict[str, Any]:
    """Field by field: numbers and lists are added."""
    found: dict[str, Any] = {}
    for name in one.__slots__:
        mine, theirs = getattr(one, name), getattr(other, name)
        if isinstance(mine, TeamRemoved):
            found[name] = TeamRemoved(**_added(mine, theirs))
        else:
            found[name] = mine | theirs if isinstance(mine, frozenset) else mine + theirs
    return found


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Whose mail is not to be indexed again."""

    key: bytes
    until: Mapping[bytes, float] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Forgotten:
        """As stored."""
        table = schema.forgotten
        with store.read() as connection:
            until = {row.address_hash: row.until for row in connection.execute(sa.select(table))}
        return cls(store.key() if until else b"", until)

    def covers(self, row: IndexRow) -> bool:
        """Whether the message of `row` is from or to somebody who was forgotten after it came."""
        if not self.until:
            return False
        people = (row.sender_address, *row.recipients.split())
        return any(self.until.get(_hash(self.key, person), 0.0) >= row.received for person in people if person)

    def without_mentions(self, raw: Mapping[str, bytes], received: Mapping[str, float]) -> dict[str, bytes]:
        """The messages of `raw` that name nobody who was forgotten after they came."""
        if not self.until:
            return dict(raw)
        return {one: body for one, body in raw.items() if not self._mentions(body, received.get(one, 0.0))}

    def _mentions(self, body: bytes, received: float) -> bool:
        named = {found.decode("utf-8", "replace") for found in _ADDRESS.findall(body)}
        return any(self.until.get(_hash(self.key, one), -1.0) >= received for one in named)


def forget(store: Store, address: str, *, now: float) -> Removed:
    """Remove what is stored of the person with this address, in all accounts; the bytes are gone from the file.

    Removed are messages from or to the address or naming it in a header, kept texts that contain it anywhere, drafts
    that answer those or contain it, what belonged to their conversations, replies to it that are through. Replies that
    are not through yet are kept and named. Raises StoreError, and then another mailassist keeps the file open.
    """
    key = store.key()
    with store.write() as connection:
        if is_postgres(connection):
            serialise(connection, "index")  # no message may come in that a dropped link would have joined
        else:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        removed = _Removal(connection, _spellings(address)).run()
        values = {"address_hash": _hash(key, address), "until": now}
        put(connection, schema.forgotten, values)
    if store.path is not None:
        backup.remove(store.path)
    store.compact()
    return removed


def remember_again(store: Store, address: str) -> bool:
    """Let the mail of a forgotten person be indexed again; False when nobody with this address was forgotten.

    The folders' cursors are dropped, so that the next sync reads all headers anew.
    """
    hashed = _hash(store.key(), address)
    with store.write() as connection:
        table = schema.forgotten
        known = connection.execute(table.delete().where(table.c.address_hash == hashed)).rowcount > 0
        if known:
            connection.execute(schema.folders.delete())
    return known


class _Removal:
    """One person's rows, table by table, in one transaction."""

    def __init__(self, connection: sa.Connection, spellings: tuple[str, ...]) -> None:
        self._connection = connection
        self._spellings = spellings
        inner = "|".join(map(re.escape, spellings))
        self._pattern = re.compile(rf"(?<![\w.+-])(?:{inner})(?![\w-]|\.\w)", re.IGNORECASE)

    def run(self) -> Removed:
        """Remove, and count."""
        ids, related = self._messages()
        messages = len(ids)
        team = forget_team(self._connection, self._spellings, self._names, ids)
        ids |= team.message_ids
        texts = self._texts(ids)
        drafts = self._delete(
            schema.drafts,
            self._matching(schema.drafts, ("text", "instruction", "pending"))
            | self._where(schema.drafts, "answers", ids),
        )
        self._delete(
            schema.versions, self._matching(schema.versions, ("text",)) | self._where(schema.versions, "answers", ids)
        )
        replies = self._matching(schema.outbox, ("recipients", "raw", "text", "error")) | self._where(
            schema.outbox, "answers", ids
        )
        kept = self._under_way(replies)
        done = self._delete(schema.outbox, replies - {row[0] for row in kept})
        conversations = self._conversations(ids | related)
        links.drop_unused(self._connection)
        return Removed(messages, texts, drafts, conversations, done, kept, team)

    def _messages(self) -> tuple[set[str], set[str]]:
        """Remove index rows; the Message-IDs removed, and those that they refer to."""
        table = schema.messages
        rows = self._matching(table, ("sender_address", "recipients", "sender_name", "subject", "headers"))
        ids: set[str] = set()
        related: set[str] = set()
        columns = (table.c.message_id, table.c.reference_ids, table.c.in_reply_to)
        for part in _parts(rows):
            for row in self._connection.execute(sa.select(*columns).where(table.c.id.in_(part))):
                ids.add(row[0])
                related.update(row[1].split(), row[2].split())
        self._delete(table, rows)
        return ids, related

    def _texts(self, ids: set[str]) -> int:
        table = schema.texts
        found = {
            (row.account, row.message_id)
            for row in self._connection.execute(sa.select(table.c.account, table.c.message_id, table.c.raw))
            if row.message_id in ids or self._pattern.search(row.raw.decode("utf-8", "replace"))
        }
        for account, message_id in found:
            mine = table.c.account == account, table.c.message_id == message_id
            self._connection.execute(table.delete().where(*mine))
        return len(found)

    def _conversations(self, ids: set[str]) -> int:
        table = schema.conversations
        removed = 0
        for part in _parts(ids):
            mine = table.c.conversation.in_(part) | table.c.skipped_at_message.in_(part)
            removed += self._connection.execute(table.delete().where(mine)).rowcount
        return removed

    def _under_way(self, rows: set[int]) -> tuple[tuple[int, str, str], ...]:
        table = schema.outbox
        query = sa.select(table.c.id, table.c.state, table.c.subject).where(table.c.state.in_(_UNDER_WAY))
        return tuple((row.id, row.state, row.subject) for row in self._connection.execute(query) if row.id in rows)

    def _matching(self, table: sa.Table, names: tuple[str, ...]) -> set[int]:
        """Ids of rows in which one of the columns contains the address as a whole."""
        near = sa.or_(*(self._near(table.c[name], spelling) for name in names for spelling in self._spellings))
        raw = [table.c[name] for name in names]
        found = self._connection.execute(sa.select(table.c.id, *raw).where(near))
        return {row[0] for row in found if any(self._names(value) for value in row[1:])}

    def _near(self, column: sa.Column[Any], spelling: str) -> sa.ColumnElement[bool]:
        """Whether the column contains the spelling, in any case: a first, quick look in the database."""
        if not is_postgres(self._connection):
            return sa.func.instr(sa.func.lower(sa.cast(column, sa.Text)), spelling) > 0
        if isinstance(column.type, sa.LargeBinary):  # as text in ASCII, each other byte as \ and three octal digits
            octal = "".join(
                chr(one) if one < 128 else f"\\{one:03o}" for one in spelling.encode().replace(b"\\", b"\\\\")
            )
            return sa.func.strpos(sa.func.lower(sa.func.encode(column, "escape")), octal) > 0
        return sa.func.strpos(sa.func.lower(column), spelling) > 0

    def _names(self, value: str | bytes) -> bool:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return self._pattern.search(text) is not None

    def _where(self, table: sa.Table, name: str, values: set[str]) -> set[int]:
        found: set[int] = set()
        for part in _parts(values):
            found |= set(self._connection.scalars(sa.select(table.c.id).where(table.c[name].in_(part))))
        return found

    def _delete(self, table: sa.Table, rows: set[int]) -> int:
        for part in _parts(rows):
            self._connection.execute(table.delete().where(table.c.id.in_(part)))
        return len(rows)


def _parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists short enough for one statement's parameters."""
    every = list(values)
    for start in range(0, len(every), 10_000):
        yield every[start : start + 10_000]


def _spellings(address: str) -> tuple[str, ...]:
    """The address as given and with its domain in A-labels, lower case."""
    return tuple(dict.fromkeys((address.lower(), Address("", address).key)))


def _hash(key: bytes, address: str) -> bytes:
    return hmac.digest(key, b"forgotten " + _key(address).encode("utf-8", "surrogatepass"), "sha256")


@lru_cache(maxsize=10_000)
def _key(address: str) -> str:
    return Address("", address).key
