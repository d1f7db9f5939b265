"""Who is told what: urgent and blocked cases at once, the rest once a day; never with content of the mail.

A notice is written in the transaction of what it is about, told later and marked as told after that, so that a crash
tells it twice rather than never. Telling blocks no work: `tell` runs in a thread of its own; what fails is tried again,
later each time. At-once notices of a storm go together, one mail a minute.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from mailassist.daemon import logs
from mailassist.daemon.telling import Channel, Telling, TellingFailed, channels
from mailassist.errors import MailassistError
from mailassist.mail.safe_text import SafeText
from mailassist.store import mailboxes, notices
from mailassist.store.database import Store
from mailassist.store.notices import Kind, Notice
from mailassist.store.team_numbers import WAITING, Numbers, numbers
from mailassist.team_settings import Notices, TeamMailbox

BETWEEN = 60.0  # seconds between two mails
HELD = 120.0  # seconds that one process may take to tell
LONGEST_BACKOFF = 3600.0  # seconds
LOOK_EVERY = 5.0  # seconds
LINES = 30  # of one mailbox in one mail

log = logs.logger("people")


class People:
    """The people behind the mailboxes. Thread-safe; any number of processes may share a store."""

    def __init__(
        self,
        store: Store,
        teams: Mapping[str, TeamMailbox],
        settings: Notices,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`teams`: the policy of each team mailbox. Raises ConfigError (no such program, no https)."""
        self._store = store
        self._now = now
        self.take_over(teams, settings)

    def take_over(self, teams: Mapping[str, TeamMailbox], settings: Notices) -> None:
        """Other settings from now on, also for what is not told yet. Raises ConfigError, and then the old ones hold."""
        found = channels(settings)
        self._teams, self._digest_at, self._channels = teams, settings.digest_at, found

    def case(
        self,
        connection: sa.Connection,
        mailbox: str,
        case_id: int,
        reason: str,
        *,
        category: str = "",
        urgency: str = "",
        blocked: bool = False,
    ) -> None:
        """A case needs a person: written in the caller's transaction, which commits the state of the case as well.

        `reason`: plain words of ours, without content of the mail; `blocked`: it goes at once whatever it is about.
        """
        kind = kind_of(self._teams.get(mailbox), category, urgency, blocked=blocked)
        notices.add(connection, mailbox, _plain(reason), kind=kind, case_id=case_id, now=self._now())

    def pause(self, mailbox: str, reason: str) -> bool:
        """Make no more drafts for a mailbox, and let people hear of it at once; False when it is paused already."""
        with self._store.write() as connection:
            paused = mailboxes.pause_within(connection, mailbox, reason, now=self._now())
            if paused:
                self.mailbox(connection, mailbox, f"no drafts are made any more: {reason}")
        return paused

    def mailbox(self, connection: sa.Connection, mailbox: str, reason: str) -> None:
        """Something is wrong with a whole mailbox: people hear of it at once."""
        notices.add(connection, mailbox, _plain(reason), kind="at once", now=self._now())

    def run(self, stop: threading.Event) -> None:
        """Tell what is due until `stop` is set; meant for a thread."""
        while not stop.wait(LOOK_EVERY):
            try:
                self.tell()
            except MailassistError as error:  # the store is away: nothing is lost, it is told later
                log.warning("notices could not be read", error=error)

    def tell(self) -> int:
        """Tell what is due now, through every channel; how many notices were handed over. Raises StoreError."""
        return sum(self._tell_through(channel) for channel in self._channels)

    def _tell_through(self, channel: Channel) -> int:
        now = self._now()
        state = notices.state_of(self._store, channel.name)
        if now < state.not_before or now < state.last + BETWEEN or not self._due(channel, now):
            return 0
        taken = notices.take(self._store, channel.name, seconds=HELD, now=now)
        if taken is None:
            return 0
        due = (
            self._due(channel, now) if now >= taken.last + BETWEEN else []
        )  # another process may have told it just now
        if not due:
            notices.put_state(self._store, channel.name, replace(taken, busy_until=0.0))
            return 0
        wanted = [one.name for one in self._channels]
        current = [notice for notice in due if notice.kind == "at once" or notice.case_state in ("", *WAITING)]
        if not current:  # people have seen to all of it before it was to be told
            notices.told(self._store, due, channel.name, wanted, replace(taken, busy_until=0.0), now=now)
            return 0
        try:
            channel.send(self._telling(current, now))
        except TellingFailed as error:
            wait = _backoff(taken.tries)
            failed = replace(
                taken, tries=taken.tries + 1, not_before=now + wait, error=str(error), error_at=now, busy_until=0.0
            )
            notices.put_state(self._store, channel.name, failed)
            log.warning("people could not be told", channel=channel.name, error=error, again_in=round(wait))
            return 0
        notices.told(self._store, due, channel.name, wanted, notices.ChannelState(last=now), now=now)
        log.info("people were told", channel=channel.name, notices=len(current))
        return len(current)

    def _due(self, channel: Channel, now: float) -> list[Notice]:
        return [
            notice
            for notice in notices.untold(self._store)
            if channel.name not in notice.channels
            and (notice.kind == "at once" or notice.created_at < last_digest(self._digest_at, self._zone(notice), now))
        ]

    def _zone(self, notice: Notice) -> ZoneInfo:
        team = self._teams.get(notice.mailbox)
        return ZoneInfo(team.time_zone if team else "UTC")

    def _telling(self, due: Sequence[Notice], now: float) -> Telling:
        names = sorted({notice.mailbox for notice in due})
        counted = numbers(self._store, names, now=now, today=now, outcomes_since=now)
        at_once = any(notice.kind == "at once" for notice in due)
        return Telling(
            subject=subject_of(due),
            text=text_of(due, counted),
            ids=[notice.id for notice in due],
            at=now,
            notices=[_record(notice) for notice in _different(due)],
            urgent=at_once,
        )


def kind_of(team: TeamMailbox | None, category: str, urgency: str, *, blocked: bool = False) -> Kind:
    """At once: urgent ones, and what the policy keeps from being drafted; the rest once a day."""
    straight = team is not None and category in team.no_draft
    return "at once" if blocked or straight or urgency == "high" else "daily"


def last_digest(at: str, zone: ZoneInfo, now: float) -> float:
    """When the newest daily mail was due, `at` (HH:MM) by the clocks of `zone`; seconds since 1970."""
    local = datetime.fromtimestamp(now, zone)
    moment = local.replace(hour=int(at[:2]), minute=int(at[3:]), second=0, microsecond=0, fold=0)
    if moment.timestamp() > now:
        moment = (moment.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=zone)
    return moment.timestamp()


def subject_of(due: Sequence[Notice]) -> str:
    """Of the mail."""
    names = sorted({notice.mailbox for notice in due})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    cases = len({notice.case_id for notice in due if notice.case_id is not None})
    what = f"{cases} need a person" if cases != 1 else "1 needs a person"
    if not cases:
        what = "a mailbox needs you"
    return str(SafeText(f"mailassist: {what} ({shown})").line())


def text_of(due: Sequence[Notice], counted: Mapping[str, Numbers]) -> str:
    """Of mail and webhook: by mailbox, what is urgent one by one, the rest counted, and how the queue stands."""
    by_mailbox: dict[str, list[Notice]] = defaultdict(list)
    for notice in _different(due):
        by_mailbox[notice.mailbox].append(notice)
    lines: list[str] = []
    for name, mine in sorted(by_mailbox.items()):
        lines.append(str(SafeText(f"{name}: {_queue(counted.get(name, Numbers()))}").line()))
        each = [notice for notice in mine if notice.kind == "at once"]
        lines += [f"  {_one(notice)}" for notice in each[:LINES]]
        if len(each) > LINES:
            lines.append(f"  and {len(each) - LINES} more")
        lines += [f"  {line}" for line in _counted(notice for notice in mine if notice.kind != "at once")]
        lines.append("")
    return "\n".join(
        [*lines, "`mailassist review --team` opens the queue, `mailassist status` shows how each mailbox is.", ""]
    )


def _queue(mine: Numbers) -> str:
    overdue = f", {mine.overdue} overdue" if mine.overdue else ""
    return f"{mine.peoples_turn} in the queue{overdue}"


def _one(notice: Notice) -> str:
    about = [f"case {notice.case_id}"] if notice.case_id is not None else []
    about += [notice.category] if notice.category else []
    about += [f"urgency {notice.urgency}"] if notice.urgency == "high" else []
    return str(SafeText(", ".join(about) + (": " if about else "") + notice.reason).line())


def _counted(daily: Iterable[Notice]) -> list[str]:
    counts: Counter[str] = Counter()
    numbers_of: dict[str, list[int]] = defaultdict(list)
    for notice in daily:
        said = f"{notice.category}: {notice.reason}" if notice.category else notice.reason
        counts[said] += 1
        if notice.case_id is not None:
            numbers_of[said].append(notice.case_id)
    lines = []
    for said, count in counts.most_common(LINES):
        ids = numbers_of[said][:10]
        named = f" (cases {', '.join(map(str, ids))}{', ...' if count > len(ids) else ''})" if ids else ""
        lines.append(str(SafeText(f"{count} x {said}{named}").line()))
    return lines


def _record(notice: Notice) -> dict[str, object]:
    names = ("mailbox", "case_id", "kind", "reason", "category", "urgency")
    return {name: getattr(notice, name) for name in names} | {"at": notice.created_at}


def _different(due: Iterable[Notice]) -> list[Notice]:
    """Each once: two processes may have written the same."""
    return list({(notice.mailbox, notice.case_id, notice.reason): notice for notice in due}.values())


def _plain(reason: str) -> str:
    """A reason on one line; an address that got into it is masked."""
    return logs.without_addresses(reason)[:200]


def _backoff(tries: int) -> float:
    """A minute, then twice as long each time up to an hour, with jitter so that not all machines come at once."""
    return min(LONGEST_BACKOFF, BETWEEN * 2.0 ** min(tries, 10)) * random.uniform(0.8, 1.2)
