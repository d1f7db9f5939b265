"""The review queue as a reviewer sees it: plain data and one Protocol.

Two things are one: `team.store_queue` works on the database (PostgreSQL with the reviewer's own role, or the daemon's
SQLite inside the daemon), `team.socket_queue` asks the daemon over its Unix socket. *Who* is never an argument: the
database's role or SO_PEERCRED says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, Protocol

from mailassist.errors import NotAllowed, Stopped, Taken

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "Approval",
    "CaseState",
    "Item",
    "NotAllowed",
    "Note",
    "Place",
    "Role",
    "Stopped",
    "Taken",
    "TeamQueue",
    "Text",
    "Trail",
]

CaseState = Literal[
    "open", "drafted", "person", "missing", "approved", "answered", "none", "theirs", "failed"
]  # as in store/team_schema.py


class Role(IntEnum):
    """What a person may do; each includes the ones before."""

    SEE = 1
    DRAFT = 2  # claim, edit, ask the model, note, hand over
    APPROVE = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One case of the queue."""

    case_id: int
    mailbox: str
    conversation: str
    message_id: str  # the message to be answered
    subject: str  # from mail: not safe to print
    correspondent: str
    arrived: float  # seconds since 1970
    state: CaseState
    reason: str = ""
    missing: tuple[str, ...] = ()
    category: str = ""
    urgency: str = ""
    due: float | None = None  # the reply target (seconds since 1970)
    left: float | None = None  # office seconds until then; negative: overdue by so many
    claimed_by: str = ""  # "" when nobody has it open, or the claim has expired
    claimed_until: float = 0.0
    assigned_to: str = ""
    notes: int = 0
    drafted: bool = False  # there is a text
    in_drafts: bool = False  # our copy lies in the mailbox's Drafts folder
    also_in: tuple[str, ...] = ()  # other mailboxes of the team that it came to: it is answered from this one


@dataclass(frozen=True, slots=True)
class Text:
    """The current draft of a case."""

    text: str
    written_by: str  # model | person
    model: str = ""
    complete: bool = True
    version: int = 0  # grows with each change
    reply_all: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """What a colleague wrote about a case; never part of a prompt."""

    at: float
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Our copy of the draft in the Drafts folder, to be found and removed before a reply is sent."""

    folder: str
    uidvalidity: int | None
    uid: int | None
    own_id: str
    message_id: str
    fingerprint: str
    replaced: bool = False  # an older copy, which may be gone already


@dataclass(frozen=True, slots=True)
class Approval:
    """Leave to send one reply, held by one person; nobody else gets one for this case until it is closed."""

    id: int
    case_id: int
    answers: str  # Message-ID of the message answered
    text: str
    drafts: tuple[Place, ...] = ()  # what is to be removed from Drafts first
    state: str = "claimed"  # claimed | checked | sending | unknown


class Trail(Protocol):
    """The audit trail, as far as the queue needs it (`team.audit`)."""

    def record_in(
        self,
        connection: Connection,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = {},
    ) -> object:
        """Add an entry in the transaction of what it is about, as the last thing in it.

        `written`: what the model wrote, `sent`: what was approved or sent; only hashes stay for good.
        """
        ...


class TeamQueue(Protocol):
    """The queue; every method may block, may be called from any thread, and raises MailassistError only."""

    def who(self) -> tuple[str, Role]:
        """Who asks, and what they may do."""
        ...

    def items(self, *, through: bool = False) -> Sequence[Item]:
        """The open cases, the one with the least office time left first; `through`: also those at an end."""
        ...

    def texts(self, case_ids: Sequence[int]) -> Mapping[int, Text]:
        """The current drafts of these cases."""
        ...

    def claim(self, case_id: int) -> Item:
        """Take the case, or keep it: a claim without a sign of life ends. Raises Taken, NotAllowed."""
        ...

    def release(self, case_id: int) -> None:
        """Give the claim up."""
        ...

    def hand_over(self, case_id: int, to: str, note: str = "") -> None:
        """Give the case to a named colleague, with a note for them."""
        ...

    def notes(self, case_id: int) -> Sequence[Note]:
        """What colleagues wrote, oldest first."""
        ...

    def add_note(self, case_id: int, text: str) -> None:
        """Write a note."""
        ...

    def save_text(self, case_id: int, text: str, *, base: int, reply_all: bool, written_by: str = "person") -> Text:
        """Keep a text as the current one; `base`: the version it was made from. Needs the claim."""
        ...

    def begin_approval(self, case_id: int, text: str) -> Approval:
        """One for a case: the claim, the role, and the policy are checked. Raises Taken, NotAllowed, Stopped."""
        ...

    def checked(self, approval_id: int) -> None:
        """Inbox, Sent and Drafts were read again, and our copy is removed.

        Raises Stopped where the approval has been ended, as happens to one without a sign of life.
        """
        ...

    def leaving(self, approval_id: int) -> None:
        """A checked reply goes into the outbox now, or is there still, which is a sign of life.

        Raises Stopped where the approval has been ended: it must not leave any more.
        """
        ...

    def close_approval(
        self, approval_id: int, state: Literal["sent", "stopped", "refused", "unknown"], said: str
    ) -> None:
        """How it ended. `sent` answers the case; `stopped` and `refused` open it again."""
        ...

    def settle(self, case_id: int, state: Literal["sent", "stopped"]) -> None:
        """Say whether an approved reply left of which nobody knows: `stopped`, it did not. Raises Stopped."""
        ...

    def mine_open(self) -> Sequence[Approval]:
        """Approvals of this person that are not closed: to be gone on with after a crash."""
        ...

    def retry(self, case_id: int) -> None:
        """What failed is tried again, by the daemon. Raises Taken, NotAllowed, Stopped where it has not failed."""
        ...

    def discard(self, case_id: int, reason: str) -> None:
        """No reply is needed, says a person; the draft is withdrawn."""
        ...
