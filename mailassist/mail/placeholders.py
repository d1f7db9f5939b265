"""Messages that others name and that are not there, and where in the tree they stand (JWZ's empty containers)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mailassist.mail.message import Message


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A message that is named and missing."""

    message_id: str
    parent: str | None  # what it answers, a message or another placeholder, as References tell it
    children: tuple[str, ...]  # the messages and placeholders that answer it


@dataclass(slots=True)
class _Gap:
    parent: str | None
    anchor: str | None  # the nearest message above it that is there
    children: list[str] = field(default_factory=list)


def placeholders(
    messages: Iterable[Message], parents: Mapping[str, str | None], known: Collection[str]
) -> tuple[Placeholder, ...]:
    """The placeholders among `messages` of one conversation, those that are named first in front.

    `parents`: what each message answers that is there; `known`: the ids of all messages that are there, in whatever
    conversation. The tree that results has no cycles, whatever the messages claim: a placeholder hangs where it was
    named first, and has those children only that stand below the same message. Each is looked at once.
    """
    gaps: dict[str, _Gap] = {}
    for message in messages:
        message_id = message.message_id
        anchor = parents[message_id]
        fresh: list[str] = []
        above = anchor
        for named in _named(message, anchor):
            if named in known:
                continue
            gap = gaps.get(named)
            if gap is None:
                if not fresh or named != fresh[-1]:
                    fresh.append(named)
            elif gap.anchor == anchor:
                above = named
                break
        for named in dict.fromkeys(reversed(fresh)):
            gaps[named] = _Gap(above, anchor)
            if above in gaps:
                gaps[above].children.append(named)
            above = named
        if above in gaps:
            gaps[above].children.append(message_id)
    return tuple(Placeholder(named, gap.parent, tuple(gap.children)) for named, gap in gaps.items())


def _named(message: Message, anchor: str | None) -> Iterator[str]:
    """What `message` answers, and what that answers, and so on, as far as `anchor`."""
    answered = message.in_reply_to[0] if message.in_reply_to else ""
    if answered == anchor:
        return
    if answered:
        yield answered
    for reference in reversed(message.references):
        if reference == anchor:
            return
        if reference != answered:
            yield reference
