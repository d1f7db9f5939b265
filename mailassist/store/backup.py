"""A copy, beside the store, of what no mailbox has: drafts, the outbox, the ledger, a team's work, who was forgotten.

It is written once a day and taken into the new store that is made after a damaged one was moved away. The day before's
is kept too. The bytes of replies that are through are left out: they lie in Sent.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from mailassist.errors import StoreError
from mailassist.store import schema, team_schema

EVERY = 86_400.0  # seconds
_TABLES = (
    schema.facts, schema.forgotten, schema.conversations, schema.drafts, schema.versions, schema.outbox, schema.ledger,
    team_schema.mailboxes, team_schema.looked, team_schema.cases, team_schema.arrivals, team_schema.arrival_copies,
    team_schema.case_notes, team_schema.approvals, team_schema.feedback, team_schema.audit, team_schema.audit_texts,
    team_schema.people_notices, team_schema.batches,
)  # fmt: skip
_WORK = (  # without any of these there is nothing to lose
    schema.drafts, schema.outbox, schema.ledger, team_schema.mailboxes, team_schema.audit,
)  # fmt: skip

Rows = Mapping[sa.Table, Sequence[Mapping[str, Any]]]


def files(store: Path) -> list[Path]:
    """The backups of a store that are there, the newest first."""
    return [file for file in _names(store) if file.exists()]


def due(store: Path, *, now: float) -> bool:
    """Whether the newest backup is not of today."""
    found = files(store)
    return not found or abs(now - found[0].stat().st_mtime) >= EVERY


def rows(connection: sa.Connection) -> Rows:
    """What belongs into a backup; of one that an older mailassist wrote, what it had then."""
    found: dict[sa.Table, list[Mapping[str, Any]]] = {}
    for table in _TABLES:
        there = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
        names = [column.name for column in table.c if column.name in there]
        found[table] = [dict(row._mapping) for row in connection.execute(_select(table, names))] if names else []
    return found


def write(store: Path, rows: Rows, *, now: float) -> None:
    """Put a new backup in the place of the newest, which becomes the older one; all of it or nothing.

    Raises StoreError.
    """
    if not any(rows[table] for table in _WORK):
        return
    newest, older = _names(store)
    try:
        handle, name = tempfile.mkstemp(prefix=f"{newest.name}-", dir=store.parent)  # mode 0600
        os.close(handle)
        made = Path(name)
        try:
            _fill(made, rows, now)
            if newest.exists():
                newest.replace(older)
            made.replace(newest)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        cure = "Check the owner of the folder, and its disk."
        raise StoreError(f"No backup can be made of {store}: {error.strerror}", cure=cure) from error


def restore(connection: sa.Connection, store: Path) -> Path | None:
    """Fill the empty tables of a new store from the newest backup that can be read; that file, None without any.

    Nobody knows what became of a reply since: what was on its way is `unknown`, for the person to settle, and never
    leaves by itself. Raises StoreError where no backup can be read.
    """
    found = files(store)
    for file in found:
        try:
            with _connected(file) as saved:
                copied = rows(saved)
        except DatabaseError:
            continue  # damaged as well: the older one
        _insert(connection, copied)
        forget_progress(connection, f"It is from the backup of {day(file)}, and may have been sent since")
        return file
    if found:
        names = " and ".join(map(str, found))
        raise StoreError(f"The backup cannot be read either: {names}", cure="Move it away, too: the store begins anew.")
    return None


def forget_progress(connection: sa.Connection, why: str) -> None:
    """What was under way then may be through by now: it is looked for, and nothing is sent or appended again.

    Replies and approvals are left to the person, with the reason `why`; nobody holds a lease or a claim any more.
    """
    outbox, drafts = schema.outbox, schema.drafts
    unknown = {"state": "unknown", "error": why, "not_before": 0.0, "tries": 0, "data_started": True}
    free = {"owner": "", "leased_until": 0.0, "filing_started": True}
    connection.execute(outbox.update().values(free))
    connection.execute(outbox.update().where(outbox.c.state.in_(("approved", "sending"))).values(unknown))
    connection.execute(drafts.update().where(drafts.c.state == "appending").values(state="kept", pending=b"", owner=""))
    approvals, cases, arrivals = team_schema.approvals, team_schema.cases, team_schema.arrivals
    connection.execute(approvals.update().where(approvals.c.open == 1).values(state="unknown", said=why))
    connection.execute(cases.update().values(claimed_by="", claimed_until=0.0))
    connection.execute(cases.update().where(cases.c.state == "approved").values(reason=why))
    connection.execute(arrivals.update().values(owner="", leased_until=0.0, fence=arrivals.c.fence + 1))
    connection.execute(team_schema.mailboxes.update().values(watcher=""))


def remove(store: Path) -> None:
    """Delete the backups, and what a crash left of one."""
    for file in store.parent.iterdir():
        if file.name.startswith(_names(store)[0].name):
            file.unlink(missing_ok=True)


def day(file: Path) -> str:
    """When a backup was written."""
    return f"{datetime.fromtimestamp(file.stat().st_mtime):%Y-%m-%d %H:%M}"


def _names(store: Path) -> tuple[Path, Path]:
    return store.with_name(f"{store.name}.backup"), store.with_name(f"{store.name}.backup-older")


def _connected(file: Path) -> sa.Connection:
    return sa.create_engine(f"sqlite+pysqlite:///{file}", poolclass=sa.NullPool).connect()


def _select(table: sa.Table, names: Sequence[str]) -> sa.Select[Any]:
    if table is not schema.outbox:
        return sa.select(*(table.c[name] for name in names))
    through = table.c.state.in_(("done", "cancelled"))
    raw = sa.case((through, b""), else_=table.c.raw).label("raw")
    return sa.select(*(raw if name == "raw" else table.c[name] for name in names))


def _fill(file: Path, rows: Rows, now: float) -> None:
    with _connected(file) as connection, connection.begin():
        schema.metadata.create_all(connection, tables=_TABLES)
        _insert(connection, rows)
    os.utime(file, (now, now))


def _insert(connection: sa.Connection, rows: Rows) -> None:
    for table, values in rows.items():
        if values:
            connection.execute(table.insert(), values)
