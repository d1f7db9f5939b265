"""Text from a walk over HTML: lines, paragraphs, lists, tables, links, quotes.

Each quote, list item and table cell is a frame of lines of its own, finished when its element is left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailassist.mail.html_tables import Cell, table_lines

_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "figure", "dl"})
_BLOCKS = frozenset({
    "div", "section", "article", "header", "footer", "main", "aside", "nav", "center", "form", "fieldset", "address",
    "body", "html", "dt", "dd", "tr", "tbody", "thead", "tfoot", "caption", "figcaption", "legend", "details",
    "summary", "option", "ul", "ol", "menu",
})  # fmt: skip
_SPACE = re.compile(r"[ \t\n\r\f\xa0\u2000-\u200a\u202f\u205f]+")
_RULE = re.compile(r"([-_=*~.·•–—])\1{40,}")  # a line that is only drawn
_LINE = "-" * 20
_LONGEST_LINK = 200
_DEEPEST_FRAME = 36
_DEEPEST_QUOTE = 8
_FRAMES = frozenset({"blockquote", "li", "table", "td", "th", "tr"})
_STRIKE = "~~"  # around what is crossed out, as in Markdown


@dataclass(slots=True)
class _Frame:
    """The lines of one element; the last piece of text is not a line yet."""

    tag: str
    lines: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    gap: bool = False  # an empty line before the next text
    cells: list[Cell] = field(default_factory=list)  # of a table row
    rows: list[list[Cell]] = field(default_factory=list)  # of a table
    columns: int = 1  # of a cell
    holds_table: bool = False
    number: int = 0  # of a list's items
    letters: bool = False  # a list counts with letters
    trailing_space: bool = True


class Writer:
    """Takes the events of a walk and gives the text."""

    def __init__(self) -> None:
        """Begin with an empty page."""
        self._frames = [_Frame("")]
        self._quotes = 0
        self._skipped = 0
        self._lists: list[_Frame] = []
        self.position = 0  # grows with every piece of text: tells where a link's text began
        self._pieces: list[str] = []

    def write(self, text: str, keeps_space: bool, struck: bool = False) -> None:
        """Text, its white space folded unless it `keeps_space`; marked where it is `struck` out."""
        frame = self._frames[-1]
        if struck and not text.isspace():
            text = self._struck(frame, text)
        if keeps_space:
            first, *rest = text.replace("\r\n", "\n").replace("\xa0", " ").split("\n")
            self._put(frame, first)
            for line in rest:
                self._end_line(frame, force=True)
                self._put(frame, line)
            frame.trailing_space = False
            return
        folded = _SPACE.sub(" ", text)
        if frame.trailing_space and folded.startswith(" "):
            folded = folded[1:]
        if folded:
            self._put(frame, folded)
            frame.trailing_space = folded.endswith(" ")

    def _struck(self, frame: _Frame, text: str) -> str:
        """`text` between marks, which it shares with struck text right before it."""
        bare = text.strip()
        start = text.index(bare)
        before = _STRIKE
        last = frame.current[-1] if frame.current else ""
        if last.rstrip(" ").endswith(_STRIKE):
            place = last.rindex(_STRIKE)
            frame.current[-1] = last[:place] + last[place + len(_STRIKE) :]
            before = ""
        return f"{text[:start]}{before}{bare}{_STRIKE}{text[start + len(bare) :]}"

    def _put(self, frame: _Frame, text: str) -> None:
        if frame.gap and text.strip():
            if frame.lines and frame.lines[-1]:
                frame.lines.append("")
            frame.gap = False
        frame.current.append(text)
        self._pieces.append(text)
        self.position = len(self._pieces)

    def _end_line(self, frame: _Frame, *, force: bool = False) -> None:
        """Finish the current line; `force`: an empty one too."""
        line = "".join(frame.current).rstrip()
        if len(line) > 40 and (drawn := _RULE.fullmatch(line)):
            line = drawn[1] * 40
        if line or force:
            frame.lines.append(line)
        frame.current.clear()
        frame.trailing_space = True

    def open(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        """An element begins."""
        frame = self._frames[-1]
        if tag in _FRAMES and (self._skipped or len(self._frames) >= _DEEPEST_FRAME):
            self._skipped += 1  # so deep, elements only begin lines
            self._end_line(frame)
        elif tag == "br":
            self._end_line(frame, force=True)
        elif tag == "hr":
            self._end_line(frame)
            if not (frame.lines and frame.lines[-1] == _LINE):
                self._put(frame, _LINE)
                self._end_line(frame)
        elif tag == "blockquote":
            self._push(tag)
            self._quotes += 1
        elif tag == "li":
            self._open_item(attributes)
        elif tag in ("ul", "ol"):
            self._open_list(tag, attributes)
        elif tag in ("td", "th"):
            self._push(tag)
            columns = attributes.get("colspan") or "1"
            self._frames[-1].columns = int(columns) if re.fullmatch(r"[1-9]\d?", columns) else 1
        elif tag in ("tr", "table"):
            self._push(tag)
        elif tag in _PARAGRAPHS or tag in _BLOCKS:
            self._end_line(frame)
            frame.gap = frame.gap or tag in _PARAGRAPHS

    def close(self, tag: str) -> None:
        """An element ends."""
        frame = self._frames[-1]
        if tag in _FRAMES and self._skipped:
            self._skipped -= 1
            self._end_line(frame)
        elif tag in _FRAMES and frame.tag == tag and len(self._frames) > 1:
            self._pop()
        elif tag in ("ul", "ol"):
            self._end_line(frame)
            if self._lists:
                self._lists.pop()
            frame.gap = frame.gap or not self._lists
        elif tag in _PARAGRAPHS or tag in _BLOCKS:
            self._end_line(frame)
            frame.gap = frame.gap or tag in _PARAGRAPHS

    def _open_list(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        frame = self._frames[-1]
        self._end_line(frame)
        start = attributes.get("start") or "1"
        first = int(start) - 1 if re.fullmatch(r"\d{1,6}", start) else 0
        self._lists.append(_Frame(tag, number=first, letters=attributes.get("type") in ("a", "A")))

    def _open_item(self, attributes: Mapping[str, str | None]) -> None:
        self._push("li")
        item = self._frames[-1]
        if self._lists and self._lists[-1].tag == "ol":
            around = self._lists[-1]
            value = attributes.get("value") or ""
            around.number = int(value) if re.fullmatch(r"[1-9]\d{0,5}", value) else around.number + 1
            item.number, item.letters = around.number, around.letters

    def _push(self, tag: str) -> None:
        self._end_line(self._frames[-1])
        self._frames.append(_Frame(tag))

    def _pop(self) -> None:
        """Finish the innermost frame and hand its lines to the one around it."""
        frame = self._frames.pop()
        self._end_line(frame)
        lines = _trimmed(frame.lines)
        outer = self._frames[-1]
        if frame.tag in ("td", "th") and outer.tag == "tr":
            outer.cells.append(Cell(tuple(lines), frame.columns, frame.holds_table))
            return
        if frame.tag == "tr" and outer.tag == "table" and not lines:
            outer.rows.append(frame.cells)
            return
        if frame.tag == "tr":
            lines = [*lines, *table_lines([frame.cells])]
        elif frame.tag == "table":
            lines = [*lines, *table_lines(frame.rows)]
            outer.holds_table = True
        elif frame.tag == "blockquote":
            self._quotes -= 1
            if self._quotes < _DEEPEST_QUOTE:
                lines = [f"> {line}".rstrip() for line in lines]
        elif frame.tag == "li":
            mark = _mark(frame)
            indent = " " * len(mark)
            lines = [(mark if not index else indent) + line if line else "" for index, line in enumerate(lines)]
        self._take(outer, lines, apart=frame.tag in ("blockquote", "table"))

    def _take(self, outer: _Frame, lines: list[str], *, apart: bool) -> None:
        if not lines:
            return
        if outer.gap and outer.lines and outer.lines[-1]:
            outer.lines.append("")
        outer.lines.extend(lines)
        outer.gap = apart
        outer.trailing_space = True

    def link(self, href: str, start: int) -> None:
        """A link ends whose text began at `start`: its address is shown unless the text is the address."""
        text = "".join(self._pieces[start:]).strip()
        address = href.removeprefix("mailto:").partition("?")[0] if href.lower().startswith("mailto:") else href
        if not text or not href.lower().startswith(("http://", "https://", "mailto:", "tel:")):
            return
        bare = address.split("://", 1)[-1].rstrip("/")
        if bare.casefold() in text.casefold() or (href.startswith("mailto:") and "@" in text):
            return
        shown = address if len(address) <= _LONGEST_LINK else address[:_LONGEST_LINK] + "…"
        frame = self._frames[-1]
        if frame.current and frame.current[-1].endswith(" "):
            frame.current[-1] = frame.current[-1].rstrip(" ")
        self._put(frame, f" ({shown})")
        frame.trailing_space = False

    def text(self) -> str:
        """Everything written, "\\n" line ends."""
        while len(self._frames) > 1:
            self._pop()
        frame = self._frames[0]
        self._end_line(frame)
        return "\n".join(_trimmed(frame.lines))


def _mark(item: _Frame) -> str:
    """What stands before a list's item."""
    if not item.number:
        return "- "
    if item.letters and item.number <= 26:
        return f"{chr(ord('a') + item.number - 1)}. "
    return f"{item.number}. "


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines at both ends, and one empty line in a row at most."""
    start, end = 0, len(lines)
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    kept: list[str] = []
    for line in lines[start:end]:
        if line or kept[-1]:
            kept.append(line)
    return kept
