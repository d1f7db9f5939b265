"""A team's store with cases, and a trail that remembers, for tests of the review queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailassist.store import schema, team_schema
from mailassist.store.database import Store
from mailassist.team.queue import Role
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamMailbox

NOW = 1_795_600_000.0  # Wednesday, 25 November 2026, 10:26:40 UTC
POLICY = TeamMailbox(reply_target_hours=8)


class RememberedTrail:
    """A trail in memory."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record_in(
        self, connection: object, action: str, *, who: str, details: Mapping[str, object] = {}, **about: object
    ) -> None:
        self.entries.append({"action": action, "who": who, "details": dict(details), **about})

    @property
    def actions(self) -> list[tuple[str, str]]:
        return [(entry["who"], entry["action"]) for entry in self.entries]


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def add_case(
    store: Store, number: int = 1, *, mailbox: str = "support", text: str | None = "It left today.", **about: Any
) -> int:
    """A case for question `number` of `servers.scene`, with a draft by the model unless `text` is None."""
    values: dict[str, Any] = {
        "mailbox": mailbox,
        "conversation": f"<q{number}@customer.example>",
        "message_id": f"<q{number}@customer.example>",
        "arrived": NOW - 3600 * number,
        "subject": f"Order {number}",
        "correspondent": f"Nora Vogel <nora{number}@customer.example>",
        "state": "drafted" if text is not None else "person",
        "created_at": NOW,
        "changed_at": NOW,
    }
    with store.write() as connection:
        added = connection.execute(team_schema.cases.insert().values(**(values | about)))
        case_id = int(added.inserted_primary_key[0])  # type: ignore[index]
        if text is not None:
            draft = {"account": mailbox, "answers": values["message_id"], "conversation": values["conversation"]}
            draft |= {"text": text, "written_by": "model", "model": "gpt-4o-mini", "version": 1, "case_id": case_id}
            connection.execute(schema.drafts.insert().values(**draft, created_at=NOW, changed_at=NOW))
    return case_id


def queue_of(
    store: Store,
    who: str,
    role: Role = Role.APPROVE,
    *,
    now: Callable[[], float] | None = None,
    trail: RememberedTrail | None = None,
    policy: TeamMailbox = POLICY,
) -> StoreQueue:
    """The queue as `who` has it."""
    return StoreQueue(store, who, role, {"support": policy}, trail or RememberedTrail(), now or Clock())
