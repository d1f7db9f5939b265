"""A table of HTML as lines of text: data in rows and columns, what only lays out a page one below another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LONGEST_CELL = 200  # characters of a cell that stands beside others
_MOST_CELL_LINES = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's lines, and how many columns it takes."""

    lines: tuple[str, ...]
    columns: int = 1
    holds_table: bool = False


def table_lines(rows: Sequence[Sequence[Cell]]) -> list[str]:
    """The text of a table. Data keeps its columns, an empty cell its place; of a layout only what is filled stays."""
    if _is_data(rows):
        return list(_grid(rows))
    return [line for row in rows for line in _row(row)]


def _is_data(rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether most rows have the same two columns or more, all of them short."""
    cells = [cell for row in rows for cell in row]
    if any(cell.holds_table or len(cell.lines) > _MOST_CELL_LINES for cell in cells):
        return False
    if any(len(line) > _LONGEST_CELL for cell in cells for line in cell.lines):
        return False
    filled = [row for row in rows if sum(bool(cell.lines) for cell in row) > 1]
    widths = Counter(sum(cell.columns for cell in row) for row in filled)
    if not widths:
        return False
    return len(filled) > 1 and widths.most_common(1)[0][1] * 2 > len(filled)


def _grid(rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """One line a row, without the columns that are empty everywhere."""
    lines = [_spread(row) for row in rows]
    used = sorted({place for line in lines for place, text in enumerate(line) if text})
    for line in lines:
        texts = [line[place] if place < len(line) else "" for place in used]
        if any(texts):
            yield " | ".join(texts).rstrip(" |")


def _spread(row: Sequence[Cell]) -> list[str]:
    return [text for cell in row for text in (" ".join(cell.lines), *[""] * (cell.columns - 1))]


def _row(row: Sequence[Cell]) -> list[str]:
    """A row of a layout: short cells side by side, long ones below each other."""
    filled = [cell.lines for cell in row if cell.lines]
    if len(filled) > 1 and all(len(lines) == 1 for lines in filled):
        return [" | ".join(lines[0] for lines in filled)]
    return [line for lines in filled for line in lines]
