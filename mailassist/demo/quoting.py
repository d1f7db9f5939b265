"""How mail programs quote: the attribution line, the quoted text, dates in the program's language.

The forms are those that real programs write (data/clients.toml); reading them is the business of `mailassist.mail`.
"""

from __future__ import annotations

import html
import re
import textwrap
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from mailassist.demo.description import Client, data

_DAY = re.compile(r"\{([a-z]{2,3}):([+-]\d+)\}")


@cache
def _clients() -> dict[str, Any]:
    return tomllib.loads((data() / "clients.toml").read_text(encoding="utf-8"))


def _local(table: str, language: str) -> Any:
    """The entry of `table` for a language, else the English one."""
    entries = _clients()[table]
    return entries.get(language, entries["en"])


def written_date(form: str, when: datetime, language: str, **more: str) -> str:
    """`form` with the parts of `when` in the words of `language`."""
    words = {name: _local(name, language).split() for name in ("months", "months_short", "weekdays", "weekdays_short")}
    return form.format(
        year=when.year, day=when.day, day2=f"{when:%d}", number=when.month, number2=f"{when:%m}",
        month=words["months_short"][when.month - 1], month_long=words["months"][when.month - 1],
        weekday=words["weekdays_short"][when.weekday()], weekday_long=words["weekdays"][when.weekday()],
        time=f"{when:%H:%M}", time12=f"{when:%I:%M %p}".lstrip("0"), **more,
    )  # fmt: skip


def with_days(text: str, now: datetime) -> str:
    """`text` with each `{de:+6}` replaced by the day six days from `now`, in German."""
    return _DAY.sub(
        lambda match: written_date(_local("day", match[1]), now + timedelta(days=int(match[2])), match[1]), text
    )


def attribution(client: Client, language: str, when: datetime, name: str, address: str) -> str:
    """The line above a quotation: "On ... wrote:"."""
    return written_date(_local(client, language), when, language, name=name, address=address)


def outlook_header(
    language: str, when: datetime, *, sender: str, to: Sequence[str], cc: Sequence[str], subject: str
) -> list[tuple[str, str]]:
    """The headers that Outlook writes over the original, as (name, value)."""
    names = _local("outlook", language)
    lines = [(names["from"], sender), (names["sent"], written_date(names["date"], when, language))]
    lines.append((names["to"], "; ".join(to)))
    if cc:
        lines.append((names["cc"], "; ".join(cc)))
    return [*lines, (names["subject"], subject)]


def reply_prefix(client: Client, language: str) -> str:
    """What a program puts before the subject of a reply; most write "Re: " in every language."""
    return str(_local("outlook", language)["prefix"]) if client == "outlook" else "Re: "


def quoted(text: str) -> str:
    """`text` with "> " before each line; "> >" becomes ">>" as in most programs."""
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in text.split("\n"))


def wrapped(text: str, width: int) -> str:
    """`text` with hard line ends at `width`; quoted lines and indented ones stay as they are."""
    lines: list[str] = []
    for line in text.split("\n"):
        keep = len(line) <= width or line.startswith((">", " "))
        lines += [line] if keep else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def flowed(text: str, width: int = 72) -> str:
    """`text` as format=flowed (RFC 3676, 4.1 and 4.2): long lines end in a space, some lines are space-stuffed."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith(">") or line == "-- ":
            lines.append(line)
            continue
        pieces = textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
        stuffed = [f" {piece}" if piece.startswith((" ", ">", "From ")) else piece for piece in pieces]
        lines += [f"{piece} " for piece in stuffed[:-1]] + stuffed[-1:]
    return "\n".join(lines)


def as_html(text: str) -> str:
    """Plain text as HTML lines."""
    return "<br>\n".join(html.escape(line, quote=False).replace("  ", "&nbsp; ") for line in text.split("\n"))
