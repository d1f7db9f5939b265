"""Whether the audit trail is whole, and which entry is the first that is not."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import sqlalchemy as sa

from mailassist.errors import InputError
from mailassist.store import audit as table
from mailassist.store.audit import Entry, Seals
from mailassist.store.database import Store

Problem = Literal["missing", "changed", "out of order", "wrong key", "text changed", "cut off"]
_NEAR = 200  # entries among which one that was moved is looked for


@dataclass(frozen=True, slots=True)
class Bad:
    """The first entry that is not as it was written."""

    number: int
    problem: Problem
    said: str  # one sentence


@dataclass(frozen=True, slots=True)
class Proof:
    """What the trail shows."""

    entries: int
    number: int  # of the last entry
    seal: str  # of the last entry, hexadecimal
    waiting: int  # not sealed yet
    bad: Bad | None = None

    @property
    def whole(self) -> bool:
        """Nothing is missing, changed or moved, as far as the seals and the noted head tell."""
        return self.bad is None


def noted_head(text: str) -> tuple[int, str]:
    """`NUMBER:HEX` as it was noted. Raises InputError."""
    number, _, seal = text.strip().partition(":")
    try:
        found = int(number), bytes.fromhex(seal).hex()
    except ValueError:
        found = -1, ""
    if found[0] < 0 or len(found[1]) != 64 or not number.isascii():
        raise InputError(
            f"{text[:100]!r} is no head of the audit trail", cure="Write it as it was logged: NUMBER:64 hex digits."
        )
    return found


def verify(store: Store, key: bytes, *, noted: tuple[int, str] | None = None) -> Proof:
    """Go through the whole trail; `noted`: a head from `Trail.head`, as it was logged. Raises StoreError.

    Without a noted head a tail that was cut off cannot be seen. Texts that are still kept are compared with the hashes.
    """
    seals = Seals(key)
    with store.read() as connection:
        number, seal = 0, table.NO_SEAL
        bad: Bad | None = None
        count = 0
        for entry in table.entries(connection):
            count += 1
            bad = bad or _wrong(connection, seals, entry, number, seal, noted)
            number = entry.number
            seal = entry.seal if isinstance(entry.seal, bytes) else b""
        if noted and noted[0] > number and bad is None:
            last = f"the trail ends with {number}" if number else "the trail is empty"
            said = f"Entry {noted[0]} was there when its head was noted, and {last}"
            bad = Bad(number + 1, "cut off", said)
        return Proof(count, number, seal.hex(), table.waiting(connection), bad)


def _wrong(
    connection: sa.Connection, seals: Seals, entry: Entry, last: int, before: bytes, noted: tuple[int, str] | None
) -> Bad | None:
    """What is wrong with the entry that stands after entry `last`, whose seal is `before`."""
    number = last + 1
    if entry.number > number:
        gone = f"Entry {number} is" if entry.number == number + 1 else f"Entries {number} to {entry.number - 1} are"
        return Bad(number, "missing", f"{gone} missing")
    if entry.number < number:
        return Bad(entry.number, "changed", f"Entry {entry.number} was not written by the daemon")
    if not _fits(seals, entry, before):
        return _explained(connection, seals, entry, before)
    for kept, hashed, what in ((entry.written, entry.written_hash, "written"), (entry.sent, entry.sent_hash, "sent")):
        if kept and seals.of_text(kept) != hashed:
            said = f"The text that entry {number} is about ({what}) is not the one that was recorded"
            return Bad(number, "text changed", said)
    if noted and noted[0] == number and noted[1] != entry.seal.hex():
        return Bad(number, "changed", f"Entry {number} is not the one whose head was noted: the trail was written anew")
    return None


def _fits(seals: Seals, entry: Entry, before: bytes) -> bool:
    seal = entry.seal
    return isinstance(seal, bytes) and hmac.compare_digest(seals.of_entry(entry, before), seal)


def _explained(connection: sa.Connection, seals: Seals, entry: Entry, before: bytes) -> Bad:
    """Why a seal does not fit: another key, an entry from elsewhere in the trail, or a change."""
    number = entry.number
    start = max(1, number - _NEAR // 2)
    near = {one.number: one for one in islice(table.entries(connection, first=start), _NEAR)}
    if number == 1 and len(near) > 1 and not any(_fits_near(seals, near, one) for one in near.values()):
        return Bad(number, "wrong key", "No entry fits this key: it is another one, or all of the trail was rewritten")
    # Any seal may be the one that it followed on: the entry before it may have been moved as well.
    seals_before = {one.seal for one in near.values() if isinstance(one.seal, bytes)} | {before, table.NO_SEAL}
    if any(_fits(seals, replace(entry, number=at), seal) for at in near for seal in seals_before):
        return Bad(number, "out of order", f"Entry {number} is another one, moved here from elsewhere in the trail")
    also = ", or sealed with another key" if len(near) == 1 else ""
    return Bad(number, "changed", f"Entry {number} was changed{also}, or one before it put in its place")


def _fits_near(seals: Seals, near: Mapping[int, Entry], entry: Entry) -> bool:
    before = near.get(entry.number - 1)
    if before is None:
        return entry.number == 1 and _fits(seals, entry, table.NO_SEAL)
    return isinstance(before.seal, bytes) and _fits(seals, entry, before.seal)
