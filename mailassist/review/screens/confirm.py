"""A question over the main screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from mailassist.review.phrases import joined, line


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: its key, its words, and what it stands for."""

    key: str
    words: str
    answer: str


class ConfirmScreen(ModalScreen[str]):
    """Asks once, clearly; gives the chosen answer, or "" when the person steps back (Esc).

    The last choice has the focus at first: it is the one that does nothing.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-broad")]  # noqa: RUF012  (as Textual declares it)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "step_back", "Back", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], choices: Sequence[Choice]) -> None:
        """`title`: the question; `lines`: what the person should weigh."""
        super().__init__()
        self._title, self._lines, self._choices = title, lines, choices

    def compose(self) -> ComposeResult:
        """A box in the middle."""
        with VerticalGroup(id="dialog"):
            yield Static(line(self._title, "bold"), markup=False, id="dialog-title")
            with VerticalScroll(id="dialog-lines", can_focus=False):
                for text in self._lines:
                    yield Static(line(text), markup=False)
            with VerticalGroup(id="dialog-choices"):
                for index, choice in enumerate(self._choices):
                    label = joined(line(choice.key, "bold underline"), Content(" "), line(choice.words))
                    yield Button(label, id=f"choice-{index}", compact=True)

    def on_mount(self) -> None:
        """The harmless choice has the focus."""
        self.set_focus(self.query(Button).last())

    def on_key(self, event: Key) -> None:
        """The key of a choice chooses it."""
        for choice in self._choices:
            if event.character == choice.key:
                event.stop()
                self.dismiss(choice.answer)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(self._choices[int((event.button.id or "choice-0").removeprefix("choice-"))].answer)

    def action_step_back(self) -> None:
        """No answer."""
        self.dismiss("")
