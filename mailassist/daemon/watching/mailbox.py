"""What is watched, how often, and what is told about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mailassist.transport.source import MailSource, Role
from mailassist.transport.throttling import Patience

Connection = Literal["idle", "notify", "poll", "offline", "refused"]
PATIENCE = Patience(tries=1)  # of a source that is watched: the hub waits, not the thread

# Looks at folders of a mailbox with the cursor, on the source, in a thread of the pool. Raises MailassistError.
Look = Callable[[str, MailSource, frozenset[str]], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """One mailbox to be watched."""

    name: str  # the account's
    host: str  # logins at one host take turns
    folders: tuple[str, ...] = ("INBOX",)  # the inboxes; IDLE is in the first one
    roles: tuple[Role, ...] = (Role.SENT, Role.DRAFTS)  # found on the server, and watched too


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to a mailbox.

    `connection`: how news is heard from now on; "offline" when the connection is gone, "refused" when trying again
    soon is useless (login, certificate, configuration).
    """

    event: Literal["connected", "looked", "failed"]
    connection: Connection
    at: float  # seconds since 1970
    error: str = ""  # one line, of "failed"
    again_at: float | None = None  # of "failed": when it is tried again


Tell = Callable[[str, Report], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; tests have less of them."""

    renew: float = 540.0  # of an IDLE: some routers forget a quiet connection after 10 minutes
    others: float = 300.0  # between two looks at the folders that IDLE tells nothing of
    poll: float = 60.0  # where there is no IDLE
    look_after: float = 270.0  # since the last look at everything: the next visit, hint or poll, looks at everything
    silence: float = 300.0  # after a sign of life of a server that gave some: it is deaf (mailbox.org)
    visit: float = 900.0  # that the server may take over one visit, however alive it looks
    slow: float = 20.0  # a visit that lasts longer does not count as one of the pool's any more
    refused: float = 900.0  # until what a person has to change is tried again; doubled up to four times
    longest_pause: float = 300.0  # between two tries of a connection or a look
    first_pause: float = 2.0
    steady: float = 60.0  # a connection that has lasted so long begins with short pauses again
    stop: float = 10.0  # for visits under way to end by themselves
    hint_gap: float = 2.0  # between two looks after a hint, in the long run; a few may follow each other at once
    drafts_gap: float = 30.0  # from a hint of the Drafts folder alone to the look: each of our own drafts is one
