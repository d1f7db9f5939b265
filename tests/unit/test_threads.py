"""Conversations: what links, in which order, and whose text may enter a prompt."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_addresses
from mailassist.mail.threads import Conversation, participants_in_common, thread

OWN = OwnAddresses.of([("me@own.example", [])])
START = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


def message(
    name: str,
    *,
    minute: int = 0,
    sender: str = "nora@x.example",
    to: str = "me@own.example",
    cc: str = "",
    subject: str = "Offer",
    answers: str = "",
    references: str = "",
    text: str = "",
) -> Message:
    return Message(
        f"<{name}@id>",
        subject=subject,
        date=START + timedelta(minutes=minute),
        from_=parse_addresses(sender),
        to=parse_addresses(to),
        cc=parse_addresses(cc),
        in_reply_to=tuple(f"<{answered}@id>" for answered in answers.split()),
        references=tuple(f"<{reference}@id>" for reference in references.split()),
        text=text,
    )


def names(conversation: Conversation) -> list[str]:
    return [entry.message.message_id[1:-4] for entry in conversation.entries]


def test_in_reply_to_links_whatever_the_subject_and_marks_a_new_topic() -> None:
    [found] = thread([message("a"), message("b", minute=1, answers="a", subject="Invoice")], OWN)
    assert names(found) == ["a", "b"]
    assert [entry.new_topic for entry in found.entries] == [False, True]
    assert found.entries[1].parent == "<a@id>" and found.subject == "Invoice"


def test_references_link_only_with_the_same_base_subject() -> None:
    same = message("b", minute=1, references="a", subject="AW: SV: Re[2]: Offer")
    other = message("c", minute=2, references="a", subject="Invoice")
    assert [names(found) for found in thread([message("a"), same, other], OWN)] == [["a", "b"], ["c"]]


def test_a_missing_message_links_those_that_name_it() -> None:
    [found] = thread([message("b", answers="gone"), message("c", minute=1, references="gone")], OWN)
    assert names(found) == ["b", "c"] and found.key == "<gone@id>"
    apart = thread([message("b", references="gone"), message("c", minute=1, references="gone", subject="New")], OWN)
    assert len(apart) == 2 and len({one.key for one in apart}) == 2


def test_copies_count_once_and_the_richer_one_stays() -> None:
    [found] = thread([message("a"), message("a", text="the whole text"), message("a")], OWN)
    assert [entry.message.text for entry in found.entries] == ["the whole text"]


def test_nobody_replaces_a_message_by_naming_its_id() -> None:
    forged = message("a", sender="eve@evil.example", text="a much longer text than Nora wrote")
    [found] = thread([message("a", text="the text"), forged], OWN)
    assert found.newest.message.text == "the text" and "eve@evil.example" in found.newest.message.warnings[0]


def test_the_key_stays_when_older_messages_arrive() -> None:
    older, newer = message("a"), message("b", minute=1, answers="a", references="a")
    [before], [after] = thread([newer], OWN), thread([older, newer], OWN)
    assert before.key == after.key == "<a@id>"


def test_no_two_conversations_have_one_key_though_one_names_the_other() -> None:
    found = thread([message("a", subject="Invoice", references="b"), message("b")], OWN)
    assert sorted(one.key for one in found) == ["<a@id>", "<b@id>"]


def test_an_answer_comes_after_what_it_answers_even_with_a_wrong_clock() -> None:
    [found] = thread([message("a", minute=60), message("b", minute=0, answers="a")], OWN)
    assert names(found) == ["a", "b"]


def test_cycles_are_broken() -> None:
    loop = [message("a", answers="c"), message("b", minute=1, answers="a"), message("c", minute=2, answers="b")]
    [found] = thread([*loop, message("d", minute=3, answers="d", references="d d")][:3], OWN)
    assert names(found) == ["a", "b", "c"] and found.entries[0].parent is None
    assert names(thread([message("d", answers="d", references="d d")], OWN)[0]) == ["d"]


def test_each_entry_says_whether_it_was_us() -> None:
    ours = message("b", minute=1, sender="Me <ME+tag@own.example>", to="nora@x.example", answers="a")
    [found] = thread([message("a"), ours], OWN)
    assert [entry.ours for entry in found.entries] == [False, True]
    other = found.newest_from_others
    assert other is not None and other.message.message_id == "<a@id>"


def test_ten_thousand_messages_in_any_order_are_one_conversation() -> None:
    chain = [
        message(str(n), minute=n, answers=str(n - 1), references=" ".join(map(str, range(max(0, n - 9), n))))
        for n in range(10_000)
    ]
    random.Random(7).shuffle(chain)
    [found] = thread(chain, OWN)
    assert names(found) == [str(n) for n in range(10_000)]


def kept(messages: list[Message]) -> list[str]:
    [found] = thread(messages, OWN)
    return names(participants_in_common(found, found.newest.message))


def test_a_forged_id_brings_nobody_elses_text_into_the_prompt() -> None:
    private = [message("a"), message("b", minute=1, sender="me@own.example", to="nora@x.example", answers="a")]
    forged = message("f", minute=2, sender="eve@evil.example", answers="b")
    assert kept([*private, forged]) == ["f"]
    named = message("f", minute=2, sender="eve@evil.example", cc="nora@x.example", answers="b")
    assert kept([*private, named]) == ["f"]


def test_who_was_written_to_sees_the_conversation() -> None:
    chain = [
        message("a", to="me@own.example, tom@y.example"),
        message("b", minute=1, sender="me@own.example", to="nora@x.example", answers="a"),
        message("c", minute=2, sender="tom@y.example", answers="b"),
    ]
    assert kept(chain) == ["a", "b", "c"]


def test_a_colleague_who_takes_over_and_a_list_keep_their_history() -> None:
    taken_over = [message("a"), message("b", minute=1, sender="bob@x.example", cc="nora@x.example", answers="a")]
    assert kept(taken_over) == ["a", "b"]
    stranger = [message("a"), message("b", minute=1, sender="bob@gmail.com", cc="nora@x.example", answers="a")]
    assert kept(stranger) == ["b"]
    on_a_list = [
        message("a", to="dev@list.example"),
        message("b", minute=1, sender="tom@y.example", to="dev@list.example", cc="nora@x.example", answers="a"),
    ]
    assert kept(on_a_list) == ["a", "b"]


def test_the_answer_to_our_own_newest_message_is_judged_by_the_other_side() -> None:
    chain = [message("a"), message("b", minute=1, sender="me@own.example", to="nora@x.example", answers="a")]
    assert kept(chain) == ["a", "b"]
