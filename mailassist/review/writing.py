"""Reading one conversation and having its reply written."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

from mailassist.errors import MailassistError
from mailassist.review.calls import Stopped
from mailassist.review.keeping import Keeper
from mailassist.review.messages import Noticed, ReplyChanged, SpendingChanged
from mailassist.review.reply import Key, Reply
from mailassist.review.session import Session, unexpected

if TYPE_CHECKING:
    from mailassist.drafting.pipeline import Draft
    from mailassist.intake.pull import Pulled
    from mailassist.mail.recipients import ReplyPlan

PATIENCE = 1.5  # seconds in which a call that was stopped may end by itself


class Writing:
    """Loads conversations and runs the calls that write."""

    def __init__(self, session: Session, keeper: Keeper) -> None:
        """Nothing is read or written yet."""
        self._session = session
        self._keeper = keeper
        self._stops: dict[Key, threading.Event] = {}

    async def load(self, reply: Reply) -> bool:
        """Pull the conversation and plan both kinds of reply; whether it is there now. Failures are told."""
        if reply.pulled is not None:
            return True
        item, desk = reply.waiting, self._session.desk

        def work(_: Stopped) -> tuple[Pulled, dict[bool, ReplyPlan]]:
            pulled = desk.pull(item.account, item.message_id)
            return pulled, {choice: desk.plan(item.account, pulled, choice) for choice in (False, True)}

        found = await self._session.attempt(work)
        if found is None or reply.waiting.message_id != item.message_id:
            return False
        reply.pulled, reply.plans = found
        self._session.post(ReplyChanged(reply.key))
        return True

    def write(self, reply: Reply, instruction: str = "") -> None:
        """Have the reply written (again); `instruction` revises the text there is."""
        if not reply.writing and not reply.on_its_way:
            reply.writing = True
            self._session.start(partial(self._write, reply, instruction), group=f"write-{reply.key}")

    def stop(self, reply: Reply) -> None:
        """Stop a call; what has come in stays, marked as not whole."""
        if reply.key in self._stops:
            self._stops[reply.key].set()

    def stop_all(self) -> None:
        """Stop every call."""
        for stop in self._stops.values():
            stop.set()

    async def _write(self, reply: Reply, instruction: str) -> None:
        pulled = reply.pulled if await self.load(reply) and await self._all_saved() else None
        if pulled is None:
            reply.writing = False
            self._session.post(ReplyChanged(reply.key))
            return
        previous = reply.text if instruction else ""
        reply.begin_writing()
        self._session.post(ReplyChanged(reply.key))
        try:
            await self._call(reply, pulled, instruction, previous)
            await self._look_up(reply)
        finally:
            reply.writing = False
            self._stops.pop(reply.key, None)
            self._session.post(ReplyChanged(reply.key))
            self._session.post(SpendingChanged())

    async def _all_saved(self) -> bool:
        """Save what waits; a draft must not push out a text that is not saved. Failures are told."""
        problem = await self._keeper.flush()
        if problem:
            self._session.post(Noticed(problem, "error"))
        return not problem

    async def _call(self, reply: Reply, pulled: Pulled, instruction: str, previous: str) -> None:
        """One call to the desk's writer, with every way in which it can end."""
        desk, account, pieces = self._session.desk, reply.waiting.account, reply.pieces
        reply_all = reply.reply_all
        stop = self._stops[reply.key] = threading.Event()

        def work(stopped: Stopped) -> Draft:
            return desk.draft(
                account,
                pulled,
                instruction=instruction,
                previous=previous,
                reply_all=reply_all,
                on_text=pieces.append,
                stopped=lambda: stop.is_set() or stopped(),
            )

        task = asyncio.ensure_future(self._session.calls.run(work))
        try:
            while not task.done() and not stop.is_set():
                await asyncio.wait([task], timeout=0.1)
            await asyncio.wait([task], timeout=PATIENCE if stop.is_set() else None)
            if not task.done():
                self._give_up(reply, "The draft was stopped.")  # it does not answer: go on without it
                self._session.start(partial(self._outlast, reply, task), group=f"outlast-{reply.key}")
                return
            reply.take(task.result())
        except MailassistError as error:
            self._give_up(reply, str(error))
            self._session.post(Noticed(str(error), "error"))
        except asyncio.CancelledError:
            task.cancel()
            raise
        except Exception as error:  # noqa: BLE001  (a bug; the text that came in stays)
            self._give_up(reply, unexpected(error))
            self._session.post(Noticed(unexpected(error), "error"))

    def _give_up(self, reply: Reply, problem: str) -> None:
        """The call brought nothing: what has come in is kept, else the text from before comes back."""
        reply.give_up(problem)
        if reply.text and reply.written_by == "model":
            self._keeper.keep(reply)

    async def _look_up(self, reply: Reply) -> None:
        """Which version of the text is saved now."""
        message_id = reply.waiting.message_id
        saved = await self._keeper.saved(reply)
        if saved is not None and reply.waiting.message_id == message_id:
            reply.version = saved.version
            if reply.reply_all and reply.text:
                self._keeper.keep(reply)

    async def _outlast(self, reply: Reply, task: asyncio.Task[Draft]) -> None:
        """A call that was given up ends after all, and has saved its text: what is on the screen counts."""
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        if reply.text and not reply.writing:
            await self._look_up(reply)
            self._keeper.keep(reply)
