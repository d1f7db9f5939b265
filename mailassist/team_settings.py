"""The settings of a team: which mailboxes the daemon works for and how, and where the team's work is kept."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

DraftMode = Literal["drafts", "queue", "both"]
Urgency = Literal["low", "normal", "high"]
CATEGORIES = ("question", "order", "scheduling", "billing", "technical", "complaint", "legal", "feedback", "other")
_OFFICE = re.compile(r"(?P<first>mon|tue|wed|thu|fri|sat|sun)(?:-(?P<last>mon|tue|wed|thu|fri|sat|sun))? "
                     r"(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)")  # fmt: skip
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Section(BaseModel):
    """A table of the file: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _checked_zone(name: str) -> str:
    """`name` where it is a time zone of the IANA database. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"expected a time zone such as Europe/Berlin, found {name!r}") from error
    return name


def _checked_hours(text: str) -> str:
    """`text` where it is office hours. Raises ValueError."""
    found = _OFFICE.fullmatch(text)
    if found is None or not all(_minute(found[end]) is not None for end in ("from", "to")):
        raise ValueError(f"expected office hours such as 'mon-fri 09:00-17:00', found {text!r}")
    if found["from"] >= found["to"]:
        raise ValueError(f"office hours end after they begin; found {text!r}")
    return text


def _minute(text: str) -> int | None:
    hours, minutes = int(text[:2]), int(text[3:])
    return hours * 60 + minutes if minutes < 60 and hours * 60 + minutes <= 24 * 60 else None


Zone = Annotated[str, AfterValidator(_checked_zone)]
Hours = Annotated[str, AfterValidator(_checked_hours)]
PersonOrGroup = Annotated[str, Field(pattern=r"^@?[^\s@:,]+$")]
Count = Annotated[int, Field(ge=1, le=100_000)]


def office_minutes(hours: Hours) -> tuple[frozenset[int], int, int]:
    """Weekdays (Monday is 0), first minute, and minute after the last, of a checked `mon-fri 09:00-17:00`."""
    found = _OFFICE.fullmatch(hours)
    assert found is not None
    first = _DAYS.index(found["first"])
    last = _DAYS.index(found["last"] or found["first"])
    days = frozenset((first + offset) % 7 for offset in range((last - first) % 7 + 1))
    return days, _minute(found["from"]) or 0, _minute(found["to"]) or 0


class TeamMailbox(_Section):
    """The policy of one team mailbox: `[accounts.NAME.team]`."""

    # Which mail is worked on. Folders are those of `folders.inbox`.
    senders: list[str] = []  # only these addresses or domains (`*@example.org`); empty: everybody
    never_senders: list[str] = []
    never_subjects: list[str] = []  # texts that a subject holds, in any case
    no_draft: list[str] = ["complaint", "legal"]  # categories that go straight to a person
    triage: Literal["rules", "model"] = "model"  # "rules": what the rules let through needs a reply
    # When.
    time_zone: Zone = "UTC"
    office_hours: list[Hours] = ["mon-fri 09:00-17:00"]
    holidays: list[date] = []
    holidays_of: str = ""  # a country, or country and region, such as DE or DE-BY: its public holidays
    reply_target_hours: Annotated[float, Field(gt=0, le=10_000)] = 8.0  # office hours until a reply is overdue
    burst_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0  # a conversation is quiet for so long, then drafted
    # How.
    language: str = ""  # BCP 47; empty: that of the newest message from the other side
    model: str = ""  # empty: `model.name`
    triage_model: str = ""  # a cheaper one for triage; empty: the one that writes
    daily_budget: Annotated[float, Field(ge=0)] | None = None  # US dollars a day; None: only that of the model
    draft_mode: DraftMode = "both"
    drafts_per_hour: Count = 60
    drafts_per_sender_per_hour: Count = 4
    pause_after_unused: Annotated[int, Field(ge=0, le=10_000)] = 20  # drafts in a row that nobody used; 0: never
    only_claimant_approves: bool = True
    # What is kept.
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 90  # of bodies, texts of drafts and prompts

    @field_validator("no_draft")
    @classmethod
    def _known_categories(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in CATEGORIES]
        if unknown:
            raise ValueError(f"expected categories among {', '.join(CATEGORIES)}; found {unknown[0]!r}")
        return names


class Limits(_Section):
    """How much of the model's account the daemon may use, all its processes together."""

    calls_at_once: Count = 8  # of one process
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    flex: bool = False  # OpenAI's Flex tier: cheaper and slower
    batch: list[Literal["backlog", "night", "low"]] = []  # what waits for OpenAI's Batch API, at half the price
    batch_hours: Annotated[float, Field(ge=1, le=168)] = 24.0  # then it is asked directly
    failures_until_pause: Count = 5  # in a row; then the model is left alone for a while, and mail is queued


class Notices(_Section):
    """How people hear of what needs them; never with content of the mail."""

    sendmail: str = ""  # a program such as /usr/sbin/sendmail
    to: list[str] = []
    sender: str = ""
    webhook: str = ""  # an https URL that takes JSON
    digest_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "08:00"  # in the time zone of each mailbox


class DaemonSettings(_Section):
    """`[daemon]`: one process that works for all mailboxes with `[accounts.NAME.team]`."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16  # threads that work on mail; each waits for a model or a server
    watchers: Annotated[int, Field(ge=1, le=64)] = 8  # threads that look at mailboxes after a hint
    limits: Limits = Limits()
    notices: Notices = Notices()
    health: str = "127.0.0.1:9464"  # host:port on this machine, or the path of a Unix socket; empty: none
    review_socket: Path | None = None  # where reviewers on this machine reach the queue
    review_group: Annotated[str, Field(min_length=1)] = "mailassist"  # whose members may connect to it
    log_content: bool = False  # subjects and addresses in the log, for a while and on purpose
    first_start_days: Annotated[float, Field(ge=0, le=3650)] = 0.0  # mail from before the first start that is drafted
    keep_prompts: bool = False  # for the retention time of the mailbox


class TeamRoles(_Section):
    """`[team.roles]`: what people on the daemon's machine may do. Users of the system, `@group` for all of a group.

    A role includes the ones before it; who is named nowhere gets in nowhere.
    """

    see: list[PersonOrGroup] = []
    draft: list[PersonOrGroup] = []
    approve: list[PersonOrGroup] = []


class TeamSettings(_Section):
    """`[team]`: where the work of the team is kept. Without it: the SQLite file of this machine."""

    database: str = ""  # postgresql://user@host/name; the password comes from the secrets, as `team`
    socket: Path | None = None  # for reviewers: the daemon's Unix socket
    audit_key_file: Path | None = None  # 32 random bytes or more; else the secret `audit`
    claim_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0  # a claim without a sign of life ends
    bulk_limit: Annotated[int, Field(ge=1, le=500)] = 50
    undo_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None  # None: that of the account
    roles: TeamRoles = TeamRoles()  # for the Unix socket; in PostgreSQL the database's roles say it
