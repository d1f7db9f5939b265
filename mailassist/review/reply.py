"""One conversation on the list and the reply to it: what the screen knows, without the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mailassist.mail.safe_text import SafeText
from mailassist.worklist import Author, OutboxEntry, SavedDraft, TeamMark, Version

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


@dataclass(frozen=True, slots=True)
class _Before:
    """The text that a call is to replace, and what was known of it: comes back if the call brings nothing."""

    text: SafeText = field(default_factory=SafeText)
    written_by: Author = "model"
    complete: bool = True
    in_drafts: bool = False
    overtaken: bool = False


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
    before: _Before = field(default_factory=_Before)  # while writing
    version: int = 0  # of the saved text, as far as this window knows; 0: none is saved
    others: bool = False  # there are other texts for this reply
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
    editing: bool = False  # in place
    team: TeamMark | None = None  # what the team's queue says of it; None in a person's own mailboxes
    selected: bool = False  # to be approved with others

    @property
    def urgency(self) -> float:
        """What a team's list is sorted by: office time left; elsewhere all are alike."""
        if self.team is None or self.team.left is None:
            return 0.0
        return self.team.left

    @property
    def held_by(self) -> str:
        """The colleague who has it in hand, or ""."""
        return self.team.held_by if self.team is not None else ""

    @property
    def needs_somebody(self) -> bool:
        """Whether it failed, or is held."""
        failed = self.outbox is not None and self.outbox.state in ("refused", "unknown")
        return failed or bool(self.problem) or (self.team is not None and self.team.needs_somebody)

    @property
    def why(self) -> str:
        """Why it failed or is held, as far as that is known; else ""."""
        if self.outbox is not None and self.outbox.state in ("refused", "unknown"):
            return self.outbox.error
        if self.problem or self.team is None:
            return self.problem
        return "; ".join(self.team.missing) or self.team.reason

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
        if self.mark is Mark.SENT:
            return "This reply has been sent; a text written since is kept"
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
        self.version, self.others, self.reply_all = saved.version, saved.others, saved.reply_all
        self.figures = Figures(
            saved.model, saved.input_tokens, saved.cached_tokens, saved.output_tokens, saved.cost
        )  # fmt: skip

    def renew(self, waiting: Waiting) -> None:
        """A newer message came: the person's text stays, and is asked about; a model's answers what is past."""
        self.waiting, self.pulled, self.plans, self.outbox = waiting, None, {}, None
        in_hand = self.edited or (self.editing and bool(self.text))
        self.overtaken = in_hand or self.writing
        self.version = 0
        if self.text and not in_hand:
            self.text, self.complete, self.others = SafeText(), True, True

    def begin_writing(self) -> None:
        """A call starts; should it fail, the text so far comes back."""
        self.before = _Before(self.text, self.written_by, self.complete, self.in_drafts, self.overtaken)
        self.text, self.pieces, self.writing = SafeText(), [], True
        self.written_by, self.complete, self.in_drafts = "model", False, False
        self.problem, self.notices, self.overtaken = "", (), False

    def take(self, draft: Draft) -> None:
        """The call's result; one that was stopped before its first word leaves the text from before."""
        self.text, self.complete = draft_text(draft.text), draft.complete
        self._settle()
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
        self._settle()

    def _settle(self) -> None:
        """After a call: where it brought no text, the one from before is as it was; else that one is a version."""
        before = self.before
        if self.text.strip():
            self.others = self.others or before.text not in ("", self.text)
            return
        self.text, self.written_by, self.complete = before.text, before.written_by, before.complete
        self.in_drafts, self.overtaken = before.in_drafts, before.overtaken or self.overtaken

    def type(self, text: str) -> None:
        """The person changed the text."""
        self.others = self.others or (bool(self.text) and self.written_by == "model")
        self.text = draft_text(text)
        self.written_by, self.complete, self.in_drafts, self.problem = "person", True, False, ""

    def step_back(self, versions: Sequence[Version]) -> tuple[int, int] | None:
        """The version before takes the text's place, after the oldest the newest; which one it is, of how many.

        `versions`: the others, oldest first; the text may be among them. None where there is no other.
        """
        ring = {draft_text(one.text): one for one in versions}
        ring.setdefault(self.text, Version(self.text, self.written_by, self.complete))
        if len(ring) < 2:
            return None
        texts = list(ring)
        position = (texts.index(self.text) - 1) % len(texts)
        self.text = texts[position]
        chosen = ring[self.text]
        self.written_by, self.complete, self.in_drafts = chosen.written_by, chosen.complete, False
        return position + 1, len(texts)
