"""Parts that hold a message in a form that is not text: S/MIME (RFC 8551), PGP/MIME (RFC 3156), Microsoft's rights
management (MS-OXORMMS).

Gateways and Exchange relabel such parts, so that their names and their first bytes count as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailassist.mail.mime import Part, decoded

_PKCS7 = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_SINGLE_NAME = re.compile(r"[^./\\]+\.p7m", re.IGNORECASE)  # "contract.pdf.p7m" is a signed document
_OBJECT = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"  # id-data, signedData, envelopedData end in 1, 2, 3
_DATA, _SIGNED, _ENVELOPED = (_OBJECT + bytes((kind,)) for kind in (1, 2, 3))
_ARMOR = re.compile(rb"\s*-----BEGIN PGP MESSAGE-----")
_BEGINNING = 400  # bytes
_OCTETS = 0x04


def smime(raw: bytes, part: Part) -> str:
    """ "S/MIME" for an encrypted part, "signed" for one that is signed in one piece, "" for what is neither."""
    header = part.header
    if header.content_type not in _PKCS7 and not _SINGLE_NAME.fullmatch(header.name):
        return ""
    beginning = decoded(raw, part, _BEGINNING)[0][:40]
    said = header.smime_type in ("signed-data", "certs-only") and _ENVELOPED not in beginning
    return "signed" if said or _SIGNED in beginning else "S/MIME"


def rights_managed(part: Part) -> bool:
    """Whether a part is a message that Outlook protected: what stands beside it only says how to open it."""
    header = part.header
    return header.content_type == "application/x-microsoft-rpmsg-message" or header.name.lower() == "message.rpmsg"


def pgp(raw: bytes, part: Part, alone: bool) -> bool:
    """Whether a part is an encrypted PGP message; `alone`: there is no text beside it."""
    header = part.header
    if header.content_type == "application/pgp-encrypted" or header.name.lower() == "encrypted.asc":
        return True
    return alone and _ARMOR.match(decoded(raw, part, _BEGINNING)[0]) is not None


def signed_content(raw: bytes, part: Part) -> bytes:
    """The message inside a part that is signed in one piece (RFC 5652, 5.1; BER), b"" where there is none.

    The signature is not checked.
    """
    data = decoded(raw, part)[0]
    start = data.find(_DATA, data.find(_SIGNED, 0, _BEGINNING) + 1, _BEGINNING)
    if _SIGNED not in data[:_BEGINNING] or start < 0:
        return b""
    return b"".join(_octet_strings(data, start + len(_DATA)))


def _octet_strings(data: bytes, position: int) -> Iterator[bytes]:
    """The octet strings from `position` on, in whatever they are wrapped, up to the first other value."""
    while position + 1 < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length > 0x80:  # the long form: that many bytes of length follow
            size = length & 0x7F
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        if tag & 0x20:  # constructed: its values follow; 0x80: up to an end mark
            continue
        if tag == _OCTETS:
            yield data[position : position + length]
        elif tag or length:
            return
        position += length
