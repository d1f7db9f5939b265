"""A page of text over the main screen: the keys, the exact prompt, or what leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from mailassist.review.phrases import line


class ReadingScreen(ModalScreen[None]):
    """Shows parts of text one below the other until a key takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,p,v", "close", "Close", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
        Binding("space", "page", show=False),
    ]

    def __init__(self, title: str, parts: Sequence[tuple[str, Content]]) -> None:
        """`parts`: of each its heading ("" for none) and its text."""
        super().__init__()
        self._title, self._parts = title, parts

    def compose(self) -> ComposeResult:
        """A large box."""
        with VerticalGroup(id="page"):
            yield Static(line(self._title, "bold"), markup=False, id="page-title")
            with VerticalScroll(id="page-text"):
                for heading, text in self._parts:
                    if heading:
                        yield Static(line(heading, "bold $text-accent"), markup=False, classes="heading")
                    yield Static(text, markup=False, classes="part")
            yield Static(line("Esc closes · j k space scroll", "$text-muted"), markup=False, id="page-foot")

    def on_mount(self) -> None:
        """Keys scroll the text."""
        self.set_focus(self.query_one("#page-text"))

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)

    def action_down(self) -> None:
        """One line down."""
        self.query_one("#page-text").scroll_down(animate=False)

    def action_up(self) -> None:
        """One line up."""
        self.query_one("#page-text").scroll_up(animate=False)

    def action_page(self) -> None:
        """One page down."""
        self.query_one("#page-text").scroll_page_down(animate=False)
