"""The audit trail in the store: numbered entries, each sealed with a key that the store does not have.

A seal is HMAC-SHA-256 (RFC 2104) over every field of its entry and the seal before it, so that an entry cannot be
changed, removed, inserted or moved without the key. What it cannot show by itself is a tail that was cut off: for that
the head (last number and seal) is noted elsewhere, and compared.
"""

from __future__ import annotations

import hmac
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from mailassist.store import dialect
from mailassist.store.statement import Statement
from mailassist.store.team_schema import audit, audit_inbox, audit_texts, cases

KEY_BYTES = 32  # the least
NO_SEAL = bytes(32)  # stands before the first entry
_FORM = b"mailassist audit entry 1"  # of the bytes that are sealed
_BATCH = 500

Value = int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; the texts that it is about lie apart, and may be gone."""

    number: int  # 1, 2, 3, ...
    at: float  # seconds since 1970
    who: str
    action: str
    mailbox: str
    case_id: int | None
    written_hash: str  # keyed, of what the model wrote; "" for nothing
    sent_hash: str  # keyed, of what was approved or sent
    details: str  # JSON
    seal: bytes = b""
    written: str = ""
    sent: str = ""

    @property
    def sealed(self) -> tuple[Value, ...]:
        """The fields that the seal is over, in the order of the table."""
        return (self.number, self.at, self.who, self.action, self.mailbox, self.case_id, self.written_hash,
                self.sent_hash, self.details)  # fmt: skip


class Seals:
    """The key of the trail at work."""

    def __init__(self, key: bytes) -> None:
        """`key`: at least 32 bytes that the store does not have. Raises ValueError."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"the key of the audit trail needs {KEY_BYTES} bytes; it has {len(key)}")
        self._entries = hmac.new(hmac.digest(key, b"mailassist audit seal", "sha256"), digestmod="sha256")
        self._texts = hmac.new(hmac.digest(key, b"mailassist audit text", "sha256"), digestmod="sha256")

    def of_entry(self, entry: Entry, before: bytes) -> bytes:
        """The seal of `entry`, which follows on the one whose seal is `before`."""
        made = self._entries.copy()
        made.update(encoded((*entry.sealed, before)))
        return made.digest()

    def of_text(self, text: str) -> str:
        """64 hexadecimal digits, the same for the same text; "" for none."""
        if not text:
            return ""
        made = self._texts.copy()
        made.update(storable(text).encode())
        return made.hexdigest()


def encoded(values: Iterable[Value]) -> bytes:
    """The values as bytes, no two sequences alike: each has its kind and its length in front."""
    parts = [_FORM]
    for value in values:
        kind, body = _body(value)
        parts.append(kind + struct.pack(">Q", len(body)) + body)
    return b"".join(parts)


def _body(value: Value) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"n", b""
        case int():
            return b"i", str(value).encode()
        case float():
            return b"f", struct.pack(">d", value)
        case str():
            return b"s", value.encode("utf-8", "surrogatepass")
    return b"b", bytes(value)


def storable(text: str) -> str:
    """`text` as every database takes it: NUL and lone surrogates become U+FFFD."""
    text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_json(details: Mapping[str, object]) -> str:
    """`details` as they are kept: JSON in ASCII, keys in order; "" for none. Raises ValueError, TypeError."""
    return json.dumps(dict(details), sort_keys=True, allow_nan=False, separators=(",", ":")) if details else ""


def serialise(connection: sa.Connection) -> None:
    """Let no other writer of the trail in until this transaction ends."""
    dialect.serialise(connection, "audit")


def append(
    connection: sa.Connection,
    seals: Seals,
    *,
    at: float,
    who: str,
    action: str,
    mailbox: str = "",
    case_id: int | None = None,
    written: str = "",
    sent: str = "",
    details: str = "",
    until: float,
) -> Entry:
    """Add one entry, committed with the transaction; its texts are kept until `until` (seconds since 1970).

    Other writers wait from here to the end of the transaction: make it the last thing in it.
    """
    serialise(connection)
    number, before = head(connection)
    hashes = seals.of_text(written), seals.of_text(sent)
    fields = (storable(who), storable(action), storable(mailbox), case_id, *hashes, storable(details))
    entry = Entry(number + 1, at + 0.0, *fields)  # + 0.0: SQLite knows no -0.0
    seal = seals.of_entry(entry, before)
    _ADD.change(connection, dict(zip(_NAMES, (*entry.sealed, seal), strict=True)))
    if written or sent:
        texts = {"written": storable(written), "sent": storable(sent)}
        _ADD_TEXTS.change(connection, {"number": entry.number, **texts, "until": until})
    return replace(entry, seal=seal)


def head(connection: sa.Connection) -> tuple[int, bytes]:
    """Number and seal of the last entry; (0, NO_SEAL) for an empty trail."""
    last = _LAST.first(connection)
    return (last[0], bytes(last[1])) if last else (0, NO_SEAL)


def entries(
    connection: sa.Connection, *, case_id: int | None = None, since: float | None = None, first: int | None = None
) -> Iterator[Entry]:
    """The entries in their order with the texts that are left, read in parts; `first`: from this number on.

    What somebody wrote into the table by hand comes as it is: of another type, for example.
    """
    seal = sa.type_coerce(audit.c.seal, sa.types.NullType())  # bytes(5) would be five zeros, not an error
    columns = [column for column in audit.columns if column.name != "seal"]
    query = sa.select(*columns, seal.label("seal"), audit_texts.c.written, audit_texts.c.sent)
    query = query.outerjoin_from(audit, audit_texts, audit_texts.c.number == audit.c.number)
    query = query.order_by(audit.c.number).limit(_BATCH)
    if case_id is not None:
        query = query.where(audit.c.case_id == case_id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    after = None if first is None else first - 1
    while True:
        rows = connection.execute(query if after is None else query.where(audit.c.number > after)).all()
        for row in rows:
            yield Entry(**{**row._mapping, "written": row.written or "", "sent": row.sent or ""})
        if len(rows) < _BATCH:
            return
        after = rows[-1].number


def waiting(connection: sa.Connection) -> int:
    """How many entries of people of PostgreSQL are not sealed yet."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(audit_inbox)) or 0)


def remove_old_texts(connection: sa.Connection, *, now: float) -> int:
    """Delete the texts whose time is over; how many. The trail stays as it is."""
    return connection.execute(audit_texts.delete().where(audit_texts.c.until <= now)).rowcount


def forget_texts(connection: sa.Connection, names: Callable[[str], bool]) -> int:
    """Delete the texts that name a person, and those of cases with that person; how many. The trail stays as it is.

    `names` says whether a text names them. What waits in `audit_inbox` is not looked at: seal it first.
    """
    theirs = sa.select(cases.c.id, cases.c.correspondent, cases.c.subject)
    ids = {row.id for row in connection.execute(theirs) if names(row.correspondent) or names(row.subject)}
    kept = sa.select(audit_texts, audit.c.case_id).outerjoin_from(
        audit_texts, audit, audit.c.number == audit_texts.c.number
    )
    numbers = [
        row.number for row in connection.execute(kept) if row.case_id in ids or names(row.written) or names(row.sent)
    ]
    for start in range(0, len(numbers), _BATCH):
        connection.execute(audit_texts.delete().where(audit_texts.c.number.in_(numbers[start : start + _BATCH])))
    return len(numbers)


_NAMES = tuple(column.name for column in audit.columns)
_ADD, _ADD_TEXTS = Statement(audit.insert()), Statement(audit_texts.insert())
_LAST = Statement(sa.select(audit.c.number, audit.c.seal).order_by(audit.c.number.desc()).limit(1))
