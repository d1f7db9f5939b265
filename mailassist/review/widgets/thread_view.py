"""The conversation in the middle: the newest message open, older ones folded to a line each."""

from __future__ import annotations

import asyncio
from datetime import tzinfo
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from mailassist.review.phrases import counted, line, shown
from mailassist.review.widgets.fold import Fold
from mailassist.review.widgets.message_view import MessageView

if TYPE_CHECKING:
    from mailassist.mail.threads import Conversation

LINES = 40  # older messages that have a line each; those before them share one


class ThreadView(VerticalScroll):
    """Messages oldest to newest, scrolled to the newest."""

    def __init__(self, *, id: str) -> None:
        """Nothing to show yet."""
        super().__init__(id=id)
        self._conversation: Conversation | None = None
        self.whole = False

    async def say(self, text: str) -> None:
        """A sentence in place of a conversation."""
        self._conversation = None
        await self._fill([Static(line(text), markup=False, classes="empty")])

    async def show(self, conversation: Conversation, answered: str, *, now: float, zone: tzinfo | None) -> None:
        """A conversation, with the message that is answered (`answered`: its id) and all after it open."""
        self._conversation, self.whole = conversation, False
        entries = conversation.entries
        ids = [entry.message.message_id for entry in entries]
        first_open = ids.index(answered) if answered in ids else len(ids) - 1
        views: list[Widget] = [
            MessageView(entry, now=now, zone=zone, open=index >= first_open) for index, entry in enumerate(entries)
        ]
        hidden = views[: max(0, first_open - LINES)]
        for view in hidden:
            view.display = False
        if hidden:
            fold = Fold(shown(f"▸ {counted(len(hidden), 'older message')}", "$text-muted"), classes="older")
            views.insert(0, fold)
        await self._fill(views, at=views[-len(ids) + first_open])

    def toggle_whole(self) -> bool:
        """Open every message with its quoted text, or fold all but the newest again; returns whether all is open."""
        if self._conversation is None:
            return False
        self.whole = not self.whole
        views = list(self.query(MessageView))
        for view in views:
            view.unfolded = self.whole
            view.open = self.whole or view is views[-1]
        if self.whole:
            self._show_older()
        self.call_after_refresh(self.scroll_to_widget, views[-1], animate=False, top=True)
        return self.whole

    def on_fold_clicked(self, event: Fold.Clicked) -> None:
        """The line that stands for the oldest messages was clicked."""
        event.stop()
        self._show_older()

    def _show_older(self) -> None:
        self.query(".older").remove()
        for view in self.query(MessageView):
            view.display = True

    async def _fill(self, widgets: list[Widget], *, at: Widget | None = None) -> None:
        """Put `widgets` in place of what is shown, scrolled to `at` or the start.

        Who waits for it may be cancelled, the work goes on: cancelling a wait for `remove_children` cancels the
        message loops of the widgets that leave. They would stay half removed, and the program end with a traceback.
        """
        await asyncio.shield(self._replace(widgets, at))

    async def _replace(self, widgets: list[Widget], at: Widget | None) -> None:
        async with self.batch():
            await self.remove_children()
            await self.mount_all(widgets)
        self.scroll_home(animate=False)
        if at is not None:
            self.call_after_refresh(self.scroll_to_widget, at, animate=False, top=True)
