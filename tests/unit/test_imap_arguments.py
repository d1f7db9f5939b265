import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient.imap_utf7 import decode as decode_utf7

from mailassist.mail.parse import parse_headers
from mailassist.transport.arguments import (
    Literal,
    UnsafeArgument,
    any_of,
    flags,
    folder,
    header_search,
    keyword,
    message_id,
    number_sets,
    object_id,
    string,
)

INJECTION = "=?utf-8?q?<a=40b>=0d=0aX1_DELETE_INBOX?="


def test_an_encoded_message_id_with_a_command_inside_is_refused() -> None:
    from email import policy
    from email.parser import BytesHeaderParser

    decoded = BytesHeaderParser(policy=policy.default).parsebytes(f"Message-ID: {INJECTION}\n\n".encode())["Message-ID"]
    for hostile in (
        INJECTION,
        str(decoded),
        "<a@b>\r\nX1 DELETE INBOX",
        "<a@b>\nX",
        "<a@b\0>",
        "<a@b> X",
        '<a"b>\r',
        "",
    ):
        with pytest.raises(UnsafeArgument):
            message_id(hostile)


def test_the_parser_gives_ids_that_the_door_accepts() -> None:
    message = parse_headers(f"Message-ID: {INJECTION}\r\nReferences: <x@y>\r\n <z@y>\r\n\r\n".encode())
    for one in (message.message_id, *message.references, *message.in_reply_to):
        assert message_id(one) == f'"{one}"'.encode()


@given(st.text())
def test_nothing_leaves_a_quoted_string_or_a_literal(value: str) -> None:
    try:
        sent = string(value)
    except UnsafeArgument:
        assert any(mark in value for mark in "\r\n\0") or any("\ud800" <= mark <= "\udfff" for mark in value)
        return
    if isinstance(sent, Literal):
        assert sent.decode() == value
        return
    assert sent[:1] == sent[-1:] == b'"'
    inside = sent[1:-1].replace(b"\\\\", b"").replace(b'\\"', b"")
    assert b'"' not in inside and b"\\" not in inside and inside.isascii()


@given(st.text(min_size=1))
def test_folder_names_go_out_in_modified_utf7_and_come_back(name: str) -> None:
    try:
        sent = folder(name)
    except UnsafeArgument:
        assert any(mark in name for mark in "\r\n\0") or any("\ud800" <= mark <= "\udfff" for mark in name)
        return
    bare = sent[1:-1].replace(b"\\\\", b"\\").replace(b'\\"', b'"') if not isinstance(sent, Literal) else sent
    assert decode_utf7(bytes(bare)) == name


@pytest.mark.parametrize("hostile", ["", "INBOX\r\nX1 LOGOUT", "a\nb", "a\0b"])
def test_hostile_folder_names_are_refused(hostile: str) -> None:
    with pytest.raises(UnsafeArgument):
        folder(hostile)


@pytest.mark.parametrize(
    ("make", "hostile"),
    [
        (keyword, "X\r\nY"), (keyword, "BODY[TEXT] X"), (object_id, "T1 X"), (object_id, "T1\r\n"), (object_id, ""),
        (lambda value: flags([value]), "\\Seen) X"), (lambda value: flags([value]), "a\r\n"),
    ],
)  # fmt: skip
def test_words_of_the_protocol_are_checked_too(make: object, hostile: str) -> None:
    with pytest.raises(UnsafeArgument):
        make(hostile)  # type: ignore[operator]


@given(st.lists(st.integers(1, 2**32 - 1), max_size=300), st.integers(25, 200), st.integers(1, 50))
def test_number_sets_hold_every_number_once_within_both_limits(numbers: list[int], longest: int, most: int) -> None:
    seen: list[int] = []
    for text, held in number_sets(numbers, longest, most):
        assert len(text) <= longest and len(held) <= most
        spelled: list[int] = []
        for part in text.split(b","):
            first, _, last = part.partition(b":")
            spelled += range(int(first), int(last or first) + 1)
        assert spelled == list(held)
        seen += held
    assert seen == sorted(set(numbers))


def test_uid_zero_is_no_uid() -> None:
    with pytest.raises(UnsafeArgument):
        list(number_sets([0], 100, 100))


def test_or_takes_two_criteria_at_a_time() -> None:
    words = b" ".join(any_of([header_search("X", str(number)) for number in range(3)]))
    assert words == b'OR HEADER X "0" OR HEADER X "1" HEADER X "2"'
