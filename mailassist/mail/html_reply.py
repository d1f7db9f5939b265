"""The HTML alternative of a reply: escaped paragraphs, quote and signature, made by code from the same text."""

from __future__ import annotations

from html import escape

_QUOTE_STYLE = "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex"


def page(body: str, *, signature: str, html_signature: str, attribution: str, quoted: str) -> str:
    """A small page. Everything is escaped but `html_signature`, which comes from the configuration."""
    parts = ['<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>', paragraphs(body)]
    if html_signature:
        parts.append(f"<div>-- <br>\n{html_signature}</div>")
    elif signature:
        parts.append(f"<div>-- <br>\n{_lines(signature)}</div>")
    if quoted:
        parts.append(f"<p>{escape(attribution)}</p>")
        parts.append(f'<blockquote type="cite" style="{_QUOTE_STYLE}">\n{paragraphs(quoted)}\n</blockquote>')
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"


def paragraphs(text: str) -> str:
    """`text` with empty lines between paragraphs as `<p>` elements, line ends as `<br>`."""
    blocks = [block.strip("\n") for block in text.strip("\n").split("\n\n")]
    return "\n".join(f"<p>{_lines(block)}</p>" for block in blocks if block)


def _lines(text: str) -> str:
    return "<br>\n".join(escape(line) for line in text.split("\n"))
