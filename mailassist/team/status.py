"""How each team mailbox is: from the store alone, so that it can be told while the daemon runs and when it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailassist.config import Config
from mailassist.delivery.work import alive
from mailassist.store import feedback, ledger, mailboxes, notices, team_numbers
from mailassist.store.database import Store
from mailassist.store.mailboxes import MailboxRow
from mailassist.store.notices import ChannelState
from mailassist.store.team_numbers import ModelAccount, Numbers, Unsettled

LATE_AFTER = 900.0  # seconds without a look that came through; one is made every ten minutes
OUTCOMES_OF = 30 * 86_400.0  # seconds: how far back the use of drafts is counted


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """One team mailbox."""

    name: str
    row: MailboxRow
    numbers: Numbers
    budget: float | None  # US dollars a day for this mailbox; None: only that of the model
    trouble: str = ""  # why what is on its way does not come forward
    elsewhere: Mapping[str, int] = field(default_factory=dict)  # waiting here and answered from another, by that one
    unsettled: Sequence[Unsettled] = ()  # approved replies of which nobody knows whether they were sent

    def state(self, now: float) -> str:
        """One word: `ok`, `paused`, `refused`, `offline`, `late` (nothing came through), `new` (never looked)."""
        if self.row.broken:
            return self.row.connection if self.row.connection in ("refused", "offline") else "offline"
        if self.row.looked_at is None:
            return "new"
        if now - self.row.looked_at > LATE_AFTER:
            return "late"
        return "paused" if self.row.paused else "ok"

    @property
    def used(self) -> int:
        """Drafts that left as they were or edited."""
        return sum(self.numbers.outcomes.get(outcome, 0) for outcome in feedback.USED)


@dataclass(frozen=True, slots=True)
class Overview:
    """All of them, at one moment (seconds since 1970)."""

    at: float
    mailboxes: Sequence[MailboxStatus]
    models: Sequence[ModelAccount]
    notices: int  # that nobody was told yet
    oldest_notice: float | None
    channels: Mapping[str, ChannelState]  # by which people are told
    cost: float  # US dollars, today, all accounts
    budget: float | None


def team_mailboxes(config: Config) -> list[str]:
    """The accounts for which the daemon drafts."""
    return [name for name, account in config.accounts.items() if account.team is not None]


def look(store: Store, config: Config, *, now: float) -> Overview:
    """How everything is. Raises StoreError."""
    names = team_mailboxes(config)
    today = ledger.day_start(now)
    counted = team_numbers.numbers(store, names, now=now, today=today, outcomes_since=now - OUTCOMES_OF)
    known = mailboxes.rows(store)
    budgets = {name: team.daily_budget for name in names if (team := config.accounts[name].team)}
    troubles, elsewhere = team_numbers.troubles(store), team_numbers.elsewhere(store)
    unsettled = team_numbers.unsettled(store)
    count, oldest = notices.waiting(store)
    return Overview(
        now,
        [
            MailboxStatus(
                name,
                known.get(name, MailboxRow(name)),
                counted[name],
                budgets[name],
                troubles.get(name, ""),
                elsewhere.get(name, {}),
                unsettled.get(name, ()),
            )
            for name in names
        ],
        team_numbers.model_accounts(store),
        count,
        oldest,
        notices.channel_states(store),
        ledger.spent_since(store, today),
        config.model.daily_budget,
    )


def as_record(overview: Overview) -> dict[str, object]:
    """The overview as JSON may have it; times are seconds since 1970, money is US dollars."""
    return {
        "at": overview.at,
        "mailboxes": [_mailbox(one, overview.at) for one in overview.mailboxes],
        "models": [
            {"name": one.name, "failures": one.failures, "not_before": one.not_before} for one in overview.models
        ],
        "notices": {
            "waiting": overview.notices,
            "oldest": overview.oldest_notice,
            "channels": {
                name: {"last": one.last, "tries": one.tries, "not_before": one.not_before, "error": one.error}
                for name, one in overview.channels.items()
            },
        },
        "today": {"cost": overview.cost, "budget": overview.budget},
    }


def _mailbox(one: MailboxStatus, now: float) -> dict[str, object]:
    row, counted = one.row, one.numbers
    return {
        "mailbox": one.name,
        "state": one.state(now),
        "connection": row.connection,
        "watcher": row.watcher,
        "watcher_gone": not alive(row.watcher),
        "connected_at": row.connected_at,
        "looked_at": row.looked_at,
        "error": row.error,
        "error_at": row.error_at,
        "paused": row.paused,
        "paused_at": row.paused_at,
        "cutoff": row.cutoff,
        "backlog": counted.backlog,
        "in_batches": counted.in_batches,
        "tried_again": counted.tried_again,
        "trouble": one.trouble,
        "elsewhere": dict(one.elsewhere),
        "unsettled": [{"case": each.case_id, "who": each.who, "since": each.since} for each in one.unsettled],
        "oldest_arrival": counted.oldest_arrival,
        "arrivals": dict(counted.arrivals),
        "cases": dict(counted.cases),
        "queue": counted.peoples_turn,
        "overdue": counted.overdue,
        "oldest_case": counted.oldest_case,
        "drafts": dict(counted.outcomes),
        "used": one.used,
        "calls": counted.calls,
        "failed_calls": counted.failed_calls,
        "cost": counted.cost,
        "budget": one.budget,
    }
