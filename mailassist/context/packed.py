"""What packing gives: the messages as the model sees them, and what it does not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailassist.context.asks import Ask


@dataclass(frozen=True, slots=True)
class PackedMessage:
    """One message as the model sees it."""

    message_id: str
    text: str
    tokens: int  # of header and text
    header: str = ""  # the line above it: delimiter, date, author
    shortened: bool = False  # some of it is left out
    summary: bool = False  # one line is left of it
    attached: str = ""  # the attachment that `text` is from, where it is an excerpt of one


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message, or a part of one, that the model does not see, and why."""

    message_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Packed:
    """What the model sees of a conversation, oldest message first."""

    messages: tuple[PackedMessage, ...]
    left_out: tuple[LeftOut, ...]
    tokens: int  # of messages and excerpts with their headers
    exact: bool  # False: `tokens` is an upper estimate
    delimiter: str
    subject: str = ""  # of the first message here; a later change stands in its message
    excerpts: tuple[PackedMessage, ...] = ()  # behind the thread: what older text says of what is asked now
    open_asks: tuple[Ask, ...] = ()  # what the other side asked and nobody answered, oldest first
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # which messages each one quotes

    @property
    def missing(self) -> int:
        """How many messages are left out as a whole."""
        return len({part.message_id for part in self.left_out} - {message.message_id for message in self.messages})
