"""What every step of a delivery is given: the store, the ways out of an account, the clock."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mailassist.store.database import Store
from mailassist.store.outbox import OutboxRow
from mailassist.transport.smtp_answers import SmtpAnswer
from mailassist.transport.source import MailSource

SentCopy = Literal["auto", "server", "append"]
LOOK_AGAIN = 5.0  # seconds; some servers index a new message late


class Send(Protocol):
    """SMTP with the settings of one account (`transport.smtp.send`)."""

    def __call__(
        self, sender: str, recipients: Sequence[str], raw: bytes, *, on_data: Callable[[], None]
    ) -> SmtpAnswer:
        """See `transport.smtp.send`."""
        ...


def by_nothing(_row: OutboxRow) -> str:
    """What stops a reply that only its sender works on."""
    return ""


@dataclass(frozen=True, slots=True)
class Route:
    """The ways out of one account."""

    account: str
    open_source: Callable[[], AbstractContextManager[MailSource]]  # for one piece of work
    send: Send | None = None  # None: this account only keeps drafts
    sent_copy: SentCopy = "auto"
    smtp_host: str = ""
    stopped_by: Callable[[OutboxRow], str] = (
        by_nothing  # why a reply must not leave after all, asked right before it does
    )


def nothing(_step: str) -> None:
    """The hook of production: marks no step."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, waiting, and the hook that tests set to stop between two steps."""

    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    mark: Callable[[str], None] = nothing
    owner: str = field(default_factory=lambda: this_process())
    alive: Callable[[str], bool] = field(default=lambda owner: alive(owner))
    held: float = 180.0  # seconds without a change until another process may go on with a draft


@dataclass(frozen=True, slots=True)
class Work:
    """One row's surroundings."""

    store: Store
    route: Route
    around: Surroundings

    def now(self) -> float:
        """Seconds since 1970."""
        return self.around.now()

    def mark(self, step: str) -> None:
        """The step called `step` is done."""
        self.around.mark(step)


def this_process() -> str:
    """Who this is, as `host:pid`, for rows that one process at a time works on."""
    return f"{socket.gethostname()}:{os.getpid()}"


def alive(owner: str) -> bool:
    """Whether the process `host:pid` may still run; True where nobody can tell.

    A wrong answer costs nothing but patience: the fencing number keeps a process that was taken for dead from sending.
    """
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname() or not process.isdecimal() or sys.platform == "win32":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's: it is there
        return True
    return True
