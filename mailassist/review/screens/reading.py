"""A page of text over the main screen: the keys, what the model would see, or what leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from mailassist.review.phrases import line, shown

PIECE = 3_000  # characters that are laid out at once: more would hold up the keys
_BREATH = 1 / 60  # seconds between two pieces


class Part(NamedTuple):
    """A piece of a page: a heading, "" for none, and what stands below it, one below the other."""

    heading: str
    texts: Sequence[Content]


View = tuple[str, Sequence[Part]]  # the title of a page and what stands on it


def pieces(text: str) -> list[Content]:
    """A text of any length in pieces of whole lines; a line is cut only where it is longer than a piece."""
    found = []
    while len(text) > PIECE:
        cut = text.rfind("\n", 0, PIECE)
        cut = cut if cut >= 0 else PIECE - 1
        found.append(shown(text[: cut + 1].removesuffix("\n")))
        text = text[cut + 1 :]
    return [*found, shown(text)]


def gathered(texts: Iterable[Content]) -> list[Content]:
    """Short texts one below the other, in as few pieces as there must be."""
    found: list[Content] = []
    waiting: list[Content] = []
    size = 0
    for text in texts:
        if waiting and size + len(text) > PIECE:
            found.append(Content("\n").join(waiting))
            waiting, size = [], 0
        waiting.append(text)
        size += len(text)
    return [*found, Content("\n").join(waiting)]


class ReadingScreen(ModalScreen[None]):
    """Shows parts of text one below the other until a key takes it away; a second view of the same on another key."""

    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-broad")]  # noqa: RUF012  (as Textual declares it)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,p,v", "close", "Close", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
        Binding("space", "page", show=False),
        Binding("x", "switch", show=False),
    ]

    def __init__(self, *views: View) -> None:
        """`views`: one, or two of the same thing."""
        super().__init__()
        self._views = views
        self._seen = 0  # which of them
        self._filled: set[int] = set()

    def compose(self) -> ComposeResult:
        """A large box."""
        with VerticalGroup(id="page"):
            yield Static(line(self._views[0][0], "bold"), markup=False, id="page-title")
            for number in range(len(self._views)):
                scroll = VerticalScroll(classes="page-text")
                scroll.display = number == 0
                yield scroll
            yield Static(line(self._foot(), "$text-muted"), markup=False, id="page-foot")

    def on_mount(self) -> None:
        """Keys scroll the text."""
        self._show_view()

    @property
    def _text(self) -> VerticalScroll:
        return list(self.query(".page-text").results(VerticalScroll))[self._seen]

    def _foot(self) -> str:
        """The keys; the other view is named by its title."""
        switch = f"x {self._views[1 - self._seen][0].lower()} · " if len(self._views) > 1 else ""
        return f"{switch}Esc closes · j k space scroll"

    def action_switch(self) -> None:
        """The other view, where it was left."""
        if len(self._views) < 2:
            return
        self._text.display = False
        self._seen = 1 - self._seen
        self._text.display = True
        self.query_one("#page-title", Static).update(line(self._views[self._seen][0], "bold"))
        self.query_one("#page-foot", Static).update(line(self._foot(), "$text-muted"))
        self._show_view()

    def _show_view(self) -> None:
        self.set_focus(self._text)
        if self._seen not in self._filled:
            self._filled.add(self._seen)
            self.run_worker(self._fill(self._text, self._views[self._seen][1]), exit_on_error=True)

    async def _fill(self, scroll: VerticalScroll, parts: Sequence[Part]) -> None:
        """Lay out the text piece by piece, so that a long one does not hold up the keys."""
        waiting: list[Static] = []
        size = 0
        for widget, length in _widgets(parts):
            waiting.append(widget)
            size += length
            if size >= PIECE:
                await scroll.mount_all(waiting)
                await asyncio.sleep(_BREATH)
                waiting, size = [], 0
        await scroll.mount_all(waiting)

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)

    def action_down(self) -> None:
        """One line down."""
        self._text.scroll_down(animate=False)

    def action_up(self) -> None:
        """One line up."""
        self._text.scroll_up(animate=False)

    def action_page(self) -> None:
        """One page down."""
        self._text.scroll_page_down(animate=False)


def _widgets(parts: Sequence[Part]) -> Iterator[tuple[Static, int]]:
    """What stands on a page, and how many characters it has."""
    for heading, texts in parts:
        if heading:
            yield Static(line(heading, "bold $text-accent"), markup=False, classes="heading"), len(heading)
        for number, text in enumerate(texts, 1):
            classes = "part" if number == len(texts) else "piece"
            yield Static(text, markup=False, classes=classes), len(text)
