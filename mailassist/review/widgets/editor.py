"""Editing a draft in place."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from mailassist.review.messages import EditingEnded, TextEdited
from mailassist.review.reply import draft_text


class Editor(TextArea):
    """A text area that holds safe text only, also when something else is pasted into it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "end_editing", "Done", show=True, priority=True),
        Binding("ctrl+s", "end_editing", "Done", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """An empty editor."""
        super().__init__("", id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="indent", compact=True)
        self.highlight_cursor_line = False

    def begin(self, text: str) -> None:
        """Put `text` in, with the cursor at its beginning."""
        with self.prevent(TextArea.Changed):
            self.load_text(draft_text(text))

    def edit(self, edit: Edit) -> EditResult:
        """Every change of the text passes here: what is put in is made safe first."""
        edit.text = draft_text(edit.text)
        return super().edit(edit)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell the screen, which keeps the text."""
        event.stop()
        self.post_message(TextEdited(self.text))

    def action_copy(self) -> None:
        """Copy what is selected; ctrl+c with nothing selected must not leave the program in mid-sentence."""
        if self.selected_text:
            super().action_copy()

    def action_end_editing(self) -> None:
        """Back to reading."""
        self.post_message(EditingEnded())
