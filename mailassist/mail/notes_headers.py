"""How Lotus Notes copies the header of the message that is answered: without colons, in columns, in a drawn box."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.mail.attribution_lines import DATE

_KEYS_TO = ("To", "An", "À", "A", "Para", "Aan", "Do", "Till", "Til", "Komu")
_KEYS_SUBJECT = (
    "Subject",
    "Betreff",
    "Thema",
    "Objet",
    "Asunto",
    "Assunto",
    "Oggetto",
    "Onderwerp",
    "Temat",
    "Ämne",
    "Emne",
)
TO_LINES = frozenset(f"{key}{space}" for key in _KEYS_TO for space in ("", " "))
_SUBJECT_LINES = frozenset(_KEYS_SUBJECT)
_COLUMNS = re.compile(rf"\s{{8,}}.{{0,60}}?(?:{'|'.join(_KEYS_SUBJECT)}|Re)\s?:\s.*", re.IGNORECASE)
_TO_COLUMN = re.compile(rf".{{0,80}}?\s{{4,}}(?:{'|'.join(_KEYS_TO)})\s?:\s.*")
_BOX_BEGINS = re.compile(r"\s*\|-{3,}\+-{3,}[>|]\s*")
_BOX_LINE = re.compile(r"\s*(?:\||>-{3})")
_SENT_BY = ("Sent by:", "Gesendet von:", "Envoyé par :", "Enviado por:", "Inviato da:")
_TO_IN_BOX = tuple(f"{key}{colon}" for key in _KEYS_TO for colon in (":", " :"))
_NAME = re.compile(r"\s*\S.{0,79}")
_MARGIN = " " * 8  # in front of every line of the columns
_MOST_LINES = 20  # of a copied header


def plain_header(lines: Sequence[str], to: int, first: int) -> tuple[int, int] | None:
    """Where a header begins (at `first` or after) and ends whose keys stand alone on their lines, as "To" on line `to`.

    Above it are the sender's name and a date, below it the subject; None where anything of it is missing.
    """
    date = _filled_above(lines, to, first)
    name = _filled_above(lines, date, first) if date >= 0 else -1
    if name < 0 or not DATE.search(lines[date][:100]) or len(lines[date]) > 60 or date - name > 1:
        return None
    if not _NAME.fullmatch(lines[name]) or lines[name].rstrip()[-1] in ".,:;!?":
        return None
    if name > first and lines[name].lstrip().startswith(_SENT_BY):
        name -= 1
    for number in range(to + 1, min(to + _MOST_LINES, len(lines))):
        if lines[number].strip() in _SUBJECT_LINES:
            end = number + 2
            while end < min(number + 4, len(lines)) and lines[end].strip():
                end += 1  # a long subject is wrapped
            return name, min(end, len(lines))
    return None


def _filled_above(lines: Sequence[str], number: int, first: int) -> int:
    """The next line with text above `number`, no more than two empty lines away; -1 if there is none."""
    for above in range(number - 1, max(number - 4, first - 1), -1):
        if lines[above].strip():
            return above
    return -1


def columns(lines: Sequence[str], to: int, first: int) -> tuple[int, int] | None:
    """Where a header in columns begins (at `first` or after) and ends, whose addressee is on line `to`."""
    if not _TO_COLUMN.fullmatch(lines[to][:500]) or lines[to][:8] != _MARGIN:
        return None
    start = to
    while start > first and to - start < _MOST_LINES and _in_columns(lines[start - 1]):
        start -= 1
    end = to + 1
    subject = False
    while end < len(lines) and end - to < _MOST_LINES and _in_columns(lines[end]):
        subject = subject or _COLUMNS.fullmatch(lines[end][:500]) is not None
        end += 1
    dated = any(DATE.search(line[:200]) for line in lines[start:end])
    return (start, end) if subject and dated else None


def _in_columns(line: str) -> bool:
    return line[:8] == _MARGIN


def box(lines: Sequence[str], start: int) -> int:
    """Where the drawn box ends that begins at `start` and holds a date, a copied header; 0 if there is none."""
    if not _BOX_BEGINS.fullmatch(lines[start][:500]):
        return 0
    end = start + 1
    while end < len(lines) and end - start < 2 * _MOST_LINES and _BOX_LINE.match(lines[end]):
        end += 1
    inside = [line[:200] for line in lines[start:end]]
    dated = any(DATE.search(line) for line in inside)
    return end if dated and any(line.strip(" |").startswith(_TO_IN_BOX) for line in inside) else 0
