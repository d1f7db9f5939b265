"""The line at the bottom that says which model wrote, what it cost, and whether the mailbox can be reached."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from mailassist.review.phrases import joined, line, money, shown
from mailassist.review.reply import Figures
from mailassist.worklist import Spending


class StatusBar(Horizontal):
    """Connection at the left, figures at the right."""

    def compose(self) -> ComposeResult:
        """Two texts."""
        yield Static("", id="connection", markup=False)
        yield Static("", id="figures", markup=False)

    def show_connection(self, states: list[tuple[str, bool]]) -> None:
        """`states`: of each account the text and whether it can be reached."""
        parts: list[Content] = []
        for text, ok in states:
            sign = Content.styled("● ", "$text-success") if ok else Content.styled("○ ", "$text-warning")
            parts += [sign, line(text, "" if ok else "$text-warning"), Content("  ")]
        self.query_one("#connection", Static).update(joined(*parts))

    def show_figures(self, model: str, figures: Figures | None, spending: Spending) -> None:
        """`model`: who would write; `figures`: of the draft that is shown."""
        name = (figures.model if figures else "") or model
        parts = [line(name, "bold")]
        if figures and (figures.input or figures.output):
            cached = f" ({figures.cached:,} cached)" if figures.cached else ","
            parts.append(shown(f" · {figures.input:,} in{cached} {figures.output:,} out · {money(figures.cost)}"))
        narrow = self.size.width < 100
        limit = f" of {money(spending.budget)}" if spending.budget is not None and not narrow else ""
        parts.append(shown(f" · today {money(spending.cost)}{limit}", "$text-muted"))
        self.query_one("#figures", Static).update(joined(*parts))
