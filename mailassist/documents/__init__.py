"""What attachments say: text and pictures of files that came by mail, read within limits of size, time and memory."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MISSING", "Document", "Picture"]

MISSING = "install mailassist[documents]"  # the note of a file whose library is not here


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or a page of a scanned document, as small as a model reads it."""

    name: str  # hostile
    content_type: str  # of `data`: image/jpeg or image/png
    data: bytes
    width: int  # pixels
    height: int


@dataclass(frozen=True, slots=True)
class Document:
    """What an attachment says. Safe to read, not safe to print (see `mail.safe_text`)."""

    name: str  # of the attachment, as the sender wrote it (hostile)
    content_type: str
    text: str = ""  # "\n" line ends; "" where nothing could be read
    note: str = ""  # why text is missing or cut, for people and the prompt: "scanned: no text", "password", "too large"
    pictures: tuple[Picture, ...] = ()  # an image, or the pages of a scanned PDF
