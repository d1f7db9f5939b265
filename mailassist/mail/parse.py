"""Bytes in, `Message` out: whatever a sender sends yields a message with warnings, never an exception.

The limits (GUARANTEES P18) hold before anything is decoded: `mail.mime` finds the parts in one pass with a stack of its
own. The standard library's `email` package reads header parameters and unusual dates; its parsers of whole messages and
of addresses recurse and raise on hostile input and are not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mailassist.mail.addresses import parse_addresses
from mailassist.mail.body_parts import read_attached, read_body
from mailassist.mail.dates import parse_date
from mailassist.mail.encryption import signed_content, smime
from mailassist.mail.header_fields import HeaderBlock, decode_words, split_headers
from mailassist.mail.header_warnings import header_warnings
from mailassist.mail.message import Address, AttachedFile, Message
from mailassist.mail.message_ids import made_up
from mailassist.mail.message_ids import message_ids as message_ids
from mailassist.mail.mime import PartHeader, Structure, part_header, structure
from mailassist.mail.quotes import split

_IDENTIFYING = frozenset({
    "date", "from", "sender", "reply-to", "to", "cc", "subject", "in-reply-to", "references", "content-type",
    "message-id",
})  # fmt: skip
_CR_ALONE = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is read; over it the message is "too complex": read in part, never drafted."""

    depth: int = 50
    parts: int = 1000
    header_bytes: int = 1_000_000
    header_count: int = 1000
    references: int = 10_000
    text_chars: int = 2_000_000  # split and looked through; the rest is kept for the reader


DEFAULT_LIMITS = Limits()


def parse_headers(raw_headers: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """The message that these header fields describe, without a body. Never raises.

    Equal to the header fields of `parse_message` of the whole message, where the fields are the same.
    """
    raw_headers = _with_line_ends(raw_headers)
    block = split_headers(raw_headers, size=limits.header_bytes, count=limits.header_count)
    return _from_headers(block, limits, len(raw_headers))


def parse_message(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """The whole message: headers, text, reply | quoted | signature, attachments, and what was odd. Never raises.

    Over a limit `too_complex` is set, a warning starts with "structure-limit", and the headers and the first text
    within the limits are still there.
    """
    raw = _with_line_ends(raw)
    block = split_headers(raw, size=limits.header_bytes, count=limits.header_count)
    header = part_header(block.fields)
    found = _structure(raw, header, block.body_start, limits)
    message = _from_headers(block, limits, len(raw))
    return _with_body(message, *_opened(raw, found, limits), limits)


def attached_files(raw: bytes, *, most: int, limits: Limits = DEFAULT_LIMITS) -> list[AttachedFile]:
    """The attachments of a message with what they hold, in its order. Never raises.

    What is longer than `most` bytes comes without its content. A text attachment that `parse_message` reads as the
    message itself is left out.
    """
    raw = _with_line_ends(raw)
    block = split_headers(raw, size=limits.header_bytes, count=limits.header_count)
    found = _structure(raw, part_header(block.fields), block.body_start, limits)
    return read_attached(*_opened(raw, found, limits), most)


def _structure(raw: bytes, header: PartHeader, start: int, limits: Limits) -> Structure:
    return structure(
        raw,
        header,
        start,
        depth=limits.depth,
        parts=limits.parts,
        header_bytes=limits.header_bytes,
        header_count=limits.header_count,
    )


def _opened(raw: bytes, found: Structure, limits: Limits) -> tuple[bytes, Structure]:
    """The message inside one that S/MIME signed in one piece, and its structure; any other as it is."""
    if len(found.parts) != 1 or smime(raw, found.parts[0]) != "signed":
        return raw, found
    inner = signed_content(raw, found.parts[0])
    if not inner:
        return raw, found
    block = split_headers(inner, size=limits.header_bytes, count=limits.header_count)
    opened = _structure(inner, part_header(block.fields), block.body_start, limits)
    opened.warnings.append("signed: with S/MIME, in one piece; the signature was not checked")
    return inner, opened


def _with_line_ends(raw: bytes) -> bytes:
    """`raw`, its CR alone made line ends where there are no others: some old programs write so."""
    if b"\r" not in raw or raw.find(b"\n", 0, max(len(raw) - 2, 0)) >= 0:
        return raw
    return _CR_ALONE.sub(b"\n", raw)


def _from_headers(block: HeaderBlock, limits: Limits, size: int) -> Message:
    raw: dict[str, str] = {}
    headers: dict[str, tuple[str, ...]] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in block.fields:
        text = value if "=?" not in value and value.isprintable() else decode_words(value)
        if name in headers:
            repeated.setdefault(name, list(headers[name])).append(text)
        else:
            headers[name] = (text,)
            raw[name] = value
    for name, values in repeated.items():
        headers[name] = tuple(values)
    get = raw.get
    from_ = _all_addresses(block, "from") if "from" in repeated else parse_addresses(get("from", ""))
    ids = message_ids(get("message-id", ""))
    sender = parse_addresses(get("sender", "")) if "sender" in raw else ()
    references = message_ids(get("references", ""), limits.references) if "references" in raw else ()
    message = Message(
        message_id=ids[0] if ids else made_up(field for field in block.fields if field[0] in _IDENTIFYING),
        subject=headers["subject"][0] if "subject" in headers else "",
        date=parse_date(get("date", "")) if "date" in raw else None,
        from_=from_,
        sender=sender[0] if sender else None,
        reply_to=parse_addresses(get("reply-to", "")) if "reply-to" in raw else (),
        to=_recipients(block, raw, repeated, "to"),
        cc=_recipients(block, raw, repeated, "cc"),
        mail_followup_to=parse_addresses(get("mail-followup-to", "")) if "mail-followup-to" in raw else (),
        in_reply_to=message_ids(get("in-reply-to", ""), 100) if "in-reply-to" in raw else (),
        references=references,
        headers=headers,
        too_complex=block.too_long,
        size=size,
    )
    warnings = (*block.warnings, *header_warnings(message, repeated.keys(), bool(ids)))
    return replace(message, warnings=warnings) if warnings else message


def _recipients(
    block: HeaderBlock, raw: dict[str, str], repeated: dict[str, list[str]], name: str
) -> tuple[Address, ...]:
    if name not in raw:
        return ()
    return _all_addresses(block, name) if name in repeated else parse_addresses(raw[name])


def _all_addresses(block: HeaderBlock, name: str) -> tuple[Address, ...]:
    """The addresses of a header that stands there several times, against the rules."""
    return tuple(address for field, value in block.fields if field == name for address in parse_addresses(value))


def _with_body(message: Message, raw: bytes, found: Structure, limits: Limits) -> Message:
    """`message` with what its parts hold."""
    body = read_body(raw, found, limits.text_chars)
    parted = split(body.text[: limits.text_chars])
    warnings = [*message.warnings, *found.warnings, *body.warnings]
    if len(body.text) > limits.text_chars:
        warnings.append(f"long-text: only the first {limits.text_chars:,} characters were looked through")
    return replace(
        message,
        text=body.text,
        html=body.html,
        reply=parted.reply,
        quoted=parted.quoted,
        signature=parted.signature,
        blocks=parted.blocks,
        hidden=body.hidden,
        attachments=body.attachments,
        encrypted=body.encrypted,
        too_complex=message.too_complex or found.too_complex,
        warnings=tuple(dict.fromkeys(warnings)),
    )
