"""What is odd about a message's headers, one line each, for people; each line begins with a code word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from mailassist.mail.message import Address, Message

_ONCE = frozenset({
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "content-type", "content-transfer-encoding", "mime-version", "auto-submitted",
})  # fmt: skip
MANY_RECIPIENTS = 50
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:@]+\.[^\s<>\"'(),;:@]+")


def header_warnings(message: Message, repeated: Collection[str], has_id: bool) -> list[str]:
    """The warnings for `message`, whose header names `repeated` stand there more than once."""
    warnings = [
        f"duplicate-header: {name.title()} stands there more than once; the first is used"
        for name in repeated
        if name in _ONCE
    ]
    if not message.from_:
        warnings.append("no-sender: there is no From address")
    elif len(message.from_) > 1:
        warnings.append("multiple-from: several From addresses: " + ", ".join(a.email for a in message.from_[:5]))
    if not has_id:
        warnings.append("no-message-id: there is no valid Message-ID; one was made from the headers")
    count = len(message.to) + len(message.cc)
    if count > MANY_RECIPIENTS:
        warnings.append(f"many-recipients: {count} recipients")
    authors = {address.key for address in message.from_}
    if authors and any(address.key not in authors for address in message.reply_to):
        answered = ", ".join(address.email for address in message.reply_to[:5])
        warnings.append(f"reply-to-differs: an answer goes to {answered}, not to the sender")
    for address in (*message.from_, *message.reply_to):
        warnings.extend(_about(address))
    return warnings


def _about(address: Address) -> Iterator[str]:
    if "@" in address.name:
        named = _ADDRESS.search(address.name)
        if named and named.group().casefold() != address.email.casefold():
            yield f"display-name-address: the name says {named.group()}, the address is {address.email}"
    if not address.email.isascii() or "xn--" in address.email.lower():
        yield from _about_domain(address.email)
    if address.defects:
        yield f"address: {address.email or address.name} was hard to read ({', '.join(address.defects)})"


def _about_domain(email: str) -> Iterator[str]:
    domain = email.rpartition("@")[2]
    yield f"homograph: {domain} is not written in plain letters ({domain!a}); it may look like another domain"
