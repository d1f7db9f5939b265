"""A message's parts put together: which is the text, what is attached, what was hidden, what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailassist.mail.body import html_to_text
from mailassist.mail.charsets import decode, inside
from mailassist.mail.flowed import unflow
from mailassist.mail.invisible import without_invisible
from mailassist.mail.message import Attachment
from mailassist.mail.mime import Part, Structure, decoded, decoded_size

_PGP = re.compile(r"^-----BEGIN PGP MESSAGE-----[ \t]*$", re.MULTILINE)
_WORDS = re.compile(r"[^\W_]{3,}")
_ADDRESS = re.compile(r"://|www\.|@")
_COMPARED = 200_000  # characters
_PKCS7 = ("application/pkcs7-mime", "application/x-pkcs7-mime")


@dataclass(slots=True)
class Body:
    """What the parts amount to."""

    text: str = ""
    html: str = ""
    hidden: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    encrypted: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """One piece of the text: a part as plain text, or as what its HTML says."""

    alternative: int | None
    plain: str | None = None
    html: str | None = None


@dataclass(slots=True)
class _Reader:
    raw: bytes
    room: int  # characters of plain text that are still looked through
    html_room: int  # characters of HTML that are still read
    readings: list[_Reading] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    encrypted: str = ""
    html: str = ""

    def take(self, part: Part) -> None:
        """Sort one part: text, or attachment."""
        kind = part.header.content_type
        is_text = kind in ("text/plain", "text/html") and part.header.disposition != "attachment"
        if is_text and not (part.header.name and part.depth > 1 and part.alternative is None and kind == "text/html"):
            self._text(part, kind == "text/html")
        else:
            self._attach(part)

    def _text(self, part: Part, html: bool) -> None:
        data, lie = decoded(self.raw, part)
        text, odd = decode(data, part.header.charset, inside(data) if html else "")
        self.warnings.extend(warning for warning in (lie, odd) if warning)
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        if html:
            self.html = self.html or text
            self.readings.append(_Reading(part.alternative, html=text))
            return
        head, tail = text[: self.room], text[self.room :]
        self.room -= len(head)
        if part.header.flowed:
            head = unflow(head, part.header.delsp)
        head, hidden = without_invisible(head)
        self.hidden.extend(hidden)
        self.readings.append(_Reading(part.alternative, plain=head + tail))

    def texts(self) -> Iterator[str]:
        """The text of each piece, in order; of alternatives the plain one, unless it is empty."""
        plain = {reading.alternative: reading.plain for reading in self.readings if (reading.plain or "").strip()}
        for reading in self.readings:
            if reading.html is None:
                yield reading.plain or ""
                continue
            converted = html_to_text(reading.html[: self.html_room])
            self.html_room -= min(len(reading.html), self.html_room)
            self.hidden.extend(converted.hidden)
            self.warnings.extend(converted.warnings)
            beside = plain.get(reading.alternative) if reading.alternative is not None else None
            if beside is None:
                yield converted.text
            elif _differ(beside, converted.text):
                self.warnings.append("alternative-mismatch: the plain text and the HTML say different things")

    def _attach(self, part: Part) -> None:
        header = part.header
        name = header.name or (f"{part.subject}.eml" if part.subject else "")
        size = decoded_size(self.raw, part)
        inline = header.disposition == "inline" or bool(header.content_id and part.related)
        self.attachments.append(Attachment(name, header.content_type, size, inline, header.content_id))
        if header.content_type == "application/ms-tnef" or name.lower() == "winmail.dat":
            self.warnings.append("unsupported: winmail.dat (Outlook's own format) is attached and was not read")
        if header.content_type in _PKCS7:
            self.encrypted = self.encrypted or "S/MIME"


def _differ(plain: str, html: str) -> bool:
    """Whether a plain text and the HTML beside it say different things: many words, or a long number, of one only."""
    words, others = _words(plain[:_COMPARED]), _words(html[:_COMPARED])
    if len(words) < 3 or len(others) < 3:
        return False
    shared = len(words & others)
    return shared * 2 < min(len(words), len(others))


def _words(text: str) -> set[str]:
    """The words and numbers of `text` but those of links and addresses, which a sender may write in one part only."""
    spoken = " ".join(one for one in text.casefold().split() if not _ADDRESS.search(one))
    return set(_WORDS.findall(spoken))


def read_body(raw: bytes, found: Structure, limit: int) -> Body:
    """Put the parts of `raw` together. Never raises."""
    reader = _Reader(raw, limit, limit)
    for part in found.parts:
        reader.take(part)
    for container in found.containers:
        if container.content_type == "multipart/encrypted":
            reader.encrypted = "S/MIME" if "pkcs7" in container.protocol else "PGP/MIME"
    text = "\n".join(reader.texts())
    if not reader.encrypted and "-----BEGIN PGP MESSAGE-----" in text and _PGP.search(text):
        reader.encrypted = "inline PGP"
    if reader.encrypted:
        reader.warnings.append(f"encrypted: {reader.encrypted}; it cannot be read here")
    return Body(
        text,
        reader.html,
        tuple(dict.fromkeys(reader.hidden)),
        tuple(reader.attachments),
        reader.encrypted,
        tuple(dict.fromkeys(reader.warnings)),
    )
