"""A conversation made ready for a prompt: what may be packed of each message, with the counts that do not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mailassist.context.asks import Ask, open_asks
from mailassist.context.clean import data_text, file_name, one_line
from mailassist.context.headers import day_of, header_line, name_of
from mailassist.context.tokens import TokenCounter
from mailassist.context.visible import visible
from mailassist.documents import Document
from mailassist.mail.threads import Conversation, participants_in_common

PROSE = 6  # characters of a token, more than any text has
QUOTED = "\n[quoted, not among these messages:]\n"


class Material:
    """What there is to pack: the messages that may enter a prompt, what they quote and attach, and what is open.

    `most`: tokens that will be packed at most; what a very long conversation says before them is made ready in part.
    """

    def __init__(
        self,
        conversation: Conversation,
        counter: TokenCounter,
        delimiter: str,
        documents: Mapping[str, Sequence[Document]],
        most: int | None = None,
    ) -> None:
        self.counter = counter
        self.delimiter = delimiter
        self.known = _with_common_participants(conversation)
        self.parts = visible(self.known, delimiter, None if most is None else most * PROSE)
        self.ids = [part.entry.message.message_id for part in self.parts]
        self.answered = next(n for n, part in enumerate(self.parts) if part.entry is self.known.answered)
        self.attached = [list(self._attached(documents.get(message_id, ()))) for message_id in self.ids]
        self.whole = [self._whole(number) for number in range(len(self.parts))]
        self.sources = {part.entry.message.message_id: part.sources for part in self.parts if part.sources}
        self.asks = tuple(self._asks())
        self._headers: dict[tuple[int, int], str] = {}

    def header(self, number: int, longest_name: int) -> str:
        """The line above message `number`; see `headers.header_line`."""
        key = (number, 0 if self.counter.exact else longest_name)
        if key not in self._headers:
            entry = self.parts[number].entry
            self._headers[key] = header_line(entry, self.known, self.delimiter, self.counter, longest_name)
        return self._headers[key]

    def subject(self, message_id: str) -> str:
        """The subject of the message with this id, on one line."""
        message = self.known.message(message_id)
        return one_line(data_text(message.subject, self.delimiter), 200) if message else ""

    def _attached(self, documents: Sequence[Document]) -> Iterator[Document]:
        for document in documents:
            text = data_text(document.text, self.delimiter)
            if text:
                yield replace(document, name=file_name(document.name, self.delimiter), text=text)

    def _whole(self, number: int) -> str:
        """Everything of a message: text, missing quotation, attachments."""
        part = self.parts[number]
        text = part.text + (QUOTED + part.quoted if part.quoted else "")
        return "".join([text, *(f"\n[attached {one.name}]\n{one.text}" for one in self.attached[number])])

    def _asks(self) -> Iterator[Ask]:
        """What is still open, as it is told to the model."""
        for ask in open_asks(self.known):
            message = ask.entry.message
            name = name_of(ask.entry, self.known, self.delimiter)
            day = day_of(message, self.known)
            yield Ask(message.message_id, day, name, data_text(ask.text, self.delimiter), ask.kind)


def _with_common_participants(conversation: Conversation) -> Conversation:
    """What of `conversation` may enter a prompt: a forged reference brings no stranger's text in."""
    return participants_in_common(conversation, conversation.answered.message)
