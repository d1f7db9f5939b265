"""The cases table: each conversation of a team mailbox as the team works on it, found again by any of its messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from mailassist.store import team_schema as schema
from mailassist.store.database import Store
from mailassist.store.statement import Statement

_cases = schema.cases
_arrivals = schema.arrivals
MOST_IDS = 500  # of one conversation in one statement
DECIDED = ("approved", "none")  # by a person: a step of the daemon changes neither
_OUTCOME = ("state", "reason", "missing")


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case; the columns of store/team_schema.py."""

    id: int
    mailbox: str
    conversation: str
    message_id: str
    arrived: float
    subject: str
    correspondent: str
    state: str
    reason: str
    missing: str
    category: str
    urgency: str
    language: str
    due: float | None
    assigned_to: str
    claimed_by: str
    claimed_until: float
    created_at: float
    changed_at: float


_COLUMNS = [_cases.c[field.name] for field in fields(CaseRow)]


_GET = Statement(sa.select(*_COLUMNS).where(_cases.c.id == sa.bindparam("number")))
_CHANGE = _cases.update().where(_cases.c.id == sa.bindparam("number"))
_NEW = _cases.insert().returning(_cases.c.id)
_KEYED = Statement(
    sa.select(_cases.c.id).where(
        _cases.c.mailbox == sa.bindparam("this_mailbox"), _cases.c.conversation == sa.bindparam("this_conversation")
    )
)
_NAMED = sa.select(_arrivals.c.case_id).where(
    _arrivals.c.mailbox == sa.bindparam("this_mailbox"),
    _arrivals.c.case_id.is_not(None),
    _arrivals.c.message_id.in_(sa.bindparam("ids", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class About:
    """What a new message says of its conversation."""

    conversation: str  # the key of `mail.threads.Conversation`
    message_ids: tuple[str, ...]  # every message of it that is known, oldest first
    subject: str
    correspondent: str
    due: float | None = None


def get(store: Store, case_id: int) -> CaseRow | None:
    """One case, or None."""
    with store.read() as connection:
        return read(connection, case_id)


def read(connection: sa.Connection, case_id: int) -> CaseRow | None:
    """One case, in the caller's transaction."""
    found = _GET.first(connection, {"number": case_id})
    return CaseRow(*found) if found else None


def listed(store: Store, *, mailbox: str = "", states: Collection[str] = ()) -> list[CaseRow]:
    """Cases, the oldest first: of one mailbox, in certain states, or all."""
    query = sa.select(*_COLUMNS).order_by(_cases.c.id)
    if mailbox:
        query = query.where(_cases.c.mailbox == mailbox)
    if states:
        query = query.where(_cases.c.state.in_(states))
    with store.read() as connection:
        return [CaseRow(**found._mapping) for found in connection.execute(query)]


def of_conversation(
    connection: sa.Connection, mailbox: str, conversation: str, message_ids: Collection[str]
) -> CaseRow | None:
    """The case of a conversation: by its key, else by any of its messages; two that turn out to be one: the older."""
    found = [row[0] for row in _KEYED.rows(connection, {"this_mailbox": mailbox, "this_conversation": conversation})]
    if not found:
        asked = {"this_mailbox": mailbox, "ids": list(message_ids)[-MOST_IDS:]}
        found = sorted(set(connection.scalars(_NAMED, asked)))
    return read(connection, found[0]) if found else None


def open_anew(
    connection: sa.Connection,
    mailbox: str,
    found: CaseRow | None,
    about: About,
    message_id: str,
    arrived: float,
    now: float,
) -> int:
    """The case that `message_id` opens, or `found` opened again; its id. An approval on its way stays one."""
    news = {
        "message_id": message_id, "arrived": arrived, "subject": about.subject, "correspondent": about.correspondent,
        "due": about.due, "changed_at": now,
    }  # fmt: skip
    if found is None:
        fresh = {"mailbox": mailbox, "conversation": about.conversation, "created_at": now, "state": "open"}
        return int(connection.execute(_NEW, {**fresh, **news}).scalar_one())
    if found.state != "approved":
        news |= {"state": "open", "reason": "", "missing": ""}
    connection.execute(_CHANGE, {"number": found.id, **news})
    return found.id


def change(connection: sa.Connection, case_id: int, *, now: float, **values: Any) -> None:
    """Change a case, in the caller's transaction."""
    connection.execute(_CHANGE, {"number": case_id, "changed_at": now, **values})


def work_on(connection: sa.Connection, case_id: int, *, now: float, **values: Any) -> None:
    """What a step found out of a case; what a person has decided meanwhile (approved, discarded) stays."""
    asked = {f"new_{name}": value for name, value in (("changed_at", now), *values.items())}
    _work_on(tuple(values)).change(connection, {"number": case_id, **asked})


@lru_cache(maxsize=32)
def _work_on(names: tuple[str, ...]) -> Statement:
    def new(name: str) -> sa.ColumnElement[Any]:
        column = _cases.c[name]
        value = sa.bindparam(f"new_{name}", type_=column.type)
        return (
            sa.case((sa.or_(*(_cases.c.state == state for state in DECIDED)), column), else_=value)
            if name in _OUTCOME
            else value
        )

    return Statement(_CHANGE.values({name: new(name) for name in ("changed_at", *names)}))


def answered_by(connection: sa.Connection, found: CaseRow, reason: str, now: float) -> None:
    """Somebody of ours has written: nothing is left to be answered. What a person approved stays as it is."""
    if found.state != "approved":
        change(connection, found.id, now=now, state="answered", reason=reason, missing="")


def counted(store: Store) -> dict[tuple[str, str], int]:
    """How many cases there are, by mailbox and state."""
    query = sa.select(_cases.c.mailbox, _cases.c.state, sa.func.count()).group_by(_cases.c.mailbox, _cases.c.state)
    with store.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}
