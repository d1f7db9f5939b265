"""The person's decisions: approve, skip, take back, leave; each asks once where something speaks against it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from mailassist.errors import MailassistError
from mailassist.mail.recipients import ReplyPlan, confirmed
from mailassist.review.keeping import Keeper
from mailassist.review.messages import Noticed, ReplyChanged, Severity
from mailassist.review.outgoing import Outgoing
from mailassist.review.reply import Reply
from mailassist.review.screens import questions
from mailassist.review.screens.confirm import ConfirmScreen
from mailassist.review.session import Session
from mailassist.review.writing import Writing
from mailassist.worklist import Mode, Verdict

Ask = Callable[[ConfirmScreen], Awaitable[str]]


class Decisions:
    """What happens between a key and the desk."""

    def __init__(self, session: Session, keeper: Keeper, writing: Writing, outgoing: Outgoing, ask: Ask) -> None:
        """`ask` shows a question and gives its answer, "" for none."""
        self._session, self._keeper = session, keeper
        self._writing, self._outgoing, self._ask = writing, outgoing, ask

    async def approve(self, reply: Reply, mode: Mode) -> bool:
        """Approve a reply; True when it is on its way. Nothing leaves that was not shown."""
        refusal = _refusal(reply)
        if refusal:
            self._say(refusal, "warning")
            return False
        if not await self._writing.load(reply) or reply.plan is None:
            return False
        text = reply.text
        plan = await self._agreed(reply, reply.plan, mode)
        if plan is None or reply.text != text or _refusal(reply):
            return False
        problem = await self._keeper.flush()
        if problem:
            self._say(problem, "error")
            return False
        if await self._changed_elsewhere(reply):
            self._say("Another window has changed this reply: here is what it wrote", "warning")
            return False
        approved = await self._outgoing.approve(reply, plan, mode)
        if approved is not None and approved.theirs:
            wanted = await self._ask(questions.ask_new_draft(approved.said)) == "yes"
            if not wanted or reply.text != text or _refusal(reply):
                return False
            approved = await self._outgoing.approve(reply, plan, mode, anew=True)
        return approved is not None

    async def _changed_elsewhere(self, reply: Reply) -> bool:
        """Whether another window has saved a newer text, which is shown then: what it has replaced must not leave."""
        saved = await self._keeper.saved(reply)
        if saved is None or saved.version <= reply.version or saved.text == reply.text:
            return False
        reply.remember(saved)
        self._session.post(ReplyChanged(reply.key))
        return True

    async def may_overwrite(self, reply: Reply) -> bool:
        """Whether a new draft may take the place of the person's own text."""
        return not reply.edited or await self._ask(questions.ask_regeneration()) == "yes"

    async def may_leave(self) -> bool:
        """Before the program ends: texts are saved, and it is settled what becomes of replies on their way."""
        self._writing.stop_all()
        problem = await self._keeper.flush()
        if problem and await self._ask(questions.ask_after_failed_save(problem)) != "quit":
            return False
        await self._outgoing.look()
        while self._outgoing.pending or self._outgoing.sending:
            fresh = [entry for entry in self._outgoing.pending if not entry.error]
            if not fresh and not self._outgoing.sending:
                break
            answer = await self._ask(questions.ask_before_leaving(fresh, self._outgoing.sending))
            if answer in ("keep", "quit"):
                break
            if not await self._settle(answer):
                return False
        return True

    async def _settle(self, answer: str) -> bool:
        """Do what was answered about the replies on their way; False: stay."""
        if answer == "undo":
            for entry in self._outgoing.pending:
                await self._outgoing.undo_entry(entry)
        elif answer == "send":
            self._say("Sending …")
            await self._outgoing.send_now()
        elif answer == "wait":
            await self._outgoing.finished()
        else:
            return False
        return True

    async def _agreed(self, reply: Reply, plan: ReplyPlan, mode: Mode) -> ReplyPlan | None:
        """The plan that the person stands behind; None: not approved."""
        try:
            if not plan.to:
                answer = await self._ask(questions.ask_recipient(plan))
                return confirmed(plan, [plan.candidates[int(answer)]]) if answer else None
            reasons = questions.doubts(reply, plan)
            if reasons and await self._ask(questions.ask_approval(plan, reasons, mode)) != "yes":
                return None
            return confirmed(plan) if plan.needs_confirmation else plan
        except MailassistError as error:
            self._say(str(error), "error")
            return None

    async def settle(self, reply: Reply) -> None:
        """Ask what became of a reply that was perhaps sent, and act on the answer."""
        if reply.outbox is None:
            return
        answer = await self._ask(questions.ask_whether_it_arrived(reply.outbox))
        if answer:
            await self._outgoing.settle(reply, cast(Verdict, answer))

    def _say(self, text: str, severity: Severity = "information") -> None:
        self._session.post(Noticed(text, severity))


def _refusal(reply: Reply) -> str:
    """Why a reply cannot be approved as it stands; "" where it can."""
    if reply.writing:
        return "The draft is still being written: wait for its end, or stop it with Esc"
    if reply.on_its_way:
        return reply.on_its_way_words
    if not reply.text.strip():
        return "There is no text yet: Enter writes a draft, e lets you write it yourself"
    return ""
