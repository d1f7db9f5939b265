"""Replies that name no message (no In-Reply-To, no References): found again by subject, participants and date.

A wrong link would lay one person's text beside another's, so every doubt means that there is none: the subject must
have a reply prefix and say something, the author must have been written to by somebody to whom he writes now, a person
must have written both, at most 30 days apart, and nothing else may come into question.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailassist.mail.addresses import OwnAddresses, normal
from mailassist.mail.automatic import automatic
from mailassist.mail.message import Message
from mailassist.mail.subjects import is_reply

_SOON = timedelta(days=30)
_MOST_RECIPIENTS = 20  # of either message
_LEAST_WORDS, _LEAST_LETTERS = 2, 10  # of a subject that says what it is about
_LEAST_IDEOGRAPHS = 5  # where words are not set apart
_WORD = re.compile(r"[^\W_]+")
_IDEOGRAPHS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def subject_links(
    replies: Sequence[Message], known: Mapping[str, Message], subjects: Mapping[str, str], own: OwnAddresses
) -> Iterator[tuple[str, str]]:
    """Of `replies`, messages that name no other: (Message-ID, the Message-ID in `known` of what it answers).

    `subjects`: the base subject of each message of `known`.
    """
    asking = [message for message in replies if _may_ask(message, subjects[message.message_id], own)]
    if not asking:
        return
    wanted = {subjects[message.message_id] for message in asking}
    exchanges = _Exchanges(own)
    for message_id, message in known.items():
        if subjects[message_id] in wanted:
            exchanges.add(message, subjects[message_id])
    exchanges.sort()
    for message in asking:
        answered = exchanges.before(message, subjects[message.message_id])
        if answered is not None:
            yield message.message_id, answered


def _may_ask(message: Message, subject: str, own: OwnAddresses) -> bool:
    return (
        is_reply(message.subject) and _says_something(subject) and message.date is not None and _personal(message, own)
    )


def _says_something(subject: str) -> bool:
    """Whether a base subject is more than "hi" or "question"."""
    words = _WORD.findall(subject)
    if len(_IDEOGRAPHS.findall(subject)) >= _LEAST_IDEOGRAPHS:
        return True
    return len(words) >= _LEAST_WORDS and sum(map(len, words)) >= _LEAST_LETTERS


def _personal(message: Message, own: OwnAddresses) -> bool:
    """Whether a person wrote it, to few."""
    few = 0 < len(message.to) + len(message.cc) <= _MOST_RECIPIENTS
    return few and message.author is not None and (own.wrote(message) or not automatic(message, own))


@dataclass(slots=True)
class _Exchanges:
    """Who wrote to whom, and when, on each subject."""

    own: OwnAddresses
    written: dict[tuple[str, str, str], list[tuple[datetime, str]]] = field(default_factory=dict)
    begun: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)  # by author: without a reply prefix

    def add(self, message: Message, subject: str) -> None:
        """Note a message."""
        if message.date is None or not _personal(message, self.own) or message.author is None:
            return
        author = normal(message.author.email)
        if not is_reply(message.subject):
            self.begun.setdefault((subject, author), []).append(message.date)
        for recipient in _recipients(message):
            self.written.setdefault((subject, author, recipient), []).append((message.date, message.message_id))

    def sort(self) -> None:
        """Everything is noted."""
        for notes in self.written.values():
            notes.sort()
        for dates in self.begun.values():
            dates.sort()

    def before(self, message: Message, subject: str) -> str | None:
        """The last message to the author of `message` from somebody whom it addresses; None where that is unclear."""
        if message.author is None or message.date is None:
            return None
        author = normal(message.author.email)
        found: tuple[datetime, str, str] | None = None
        for other in _recipients(message) - {author}:
            notes = self.written.get((subject, other, author), [])
            place = bisect_left(notes, (message.date, ""))
            if (
                place
                and message.date - notes[place - 1][0] <= _SOON
                and (found is None or notes[place - 1] > found[:2])
            ):
                found = (*notes[place - 1], other)
        if found is None or self._several_begun(subject, found[2], message.date):
            return None
        return found[1]

    def _several_begun(self, subject: str, author: str, date: datetime) -> bool:
        """Whether `author` wrote this subject afresh more than once: a form letter, or a subject that comes again."""
        begun = self.begun.get((subject, author), [])
        return bisect_left(begun, date) - bisect_left(begun, date - 2 * _SOON) > 1


def _recipients(message: Message) -> set[str]:
    return {normal(address.email) for address in (*message.to, *message.cc)}
