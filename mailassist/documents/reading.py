"""The attachments of a conversation, read: the newest first, each once, within limits of number, size and time.

Text, HTML, CSV, calendars and attached mail are read here, by code of ours that takes linear time; what needs a library
(PDF, Office, pictures) in a process of its own, started only for that (`documents.process`). What was read is kept in
memory under a hash of the file, so that a second look costs nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec

from mailassist.documents import MISSING, Document, calendars, plain
from mailassist.documents.content import Content, kind_of
from mailassist.documents.process import Process
from mailassist.mail.message import AttachedFile
from mailassist.mail.parse import attached_files, parse_message

LIBRARIES = ("pypdfium2", "openpyxl", "defusedxml", "PIL", "striprtf")

_IN_A_PROCESS = frozenset({"pdf", "zip", "rtf", "image"})
# What goes with a mail and says nothing: signatures, keys, Outlook's wrapper, reports of delivery.
_SAYS_NOTHING = frozenset({
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
    "application/pgp-keys", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/ms-tnef",
    "application/pgp-encrypted", "message/delivery-status", "message/disposition-notification", "text/rfc822-headers",
})  # fmt: skip
_NAMES_OF_NOTHING = (".p7s", ".p7m", ".asc", ".sig", ".vcf")
_LOGO_BYTES = 10_000  # of a picture in the text that is looked at: smaller ones are logos and tracking pixels
_CALENDAR_BYTES = 2_000_000
_DEEPEST = 2  # mail in mail whose attachments are read


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a conversation's attachments is read."""

    file_bytes: int = 20 * 1024 * 1024  # of one file
    files: int = 60
    seconds: float = 5.0  # for one file
    all_seconds: float = 15.0


DEFAULT_LIMITS = Limits()


def read_documents(
    messages: Mapping[str, bytes], *, limits: Limits = DEFAULT_LIMITS, reader: Sequence[str] = ()
) -> dict[str, tuple[Document, ...]]:
    """What the attachments of `messages` say, by Message-ID; messages without any are left out. Never raises.

    `messages`: the raw messages by Message-ID, oldest first; where a limit is reached, the newest were read. `reader`:
    another command for the process that reads what needs a library.
    """
    files = {message_id: attached_files(raw, most=limits.file_bytes) for message_id, raw in messages.items()}
    repeated = _repeated(files.values())
    with ExitStack() as stack:
        reading = _Reading(limits, lambda: stack.enter_context(Process(limits.all_seconds, reader)))
        found = {
            message_id: tuple(reading.documents([one for one in files[message_id] if not _is_ornament(one, repeated)]))
            for message_id in reversed(files)
        }
    return {message_id: found[message_id] for message_id in files if found[message_id]}


def available() -> bool:
    """Whether the libraries of the extra `documents` are installed."""
    return all(find_spec(name) is not None for name in LIBRARIES)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _repeated(files: Iterable[list[AttachedFile]]) -> frozenset[str]:
    """The hashes of pictures in the text that come with several messages, as a letterhead does."""
    counts: Counter[str] = Counter()
    for attached in files:
        counts.update({_hash(one.data) for one in attached if _in_the_text(one)})
    return frozenset(key for key, count in counts.items() if count > 1)


def _in_the_text(file: AttachedFile) -> bool:
    attachment = file.attachment
    return attachment.content_type.startswith("image/") and (attachment.inline or bool(attachment.content_id))


def _is_ornament(file: AttachedFile, repeated: frozenset[str]) -> bool:
    """Whether a part is a logo, a tracking pixel, a signature, a key: nothing that is said."""
    attachment = file.attachment
    if attachment.content_type in _SAYS_NOTHING or attachment.name.lower().endswith(_NAMES_OF_NOTHING):
        return True
    return _in_the_text(file) and (attachment.size < _LOGO_BYTES or _hash(file.data) in repeated)


@dataclass(slots=True)
class _Reading:
    """One conversation's reading."""

    limits: Limits
    start: Callable[[], Process]
    process: Process | None = None
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.limits.files

    def documents(self, files: Sequence[AttachedFile], depth: int = 0, within: str = "") -> Iterator[Document]:
        """What `files` say; behind an attached mail, what is attached to it."""
        for file in files:
            name, kind = file.attachment.name, file.attachment.content_type
            named = " / ".join(filter(None, (within, name)))
            content = self._content(file)
            yield Document(named, kind, content.text, content.note, content.pictures)
            if depth < _DEEPEST and kind_of(name, kind, file.data) == "mail":
                inner = [
                    one
                    for one in attached_files(file.data, most=self.limits.file_bytes)
                    if not _is_ornament(one, frozenset())
                ]
                yield from self.documents(inner, depth + 1, named)

    def _content(self, file: AttachedFile) -> Content:
        attachment = file.attachment
        if attachment.left:
            return Content(note=f"left on the server: {_size(attachment.left)}")
        if attachment.size > self.limits.file_bytes:
            return Content(note=f"too large: {_size(attachment.size)}")
        if not file.data:
            return Content(note="empty")
        if self.left <= 0:
            return Content(note=f"not read: only {self.limits.files} files of a conversation are")
        self.left -= 1
        kind = kind_of(attachment.name, attachment.content_type, file.data)
        key = f"{kind} {file.charset} {attachment.content_type} {attachment.name} {_hash(file.data)}"
        known = _KNOWN.get(key)
        if known is None:
            known = self._read(kind, file)
            if known.note != MISSING:
                _KNOWN.put(key, known)
        return known

    def _read(self, kind: str, file: AttachedFile) -> Content:
        attachment = file.attachment
        if kind in _IN_A_PROCESS:
            if not available():
                return Content(note=MISSING)
            self.process = self.process or self.start()
            return self.process.read(kind, attachment.name, file.data, self.limits.seconds)
        if kind == "ole":
            return Content(note="an old Office format, or locked with a password; it was not read")
        if kind == "mail":
            return plain.mail(parse_message(file.data))
        if kind == "csv":
            return plain.table(file.data, file.charset, attachment.content_type)
        if kind == "calendar":
            return calendars.calendar(plain.decoded(file.data[:_CALENDAR_BYTES], file.charset or "utf-8"))
        if kind in ("html", "text"):
            return (plain.html if kind == "html" else plain.text)(file.data, file.charset)
        return Content(note="a kind of file that is not read")


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MB" if count >= 2**20 else f"{count / 1024:.0f} kB"


class _Known:
    """What was read, by key; the least recently used gives way. Any thread."""

    def __init__(self, most: int) -> None:
        """`most`: bytes, about."""
        self._most = most
        self._held = 0
        self._contents: OrderedDict[str, Content] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Content | None:
        with self._lock:
            if key in self._contents:
                self._contents.move_to_end(key)
            return self._contents.get(key)

    def put(self, key: str, content: Content) -> None:
        with self._lock:
            self._held += _weight(content) - _weight(self._contents.pop(key, None))
            self._contents[key] = content
            while self._held > self._most and self._contents:
                self._held -= _weight(self._contents.popitem(last=False)[1])


def _weight(content: Content | None) -> int:
    return len(content.text) + 200 + sum(len(one.data) for one in content.pictures) if content else 0


_KNOWN = _Known(64 * 1024 * 1024)
