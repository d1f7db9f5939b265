"""The header index: one row a copy of a message, one row a folder with its cursor. It answers look-ups of threads.

`IndexRow` is a NamedTuple, not a dataclass: a first sync makes a hundred thousand of them and hands them to SQLite as
they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from mailassist.store import links
from mailassist.store.database import Store
from mailassist.store.dialect import among, put, put_rows, serialise
from mailassist.store.schema import folders, messages
from mailassist.store.statement import Statement


class IndexRow(NamedTuple):
    """One copy of a message, as in store/schema.py."""

    account: str
    folder: str
    uidvalidity: int
    uid: int
    message_id: str
    in_reply_to: str  # msg-ids, one space between
    reference_ids: str
    thread_id: str
    conversation: int
    subject: str
    sender_name: str
    sender_address: str
    recipients: str
    date: float
    received: float
    size: int
    flags: str
    labels: str
    headers: bytes = b""  # left out by the look-ups of whole conversations; see `headers_of`


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder is indexed: everything with a UID in [lowest, highest] and within the age limit."""

    folder: str
    role: str
    uidvalidity: int
    highest: int
    lowest: int
    complete: bool = False  # there is nothing older to index
    message_count: int = 0  # how many messages the folder had
    synced_at: float | None = None


_COLUMNS = [messages.c[name] for name in IndexRow._fields if name != "headers"]
_CURSORS = sa.select(  # made once: each look asks it; in the order of `Cursor`
    folders.c.folder, folders.c.role, folders.c.uidvalidity, folders.c.highest_uid, folders.c.lowest_uid,
    folders.c.complete, folders.c.message_count, folders.c.synced_at,
).where(folders.c.account == sa.bindparam("name"))  # fmt: skip
_KEY = ("account", "folder", "uidvalidity", "uid")
_OF_CONVERSATION = Statement(
    sa.select(*_COLUMNS).where(
        messages.c.account == sa.bindparam("this_account"),
        messages.c.conversation.in_(
            sa.select(messages.c.conversation).where(
                messages.c.account == sa.bindparam("this_account"),
                messages.c.message_id == sa.bindparam("this_message"),
            )
        ),
    )
)


def cursors(store: Store, account: str) -> dict[str, Cursor]:
    """The cursor of every folder of the account that has been looked at."""
    with store.read() as connection:
        return {row[0]: Cursor(*row) for row in connection.execute(_CURSORS, {"name": account})}


def incomplete(store: Store) -> frozenset[str]:
    """The accounts with a folder that is not read down to the age limit."""
    query = sa.select(folders.c.account).where(sa.not_(folders.c.complete)).distinct()
    with store.read() as connection:
        return frozenset(connection.scalars(query))


def last_synced(store: Store, account: str) -> float | None:
    """When the index of the account was last brought up to date (seconds since 1970), None for never."""
    query = sa.select(sa.func.max(folders.c.synced_at)).where(folders.c.account == account)
    with store.read() as connection:
        found = connection.scalar(query)
    return None if found is None else float(found)


def save(store: Store, account: str, cursor: Cursor, rows: Sequence[IndexRow] = ()) -> None:
    """Store a batch of messages and the cursor that covers them, in one transaction.

    Rows need no `conversation`; it is given here. Raises StoreError.
    """
    with store.write() as connection:
        serialise(connection, "index", account)
        if rows:
            _put_messages(connection, account, rows)
        _put(connection, account, cursor)


def add(store: Store, account: str, rows: Sequence[IndexRow]) -> None:
    """Store messages that lie within what a cursor covers already; else as `save`."""
    with store.write() as connection:
        serialise(connection, "index", account)
        _put_messages(connection, account, rows)


def start_folder(store: Store, account: str, cursor: Cursor) -> None:
    """Forget what was indexed of a folder (new, or its UIDVALIDITY changed) and begin with `cursor`."""
    with store.write() as connection:
        serialise(connection, "index", account)
        connection.execute(messages.delete().where(*_in_folder(account, cursor.folder)))
        _put(connection, account, cursor)


def drop_folders(store: Store, account: str, kept: Collection[str]) -> None:
    """Forget the folders that are no longer there, or no longer indexed."""
    gone = [name for name in cursors(store, account) if name not in kept]
    if not gone:
        return
    with store.write() as connection:
        serialise(connection, "index", account)
        for name in gone:
            connection.execute(messages.delete().where(*_in_folder(account, name)))
            connection.execute(folders.delete().where(folders.c.account == account, folders.c.folder == name))


def uids(store: Store, account: str, folder: str, first: int, last: int) -> list[int]:
    """The indexed UIDs of `folder` in [first, last], ascending."""
    query = sa.select(messages.c.uid).where(*_in_folder(account, folder), messages.c.uid.between(first, last))
    with store.read() as connection:
        return sorted(connection.scalars(query))


def recent_flags(store: Store, account: str, folder: str, since: float, most: int) -> dict[int, tuple[str, str]]:
    """Flags and labels of the newest messages of `folder` (at most `most`) that arrived after `since`, by UID."""
    query = (
        sa.select(messages.c.uid, messages.c.flags, messages.c.labels)
        .where(*_in_folder(account, folder), messages.c.received >= since)
        .order_by(messages.c.uid.desc())
        .limit(most)
    )
    with store.read() as connection:
        return {row.uid: (row.flags, row.labels) for row in connection.execute(query)}


def change_flags(store: Store, account: str, folder: str, changed: Mapping[int, tuple[str, str]]) -> None:
    """Write new (flags, labels) of messages, by UID."""
    rows = [{"one": uid, "flags": flags, "labels": labels} for uid, (flags, labels) in changed.items()]
    if rows:
        one = messages.update().where(*_in_folder(account, folder), messages.c.uid == sa.bindparam("one"))
        with store.write() as connection:
            serialise(connection, "index", account)
            connection.execute(one.values(flags=sa.bindparam("flags"), labels=sa.bindparam("labels")), rows)


def remove(store: Store, account: str, folder: str, gone: Iterable[int]) -> int:
    """Forget messages that were expunged; how many there were."""
    numbers = [*gone]
    if numbers:
        with store.write() as connection:
            serialise(connection, "index", account)
            mine = *_in_folder(account, folder), among(connection, messages.c.uid, numbers)
            connection.execute(messages.delete().where(*mine))
    return len(numbers)


def conversation_of(store: Store, account: str, message_id: str) -> list[IndexRow]:
    """Every copy of every message that may belong to the conversation of `message_id`; one indexed query."""
    asked = {"this_account": account, "this_message": message_id}
    with store.read() as connection:
        return [IndexRow(*row) for row in _OF_CONVERSATION.rows(connection, asked)]


def active_conversations(store: Store, account: str, since: float) -> dict[int, list[IndexRow]]:
    """All rows of the conversations to which something came after `since`, by conversation."""
    query = sa.select(*_COLUMNS).where(messages.c.account == account)
    if since > 0:
        recent = sa.select(messages.c.conversation).where(messages.c.account == account, messages.c.received >= since)
        query = query.where(messages.c.conversation.in_(recent))
    found: dict[int, list[IndexRow]] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            made = IndexRow(*row)
            found.setdefault(made.conversation, []).append(made)
    return found


def headers_of(store: Store, account: str, message_ids: Collection[str]) -> dict[str, bytes]:
    """The stored header fields of messages, by Message-ID."""
    query = sa.select(messages.c.message_id, messages.c.headers).where(messages.c.account == account)
    with store.read() as connection:
        rows = connection.execute(query.where(among(connection, messages.c.message_id, message_ids)))
        return {message_id: bytes(headers) for message_id, headers in rows}


def newest_in(store: Store, account: str, folder: str, most: int) -> list[IndexRow]:
    """The messages of `folder` that arrived last, newest first, without headers."""
    query = sa.select(*_COLUMNS).where(*_in_folder(account, folder)).order_by(messages.c.uid.desc()).limit(most)
    with store.read() as connection:
        return [IndexRow(*row) for row in connection.execute(query)]


def between(
    store: Store, account: str, folder: str, first: int, last: int, *, since: float, most: int | None = None
) -> list[IndexRow]:
    """The messages of `folder` in [first, last] that arrived after `since`, by UID; at most the `most` newest."""
    if first > last:  # as in nearly all looks
        return []
    query = sa.select(*_COLUMNS, messages.c.headers).where(
        *_in_folder(account, folder), messages.c.uid.between(first, last), messages.c.received >= since
    )
    with store.read() as connection:
        found = [IndexRow._make(row) for row in connection.execute(query.order_by(messages.c.uid.desc()).limit(most))]
    return found[::-1]


def arrived_since(store: Store, account: str, since: float) -> list[IndexRow]:
    """Every row of the account that arrived after `since`, newest first, without headers."""
    query = (
        sa.select(*_COLUMNS)
        .where(messages.c.account == account, messages.c.received >= since)
        .order_by(messages.c.received.desc())
    )
    with store.read() as connection:
        return [IndexRow(*row) for row in connection.execute(query)]


def _in_folder(account: str, folder: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return messages.c.account == account, messages.c.folder == folder


def _put_messages(connection: sa.Connection, account: str, rows: Sequence[IndexRow]) -> None:
    numbers = links.assign(connection, account, [_linked(row) for row in rows])
    given = [row._replace(conversation=number) for row, number in zip(rows, numbers, strict=True)]
    put_rows(connection, messages, IndexRow._fields, given, _KEY)


def _linked(row: IndexRow) -> links.Linked:
    return links.Linked(row.message_id, row.in_reply_to.split(), row.reference_ids.split(), row.thread_id)


def _put(connection: sa.Connection, account: str, cursor: Cursor) -> None:
    values = {
        "account": account,
        "folder": cursor.folder,
        "role": cursor.role,
        "uidvalidity": cursor.uidvalidity,
        "highest_uid": cursor.highest,
        "lowest_uid": cursor.lowest,
        "complete": cursor.complete,
        "message_count": cursor.message_count,
        "synced_at": cursor.synced_at,
    }
    put(connection, folders, values)
