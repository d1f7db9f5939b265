"""What the other side asked and nobody has answered, over conversations stated in `open_asks.toml`."""

import tomllib
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from conversations import ANNA, FIRST, message, talk, together
from hypothesis import given
from hypothesis import strategies as st

from mailassist.context.asks import LONGEST_ASK, MOST_ASKS, Ask, asks_of, open_asks
from mailassist.drafting.length import sentences
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import Conversation

TALKS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("open_asks.toml").read_text(encoding="utf-8"))[
    "talk"
]
ME = "Tom Berg <tom@example.org>"


def held(stated: dict[str, Any]) -> Conversation:
    """The conversation that `stated` states, parsed from mail as a program sends it."""
    return together([parse_message(_mail(stated, number)) for number in range(len(stated["messages"]))])


def _mail(stated: dict[str, Any], number: int) -> bytes:
    said = stated["messages"][number]
    answered = said.get("answers", number - 1)
    first = next((one["by"] for one in stated["messages"] if not one.get("ours")), "Anna")
    mail = EmailMessage()
    mail["Message-ID"] = f"<{number}@test.example>"
    mail["From"] = ME if said.get("ours") else _address(said["by"])
    mail["To"] = ", ".join(map(_address, said.get("to", [first if said.get("ours") else "Tom"])))
    if "cc" in said:
        mail["Cc"] = ", ".join(map(_address, said["cc"]))
    mail["Date"] = format_datetime(FIRST + timedelta(days=number))
    mail["Subject"] = said.get("subject", stated.get("subject", "Hello"))
    if answered >= 0:
        mail["In-Reply-To"] = f"<{answered}@test.example>"
    for header in filter(None, [said.get("header")]):
        name, _, value = header.partition(": ")
        mail[name] = value
    mail.set_content(said["says"])
    return mail.as_bytes()


def _address(name: str) -> str:
    return ME if name == "Tom" else f"{name} <{name.casefold().encode('ascii', 'ignore').decode()}@example.net>"


@pytest.mark.parametrize("stated", TALKS, ids=[talk["name"] for talk in TALKS])
def test_what_nobody_answered_is_open(stated: dict[str, Any]) -> None:
    assert [ask.text for ask in open_asks(held(stated))] == stated["open"]


def test_of_many_asks_those_of_the_newest_message_stay() -> None:
    older = " ".join(f"Is part {number} of the crane ready?" for number in range(20))
    newest = "Who drives the lorry? Please bring the papers."
    asked = [ask.text for ask in open_asks(talk(message(0, older), message(1, newest)))]
    assert len(asked) == MOST_ASKS
    assert asked[-2:] == ["Who drives the lorry?", "Please bring the papers."]


def test_what_was_asked_long_ago_is_not_waited_for() -> None:
    chat = [message(number, "It rains.", ours=number % 2 == 1) for number in range(1, 41)]
    chat[0] = message(1, "I will find out.", ours=True)
    asked = message(0, "What does the boat weigh?")
    assert [ask.text for ask in open_asks(talk(asked, *chat[:39]))] == ["What does the boat weigh?"]
    assert open_asks(talk(asked, *chat)) == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Could you send me the price list?", (2, 3)),
        ("Can you resume the deliveries on Monday?", (2, 3)),
        ("Please list the spare parts that we need.", (4, 5)),
        ("Hola, ¿puede enviarme un resumen?", (4, 5)),
    ],
)
def test_only_what_wants_an_explanation_makes_a_reply_longer(asked: str, expected: tuple[int, int]) -> None:
    assert sentences([Ask("<0@test>", "", ANNA.name, text, kind) for text, kind in asks_of(asked)]) == expected


def test_courtesies_make_no_reply_longer() -> None:
    assert sentences(
        [Ask("", "", "", text, kind) for text, kind in asks_of("Hi Tom, how are you? Lovely, isn't it?")]
    ) == (
        1,
        2,
    )


SAYINGS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["Can you come?", "yes to both", "never mind", "Ben, please", "1. ok\n2. no", "> Can you come?\n", "请"]
    ),
)


@given(st.lists(st.lists(SAYINGS, max_size=5).map(" ".join), min_size=1, max_size=6))
def test_whatever_is_said_asks_are_few_short_and_of_the_others(said: list[str]) -> None:
    found = open_asks(talk(*said))
    assert len(found) <= MOST_ASKS
    assert all(0 < len(ask.text) <= LONGEST_ASK and not ask.entry.ours for ask in found)
