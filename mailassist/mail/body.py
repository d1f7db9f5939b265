"""HTML to text: what a person would read, and apart from it what a person would not see.

selectolax (the lexbor parser) builds the tree; the walk over it is ours, since no library judges visibility. Nothing is
fetched, nothing recurses, and the tree is kept shallow before it is built: lexbor's time grows with its depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailassist.mail.css_cascade import Cascade
from mailassist.mail.css_selectors import Around, Budget
from mailassist.mail.css_syntax import medium_holds
from mailassist.mail.css_values import color
from mailassist.mail.html_style import Style, hidden_box, styled
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
_FONT_SIZES = {"1": "x-small", "2": "small", "4": "large", "5": "x-large", "6": "xx-large", "7": "xxx-large"}
# The contents of iframe, video, audio and canvas stand for what a mail program shows or blocks, and are not seen. Those
# of a closed details element are: most mail programs show them open, and a click does in the others.
_UNSEEN = frozenset({
    "head", "script", "style", "title", "template", "noscript", "object", "applet", "datalist", "annotation",
    "annotation-xml", "iframe", "video", "audio", "canvas", "noframes", "noembed", "rp", "desc", "metadata", "defs",
    "symbol", "clippath",
})  # fmt: skip
_STYLED = frozenset({"pre", "del", "s", "strike"})
_NO_TEXT = frozenset({"style", "script", "meta", "link", "base", "title", "head"})
_TAGS = re.compile(r"<(style|xml|script)\b.*?(?:</\1>|\Z)|<[^>]*>?|/\*.*?\*/", re.DOTALL | re.IGNORECASE)
_FOR_WORD = re.compile(r"\[if\s[^\]]{0,60}(?:mso|vml)", re.IGNORECASE)
_RUN = re.compile(r"(?<=[^\n ]) {4,}")
_PADDING = re.compile(r"\n(?: *\n){2,}")
_CONDITION = re.compile(r"\[(?:if\b[^\]]*|endif)\](?:>)?|<!", re.IGNORECASE)
_SMALLEST_PICTURE = 3  # pixels; smaller ones only count who opens the message
_LONGEST_EMOJI = 12
_MOST_PICTURES = 12
_NAME = re.compile(r"(?=.{1,40}\Z)[\w&'’.-]+(?: [\w&'’.-]+){0,3}")  # up to four words: no sentence, no address
_MOST_STEPS = 200_000  # elements and texts entered, and elements left
_MOST_HIDDEN = 20_000  # characters reported as hidden


def html_to_text(html: str, budget: Budget | None = None) -> HtmlText:
    """`html` as text: tables, lists and links readable, quotes as `> ` lines, hidden text apart. Never raises.

    `budget`: what may be spent on style sheets, where several pages share it.
    """
    html, cut = _shallow(html)
    tree = LexborHTMLParser(html)
    root = tree.root
    if root is None:
        return HtmlText("")
    walk = _Walk(Cascade(_sheets(tree), budget or Budget()), for_word=bool(_FOR_WORD.search(html)))
    walk.through(root)
    written = walk.writer.text()
    text, unseen = without_invisible(written)
    if text is not written:
        text = _PADDING.sub("\n\n", _RUN.sub(" ", text)).strip("\n")  # of which previews are kept empty
    hidden = tuple(_reported([*walk.hidden_texts(), *unseen]))
    warnings = ["structure-limit: the HTML is nested too deep"] if cut else []
    if walk.too_large:
        warnings.append("structure-limit: the HTML is too large; only its beginning was read")
    if walk.cascade.incomplete:
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


def _sheets(tree: LexborHTMLParser) -> Iterator[str]:
    """The style sheets in the page for our medium."""
    for node in tree.css("style"):
        media = node.attributes.get("media") or ""
        if not media.strip() or medium_holds(f"@media {media}"):
            yield node.text() or ""


def _hints(tag: str, attributes: dict[str, str | None]) -> dict[str, str]:
    """What an element's kind and attributes say of its style (HTML, 15.2 and 15.3)."""
    hints = {}
    if tag in _STYLED:
        hints = {"white-space": "pre"} if tag == "pre" else {"text-decoration-line": "line-through"}
    if not attributes:
        return hints
    for name, css in (("bgcolor", "background-color"), ("color", "color"), ("text", "color")):
        if attributes.get(name) and (name != "text" or tag == "body"):
            value = attributes[name] or ""
            hints[css] = value if color(value) != "" else f"#{value.lstrip('#')}"
    if attributes.get("background") and tag in ("body", "table", "tr", "td", "th"):
        hints["background-image"] = "url"
    if tag == "font" and attributes.get("size"):
        hints["font-size"] = _FONT_SIZES.get(attributes["size"] or "", "medium")
    if tag == "a" and "href" in attributes:
        hints["color"] = "#0000ee"
    if tag == "svg" and any((attributes.get(side) or "").strip() in ("0", "0px") for side in ("width", "height")):
        hints["display"] = "none"
    if "hidden" in attributes:
        hints["display"] = "none"
    return hints


@dataclass(slots=True)
class _Open:
    """An element that is being walked through."""

    cursor: LexborNode | None
    style: Style
    tag: str
    around: Around = field(default_factory=Around)  # what has matched around the next child
    variables: dict[str, str] = field(default_factory=dict)  # custom properties
    styles: dict[tuple[object, ...], tuple[Style, dict[str, str]]] = field(default_factory=dict)  # of the children
    href: str = ""
    link_start: int = 0


@dataclass(slots=True)
class _Walk:
    """One pass over the tree, with a stack of its own."""

    cascade: Cascade
    for_word: bool = False  # the page has parts that Outlook alone shows
    writer: Writer = field(default_factory=Writer)
    pictures: int = 0  # whose alternative text was written
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
            self.writer.write(text, top.style.keeps_space, top.style.struck)
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
        matched = self.cascade.match(node, tag, attributes, top.around)
        entered = _Open(node.child, top.style, tag, top.around.within(matched), top.variables)
        if tag in _UNSEEN or (tag == "dialog" and "open" not in attributes):
            entered.style = hidden_box(top.style)
        elif attributes or matched or tag in _STYLED:
            self._style(entered, top, attributes, matched)
        if entered.style.shown:
            self.writer.open(tag, attributes)
            if tag == "a":
                entered.href, entered.link_start = (attributes.get("href") or "").strip(), self.writer.position
        seen = tag == "img" and entered.style.shown and entered.style.visible and self._picture(attributes)
        for name in ("title", "aria-label") if seen else ("alt", "title", "aria-label"):
            if attributes.get(name) and tag not in _NO_TEXT:
                self._hide_attribute(attributes[name] or "")
        if tag == "input" and attributes.get("type") != "hidden" and attributes.get("value"):
            self._hide_attribute(attributes["value"] or "")
        return entered

    def _picture(self, attributes: dict[str, str | None]) -> bool:
        """Write what stands for a picture, where it is an emoji or no more than a name."""
        alt = " ".join((attributes.get("alt") or "").split())
        sides = ((attributes.get(side) or "").strip().removesuffix("px") for side in ("width", "height"))
        if not alt or any(side.isdecimal() and int(side[:9]) <= _SMALLEST_PICTURE for side in sides):
            return False
        if not any(letter.isalnum() for letter in alt) and len(alt) <= _LONGEST_EMOJI:
            self.writer.write(alt, keeps_space=False)
            return True
        if self.pictures >= _MOST_PICTURES or not _NAME.fullmatch(alt):
            return False
        self.pictures += 1
        self.writer.write(f"[image: {alt}]", keeps_space=False)
        return True

    def _hide_attribute(self, text: str) -> None:
        if any(letter.isalpha() for letter in text):
            was, self.was_hidden = self.was_hidden, False
            self._hide(text)
            self.was_hidden = was and False

    def _style(self, entered: _Open, top: _Open, attributes: dict[str, str | None], matched: int) -> None:
        """Give an element its style; siblings of which the same is said share it."""
        inline = attributes.get("style") or ""
        hints = _hints(entered.tag, attributes)
        unspoken = (attributes.get("aria-hidden") or "").strip().lower() == "true"
        key = (matched, inline, unspoken, *hints.items())
        if key not in top.styles:
            rules, variables = self.cascade.resolved(self.cascade.declared(matched, inline), top.variables)
            both = {**hints, **rules} if hints else rules  # hints are weaker than all rules (CSS Cascade 4, 6.4.4)
            style = styled(top.style, both) if both else top.style
            if unspoken or (both.get("mso-hide") == "all" and not self.for_word):
                style = hidden_box(style)
            top.styles[key] = (style, variables)
        entered.style, entered.variables = top.styles[key]

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
