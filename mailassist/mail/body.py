"""HTML to text: what a person would read, and apart from it what a person would not see.

selectolax (the lexbor parser) builds the tree; the walk over it is ours, since no library judges visibility. Nothing is
fetched, nothing recurses, and the tree is kept shallow before it is built: lexbor's time grows with its depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailassist.mail.html_style import Style, color, declarations, hidden_box, in_order, styled, stylesheet
from mailassist.mail.html_writer import Writer
from mailassist.mail.invisible import without_invisible


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The visible text of an HTML body, and what was hidden in it."""

    text: str
    hidden: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


_DEEPEST = 256
_LONG_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9:]*)\s([^<>]{8000,})>?")
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_OPEN_OR_CLOSE = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_NEVER_NEST = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
    "p", "li", "dt", "dd", "tr", "td", "th", "option", "tbody", "thead", "tfoot", "html", "head", "body",
})  # fmt: skip
_USED = ("style", "class", "id", "hidden", "aria-hidden", "href", "title", "alt", "color", "bgcolor", "text", "type")
_UNSEEN = frozenset(
    {"head", "script", "style", "title", "template", "noscript", "object", "applet", "datalist", "math"}
)
_NO_TEXT = frozenset({"style", "script", "meta", "link", "base", "title", "head"})
_TAGS = re.compile(r"<(style|xml|script)\b.*?(?:</\1>|\Z)|<[^>]*>?|/\*.*?\*/", re.DOTALL | re.IGNORECASE)
_CONDITION = re.compile(r"\[(?:if\b[^\]]*|endif)\](?:>)?|<!", re.IGNORECASE)
_MOST_STEPS = 400_000  # elements and texts entered, and elements left
_MOST_HIDDEN = 20_000  # characters reported as hidden


def html_to_text(html: str) -> HtmlText:
    """`html` as text: tables, lists and links readable, quotes as `> ` lines, hidden text apart. Never raises."""
    html, cut = _shallow(html)
    tree = LexborHTMLParser(html)
    root = tree.root
    if root is None:
        return HtmlText("")
    walk = _Walk(*_sheet(tree))
    walk.through(root)
    text, unseen = without_invisible(walk.writer.text())
    hidden = tuple(_reported([*walk.hidden_texts(), *unseen]))
    warnings = ["structure-limit: the HTML is nested too deep"] if cut else []
    if walk.too_large:
        warnings.append("structure-limit: the HTML is too large; only its beginning was read")
    if walk.too_many_rules:
        warnings.append("structure-limit: the HTML has more styles than are looked at")
    return HtmlText(text, hidden, tuple(warnings))


def _reported(found: list[str]) -> Iterator[str]:
    """Each hidden text once, as far as they are reported."""
    room = _MOST_HIDDEN
    for text in dict.fromkeys(found):
        if room <= 0:
            return
        yield text[:room]
        room -= len(text)


def _shallow(html: str) -> tuple[str, bool]:
    """`html` with at most `_DEEPEST` elements inside each other and without endless tags, and whether it had more."""
    html = html.replace("\0", "")
    if len(html) > 8000:
        html = _LONG_TAG.sub(_shorter_tag, html)
    if html.count("<") < _DEEPEST * 2:
        return html, False
    depth, dropped, cut = 0, 0, False

    def kept(match: re.Match[str]) -> str:
        nonlocal depth, dropped, cut
        slash, name = match.groups()
        if name.lower() in _NEVER_NEST:
            return match.group()
        if slash:
            if dropped:
                dropped -= 1
                return "</wbr"
            depth = max(depth - 1, 0)
            return match.group()
        if depth >= _DEEPEST:
            dropped += 1
            cut = True
            return "<wbr"  # an element that holds nothing, so that the tree grows no deeper
        depth += 1
        return match.group()

    return _OPEN_OR_CLOSE.sub(kept, html), cut


def _shorter_tag(match: re.Match[str]) -> str:
    """A tag with only the attributes that matter here."""
    kept: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(match.group(2)):
        if name.lower() in _USED and len(value) < 4000:
            kept.setdefault(name.lower(), value)
    attributes = "".join(f" {name}={value}" if value else f" {name}" for name, value in kept.items())
    return f"<{match.group(1)}{attributes}>"


def _sheet(tree: LexborHTMLParser) -> tuple[dict[int, dict[str, str]], bool]:
    """What `<style>` elements say of each element, by the element's identity."""
    css = "\n".join(node.text() or "" for node in tree.css("style"))
    if not css:
        return {}, False
    sheet = stylesheet(css[:200_000])
    by_node: dict[int, dict[str, str]] = {}
    for rule in in_order(sheet.found):
        for node in _selected(tree, rule.selector):
            by_node.setdefault(node.mem_id, {}).update(rule.rules)
    return by_node, sheet.too_many


def _selected(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        return tree.css(selector)
    except Exception:  # noqa: BLE001 - selectolax raises several kinds for selectors it cannot read
        return []


@dataclass(slots=True)
class _Open:
    """An element that is being walked through."""

    cursor: LexborNode | None
    style: Style
    tag: str
    href: str = ""
    link_start: int = 0


@dataclass(slots=True)
class _Walk:
    """One pass over the tree, with a stack of its own."""

    rules: dict[int, dict[str, str]]
    too_many_rules: bool
    writer: Writer = field(default_factory=Writer)
    hidden: list[list[str]] = field(default_factory=list)
    was_hidden: bool = False
    too_large: bool = False

    def through(self, root: LexborNode) -> None:
        """Write what is visible, note what is not."""
        stack = [_Open(root, Style(), "")]
        for _ in range(_MOST_STEPS):
            if not stack:
                return
            top = stack[-1]
            node = top.cursor
            if node is None or (len(stack) == 1 and node.tag != root.tag):
                stack.pop()
                self._leave(top)
                continue
            top.cursor = node.next if len(stack) > 1 else None
            if node.is_text_node:
                self._text(node.text_content or "", top)
            elif node.is_comment_node:
                self._comment(node.comment_content or "")
            else:
                stack.append(self._enter(node, top))
        self.too_large = True

    def _text(self, text: str, top: _Open) -> None:
        if not top.style.hides:
            self.writer.write(text, top.style.keeps_space)
            if not text.isspace():
                self.was_hidden = False
        elif not text.isspace() and top.tag not in _NO_TEXT:
            self._hide(text)

    def _hide(self, text: str) -> None:
        """Note hidden text; pieces that follow each other stay together."""
        if self.was_hidden:
            self.hidden[-1].append(text)
        else:
            self.hidden.append([text])
        self.was_hidden = True

    def _comment(self, text: str) -> None:
        words = _TAGS.sub(" ", _CONDITION.sub(" ", text[:_MOST_HIDDEN]))
        if any(letter.isalpha() for letter in words) and words.strip() not in ("StartFragment", "EndFragment"):
            self.was_hidden = False
            self._hide(words)
            self.was_hidden = False

    def _enter(self, node: LexborNode, top: _Open) -> _Open:
        tag = node.tag or ""
        attributes = node.attributes
        style = top.style
        if tag in _UNSEEN:
            style = hidden_box(style)
        elif attributes or node.mem_id in self.rules or tag == "pre":
            style = self._styled(node, tag, attributes, style)
        entered = _Open(node.child, style, tag)
        if style.shown:
            self.writer.open(tag, attributes)
            if tag == "a":
                entered.href, entered.link_start = (attributes.get("href") or "").strip(), self.writer.position
        for name in ("alt", "title", "aria-label"):
            if attributes.get(name) and tag not in _NO_TEXT:
                self._hide_attribute(attributes[name] or "")
        if tag == "input" and attributes.get("type") != "hidden" and attributes.get("value"):
            self._hide_attribute(attributes["value"] or "")
        return entered

    def _hide_attribute(self, text: str) -> None:
        if any(letter.isalpha() for letter in text):
            was, self.was_hidden = self.was_hidden, False
            self._hide(text)
            self.was_hidden = was and False

    def _styled(self, node: LexborNode, tag: str, attributes: dict[str, str | None], base: Style) -> Style:
        rules = dict(self.rules.get(node.mem_id, ()))
        for name, css in (("bgcolor", "background-color"), ("color", "color"), ("text", "color")):
            if attributes.get(name) and (name != "text" or tag == "body"):
                value = attributes[name] or ""
                rules.setdefault(css, value if color(value) != "" else f"#{value.lstrip('#')}")
        if tag == "pre":
            rules.setdefault("white-space", "pre")
        if attributes.get("style"):
            rules.update(declarations(attributes["style"] or ""))
        style = styled(base, rules) if rules else base
        if "hidden" in attributes or (attributes.get("aria-hidden") or "").strip().lower() == "true":
            return hidden_box(style)
        return style

    def _leave(self, left: _Open) -> None:
        if left.style.shown and left.tag:
            if left.href:
                self.writer.link(left.href, left.link_start)
            self.writer.close(left.tag)

    def hidden_texts(self) -> Iterator[str]:
        """The hidden pieces, white space folded."""
        for pieces in self.hidden:
            text = " ".join(" ".join(pieces).split())
            if text:
                yield text
