"""Whole messages, and of very large ones only what can be read: headers and text parts, never a 100 MB attachment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mailassist.errors import MailboxError
from mailassist.mail.mime import LEFT_FIELD
from mailassist.transport.arguments import items
from mailassist.transport.fetch import Attributes, by_uid
from mailassist.transport.session import Session
from mailassist.transport.source import Location

FIRST_BYTES = 256 * 1024  # asked of every message; nearly all end before, so that one command is enough
LIMIT = 2 * 1024 * 1024  # of larger ones attachments stay on the server
_SUBSTITUTE = b"Retrieval using the IMAP4 protocol failed"
_MOST_PIECES = 200  # of a large message; one in more pieces is not taken apart
_BATCH = 50  # whole messages a command
BEGINNING = f"BODY.PEEK[]<0.{FIRST_BYTES}>"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A step in putting a large message together: a part by its number, or a line with a boundary."""

    number: str = ""
    is_text: bool = False  # a leaf that is read; of all others only the header comes
    boundary: bytes = b""
    is_last: bool = False  # the boundary closes its multipart
    left: int = 0  # bytes of a leaf that stays on the server


def beginning(attributes: Attributes) -> bytes | None:
    """What came for BEGINNING: the whole message where it is shorter than FIRST_BYTES.

    None where the server has no content, or only Exchange's notice that it could not convert the message: nothing may
    be drafted from that.
    """
    for name in ("BODY[]<0>", "BODY[]"):
        value = attributes.get(name)
        if isinstance(value, bytes):
            text = value.partition(b"\r\n\r\n")[2].lstrip()
            return None if text.startswith(_SUBSTITUTE) else value
    return None


def whole(session: Session, uids: Sequence[int], limit: int) -> Iterator[tuple[Location, bytes]]:
    """The messages `uids` of the open folder; what is gone, or has no content on the server, is left out."""
    large: dict[int, bytes] = {}
    sizes: dict[int, int] = {}
    for start in range(0, len(uids), _BATCH):
        batch = uids[start : start + _BATCH]
        for attributes in by_uid(session, batch, items(["UID", "RFC822.SIZE", BEGINNING])):
            body = beginning(attributes)
            if body and len(body) < FIRST_BYTES:
                yield _location(session, attributes["UID"]), body
            elif body:
                large[attributes["UID"]] = body
                sizes[attributes["UID"]] = attributes.get("RFC822.SIZE") or 0
    yield from rest(session, large, sizes, limit)


def standing(session: Session, uids: Sequence[int]) -> Iterator[bytes]:
    """The messages `uids` of the open folder that are not marked as deleted."""
    for uid in uids:
        told = _only(session, uid, ["FLAGS", "RFC822.SIZE", BEGINNING])
        body = None if any(flag.lower() == b"\\deleted" for flag in told.get("FLAGS") or ()) else beginning(told)
        if body and len(body) < FIRST_BYTES:
            yield body
        elif body:
            yield from (raw for _, raw in rest(session, {uid: body}, {uid: told.get("RFC822.SIZE") or 0}, LIMIT))


def rest(
    session: Session, large: dict[int, bytes], sizes: dict[int, int], limit: int
) -> Iterator[tuple[Location, bytes]]:
    """Messages that did not end within FIRST_BYTES, given their beginnings and sizes."""
    fitting = [uid for uid in large if sizes.get(uid, 0) <= limit]
    for attributes in by_uid(session, fitting, items(["UID", "BODY.PEEK[]"])) if fitting else ():
        body = beginning(attributes)
        if body:
            yield _location(session, attributes["UID"]), body
    for uid in large:
        if uid not in fitting:
            yield _location(session, uid), _readable_parts(session, uid, large[uid], limit)


def _location(session: Session, uid: int) -> Location:
    assert session.selected is not None
    return Location(session.selected.name, session.selected.uidvalidity, uid)


def _readable_parts(session: Session, uid: int, start: bytes, limit: int) -> bytes:
    """The message with empty attachments: names, types and sizes (LEFT_FIELD) stay.

    Its beginning where its structure is too odd.
    """
    header = start.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    try:
        structure = _only(session, uid, ["BODYSTRUCTURE"])["BODYSTRUCTURE"]
        plan = list(_plan(structure))
    except (RecursionError, MailboxError, KeyError, IndexError, TypeError, AttributeError, ValueError):
        return start
    if len(plan) > _MOST_PIECES or not isinstance(structure[0], list):
        return start
    wanted = [f"BODY.PEEK[{piece.number}.MIME]" for piece in plan if piece.number]
    wanted += [f"BODY.PEEK[{piece.number}]<0.{limit}>" for piece in plan if piece.is_text]
    answer = _only(session, uid, wanted)
    return header + _assembled(plan, answer) if answer else start


def _only(session: Session, uid: int, wanted: Sequence[str]) -> Attributes:
    """What was asked of one message; nothing when it is gone. Servers may tell it in several answers."""
    found: Attributes = {}
    for attributes in by_uid(session, [uid], items(["UID", *wanted])):
        found |= attributes
    return found


def _plan(structure: Any, number: str = "") -> Iterator[_Piece]:
    """The pieces in the order of the bytes; `structure` is imapclient's BodyData.

    Raises ValueError for a multipart without a boundary.
    """
    if not isinstance(structure[0], list):
        is_text = structure[0].lower() == b"text" and not _is_attachment(structure)
        yield _Piece(number, is_text, left=0 if is_text else _decoded_size(structure))
        return
    boundary = _parameter(structure[2], b"boundary")
    if not boundary:
        raise ValueError("a multipart without a boundary")
    if number:
        yield _Piece(number)  # its own header, which names the boundary
    for index, child in enumerate(structure[0], 1):
        yield _Piece(boundary=boundary)
        yield from _plan(child, f"{number}.{index}".lstrip("."))
    yield _Piece(boundary=boundary, is_last=True)


def _parameter(parameters: Any, name: bytes) -> bytes:
    pairs = zip(parameters[::2], parameters[1::2], strict=False) if isinstance(parameters, tuple) else ()
    return next((bytes(value) for key, value in pairs if key.lower() == name), b"")


def _decoded_size(leaf: Any) -> int:
    """About how many bytes a leaf has when its transfer encoding is undone (of base64, 57 for each line of 78)."""
    encoding, size = leaf[5], leaf[6]
    size = size if isinstance(size, int) and size > 0 else 0
    return size * 57 // 78 if isinstance(encoding, bytes) and encoding.lower() == b"base64" else size


def _is_attachment(leaf: Any) -> bool:
    return any(
        isinstance(field, tuple) and field and isinstance(field[0], bytes) and field[0].lower() == b"attachment"
        for field in leaf[8:]
    )


def _assembled(plan: Iterable[_Piece], answer: Attributes) -> bytes:
    pieces = []
    for piece in plan:
        if piece.boundary:
            pieces.append(b"\r\n--" + piece.boundary + (b"--\r\n" if piece.is_last else b"\r\n"))
        else:
            header = answer.get(f"BODY[{piece.number}.MIME]") or b""
            body = answer.get(f"BODY[{piece.number}]<0>") or b""
            left = b"\r\n%s: %d" % (LEFT_FIELD.encode(), piece.left) if piece.left else b""
            pieces.append(header.rstrip(b"\r\n") + left + b"\r\n\r\n" + body)
    return b"".join(pieces)
