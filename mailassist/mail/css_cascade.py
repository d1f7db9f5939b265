"""What a page's style sheets and attributes say of an element, in order of weight (CSS Cascade 4, 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from mailassist.mail.css_properties import expand, matters, with_variables
from mailassist.mail.css_selectors import (
    Around,
    Budget,
    Matcher,
    NeverError,
    Selector,
    UnreadableSelectorError,
    parse,
)
from mailassist.mail.css_syntax import Declaration, clean, declarations, rules, split_list

_MOST_SELECTORS = 2_000
_MOST_COMPOUNDS = 6_000
_MOST_VARIABLES = 100
_LONGEST_SHEET = 400_000  # characters
_LONGEST_ATTRIBUTE = 8_000
_Longhands = dict[str, str]


@dataclass(slots=True)
class Said:
    """Longhand properties and custom properties, by whether they are !important."""

    normal: _Longhands = field(default_factory=dict)
    important: _Longhands = field(default_factory=dict)

    def add(self, said: Iterable[Declaration]) -> None:
        """Take declarations, each stronger than those before it."""
        for one in said:
            (self.important if one.important else self.normal).update(expand(one.name, one.value))

    def with_inline(self, inline: Said) -> _Longhands:
        """These and those of a style attribute; what is !important in either is stronger than all that is not."""
        return {**self.normal, **inline.normal, **self.important, **inline.important}

    @property
    def together(self) -> _Longhands:
        """All of these."""
        return {**self.normal, **self.important}


_NOTHING = Said()


class Cascade:
    """The style sheets and style attributes of one page."""

    def __init__(self, sheets: Iterable[str], budget: Budget) -> None:
        """Read style sheets; more than the limits allow is left out, which `incomplete` tells."""
        self.budget = budget
        self._undecided = False
        self._variables: set[str] = set()
        self.uses_variables = False
        self._said: list[tuple[Declaration, ...]] = []  # by the number of the selector
        self._merged: dict[int, tuple[Said, _Longhands]] = {0: (_NOTHING, {})}
        self._inline: dict[str, Said] = {}
        css = "\n".join(sheets)
        self._undecided = len(css) > _LONGEST_SHEET
        found = list(self._read(css[:_LONGEST_SHEET]))
        found.sort(key=lambda one: one[0].weight)
        self._matcher = Matcher([selector for selector, _ in found], self.budget) if found else None
        self._said = [said for _, said in found]

    def _read(self, css: str) -> Iterator[tuple[Selector, tuple[Declaration, ...]]]:
        """The selectors whose rules matter, as far as the limits go."""
        selectors = compounds = 0
        for names, text in rules(css):
            said = self._mattering(declarations(text))
            for selector in self._readable(names) if said else ():
                selectors, compounds = selectors + 1, compounds + len(selector.compounds)
                if selectors > _MOST_SELECTORS or compounds > _MOST_COMPOUNDS:
                    self._undecided = True
                    return
                yield selector, said

    def _mattering(self, said: Iterable[Declaration]) -> tuple[Declaration, ...]:
        """The declarations that matter, of custom properties only so many."""
        kept = []
        for one in said:
            if one.name.startswith("--") and one.name not in self._variables:
                if len(self._variables) >= _MOST_VARIABLES:
                    self._undecided = True
                    continue
                self._variables.add(one.name)
            self.uses_variables = self.uses_variables or one.name.startswith("--") or "var(" in one.value
            if matters(one.name):
                kept.append(one)
        return tuple(kept)

    def _readable(self, names: str) -> Iterator[Selector]:
        for name in split_list(names)[: _MOST_SELECTORS + 1]:
            try:
                yield parse(name)
            except NeverError:
                continue
            except UnreadableSelectorError:
                self._undecided = True

    @property
    def incomplete(self) -> bool:
        """Whether some rules were not looked at, or not for every element."""
        return self._undecided or self.budget.refused

    def match(self, node: LexborNode, tag: str, attributes: dict[str, str | None], around: Around) -> int:
        """Which rules mean this element, as bits for `declared`; `around` is told that the element was passed."""
        if self._matcher is None:
            return 0
        matched = self._matcher.match(node, tag, attributes, around)
        around.passed(matched)
        return matched

    def declared(self, matched: int, style: str) -> _Longhands:
        """The longhand properties that the rules `matched` and a `style` attribute give an element; to be read only."""
        said, together = self._from_rules(matched & self._matcher.lasts if self._matcher else 0)
        return said.with_inline(self._from_attribute(style)) if style else together

    def _from_rules(self, matched: int) -> tuple[Said, _Longhands]:
        known = self._merged.get(matched)
        if known is None:
            said = Said()
            for number in self._numbers(matched):
                if not self.budget.spend(len(self._said[number])):
                    break
                said.add(self._said[number])
            known = self._merged[matched] = (said, said.together)
        return known

    def _numbers(self, matched: int) -> Iterator[int]:
        """The numbers of the selectors whose bits are set."""
        while matched and self._matcher:
            bit = matched & -matched
            matched ^= bit
            yield self._matcher.last[bit]

    def _from_attribute(self, style: str) -> Said:
        known = self._inline.get(style)
        if known is None:
            self._undecided = self._undecided or len(style) > _LONGEST_ATTRIBUTE
            known = self._inline[style] = Said()
            known.add(self._mattering(declarations(clean(style[:_LONGEST_ATTRIBUTE]))))
        return known

    def resolved(self, rules: _Longhands, outer: _Longhands) -> tuple[_Longhands, _Longhands]:
        """`rules` without var(), and the custom properties of their element inside one that has those of `outer`."""
        if not self.uses_variables or not rules or not self.budget.spend(1 + len(rules) // 8):
            return rules, outer
        own = {name: value for name, value in rules.items() if name.startswith("--")}
        known = {**outer, **own} if any(outer.get(name) != value for name, value in own.items()) else outer
        waiting = [name for name, value in rules.items() if "var(" in value and name not in own]
        if not waiting or not self.budget.spend(10 * len(waiting)):
            return rules, known
        return {**rules, **{name: with_variables(rules[name], known, name) for name in waiting}}, known
