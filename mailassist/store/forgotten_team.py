"""Removing a person from a team's work: arrivals, cases, notes, approvals, prompts, texts, feedback, notices.

What is only a number, a state or a hash stays, so that counts hold and the person's old mail is not taken for new: rows
of arrivals and cases stay without sender, subject, names and Message-IDs; the entries of the audit trail, which hold no
text, stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mailassist.store import audit, team_schema
from mailassist.store.arrivals import ON_THE_WAY

REASON = "forgotten"
_PART = 500

Names = Callable[[str], bool]  # whether a text names the person


@dataclass(frozen=True, slots=True)
class TeamRemoved:
    """What was removed of a team's work, and what could not be."""

    arrivals: int = 0
    cases: int = 0
    notes: int = 0
    approvals: int = 0
    texts_of_the_trail: int = 0
    prompts: int = 0
    feedback: int = 0
    notices: int = 0
    kept_cases: tuple[int, ...] = ()  # their reply is on its way: forget again once it is through
    unsealed: int = 0  # entries of people that the daemon has not sealed yet
    batches: tuple[str, ...] = ()  # of the provider, with prompts of this person
    message_ids: frozenset[str] = field(default_factory=frozenset)  # of the mail that is forgotten


def forget_team(
    connection: sa.Connection, spellings: Collection[str], names: Names, ids: Collection[str]
) -> TeamRemoved:
    """Remove one person in the caller's transaction.

    `spellings`: the address, lower case; `names`: whether a text names the person; `ids`: the Message-IDs of their mail
    that are known already.
    """
    return _TeamRemoval(connection, [*spellings], names, {*ids}).run()


class _TeamRemoval:
    def __init__(self, connection: sa.Connection, spellings: list[str], names: Names, ids: set[str]) -> None:
        self._connection = connection
        self._spellings = spellings
        self._names = names
        self._ids = ids

    def run(self) -> TeamRemoved:
        arrivals, cases, kept = self._theirs()
        prompts = arrivals | self._matching(team_schema.prompts, ("body",), team_schema.prompts.c.arrival_id)
        batches = self._batches(prompts)
        about = self._trail(cases)
        removed = TeamRemoved(
            arrivals=len(arrivals),
            cases=len(cases),
            notes=self._notes(cases),
            approvals=self._approvals(cases),
            texts_of_the_trail=about,
            prompts=self._delete(team_schema.prompts, prompts, team_schema.prompts.c.arrival_id),
            feedback=self._feedback(),
            notices=self._notices(cases),
            kept_cases=tuple(sorted(kept)),
            unsealed=self._unsealed(),
            batches=batches,
            message_ids=frozenset(self._ids),
        )
        self._empty_arrivals(arrivals, batches)
        self._empty_cases(cases)
        return removed

    def _theirs(self) -> tuple[set[int], set[int], set[int]]:
        """Arrivals and cases of the person, by sender, correspondent, subject, and Message-ID; and cases to be kept."""
        arrivals, cases = team_schema.arrivals, team_schema.cases
        mine = self._matching(arrivals, ("sender", "error"), arrivals.c.id)
        mine |= self._with_ids(arrivals, arrivals.c.message_id)
        hers = self._matching(cases, ("correspondent", "subject", "missing", "reason"), cases.c.id)
        hers |= self._with_ids(cases, cases.c.message_id)
        for part in _parts(mine):
            found = self._connection.scalars(sa.select(arrivals.c.case_id).where(arrivals.c.id.in_(part)))
            hers |= {one for one in found if one is not None}
        approvals = team_schema.approvals
        held = sa.select(approvals.c.case_id).where(approvals.c.open.is_not(None))
        kept = hers & set(self._connection.scalars(held))
        hers -= kept
        for part in _parts(kept):
            mine -= set(self._connection.scalars(sa.select(arrivals.c.id).where(arrivals.c.case_id.in_(part))))
        for part in _parts(hers):  # the other mail of their conversations went into the same prompts
            mine |= set(self._connection.scalars(sa.select(arrivals.c.id).where(arrivals.c.case_id.in_(part))))
        for table, rows in ((arrivals, mine), (cases, hers)):
            for part in _parts(rows):
                self._ids |= set(self._connection.scalars(sa.select(table.c.message_id).where(table.c.id.in_(part))))
        self._ids.discard("")
        return mine, hers, kept

    def _batches(self, arrivals: set[int]) -> tuple[str, ...]:
        """Those whose files may still lie at the provider."""
        table, batches = team_schema.arrivals, team_schema.batches
        found: set[str] = set()
        for part in _parts(arrivals):
            query = sa.select(table.c.batch).where(table.c.id.in_(part), table.c.batch.not_in(("", "waiting")))
            found |= set(self._connection.scalars(query))
        gone = self._connection.scalars(sa.select(batches.c.id).where(batches.c.files_deleted))
        return tuple(sorted(found - set(gone)))

    def _trail(self, cases: set[int]) -> int:
        named = audit.forget_texts(self._connection, self._names)
        entries, texts = team_schema.audit, team_schema.audit_texts
        found: set[int] = set()
        for part in _parts(cases):
            found |= set(self._connection.scalars(sa.select(entries.c.number).where(entries.c.case_id.in_(part))))
        return named + self._delete(texts, found, texts.c.number)

    def _notes(self, cases: set[int]) -> int:
        table = team_schema.case_notes
        found = self._matching(table, ("text",), table.c.id) | self._of_cases(table, cases)
        return self._delete(table, found, table.c.id)

    def _approvals(self, cases: set[int]) -> int:
        table = team_schema.approvals
        closed = table.c.open.is_(None)
        found = self._of_cases(table, cases) | self._matching(table, ("text", "said"), table.c.id)
        emptied = {"text": "", "said": "", "answers": ""}
        return self._update(table, found, emptied, closed)

    def _feedback(self) -> int:
        """The outcome stays a number: whose mail it was goes."""
        table = team_schema.feedback
        found = self._with_ids(table, table.c.answers)
        for number in found:
            mine = table.update().where(table.c.id == number)
            self._connection.execute(mine.values(answers=f"{REASON}:{number}"))
        return len(found)

    def _notices(self, cases: set[int]) -> int:
        table = team_schema.people_notices
        found = self._of_cases(table, cases) | self._matching(table, ("reason",), table.c.id)
        return self._delete(table, found, table.c.id)

    def _unsealed(self) -> int:
        table = team_schema.audit_inbox
        return len(self._matching(table, ("written", "sent"), table.c.id))

    def _empty_arrivals(self, arrivals: set[int], batches: tuple[str, ...]) -> None:
        """A worker that has one in hand has lost its lease; the key stays, so that none is taken for new.

        Those in `batches` stay in them, without a prompt: that tells the daemon to take these batches back.
        """
        table = team_schema.arrivals
        copies = team_schema.arrival_copies
        for part in _parts(arrivals):
            keys = list(self._connection.scalars(sa.select(table.c.key).where(table.c.id.in_(part))))
            self._connection.execute(copies.delete().where(copies.c.key.in_(keys)))
        emptied = {"message_id": "", "sender": "", "error": "", "prompt_hash": "", "reason": REASON}
        ended = {"state": "none", "fence": table.c.fence + 1, "owner": "", "leased_until": 0.0}
        self._update(table, arrivals, ended, table.c.state.in_(ON_THE_WAY))
        self._update(table, arrivals, emptied, sa.true())
        self._update(table, arrivals, {"batch": ""}, table.c.batch.not_in(batches))

    def _empty_cases(self, cases: set[int]) -> None:
        table = team_schema.cases
        for number in cases:
            mine = table.update().where(table.c.id == number)
            self._connection.execute(mine.values(conversation=f"{REASON}:{number}"))
        emptied = {"message_id": "", "subject": "", "correspondent": "", "missing": "", "reason": REASON}
        waits = table.c.state.not_in(("answered", "none", "theirs"))
        self._update(table, cases, {"state": "none", "claimed_by": "", "claimed_until": 0.0}, waits)
        self._update(table, cases, emptied, sa.true())

    # -- tables

    def _matching(self, table: sa.Table, columns: tuple[str, ...], key: sa.Column[Any]) -> set[int]:
        """Rows in which a column names the person; the database only looks for the spelling."""
        near = sa.or_(
            *(
                sa.func.lower(table.c[name]).contains(spelling, autoescape=True)
                for name in columns
                for spelling in self._spellings
            )
        )
        found = self._connection.execute(sa.select(key, *(table.c[name] for name in columns)).where(near))
        return {row[0] for row in found if any(self._names(value) for value in row[1:])}

    def _with_ids(self, table: sa.Table, column: sa.Column[Any]) -> set[int]:
        found: set[int] = set()
        for part in _parts(self._ids):
            found |= set(self._connection.scalars(sa.select(table.c.id).where(column.in_(part))))
        return found

    def _of_cases(self, table: sa.Table, cases: set[int]) -> set[int]:
        found: set[int] = set()
        for part in _parts(cases):
            found |= set(self._connection.scalars(sa.select(table.c.id).where(table.c.case_id.in_(part))))
        return found

    def _delete(self, table: sa.Table, rows: set[int], key: sa.Column[Any]) -> int:
        done = 0
        for part in _parts(rows):
            done += self._connection.execute(table.delete().where(key.in_(part))).rowcount
        return done

    def _update(self, table: sa.Table, rows: set[int], values: dict[str, Any], where: sa.ColumnElement[bool]) -> int:
        done = 0
        for part in _parts(rows):
            change = table.update().where(table.c.id.in_(part), where).values(values)
            done += self._connection.execute(change).rowcount
        return done


def _parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    every = list(values)
    for start in range(0, len(every), _PART):
        yield every[start : start + _PART]
