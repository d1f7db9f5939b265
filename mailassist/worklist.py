"""What the desk shows of the work in hand: saved drafts, replies on their way out, spending; and the desk for a UI.

Plain data and one Protocol: the composition root (`mailassist.desk`) makes these, the terminal UI shows them, and a
test can put something else in the desk's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from mailassist.drafting.pipeline import Draft
    from mailassist.drafting.prompt import Prompt
    from mailassist.intake.pull import Pulled
    from mailassist.intake.sync import SyncProgress, SyncResult
    from mailassist.intake.waiting import Waiting
    from mailassist.mail.recipients import ReplyPlan

Mode = Literal["send", "drafts"]
Author = Literal["model", "person"]
Verdict = Literal["arrived", "again", "dropped"]  # on a reply of which nobody knows whether it was sent


def never() -> bool:
    """A `stopped` that nobody pulls."""
    return False


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """The stored text of a reply being worked on: one for each message answered."""

    answers: str  # Message-ID of the message answered
    text: str
    written_by: Author = "model"
    model: str = ""
    complete: bool = True  # False: the model was cut off or stopped
    in_drafts: bool = False  # a revision lies in the Drafts folder
    version: int = 0  # grows with each change of the text; 0: not saved yet
    others: bool = False  # there are texts besides this one (`ReviewDesk.versions`)
    reply_all: bool = False  # the person's choice of recipients
    instruction: str = ""
    input_tokens: int = 0  # of the call that wrote it; 0 where unknown
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0  # US dollars


@dataclass(frozen=True, slots=True)
class Version:
    """A text for the same reply that gave way to another."""

    text: str
    written_by: Author
    complete: bool = True  # False: the model was cut off or stopped


@dataclass(frozen=True, slots=True)
class Kept:
    """What saving a text came to."""

    version: int
    overtaken: bool = False  # another process had changed the text; what it wrote is among the versions


@dataclass(frozen=True, slots=True)
class Preview:
    """A reply as it would leave, read back from its bytes; safe to read, not safe to print."""

    headers: tuple[tuple[str, str], ...]  # name and decoded value; without Date and identifiers, which are drawn later
    text: str  # with signature and quote
    html: bool  # an HTML part with the same words goes along


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An approved reply that is not through yet, or has just gone through."""

    id: int
    account: str
    answers: str  # Message-ID of the message answered
    state: str  # as in store/schema.py: approved | sending | sent | filed | done | unknown | refused | cancelled
    not_before: float  # seconds since 1970: the end of the undo time
    subject: str = ""
    recipients: tuple[str, ...] = ()
    error: str = ""  # one line with the cure, for refused and unknown (for approved: of the last try)


@dataclass(frozen=True, slots=True)
class Approved:
    """What became of an approval."""

    outbox_id: int | None = None  # mode "send": the reply is undone and followed by this id
    not_before: float = 0.0
    said: str = ""  # mode "drafts": where the draft lies, in one line
    theirs: bool = (
        False  # mode "drafts": edited or removed in the mailbox by the person, so that nothing was saved there
    )


@dataclass(frozen=True, slots=True)
class Spending:
    """Today's calls, from the ledger."""

    cost: float = 0.0  # US dollars
    tokens: int = 0
    calls: int = 0
    budget: float | None = None  # US dollars a day; None: no limit


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which model would write, without asking anybody."""

    name: str
    host: str = ""  # where text goes; "this machine" for a local model
    problem: str = ""  # why no model can write now, with the cure; the outline drafts then
    notice: str = ""  # e.g. that the model leaves the API, and which one follows


@dataclass(frozen=True, slots=True)
class TeamMark:
    """What a team's queue says of a conversation; safe to read, not safe to print."""

    state: str = "drafted"  # as in store/team_schema.py
    reason: str = ""
    missing: tuple[str, ...] = ()
    category: str = ""
    urgency: str = ""
    left: float | None = None  # office seconds until the reply target; negative: overdue by so many
    held_by: str = ""  # the colleague who has it in hand; "" where nobody has, or you have
    assigned_to: str = ""
    notes: int = 0
    also_in: tuple[str, ...] = ()  # other mailboxes of the team that the message came to

    @property
    def needs_somebody(self) -> bool:
        """Whether it has failed or is held: no draft comes by itself, or what was approved did not leave."""
        return self.state in ("failed", "person", "missing", "theirs") or bool(self.reason)


@dataclass(frozen=True, slots=True)
class TeamNote:
    """What a colleague wrote about a conversation."""

    at: float  # seconds since 1970
    who: str
    text: str


class TeamWork(Protocol):
    """What people who share a queue do beside reading and writing. As for `ReviewDesk`: every method may block."""

    @property
    def bulk_limit(self) -> int:
        """How many replies may be approved at once."""
        ...

    def marks(self, account: str) -> Mapping[str, TeamMark]:
        """What the queue says of each conversation, by its key; as `ReviewDesk.waiting` found it last."""
        ...

    def take(self, account: str, conversation: str) -> None:
        """Claim it, or keep the claim. Raises Taken, NotAllowed, Stopped."""
        ...

    def leave(self, account: str, conversation: str) -> None:
        """Give the claim up."""
        ...

    def notes(self, account: str, conversation: str) -> Sequence[TeamNote]:
        """What colleagues wrote, oldest first; never part of a prompt."""
        ...

    def add_note(self, account: str, conversation: str, text: str) -> None:
        """Write a note."""
        ...

    def hand_over(self, account: str, conversation: str, to: str, note: str) -> None:
        """Give it to a named colleague."""
        ...

    def discard(self, account: str, conversation: str, reason: str) -> None:
        """No reply is needed."""
        ...


class ReviewDesk(Protocol):
    """The desk as the terminal UI sees it.

    Every method may block and may be called from any thread, several at once; the UI calls each from a thread of its
    own. Every method raises MailassistError only.
    """

    def tell(self, listener: Callable[[str], object]) -> None:
        """Warnings (a server asks to wait, a secret lies badly) go to `listener`, one line each, from any thread."""
        ...

    @property
    def team(self) -> TeamWork | None:
        """The queue that several people work on; None for a person's own mailboxes."""
        ...

    @property
    def account_names(self) -> Sequence[str]:
        """The configured accounts, the default first; empty where none is configured."""
        ...

    def address(self, account: str) -> str:
        """The account's mail address."""
        ...

    def undo_seconds(self, account: str) -> float:
        """How long an approved reply can be taken back."""
        ...

    def delivery_mode(self, account: str) -> Mode:
        """What approving does unless the person says otherwise."""
        ...

    def model_status(self) -> ModelStatus:
        """Which model would write. No network."""
        ...

    def spending(self) -> Spending:
        """Today's calls."""
        ...

    def last_synced(self, account: str) -> float | None:
        """When the header index was last brought up to date (seconds since 1970)."""
        ...

    def waiting(self, account: str, *, excluded: bool = False) -> list[Waiting]:
        """Who waits, newest first, from the index alone.

        Leaves out what was skipped and what the outbox has sent; keeps what is approved, sending, refused or unknown.
        """
        ...

    def sync(
        self,
        account: str,
        progress: Callable[[SyncProgress], None] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> SyncResult:
        """Bring the header index up to date."""
        ...

    def watch(
        self,
        account: str,
        changed: Callable[[], None],
        connected: Callable[[bool, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Wait for new mail until `stopped()`, which is asked at least once a second.

        After the index took in new mail, `changed()` is called; `connected(ok, line)` tells each change of the
        connection. A broken connection is opened again, with backoff.
        """
        ...

    def pull(self, account: str, message_id: str) -> Pulled:
        """The whole conversation of a message."""
        ...

    def prompt(
        self, account: str, pulled: Pulled, *, instruction: str = "", previous: str = "", reply_all: bool = False
    ) -> Prompt:
        """Exactly what `draft` would send, with tokens and price; nothing is sent."""
        ...

    def draft(
        self,
        account: str,
        pulled: Pulled,
        *,
        instruction: str = "",
        previous: str = "",
        reply_all: bool = False,
        on_text: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> Draft:
        """Write a reply; `on_text` gets each new piece.

        The result is saved, also when it was stopped or cut off; what was saved before is among the versions.
        """
        ...

    def saved_drafts(self, account: str) -> Mapping[str, SavedDraft]:
        """Every saved draft, by the Message-ID it answers."""
        ...

    def saved(self, account: str, message_id: str) -> SavedDraft | None:
        """The saved draft that answers `message_id`."""
        ...

    def save_text(
        self,
        account: str,
        message_id: str,
        text: str,
        *,
        written_by: Author = "person",
        complete: bool = True,
        conversation: str = "",
        reply_all: bool = False,
        base: int | None = None,
        apart: bool = False,
    ) -> Kept:
        """Keep the text of a reply.

        `base`: the version that this one was made from; another process's text that it overtakes stays among the
        versions. `apart`: the text is another one, not the one before, edited further: that one stays there too.
        """
        ...

    def versions(self, account: str, message_id: str, conversation: str) -> list[Version]:
        """Every text for this reply besides the current one, oldest first."""
        ...

    def plan(self, account: str, pulled: Pulled, reply_all: bool) -> ReplyPlan:
        """Recipients, subject and From of the reply."""
        ...

    def preview(self, account: str, pulled: Pulled, plan: ReplyPlan, text: str) -> Preview:
        """The whole message as it would leave now; nothing is sent or saved."""
        ...

    def approve(
        self, account: str, pulled: Pulled, plan: ReplyPlan, text: str, mode: Mode, *, anew: bool = False
    ) -> Approved:
        """`send`: in the outbox, on disk, when this returns, to leave after the undo time. `drafts`: appended now.

        `anew`: also where the person has edited or removed our draft in the mailbox.
        """
        ...

    def skip(self, account: str, conversation: str, message_id: str, skipped: bool = True) -> None:
        """Take a conversation off the list until a newer message comes; `skipped=False` takes that back."""
        ...

    def outbox(self) -> list[OutboxEntry]:
        """Replies of all accounts that are not through yet, and what went through in the last minutes."""
        ...

    def undo(self, outbox_id: int) -> bool:
        """True: cancelled, nothing was or will be sent. False: too late."""
        ...

    def settle(self, outbox_id: int, verdict: Verdict) -> bool:
        """What the person says of an unknown reply; False when it is not unknown any more."""
        ...

    def reschedule(self, outbox_id: int, seconds: float) -> bool:
        """An approved or refused reply leaves `seconds` from now; False when it is under way or gone."""
        ...

    def deliver_due(self) -> object:
        """Send what is due, after looking after what a crash left half done."""
        ...
