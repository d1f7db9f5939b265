"""Identifiers of what we send: keyed, so that nobody else can make one, and the fingerprint of a message."""

from __future__ import annotations

import hashlib
import hmac
import json
import re

from mailassist.mail.compose import comparable
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_message
from mailassist.mail.reply_headers import wire_address

_ID_IN_ANSWER = re.compile(r"<[!-;=?-~]{1,400}@[!-;=?-~]{1,200}>")


def keyed(key: bytes, *parts: str) -> str:
    """32 hexadecimal digits of HMAC-SHA256 over `parts`, with the store's key."""
    return hmac.new(key, "\0".join(parts).encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def message_id(address: str, unique: str) -> str:
    """`<unique@domain-of-address>`, the domain in A-labels (servers rewrite ids without a real domain)."""
    return f"<{unique}@{wire_address(address).rpartition('@')[2]}>"


def fingerprint(raw: bytes) -> str:
    """`fingerprint_of` the message `raw`."""
    return fingerprint_of(parse_message(raw))


def fingerprint_of(message: Message) -> str:
    """A hash of what a person decides about a message: recipients, subject, what it answers, text and attachments.

    White space, display names, the order of addresses and the Message-ID, all of which servers rewrite, do not count.
    """
    seen = {
        "recipients": [sorted({one.key for one in field}) for field in (message.to, message.cc)],
        "bcc": message.headers.get("bcc", ()),
        "subject": comparable(message.subject),
        "answers": message.in_reply_to,
        "text": comparable(message.text),
        "attachments": [(one.name, one.size) for one in message.attachments],
    }
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def id_told_by_server(answer: str, ours: str) -> str:
    """The Message-ID that the text of a final 250 names (Outlook), "" where it names none or ours."""
    found = [one for one in _ID_IN_ANSWER.findall(answer) if one != ours]
    return found[0] if found else ""
