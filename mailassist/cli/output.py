"""The only way out of the command line: every text passes through `SafeText`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailassist.errors import OutputFailed
from mailassist.mail.safe_text import SafeText

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _NamedFailures(io.FileIO):
    """A standard stream that raises OutputFailed, once: what is buffered then goes nowhere when the process ends."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, as FileIO does. Raises OutputFailed."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            raise OutputFailed(
                f"The output could not be written: {error.strerror}",
                cure="Free some disk space, or write it elsewhere.",
                reader_left=isinstance(error, BrokenPipeError),
            ) from error


def prepare_streams() -> None:
    """Standard output and error of a process: failures have a name, characters that the encoding lacks are escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or (sys.platform == "win32" and stream.isatty()):  # closed, or a console, which takes all
            continue
        buffer = io.BufferedWriter(_NamedFailures(stream.fileno(), "wb", closefd=False))
        text = io.TextIOWrapper(buffer, stream.encoding, errors="backslashreplace", line_buffering=True)
        setattr(sys, name, text)


def say(text: object = "", *, end: str = "\n") -> None:
    """Print `text` on standard output, made safe; "\\n" and "\\t" stay."""
    click.echo(SafeText(text), nl=False)
    click.echo(end, nl=False)


def warn(text: object) -> None:
    """Print one line on standard error, made safe."""
    click.echo(SafeText(text).line(), err=True)


def dump_json(value: object) -> None:
    """Print `value` as JSON; non-ASCII is escaped, so that no control character is ever raw."""
    import json

    click.echo(json.dumps(value, ensure_ascii=True, indent=2, default=str))


def table(rows: Sequence[Sequence[object]], *, header: Sequence[str] = ()) -> None:
    """Print `rows` in columns as wide as their widest cell; each cell on one line."""
    lines = [[SafeText(cell).line() for cell in row] for row in ([header] if header else []) + list(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))] if lines else []
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
