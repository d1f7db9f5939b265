"""Messages that were sent twice with different Message-IDs: resent, or renamed by a server or a list on their way."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mailassist.mail.message import Message

_SOON = timedelta(days=7)
_SHORTEST = 40  # characters of a text that nobody writes twice by chance


def fingerprint(message: Message) -> str:
    """What two copies of a text share; "" where it is too short to tell.

    It is made of what the author newly wrote, white space folded, so that a list's footer makes no difference, and of
    the attachments' names and sizes, since "as attached" may come with another file.
    """
    text = " ".join((message.reply or message.text).split())
    if len(text) < _SHORTEST:
        return ""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for attachment in message.attachments:
        digest.update(f"\n{attachment.name}\n{attachment.size}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def resent(
    messages: Iterable[Message], subjects: Mapping[str, str], fingerprints: Mapping[str, str] | None
) -> dict[str, str]:
    """The Message-ID of each message that was sent before, and that of the first time.

    Both have one author, base subject (`subjects`), text, recipients and In-Reply-To, and lie at most a week apart. The
    recipients count since the same text goes to many people who know nothing of each other. `fingerprints`: of messages
    whose bodies are not at hand.
    """
    alike: dict[tuple[object, ...], list[Message]] = {}
    for message in messages:
        if message.author is not None and message.date is not None:
            recipients = frozenset(address.email for address in (*message.to, *message.cc))
            key = (subjects[message.message_id], message.author.key, recipients, message.in_reply_to)
            alike.setdefault(key, []).append(message)
    found: dict[str, str] = {}
    for group in alike.values():
        if len(group) > 1:
            found.update(_again_in(group, fingerprints))
    return found


def _again_in(group: list[Message], fingerprints: Mapping[str, str] | None) -> dict[str, str]:
    """Of messages that differ in their texts at most."""
    texts: dict[str, list[Message]] = {}
    for message in group:
        mark = fingerprint(message) if fingerprints is None else fingerprints.get(message.message_id, "")
        if mark:
            texts.setdefault(mark, []).append(message)
    return {other: first for same in texts.values() for other, first in _again(same).items()}


def _again(group: list[Message]) -> dict[str, str]:
    ordered = sorted(group, key=_date)
    first, found = ordered[0], {}
    for message in ordered[1:]:
        if _date(message) - _date(first) > _SOON:
            first = message
        else:
            found[message.message_id] = first.message_id
    return found


def _date(message: Message) -> datetime:
    assert message.date is not None, "messages without a date are left out"
    return message.date


def still_pending(messages: Mapping[str, Message], again: Mapping[str, str]) -> dict[str, str]:
    """Of `again` those of the conversation `messages` between whose two copies nobody else wrote.

    Who sends the same words once more after an answer wants another answer.
    """
    pairs = {other: first for other, first in again.items() if other in messages and first in messages}
    if not pairs:
        return {}
    dates: list[datetime] = []
    by_author: dict[str, list[datetime]] = {}
    for message in messages.values():
        if message.date is not None and message.author is not None:
            dates.append(message.date)
            by_author.setdefault(message.author.key, []).append(message.date)
    for each in (dates, *by_author.values()):
        each.sort()
    kept = {}
    for other, first in pairs.items():
        message, start = messages[other], _date(messages[first])
        assert message.author is not None, "messages without an author are left out"
        mine = by_author[message.author.key]
        if _between(dates, start, _date(message)) == _between(mine, start, _date(message)):
            kept[other] = first
    return kept


def _between(dates: list[datetime], start: datetime, end: datetime) -> int:
    return bisect_left(dates, end) - bisect_right(dates, start)
