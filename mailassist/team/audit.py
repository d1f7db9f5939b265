"""Who did what, and when, for good: what writes the audit trail, with its key or without.

The daemon holds the key and writes into the trail. People who work over PostgreSQL do not have it: what they did goes
into `audit_inbox`, where the database says who they are, and the daemon seals it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from mailassist.store import audit as table
from mailassist.store.database import Store
from mailassist.store.dialect import is_postgres
from mailassist.store.team_schema import audit_inbox

DAY = 86_400.0  # seconds
_AT_ONCE = 200  # entries of the inbox in one transaction
_NOTHING: Mapping[str, Any] = {}


class Trail:
    """The trail, with its key. Thread-safe; any number of threads, processes and machines may write."""

    def __init__(
        self,
        store: Store,
        key: bytes,
        now: Callable[[], float] = time.time,
        *,
        retention_days: Mapping[str, int] = _NOTHING,
        other_days: int = 90,
    ) -> None:
        """`key`: as `audit_key.find` gives it; `retention_days`: of texts, by mailbox; `other_days`: of other ones.

        Raises ValueError for a key of less than 32 bytes.
        """
        self._store = store
        self._seals = table.Seals(key)
        self._now = now
        self._days = retention_days
        self._other_days = other_days

    def record(
        self,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = _NOTHING,
    ) -> int:
        """Append an entry, and commit it; its number. Raises StoreError.

        `who`: a person as the system or the database knows them, or `daemon`; `written`: what the model wrote;
        `sent`: what was approved or sent (keyed hashes of both stay, the texts go with the retention); `details`: what
        JSON can hold, without content of mail.
        """
        with self._store.write() as connection:
            return self.record_in(
                connection, action, who=who, mailbox=mailbox, case_id=case_id, written=written, sent=sent,
                details=details,
            )  # fmt: skip

    def record_in(
        self,
        connection: sa.Connection,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = _NOTHING,
    ) -> int:
        """As `record`, in a transaction of `Store.write`: the entry is there when the change it is about is.

        Make it the last thing in the transaction: other writers of the trail wait from here to its end.
        """
        now = self._now()
        return table.append(
            connection, self._seals, at=now, who=who, action=action, mailbox=mailbox, case_id=case_id,
            written=written, sent=sent, details=table.as_json(details), until=self._until(mailbox, now),
        ).number  # fmt: skip

    def head(self) -> tuple[int, str]:
        """Number and seal (hexadecimal) of the last entry: what is noted elsewhere to find a tail that was cut off."""
        with self._store.read() as connection:
            number, seal = table.head(connection)
        return number, seal.hex()

    def seal_inbox(self) -> int:
        """Move what people of PostgreSQL did into the trail, in its order, each exactly once; how many.

        An entry leaves the inbox in the transaction that seals it, whatever crashes, and however many daemons do it.
        """
        total = 0
        with self._store.read() as connection:
            if not table.waiting(connection):  # as nearly always: nothing is locked
                return 0
        while True:
            with self._store.write() as connection:
                moved = self._seal_some(connection)
            total += moved
            if moved < _AT_ONCE:
                return total

    def _seal_some(self, connection: sa.Connection) -> int:
        table.serialise(connection)  # before the rows are read: another daemon may be moving them
        rows = connection.execute(sa.select(audit_inbox).order_by(audit_inbox.c.id).limit(_AT_ONCE)).all()
        now = self._now()
        for row in rows:
            table.append(
                connection, self._seals, at=row.at if 0 <= row.at <= now + DAY else now, who=row.who, action=row.action,
                mailbox=row.mailbox, case_id=row.case_id, written=row.written, sent=row.sent,
                details=_from_inbox(row.details, row.id), until=self._until(row.mailbox, now),
            )  # fmt: skip
        if rows:
            connection.execute(audit_inbox.delete().where(audit_inbox.c.id.in_([row.id for row in rows])))
        return len(rows)

    def _until(self, mailbox: str, now: float) -> float:
        return now + self._days.get(mailbox, self._other_days) * DAY


def seal_inbox(store: Store, key: bytes, now: Callable[[], float] = time.time) -> int:
    """`Trail.seal_inbox`, where there is no trail at hand."""
    return Trail(store, key, now).seal_inbox()


class InboxTrail:
    """The trail for a person of PostgreSQL, who has no key; a trigger of the database says who they are."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        """`store`: with the person's own role, which may insert into `audit_inbox` and need not read it."""
        self._store = store
        self._now = now

    def record(
        self,
        action: str,
        *,
        who: str = "",
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = _NOTHING,
    ) -> int:
        """Add an entry to be sealed, and commit it; 0, since it has no number yet. Raises StoreError.

        `who` is what PostgreSQL says, whatever is told here.
        """
        with self._store.write() as connection:
            self.record_in(
                connection, action, who=who, mailbox=mailbox, case_id=case_id, written=written, sent=sent,
                details=details,
            )  # fmt: skip
        return 0

    def record_in(
        self,
        connection: sa.Connection,
        action: str,
        *,
        who: str = "",
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = _NOTHING,
    ) -> None:
        """As `record`, in a transaction of `Store.write`."""
        values = {
            "at": self._now(),
            "who": sa.literal_column("session_user") if is_postgres(connection) else who,
            "action": table.storable(action),
            "mailbox": table.storable(mailbox),
            "case_id": case_id,
            "written": table.storable(written),
            "sent": table.storable(sent),
            "details": table.as_json(details),
        }
        # Inline: RETURNING, which would tell the new id, needs the right to read the table.
        connection.execute(audit_inbox.insert().inline().values(values))


def _from_inbox(details: str, row: int) -> str:
    """The details of an entry, whatever a client wrote there, with the number it had in the inbox."""
    try:
        given = json.loads(details) if details else {}
        if isinstance(given, dict):
            return table.as_json({**given, "inbox": row})
    except (ValueError, RecursionError):
        pass  # no JSON, or none that can be written again: kept as a text
    return table.as_json({"said": details, "inbox": row})
