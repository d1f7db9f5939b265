"""From a person's yes to one answer for the customer, while colleagues use the same queue and their mail programs.

In the approving person's own process: the queue gives leave, Inbox, Sent and Drafts are read again in a new session,
our copy in Drafts is taken away, everything is looked at once more, and only then does the reply go into that person's
outbox. The outbox looks again right before it sends, and asks the queue whether the approval stands (`Desk.guard`).
Each step is written down before the next begins; after a crash `resume` goes on with what is in the outbox and gives
back everything else: it never sends again.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from mailassist.delivery.copies import look_at, take_away
from mailassist.delivery.outbox import said
from mailassist.delivery.work import Surroundings
from mailassist.desk.views import answered
from mailassist.errors import MailassistError, Stopped
from mailassist.store import outbox as table
from mailassist.team.queue import Approval, TeamQueue

if TYPE_CHECKING:
    from mailassist.desk import Desk
    from mailassist.intake.pull import Pulled
    from mailassist.mail.recipients import ReplyPlan
    from mailassist.store.outbox import OutboxRow
    from mailassist.transport.source import Location, MailSource
    from mailassist.worklist import Approved

Step = Literal["begun", "removing", "checked", "leaving", "closed"]
_THROUGH = ("sent", "filed", "done")
_SIGN_EVERY = 300.0  # seconds between signs of life of what lies in the outbox
_AGAIN = "Look at the conversation, then approve again."


@dataclass(frozen=True, slots=True)
class _Memory:
    """What this machine knows of an approval that it works on."""

    account: str
    owner: str  # host:pid
    step: Step
    outbox_id: int | None = None


class Approving:
    """Approves for one person; thread-safe."""

    def __init__(
        self, desk: Desk, queue: TeamQueue, *, around: Surroundings | None = None, undo_seconds: float | None = None
    ) -> None:
        """`desk`: with IMAP and SMTP of the mailboxes; `undo_seconds`: None: those of each account."""
        self._desk, self._queue = desk, queue
        self._around = around or Surroundings()
        self._undo = undo_seconds
        self._turn = threading.Lock()
        self._in_hand: set[int] = set()
        self._signs: dict[int, float] = {}  # when the queue heard last of an approval
        desk.approval_ended = self._ended

    def approve(self, account: str, case_id: int, pulled: Pulled, plan: ReplyPlan, text: str) -> Approved:
        """`text` into the person's outbox, if nobody has answered and nobody else may.

        Raises Taken, NotAllowed, Stopped (with what happened), and what desk and servers raise: nothing is sent then,
        and the case is open again.
        """
        approval = self._queue.begin_approval(case_id, text)
        self._around.mark("approve:begun")
        self._in_hand.add(approval.id)
        try:
            self._remember(approval, _Memory(account, self._around.owner, "begun"))
            self._clear(account, approval, answered(pulled).message_id)
            return self._leave(account, approval, pulled, plan)
        except MailassistError as error:
            self._give_back(account, approval, str(error))
            raise
        finally:
            self._in_hand.discard(approval.id)

    def follow(self) -> None:
        """Tell the queue what became of this person's replies; what cannot be told now is told the next time."""
        with self._turn:
            for approval in self._queue.mine_open():
                memory = self._memory(approval)
                if memory is not None and approval.id not in self._in_hand:
                    self._follow(approval, memory)

    def resume(self) -> list[str]:
        """At the start: what crashed processes of this machine left half done; a line for each that was given back."""
        told = []
        with self._turn:
            for approval in self._queue.mine_open():
                memory = self._memory(approval)
                if memory is None or approval.id in self._in_hand or self._lives(memory):
                    continue
                if self._row(approval, memory) is not None:
                    self._follow(approval, memory)
                    continue
                why = "mailassist ended before the reply left"
                self._end_crashed(approval, memory, why)
                told.append(f"The approval of a reply was given back: {why}. {_AGAIN}")
        return told

    # -- the steps

    def _clear(self, account: str, approval: Approval, message_id: str) -> None:
        """Look, take our copies out of Drafts, and say so to the queue. Raises Stopped."""
        if approval.answers != message_id:
            raise Stopped("A newer message has come in than the one that this reply answers", cure=_AGAIN)
        with self._desk.opened(account) as source:
            places: dict[int, Location] = {}
            for number, copy in enumerate(approval.drafts):
                condition, place = look_at(source, copy)
                if place is not None:
                    places[number] = place
                elif condition == "edited" or (copy.folder and not copy.replaced):
                    self._look_again(source, account, approval, list(places.values()))
                    done = "edited" if condition == "edited" else "sent, moved or deleted"
                    raise Stopped(f"A colleague has {done} the draft in a mail program", cure=_AGAIN)
            self._look_again(source, account, approval, list(places.values()))
            self._around.mark("approve:looked")
            self._remember(approval, _Memory(account, self._around.owner, "removing"))
            for number, place in places.items():
                if not take_away(source, place, approval.drafts[number]):
                    raise Stopped("A colleague has just taken the draft in a mail program", cure=_AGAIN)
            self._around.mark("approve:removed")
        self._queue.checked(approval.id)
        self._around.mark("approve:checked")
        self._remember(approval, _Memory(account, self._around.owner, "checked"))

    def _leave(self, account: str, approval: Approval, pulled: Pulled, plan: ReplyPlan) -> Approved:
        """Once more, now that nobody finds the draft any more; then into the outbox."""
        with self._desk.opened(account) as source:
            self._look_again(source, account, approval, [])
        self._around.mark("approve:looked-again")
        self._desk.guard(account, approval.answers, approval.id)
        memory = _Memory(account, self._around.owner, "leaving")
        self._remember(approval, memory)
        self._queue.leaving(approval.id)
        self._around.mark("approve:leaving")
        approved = self._desk.approve(account, pulled, plan, approval.text, "send", undo_seconds=self._undo)
        self._around.mark("approve:in-outbox")
        self._remember(approval, replace(memory, outbox_id=approved.outbox_id))
        return approved

    def _look_again(self, source: MailSource, account: str, approval: Approval, ours: list[Location]) -> None:
        """Raises Stopped where somebody has answered, is writing, or where there is something newer to answer."""
        happened = self._desk.taken_up(source, account, approval.answers, approval.text, ours)
        if happened:
            raise Stopped(f"Not sent: {happened}", cure=_AGAIN)

    # -- how it ends

    def _follow(self, approval: Approval, memory: _Memory) -> None:
        row = self._row(approval, memory)
        if row is None:
            return
        if row.state in ("approved", "sending"):
            self._give_sign(approval)
        elif row.state in _THROUGH:
            self._close(approval, memory, "sent", "")
        elif row.state == "refused":
            # Whoever is asked next must not find it in this outbox, to be tried again.
            if self._desk.undo(row.id):
                self._close(approval, memory, "refused" if row.attempt else "stopped", row.error)
        elif row.state == "cancelled":
            self._close(approval, memory, "stopped", row.error or "taken back")
        elif row.state == "unknown" and approval.state != "unknown":
            self._queue.close_approval(approval.id, "unknown", said(row))

    def _give_sign(self, approval: Approval) -> None:
        """The reply is on its way still; whoever says nothing of it for long is taken for gone."""
        now = self._around.now()
        if self._signs.get(approval.id, 0.0) + _SIGN_EVERY <= now:
            self._signs[approval.id] = now
            self._queue.leaving(approval.id)

    def _ended(self, approval_id: int) -> str:
        """Asked before a reply leaves: why it must not, where its approval has ended; else ""."""
        try:
            self._queue.leaving(approval_id)
        except Stopped:
            return "its approval in the team's queue has ended meanwhile"
        return ""

    def _give_back(self, account: str, approval: Approval, why: str) -> None:
        """An approval that failed in this process: the case is open again, unless the reply is in the outbox."""
        memory = self._memory(approval) or _Memory(account, self._around.owner, "begun")
        if self._row(approval, memory) is None:
            try:
                self._end_crashed(approval, memory, why)
            except MailassistError:
                pass  # the queue cannot be reached: the next start gives it back, and the claim ends by itself

    def _end_crashed(self, approval: Approval, memory: _Memory, why: str) -> None:
        """Nothing of it is in the outbox: give the case back, with what is known of the copies in Drafts."""
        if memory.step == "removing" and self._some_are_gone(memory.account, approval):
            self._queue.checked(approval.id)  # the queue must not look for copies that we took away
        self._close(approval, memory, "stopped", why)

    def _some_are_gone(self, account: str, approval: Approval) -> bool:
        with self._desk.opened(account) as source:
            return any(look_at(source, copy)[0] == "gone" for copy in approval.drafts)

    def _close(
        self, approval: Approval, memory: _Memory, state: Literal["sent", "stopped", "refused"], why: str
    ) -> None:
        self._queue.close_approval(approval.id, state, why)
        self._remember(approval, replace(memory, step="closed"))

    # -- what this machine remembers

    def _row(self, approval: Approval, memory: _Memory) -> OutboxRow | None:
        """The reply in this person's outbox."""
        rows = table.of_message(self._desk.store, memory.account, approval.answers)
        if memory.outbox_id is not None:
            return next((row for row in rows if row.id == memory.outbox_id), None)
        # It ended between the outbox and its memory: the newest with this text is the one, if it is not through.
        same = [row for row in rows if row.text == approval.text and row.state != "cancelled"]
        return same[-1] if same and memory.step == "leaving" else None

    def _lives(self, memory: _Memory) -> bool:
        return memory.owner != self._around.owner and self._around.alive(memory.owner)

    def _memory(self, approval: Approval) -> _Memory | None:
        kept = self._desk.store.fact(_fact(approval))
        memory = _Memory(**json.loads(kept)) if kept else None
        return memory if memory is not None and memory.step != "closed" else None

    def _remember(self, approval: Approval, memory: _Memory) -> None:
        self._desk.store.learn(_fact(approval), json.dumps(asdict(memory)).encode())


def _fact(approval: Approval) -> str:
    return f"approval {approval.id} {approval.answers}"
