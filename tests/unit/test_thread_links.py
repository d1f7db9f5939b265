"""Conversations where ids are not enough: Thread-Index, subjects, missing messages, messages sent twice."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Attachment, Message
from mailassist.mail.parse import parse_addresses
from mailassist.mail.thread_index import child
from mailassist.mail.threads import Conversation, thread

OWN = OwnAddresses.of([("me@own.example", [])])
START = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
SUBJECT = "Window seals for the office"
INDEX = base64.b64encode(b"\x01\xdc\x4d\x00\x00\x00" + bytes(range(16))).decode()
LONG = "Could you please send the seals to the new address in Hamburg?"


def message(
    name: str,
    subject: str = SUBJECT,
    *,
    day: float = 0,
    sender: str = "nora@x.example",
    to: str = "me@own.example",
    answers: str = "",
    references: str = "",
    index: str = "",
    text: str = "",
    headers: dict[str, tuple[str, ...]] | None = None,
) -> Message:
    return Message(
        f"<{name}@id>",
        subject=subject,
        date=START + timedelta(days=day),
        from_=parse_addresses(sender),
        to=parse_addresses(to),
        in_reply_to=tuple(f"<{one}@id>" for one in answers.split()),
        references=tuple(f"<{one}@id>" for one in references.split()),
        headers=(headers or {}) | ({"thread-index": (index,)} if index else {}),
        text=text,
        reply=text,
    )


def names(conversation: Conversation) -> list[str]:
    return [entry.message.message_id[1:-4] for entry in conversation.entries]


def grouped(*messages: Message) -> list[list[str]]:
    return sorted(names(found) for found in thread(messages, OWN))


REPLY = child(INDEX, START + timedelta(hours=1), "b")
SECOND = child(REPLY, START + timedelta(hours=2), "c")
MINE = "me@own.example"


def test_thread_index_links_what_no_id_links() -> None:
    chain = [
        message("a", index=INDEX),
        message("b", f"AW: {SUBJECT}", day=1, sender=MINE, to="nora@x.example", index=REPLY),
        message("c", f"AW: {SUBJECT}", day=2, index=SECOND),
    ]
    [found] = thread(reversed(chain), OWN)
    assert [(entry.parent, entry.rule) for entry in found.entries] == [
        (None, ""), ("<a@id>", "thread-index"), ("<b@id>", "thread-index")
    ]  # fmt: skip
    [found] = thread(chain[::2], OWN)
    assert found.entries[1].parent == "<a@id>"
    siblings = [chain[1], message("d", f"RE: {SUBJECT}", day=2, index=child(INDEX, START, "d"))]
    assert [entry.rule for entry in thread(siblings, OWN)[0].entries] == ["thread-index", "thread-index"]


def test_ids_come_before_thread_index() -> None:
    there = [message("a", index=INDEX), message("b", index=INDEX), message("c", day=1, answers="b", index=REPLY)]
    assert [entry.parent for found in thread(there, OWN) for entry in found.entries if entry.rule] == ["<b@id>"]


@pytest.mark.parametrize(
    "index",
    ["", "AQ==", "not base64!", base64.b64encode(bytes(27)).decode(), REPLY[:-4] + "AAA=", "A" * 100_000],
)
def test_a_thread_index_that_says_nothing_links_nothing(index: str) -> None:
    assert grouped(message("a", index=index), message("b", day=1, index=index + "AAAAAAA=")) == [["a"], ["b"]]
    assert grouped(message("a", index=INDEX), message("b", day=1, index=index)) == [["a"], ["b"]]


def test_thread_index_of_another_subject_needs_somebody_in_common() -> None:
    first = message("a", index=INDEX)
    assert len(grouped(first, message("b", "Invoice", day=1, sender="tom@y.example", index=REPLY))) == 2
    assert len(grouped(first, message("b", "Invoice", day=1, index=REPLY))) == 1


def answer(subject: str = f"Re: {SUBJECT}", *, day: float = 2, to: str = "nora@x.example", **more: str) -> Message:
    return message("b", subject, day=day, to=to, **{"sender": MINE, **more})


@pytest.mark.parametrize(
    "subject", [f"Re: {SUBJECT}", f"AW: {SUBJECT}", f"[team] SV: {SUBJECT}", f"Antw: {SUBJECT}", f"回复：{SUBJECT}"]
)
def test_a_reply_that_names_no_message_is_found_by_its_subject(subject: str) -> None:
    [found] = thread([message("a"), answer(subject)], OWN)
    assert (found.entries[1].parent, found.entries[1].rule) == ("<a@id>", "subject")


@pytest.mark.parametrize(
    "other",
    [
        answer(SUBJECT),
        answer(f"Fwd: {SUBJECT}"),
        answer(day=31),
        answer(day=-1),
        answer(to="tom@y.example"),
        answer(sender="tom@y.example"),
        answer(answers="gone"),
        answer(references="gone"),
    ],
)
def test_what_is_doubtful_is_not_linked_by_its_subject(other: Message) -> None:
    assert len(grouped(message("a"), other)) == 2


@pytest.mark.parametrize("subject", ["hi", "question", "", "Hello you", "12"])
def test_a_subject_that_says_nothing_links_nothing(subject: str) -> None:
    assert len(grouped(message("a", subject), answer(f"Re: {subject}"))) == 2


def test_what_goes_to_many_or_comes_from_a_program_is_not_linked_by_its_subject() -> None:
    again = message("a2", day=1)
    assert len(grouped(message("a"), again, answer())) == 3
    machine = message("a", headers={"auto-submitted": ("auto-generated",)})
    assert len(grouped(machine, answer())) == 2
    from_nobody = message("a", sender="no-reply@x.example")
    assert len(grouped(from_nobody, answer(to="no-reply@x.example"))) == 2


def test_missing_messages_are_told_with_their_place() -> None:
    messages = [
        message("a"),
        message("d", f"Re: {SUBJECT}", day=3, references="a b c"),
        message("e", f"Re: {SUBJECT}", day=4, answers="c", references="a b c"),
        message("f", f"Re: {SUBJECT}", day=5, references="a b"),
    ]
    [found] = thread(messages, OWN)
    assert names(found) == ["a", "d", "e", "f"] and [entry.parent for entry in found.entries[1:]] == ["<a@id>"] * 3
    assert [(one.message_id, one.parent, one.children) for one in found.missing] == [
        ("<b@id>", "<a@id>", ("<c@id>", "<f@id>")),
        ("<c@id>", "<b@id>", ("<d@id>", "<e@id>")),
    ]


def test_what_is_there_in_another_conversation_is_not_missing() -> None:
    found = thread([message("a"), message("b", "Invoice", day=1, references="a")], OWN)
    assert len(found) == 2 and not any(one.missing for one in found)


def test_a_message_sent_twice_counts_once_and_both_ids_lead_to_it() -> None:
    twice = [message("a", text=LONG), message("a2", day=1, text=LONG.replace(" ", "  \n"))]
    [found] = thread([*reversed(twice), answer(answers="a2"), message("c", day=3, answers="a")], OWN)
    assert names(found) == ["a", "b", "c"] and found.entries[0].duplicates == ("<a2@id>",)
    assert found.entries[1].parent == "<a@id>"
    first = found.message("<a2@id>")
    assert first is not None and first.message_id == "<a@id>"


@pytest.mark.parametrize(
    "other",
    [
        message("a2", day=1, text="Yes."),
        message("a2", day=8, text=LONG),
        message("a2", "Another matter altogether", day=1, text=LONG),
        message("a2", day=1, text=LONG, sender="tom@y.example"),
        message("a2", day=1, text=LONG, answers="gone"),
        message("a2", day=1, text=LONG, to="tom@y.example"),
        replace(message("a2", day=1, text=LONG), attachments=(Attachment("plan.pdf", "application/pdf", 9),)),
    ],
)
def test_what_only_looks_like_a_second_copy_stays(other: Message) -> None:
    assert len(grouped(message("a", text="Yes." if other.text == "Yes." else LONG), other)) == 2


def test_the_same_words_after_an_answer_are_a_message_of_their_own() -> None:
    between = answer(day=0.5, answers="a")
    assert grouped(message("a", text=LONG), between, message("a2", day=1, text=LONG)) == [["a", "b", "a2"]]


IDS = st.sampled_from("abcdefg")
SOME = st.lists(IDS, max_size=4).map(" ".join)


@st.composite
def hostile(draw: st.DrawFn) -> Message:
    return message(
        draw(IDS),
        draw(st.sampled_from([SUBJECT, f"Re: {SUBJECT}", "hi", ""])),
        day=draw(st.integers(0, 9)),
        sender=draw(st.sampled_from(["nora@x.example", MINE, "", "eve@evil.example"])),
        to=draw(st.sampled_from(["nora@x.example", MINE, ""])),
        answers=draw(SOME),
        references=draw(SOME),
        index=draw(st.sampled_from(["", INDEX, REPLY, SECOND, "x"])),
        text=draw(st.sampled_from(["", LONG])),
    )


@given(st.lists(hostile(), max_size=12))
def test_every_message_is_in_exactly_one_conversation_and_trees_have_no_cycles(messages: list[Message]) -> None:
    found = thread(messages, OWN)
    ids = [one for talk in found for entry in talk.entries for one in (entry.message.message_id, *entry.duplicates)]
    assert sorted(ids) == sorted({one.message_id for one in messages})
    assert len({talk.key for talk in found}) == len(found)
    for talk in found:
        above = {entry.message.message_id: entry.parent for entry in talk.entries}
        gaps = {one.message_id: one.parent for one in talk.missing}
        assert not gaps.keys() & set(ids)
        above.update((child, one.message_id) for one in talk.missing for child in one.children)
        above.update(gaps)
        for start in above:
            steps: str | None = start
            for _ in range(len(above) + 1):
                steps = above[steps] if steps is not None else None
            assert steps is None
