"""A mailbox as large as wanted, the same for the same seed: two years of conversations, newsletters and notices.

Conversations lie as they do in life: what others wrote in Inbox or, later, Archive; what we wrote in Sent. The newest
message of all waits for an answer, and its conversation has a part in each of the three folders.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from tests.servers import dovecot

DAY = 86_400.0
OWNER = "robin@berg.example"
_NAMES = (
    "Ada",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Hugo",
    "Jonas",
    "Klara",
    "Leo",
    "Mara",
    "Nils",
    "Olga",
)
_DOMAINS = ("harbour.example", "lindner.example", "mail.example", "atelier.example", "northwind.example")
_WORDS = """the meeting offer invoice on Monday could you please send back draft of report we need before Friday thanks
    for your quick answer attached you find numbers last year price delivery next week let me know what suits best
    regards team order question about contract signed room booked train arrives late call tomorrow morning plan changes
    budget""".split()  # noqa: SIM905


@dataclass(frozen=True)
class SampleMessage:
    """One message and where it lies."""

    message_id: str
    folder: str
    raw: bytes
    flags: str  # Maildir letters
    received: float


def messages(count: int, *, seed: int = 1, now: float, years: float = 2.0) -> Iterator[SampleMessage]:
    """`count` messages ending at `now`; conversations in one piece, not sorted by date."""
    draw = random.Random(seed)
    waiting = list(_waiting(draw, now))
    made = 0
    while made < count - len(waiting):
        start = now - draw.uniform(3.0, 365.0 * years) * DAY
        few = count - len(waiting) - made
        for message in list(_conversation(draw, start, now) if draw.random() < 0.45 else _notice(draw, start))[:few]:
            made += 1
            yield message
    yield from waiting


def fill(mailbox: dovecot.Mailbox, count: int, *, seed: int = 1, now: float) -> list[str]:
    """Deliver them, oldest first; the Message-IDs of the conversation that waits, oldest first."""
    waiting: list[str] = []
    for message in sorted(messages(count, seed=seed, now=now), key=lambda one: one.received):
        mailbox.deliver(message.raw, message.folder, flags=message.flags, received=message.received)
        if "waits" in message.message_id:
            waiting.append(message.message_id)
    return waiting


@contextmanager
def served(count: int, *, seed: int = 1, now: float, root: Path | None = None) -> Iterator[tuple[dovecot.Dovecot, str]]:
    """A Dovecot with such a mailbox, and its user's name; the password is `dovecot.PASSWORD`."""
    with dovecot.running(root) as server:
        mailbox = server.user()
        fill(mailbox, count, seed=seed, now=now)
        yield server, mailbox.name


def _waiting(draw: random.Random, now: float) -> Iterator[SampleMessage]:
    """The newest conversation: begun three weeks ago and archived, answered, asked again two hours ago."""
    other, other_name = "ines@harbour.example", "Ines Harbour"
    ids = [f"<{number}.waits.{draw.randrange(10**9)}@harbour.example>" for number in range(3)]
    dates = [now - 21 * DAY, now - 20 * DAY, now - 7200]
    yield _message(draw, ids[0], [], "Moving the date", dates[0], "Archive", "S", other, other_name, OWNER)
    yield _message(draw, ids[1], ids[:1], "Re: Moving the date", dates[1], "Sent", "S", OWNER, "Robin Berg", other)
    yield _message(draw, ids[2], ids[:2], "Re: Moving the date", dates[2], "INBOX", "", other, other_name, OWNER)


def _conversation(draw: random.Random, start: float, now: float) -> Iterator[SampleMessage]:
    name = draw.choice(_NAMES)
    other = f"{name.lower()}@{draw.choice(_DOMAINS)}"
    subject = " ".join(draw.choices(_WORDS, k=4)).capitalize()
    ids: list[str] = []
    moment = start
    ours = draw.random() < 0.3
    for _ in range(draw.choice((1, 2, 2, 3, 3, 4, 5, 8))):
        if moment > now - DAY:
            return
        message_id = f"<{int(moment)}.{draw.randrange(10**9)}@{'berg.example' if ours else other.split('@')[1]}>"
        folder = "Sent" if ours else "Archive" if draw.random() < 0.6 else "INBOX"
        sender, sender_name, reader = (OWNER, "Robin Berg", other) if ours else (other, name, OWNER)
        heading = f"Re: {subject}" if ids else subject
        yield _message(draw, message_id, ids, heading, moment, folder, "S", sender, sender_name, reader)
        ids.append(message_id)
        moment += draw.expovariate(1 / (2 * DAY))
        ours = not ours


def _notice(draw: random.Random, moment: float) -> Iterator[SampleMessage]:
    domain = draw.choice(_DOMAINS)
    message_id = f"<{int(moment)}.{draw.randrange(10**9)}@{domain}>"
    subject = " ".join(draw.choices(_WORDS, k=5)).capitalize()
    more = f"List-Id: <news.{domain}>\r\nList-Unsubscribe: <https://{domain}/u>\r\nPrecedence: bulk\r\n"
    folder = "Archive" if draw.random() < 0.3 else "INBOX"
    yield _message(draw, message_id, [], subject, moment, folder, "S", f"news@{domain}", "News", OWNER, more)


def _message(
    draw: random.Random,
    message_id: str,
    references: list[str],
    subject: str,
    moment: float,
    folder: str,
    flags: str,
    sender: str,
    sender_name: str,
    reader: str,
    more: str = "",
) -> SampleMessage:
    date = format_datetime(datetime.fromtimestamp(moment, UTC))
    chain = f"In-Reply-To: {references[-1]}\r\nReferences: {' '.join(references)}\r\n" if references else ""
    lines = (" ".join(draw.choices(_WORDS, k=11)) for _ in range(draw.choice((4, 10, 20, 40, 80))))
    text = "\r\n".join(lines)
    head = (
        f"Return-Path: <{sender}>\r\nReceived: from mx.example by mail.berg.example with ESMTPS; {date}\r\n"
        f"From: {sender_name} <{sender}>\r\nTo: <{reader}>\r\nSubject: {subject}\r\nDate: {date}\r\n"
        f"Message-ID: {message_id}\r\n{chain}{more}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    )
    return SampleMessage(message_id, folder, f"{head}\r\n{text}\r\n".encode(), flags, moment)
