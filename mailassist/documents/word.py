"""The text of a Word document (ECMA-376, WordprocessingML) as a person reads it, in its order, table rows on one line.

An own walk, since text boxes, content controls, tracked insertions and footnotes are text too, and what is hidden
(w:vanish, white, of no size) has to stay apart; python-docx shows neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from mailassist.documents.content import Content, Unreadable, cut, hidden_note, row_line
from mailassist.documents.office import Package

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_BEHIND = ("footnotes", "endnotes", "comments")
_DEPTH = 60  # of elements in one another
_WHITE = re.compile("[fF][b-fB-F][fF][b-fB-F][fF][b-fB-F]")


def read(package: Package) -> Content:
    """The text of header, body, notes, comments and footer. Raises Unreadable."""
    document = package.xml("word/document.xml")
    if document is None:
        raise Unreadable("damaged")
    walk = _Walk(_hidden_styles(package.xml("word/styles.xml")))
    heads, feet = (_margins(package, walk, kind) for kind in ("header", "footer"))
    blocks = [*heads, *walk.blocks(document.find(f"{_W}body"))]
    for name in _BEHIND:
        blocks += _notes(package.xml(f"word/{name}.xml"), walk, name.removesuffix("s"))
    return cut("\n".join([*blocks, *feet]), hidden_note(walk.hidden))


def _margins(package: Package, walk: _Walk, kind: str) -> list[str]:
    """The text of headers or footers, each once."""
    names = sorted(name for name in package.names if re.fullmatch(rf"word/{kind}\d{{0,4}}\.xml", name))[:20]
    texts = ["\n".join(walk.blocks(package.xml(name))).strip() for name in names]
    return [text for text in dict.fromkeys(texts) if text]


def _notes(root: Element | None, walk: _Walk, name: str) -> Iterator[str]:
    for note in root if root is not None else ():
        text = " ".join(" ".join(walk.blocks(note)).split())
        if text:
            author = note.get(f"{_W}author", "")
            yield f"[{name}{f' of {author}' if author else ''}: {text}]"


def _hidden_styles(styles: Element | None) -> frozenset[str]:
    """The ids of styles whose text nobody sees."""
    found = set()
    for style in styles.iter(f"{_W}style") if styles is not None else ():
        properties = style.find(f"{_W}rPr")
        if properties is not None and _is_hidden(properties, frozenset()):
            found.add(style.get(f"{_W}styleId", ""))
    return frozenset(found)


def _is_hidden(properties: Element, styles: frozenset[str], shaded: bool = False) -> bool:
    """Whether text of these properties is hidden: marked so, white on white, or of no size."""
    if _is_on(properties.find(f"{_W}vanish")) or _value(properties, "rStyle") in styles:
        return True
    size = _value(properties, "sz")
    if size.isdigit() and int(size) <= 2:  # half points
        return True
    white = _WHITE.fullmatch(_value(properties, "color")) is not None
    return white and not (shaded or _is_shaded(properties) or properties.find(f"{_W}highlight") is not None)


def _is_on(switch: Element | None) -> bool:
    return switch is not None and switch.get(f"{_W}val", "true") not in ("false", "0", "off", "none")


def _value(properties: Element, name: str) -> str:
    found = properties.find(f"{_W}{name}")
    return found.get(f"{_W}val", "") if found is not None else ""


def _is_shaded(properties: Element | None) -> bool:
    shade = properties.find(f"{_W}shd") if properties is not None else None
    if shade is None:
        return False
    fill = shade.get(f"{_W}fill", "auto")
    return bool(shade.get(f"{_W}themeFill")) or not (fill == "auto" or _WHITE.fullmatch(fill))


@dataclass(slots=True)
class _Walk:
    """Goes through the elements in reading order; `hidden` collects what nobody sees."""

    hidden_styles: frozenset[str]
    hidden: list[str] = field(default_factory=list)

    def blocks(self, parent: Element | None, depth: int = 0, shaded: bool = False) -> Iterator[str]:
        """Paragraphs, and tables a row a line, below `parent`."""
        if depth > _DEPTH:
            return
        for child in parent if parent is not None else ():
            if child.tag == f"{_W}p":
                yield from self._paragraph(child, depth + 1, shaded)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child, depth + 1)
            elif child.tag not in (f"{_W}del", f"{_W}moveFrom", f"{_W}sectPr"):
                yield from self.blocks(child, depth + 1, shaded)

    def _table(self, table: Element, depth: int) -> Iterator[str]:
        for row in self._through(table, f"{_W}tr"):
            properties = row.find(f"{_W}trPr")
            cells = [
                " ".join(self.blocks(cell, depth + 1, _is_shaded(cell.find(f"{_W}tcPr"))))
                for cell in self._through(row, f"{_W}tc")
            ]
            if properties is not None and _is_on(properties.find(f"{_W}hidden")):
                self.hidden.append(row_line(cells))
            else:
                yield row_line(cells)
        yield ""

    def _through(self, parent: Element, tag: str) -> Iterator[Element]:
        """The children called `tag`, also inside of content controls."""
        for child in parent:
            if child.tag == tag:
                yield child
            elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
                yield from self._through(child, tag)

    def _paragraph(self, paragraph: Element, depth: int, shaded: bool) -> Iterator[str]:
        properties = paragraph.find(f"{_W}pPr")
        hides = properties is not None and _value(properties, "pStyle") in self.hidden_styles
        shaded = shaded or _is_shaded(properties)
        pieces = _Pieces()
        boxes: list[Element] = []
        self._runs(paragraph, pieces, boxes, depth, shaded, hides)
        text = "".join(pieces.seen)
        if unseen := "".join(pieces.hidden).strip():
            self.hidden.append(unseen)
        is_item = properties is not None and properties.find(f"{_W}numPr") is not None
        yield f"- {text.strip()}" if is_item and text.strip() else text
        for box in boxes:
            yield from self.blocks(box, depth + 1, shaded)

    def _runs(
        self, parent: Element, pieces: _Pieces, boxes: list[Element], depth: int, shaded: bool, hides: bool
    ) -> None:
        if depth > _DEPTH:
            return
        for child in parent:
            name = child.tag.removeprefix(_W)
            if name == "r":
                properties = child.find(f"{_W}rPr")
                unseen = properties is not None and _is_hidden(properties, self.hidden_styles, shaded)
                self._runs(child, pieces, boxes, depth + 1, shaded, hides or unseen)
            elif name in ("t", "tab", "br", "cr", "noBreakHyphen"):
                said = {"t": child.text or "", "tab": "\t", "noBreakHyphen": "-"}.get(name, "\n")
                (pieces.hidden if hides else pieces.seen).append(said)
            elif name == "txbxContent":
                boxes.append(child)
            elif child.tag == f"{_CHOICE}AlternateContent":  # the same twice, for newer and older programs
                self._runs(child[0] if len(child) else child, pieces, boxes, depth + 1, shaded, hides)
            elif name not in ("del", "moveFrom", "rPr", "pPr", "instrText"):
                self._runs(child, pieces, boxes, depth + 1, shaded, hides)


@dataclass(slots=True)
class _Pieces:
    """The text of a paragraph: what is seen, and what is not."""

    seen: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
