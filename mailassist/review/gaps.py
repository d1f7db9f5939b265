"""Gaps that a text leaves to be filled in: what an outline leaves, and what models leave."""

from __future__ import annotations

import re

# [...], [answer], [your name]; not a link's text.
_GAP = re.compile(r"\[(?:\.\.\.|…|_+|[^\W\d_][^\[\]\n]{0,60})\](?!\()")


def gaps(text: str) -> list[str]:
    """The gaps of `text`, as they stand there; what it quotes does not count."""
    return _GAP.findall("\n".join(line for line in text.splitlines() if not line.startswith(">")))
