"""Message identifiers (RFC 5322, 3.6.4) as they may be used further: without anything that a command could obey."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from mailassist.mail.header_fields import decode_words

LONGEST = 998
# Visible ASCII between angle brackets. The grammar is stricter; the world is not.
_ID = re.compile(r"<[!-;=?-~]{1,996}>")
_BARE = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")


def message_ids(value: str, limit: int = 10_000) -> tuple[str, ...]:
    """The valid msg-ids in a raw header value, in order, at most `limit`; each at most 998 characters.

    None holds a CR, LF, NUL or white space. A value without angle brackets counts where it is one word with an "@".
    """
    if "=?" in value:
        value = decode_words(value)  # some servers encode long ids
    ids = _ID.findall(value)
    if ids:
        return tuple(ids[:limit])
    bare = value.strip()
    return (f"<{bare}>",) if len(bare) <= LONGEST - 2 and _BARE.fullmatch(bare) else ()


def made_up(fields: Iterable[tuple[str, str]]) -> str:
    """A Message-ID for a message that has none: a hash of the fields that all copies of it share."""
    digest = hashlib.sha256()
    for name, value in fields:
        digest.update(f"{name}:{value}\n".encode("utf-8", "surrogatepass"))
    return f"<{digest.hexdigest()[:32]}@no-message-id.invalid>"
