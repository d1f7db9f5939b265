"""The text of OpenDocument files (ODF 1.3): texts, tables, presentations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from mailassist.documents.content import MOST_COLUMNS, Content, Unreadable, counted, cut, hidden_note, row_line
from mailassist.documents.office import Package

_NAMES = "{urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _STYLE = (f"{_NAMES}{name}:1.0}}" for name in ("text", "table", "style"))
_OFFICE, _FO = f"{_NAMES}office:1.0}}", f"{_NAMES}xsl-fo-compatible:1.0}}"
_DEPTH = 80


def read(package: Package) -> Content:
    """Raises Unreadable."""
    root = package.xml("content.xml")
    body = root.find(f"{_OFFICE}body") if root is not None else None
    if root is None or body is None:
        encrypted = b"encryption-data" in package.read("META-INF/manifest.xml")
        raise Unreadable("password" if encrypted else "damaged")
    walk = _Walk(frozenset(_hidden_styles(root)))
    text = "\n".join(walk.blocks(body))
    return cut(text, hidden_note(walk.hidden), counted(walk.rows, "hidden row"), counted(walk.columns, "hidden column"))


def _hidden_styles(root: Element) -> Iterator[str]:
    for style in root.iter(f"{_STYLE}style"):
        properties = style.find(f"{_STYLE}text-properties")
        table = style.find(f"{_STYLE}table-properties")
        hides = properties is not None and properties.get(f"{_TEXT}display") == "none"
        if hides or (table is not None and table.get(f"{_TABLE}display") == "false"):
            yield style.get(f"{_STYLE}name", "")


@dataclass(slots=True)
class _Walk:
    """Goes through the elements in reading order."""

    hidden_styles: frozenset[str]
    hidden: list[str] = field(default_factory=list)
    rows: int = 0
    columns: int = 0

    def blocks(self, parent: Element, depth: int = 0) -> Iterator[str]:
        """Paragraphs, and tables a row a line."""
        if depth > _DEPTH:
            return
        for child in parent:
            if child.tag in (f"{_TEXT}p", f"{_TEXT}h"):
                yield "".join(self._pieces(child, depth + 1))
            elif child.tag == f"{_TEXT}list-item":
                yield "- " + "\n".join(self.blocks(child, depth + 1)).strip()
            elif child.tag == f"{_TABLE}table":
                yield from self._table(child, depth + 1)
            elif child.tag != f"{_TEXT}tracked-changes":
                yield from self.blocks(child, depth + 1)

    def _table(self, table: Element, depth: int) -> Iterator[str]:
        if table.get(f"{_TABLE}style-name", "") in self.hidden_styles:
            self.hidden.append(" ".join(table.itertext()))
            return
        unseen = self._hidden_columns(table)
        self.columns += len(unseen)
        if name := table.get(f"{_TABLE}name", ""):
            yield f"[table {name}]"
        for row in table.iter(f"{_TABLE}table-row"):
            if row.get(f"{_TABLE}visibility", "visible") != "visible":
                self.rows += 1
            elif line := row_line([cell for at, cell in enumerate(self._cells(row, depth)) if at not in unseen]):
                yield line
        yield ""

    def _hidden_columns(self, table: Element) -> set[int]:
        at = 0
        found: set[int] = set()
        for column in table.iter(f"{_TABLE}table-column"):
            times = _repeated(column, "number-columns-repeated")
            if column.get(f"{_TABLE}visibility", "visible") != "visible":
                found.update(range(at, at + times))
            at += times
        return found

    def _cells(self, row: Element, depth: int) -> list[str]:
        cells: list[str] = []
        for cell in row:
            if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell") and len(cells) < MOST_COLUMNS:
                text = " ".join(self.blocks(cell, depth + 1))
                cells += [text] * _repeated(cell, "number-columns-repeated")
        return cells

    def _pieces(self, parent: Element, depth: int) -> Iterator[str]:
        if depth > _DEPTH:
            return
        yield parent.text or ""
        for child in parent:
            if child.get(f"{_TEXT}style-name", "") in self.hidden_styles or child.tag == f"{_TEXT}hidden-text":
                self.hidden.append("".join(child.itertext()))
            elif child.tag == f"{_TEXT}s":
                yield " "
            elif child.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
                yield "\t" if child.tag.endswith("tab") else "\n"
            else:
                yield from self._pieces(child, depth + 1)
            yield child.tail or ""


def _repeated(element: Element, name: str) -> int:
    value = element.get(f"{_TABLE}{name}", "1")
    return max(1, min(int(value), MOST_COLUMNS)) if value.isdecimal() and len(value) < 9 else 1
