"""Addresses, own addresses, subjects, dates, and who is no person."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.addresses import OwnAddresses, parse_addresses
from mailassist.mail.automatic import automatic
from mailassist.mail.dates import parse_date
from mailassist.mail.parse import parse_headers
from mailassist.mail.subjects import base_subject, reply_subject

OWN = OwnAddresses.of([("Me@Own.example", ["*@team.example"]), ("jo.doe@gmail.com", ["jo@bücher.example"])])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nora@x.example", [("", "nora@x.example")]),
        ("Nora Vogel <nora@x.example>", [("Nora Vogel", "nora@x.example")]),
        ('"Vogel, Nora" <nora@x.example>, tom@y.example', [("Vogel, Nora", "nora@x.example"), ("", "tom@y.example")]),
        ("Vogel, Nora <nora@x.example>", [("Vogel, Nora", "nora@x.example")]),
        ("nora@x.example (Nora (home))", [("Nora home", "nora@x.example")]),
        ("=?utf-8?q?J=C3=B6rg?= <joerg@x.example>", [("Jörg", "joerg@x.example")]),
        ("Friends: a@x.example, B <b@x.example>;, c@x.example",
         [("", "a@x.example"), ("B", "b@x.example"), ("", "c@x.example")]),
        ("undisclosed-recipients:;", []),
        ('"quoted \\"name\\"" <a@x.example>', [('quoted "name"', "a@x.example")]),
        ("<@route.example:a@x.example>", [("", "a@x.example")]),
        ("", []),
    ],
)  # fmt: skip
def test_addresses_of_many_forms_are_read(value: str, expected: list[tuple[str, str]]) -> None:
    found = parse_addresses(value)
    assert [(address.name, address.email) for address in found] == expected
    assert not any(address.defects for address in found)


@pytest.mark.parametrize(
    "value",
    [
        "alice@a.example)bob@evil.example",
        "Alice <alice@a.example",
        "<alice@a.example> bob@evil.example",
        "alice@a.example bob@evil.example",
        "<alice@a@evil.example>",
        "=?utf-8?q?alice=40a.example?=",
        "alice@[x",
    ],
)
def test_what_is_hard_to_read_is_marked(value: str) -> None:
    assert all(address.defects for address in parse_addresses(value))


@given(st.text(alphabet=st.sampled_from('ab@.,;:<>()[]"\\ =?utf8q\n\0é'), max_size=80))
def test_any_value_gives_addresses_without_control_characters(value: str) -> None:
    for address in parse_addresses(value):
        assert not any(bad in address.email for bad in "\r\n\0 ")


def test_long_and_nested_values_are_read() -> None:
    assert len(parse_addresses(", ".join(f"U <u{n}@x.example>" for n in range(5000)))) == 5000
    assert parse_addresses("(" * 100_000 + "a@x.example") == ()
    assert parse_addresses("a:;" * 100_000) == ()
    assert len(parse_addresses('"' * 100_001 + " <a@x.example>")) <= 1


def test_own_addresses_are_known_in_every_spelling() -> None:
    for email in ("me@own.example", "ME+news@OWN.EXAMPLE", "anyone@team.example", "j.o.doe+x@googlemail.com"):
        assert OWN.owns(email)
    assert OWN.which("jo@xn--bcher-kva.example") == 1
    for email in ("me@other.example", "x@sub.team.example", "me@own.example.evil.example", ""):
        assert not OWN.owns(email)


@pytest.mark.parametrize(
    "subject",
    ["Offer", "Re: Offer", "AW: Offer", "RE: FW: Offer", "SV: VS: Offer", "Re[3]: Offer", "Re^2: [list] offer",
     "R: I: Offer", "Odp: Offer", "回复：Offer", "Ответ: Offer", "Ynt: Offer", "ΑΠ: Offer",
     "WG: TR: RV: Offer", "[list] Re: Offer (fwd)", "Réf. : Offer", "Odg: Proslj: Offer", "Trả lời: Offer"],
)  # fmt: skip
def test_prefixes_of_all_languages_are_folded(subject: str) -> None:
    assert base_subject(subject) == "offer"


def test_a_subject_keeps_its_words() -> None:
    assert base_subject("Rent: the flat") == "rent: the flat"
    assert base_subject("[#4711]") == "[#4711]"
    assert base_subject("Re: " * 100_000) == ""
    assert reply_subject("Offer [#4711]") == "Re: Offer [#4711]"
    assert reply_subject("AW: Offer") == "AW: Offer" and reply_subject("Re: Offer") == "Re: Offer"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Tue, 3 Nov 2026 09:12:00 +0100", "2026-11-03T09:12:00+01:00"),
        ("3 Nov 2026 09:12 -0330 (comment)", "2026-11-03T09:12:00-03:30"),
        ("Tue, 03 Nov 26 09:12:00 EST", "2026-11-03T09:12:00-05:00"),
        ("Tue, 3 Nov 2026 09:12:60 GMT", "2026-11-03T09:12:59+00:00"),
        ("Tue, 31 Feb 2026 09:12:00 +0100", ""),
        ("Tue, 3 Nov 2026 09:12:00 +9999", "2026-11-03T09:12:00+00:00"),
        ("3 Nov 1926 09:12", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_dates_have_a_zone_or_are_none(value: str, expected: str) -> None:
    found = parse_date(value)
    assert (found.isoformat() if found else "") == expected


@given(st.text())
def test_any_date_is_read_without_an_error(value: str) -> None:
    parse_date(value)


def reason(*lines: str, sender: str = "nora@x.example", personal: tuple[str, ...] = ()) -> str:
    head = "\r\n".join([f"From: {sender}", *lines, "", ""])
    return automatic(parse_headers(head.encode()), replace(OWN, personal=personal))


@pytest.mark.parametrize(
    "line",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "List-Id: <news.x.example>",
        "List-Unsubscribe: <https://x.example/u>",
        "Return-Path: <>",
        "Content-Type: multipart/report; report-type=delivery-status",
        "X-Autoreply: yes",
        "X-Auto-Response-Suppress: All",
        "X-Failed-Recipients: a@x.example",
    ],
)
def test_what_programs_send_is_named(line: str) -> None:
    assert reason(line)


@pytest.mark.parametrize(
    "sender",
    ["no-reply@x.example", "noreply+12@x.example", "do_not_reply@x.example", "mailer-daemon@x.example",
     "me@own.example", "ne-pas-repondre@x.example", "notifications@x.example"],
)  # fmt: skip
def test_senders_that_nobody_answers_are_named(sender: str) -> None:
    assert reason(sender=sender)


def test_a_person_is_a_person() -> None:
    for by_their_provider in ("Feedback-ID: i197146af:Fastmail", "Feedback-ID: 1358184:user:proton"):
        assert reason(by_their_provider) == ""
    assert reason() == "" and reason("Auto-Submitted: no") == "" and reason(sender="nora.reply@x.example") == ""


def test_own_lists_and_personal_rules_are_exceptions_but_not_for_automatic_replies() -> None:
    assert reason("List-Id: Support <me.own.example>", "Precedence: list") == ""
    assert reason("List-Post: <mailto:me@own.example>") == ""
    form = ("no-reply@forms.example",)
    assert reason(sender="no-reply@forms.example", personal=form) == ""
    assert reason("Auto-Submitted: auto-generated", sender="a@sub.forms.example", personal=("forms.example",)) == ""
    assert reason("Auto-Submitted: auto-replied", sender="no-reply@forms.example", personal=form)
    assert reason("Return-Path: <>", "List-Post: <mailto:me@own.example>")
    assert reason(sender="no-reply@notforms.example", personal=("forms.example",))
