"""What a raw imapclient notices of new mail in an idle mailbox, and the mail: the peer of `idle_mailboxes`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from imapclient import IMAPClient

from benchmarks.mailbox import OWNER
from tests.servers import dovecot

GAP = 0.4  # seconds between two messages
BOXES = 16  # that get messages

Seen = dict[tuple[str, int], float]  # by user and number of the message: when, on the clock that all processes share


def message(number: int) -> bytes:
    """A customer's question."""
    return (
        f"From: Nora <nora@customer.example>\r\nTo: {OWNER}\r\nSubject: Order {number}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@customer.example>\r\nDate: Mon, 23 Nov 2026 09:14:00 +0100\r\n\r\n"
        f"Where is order {number}?\r\n"
    ).encode()


def delays(
    server: dovecot.Dovecot,
    users: Sequence[str],
    messages: int,
    put: Callable[[str, int], float],
    seen_by_us: Callable[[], Seen],
) -> tuple[list[float], list[float]]:
    """Seconds until each message was noticed, by us and by a raw IDLE on the same mailbox.

    `put` gives message number so and so (the first one is there already) to a user, and says when it was there.
    """
    draw = random.Random(6)
    chosen = draw.sample(list(users), min(BOXES, len(users)))
    given: Seen = {}
    with _idling(server, chosen) as seen:
        time.sleep(5)
        numbers = dict.fromkeys(chosen, 1)
        for turn in range(messages):
            user = chosen[turn % len(chosen)]
            numbers[user] += 1
            given[user, numbers[user]] = put(user, numbers[user])
            time.sleep(GAP * (0.5 + draw.random()))
        time.sleep(3)
        ours = seen_by_us()
    missing = [key for key in given if key not in ours or key not in seen]
    if missing:
        print(f"not noticed within 3 s by one of the two: {missing}", flush=True)
    both = [key for key in given if key not in missing]
    return [ours[key] - given[key] for key in both], [seen[key] - given[key] for key in both]


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of all are below."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


@contextmanager
def _idling(server: dovecot.Dovecot, users: Sequence[str]) -> Iterator[Seen]:
    stopped = threading.Event()
    seen: Seen = {}
    threads = [threading.Thread(target=_raw_idle, args=(server, user, seen, stopped), daemon=True) for user in users]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stopped.set()


def _raw_idle(server: dovecot.Dovecot, user: str, seen: Seen, stopped: threading.Event) -> None:
    """What imapclient can do at best: a thread for one mailbox, IDLE, and the count that EXISTS tells."""
    client = IMAPClient(server.host, server.port, ssl=False)
    client.login(user, dovecot.PASSWORD)
    client.select_folder("INBOX", readonly=True)
    client.idle()
    while not stopped.is_set():
        for line in client.idle_check(timeout=1):
            if len(line) == 2 and line[1] == b"EXISTS":
                seen.setdefault((user, int(line[0])), time.monotonic())
    client.logout()
