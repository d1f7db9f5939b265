"""Identifiers of what we send: keyed, so that nobody else can make one, and the fingerprint of a text."""

from __future__ import annotations

import hashlib
import hmac
import re

from mailassist.mail.compose import comparable
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
    """A hash of the text that a reader sees, without white space: what a server's rewriting of headers leaves alone."""
    return hashlib.sha256(comparable(parse_message(raw).text).encode("utf-8", "replace")).hexdigest()


def id_told_by_server(answer: str, ours: str) -> str:
    """The Message-ID that the text of a final 250 names (Outlook), "" where it names none or ours."""
    found = [one for one in _ID_IN_ANSWER.findall(answer) if one != ours]
    return found[0] if found else ""
