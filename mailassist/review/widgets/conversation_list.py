"""The conversations that wait, at the left."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.events import Click
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from mailassist.review.messages import ConversationChosen, ConversationHighlighted
from mailassist.review.reply import Key, Reply
from mailassist.review.widgets.row import Row


class ConversationList(OptionList):
    """A list whose cursor stays on its conversation whatever comes and goes around it."""

    def __init__(self, *, id: str) -> None:
        """An empty list."""
        super().__init__(id=id, markup=False)
        self._keys: list[Key] = []
        self._filling = False

    @property
    def cursor(self) -> Key | None:
        """The conversation under the cursor."""
        index = self.highlighted
        return self._keys[index] if index is not None and index < len(self._keys) else None

    def show(self, replies: Sequence[Reply], now: float, *, with_account: bool, with_reason: bool = False) -> None:
        """Fill the list; cursor and scroll position stay where they were."""
        keys = [reply.key for reply in replies]
        rows = [Row(reply, now, with_account=with_account, with_reason=with_reason) for reply in replies]
        if keys == self._keys:
            for index, row in enumerate(rows):
                self.replace_option_prompt_at_index(index, row)
            return
        before, place, top = self.cursor, self.highlighted, self.scroll_y
        self._keys = keys
        self._filling = True
        self.set_options(Option(row) for row in rows)
        if keys:
            self.highlighted = keys.index(before) if before in keys else min(place or 0, len(keys) - 1)
            if before in keys:
                self.scroll_to(y=top, animate=False)
        self._filling = False
        if self.cursor is not None and self.cursor != before:
            self.post_message(ConversationHighlighted(self.cursor))

    def move_to(self, key: Key) -> None:
        """Put the cursor on a conversation."""
        if key in self._keys:
            self.highlighted = self._keys.index(key)

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.cursor is not None and not self._filling and event.option_index == self.highlighted:
            self.post_message(ConversationHighlighted(self.cursor))

    def on_click(self, event: Click) -> None:
        """One click shows a conversation; only the second one has a draft written: that costs, and text leaves."""
        index = event.style.meta.get("option")
        if index is None or index >= len(self._keys):
            return
        event.prevent_default()
        event.stop()
        self.highlighted = index
        self.post_message(ConversationChosen(self._keys[index], write=event.chain > 1))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self._keys):
            self.post_message(ConversationChosen(self._keys[event.option_index]))
