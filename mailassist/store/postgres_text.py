"""Text that PostgreSQL cannot hold, held all the same: NUL characters and lone surrogates, which mail may contain.

They are written as a mark (U+FDD0, no character of any language) and four digits, and read back as what they were; so
equal texts are equal in both databases. The driver does that for every text, whichever statement it is part of.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import StrDumper, StrDumperUnknown

_MARK = "\ufdd0"
_UNSTORABLE = re.compile(f"[\x00\ud800-\udfff{_MARK}]")
_MARKED = re.compile(f"{_MARK}([0-9a-f]{{4}})")


def storable(text: str) -> str:
    """`text` as it is stored."""
    return _UNSTORABLE.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


def restored(text: str) -> str:
    """The text that was stored so."""
    return _MARKED.sub(lambda found: chr(int(found[1], 16)), text) if _MARK in text else text


def register(connection: psycopg.Connection[object]) -> None:
    """Make the connection write and read every text so."""
    for dumper in (_Typed, _Untyped):  # the last one registered is the one that is used by itself
        connection.adapters.register_dumper(str, dumper)
    for name in ("text", "varchar", "bpchar"):
        connection.adapters.register_loader(name, _Loader)


class _Typed(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


class _Untyped(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


class _Loader(Loader):
    def load(self, data: Buffer) -> str:
        return restored(bytes(data).decode())
