"""The line at the bottom in which a search or an instruction is typed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from mailassist.mail.safe_text import SafeText
from mailassist.review.messages import Answered, Dismissed, Question

_LABELS: dict[Question, tuple[str, str]] = {
    "instruct": ("Instruct", "shorter; say no politely   (Enter writes the draft again, Esc leaves it)"),
    "note": ("Note", "for colleagues only; no model sees it   (Enter keeps it, Esc leaves it)"),
    "hand over": ("Hand over to", "name: what they should know   (Enter hands it over, Esc keeps it)"),
    "discard": ("No reply, because", "a newsletter; answered by phone   (Enter takes it off the list, Esc keeps it)"),
    "search": ("Search", "name, address or subject   (Enter keeps the list, Esc shows all)"),
}


class SafeInput(Input):
    """An input line that holds safe text only, also when something else is pasted into it."""

    def validate_value(self, value: str) -> str:
        """Every change of the text passes here."""
        return SafeText(value).line() if value != SafeText(value) else value


class AskLine(Horizontal):
    """Takes no room while nothing is asked."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel", show=False, priority=True)]

    def __init__(self, *, id: str) -> None:
        """Nothing is asked."""
        super().__init__(id=id)
        self._question: Question = "search"

    def compose(self) -> ComposeResult:
        """What is asked, and where to type."""
        yield Label("", id="ask-label", markup=False)
        yield SafeInput(id="ask-input", compact=True)

    @property
    def asking(self) -> bool:
        """Whether a question stands open."""
        return self.has_class("-shown")

    def ask(self, question: Question, value: str = "") -> None:
        """Open the line with `value` in it."""
        self._question = question
        label, placeholder = _LABELS[question]
        self.query_one(Label).update(label)
        field = self.query_one(Input)
        field.placeholder = placeholder
        with field.prevent(Input.Changed):
            field.value = value
        self.add_class("-shown")
        self.screen.set_focus(field)

    def close(self) -> None:
        """Take the line away."""
        self.remove_class("-shown")

    def action_dismiss(self) -> None:
        """Leave without an answer."""
        self.close()
        self.post_message(Dismissed(self._question))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(Answered(self._question, event.value, final=False))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(Answered(self._question, event.value, final=True))
