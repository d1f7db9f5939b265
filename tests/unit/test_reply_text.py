"""What is made of a model's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.drafting.reply_text import LONGEST_REPLY, cleaned

BODY = "Hello Anna,\n\nyes, Tuesday works.\n\nKind regards"


@pytest.mark.parametrize(
    "written",
    [
        BODY,
        f"```\n{BODY}\n```",
        f"```text\n{BODY}\n```\n",
        f"```markdown\n{BODY}",
        f"Subject: Re: Offer\n\n{BODY}",
        f"**Betreff:** AW: Angebot\n{BODY}",
        f"件名： 見積もり\n\n{BODY}",
        f"{BODY}\n\nTom Berg\nExample Ltd",
        f"{BODY}\n\n-- \nTom Berg",
        f"{BODY}\n\nOn Fri, Nov 20, 2026 at 9:14 AM Anna Meyer wrote:\n> Does Tuesday work?",
        f"482915037641 end\n{BODY}",
        f"{BODY}\x1b[2J\x9b31m\u202e".replace("[2J", "").replace("31m", ""),
        BODY.replace("\n", "\r\n"),
        BODY.replace("\n\n", "\n\n\n\n"),
    ],
)
def test_what_surrounds_a_reply_is_removed(written: str) -> None:
    assert cleaned(written, delimiter="482915037641", signature="Tom Berg\nExample Ltd") == BODY


def test_the_word_for_subject_inside_a_reply_stays() -> None:
    text = "Hello,\n\nSubject: that is the header you mean.\n\nBest"
    assert cleaned(text) == text


def test_a_reply_that_is_only_the_users_name_stays() -> None:
    assert cleaned("Tom Berg", signature="Tom Berg") == "Tom Berg"


def test_a_model_that_cannot_stop_is_cut() -> None:
    assert len(cleaned("again and " * 10_000)) <= LONGEST_REPLY


@given(st.text(max_size=300), st.text(max_size=30))
def test_any_text_is_cleaned_without_controls_or_delimiter(written: str, signature: str) -> None:
    text = cleaned(f"4829{written}482915037641", delimiter="482915037641", signature=signature)
    assert "482915037641" not in text
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 0x7F <= ord(letter) < 0xA0 for letter in text)
