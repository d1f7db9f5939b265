"""The keys that do something now, for the mouse too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widgets import Static

from mailassist.review.phrases import joined, line, shown


@dataclass(frozen=True, slots=True)
class Hint:
    """One key: how it is written, what it does in a word or two, and the action behind it."""

    key: str
    words: str
    action: str


class KeyBar(Static):
    """As many hints as fit, the first ones first; the last one (help) always."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str) -> None:
        """No hints yet."""
        super().__init__("", id=id, markup=False)
        self._hints: Sequence[Hint] = ()
        self._spans: list[tuple[int, int, Hint]] = []

    def show(self, hints: Sequence[Hint]) -> None:
        """Show these, in this order."""
        if hints != self._hints:
            self._hints = hints
            self._draw()

    def on_resize(self) -> None:
        """Fit them again."""
        self._draw()

    async def on_click(self, event: events.Click) -> None:
        """Do what the hint under the pointer says."""
        event.stop()
        position = event.get_content_offset_capture(self).x
        for start, end, hint in self._spans:
            if start <= position < end:
                await self.app.run_action(hint.action, default_namespace=self.screen)

    def _draw(self) -> None:
        chosen = _fitting(self._hints, self.content_size.width)
        parts: list[Content] = []
        self._spans, column = [], 0
        for hint in chosen:
            piece = joined(line(hint.key, "bold $text-accent"), shown(f" {hint.words}", "$text-muted"))
            self._spans.append((column, column + piece.cell_length, hint))
            parts += [piece, Content("  ")]
            column += piece.cell_length + 2
        self.update(joined(*parts))


def _fitting(hints: Sequence[Hint], width: int) -> list[Hint]:
    """The first hints that fit into `width` beside the last one."""
    if not hints:
        return []
    room = width - _width(hints[-1])
    chosen: list[Hint] = []
    for hint in hints[:-1]:
        room -= _width(hint) + 2
        if room < 0:
            break
        chosen.append(hint)
    return [*chosen, hints[-1]]


def _width(hint: Hint) -> int:
    return len(hint.key) + 1 + len(hint.words)
