"""The HTML alternative of a reply: escaped paragraphs, quote and signature, made by code from the same text."""

from __future__ import annotations

from html import escape

_QUOTE_STYLE = "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex"


def page(
    answer: str,
    *,
    signature: str = "",
    html_signature: str = "",
    attribution: str = "",
    quoted: str = "",
    quote_first: bool = False,
) -> str:
    """A small page. Everything is escaped but `html_signature`, which comes from the configuration."""
    closing = html_signature or _lines(signature)
    below = [f"<div>-- <br>\n{closing}</div>"] if closing else []
    quote = []
    if quoted:
        quote.append(f"<p>{escape(attribution)}</p>")
        quote.append(f'<blockquote type="cite" style="{_QUOTE_STYLE}">\n{paragraphs(quoted)}\n</blockquote>')
    content = [*quote, paragraphs(answer), *below] if quote_first else [paragraphs(answer), *below, *quote]
    head = '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>'
    return "\n".join([head, *content, "</body></html>"]) + "\n"


def paragraphs(text: str) -> str:
    """`text` with empty lines between paragraphs as `<p>` elements, line ends as `<br>`."""
    blocks = [block.strip("\n") for block in text.strip("\n").split("\n\n")]
    return "\n".join(f"<p>{_lines(block)}</p>" for block in blocks if block)


def _lines(text: str) -> str:
    return "<br>\n".join(escape(line) for line in text.split("\n"))
