"""What a sample conversation's file says: people and messages, before any byte of mail is made of it.

One TOML file a conversation, under data/conversations; data/README.md explains the keys. A key that no class here has
is a TypeError: the data is ours, and a test reads all of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

Client = Literal["gmail", "outlook", "apple", "thunderbird", "plain"]
OWNER = ("me", "private")  # the keys of owner.toml
Quote = Literal["below", "inline", "none"]


def data() -> Traversable:
    """The folder of the sample data, in a checkout and in a wheel."""
    return files("mailassist.demo") / "data"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes, and the mail program used for it."""

    name: str
    address: str
    client: Client = "gmail"
    language: str = "en"  # of the mail program: attribution lines, reply prefixes
    zone: str = "+0100"
    charset: str = "utf-8"
    encoding: str = "quoted-printable"
    html: str = ""  # "": plain text; "both": multipart/alternative; "only": text/html alone
    signature: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """One message: what was written, when, to whom; all else follows from the person and the message answered."""

    sender: str  # a key of `people`, or "me", "private"
    ago: str  # "12d 09:14" (12 days ago at that time, UTC), "3h", "40m"
    body: str
    to: tuple[str, ...] = ()  # keys of people, or addresses; empty: whoever was written with
    cc: tuple[str, ...] = ()
    subject: str = ""  # empty: that of the message answered, with the client's prefix
    answers: int | None = None  # number of the message answered, from 1; None: the one before; 0: none
    quote: Quote = "below"
    html: str = ""  # the HTML body, where it is not made from `body`
    content_type: str = ""  # the body is then the raw content of this type
    attachments: tuple[str, ...] = ()  # names in data/files
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A sample conversation."""

    name: str
    subject: str
    people: Mapping[str, Person]
    messages: tuple[Description, ...]
    archive: Literal["none", "answered", "all"] = "none"  # which messages of others the owner has filed away
    about: str = ""  # for the reader of the file


def stories() -> list[Story]:
    """Every sample conversation, by file name."""
    owner = _people(tomllib.loads((data() / "owner.toml").read_text(encoding="utf-8")))
    found = [path for path in (data() / "conversations").iterdir() if path.name.endswith(".toml")]
    return [
        _story(path.name.removesuffix(".toml"), tomllib.loads(path.read_text(encoding="utf-8")), owner)
        for path in sorted(found, key=lambda path: path.name)
    ]


def moment(ago: str, now: datetime) -> datetime:
    """The time that `ago` names: "12d 09:14", "3h" or "40m" before `now` (aware). Raises ValueError."""
    now = now.replace(microsecond=0)
    first, _, clock = ago.partition(" ")
    amount, unit = int(first[:-1]), first[-1]
    if unit != "d":
        return now - (timedelta(hours=amount) if unit == "h" else timedelta(minutes=amount))
    hours, minutes = clock.split(":")
    return (now - timedelta(days=amount)).replace(hour=int(hours), minute=int(minutes), second=amount % 60)


def _people(tables: Mapping[str, Any]) -> dict[str, Person]:
    return {key: Person(**table) for key, table in tables.items()}


def _story(name: str, table: dict[str, Any], owner: Mapping[str, Person]) -> Story:
    messages = [_description(message) for message in table.pop("message")]
    people = {**owner, **_people(table.pop("people", {}))}
    messages[0] = replace(messages[0], subject=messages[0].subject or table["subject"])
    return Story(name=name, people=people, messages=tuple(messages), **table)


def _description(table: dict[str, Any]) -> Description:
    lists: dict[str, Any] = {key: tuple(table.pop(key)) for key in ("to", "cc", "attachments") if key in table}
    return Description(sender=table.pop("from"), **lists, **table)
