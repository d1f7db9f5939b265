"""What is sent to the model: Jinja2 templates, filled with a packed conversation.

Instructions stand in the system message; all that came by mail stands in the user message, between lines that begin
with a number nobody can guess. Templates of the same name in the user's folder take the place of ours.

What two prompts of one conversation have in common stands first, for the provider's cache: instructions, then the
messages, oldest to newest. All that changes from one prompt to the next stands behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mailassist.config import Length
from mailassist.context.clean import data_text, file_name, one_line
from mailassist.context.language import language_name
from mailassist.context.pack import Packing
from mailassist.context.packed import Packed
from mailassist.context.tokens import BytePairCounter, TokenCounter
from mailassist.drafting.attachments import SHARE, Documents, SentPicture, Sight, chosen, of_participants, told
from mailassist.drafting.length import sentences
from mailassist.drafting.rendering import render
from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.mail.message import Address
    from mailassist.mail.threads import Conversation

# What the chat format itself costs beside the two texts: three tokens a message, one for its role, three that open
# the answer (OpenAI cookbook, "How to count tokens with tiktoken").
FRAME_TOKENS = 11
# The same for models whose chat template we do not know: SmolLM2's (ChatML) costs 14; an upper estimate.
UNKNOWN_FRAME_TOKENS = 24
LEAST_MAIL = 200  # tokens that pictures leave to the mail itself

LONGEST_ASK = 240  # characters of an open question with its author and day
MOST_NAMES = 6  # recipients of the newest message that are named
IN_PLAIN_SIGHT = 2  # open questions of the newest message that need not be listed once more

# Not strftime: it speaks the language of the machine.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Author:
    """In whose name the reply is written; all that a template may know of an identity."""

    name: str
    address: str
    has_signature: bool = True  # code adds it below the reply; False: the reply ends with the name
    length: Length = "auto"  # of the reply


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants of this reply."""

    instruction: str = ""
    previous: str = ""  # the draft to start from, when one is revised
    language: str = ""  # BCP 47; "": as the conversation
    reply_all: bool = False  # to all recipients of the message answered, not to its sender alone


@dataclass(frozen=True, slots=True)
class AttachedText:
    """What an attachment adds to a prompt."""

    message_id: str
    name: str  # hostile
    tokens: int  # of all its text
    whole: bool  # all of it is in the prompt
    sent_tokens: int = 0  # of what of it is in the prompt


@dataclass(frozen=True, slots=True)
class Prompt:
    """Exactly what would be sent, and what it costs: `images` first, then `input`."""

    instructions: str  # the system or developer message
    input: str  # the user message
    tokens: int  # everything that is billed as input
    instruction_tokens: int
    input_tokens: int
    frame_tokens: int  # what the chat format itself costs
    exact: bool  # False: the sum, or every count, is an upper estimate
    packed: Packed
    estimated_price: float | None = None  # US dollars for the input; None: the price is not known
    images: tuple[SentPicture, ...] = ()  # in front of the input; counted in `tokens`
    documents: tuple[AttachedText, ...] = ()  # which attachments had something to say
    language: str = ""  # BCP 47, of the reply; "": nothing tells
    sentences: tuple[int, int] = (0, 0)  # from how many to how many the reply is to have

    @property
    def message_ends(self) -> tuple[int, ...]:
        """Where in `input` each message ends, in characters: up to there, a later prompt may be the same."""
        lines = [
            line.start() for line in re.finditer(f"^{re.escape(self.packed.delimiter)} ", self.input, re.MULTILINE)
        ]
        return tuple(lines[2 : 2 + len(self.packed.messages)])  # the first opens the subject


def build(
    conversation: Conversation,
    author: Author,
    wish: Wish,
    *,
    budget: int,
    counter: TokenCounter,
    delimiter: str,
    today: date,
    overrides: Path | None = None,
    input_price: float | None = None,
    documents: Documents | None = None,
    sight: Sight | None = None,
) -> Prompt:
    """The prompt for the next reply in `conversation`, of at most `budget` tokens.

    `overrides`: the folder with the user's own templates; `input_price`: US dollars per million input tokens;
    `documents`: what the attachments say, by Message-ID; `sight`: which model is to see their pictures, if any.
    Raises ConfigError for a template that cannot be rendered, InputError where `budget` does not even hold the
    instructions and the beginning of the newest message.
    """
    letter = _Letter(conversation, author, wish, delimiter, today, overrides, counter)
    empty = Packed((), (), 0, counter.exact, delimiter)
    fixed = letter.tokens(empty)
    files = of_participants(conversation, documents or {})
    packed = _packed(letter, conversation, budget, fixed, counter, told(conversation, files, (), sight))
    images: list[SentPicture] = []
    shown = any(one.pictures for several in files.values() for one in several)
    if packed is not None and sight is not None and shown:
        words = letter.tokens(packed)
        room = min(max(budget // SHARE, budget - words), budget - fixed - LEAST_MAIL)
        images = chosen(conversation, files, sight.beside(words), room)
    said = told(conversation, files, images, sight)
    if images:
        text_budget = budget - sum(one.tokens for one in images)
        packed = _packed(letter, conversation, text_budget, fixed, counter, said)
    if packed is None:
        cure = f"The instructions alone need {fixed}; allow {fixed + 100}."
        raise InputError(f"A budget of {budget} tokens is too small", cure=cure)
    made = _finished(letter, packed, counter, input_price, images)
    return replace(made, documents=tuple(_attached_texts(said, made, counter, delimiter))) if said else made


def _packed(
    letter: _Letter, conversation: Conversation, budget: int, fixed: int, counter: TokenCounter, documents: Documents
) -> Packed | None:
    """As much of the conversation as makes a prompt of at most `budget` tokens; None where nothing does."""
    packing = Packing(conversation, counter, letter.delimiter, documents, budget)
    room = budget - fixed
    while room > 0:
        packed = packing.within(room)
        tokens = letter.tokens(packed)
        if tokens <= budget and packed.messages:
            return packed
        room -= max(tokens - budget, 1)
    return None


def _attached_texts(
    documents: Documents, prompt: Prompt, counter: TokenCounter, delimiter: str
) -> Iterator[AttachedText]:
    for message_id, several in documents.items():
        for one in several:
            text = data_text(one.text, delimiter)
            if text:
                tokens, whole = counter.count(text), text in prompt.input
                name = file_name(one.name, delimiter)
                sent = tokens if whole else sum(map(counter.count, _sent_parts(prompt.packed, message_id, name)))
                yield AttachedText(message_id, one.name, tokens, whole, min(sent, tokens))


def _sent_parts(packed: Packed, message_id: str, name: str) -> Iterator[str]:
    """What is in the prompt of an attachment that is not whole: what stands below its message, and excerpts."""
    for message in packed.messages:
        if message.message_id == message_id:
            yield message.text.partition(f"\n[attached {name}]\n")[2].partition("\n[attached ")[0]
    for excerpt in packed.excerpts:
        if (excerpt.message_id, excerpt.attached) == (message_id, name):
            yield excerpt.text


def frame_tokens(counter: TokenCounter) -> int:
    """What the chat format costs beside the two texts."""
    return FRAME_TOKENS if isinstance(counter, BytePairCounter) else UNKNOWN_FRAME_TOKENS


def _finished(
    letter: _Letter, packed: Packed, counter: TokenCounter, input_price: float | None, images: Sequence[SentPicture]
) -> Prompt:
    made, frame = letter.written(packed), frame_tokens(counter)
    tokens = letter.tokens(packed) + sum(one.tokens for one in images)
    return Prompt(
        made.instructions,
        made.input,
        tokens,
        made.own_tokens,
        made.input_tokens,
        frame,
        isinstance(counter, BytePairCounter),
        packed,
        None if input_price is None else tokens * input_price / 1e6,
        tuple(images),
        language=letter.wish.language,
        sentences=letter.length(packed),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """A prompt with `packed` in it."""

    packed: Packed
    instructions: str
    input: str
    own_tokens: int  # of the instructions
    input_tokens: int


@dataclass
class _Letter:
    """Everything of a prompt but the messages."""

    conversation: Conversation
    author: Author
    wish: Wish
    delimiter: str
    today: date
    overrides: Path | None
    counter: TokenCounter
    _last: _Written | None = field(default=None, init=False)

    def tokens(self, packed: Packed) -> int:
        """What the whole prompt costs with `packed` in it."""
        made = self.written(packed)
        return made.own_tokens + made.input_tokens + frame_tokens(self.counter)

    def written(self, packed: Packed) -> _Written:
        """Instructions and input, counted; what was made last is not made again."""
        last = self._last
        if last is not None and last.packed is packed:
            return last
        instructions, text = self._write(packed)
        is_same = last is not None and last.instructions == instructions
        own = last.own_tokens if last is not None and is_same else self.counter.count(instructions)
        self._last = made = _Written(packed, instructions, text, own, self.counter.count(text))
        return made

    def _write(self, packed: Packed) -> tuple[str, str]:
        """Instructions and input, for `packed`."""
        least, most = self.length(packed)
        values = {
            "author": self.author,
            "delimiter": self.delimiter,
            "subject": packed.subject,
            "messages": packed.messages,
            "excerpts": packed.excerpts,
            "left_out": packed.missing,
            "in_short": sum(message.summary for message in packed.messages),
            "newest": self._newest(),
            "asks": self._open_asks(packed),
            "previous": data_text(self.wish.previous, self.delimiter),
            "instruction": self.wish.instruction.strip(),
            "language": language_name(self.wish.language),
            "goes_to": self._goes_to(),
            "least": least,
            "most": most,
            "today": f"{_DAYS[self.today.weekday()]}, {self.today.isoformat()}",
        }
        task = "revise.j2" if self.wish.previous else "reply.j2"
        return render("system.j2", values, self.overrides), render(task, values, self.overrides)

    def length(self, packed: Packed) -> tuple[int, int]:
        """From how many to how many sentences the reply is to have."""
        return sentences(packed.open_asks, self.author.length)

    def _newest(self) -> str:
        """The year of the message that is answered, and who got it: `2026, to me and Luke, cc Tom`."""
        answered = self.conversation.answered.message
        year = "undated" if answered.date is None else str(answered.date.year)
        copied = f", cc {self._names(answered.cc)}" if answered.cc else ""
        return f"{year}, to {self._names(answered.to) or 'undisclosed'}{copied}"

    def _names(self, addresses: Sequence[Address]) -> str:
        """Their names, shortly; "me" stands first."""
        others = [address for address in addresses if not self.conversation.own.owns(address.email)]
        names = ["me"] if len(others) < len(addresses) else []
        for address in others[:MOST_NAMES]:
            name = one_line(data_text(address.name or address.email.partition("@")[0], self.delimiter), 40)
            names.append(name.rstrip(",;") if name and name.casefold() != "me" else "other")
        names += [f"{len(others) - MOST_NAMES} more"] if len(others) > MOST_NAMES else []
        return ", ".join(names)

    def _goes_to(self) -> str:
        """Who gets the reply, where the message answered went to more people than the user."""
        answered = self.conversation.answered.message
        recipients = (*answered.to, *answered.cc)
        if all(self.conversation.own.owns(address.email) for address in recipients):
            return ""
        return "all of them" if self.wish.reply_all else "its sender only"

    def _open_asks(self, packed: Packed) -> list[str]:
        """What is still open, one line each: what older messages ask, and the newest where it asks several things."""
        answered = self.conversation.newest_from_others
        newest = answered.message.message_id if answered else ""
        shown = sum(ask.message_id == newest for ask in packed.open_asks) > IN_PLAIN_SIGHT
        return [
            one_line(data_text(f"{ask.author}, {ask.day}: {ask.text}", self.delimiter), LONGEST_ASK)
            for ask in packed.open_asks
            if shown or ask.message_id != newest
        ]
