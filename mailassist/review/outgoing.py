"""From the person's yes to the reply's way out, and back while there is time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mailassist.mail.recipients import ReplyPlan
from mailassist.review.keeping import Keeper
from mailassist.review.messages import BoardChanged, Noticed, ReplyChanged
from mailassist.review.phrases import named
from mailassist.review.reply import Reply
from mailassist.review.session import Session
from mailassist.worklist import Approved, Mode, OutboxEntry, Verdict

POLL = 5.0  # seconds between looks at an outbox in which something waits
POLL_OTHERS = 15.0  # seconds between looks at one in which nothing does: another window may have approved something
GONE_OUT = ("sent", "filed", "done")


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that `u` takes back."""

    reply: Reply
    outbox_id: int | None  # None: it was skipped


class Outgoing:
    """Approves, takes back, delivers, and tells the board how far each reply is."""

    def __init__(self, session: Session, keeper: Keeper) -> None:
        """Nothing is on its way."""
        self._session = session
        self._keeper = keeper
        self._steps: list[_Step] = []
        self._busy = False
        self._looked = 0.0
        self.entries: list[OutboxEntry] = []

    @property
    def pending(self) -> list[OutboxEntry]:
        """Approved replies that can still be taken back."""
        return [entry for entry in self.entries if entry.state == "approved"]

    @property
    def sending(self) -> bool:
        """Whether a reply is being handed over right now."""
        return self._busy and any(entry.state in ("sending", "sent", "filed") for entry in self.entries)

    async def open(self) -> None:
        """Replies kept from the last time get their undo time again, then leave; what a crash left is finished."""
        session = self._session
        await self.look()
        kept = [entry for entry in self.pending if not entry.error and entry.not_before <= session.now()]
        for entry in kept:
            seconds = session.desk.undo_seconds(entry.account)
            await self._reschedule(entry, seconds)
        if kept:
            session.post(Noticed("A reply approved last time is sent now: u takes it back", "warning"))
        await self.deliver()

    def tick(self) -> None:
        """Once or twice a second: send what is due, and look what became of the rest."""
        now = self._session.now()
        due = any(entry.state == "approved" and entry.not_before <= now for entry in self.entries)
        open_ones = [entry for entry in self.entries if entry.state not in ("done", "refused", "cancelled", "unknown")]
        if self._busy:
            return
        if due:
            self._busy = True
            self._session.start(self.deliver, group="deliver")
        elif now - self._looked >= (POLL if open_ones else POLL_OTHERS):
            self._looked = now
            self._session.start(self.look, group="outbox")

    async def deliver(self) -> None:
        """Send what is due."""
        self._busy = True
        try:
            await self._session.attempt(lambda _: self._session.desk.deliver_due())
        finally:
            self._busy = False
        await self.look()

    async def look(self) -> None:
        """Read the outbox, tell the board, and say what is new."""
        found = await self._session.attempt(lambda _: self._session.desk.outbox())
        if found is None:
            return
        self._looked = self._session.now()
        before = {entry.id: entry.state for entry in self.entries}
        self.entries = found
        for reply in self._session.board.follow(found):
            self._tell(reply, before)
            self._session.post(ReplyChanged(reply.key))

    async def approve(self, reply: Reply, plan: ReplyPlan, mode: Mode, *, anew: bool = False) -> Approved | None:
        """Commit the reply to its way out. None: not done, and the person was told why.

        `theirs` in the result: not done either, for the draft in the mailbox is the person's, unless it is `anew`.
        """
        session, item, pulled, text = self._session, reply.waiting, reply.pulled, reply.text
        if pulled is None:
            return None
        refused = reply.outbox.id if reply.outbox else None

        def work(_: object) -> Approved:
            if refused is not None:
                session.desk.undo(refused)
            return session.desk.approve(item.account, pulled, plan, text, mode, anew=anew)

        approved = await session.attempt(work)
        if approved is None:
            return None
        reply.problem = ""
        if approved.theirs:
            reply.in_drafts = False
        elif approved.outbox_id is None:
            reply.in_drafts = reply.text == text
            session.post(Noticed(approved.said or "Saved to Drafts"))
        else:
            self._steps.append(_Step(reply, approved.outbox_id))
        await self.look()
        session.post(ReplyChanged(reply.key))
        return approved

    async def skip(self, reply: Reply) -> bool:
        """Take a conversation off the list until a newer message comes."""
        session, item = self._session, reply.waiting
        done = await self._mark_skipped(reply, True)
        if done:
            self._steps.append(_Step(reply, None))
            session.board.remove(reply.key)
            session.post(BoardChanged())
            session.post(Noticed(f"Skipped {named(item.correspondent)}: u brings it back"))
        return done

    async def undo(self, current: Reply | None) -> Reply | None:
        """Take back the reply in hand while it waits, else the last approval or skip, else the newest that waits.

        The conversation it was about, or None. Who approved it, and when, does not matter: after a restart too.
        """
        step = self._step_of(current) or (self._steps.pop() if self._steps else self._newest_waiting())
        if step is None:
            self._session.post(Noticed("There is nothing to undo"))
            return None
        done = await (self._unskip(step.reply) if step.outbox_id is None else self._take_back(step))
        return step.reply if done else None

    def _step_of(self, reply: Reply | None) -> _Step | None:
        """The step that takes this reply back, no longer among the others."""
        if reply is None or reply.outbox is None or reply.outbox.state != "approved":
            return None
        step = _Step(reply, reply.outbox.id)
        self._steps = [one for one in self._steps if one.outbox_id != step.outbox_id]
        return step

    def _newest_waiting(self) -> _Step | None:
        """The step that takes back the reply approved last by anybody."""
        newest = max((entry.id for entry in self.pending), default=None)
        replies = self._session.board.all()
        return next((_Step(one, newest) for one in replies if one.outbox and one.outbox.id == newest), None)

    async def settle(self, reply: Reply, verdict: Verdict) -> None:
        """What the person says of a reply that was perhaps sent."""
        entry = reply.outbox
        if entry is None:
            return
        settled = await self._session.attempt(lambda _: self._session.desk.settle(entry.id, verdict))
        if settled and verdict == "dropped":
            reply.outbox = None
            self._keeper.keep(reply)
            self._session.post(Noticed("Given up: the text is a draft again; perhaps the reply did arrive", "warning"))
        await self.deliver()
        self._session.post(ReplyChanged(reply.key))

    async def undo_entry(self, entry: OutboxEntry) -> bool:
        """Cancel one approved reply; its text stays as a draft."""
        cancelled = await self._session.attempt(lambda _: self._session.desk.undo(entry.id))
        await self.look()
        return bool(cancelled)

    async def finished(self) -> None:
        """Wait until nothing is being handed over."""
        while self._busy:
            await asyncio.sleep(0.05)

    async def send_now(self) -> None:
        """End every undo time, and send."""
        for entry in self.pending:
            await self._reschedule(entry, 0.0)
        await self.deliver()

    async def _take_back(self, step: _Step) -> bool:
        entry = next((one for one in self.entries if one.id == step.outbox_id), None)
        done = bool(entry) and await self.undo_entry(entry)  # type: ignore[arg-type]
        if done:
            step.reply.outbox = None
            self._session.board.put(step.reply)
            self._keeper.keep(step.reply)
            self._session.post(BoardChanged())
            self._session.post(Noticed("Taken back: nothing was sent"))
        else:
            self._session.post(Noticed("Too late: it is on its way or sent already", "warning"))
        return done

    async def _unskip(self, reply: Reply) -> bool:
        done = await self._mark_skipped(reply, False)
        if done:
            self._session.board.put(reply)
            self._session.post(BoardChanged())
            self._session.post(Noticed(f"Back on the list: {named(reply.waiting.correspondent)}"))
        return done

    async def _mark_skipped(self, reply: Reply, skipped: bool) -> bool:
        item, desk = reply.waiting, self._session.desk

        def work(_: object) -> bool:
            desk.skip(item.account, item.conversation, item.message_id, skipped)
            return True

        return bool(await self._session.attempt(work))

    async def _reschedule(self, entry: OutboxEntry, seconds: float) -> None:
        await self._session.attempt(lambda _: self._session.desk.reschedule(entry.id, seconds))

    def _tell(self, reply: Reply, before: dict[int, str]) -> None:
        """Say how it ended, once."""
        entry = reply.outbox
        if entry is None or before.get(entry.id) == entry.state:
            return
        to = entry.recipients[0] if entry.recipients else named(reply.waiting.correspondent)
        if entry.state in GONE_OUT:
            if before.get(entry.id) not in GONE_OUT:
                self._session.post(Noticed(f"Sent to {to}"))
            if reply.editing:  # here, while another window sent it: what is typed must not become commands
                reply.gone = True
            else:
                self._session.board.remove(reply.key)
            self._session.post(BoardChanged())
        elif entry.state == "refused":
            self._session.post(Noticed(f"Not sent to {to}. {entry.error}", "error"))
        elif entry.state == "unknown":
            self._session.post(Noticed(f"Nobody can tell whether this reached {to}. {entry.error}", "error"))
