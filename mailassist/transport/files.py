"""Reading mbox files (RFC 4155) and Maildirs (cr.yp.to/proto/maildir.html) as streams of raw messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from mailassist.errors import InputError
from mailassist.mail.dates import parse_date

# "From SENDER Tue Nov 24 10:00:00 2026" (RFC 4155, A); with a zone on either side of the year, as Google's Takeout and
# old systems write it; "From - ...", as Thunderbird does; the sender alone.
_FROM = re.compile(rb"From (?:\S.*\d{4}\s*|\S.{0,300}\d:\d\d\b.{0,20}\b\d{4}\b.{0,20}|- .*|\S+\s*)\r?\n")
_ASCTIME = re.compile(
    r"\b([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{1,2}:\d\d(?::\d\d)?)\s+(?:([+-]\d{4}|[A-Z]{1,5})\s+)?(\d{4})\b"
    r"(?:\s+([+-]\d{4}|[A-Z]{1,5})\b)?"
)
_QUOTED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def read_messages(path: Path) -> Iterator[bytes]:
    """Every message of an mbox file, a Maildir, a single message file, or a folder of them, one after the other.

    Raises InputError where there is nothing to read, or something cannot be read.
    """
    try:
        if path.is_dir():
            yield from _read_folder(path)
        elif path.is_file():
            with path.open("rb") as file:
                yield from mbox_messages(file)
        else:
            raise InputError(f"There is no file or folder {path}", cure="Name an mbox file or a Maildir.")
    except OSError as error:
        named = error.filename or path
        raise InputError(f"{named} cannot be read: {error.strerror}", cure="Check who may read it.") from error


def is_maildir(path: Path) -> bool:
    """Whether `path` is a Maildir."""
    return (path / "cur").is_dir()


def maildir_files(path: Path) -> list[Path]:
    """The message files of one Maildir, in order of their names."""
    found = [file for part in ("cur", "new") if (path / part).is_dir() for file in (path / part).iterdir()]
    return sorted((file for file in found if file.is_file() and not file.name.startswith(".")), key=lambda f: f.name)


def mbox_messages(file: BinaryIO) -> Iterator[bytes]:
    """The messages of an mbox, streamed: one in memory at a time. `>From ` is unquoted (mboxrd)."""
    lines: list[bytes] = []
    after_blank, started = True, False
    for line in file:
        if after_blank and is_from_line(line):
            if started:
                yield _message(lines)
            lines, started, after_blank = [], True, False
            continue
        if not started and not line.strip():
            continue
        started = True
        lines.append(line)
        after_blank = line in (b"\n", b"\r\n")
    if started:
        yield _message(lines)


def is_from_line(line: bytes) -> bool:
    """Whether `line`, which follows a blank one, separates messages of an mbox."""
    return line.startswith(b"From ") and _FROM.match(line) is not None


def from_line_date(line: bytes) -> datetime | None:
    """When the message after a From_ line was stored; UTC, as RFC 4155 wants, unless the line names a zone."""
    found = _ASCTIME.search(line[:1000].decode("ascii", "replace"))
    if found is None:
        return None
    month, day, clock, before, year, after = found.groups()
    return parse_date(f"{day} {month} {year} {clock} {before or after or '+0000'}")


def _message(lines: list[bytes]) -> bytes:
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return unquoted(b"".join(lines))


def unquoted(raw: bytes) -> bytes:
    """A message as it was before it went into an mbox: lines that begin with ">From " have one ">" less (mboxrd)."""
    return _QUOTED_FROM.sub(b"", raw) if b">From " in raw else raw


def _read_folder(path: Path) -> Iterator[bytes]:
    if is_maildir(path):
        for file in maildir_files(path):
            yield file.read_bytes()
    for inner in sorted(path.iterdir()):
        if inner.is_dir() and inner.name not in ("cur", "new", "tmp") and not inner.is_symlink():
            yield from _read_folder(inner)
        elif inner.is_file() and not is_maildir(path) and not inner.name.startswith("."):
            with inner.open("rb") as opened:
                yield from mbox_messages(opened)
