"""The only way out of the command line: every text passes through `SafeText`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from mailassist.mail.safe_text import SafeText


def say(text: object = "", *, end: str = "\n") -> None:
    """Print `text` on standard output, made safe; "\\n" and "\\t" stay."""
    click.echo(SafeText(text), nl=False)
    click.echo(end, nl=False)


def warn(text: object) -> None:
    """Print one line on standard error, made safe."""
    click.echo(SafeText(text).line(), err=True)


def dump_json(value: object) -> None:
    """Print `value` as JSON; non-ASCII is escaped, so that no control character is ever raw."""
    json.dump(value, sys.stdout, ensure_ascii=True, indent=2, default=str)
    click.echo()


def table(rows: Sequence[Sequence[object]], *, header: Sequence[str] = ()) -> None:
    """Print `rows` in columns as wide as their widest cell; each cell on one line."""
    lines = [[SafeText(cell).line() for cell in row] for row in ([header] if header else []) + list(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))] if lines else []
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
