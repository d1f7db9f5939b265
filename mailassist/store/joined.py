"""Two cases of one conversation: a message that came later names messages of both. The work goes on in one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

import sqlalchemy as sa

from mailassist.store import cases, drafts, team_schema
from mailassist.store.cases import CaseRow
from mailassist.store.dialect import serialise

_arrivals, _cases, _notes = team_schema.arrivals, team_schema.cases, team_schema.case_notes
_AT_AN_END = ("answered", "none")


def others(connection: sa.Connection, mailbox: str, message_ids: Collection[str], kept: int) -> list[CaseRow]:
    """The cases besides `kept` in which a message of its conversation waits; nobody changes them meanwhile."""
    if len(message_ids) < 2:  # as nearly always: it names no other message
        return []
    named = _cases.c.message_id.in_(list(message_ids)[-cases.MOST_IDS :])
    waiting = (_cases.c.mailbox == mailbox) & (_cases.c.id != kept) & named & _cases.c.state.not_in(_AT_AN_END)
    # One that has the key of an arrival only uses the Message-ID of another message: it is of no conversation.
    waiting &= sa.not_(sa.exists().where(_arrivals.c.key == _cases.c.conversation))
    found = []
    for number in list(connection.scalars(sa.select(_cases.c.id).where(waiting).order_by(_cases.c.id))):
        serialise(connection, "case", str(number))  # before the row: in this order everywhere
        if connection.scalar(sa.select(_cases.c.id).where(waiting, _cases.c.id == number).with_for_update()):
            row = cases.read(connection, number)
            assert row is not None
            found.append(row)
    return found


def goes_on(
    connection: sa.Connection, other: CaseRow, kept: int, now: float, tell: Callable[[sa.Connection, int, str], object]
) -> bool:
    """End a case whose conversation goes on in the case `kept`; its notes go there.

    False where a person has it in hand: it is left to them, with the reason, and `tell` is called once with `kept`.
    """
    reason = f"the conversation goes on in case {kept}"
    held = other.claimed_until > now or other.state in ("approved", "theirs") or drafts.is_persons(connection, other.id)
    if not held:
        cases.change(connection, other.id, now=now, state="none", reason=reason)
        connection.execute(_notes.update().where(_notes.c.case_id == other.id).values(case_id=kept))
        return True
    reason += "; a person has this one in hand"
    if other.reason != reason:
        state = "person" if other.state == "open" else other.state  # nothing is drafted for it any more
        cases.change(connection, other.id, now=now, state=state, reason=reason)
        tell(connection, kept, f"case {other.id} is of the same conversation, and a person has it in hand")
    return False
