"""A message's parts put together: which is the text, what is attached, what was hidden, what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailassist.mail.body import html_to_text
from mailassist.mail.charsets import decode, inside
from mailassist.mail.css_selectors import Budget
from mailassist.mail.encryption import pgp, rights_managed, smime
from mailassist.mail.flowed import unflow
from mailassist.mail.invisible import without_invisible
from mailassist.mail.message import AttachedFile, Attachment
from mailassist.mail.mime import Part, Structure, decoded, decoded_size

_PGP = re.compile(r"^-----BEGIN PGP MESSAGE-----[ \t]*$", re.MULTILINE)
_WORDS = re.compile(r"[^\W_]{3,}")
_ADDRESS = ("@", "://", "www.")
_COMPARED = 200_000  # characters
_MIRROR = re.compile(
    r"html|browser|navigateur|navegador|przegl[aą]dar|prohl[ií][zž]e[cč]|webbläsare|selain|nettleser|böngésző|браузер"
    r"|ブラウザ|浏览器|브라우저",
    re.IGNORECASE,
)  # what a plain text that only points at the HTML speaks of
_LONGEST_POINTER = 60  # words
_NO_LETTERS = frozenset({
    "text/calendar", "text/csv", "text/tab-separated-values", "text/vcard", "text/x-vcard", "text/directory",
    "text/rtf", "text/css", "text/javascript", "text/xml", "text/rfc822-headers",
})  # fmt: skip
_NO_LETTER_NAMES = (".csv", ".tsv", ".ics", ".vcf", ".log", ".xml", ".json")


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
    others: list[Part] = field(default_factory=list)  # the parts of the attachments, in the same order
    read: list[Part] = field(default_factory=list)  # those of them that are the message's text after all
    budget: Budget = field(default_factory=Budget)  # for all style sheets together
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
        """The text of each piece, in order; of alternatives the plain one, unless only the HTML says something."""
        said = [self._plain(reading) for reading in self.readings]
        if len(said) == 1:
            yield said[0]
            return
        chosen = {number: self._html_wins(number, said) for number in {one.alternative for one in self.readings}}
        for reading, text in zip(self.readings, said, strict=True):
            if chosen[reading.alternative] in (None, reading.html is not None):
                yield text

    def _plain(self, reading: _Reading) -> str:
        """What a piece says."""
        if reading.html is None:
            return reading.plain or ""
        converted = html_to_text(reading.html[: self.html_room], self.budget)
        self.html_room -= min(len(reading.html), self.html_room)
        self.hidden.extend(converted.hidden)
        self.warnings.extend(converted.warnings)
        return converted.text

    def _html_wins(self, number: int | None, said: list[str]) -> bool | None:
        """Whether of these alternatives the HTML is the text; None where there is nothing to choose."""
        plain, html = ("\n".join(self._of(number, said, html)) for html in (False, True))
        if number is None or not (plain.strip() and html.strip()):
            return None if number is None else not plain.strip()
        differ, instead = _compared(plain[:_COMPARED], html[:_COMPARED])
        if differ:
            self.warnings.append("alternative-mismatch: the plain text and the HTML say different things")
        return instead

    def _of(self, number: int | None, said: list[str], html: bool) -> Iterator[str]:
        for reading, text in zip(self.readings, said, strict=True):
            if reading.alternative == number and (reading.html is not None) == html:
                yield text

    def _read_other(self, index: int) -> None:
        """Read an attached text after all, since there is no other."""
        part = self.others[index]
        if part.header.disposition == "attachment" or part.header.name:
            self.warnings.append("structure: the only text is an attachment; it is read as the message")
        else:  # of a kind that is no attachment either, as text/markdown
            del self.attachments[index], self.others[index]
        self.read.append(part)
        self._text(part, part.header.content_type == "text/html")

    def _attach(self, part: Part) -> None:
        header = part.header
        name = header.name or (f"{part.subject}.eml" if part.subject else "")
        size = decoded_size(self.raw, part)
        inline = header.disposition == "inline" or bool(header.content_id and part.related)
        left = 0 if size else header.left
        self.attachments.append(Attachment(name, header.content_type, size or left, inline, header.content_id, left))
        if header.content_type == "application/ms-tnef" or name.lower() == "winmail.dat":
            self.warnings.append("unsupported: winmail.dat (Outlook's own format) is attached and was not read")
        self.others.append(part)
        sealed = smime(self.raw, part)
        if sealed == "signed":
            self.warnings.append("signed: an S/MIME part that is signed in one piece was not read")
        else:
            protected = "Microsoft rights management" if rights_managed(part) else ""
            self.encrypted = self.encrypted or sealed or protected

    def open_others(self) -> None:
        """Look at the attachments again in the light of the whole: what is encrypted, and what is the only text."""
        alone = not any((one.plain or one.html or "").strip() for one in self.readings)
        if not self.encrypted and any(pgp(self.raw, part, alone) for part in self.others):
            self.encrypted = "PGP/MIME"
        letters = [index for index, part in enumerate(self.others) if _may_be_the_letter(part)]
        if not (self.readings or self.encrypted) and len(letters) == 1:
            self._read_other(letters[0])


def _may_be_the_letter(part: Part) -> bool:
    """Whether an attached text is one that a mail program shows below the header."""
    kind, name = part.header.content_type, part.header.name.lower()
    if not kind.startswith("text/") or kind in _NO_LETTERS or name.endswith(_NO_LETTER_NAMES):
        return False
    return kind != "text/html" or part.depth == 1


def _compared(plain: str, html: str) -> tuple[bool, bool]:
    """Whether a plain text and the HTML beside it say different things, and whether the HTML is the one to read.

    That is where the plain text is much the shorter, or only says that there is HTML.
    """
    words, others = _words(plain), _words(html)
    points = len(words) <= _LONGEST_POINTER and bool(_MIRROR.search(plain))
    short = len(words) * (2 if points else 3) < len(others)
    if len(words) < 3 or len(others) < 3 or (short and points):
        differ = short and " ".join(plain.casefold().split()) not in " ".join(html.casefold().split())
    else:
        differ = len(words & others) * 2 < min(len(words), len(others))
    return differ, (differ and short) or (differ and points) or (short and points)


def _words(text: str) -> set[str]:
    """The words and numbers of `text` but those of links and addresses, which a sender may write in one part only."""
    spoken = text.casefold()
    if any(mark in spoken for mark in _ADDRESS):
        spoken = " ".join([one for one in spoken.split() if not any(mark in one for mark in _ADDRESS)])
    return set(_WORDS.findall(spoken))


def read_attached(raw: bytes, found: Structure, limit: int) -> list[AttachedFile]:
    """The attachments of `raw` with what they hold, but for those that are read as the message's text. Never raises.

    `limit`: bytes; what is longer comes without its content.
    """
    reader = _Reader(raw, 0, 0)
    for part in found.parts:
        reader.take(part)
    reader.open_others()
    files = []
    for attachment, part in zip(reader.attachments, reader.others, strict=True):
        if part not in reader.read:
            data = b"" if attachment.left or attachment.size > limit else decoded(raw, part)[0]
            files.append(AttachedFile(attachment, data, part.header.charset))
    return files


def read_body(raw: bytes, found: Structure, limit: int) -> Body:
    """Put the parts of `raw` together. Never raises."""
    reader = _Reader(raw, limit, limit)
    for part in found.parts:
        reader.take(part)
    for container in found.containers:
        if container.content_type == "multipart/encrypted":
            reader.encrypted = "S/MIME" if "pkcs7" in container.protocol else "PGP/MIME"
    reader.open_others()
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
