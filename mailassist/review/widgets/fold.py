"""A line that a click unfolds."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Fold(Static):
    """One line that stands for something longer."""

    ALLOW_SELECT = False

    class Clicked(Message):
        """The line was clicked."""

        def __init__(self, fold: Fold) -> None:
            """`fold`: which line."""
            super().__init__()
            self.fold = fold

        @property
        def control(self) -> Fold:
            """The line, for selectors of `@on`."""
            return self.fold

    def __init__(self, text: Content, *, classes: str = "") -> None:
        """`text`: what stands on the line."""
        super().__init__(text, markup=False, classes=classes)

    def on_click(self, event: events.Click) -> None:
        """Tell it on."""
        event.stop()
        self.post_message(self.Clicked(self))
