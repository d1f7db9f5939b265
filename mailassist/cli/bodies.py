"""Messages as far as threading needs them, for commands that look at whole mailboxes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailassist.mail.message import Message

_KEPT = frozenset({
    "thread-index", "auto-submitted", "x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-response-suppress",
    "precedence", "content-type", "x-failed-recipients", "return-path", "list-id", "list-post", "list-unsubscribe",
    "list-unsubscribe-post",
})  # fmt: skip


def without_bodies(path: Path, marks: MutableMapping[str, str], places: set[int] | None = None) -> Iterator[Message]:
    """The messages of an mbox or Maildir without their bodies; `marks` gets their fingerprints (`mail.resent`).

    `places`: which of them, counted from 0; all where None. Raises InputError.
    """
    from mailassist.mail.parse import parse_message
    from mailassist.mail.resent import fingerprint
    from mailassist.transport.files import read_messages

    for place, raw in enumerate(read_messages(path)):
        if places is None or place in places:
            message = parse_message(raw)
            if mark := fingerprint(message):
                marks.setdefault(message.message_id, mark)
            yield _light(message)


def _light(message: Message) -> Message:
    return replace(
        message,
        headers={name: values for name, values in message.headers.items() if name in _KEPT},
        text="",
        html="",
        reply="",
        quoted="",
        signature="",
        blocks=(),
        hidden=(),
        attachments=(),
    )
