"""What is odd about a message's headers, one line each, for people; each line begins with a code word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice

from mailassist.mail.message import Address, Message

_ONCE = frozenset({
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "content-type", "content-transfer-encoding", "mime-version", "auto-submitted",
})  # fmt: skip
_ALL_USED = frozenset({"from", "to", "cc"})  # of these every field's addresses are read (`mail.parse`)
MANY_RECIPIENTS = 50
MOST_ABOUT_ADDRESSES = 50  # warnings
LONGEST_QUOTED = 80  # characters of what a sender wrote
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:@]+\.[^\s<>\"'(),;:@]+")


def header_warnings(message: Message, repeated: Collection[str], has_id: bool) -> list[str]:
    """The warnings for `message`, whose header names `repeated` stand there more than once."""
    warnings = [
        f"duplicate-header: {name.title()} stands there more than once; "
        + ("the addresses of all are used" if name in _ALL_USED else "the first is used")
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
    about = (warning for address in (*message.from_, *message.reply_to) for warning in _about(address))
    warnings.extend(islice(about, MOST_ABOUT_ADDRESSES))
    return warnings


def _about(address: Address) -> Iterator[str]:
    if "@" in address.name:
        named = _ADDRESS.search(address.name)
        if named and named.group().casefold() != address.email.casefold():
            yield f"display-name-address: the name says {_quoted(named.group())}, the address is {address.email}"
    if not address.email.isascii() or "xn--" in address.email.lower():
        yield from _about_domain(address.email)
    if address.defects:
        yield f"address: {_quoted(address.email or address.name)} was hard to read ({', '.join(address.defects)})"


def _quoted(text: str) -> str:
    """`text` as far as a warning quotes it."""
    return text if len(text) <= LONGEST_QUOTED else f"{text[: LONGEST_QUOTED - 1]}…"


def _about_domain(email: str) -> Iterator[str]:
    domain = email.rpartition("@")[2]
    yield f"homograph: {domain} is not written in plain letters ({domain!a}); it may look like another domain"
