"""Which rules of a stylesheet mean an element: selectors (Selectors 4), all of them at once, in one pass over the tree.

Lexbor's own matching takes quadratic time and worse for `:nth-child()`, `~` and `:has()`. Here the compounds of all
selectors are the bits of one number, moved along by shift-and (Baeza-Yates and Gonnet 1992, "A new approach to text
searching"): no selector goes back on its steps, whatever its combinators. Tests beyond tag, class and id draw on a
budget.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from mailassist.mail.css_syntax import plain, split_list

Weight = tuple[int, int, int]
_NAME = r"[^\x00-,./:-@\[-^`{-\x7f]+"  # all but ASCII's signs; as a set of what it is, it takes long to compile
_PIECE = re.compile(
    rf"\s*(?P<combinator>[>+~])\s*|(?P<space>\s+)|(?P<tag>{_NAME}|\*)|\#(?P<id>{_NAME})|\.(?P<cls>{_NAME})"
    rf"|\[(?P<attribute>[^\]]*)\]|(?P<colons>::?)(?P<pseudo>{_NAME})(?P<opens>\()?"
)
_ATTRIBUTE = re.compile(rf"""\s*({_NAME})\s*(?:([~|^$*]?=)\s*(?:"([^"]*)"|({_NAME}))\s*([iIsS])?\s*)?""")
_NTH = re.compile(r"\s*(?:([+-]?\d{0,6})n\s*(?:([+-])\s*(\d{1,6}))?|([+-]?\d{1,6}))\s*")
_NEVER = frozenset({
    "hover", "active", "focus", "focus-within", "focus-visible", "visited", "target", "before", "after", "first-line",
    "first-letter", "fullscreen", "invalid", "user-invalid", "autofill", "popover-open", "modal", "playing", "open",
    "indeterminate", "host", "defined",
})  # fmt: skip
_DEEPEST = 4  # selectors inside :not(), :is() and :has()
_LONGEST = 500  # characters of a selector


@dataclass(slots=True)
class Budget:
    """How much work may still be done for one page."""

    left: int = 300_000
    refused: bool = False

    def spend(self, steps: int = 1) -> bool:
        """Whether so much work may still be done."""
        self.left -= steps
        self.refused = self.refused or self.left < 0
        return self.left >= 0


@dataclass(slots=True)
class Element:
    """What selectors ask of an element."""

    node: LexborNode
    tag: str
    attributes: dict[str, str | None]
    classes: frozenset[str]


@dataclass(slots=True)
class Places:
    """Where elements stand among their siblings, counted once for each parent."""

    budget: Budget
    _known: dict[int, dict[int, tuple[int, int, int, int]]] = field(default_factory=dict)

    def of(self, node: LexborNode) -> tuple[int, int, int, int]:
        """The element's number from the first and from the last sibling, and the same among those of its tag."""
        parent = node.parent
        if parent is None:
            return 1, 1, 1, 1
        places = self._known.get(parent.mem_id)
        if places is None:
            places = self._known[parent.mem_id] = _counted(parent)
        return places.get(node.mem_id, (1, 1, 1, 1))


def _counted(parent: LexborNode) -> dict[int, tuple[int, int, int, int]]:
    totals: dict[str, int] = {}
    seen: list[tuple[int, str, int]] = []
    for child in parent.iter():
        tag = child.tag or ""
        totals[tag] = totals.get(tag, 0) + 1
        seen.append((child.mem_id, tag, totals[tag]))
    count = len(seen)
    return {
        identity: (index, count - index + 1, of_tag, totals[tag] - of_tag + 1)
        for index, (identity, tag, of_tag) in enumerate(seen, 1)
    }


Test = Callable[[Element, Places], bool]


@dataclass(slots=True)
class Compound:
    """Conditions on one element, and how it stands to the compound before it."""

    combinator: str = ""  # "" of the first, else " ", ">", "+" or "~"
    tag: str = ""
    id: str = ""
    classes: list[str] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)

    def plainly_fits(self, tag: str, identity: str, classes: frozenset[str]) -> bool:
        """Whether tag, id and classes are as this says."""
        return (not self.tag or self.tag == tag) and self.id in ("", identity) and classes.issuperset(self.classes)

    def fits(self, element: Element, places: Places) -> bool:
        """Whether the element is as this says, as far as the budget lasts."""
        identity = element.attributes.get("id") or ""
        if not (places.budget.spend() and self.plainly_fits(element.tag, identity, element.classes)):
            return False
        return all(test(element, places) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector: its compounds from left to right, and its weight."""

    compounds: tuple[Compound, ...]
    weight: Weight


class UnreadableSelectorError(ValueError):
    """A selector that this cannot judge."""


class NeverError(ValueError):
    """A selector that means no element of a page that nobody touches."""


def parse(selector: str, depth: int = 0) -> Selector:
    """Read one selector.

    Raises NeverError where it means no element (`:hover`, `::before`), UnreadableSelectorError where it cannot be
    judged.
    """
    if len(selector) > _LONGEST or depth > _DEEPEST:
        raise UnreadableSelectorError(selector[:80])
    compounds = [Compound()]
    weight = (0, 0, 0)
    position = 0
    begun = False  # whether the last compound says anything yet
    while position < len(selector):
        match = _PIECE.match(selector, position)
        if match is None or (match["combinator"] and not begun):
            raise UnreadableSelectorError(selector)
        position = match.end()
        if match["combinator"] or match["space"]:
            compounds.append(Compound(match["combinator"] or " "))
            begun = False
            continue
        argument = ""
        if match["opens"]:
            argument, position = _argument(selector, position)
        weight = _sum(weight, _take(compounds[-1], match, argument, depth))
        begun = True
    if not begun:
        raise UnreadableSelectorError(selector)
    return Selector(tuple(compounds), weight)


def _argument(selector: str, start: int) -> tuple[str, int]:
    """What stands in the parentheses that open before `start`, and where to go on."""
    depth = 1
    for position in range(start, len(selector)):
        depth += {"(": 1, ")": -1}.get(selector[position], 0)
        if depth == 0:
            return selector[start:position], position + 1
    raise UnreadableSelectorError(selector)


def _sum(one: Weight, other: Weight) -> Weight:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _take(compound: Compound, match: re.Match[str], argument: str, depth: int) -> Weight:
    """Add one simple selector to `compound`; its weight."""
    if match["tag"]:
        compound.tag = "" if match["tag"] == "*" else plain(match["tag"]).lower()
        return (0, 0, 1) if compound.tag else (0, 0, 0)
    if match["id"]:
        compound.id = plain(match["id"])
        return 1, 0, 0
    if match["cls"]:
        compound.classes.append(plain(match["cls"]))
        return 0, 1, 0
    if match["attribute"] is not None:
        compound.tests.append(_attribute_test(match["attribute"]))
        return 0, 1, 0
    name = match["pseudo"].lower()
    if match["colons"] == "::" or name in _NEVER or name.startswith("-"):
        raise NeverError(name)
    if name in ("not", "is", "where", "matches", "any", "has"):
        return _with_selectors(compound, name, argument, depth)
    compound.tests.append(_pseudo_class(name, argument))
    return 0, 1, 0


def _attribute_test(text: str) -> Test:
    match = _ATTRIBUTE.fullmatch(text)
    if match is None:
        raise UnreadableSelectorError(text)
    name, sign = plain(match[1]), match[2] or ""
    wanted = plain(match[3] if match[3] is not None else match[4] or "")
    folded = (match[5] or "").lower() == "i" or name.lower() in ("type", "align", "dir", "bgcolor", "color", "valign")

    def test(element: Element, places: Places) -> bool:
        attributes = element.attributes
        if name not in attributes and name.lower() not in attributes:
            return False
        value = attributes.get(name, attributes.get(name.lower())) or ""
        return _compared(value.lower(), sign, wanted.lower()) if folded else _compared(value, sign, wanted)

    return test


def _compared(value: str, sign: str, wanted: str) -> bool:
    if sign in ("", "="):
        return not sign or value == wanted
    if sign == "|=":
        return value == wanted or value.startswith(f"{wanted}-")
    if not wanted:
        return False
    if sign == "~=":
        return wanted in value.split()
    if sign == "^=":
        return value.startswith(wanted)
    return value.endswith(wanted) if sign == "$=" else wanted in value


def _pseudo_class(name: str, argument: str) -> Test:
    if name in _SIMPLE_TESTS:
        return _SIMPLE_TESTS[name]
    which = {"nth-child": 0, "nth-last-child": 1, "nth-of-type": 2, "nth-last-of-type": 3}.get(name)
    if which is None:
        raise UnreadableSelectorError(name)
    step, first = _nth(argument)
    return lambda element, places: _counts(places.of(element.node)[which], step, first)


def _nth(argument: str) -> tuple[int, int]:
    """An+B (CSS Syntax 3, 6)."""
    argument = argument.strip().lower()
    if argument in ("odd", "even"):
        return 2, 1 if argument == "odd" else 0
    match = _NTH.fullmatch(argument)
    if match is None:
        raise UnreadableSelectorError(argument)
    if match[4]:
        return 0, int(match[4])
    step = match[1]
    return int(f"{step}1") if step in ("", "+", "-") else int(step), int(f"{match[2] or '+'}{match[3] or 0}")


def _counts(number: int, step: int, first: int) -> bool:
    if step == 0:
        return number == first
    times, rest = divmod(number - first, step)
    return rest == 0 and times >= 0


def _empty(element: Element, places: Places) -> bool:
    child = element.node.child
    while child is not None and child.is_comment_node and places.budget.spend():
        child = child.next
    return child is None


_SIMPLE_TESTS: dict[str, Test] = {
    "first-child": lambda element, places: places.of(element.node)[0] == 1,
    "last-child": lambda element, places: places.of(element.node)[1] == 1,
    "only-child": lambda element, places: places.of(element.node)[:2] == (1, 1),
    "first-of-type": lambda element, places: places.of(element.node)[2] == 1,
    "last-of-type": lambda element, places: places.of(element.node)[3] == 1,
    "only-of-type": lambda element, places: places.of(element.node)[2:] == (1, 1),
    "root": lambda element, places: element.tag == "html",
    "scope": lambda element, places: element.tag == "html",
    "link": lambda element, places: element.tag == "a" and "href" in element.attributes,
    "any-link": lambda element, places: element.tag == "a" and "href" in element.attributes,
    "checked": lambda element, places: "checked" in element.attributes or "selected" in element.attributes,
    "disabled": lambda element, places: "disabled" in element.attributes,
    "enabled": lambda element, places: element.tag == "input" and "disabled" not in element.attributes,
    "empty": _empty,
}


def _with_selectors(compound: Compound, name: str, argument: str, depth: int) -> Weight:
    """`:not()`, `:is()` and their like: their arguments are single compounds here."""
    inner: list[Compound] = []
    weights: list[Weight] = [(0, 0, 0)]
    for one in split_list(argument):
        try:
            selector = parse(one.removeprefix(">").strip() if name == "has" else one, depth + 1)
        except NeverError:
            continue
        if len(selector.compounds) != 1:
            raise UnreadableSelectorError(one)
        inner.append(selector.compounds[0])
        weights.append(selector.weight)
        if name == "has" and one.startswith(">"):
            inner[-1].combinator = ">"
    compound.tests.append(_has(inner) if name == "has" else _any(inner, name != "not"))
    return (0, 0, 0) if name == "where" else max(weights)


def _any(inner: list[Compound], wanted: bool) -> Test:
    def test(element: Element, places: Places) -> bool:
        return any(one.fits(element, places) for one in inner) == wanted and not places.budget.refused

    return test


def _has(inner: list[Compound]) -> Test:
    descendants = [one for one in inner if not one.combinator]

    def test(element: Element, places: Places) -> bool:
        for below, level in _below(element.node, bool(descendants), places.budget):
            if any(one.fits(below, places) for one in (inner if level == 1 else descendants)):
                return not places.budget.refused
        return False

    return test


def _below(node: LexborNode, deeper: bool, budget: Budget) -> Iterator[tuple[Element, int]]:
    """The children of `node` (`deeper`: and all that is inside them), and how deep they stand."""
    waiting = [(node.child, 1)]
    while waiting and budget.spend():
        one, level = waiting.pop()
        if one is None:
            continue
        waiting.append((one.next, level))
        if one.is_element_node:
            attributes = one.attributes
            yield Element(one, one.tag or "", attributes, frozenset((attributes.get("class") or "").split())), level
            if deeper:
                waiting.append((one.child, level + 1))


@dataclass(slots=True)
class Around:
    """Which compounds the elements around the next one have matched: a bit each."""

    inside: int = 0  # of any element around it
    parent: int = 0
    earlier: int = 0  # of any sibling before it
    previous: int = 0

    def within(self, matched: int) -> Around:
        """What stands around the first child of an element that `matched`."""
        return Around(self.inside | matched, matched)

    def passed(self, matched: int) -> None:
        """An element that `matched` lies behind now."""
        self.earlier |= matched
        self.previous = matched


class Matcher:
    """All selectors of a page, matched together; the bits of the last compounds tell which of them mean an element."""

    def __init__(self, selectors: list[Selector], budget: Budget) -> None:
        """Number the compounds in the order of the selectors."""
        self.places = Places(budget)
        self.last: dict[int, int] = {}  # the bit of a selector's last compound -> the selector's number
        self.lasts = 0
        self._after = {"": 0, " ": 0, ">": 0, "+": 0, "~": 0}
        self._by_id: dict[str, list[tuple[int, Compound]]] = {}
        self._by_class: dict[str, list[tuple[int, Compound]]] = {}
        self._by_tag: dict[str, list[tuple[int, Compound]]] = {}
        self._known: dict[tuple[str, str, str], tuple[int, list[tuple[int, Compound]], frozenset[str]]] = {}
        bit = 1
        for number, selector in enumerate(selectors):
            for compound in selector.compounds:
                self._after[compound.combinator] |= bit
                self._file(bit, compound)
                bit <<= 1
            self.last[bit >> 1] = number
            self.lasts |= bit >> 1

    def _file(self, bit: int, compound: Compound) -> None:
        if compound.id:
            self._by_id.setdefault(compound.id, []).append((bit, compound))
        elif compound.classes:
            self._by_class.setdefault(compound.classes[0], []).append((bit, compound))
        else:
            self._by_tag.setdefault(compound.tag, []).append((bit, compound))

    def match(self, node: LexborNode, tag: str, attributes: dict[str, str | None], around: Around) -> int:
        """The bits of the compounds that this element ends, given what stands `around` it."""
        possible = (
            self._after[""]
            | around.inside << 1 & self._after[" "]
            | around.parent << 1 & self._after[">"]
            | around.previous << 1 & self._after["+"]
            | around.earlier << 1 & self._after["~"]
        )
        fitting, asking, classes = self._fitting(tag, attributes)
        if asking and not self.places.budget.refused:
            element = Element(node, tag, attributes, classes)
            for bit, compound in asking:
                if possible & bit and compound.fits(element, self.places):
                    fitting |= bit
        return fitting & possible

    def _fitting(
        self, tag: str, attributes: dict[str, str | None]
    ) -> tuple[int, list[tuple[int, Compound]], frozenset[str]]:
        """Which compounds fit by tag, id and classes alone, and which of those that do have more to ask."""
        identity, classed = attributes.get("id") or "", attributes.get("class") or ""
        found = self._known.get((tag, identity, classed))
        if found is None:
            classes = frozenset(classed.split())
            bits, asking = 0, []
            for bit, compound in self._candidates(tag, identity, classes):
                if not self.places.budget.spend():
                    break
                if compound.plainly_fits(tag, identity, classes):
                    if compound.tests:
                        asking.append((bit, compound))
                    else:
                        bits |= bit
            found = self._known[(tag, identity, classed)] = (bits, asking, classes)
        return found

    def _candidates(self, tag: str, identity: str, classes: frozenset[str]) -> Iterator[tuple[int, Compound]]:
        yield from self._by_id.get(identity, ())
        for name in classes if len(classes) < len(self._by_class) else self._by_class.keys() & classes:
            yield from self._by_class.get(name, ())
        yield from self._by_tag.get(tag, ())
        yield from self._by_tag.get("", ())
