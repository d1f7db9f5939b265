"""The feedback table: what became of each draft, from what really left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa

from mailassist.store import team_schema as schema
from mailassist.store.database import Store
from mailassist.store.dialect import serialise

Outcome = Literal["as is", "edited", "discarded", "elsewhere"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UNUSED = ("discarded", "elsewhere")
USED = ("as is", "edited")
_feedback = schema.feedback


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of one draft."""

    mailbox: str
    answers: str  # Message-ID of the message that it answered
    outcome: Outcome
    likeness: float  # of the draft and what was sent, 0 to 1
    category: str
    model: str
    prompt_version: str
    at: float


def note(store: Store, one: Feedback) -> None:
    """Note what became of a draft; what is known of a sent text comes before what was guessed."""
    values = {name: getattr(one, name) for name in one.__slots__}
    mine = (_feedback.c.mailbox == one.mailbox) & (_feedback.c.answers == one.answers)
    with store.write() as connection:
        serialise(connection, "feedback", one.mailbox)
        if connection.execute(_feedback.update().where(mine).values(**values)).rowcount == 0:
            connection.execute(_feedback.insert().values(**values))


def latest(store: Store, mailbox: str, count: int) -> list[Feedback]:
    """What became of the last drafts of a mailbox, the newest first."""
    columns = [_feedback.c[name] for name in Feedback.__slots__]
    query = sa.select(*columns).where(_feedback.c.mailbox == mailbox).order_by(_feedback.c.at.desc()).limit(count)
    with store.read() as connection:
        return [Feedback(*row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Became:
    """What became of some drafts."""

    outcomes: Mapping[str, int]
    likeness: float | None = None  # of draft and sent text on average, 0 to 1, of those that were edited

    @property
    def drafts(self) -> int:
        """How many they are."""
        return sum(self.outcomes.values())

    @property
    def used(self) -> int:
        """How many left, as they were or edited."""
        return sum(self.outcomes.get(outcome, 0) for outcome in USED)


def became(store: Store, *, since: float = 0.0, by: Sequence[str] = ("mailbox",)) -> dict[tuple[str, ...], Became]:
    """What became of the drafts since then, grouped by `by`: columns such as mailbox, category, model."""
    columns = [_feedback.c[name] for name in by]
    numbers = sa.func.count(), sa.func.avg(_feedback.c.likeness)
    query = (
        sa.select(*columns, _feedback.c.outcome, *numbers)
        .where(_feedback.c.at >= since)
        .group_by(*columns, _feedback.c.outcome)
        .order_by(*columns)
    )
    counts: dict[tuple[str, ...], dict[str, int]] = {}
    alike: dict[tuple[str, ...], float] = {}
    with store.read() as connection:
        for *key, outcome, count, likeness in connection.execute(query):
            counts.setdefault(tuple(key), {})[outcome] = count
            if outcome == "edited":
                alike[tuple(key)] = float(likeness)
    return {key: Became(found, alike.get(key)) for key, found in counts.items()}
