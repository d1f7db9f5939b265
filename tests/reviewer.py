"""A person at the keyboard of the terminal UI, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC

from sample_desk import SampleDesk
from textual.pilot import Pilot, WaitForScreenTimeout
from textual.widgets import Static

from mailassist.review.app import ReviewApp
from mailassist.review.screens.confirm import ConfirmScreen
from mailassist.review.widgets.message_view import MessageView
from mailassist.review.widgets.notice_bar import NoticeBar
from mailassist.review.widgets.thread_view import ThreadView

_wait_for_screen = Pilot._wait_for_screen


async def _wait_shortly(pilot: Pilot[None], timeout: float = 2.0) -> bool:
    """Textual's pilot waits 30 s and fails where a widget was removed (a thread replaced) before it was counted."""
    try:
        return await _wait_for_screen(pilot, timeout)
    except WaitForScreenTimeout:
        return False


Pilot._wait_for_screen = _wait_shortly  # type: ignore[method-assign]

OFFER, LUNCH = "<offer-2@example.org>", "<lunch-0@example.org>"


class Reviewer:
    """A person at the keyboard."""

    def __init__(self, app: ReviewApp, pilot: Pilot[None], desk: SampleDesk) -> None:
        self.app, self.pilot, self.desk, self.main = app, pilot, desk, app.main

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        for _ in range(400):
            if condition():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"never: {what or condition.__code__.co_firstlineno}; notice: {self.notice!r}")

    async def opened(self) -> None:
        await self.until(lambda: (self.main.mailbox.listed and self.main.reply is None) or self.thread, "opened")

    async def drafted(self) -> None:
        await self.press("enter")
        await self.until(lambda: self.main.reply and self.main.reply.text and not self.main.reply.writing, "drafted")

    @property
    def text(self) -> str:
        return self.main.reply.text if self.main.reply else ""

    @property
    def subject(self) -> str:
        return self.main.reply.waiting.subject if self.main.reply else ""

    @property
    def notice(self) -> str:
        return self.main.query_one(NoticeBar).text

    @property
    def thread(self) -> list[MessageView]:
        return list(self.main.query_one(ThreadView).query(MessageView))

    @property
    def dialog(self) -> str:
        if not isinstance(self.app.screen, ConfirmScreen):
            return ""
        return "\n".join(str(part.content) for part in self.app.screen.query(Static))

    def shown(self, selector: str) -> str:
        return "\n".join(str(part.content) for part in self.main.query(selector).results(Static))


@contextlib.asynccontextmanager
async def reviewing(desk: SampleDesk | None = None, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Reviewer]:
    desk = desk or SampleDesk()
    app = ReviewApp(desk, now=desk.now, zone=UTC)
    async with app.run_test(size=size) as pilot:
        reviewer = Reviewer(app, pilot, desk)
        await reviewer.opened()
        yield reviewer
        for gate in desk.gates.values():
            gate.set()
