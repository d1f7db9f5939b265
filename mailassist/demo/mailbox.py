"""The sample mailbox: every message of data/conversations, with its folder, flags and time of arrival.

Dates are relative to the moment of loading, so that the sample never ages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailassist.demo.description import OWNER, Story, stories
from mailassist.demo.writing import Written, write

FOLDERS = ("INBOX", "Sent", "Archive", "Drafts", "Trash")
_UNSEEN_DAYS = 2  # what arrived since then has not been opened


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """One message of the mailbox."""

    folder: str
    flags: tuple[str, ...]
    received: datetime  # INTERNALDATE
    raw: bytes


def load(now: datetime) -> list[SampleMessage]:
    """Every message, as of `now` (aware); the order is that of the files."""
    now = now.astimezone(UTC)
    return [message for story in stories() for message in _messages(story, now)]


def _messages(story: Story, now: datetime) -> list[SampleMessage]:
    written = write(story, now)
    ours = {one.number for one, _ in written if one.description.sender in OWNER}
    answered = {one.references[-1] for one, _ in written if one.number in ours and one.references}
    last_of_ours = max(ours, default=0)
    return [
        SampleMessage(
            folder=_folder(story, one, one.number in ours, last_of_ours),
            flags=_flags(one, one.number in ours, one.message_id in answered, now),
            received=one.date.astimezone(UTC) + timedelta(seconds=3),
            raw=raw,
        )
        for one, raw in written
    ]


def _folder(story: Story, one: Written, is_ours: bool, last_of_ours: int) -> str:
    if one.description.folder:
        return one.description.folder
    if is_ours:
        return "Sent"
    filed = story.archive == "all" or (story.archive == "answered" and one.number < last_of_ours)
    return "Archive" if filed else "INBOX"


def _flags(one: Written, is_ours: bool, is_answered: bool, now: datetime) -> tuple[str, ...]:
    seen = is_ours or is_answered or one.date < now - timedelta(days=_UNSEEN_DAYS)
    return (("\\Seen",) if seen else ()) + (("\\Answered",) if is_answered else ())
