"""Plain texts as mail programs write them, with the reply that a person reads in each: `replies/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailassist.mail.quotes import split


def stated() -> Iterator[tuple[str, str, str]]:
    for path in sorted((Path(__file__).parent / "replies").glob("*.toml")):
        for message in tomllib.loads(path.read_text(encoding="utf-8"))["message"]:
            yield f"{path.stem}: {message['name']} ({message['client']})", message["text"], message["reply"]


MESSAGES = list(stated())


@pytest.mark.parametrize(("text", "reply"), [message[1:] for message in MESSAGES], ids=[one[0] for one in MESSAGES])
def test_the_reply_is_what_the_author_wrote(text: str, reply: str) -> None:
    parted = split(text)
    assert parted.reply.split() == reply.split()
    assert "\n".join(block.text for block in parted.blocks) == text
