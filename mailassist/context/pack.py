"""Which part of a conversation the model sees under a token budget.

Of each message only what its author newly wrote is taken, quoted text only where its original is not in the
conversation, and what its attachments say. Where that fits, all of it is packed. Where it does not, the order of worth
is: the message to answer, what it answers, the rest newest first; of older messages one line is left, made without a
model; and behind the thread stands what older messages and attachments say that the newest one asks about. The thread
itself depends on its own messages only and is cut in large steps, so that the next prompt of the conversation begins
with the same tokens. Hidden text, Bcc and signatures never enter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mailassist.context.material import QUOTED, Material
from mailassist.context.packed import LeftOut, Packed, PackedMessage
from mailassist.context.shorten import CHARACTERS, shorten
from mailassist.context.summary import joined, summary
from mailassist.context.tokens import TokenCounter
from mailassist.context.worth import Piece, Question
from mailassist.documents import Document
from mailassist.mail.threads import Conversation

NAME_SHARE = 16  # the part of the budget that one name may have where counts are estimates, far above the truth
SHORTEST = 24  # tokens below which what is left of a message says nothing
SUMMARY_SHARE = 0.15  # of the budget, for one-line summaries, where not all messages fit whole
EXCERPT_SHARE = 0.45  # of the budget, for excerpts from what is left out
MOST_EXCERPTS = 4_000  # tokens that are kept free for them
STEPS = 8  # the steps in which a budget's worth of messages gives way

SECTION = 8_000  # characters
_LONGEST_DOCUMENT = 200_000  # characters that are looked through for what is asked


def pack(
    conversation: Conversation,
    budget: int,
    counter: TokenCounter,
    delimiter: str,
    documents: Mapping[str, Sequence[Document]] | None = None,
) -> Packed:
    """Fill `budget` tokens with the messages of `conversation`; the result is in reading order.

    The newest message and the one answered are always in, cut where they are too long, unless `budget` does not even
    hold their headers. `documents`: what the attachments of each message say, by Message-ID. Messages without a
    participant in common with the one answered never enter.
    """
    return Packing(conversation, counter, delimiter, documents, budget).within(budget)


class Packing:
    """A conversation made ready to be packed, under one budget after another."""

    def __init__(
        self,
        conversation: Conversation,
        counter: TokenCounter,
        delimiter: str,
        documents: Mapping[str, Sequence[Document]] | None = None,
        most: int | None = None,
    ) -> None:
        """`most`: the largest budget that it will be packed under."""
        self._conversation = conversation
        self._material = Material(conversation, counter, delimiter, documents or {}, most)

    def within(self, budget: int) -> Packed:
        """What of it fits `budget` tokens; see `pack`."""
        material = self._material
        choice = _Choice(material, budget)
        messages, excerpts = choice.made()
        return Packed(
            tuple(messages),
            tuple(choice.left_out(self._conversation, messages)),
            sum(message.tokens for message in (*messages, *excerpts)),
            material.counter.exact,
            material.delimiter,
            material.subject(messages[0].message_id) if messages else "",
            tuple(excerpts),
            material.asks,
            material.sources,
        )


@dataclass
class _Choice:
    """What of a conversation is packed under one budget."""

    material: Material
    budget: int
    chosen: dict[int, PackedMessage] = field(default_factory=dict)  # by the number of the message
    seen: dict[int, str] = field(default_factory=dict)  # what is left of the texts that are shortened

    def __post_init__(self) -> None:
        self.parts = self.material.parts
        self.counter = self.material.counter
        self.answered = self.material.answered
        self.attached = self.material.attached

    def made(self) -> tuple[list[PackedMessage], list[PackedMessage]]:
        """The messages and the excerpts that fit."""
        everything = self._everything()
        if everything is not None:
            return everything, []
        room = self._older(self._must())
        for number in sorted(self.chosen, reverse=True):
            room -= self._more(number, room)
        excerpts = self._excerpts(room)
        return [self.chosen[number] for number in sorted(self.chosen)], excerpts

    def left_out(self, conversation: Conversation, messages: Sequence[PackedMessage]) -> Iterator[LeftOut]:
        """What the model does not see, oldest first."""
        members = {part.entry.message.message_id: number for number, part in enumerate(self.parts)}
        packed = {message.message_id: message for message in messages}
        for message_id in (entry.message.message_id for entry in conversation.entries):
            number, message = members.get(message_id), packed.get(message_id)
            if number is None:
                yield LeftOut(message_id, "no participant in common with the message answered")
            elif message is None:
                yield LeftOut(message_id, "over the token budget")
            elif message.summary:
                yield LeftOut(message_id, "one line is left, for the token budget")
            elif message.shortened:
                yield LeftOut(message_id, "shortened to the token budget")
            elif self.parts[number].quoted and self.parts[number].quoted not in message.text:
                yield LeftOut(message_id, "quoted text shortened to the token budget")
            for document in (
                self.attached[number] if number is not None and (message is None or message.shortened) else ()
            ):
                yield LeftOut(message_id, f"attachment {document.name}: shortened to the token budget")

    def _header(self, number: int) -> str:
        return self.material.header(number, self.budget // NAME_SHARE)

    def _counted(self, header: str, text: str) -> int:
        return self.counter.count(header + "\n") + self.counter.count(text + "\n")

    def _cost(self, number: int) -> int:
        """The tokens of a message's own text; more than the budget of one that is far too long to be counted."""
        text = self.parts[number].text
        too_long = len(text) > self.budget * CHARACTERS
        return self.budget + 1 if too_long else self._counted(self._header(number), text)

    def _whole_text(self, number: int) -> str:
        return self.material.whole[number]

    def _everything(self) -> list[PackedMessage] | None:
        """All messages whole, where they fit."""
        texts = [self._whole_text(number) for number in range(len(self.parts))]
        if sum(map(len, texts)) > self.budget * CHARACTERS:
            return None
        messages = []
        room = self.budget
        for number, text in enumerate(texts):
            header = self._header(number)
            tokens = self._counted(header, text)
            room -= tokens
            if room < 0:
                return None
            messages.append(PackedMessage(self.material.ids[number], text, tokens, header))
        return messages

    def _must(self) -> int:
        """Choose the newest messages down to the one answered, and what that one answers; the room that is left.

        What is newer than the one answered leaves it half of the budget.
        """
        room = self.budget
        newest = len(self.parts) - 1
        for number in range(newest, self.answered - 1, -1):
            share = room if number == self.answered else room - self.budget // 2
            room -= self._choose(number, share, must=number in (newest, self.answered))
        parent = self.parts[self.answered].entry.parent
        before = next((n for n, part in enumerate(self.parts) if part.entry.message.message_id == parent), -1)
        if before >= 0 and before not in self.chosen:
            room -= self._choose(before, min(room, max(self.budget // 4, SHORTEST * 2)), must=False)
        return room

    def _choose(self, number: int, room: int, *, must: bool) -> int:
        """Take a message whole, else cut to `room`; the tokens it costs: 0 where too little would be left of it.

        Of one that `must` be in, only the mark of what was cut has to fit.
        """
        part = self.parts[number]
        header = self._header(number)
        for text in dict.fromkeys((self._whole_text(number), part.text)):
            if len(text) <= room * CHARACTERS and (tokens := self._counted(header, text)) <= room:
                cut = text == part.text and bool(part.quoted or self.attached[number])
                self._keep(number, text, tokens, header, shortened=cut and bool(self.attached[number]))
                return tokens
        head = self.counter.count(header + "\n")
        if not must and room - head < SHORTEST:
            return 0
        text = shorten(part.text, room - head, self.counter)
        tokens = head + self.counter.count(text + "\n")
        if tokens > room:
            return 0
        self._keep(number, text, tokens, header, shortened=True)
        return tokens

    def _more(self, number: int, room: int) -> int:
        """Add the beginning and end of what a whole message quotes and attaches, in half of `room`; the tokens used."""
        message, part = self.chosen[number], self.parts[number]
        if message.summary or message.text != part.text:
            return 0
        text = message.text
        rest = [QUOTED + part.quoted] if part.quoted else []
        rest += [f"\n[attached {one.name}]\n{one.text}" for one in self.attached[number]]
        for more in rest:
            left = room // 2 - (self._counted(message.header, text) - message.tokens) - SHORTEST
            if left >= SHORTEST:
                text += shorten(more, left, self.counter)
        tokens = self._counted(message.header, text)
        if text == message.text or tokens - message.tokens > room:
            return 0
        self._keep(number, text, tokens, message.header, shortened=text != self._whole_text(number))
        return tokens - message.tokens

    def _keep(
        self, number: int, text: str, tokens: int, header: str, *, shortened: bool, summary: bool = False
    ) -> None:
        message_id = self.material.ids[number]
        self.chosen[number] = PackedMessage(message_id, text, tokens, header, shortened, summary)
        if text == self._whole_text(number):
            self.seen.pop(number, None)
        else:
            self.seen[number] = text

    def _older(self, room: int) -> int:
        """Choose of the older messages: the newer ones whole, of those before them one line; the room that is left."""
        left = [number for number in range(self.answered) if number not in self.chosen]
        whole_room = room - int(self.budget * SUMMARY_SHARE) - self._excerpt_room()
        first = self._first_whole(left, whole_room)
        for number in reversed(left):
            if number >= first:
                room -= self._choose(number, room, must=False)
        short_room = min(int(self.budget * SUMMARY_SHARE), room)
        for number in reversed([one for one in left if one < first]):
            header = self._header(number)
            text = summary(self.parts[number].text, self.counter)
            tokens = self._counted(header, text)
            if tokens > short_room:
                break
            whole = text == self.parts[number].text and not self.attached[number]
            self._keep(number, text, tokens, header, shortened=not whole, summary=not whole)
            short_room -= tokens
            room -= tokens
        return room

    def _first_whole(self, left: Sequence[int], room: int) -> int:
        """The oldest message that is packed whole: of those that fit, the first behind a step that is always the same.

        A step is counted from the beginning of the conversation, in characters of text; so it does not move when a
        message arrives.
        """
        fitting = len(self.parts)
        for number in reversed(left):
            room -= self._cost(number)
            if room < 0:
                break
            fitting = number
        step = max(self.budget * 4 // STEPS, 1)
        written = 0
        marks = {}
        for number in left:
            marks[number] = written // step
            written += len(self.parts[number].text)
        for before, number in pairwise(left):
            if number >= fitting and marks[before] != marks[number]:
                return number
        return fitting

    def _excerpts(self, room: int) -> list[PackedMessage]:
        """What fits of the text that was left out, the worthiest sentences for what is asked now."""
        sources = list(self._sources())
        question = Question.of(self.parts[self.answered].text)
        kept: dict[int, list[Piece]] = {}
        for piece in question.ranked([text for _, text, _ in sources]):
            if room < SHORTEST // 2:
                break
            number, _, name = sources[piece.source]
            cost = self.counter.count(f" … {piece.text}")
            if piece.source not in kept:
                cost += self.counter.count(f"{self._excerpt_header(number, name)}:\n")
            if cost > room or piece.text in self.seen.get(number, ""):
                continue
            kept.setdefault(piece.source, []).append(piece)
            room -= cost
        return [self._excerpt(*sources[index], kept[index]) for index in sorted(kept)]

    def _excerpt_room(self) -> int:
        return min(int(self.budget * EXCERPT_SHARE), MOST_EXCERPTS)

    def _excerpt(self, number: int, _text: str, name: str, pieces: Sequence[Piece]) -> PackedMessage:
        header, text = self._excerpt_header(number, name), joined(pieces)
        tokens = self.counter.count(f"{header}: {text}\n")
        return PackedMessage(self.material.ids[number], text, tokens, header, shortened=True, attached=name)

    def _excerpt_header(self, number: int, name: str) -> str:
        """What stands before an excerpt: all of it is one line, so that no text makes another one."""
        header = self._header(number).partition(" ")[2]
        return f"{header}, {name}" if name else header

    def _sources(self) -> Iterator[tuple[int, str, str]]:
        """The texts that are not whole in the prompt: the message's number, the text, the attachment's name."""
        for number, part in enumerate(self.parts):
            if number not in self.chosen or number in self.seen:
                text = part.own + (f"\n\n{part.quoted}" if part.quoted else "")
                for section in _sections(text[:_LONGEST_DOCUMENT]):
                    yield number, section, ""
                for document in self.attached[number]:
                    for section in _sections(document.text[:_LONGEST_DOCUMENT]):
                        yield number, section.replace("\n", "\n\n"), document.name


def _sections(text: str) -> Iterator[str]:
    """`text` in sections that end at line ends, so that of a long one those can be found that bear on a question."""
    while len(text) > SECTION:
        cut = text.rfind("\n", SECTION // 2, SECTION) + 1 or SECTION
        yield text[:cut]
        text = text[cut:]
    yield text
