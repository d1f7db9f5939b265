"""What the attachments of a conversation say: read when a draft is asked for, not before; large mail fetched then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from mailassist.errors import MailassistError

if TYPE_CHECKING:
    from mailassist.documents import Document
    from mailassist.intake.pull import Pulled
    from mailassist.mail.message import Message
    from mailassist.transport.source import MailSource

MOST_FETCHED = 15 * 1024 * 1024  # bytes of large messages that are fetched for one conversation: 10 MB of attachments


class Attachments:
    """The attachments of one run's conversations; any thread."""

    def __init__(self, source: Callable[[str], AbstractContextManager[MailSource]]) -> None:
        """`source`: the mailbox of an account, for one piece of work."""
        self._source = source
        self._fetched: dict[tuple[str, str], dict[str, bytes]] = {}  # of the last conversation with large mail

    def documents(self, account: str, pulled: Pulled) -> Mapping[str, Sequence[Document]]:
        """What they say, by Message-ID. Nothing is imported or started for a conversation without any."""
        return read(pulled.conversation.messages, {**pulled.raw, **self._large(account, pulled)})

    def _large(self, account: str, pulled: Pulled) -> dict[str, bytes]:
        """The messages whose attachments stayed on the server, whole, the newest first, as far as the limit goes.

        What cannot be fetched now stays there, and the prompt says so.
        """
        conversation = pulled.conversation
        wanted, room = [], MOST_FETCHED
        for message in reversed(conversation.messages):
            size = sum(one.left for one in message.attachments)
            if _has_files(message) and 0 < size * 3 // 2 <= room:
                wanted.append(message.message_id)
                room -= size * 3 // 2  # base64, and what is around it
        if not wanted:
            return {}
        key = account, conversation.key
        if set(self._fetched.get(key, ())) != set(wanted):
            self._fetched = {key: self._fetch(account, pulled, wanted)}
        return self._fetched[key]

    def _fetch(self, account: str, pulled: Pulled, wanted: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        try:
            with self._source(account) as source:
                for message_id in wanted:
                    place = next(iter(pulled.locations.get(message_id, ())), None)
                    if place is None:
                        continue
                    for there, raw in source.raw(place.folder, [place.uid], limit=MOST_FETCHED):
                        if there == place:
                            found[message_id] = raw
        except MailassistError:
            pass  # the note of each file says that it is on the server
        return found


def read(messages: Iterable[Message], raw: Mapping[str, bytes]) -> Mapping[str, Sequence[Document]]:
    """What is attached to `messages` (oldest first; `raw`: by Message-ID), without a library where nothing is."""
    files = {
        message.message_id: raw[message.message_id]
        for message in messages
        if _has_files(message) and message.message_id in raw
    }
    if not files:
        return {}
    from mailassist.documents.reading import read_documents

    return read_documents(files)


def _has_files(message: Message) -> bool:
    """Whether something is attached that may be read."""
    return bool(message.attachments) and not message.encrypted and not message.too_complex
