"""Text, HTML, CSV and attached mail: the standard library and our own readers of mail are enough for them."""

from __future__ import annotations

import csv
import io

from mailassist.documents.content import MOST_CHARACTERS, MOST_ROWS, Content, cut, hidden_note, row_line
from mailassist.mail.body import html_to_text
from mailassist.mail.charsets import decode, inside
from mailassist.mail.invisible import without_invisible
from mailassist.mail.message import Message

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DELIMITERS = ",;\t|"
_BYTES = 4 * MOST_CHARACTERS  # of a text that are decoded: no character has more


def decoded(data: bytes, charset: str, said_inside: str = "") -> str:
    """The text of a file: a byte order mark decides, then the sender's `charset`, then what the bytes look like."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    return decode(data, charset, said_inside)[0]


def text(data: bytes, charset: str) -> Content:
    """A plain text."""
    seen, hidden = without_invisible(decoded(data[:_BYTES], charset))
    return cut(seen, hidden_note(hidden))


def html(data: bytes, charset: str) -> Content:
    """A web page: what a person sees of it, as of the HTML of a mail."""
    page = html_to_text(decoded(data[: 10 * MOST_CHARACTERS], charset, inside(data)))
    return cut(page.text, hidden_note(page.hidden))


def table(data: bytes, charset: str, content_type: str) -> Content:
    """CSV or tab-separated values, one line a row; never raises."""
    said = decoded(data[:_BYTES], charset)
    delimiter = "\t" if content_type == "text/tab-separated-values" else _delimiter(said)
    rows, more = csv.reader(io.StringIO(said), delimiter=delimiter), False
    lines: list[str] = []
    try:
        for row in rows:
            if len(lines) >= MOST_ROWS:
                more = True
                break
            lines.append(row_line(row))
    except csv.Error:  # a field longer than the module takes, or a bare CR: as it stands
        return text(data, charset)
    return cut("\n".join(filter(None, lines)), f"only the first {MOST_ROWS:,} rows were read" if more else "")


def _delimiter(said: str) -> str:
    """The delimiter that the first lines have most evenly, a comma where nothing tells."""
    lines = [line for line in said[:20_000].split("\n")[:20] if line.strip()]
    return max(_DELIMITERS, key=lambda mark: min((line.count(mark) for line in lines), default=0))


def mail(message: Message) -> Content:
    """A mail that is attached to a mail: who, when, about what, and its text."""
    if message.encrypted:
        return Content(note=f"encrypted: {message.encrypted}")
    head = [
        ("From", ", ".join(map(str, message.from_))),
        ("To", ", ".join(map(str, message.to))),
        ("Cc", ", ".join(map(str, message.cc))),
        ("Date", message.date.isoformat(" ", "minutes") if message.date else ""),
        ("Subject", message.subject),
    ]
    lines = [f"{name}: {' '.join(value.split())}" for name, value in head if value]
    return cut("\n".join([*lines, "", message.text]), hidden_note(message.hidden))
