"""What failed for good is tried again: a person opens its case, the daemon begins with its message anew.

In two steps, since a reviewer's role of PostgreSQL changes cases, not arrivals.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from mailassist.errors import Stopped
from mailassist.store import review, team_schema
from mailassist.store.arrivals import change_where
from mailassist.store.cases import change
from mailassist.store.database import Store

_arrivals, _cases = team_schema.arrivals, team_schema.cases


def ask(store: Store, case_id: int, who: str, *, now: float, noted: review.Noted) -> None:
    """Open a case that failed. Raises Taken, Stopped."""
    with store.write() as connection:
        row = review.locked(connection, case_id)
        review.refuse_ended(row)
        review.refuse_held(row, who, now)
        if row.state != "failed":
            raise Stopped("The conversation has not failed", cure="See `mailassist team list`.")
        change(connection, case_id, now=now, state="open", reason="")
        noted(connection)


def begin(store: Store, mailboxes: Collection[str], *, now: float) -> int:
    """Begin anew with the failed messages of open cases; how many."""
    of_case = (_cases.c.id == _arrivals.c.case_id) & (_cases.c.message_id == _arrivals.c.message_id)
    wanted = (_arrivals.c.state == "failed") & sa.exists().where(of_case, _cases.c.state == "open")
    # What the server did not give is named by its place, not by a Message-ID.
    first = sa.case((_arrivals.c.key == _arrivals.c.message_id, "unread"), else_="seen")
    again = {"state": first, "reason": "", "error": "", "attempts": 0, "not_before": now, "changed_at": now}
    return change_where(store, _arrivals, wanted, mailboxes, again)
