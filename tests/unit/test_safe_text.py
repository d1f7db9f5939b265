"""The one type of text that may reach a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from mailassist.mail.safe_text import SafeText

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@settings(max_examples=2000)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_text_holds_what_a_terminal_obeys(value: str) -> None:
    for text in (SafeText(value), SafeText(value).line(), SafeText.joined("\x1b", [value, value])):
        for letter in text:
            assert letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
            assert letter not in BIDI and not 0xE0000 <= ord(letter) <= 0xE0FFF
    assert not set("\n\t") & set(SafeText(value).line())


def test_every_code_point_alone_is_made_safe() -> None:
    everything = "".join(map(chr, range(0x110000)))
    safe = SafeText(everything)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in set(safe) - set("\n\t"))


def test_what_was_unsafe_is_visible_and_ordinary_text_unchanged() -> None:
    assert SafeText("a\x1b[2Jb\x9bc\x7f\u202e\r\nd\re") == "a␛[2Jb⟨9B⟩c␡⟨202E⟩\nd␍e"
    assert SafeText("Grüße, 你好, مرحبا, 👩\u200d🔬\t\n") == "Grüße, 你好, مرحبا, 👩\u200d🔬\t\n"
    assert SafeText(" a \n\t b ").line() == "a b"
