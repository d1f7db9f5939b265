"""What the other side asked and nobody has answered, over conversations stated in `open_asks.toml`."""

import tomllib
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from conversations import FIRST, together

from mailassist.context.asks import open_asks
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import Conversation

TALKS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("open_asks.toml").read_text(encoding="utf-8"))[
    "talk"
]
ME = "Tom Berg <tom@example.org>"


def held(talk: dict[str, Any]) -> Conversation:
    """The conversation that `talk` states, parsed from mail as a program sends it."""
    return together([parse_message(_mail(talk, number)) for number in range(len(talk["messages"]))])


def _mail(talk: dict[str, Any], number: int) -> bytes:
    said = talk["messages"][number]
    answered = said.get("answers", number - 1)
    first = next((one["by"] for one in talk["messages"] if not one.get("ours")), "Anna")
    mail = EmailMessage()
    mail["Message-ID"] = f"<{number}@test.example>"
    mail["From"] = ME if said.get("ours") else _address(said["by"])
    mail["To"] = ", ".join(map(_address, said.get("to", [first if said.get("ours") else "Tom"])))
    if "cc" in said:
        mail["Cc"] = ", ".join(map(_address, said["cc"]))
    mail["Date"] = format_datetime(FIRST + timedelta(days=number))
    mail["Subject"] = said.get("subject", talk.get("subject", "Hello"))
    if answered >= 0:
        mail["In-Reply-To"] = f"<{answered}@test.example>"
    for header in filter(None, [said.get("header")]):
        name, _, value = header.partition(": ")
        mail[name] = value
    mail.set_content(said["says"])
    return mail.as_bytes()


def _address(name: str) -> str:
    return ME if name == "Tom" else f"{name} <{name.casefold().encode('ascii', 'ignore').decode()}@example.net>"


@pytest.mark.parametrize("talk", TALKS, ids=[talk["name"] for talk in TALKS])
def test_what_nobody_answered_is_open(talk: dict[str, Any]) -> None:
    assert [ask.text for ask in open_asks(held(talk))] == talk["open"]
