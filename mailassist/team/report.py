"""What `mailassist daemon --shadow` tells at its end: what it would have done, and how near that came to the team."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailassist.store import cases, feedback, ledger
from mailassist.store.database import Store


@dataclass(frozen=True, slots=True)
class MailboxReport:
    """One mailbox, since its first start."""

    mailbox: str
    cases: Mapping[str, int]  # conversations, by state
    outcomes: Mapping[str, int]  # drafts whose message the team has answered meanwhile, by what that was like
    kept_of_edited: float | None  # likeness of draft and sent text on average, 0 to 1, where it was near
    calls: int
    cost: float  # US dollars


def report(store: Store, mailboxes: Sequence[str]) -> list[MailboxReport]:
    """How it went in each of `mailboxes`. Raises StoreError."""
    counted, became, spent = cases.counted(store), feedback.became(store), ledger.entries(store)
    found = []
    for name in mailboxes:
        one = became.get((name,), feedback.Became({}))
        calls = [call for call in spent if call.account == name]
        states = {state: count for (mailbox, state), count in sorted(counted.items()) if mailbox == name}
        cost = sum(call.cost for call in calls)
        found.append(MailboxReport(name, states, dict(one.outcomes), one.likeness, len(calls), cost))
    return found
