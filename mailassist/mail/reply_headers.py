"""Header fields as they go over the wire: folded, encoded, and refused where a value could start a line of its own.

RFC 5322 (syntax, line lengths), RFC 2047 (encoded words), RFC 6532 (UTF-8 in headers, for local parts that need it).
The standard library's generator is not used: it encodes long msg-ids as words and lets NUL through (CVE-2024-6923).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence

import idna

from mailassist.errors import InputError
from mailassist.mail.message import Address

LINE_LIMIT = 998  # octets without CRLF, RFC 5322, 2.1.1
_FOLD_AT = 76
_CHUNK = 42  # UTF-8 octets in one encoded word: 56 in base64, 68 with "=?utf-8?b?" and "?="
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,60}"
_ATOMS = re.compile(f"{_ATOM}(?: {_ATOM})*")
_LOCAL = r"""(?:[^\s"(),:;<>@\[\]\\\x00-\x20\x7f-\x9f]+|"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[ -~])*")"""
_ADDRESS = re.compile(rf"{_LOCAL}@[^\s@<>\x00-\x20\x7f-\x9f]+")
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.IPv]+\]")


class UnsafeHeader(InputError):
    """A header value holds a line break or NUL, or an address is not one; nothing was built."""


def refuse_control(name: str, value: str) -> str:
    """`value` unchanged. Raises UnsafeHeader when it holds CR, LF, NUL or another control character (P9)."""
    if _FORBIDDEN.search(value):
        raise UnsafeHeader(f"The header {name} would hold a control character")
    return value


def unstructured(name: str, value: str) -> str:
    """`Name: value` folded, encoded words where `value` is not simple ASCII. Raises UnsafeHeader."""
    refuse_control(name, value)
    if not value:
        return f"{name}:"
    return _folded(name, value.split(" ") if _is_plain(value) else _encoded_words(value))


def tokens(name: str, values: Sequence[str]) -> str:
    """`Name: a b c`, folded between the values only (msg-ids). Raises UnsafeHeader."""
    for value in values:
        refuse_control(name, value)
        if " " in value or not value.isascii() or len(value) > LINE_LIMIT - 20:
            raise UnsafeHeader(f"The header {name} would hold a value that is no msg-id")
    return _folded(name, values)


def addresses(name: str, values: Iterable[Address]) -> str:
    """`Name: "A" <a@b>, ...`, folded between addresses, domains as A-labels. Raises UnsafeHeader."""
    mailboxes = [_mailbox(name, value) for value in values]
    return _folded(name, [f"{one}," for one in mailboxes[:-1]] + mailboxes[-1:])


def wire_address(email: str) -> str:
    """`email` as it stands in RCPT TO and in headers: the domain in A-labels (IDNA 2008, UTS 46 mapping).

    Raises UnsafeHeader when it is not one address (RFC 5321, 4.1.2).
    """
    if not _ADDRESS.fullmatch(email) or len(email.encode("utf-8", "replace")) > 254:
        raise UnsafeHeader(f"{email!r} is not an e-mail address")
    local, _, domain = email.rpartition("@")
    return email if _LITERAL.fullmatch(domain) else f"{local}@{_a_labels(domain)}"


def _a_labels(domain: str) -> str:
    if _DOMAIN.fullmatch(domain):
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UnsafeHeader(f"{domain!r} is not a domain: {error}") from error


def _mailbox(name: str, address: Address) -> str:
    refuse_control(name, address.name)
    email = wire_address(address.email)
    phrase = " ".join(address.name.split())
    if not phrase:
        return email
    if not phrase.isascii() or "=?" in phrase or len(phrase) > _FOLD_AT - 4:
        written = "\r\n ".join(_encoded_words(phrase))
    elif _ATOMS.fullmatch(phrase):
        written = phrase
    else:
        written = '"' + re.sub(r'(["\\])', r"\\\1", phrase) + '"'
    return f"{written} <{email}>"


def _is_plain(value: str) -> bool:
    """ASCII words with single spaces that no reader would take for an encoded word."""
    return _PLAIN.fullmatch(value) is not None and "=?" not in value


def _encoded_words(value: str) -> list[str]:
    """`value` as base64 encoded words, none of which cuts a character (RFC 2047, 5)."""
    words, chunk = [], b""
    for character in value:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > _CHUNK:
            words.append(chunk)
            chunk = b""
        chunk += octets
    return [f"=?utf-8?b?{base64.b64encode(word).decode('ascii')}?=" for word in [*words, chunk]]


def _folded(name: str, words: Sequence[str]) -> str:
    """The field, with a new line wherever a word would make the line longer than 76 characters."""
    lines = [f"{name}:"]
    for number, word in enumerate(words):
        if number and len(lines[-1]) + 1 + len(word) > _FOLD_AT:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)
