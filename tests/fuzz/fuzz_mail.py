"""Hostile mail, made by coverage: `make fuzz TIME=3600` (atheris, libFuzzer's Python face).

The first byte says what the rest is: a whole message, an HTML body, a text body, header values, or several messages
that are threaded and packed. Whatever raises, hangs or breaks a promise is written to a `crash-*` or `timeout-*` file,
which `python tests/fuzz/fuzz_mail.py FILE` runs again; it belongs into a test then.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mailassist"]):
    from mailassist.context.pack import pack
    from mailassist.context.tokens import UpperEstimate
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.mail.body import html_to_text
    from mailassist.mail.header_fields import decode_words
    from mailassist.mail.parse import parse_addresses, parse_headers, parse_message
    from mailassist.mail.quotes import split
    from mailassist.mail.safe_text import SafeText
    from mailassist.mail.threads import participants_in_common, thread

OWN = OwnAddresses.of([("me@own.example", ["*@own.example"])])
BORDER = b"\n\0\n"  # between the messages of a mailbox
MOST_MESSAGES = 30
BUDGET = 400


def whole(data: bytes) -> None:
    message = parse_message(data)
    assert parse_headers(data).message_id == message.message_id
    SafeText(message.text)
    assert "\r" not in message.message_id and "\n" not in message.message_id


def html(data: bytes) -> None:
    read = html_to_text(data.decode("utf-8", "replace"))
    assert "\0" not in read.text


def text(data: bytes) -> None:
    split(data.decode("utf-8", "replace"))


def values(data: bytes) -> None:
    value = data.decode("latin-1")
    for address in parse_addresses(value):
        assert address.key is not None and not set("\r\n\0") & set(address.email)
    assert not set("\r\n\0") & set(decode_words(value))


def mailbox(data: bytes) -> None:
    messages = [parse_message(raw) for raw in data.split(BORDER)[:MOST_MESSAGES]]
    found = thread(messages, OWN)
    ids = [one for talk in found for entry in talk.entries for one in (entry.message.message_id, *entry.duplicates)]
    assert sorted(ids) == sorted({message.message_id for message in messages}), "each is in one conversation"
    for talk in found:
        assert participants_in_common(talk, talk.newest.message).entries
        packed = pack(talk, BUDGET, UpperEstimate(), "x7")
        assert packed.tokens <= BUDGET, f"{packed.tokens} tokens"


KINDS = (whole, html, text, values, mailbox)


def one(data: bytes) -> None:
    """One input."""
    if data:
        KINDS[data[0] % len(KINDS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
