"""What people are to hear: written first, told later, and marked as told after; the table `people_notices`.

Each way of telling (`channel`) has one small state in `facts`: when it was last used, its failures, and until when a
process uses it, taken by compare-and-set, so that of several processes one tells.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.dialect import put_missing
from mailassist.store.schema import facts
from mailassist.store.team_schema import cases, people_notices

Kind = Literal["at once", "daily"]
AGAIN_AFTER = 86_400.0  # seconds: the same is not told twice within them


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told, with what is known of its case; nothing of it comes from mail."""

    id: int
    mailbox: str
    case_id: int | None
    kind: str
    reason: str
    created_at: float
    channels: tuple[str, ...] = ()  # those that took it already
    category: str = ""
    urgency: str = ""
    case_state: str = ""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel is; times in seconds since 1970."""

    last: float = 0.0  # when it last took something
    tries: int = 0  # failures in a row
    not_before: float = 0.0
    error: str = ""
    error_at: float = 0.0
    busy_until: float = 0.0  # a process is telling; a crash ends it then


def add(
    connection: sa.Connection, mailbox: str, reason: str, *, kind: Kind, case_id: int | None = None, now: float
) -> int | None:
    """Write a notice, in the caller's transaction (that of the state it is about); None: it was written lately.

    `reason`: plain words of ours, without content of mail.
    """
    table = people_notices
    same_case = table.c.case_id.is_(None) if case_id is None else table.c.case_id == case_id
    same = (table.c.mailbox == mailbox) & same_case & (table.c.reason == reason) & (table.c.kind == kind)
    lately = table.c.created_at > now - AGAIN_AFTER
    if connection.scalar(sa.select(sa.func.count()).select_from(table).where(same, lately)):
        return None
    values = {"mailbox": mailbox, "case_id": case_id, "kind": kind, "reason": reason, "created_at": now}
    return int(connection.execute(table.insert().values(values)).inserted_primary_key[0])  # type: ignore[index]


def untold(store: Store) -> list[Notice]:
    """What nobody was told yet, oldest first."""
    table = people_notices
    names = ("id", "mailbox", "case_id", "kind", "reason", "created_at", "channels")
    state = cases.c.state.label("case_state")
    query = (
        sa.select(*(table.c[name] for name in names), cases.c.category, cases.c.urgency, state)
        .select_from(table.outerjoin(cases, table.c.case_id == cases.c.id))
        .where(table.c.told_at.is_(None))
        .order_by(table.c.id)
    )
    with store.read() as connection:
        return [_notice(row) for row in connection.execute(query)]


def told(
    store: Store, notices: Sequence[Notice], channel: str, wanted: Collection[str], state: ChannelState, *, now: float
) -> None:
    """`channel` took these; once every one of `wanted` has, they are told. `state`: of the channel from now on."""
    table = people_notices
    with store.write() as connection:
        for notice in notices:
            row = connection.execute(sa.select(table.c.channels).where(table.c.id == notice.id)).one_or_none()
            if row is None:  # forgotten meanwhile
                continue
            took = {*row.channels.split(), channel}
            values: dict[str, Any] = {"channels": " ".join(sorted(took))}
            if took >= set(wanted):
                values["told_at"] = now
            connection.execute(table.update().where(table.c.id == notice.id).values(values))
        _put(connection, channel, state)


def state_of(store: Store, channel: str) -> ChannelState:
    """How the channel is."""
    with store.read() as connection:
        return _read(connection, channel)[0]


def take(store: Store, channel: str, *, seconds: float, now: float) -> ChannelState | None:
    """The right to tell through `channel` for `seconds`; None while another process has it."""
    with store.write() as connection:
        state, before = _read(connection, channel)
        if state.busy_until > now:
            return None
        taken = replace(state, busy_until=now + seconds)
        if before is None:
            first = put_missing(connection, facts, {"name": _name(channel), "value": _bytes(taken)})
            return taken if first else None
        row = (facts.c.name == _name(channel)) & (facts.c.value == before)
        changed = connection.execute(facts.update().where(row).values(value=_bytes(taken)))
        return taken if changed.rowcount == 1 else None


def put_state(store: Store, channel: str, state: ChannelState) -> None:
    """What came of telling, by whoever took the channel."""
    with store.write() as connection:
        _put(connection, channel, state)


def waiting(store: Store) -> tuple[int, float | None]:
    """How many notices nobody was told, and when the oldest of them was written."""
    table = people_notices
    query = sa.select(sa.func.count(), sa.func.min(table.c.created_at)).where(table.c.told_at.is_(None))
    with store.read() as connection:
        count, oldest = connection.execute(query).one()
    return int(count), oldest


def channel_states(store: Store) -> dict[str, ChannelState]:
    """Every channel that was ever used."""
    query = sa.select(facts.c.name, facts.c.value).where(facts.c.name.like(f"{_name('')}%"))
    with store.read() as connection:
        return {row.name.removeprefix(_name("")): _state(row.value) for row in connection.execute(query)}


def _notice(row: Any) -> Notice:
    of_case = {name: row._mapping[name] or "" for name in ("category", "urgency", "case_state")}
    return Notice(**{**row._mapping, **of_case, "channels": tuple(row.channels.split())})


def _name(channel: str) -> str:
    return f"notices {channel}"


def _bytes(state: ChannelState) -> bytes:
    return json.dumps(asdict(state), sort_keys=True).encode()


def _state(value: bytes) -> ChannelState:
    return ChannelState(**json.loads(bytes(value)))


def _read(connection: sa.Connection, channel: str) -> tuple[ChannelState, bytes | None]:
    found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _name(channel)))
    return (ChannelState(), None) if found is None else (_state(found), bytes(found))


def _put(connection: sa.Connection, channel: str, state: ChannelState) -> None:
    row = facts.c.name == _name(channel)
    connection.execute(facts.update().where(row).values(value=_bytes(state)))
