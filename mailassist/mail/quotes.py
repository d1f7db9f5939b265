"""A body's parts: what its author newly wrote, what is quoted, the signature."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a body; together they hold every word of it."""

    reply: str
    quoted: str = ""
    signature: str = ""


_QUOTE = re.compile(r"(?m)^(?:On .{3,200}wrote:|>.*|-----Original Message-----)$")


def split(text: str) -> Split:
    """Split `text` ("\\n" line ends). When in doubt, keep: what is no quote for certain stays in `reply`."""
    body, delimiter, signature = text.partition("\n-- \n")
    found = _QUOTE.search(body)
    start = found.start() if found else len(body)
    return Split(body[:start].strip("\n"), body[start:], signature if delimiter else "")
