"""The terminal UI as a program: themes, quitting, and what every screen can do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input, TextArea

from mailassist.review.screens.pages import help_page
from mailassist.review.screens.reading import ReadingScreen
from mailassist.review.screens.review import ReviewScreen
from mailassist.review.screens.team import TeamScreen
from mailassist.review.themes import DARK, LIGHT, palettes, preferred
from mailassist.worklist import ReviewDesk

GRACE = 1.0  # seconds that calls get to end by themselves when the program quits


class ReviewApp(App[None]):
    """Read, edit and approve drafts."""

    TITLE = "mailassist"
    CSS_PATH = "style.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit", show=False),
        Binding("question_mark", "help", "Help", show=False),
        Binding("T", "toggle_theme", "Colours", show=False),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+c", "quit", "Quit", show=False),
    ]

    def __init__(
        self, desk: ReviewDesk, *, now: Callable[[], float] = time.time, zone: tzinfo | None = None, theme: str = ""
    ) -> None:
        """`desk`: everything that blocks; `now`, `zone`: clock and time zone of the dates shown; `theme`: a palette."""
        super().__init__()
        for palette in palettes(os.environ):
            self.register_theme(palette)
        self.theme = theme or preferred(os.environ)
        screen = ReviewScreen if desk.team is None else TeamScreen
        self.main = screen(desk, now=now, zone=zone)
        self._leaving = False

    def get_default_screen(self) -> Screen[None]:
        """The main screen is there from the start."""
        return self.main

    def on_mount(self) -> None:
        """A closed terminal or a termination ends the program as `q` does, with everything saved."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                try:
                    loop.add_signal_handler(getattr(signal, name), self._end_at_once)
                except (NotImplementedError, RuntimeError, ValueError):
                    pass  # not on this platform, or not the main thread

    def on_key(self, event: Key) -> None:
        """A key that was on its way while an editor or a question opened belongs to what is typed there.

        Whoever has the focus takes such keys before they come here; a command they must never become.
        """
        focused = self.focused
        meant = event.is_printable or event.key == "enter"
        if (meant and isinstance(focused, TextArea)) or (event.is_printable and isinstance(focused, Input)):
            event.prevent_default()
            focused.post_message(Key(event.key, event.character))

    async def action_quit(self) -> None:
        """Leave, after what was typed is saved and it is settled what becomes of replies on their way."""
        if self.screen is not self.main:
            if not isinstance(self.screen, ReadingScreen) and self._leaving:
                return
            self.pop_screen()
        if not self._leaving:
            self._leaving = True
            self.main.start(self._leave, group="leave")

    async def _leave(self) -> None:
        try:
            if await self.main.decisions.may_leave():
                await self.main.leaving()
                self.exit()
        finally:
            self._leaving = False

    def _end_at_once(self) -> None:
        """Save, then end; approved replies stay in the outbox."""
        self.main.start(self._save_and_end, group="leave")

    async def _save_and_end(self) -> None:
        await self.main.keeper.flush()
        await self.main.leaving()
        self.exit()

    def action_help(self) -> None:
        """Every key."""
        self.push_screen(help_page(team=isinstance(self.main, TeamScreen)))

    def action_toggle_theme(self) -> None:
        """Dark or light colours."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette (ctrl+p) offers."""
        yield SystemCommand("Keys", "Every key on one page", self.action_help)
        yield SystemCommand("Colours", "Dark or light", self.action_toggle_theme)
        yield SystemCommand("Sync", "Look for new mail now", self.main.action_sync_now)
        yield SystemCommand("Quit", "Leave; nothing is lost", self.action_quit)


def review(desk: ReviewDesk) -> None:
    """Run the UI until the person leaves. Calls that do not end in time are left behind; they never hold the exit."""
    app = ReviewApp(desk)
    app.run()
    app.main.session.calls.end(GRACE)
