"""What a reader of one kind of file gives back, the limits that all of them share, and which kind a file is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailassist.documents import Picture

MOST_CHARACTERS = 200_000  # of text that is read of one file
MOST_PAGES = 50  # of a PDF, slides of a presentation, sheets of a workbook
MOST_ROWS = 10_000  # of a sheet or a table
MOST_COLUMNS = 200
ENOUGH = 3.0  # seconds after which a reader is content with what it has; at the limit nothing would be left
MOST_UNPACKED = 100 * 1024 * 1024  # bytes of the members of one ZIP file that are looked at, all together
MOST_MEMBERS = 5_000

TOO_LONG = f"only the first {MOST_CHARACTERS:,} characters were read"

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
_TEXTS = frozenset({
    "txt", "md", "markdown", "log", "json", "xml", "yaml", "yml", "toml", "ini", "cfg", "conf", "tex", "diff", "patch",
    "vcf", "sql", "py", "js", "ts", "c", "h", "java", "sh", "css", "rst", "srt",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of one file."""

    text: str = ""
    note: str = ""
    pictures: tuple[Picture, ...] = ()


class Unreadable(Exception):
    """A file that holds nothing that can be read; its text says why, as a note."""


def cut(text: str, *notes: str) -> Content:
    """`text` within the limit, in lines that end with "\\n", and the notes; where there is neither, that is one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    said = [TOO_LONG] if len(text) > MOST_CHARACTERS else []
    note = "; ".join(note for note in (*said, *notes) if note)
    return Content(text[:MOST_CHARACTERS], note if text or note else "no text")


def counted(number: int, what: str) -> str:
    """`3 hidden rows left out`, for a note; "" for none."""
    return f"{number:,} {what}{'s' if number != 1 else ''} left out" if number else ""


def hidden_note(hidden: Iterable[str]) -> str:
    """What is said of text that a person would not see."""
    size = sum(map(len, hidden))
    return f"{size:,} hidden characters left out" if size else ""


def row_line(cells: Sequence[str]) -> str:
    """A row of a table on one line; "" for an empty one."""
    said = [" ".join(cell.split()) for cell in cells[:MOST_COLUMNS]]
    while said and not said[-1]:
        said.pop()
    more = counted(len(cells) - MOST_COLUMNS, "column") if len(cells) > MOST_COLUMNS else ""
    return " | ".join([*said, *([f"[{more}]"] if more else [])])


def kind_of(name: str, content_type: str, data: bytes) -> str:
    """Which kind of file it is: its first bytes decide, then the type that the sender says, then the name's ending.

    pdf, zip (which Office files are), ole (Office files before 2007, and encrypted ones), rtf, image, calendar,
    html, mail, csv, text; "" for what nobody reads here.
    """
    ending = name.lower().rpartition(".")[2]
    return _by_bytes(data) or _by_label(content_type.lower(), ending) or ("text" if _is_text(data) else "")


def _by_bytes(data: bytes) -> str:
    start = data[:1024]
    if b"%PDF-" in start:
        return "pdf"
    if start.startswith(b"PK\x03\x04"):
        return "zip"
    if start.startswith(b"{\\rtf"):
        return "rtf"
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "ole"
    if start.startswith(_IMAGES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return "image"
    return "calendar" if start.lstrip(b"\xef\xbb\xbf \r\n")[:15].upper() == b"BEGIN:VCALENDAR" else ""


def _by_label(content_type: str, ending: str) -> str:
    if content_type == "text/calendar" or ending in ("ics", "vcs"):
        return "calendar"
    if content_type in ("text/html", "application/xhtml+xml") or ending in ("html", "htm"):
        return "html"
    if content_type in ("message/rfc822", "message/global") or ending == "eml":
        return "mail"
    if content_type in ("text/csv", "text/tab-separated-values") or ending in ("csv", "tsv"):
        return "csv"
    return "text" if content_type.startswith("text/") or ending in _TEXTS else ""


def _is_text(data: bytes) -> bool:
    """Whether the beginning is readable in UTF-8."""
    try:
        start = data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < min(len(data), 4096) - 4:
            return False
        start = data[: error.start].decode("utf-8")
    return bool(start.strip()) and all(letter.isprintable() or letter in "\t\r\n\f" for letter in start)
