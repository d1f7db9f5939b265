"""The bytes of a reply: headers from the plan, the person's text, the signature and the quote by code.

text/plain; format=flowed (RFC 3676) in UTF-8, beside it HTML where the account wants it. What was built is parsed again
and compared before anyone may send it (P9); the wire form holds CRLF only, no NUL, no line over 998 octets (P11).
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import Literal

from mailassist.errors import DeliveryError
from mailassist.mail import flowed_encoding as flowed
from mailassist.mail import html_reply
from mailassist.mail.attribution import attribution
from mailassist.mail.body import html_to_text
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_message
from mailassist.mail.recipients import ReplyPlan, confirmed, plan_reply
from mailassist.mail.reply_headers import LINE_LIMIT, addresses, refuse_control, tokens, unstructured, wire_address
from mailassist.mail.thread_index import child

__all__ = [
    "OWN_HEADER",
    "BuildFailed",
    "Composed",
    "Layout",
    "ReplyPlan",
    "compose",
    "confirmed",
    "message_text",
    "plan_reply",
]

_PLAIN = 'text/plain; charset="utf-8"; format=flowed'
OWN_HEADER = "X-Mailassist-Id"
QUOTE_LIMIT = 100_000  # characters of the original that are quoted
Quote = Literal["none", "below", "inline"]


class BuildFailed(DeliveryError):
    """The reply that was built does not read back as what was approved; it was not sent."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a reply looks: the account's and the identity's settings."""

    quote: Quote = "below"
    language: str = "en"  # of the attribution line, BCP 47
    signature: str = ""
    html: bool = False
    html_signature: str = ""  # trusted: from the configuration


@dataclass(frozen=True, slots=True)
class Composed:
    """A reply as bytes, and as it reads back."""

    raw: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class _Blocks:
    """What a reply is put together from; its plain text and its HTML are made of the same blocks."""

    answer: str
    signature: str
    attribution: str  # the line above the quote; "" where nothing is quoted
    quoted: str  # the original's text, without the quote marks of this reply
    quote_first: bool  # the quote stands above the answer


def compose(
    plan: ReplyPlan,
    body: str,
    *,
    original: Message,
    layout: Layout,
    message_id: str,
    own_id: str,
    date: datetime,
) -> Composed:
    """The reply as it goes over the wire (before SMTP stuffs dots), and as it is read there.

    `body`: what the person approved; `message_id` with angle brackets; `own_id`: the value of our own header. Raises
    UnsafeHeader (a header would hold CR, LF or NUL, or an address is none), BuildFailed (it does not read back).
    """
    blocks = _blocks(body, original, layout)
    text = _plain_text(blocks)
    fields = _fields(plan, message_id, own_id, date)
    content = _alternatives(text, blocks, layout, own_id) if layout.html else _part(_PLAIN, flowed.encode(text), True)
    raw = "\r\n".join(fields).encode() + b"\r\n" + content
    _check_wire(raw)
    seen = parse_message(raw)
    _check_meaning(seen, plan, text, message_id, own_id)
    return Composed(raw, seen)


def message_text(body: str, original: Message, layout: Layout) -> str:
    """The whole text of the reply, one paragraph a line: body, signature, quote. Control characters are gone."""
    return _plain_text(_blocks(body, original, layout))


def _blocks(body: str, original: Message, layout: Layout) -> _Blocks:
    """The parts of the reply. A signature that the body ends with already is not written twice."""
    answer = flowed.clean(body).strip("\n")
    signature = flowed.clean(layout.signature).strip("\n")
    if signature and answer.endswith(f"\n{signature}"):
        answer = answer.removesuffix(signature).removesuffix(f"{flowed.SIGNATURE_SEPARATOR}\n").rstrip("\n")
    inline = layout.quote == "inline"
    quotes_itself = inline and any(line.startswith(">") for line in answer.split("\n"))
    quoted = "" if layout.quote == "none" or quotes_itself else _original_text(original)
    line = attribution(original, layout.language) if quoted else ""
    return _Blocks(answer, signature, line, quoted, quote_first=inline)


def _original_text(original: Message) -> str:
    """The original's visible text; never its Bcc, never hidden text."""
    text = flowed.clean(original.text).strip("\n")
    return text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT].rsplit("\n", 1)[0] + "\n[...]"


def _plain_text(blocks: _Blocks) -> str:
    quote = f"{blocks.attribution}\n{flowed.quote(blocks.quoted)}" if blocks.quoted else ""
    signature = f"{flowed.SIGNATURE_SEPARATOR}\n{blocks.signature}" if blocks.signature else ""
    order = (quote, blocks.answer, signature) if blocks.quote_first else (blocks.answer, signature, quote)
    return "\n\n".join(block for block in order if block) + "\n"


def _fields(plan: ReplyPlan, message_id: str, own_id: str, date: datetime) -> list[str]:
    """Every header field but those of the content."""
    index = child(plan.thread_index, date, message_id) if plan.thread_index else ""
    return [
        f"Date: {format_datetime(date)}",
        addresses("From", [plan.from_]),
        addresses("To", plan.to),
        *([addresses("Cc", plan.cc)] if plan.cc else []),
        unstructured("Subject", plan.subject),
        tokens("Message-ID", [message_id]),
        *([tokens("In-Reply-To", [plan.in_reply_to])] if plan.in_reply_to else []),
        *([tokens("References", plan.references)] if plan.references else []),
        *([tokens("Thread-Index", [index])] if index else []),
        *([unstructured("Thread-Topic", plan.thread_topic)] if plan.thread_topic else []),
        f"{OWN_HEADER}: {refuse_control(OWN_HEADER, own_id)}",
        "MIME-Version: 1.0",
    ]


def _alternatives(text: str, blocks: _Blocks, layout: Layout, own_id: str) -> bytes:
    """multipart/alternative: the text, and the same as HTML."""
    page = partial(
        html_reply.page,
        blocks.answer,
        signature=blocks.signature,
        attribution=blocks.attribution,
        quoted=blocks.quoted,
        quote_first=blocks.quote_first,
    )
    # HTML has no empty lines, and so no quote marks before them.
    if comparable(html_to_text(page()).text).replace(">", "") != comparable(text).replace(">", ""):
        raise BuildFailed("The HTML of the reply does not say what was approved")
    parts = (
        _part(_PLAIN, flowed.encode(text), False),
        _part('text/html; charset="utf-8"', page(html_signature=layout.html_signature), False),
    )
    # "=_" stands neither in quoted-printable nor in base64, so that no content can hold the boundary.
    boundary = b"=_" + hashlib.sha256(own_id.encode()).hexdigest()[:24].encode()
    inner = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        b'Content-Type: multipart/alternative;\r\n boundary="'
        + boundary
        + b'"\r\n\r\n'
        + inner
        + b"--"
        + boundary
        + b"--\r\n"
    )


def _part(content_type: str, text: str, may_be_7bit: bool) -> bytes:
    """One text part: 7bit where that is enough, else quoted-printable, or base64 where that is shorter."""
    octets = text.encode("utf-8", "replace")
    lines = octets.split(b"\n")
    if may_be_7bit and octets.isascii() and max(map(len, lines)) <= LINE_LIMIT:
        encoding, content = b"7bit", octets
    else:
        quoted = quopri.encodestring(octets, quotetabs=False)
        based = base64.encodebytes(octets.replace(b"\n", b"\r\n"))
        encoding, content = (b"quoted-printable", quoted) if len(quoted) <= len(based) else (b"base64", based)
    head = b"Content-Type: " + content_type.encode() + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    return head + content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _check_wire(raw: bytes) -> None:
    """P11: CRLF only, no NUL, lines of at most 998 octets."""
    lines = raw.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines) or not raw.endswith(b"\r\n"):
        raise BuildFailed("The reply would hold a bare CR or LF or a NUL on the wire")
    if max(map(len, lines)) > LINE_LIMIT:
        raise BuildFailed("The reply would hold a line of more than 998 octets")


def _check_meaning(seen: Message, plan: ReplyPlan, text: str, message_id: str, own_id: str) -> None:
    """P9: what a reader will see is what was approved; no header more, none less."""
    expected = {
        "From": (wire_address(plan.from_.email),),
        "To": tuple(wire_address(one.email) for one in plan.to),
        "Cc": tuple(wire_address(one.email) for one in plan.cc),
    }
    found = {"From": seen.from_, "To": seen.to, "Cc": seen.cc}
    for name, wanted in expected.items():
        if tuple(one.email for one in found[name]) != wanted:
            raise BuildFailed(f"The header {name} does not read back as it was approved")
    if {"bcc", "reply-to", "sender", "mail-followup-to"} & set(seen.headers):
        raise BuildFailed("The reply holds a header that nobody asked for")
    if (seen.subject, seen.message_id, seen.header(OWN_HEADER)) != (plan.subject, message_id, own_id):
        raise BuildFailed("Subject or Message-ID does not read back as it was approved")
    if seen.references != plan.references or " ".join(seen.in_reply_to) != plan.in_reply_to:
        raise BuildFailed("The reply would not stay in its conversation")
    if any(len(values) > 1 for values in seen.headers.values()):
        raise BuildFailed("A header stands more than once")
    if comparable(seen.text) != comparable(text):
        raise BuildFailed("The text does not read back as it was approved")


def comparable(text: str) -> str:
    """`text` without white space and invisible characters: what wrapping, line ends and readers may change."""
    dense = "".join(text.split())
    invisible = [one for one in set(dense) if unicodedata.category(one) in ("Cf", "Cc", "Mn")]
    return dense.translate(dict.fromkeys(map(ord, invisible))) if invisible else dense
