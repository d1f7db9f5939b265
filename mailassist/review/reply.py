"""One conversation on the list and the reply to it: what the screen knows, without the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mailassist.mail.safe_text import SafeText
from mailassist.worklist import Author, OutboxEntry, SavedDraft

if TYPE_CHECKING:
    from mailassist.drafting.pipeline import Draft
    from mailassist.intake.pull import Pulled
    from mailassist.intake.waiting import Waiting
    from mailassist.mail.recipients import ReplyPlan

Key = tuple[str, str]  # account, conversation

# Marks that only steer the direction of text: invisible, and nothing a person typed. They are taken out of a draft
# instead of being made visible in it; what else is unsafe becomes visible, since the draft is sent as it is seen.
_DIRECTION_MARKS = dict.fromkeys((0x061C, 0x200E, 0x200F, 0x2060, 0xFEFF))


class Mark(StrEnum):
    """What a conversation's row says about its reply."""

    NOTHING = ""
    WRITING = "writing"
    DRAFT = "draft"
    CUT_OFF = "cut off"
    EDITED = "edited"
    IN_DRAFTS = "in Drafts"
    APPROVED = "approved"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "sent?"
    FAILED = "failed"


_OUTBOX_MARKS = {
    "approved": Mark.APPROVED,
    "sending": Mark.SENDING,
    "sent": Mark.SENT,
    "filed": Mark.SENT,
    "done": Mark.SENT,
    "unknown": Mark.UNKNOWN,
    "refused": Mark.FAILED,
}


def draft_text(text: str) -> SafeText:
    """The text of a draft as it is shown, edited and sent: nothing in it that a person does not see."""
    # A terminal that pastes sends CR for each line end.
    return SafeText(text.replace("\r\n", "\n").replace("\r", "\n").translate(_DIRECTION_MARKS))


@dataclass(slots=True)
class Figures:
    """What the last call for this draft used."""

    model: str = ""
    input: int = 0
    cached: int = 0
    output: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Reply:
    """A conversation that waits, and what is known of the reply to it."""

    waiting: Waiting
    pulled: Pulled | None = None
    plans: dict[bool, ReplyPlan] = field(default_factory=dict)  # by reply-all
    reply_all: bool = False
    text: SafeText = field(default_factory=SafeText)
    written_by: Author = "model"
    complete: bool = True
    previous: SafeText = field(default_factory=SafeText)
    previous_by: Author = "model"  # who wrote it
    in_drafts: bool = False
    writing: bool = False
    pieces: list[str] = field(default_factory=list)  # what has streamed in so far
    figures: Figures = field(default_factory=Figures)
    notices: tuple[str, ...] = ()
    problem: str = ""  # why the last attempt at something failed
    outbox: OutboxEntry | None = None
    gone: bool = False  # no longer waits: answered or moved elsewhere
    overtaken: bool = False  # a newer message came in after the person wrote
    unsaved: bool = False

    @property
    def key(self) -> Key:
        """What stays the same when a new message arrives."""
        return self.waiting.account, self.waiting.conversation

    @property
    def plan(self) -> ReplyPlan | None:
        """Who gets the reply, as chosen; None while unknown."""
        return self.plans.get(self.reply_all)

    @property
    def edited(self) -> bool:
        """A person changed or wrote the text."""
        return bool(self.text) and self.written_by == "person"

    @property
    def on_its_way(self) -> bool:
        """Approved, and not refused: not to be changed any more."""
        return self.outbox is not None and self.outbox.state not in ("refused", "cancelled")

    @property
    def unknown(self) -> bool:
        """Approved and handed over, and nobody knows whether the server took it: only the person can settle it."""
        return self.outbox is not None and self.outbox.state == "unknown"

    @property
    def on_its_way_words(self) -> str:
        """Why nothing can be done with a reply that is on its way, and what can."""
        if self.unknown:
            return "Perhaps this reply was sent: u says whether it arrived"
        return "This reply is approved: u takes it back while its time runs"

    @property
    def mark(self) -> Mark:
        """The one word for the list."""
        if self.outbox is not None and self.outbox.state in _OUTBOX_MARKS:
            return _OUTBOX_MARKS[self.outbox.state]
        if self.writing:
            return Mark.WRITING
        if self.in_drafts:
            return Mark.IN_DRAFTS
        if not self.text:
            return Mark.FAILED if self.problem else Mark.NOTHING
        if self.written_by == "person":
            return Mark.EDITED
        return Mark.DRAFT if self.complete else Mark.CUT_OFF

    def remember(self, saved: SavedDraft) -> None:
        """Take over what the store kept."""
        self.text = draft_text(saved.text)
        self.written_by, self.complete, self.in_drafts = saved.written_by, saved.complete, saved.in_drafts
        self.previous, self.previous_by = draft_text(saved.previous), "person"  # it may be; then it must stay
        self.figures = Figures(
            saved.model, saved.input_tokens, saved.cached_tokens, saved.output_tokens, saved.cost
        )  # fmt: skip

    def set_aside(self) -> None:
        """The text moves to the version before; a model's never pushes out one by the person there."""
        if self.text and not (self.previous and self.previous_by == "person" and self.written_by == "model"):
            self.previous, self.previous_by = self.text, self.written_by
        self.text = SafeText()

    def begin_writing(self) -> None:
        """A call starts; the text so far stays one key away."""
        self.set_aside()
        self.pieces, self.writing = [], True
        self.written_by, self.complete, self.in_drafts = "model", False, False
        self.problem, self.notices, self.overtaken = "", (), False

    def take(self, draft: Draft) -> None:
        """The call's result; one that was stopped before its first word leaves the text from before."""
        self.text, self.complete = draft_text(draft.text), draft.complete
        if not self.text.strip():
            self._restore()
        self.notices = tuple(draft.notices)
        usage = draft.usage
        self.figures = Figures(
            draft.model,
            usage.input if usage else 0,
            usage.cached if usage else 0,
            usage.output if usage else 0,
            draft.cost or 0.0,
        )

    def give_up(self, problem: str) -> None:
        """The call failed: what has streamed in stays, marked; else the text from before comes back."""
        self.problem = problem
        self.text = draft_text("".join(self.pieces))
        if not self.text:
            self._restore()

    def _restore(self) -> None:
        """The text from before comes back, and whose it was."""
        if self.previous:
            self.text, self.written_by = self.previous, self.previous_by
            self.previous, self.complete = SafeText(), True

    def type(self, text: str) -> None:
        """The person changed the text."""
        self.text = draft_text(text)
        self.written_by, self.complete, self.problem = "person", True, ""

    def swap_previous(self) -> None:
        """The version before takes the text's place, and the other way round."""
        self.text, self.previous = self.previous, self.text
        self.written_by, self.previous_by, self.complete = "person", self.written_by, True
