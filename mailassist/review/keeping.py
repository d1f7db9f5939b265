"""What a person typed is never lost: it is saved on every pause, in order, and before the program ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mailassist.errors import MailassistError
from mailassist.review.messages import Noticed, ReplyChanged
from mailassist.review.reply import Key, Reply
from mailassist.review.session import Session
from mailassist.worklist import Author, SavedDraft

PAUSE = 0.4  # seconds without a key press
RETRY = 5.0  # seconds until a text that could not be saved (disk full, store locked) is tried again


@dataclass(frozen=True, slots=True)
class _Text:
    """What is to be saved."""

    reply: Reply
    message_id: str
    conversation: str
    text: str
    written_by: Author
    complete: bool
    reply_all: bool
    apart: bool


class Keeper:
    """Saves texts, one after the other, so that an older one never overwrites a newer one."""

    def __init__(self, session: Session) -> None:
        """Nothing to save."""
        self._session = session
        self._texts: dict[Key, _Text] = {}
        self._turn = asyncio.Lock()

    def keep(self, reply: Reply, *, apart: bool = False) -> None:
        """Save the text of `reply` at the next pause; `apart`: it is another text than the one before."""
        item, waits = reply.waiting, self._texts.get(reply.key)
        reply.unsaved = True
        self._texts[reply.key] = _Text(
            reply,
            item.message_id,
            item.conversation,
            reply.text,
            reply.written_by,
            reply.complete,
            reply.reply_all,
            apart or (waits is not None and waits.apart),
        )
        self._session.start(self._after_pause, group="keep", exclusive=True)

    async def flush(self) -> str:
        """Save everything now; "" or, in one line, why that was not possible. What was not saved is tried again."""
        async with self._turn:
            while self._texts:
                key, text = next(iter(self._texts.items()))
                problem = await self._save(text)
                if problem:
                    return problem
                if self._texts.get(key) is text:
                    del self._texts[key]
                    text.reply.unsaved = False
                    self._session.post(ReplyChanged(key))
        return ""

    async def _after_pause(self) -> None:
        await asyncio.sleep(PAUSE)
        while problem := await asyncio.shield(asyncio.ensure_future(self.flush())):
            self._session.post(Noticed(f"Your text is not saved yet. {problem}", "error"))
            await asyncio.sleep(RETRY)

    async def _save(self, text: _Text) -> str:
        desk, reply = self._session.desk, text.reply
        account = reply.waiting.account
        base = reply.version if reply.waiting.message_id == text.message_id else None
        try:
            kept = await self._session.calls.run(
                lambda _: desk.save_text(
                    account,
                    text.message_id,
                    text.text,
                    written_by=text.written_by,
                    complete=text.complete,
                    conversation=text.conversation,
                    reply_all=text.reply_all,
                    base=base,
                    apart=text.apart,
                )
            )
        except MailassistError as error:
            return str(error)
        if reply.waiting.message_id == text.message_id:
            reply.version = kept.version
        if kept.overtaken:
            reply.others = True
            self._session.post(Noticed("Another window had changed this reply: z shows what it wrote", "warning"))
        return ""

    async def saved(self, reply: Reply) -> SavedDraft | None:
        """What the store holds for this reply; None where there is nothing, or (which is told) it cannot be read."""
        desk, item = self._session.desk, reply.waiting
        return await self._session.attempt(lambda _: desk.saved(item.account, item.message_id))
