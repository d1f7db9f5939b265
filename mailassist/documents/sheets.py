"""The text of an Excel workbook: sheet by sheet, a row a line, as it is seen; values of formulas as last computed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from time import monotonic
from typing import Any
from xml.etree.ElementTree import ParseError

from mailassist.documents.content import (
    ENOUGH,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_PAGES,
    MOST_ROWS,
    Content,
    Unreadable,
    counted,
    cut,
    hidden_note,
    row_line,
)
from mailassist.documents.office import Package

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CURRENCY = re.compile(r"\[\$([^\]\-]{1,5})|([€$£¥])")
_WHITE = re.compile("(?:[fF]{2}|00)?[fF]{6}")


def read(package: Package, data: bytes) -> Content:
    """Raises Unreadable."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    failures = (InvalidFileException, ParseError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        reading = _Reading(_paths(package), package)
        text = "\n".join(reading.lines(book.worksheets))
    except failures as error:
        raise Unreadable("damaged") from error
    return cut(text, *reading.notes())


def _paths(package: Package) -> dict[str, str]:
    """The members that hold the sheets, by the sheets' names."""
    book, related = package.xml("xl/workbook.xml"), package.related("xl/workbook.xml")
    sheets = book.iter(f"{_MAIN}sheet") if book is not None else ()
    return {sheet.get("name", ""): related.get(sheet.get(_ID, ""), "") for sheet in sheets}


@dataclass(slots=True)
class _Reading:
    """What is read of the sheets, and what is left out."""

    paths: dict[str, str]
    package: Package
    room: int = MOST_CHARACTERS + 1
    hidden: list[str] = field(default_factory=list)  # text in cells that nobody sees
    sheets: int = 0  # hidden ones
    rows: int = 0
    columns: int = 0
    over: int = 0  # the rows of a sheet that were read, where it has more
    end: float = field(default_factory=lambda: monotonic() + ENOUGH)

    def lines(self, sheets: list[Any]) -> Iterator[str]:
        """The rows of all sheets that are seen, below the names of the sheets."""
        seen = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
        self.sheets = len(sheets) - len(seen)
        for sheet in seen[:MOST_PAGES]:
            if self.room <= 0:
                return
            yield f"[sheet {sheet.title}]"
            yield from self._rows(sheet)
            yield ""

    def _rows(self, sheet: Any) -> Iterator[str]:
        sheet.reset_dimensions()  # what the file says of its size may be a million empty columns
        hidden_rows, hidden_columns = self._unseen(self.paths.get(sheet.title, ""))
        self.columns += len(hidden_columns)
        for number, row in enumerate(sheet.iter_rows(), 1):
            if number > MOST_ROWS or (number % 100 == 0 and monotonic() > self.end):
                self.over = number - 1
                return
            if number in hidden_rows:
                self.rows += 1
                continue
            line = row_line([self._cell(cell) for at, cell in enumerate(row, 1) if at not in hidden_columns])
            self.room -= len(line)
            if self.room <= 0:
                return
            if line:
                yield line

    def _unseen(self, path: str) -> tuple[set[int], set[int]]:
        """The numbers of hidden rows and columns, which openpyxl does not tell of a sheet that it streams."""
        from defusedxml.ElementTree import iterparse

        rows: set[int] = set()
        columns: set[int] = set()
        number = 0
        for event, element in iterparse(io.BytesIO(self.package.read(path)), ("start", "end"), forbid_dtd=True):
            if event == "end":
                element.clear()
            elif element.tag == f"{_MAIN}col" and element.get("hidden") in ("1", "true"):
                columns.update(range(int(element.get("min", 0)), min(int(element.get("max", 0)), MOST_COLUMNS) + 1))
            elif element.tag == f"{_MAIN}row":
                number = int(element.get("r", number + 1))
                if element.get("hidden") in ("1", "true") or element.get("ht") == "0":
                    rows.add(number)
                if number > MOST_ROWS:
                    break
        return rows, columns

    def _cell(self, cell: Any) -> str:
        value = cell.value
        if value is None:
            return ""
        shown = _shown(value, cell.number_format or "")
        if _is_hidden(cell):
            self.hidden.append(shown)
            return ""
        return shown

    def notes(self) -> list[str]:
        """What was left out."""
        return [
            f"only the first {self.over:,} rows of a sheet were read" if self.over else "",
            counted(self.sheets, "hidden sheet"),
            counted(self.rows, "hidden row"),
            counted(self.columns, "hidden column"),
            hidden_note(self.hidden),
        ]


def _shown(value: Any, number_format: str) -> str:
    """A value about as its cell shows it: dates, percentages and currencies as such."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, int | float):
        if "%" in number_format:
            return f"{value * 100:.10g}%"
        currency = _CURRENCY.search(number_format)
        number = f"{value:.15g}"
        return f"{number} {currency[1] or currency[2]}" if currency else number
    return str(value)


def _is_hidden(cell: Any) -> bool:
    """Whether a cell shows nothing: a format that hides every value, or white on white."""
    if cell.number_format == ";;;":
        return True
    color = cell.font.color if cell.font else None
    if color is None or color.type != "rgb" or not _WHITE.fullmatch(str(color.rgb)):
        return False
    fill = cell.fill
    return not fill or not fill.fill_type or bool(_WHITE.fullmatch(str(fill.fgColor.rgb)))
