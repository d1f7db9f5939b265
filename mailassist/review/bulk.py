"""Approving many replies at once: as many as the team allows, one after the other, and each reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailassist.errors import MailassistError
from mailassist.review.keeping import Keeper
from mailassist.review.messages import ReplyChanged
from mailassist.review.outgoing import Outgoing
from mailassist.review.reply import Reply
from mailassist.review.screens.questions import doubts
from mailassist.review.session import Session
from mailassist.review.writing import Writing

Outcome = tuple[Reply, str]  # "" where it is on its way, else why it is held


class Bulk:
    """Approves what needs no second look; everything else is held, with the reason."""

    def __init__(self, session: Session, keeper: Keeper, writing: Writing, outgoing: Outgoing) -> None:
        """Nothing is approved yet."""
        self._session, self._keeper = session, keeper
        self._writing, self._outgoing = writing, outgoing

    async def approve(self, replies: Sequence[Reply], progress: Callable[[int], object]) -> list[Outcome]:
        """Each of `replies`, or why not; `progress` hears how many are through."""
        problem = await self._keeper.flush()
        outcomes: list[Outcome] = []
        for reply in replies:
            outcomes.append((reply, problem or await self._one(reply)))
            reply.problem = outcomes[-1][1]
            reply.selected = bool(reply.problem)
            self._session.post(ReplyChanged(reply.key))
            progress(len(outcomes))
        await self._outgoing.look()
        return outcomes

    async def _one(self, reply: Reply) -> str:
        """Why the reply is held; "" where it is on its way."""
        held = _held(reply)
        if held:
            return held
        if not await self._writing.load(reply) or reply.pulled is None or reply.plan is None:
            return "the conversation could not be read"
        plan, pulled, text, account = reply.plan, reply.pulled, reply.text, reply.waiting.account
        reasons = doubts(reply, plan)
        if reasons or not plan.to:
            return reasons[0] if reasons else "its recipient has to be chosen"
        desk = self._session.desk
        try:
            await self._session.calls.run(lambda _: desk.approve(account, pulled, plan, text, "send"))
        except MailassistError as error:
            return str(error)
        return ""


def _held(reply: Reply) -> str:
    if reply.held_by:
        return f"{reply.held_by} is replying"
    if reply.on_its_way:
        return reply.on_its_way_words
    if reply.writing or reply.editing:
        return "it is being written"
    return "" if reply.text.strip() else "there is no text"
