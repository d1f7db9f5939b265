"""The queue as the terminal UI's desk: the list and the texts are the team's, reading, model and sending one's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from mailassist.errors import MailassistError, NotAllowed, Stopped
from mailassist.intake.sync import SyncProgress, SyncResult
from mailassist.intake.waiting import Waiting
from mailassist.team.approving import Approving
from mailassist.team.listing import Listing, mark
from mailassist.team.queue import Item, TeamQueue, Text
from mailassist.worklist import (
    Approved,
    Author,
    Kept,
    Mode,
    ModelStatus,
    OutboxEntry,
    Preview,
    SavedDraft,
    Spending,
    TeamMark,
    TeamNote,
    TeamWork,
    Verdict,
    Version,
    never,
)

if TYPE_CHECKING:
    from mailassist.desk import Desk
    from mailassist.drafting.pipeline import Draft
    from mailassist.drafting.prompt import Prompt
    from mailassist.intake.pull import Pulled
    from mailassist.mail.recipients import ReplyPlan

Result = TypeVar("Result")

_NO_DRAFTS = "The daemon keeps the drafts in Drafts; a text that you save here is the team's"


class TeamDesk:
    """`ReviewDesk` and `TeamWork` for one person. Close its desk in the end."""

    def __init__(
        self,
        desk: Desk,
        queue: TeamQueue,
        *,
        bulk_limit: int = 50,
        undo_seconds: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`desk`: with the person's access to the mailboxes; `undo_seconds`: None: those of each account."""
        self._desk, self._queue = desk, queue
        self._listing = Listing(queue, now)
        self._undo = undo_seconds
        self._limit = bulk_limit
        self._approving = Approving(desk, queue, undo_seconds=undo_seconds)
        self._warn: Callable[[str], object] = lambda line: None
        self._replaced: dict[int, list[Version]] = {}  # texts that gave way in this run, by case
        self._resumed = False

    @property
    def team(self) -> TeamWork | None:
        """This."""
        return self

    @property
    def bulk_limit(self) -> int:
        """How many replies may be approved at once."""
        return self._limit

    def tell(self, listener: Callable[[str], object]) -> None:
        """Warnings go to `listener`."""
        self._warn = listener
        self._desk.tell(listener)

    # -- accounts: those of the person's configuration that are team mailboxes

    @property
    def account_names(self) -> Sequence[str]:
        """The team mailboxes that the person's configuration has an account for."""
        names = self._desk.account_names
        queued = self._listing.mailboxes
        shared = [name for name in names if self._desk.account(name).team is not None or name in queued]
        return shared or names

    def address(self, account: str) -> str:
        """The account's mail address."""
        return self._desk.address(account)

    def undo_seconds(self, account: str) -> float:
        """How long an approved reply can be taken back."""
        return self._desk.undo_seconds(account) if self._undo is None else self._undo

    def delivery_mode(self, account: str) -> Mode:
        """What a team approves is sent."""
        return "send"

    def model_status(self) -> ModelStatus:
        """The person's own model."""
        return self._desk.model_status()

    def spending(self) -> Spending:
        """Today's calls of the person."""
        return self._desk.spending()

    # -- the list

    def look(self) -> None:
        """Read the queue. Raises MailassistError."""
        self._listing.look()

    def case(self, case_id: int) -> Item:
        """One of the open cases. Raises Stopped."""
        return self._listing.numbered(case_id)

    def last_synced(self, account: str) -> float | None:
        """When the queue was read last."""
        return self._listing.looked or None

    def waiting(self, account: str, *, excluded: bool = False) -> list[Waiting]:
        """The open cases of a mailbox, the one with the least office time left first."""
        return self._listing.waiting(account)

    def marks(self, account: str) -> Mapping[str, TeamMark]:
        """What the queue says of each conversation."""
        me = self._queue.who()[0]
        return {item.conversation: mark(item, me) for item in self._listing.of(account)}

    def sync(
        self,
        account: str,
        progress: Callable[[SyncProgress], None] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> SyncResult:
        """Read the queue now; the daemon reads the mailbox."""
        self.look()
        return SyncResult()

    def watch(
        self,
        account: str,
        changed: Callable[[], None],
        connected: Callable[[bool, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Look at the queue every few seconds until `stopped()`."""
        self._listing.watch(account, changed, connected, stopped)

    # -- reading and writing

    def pull(self, account: str, message_id: str) -> Pulled:
        """The whole conversation, from the mailbox."""
        return self._desk.pull(account, message_id)

    def prompt(
        self, account: str, pulled: Pulled, *, instruction: str = "", previous: str = "", reply_all: bool = False
    ) -> Prompt:
        """Exactly what `draft` would send; notes of colleagues are never in it."""
        return self._desk.prompt(account, pulled, instruction=instruction, previous=previous, reply_all=reply_all)

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
        """Claim it, let the person's model write, and keep the text in the queue."""
        item = self._listing.answering(account, pulled.conversation.answered.message.message_id)
        self._queue.claim(item.case_id)  # before anything is paid for
        request = self._desk.request(account, pulled, instruction, previous, reply_all=reply_all)
        made = self._desk.write(request, on_text=on_text, stopped=stopped)
        if made.text.strip():
            before = self._text(item)
            version = before.version if before is not None else 0
            self._queue.save_text(item.case_id, made.text, base=version, reply_all=reply_all, written_by="model")
            self._keep_before(item, before, made.text)
        return made

    def saved_drafts(self, account: str) -> Mapping[str, SavedDraft]:
        """The team's texts, by the message that each answers."""
        items = {item.case_id: item for item in self._listing.of(account)}
        found = self._queue.texts(list(items))
        return {items[case].message_id: self._saved(items[case], text) for case, text in found.items()}

    def saved(self, account: str, message_id: str) -> SavedDraft | None:
        """The team's text for one message."""
        item = self._listing.answering(account, message_id)
        text = self._text(item)
        return self._saved(item, text) if text is not None else None

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
        """Keep a text in the queue; that takes the claim, or renews it."""
        item = self._listing.answering(account, message_id)
        self._queue.claim(item.case_id)
        before = self._text(item)
        version = before.version if before is not None else 0
        known = version if base is None else base
        kept = self._queue.save_text(item.case_id, text, base=known, reply_all=reply_all, written_by=written_by)
        overtaken = known != version and before is not None and before.text != text
        if apart or overtaken or (before is not None and before.written_by == "model"):
            self._keep_before(item, before, text)
        return Kept(kept.version, overtaken)

    def versions(self, account: str, message_id: str, conversation: str) -> list[Version]:
        """The texts that gave way in this run, oldest first."""
        return list(self._replaced.get(self._listing.answering(account, message_id).case_id, ()))

    # -- deciding

    def plan(self, account: str, pulled: Pulled, reply_all: bool) -> ReplyPlan:
        """Recipients, subject and From of the reply."""
        return self._desk.plan(account, pulled, reply_all)

    def preview(self, account: str, pulled: Pulled, plan: ReplyPlan, text: str) -> Preview:
        """The whole message as it would leave."""
        return self._desk.preview(account, pulled, plan, text)

    def approve(
        self, account: str, pulled: Pulled, plan: ReplyPlan, text: str, mode: Mode, *, anew: bool = False
    ) -> Approved:
        """Into the person's outbox, after `team.approving` has looked at everything."""
        if mode != "send":
            raise NotAllowed(_NO_DRAFTS)
        item = self._listing.answering(account, pulled.conversation.answered.message.message_id)
        return self._approving.approve(account, item.case_id, pulled, plan, text)

    def skip(self, account: str, conversation: str, message_id: str, skipped: bool = True) -> None:
        """A team discards, with a reason."""
        if not skipped:
            raise Stopped("What was discarded comes back with the next message")
        self.discard(account, conversation, "")

    def discard(self, account: str, conversation: str, reason: str) -> None:
        """No reply is needed."""
        self._queue.discard(self._listing.case(account, conversation).case_id, reason)

    def take(self, account: str, conversation: str) -> None:
        """Claim it, or keep the claim."""
        self._listing.put(self._queue.claim(self._listing.case(account, conversation).case_id))

    def leave(self, account: str, conversation: str) -> None:
        """Give the claim up."""
        self._queue.release(self._listing.case(account, conversation).case_id)

    def notes(self, account: str, conversation: str) -> Sequence[TeamNote]:
        """What colleagues wrote."""
        notes = self._queue.notes(self._listing.case(account, conversation).case_id)
        return [TeamNote(note.at, note.who, note.text) for note in notes]

    def add_note(self, account: str, conversation: str, text: str) -> None:
        """Write a note."""
        self._queue.add_note(self._listing.case(account, conversation).case_id, text)

    def hand_over(self, account: str, conversation: str, to: str, note: str) -> None:
        """Give it to a colleague."""
        self._queue.hand_over(self._listing.case(account, conversation).case_id, to, note)

    # -- the way out

    def outbox(self) -> list[OutboxEntry]:
        """The person's own outbox; the queue hears how each reply of it ended."""
        if not self._resumed:
            self._resumed = True
            for line in self._quietly(self._approving.resume) or ():
                self._warn(line)
        self._quietly(self._approving.follow)
        return self._desk.outbox()

    def undo(self, outbox_id: int) -> bool:
        """Take an approved reply back: the case is open again."""
        done = self._desk.undo(outbox_id)
        self._quietly(self._approving.follow)
        return done

    def settle(self, outbox_id: int, verdict: Verdict) -> bool:
        """What the person says of an unknown reply."""
        done = self._desk.settle(outbox_id, verdict)
        self._quietly(self._approving.follow)
        return done

    def reschedule(self, outbox_id: int, seconds: float) -> bool:
        """An approved or refused reply leaves `seconds` from now."""
        return self._desk.reschedule(outbox_id, seconds)

    def deliver_due(self) -> object:
        """Send what is due; the mailbox is looked at again before each (`Desk.guard`)."""
        outcomes = self._desk.deliver_due()
        self._quietly(self._approving.follow)
        return outcomes

    # -- what is known

    def _quietly(self, work: Callable[[], Result]) -> Result | None:
        """`work`, which the next look does again: a queue that cannot be reached now stops nothing else."""
        try:
            return work()
        except MailassistError as error:
            self._warn(f"The queue was not told: {error}")
            return None

    def _text(self, item: Item) -> Text | None:
        return self._queue.texts([item.case_id]).get(item.case_id)

    def _saved(self, item: Item, text: Text) -> SavedDraft:
        return SavedDraft(
            answers=item.message_id,
            text=text.text,
            written_by="person" if text.written_by == "person" else "model",
            model=text.model,
            complete=text.complete,
            in_drafts=item.in_drafts,
            version=text.version,
            others=item.case_id in self._replaced,
            reply_all=text.reply_all,
        )

    def _keep_before(self, item: Item, before: Text | None, text: str) -> None:
        if before is not None and before.text.strip() and before.text != text:
            by: Author = "person" if before.written_by == "person" else "model"
            self._replaced.setdefault(item.case_id, []).append(Version(before.text, by, before.complete))
