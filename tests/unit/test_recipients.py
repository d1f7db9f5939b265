"""Who gets the answer: computed from headers and configuration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailassist.config import Identity
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.compose import ReplyPlan, confirmed, plan_reply
from mailassist.mail.message import Address
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import Conversation, thread

WORK = Identity(name="Ada Kern", address="ada@team.example", aliases=["a.kern@team.example"])
SHOP = Identity(name="Kern & Co", address="shop@kern.example", aliases=["*@kern.example"])
IDENTITIES = [WORK, SHOP]
OWN = OwnAddresses.of((one.address, one.aliases) for one in IDENTITIES)


def mail(**headers: str) -> bytes:
    fields = {
        "From": "Nora Vogel <nora@customer.example>",
        "To": "ada@team.example",
        "Subject": "Order 17",
        "Message-ID": "<q1@customer.example>",
        "Date": "Mon, 02 Feb 2026 09:14:00 +0100",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value).encode() + b"\r\nHello?\r\n"


def plan(*raws: bytes, reply_all: bool = False, personal: tuple[str, ...] = ()) -> ReplyPlan:
    own = replace(OWN, personal=personal)
    messages = [parse_message(raw) for raw in raws]
    answered = messages[-1]
    found = [
        one for one in thread(messages, own) if any(e.message.message_id == answered.message_id for e in one.entries)
    ]
    conversation: Conversation = found[0]
    return plan_reply(conversation, answered, own, IDENTITIES, reply_all=reply_all)


def to(planned: ReplyPlan) -> list[str]:
    return [address.email for address in planned.to]


def cc(planned: ReplyPlan) -> list[str]:
    return [address.email for address in planned.cc]


def test_a_reply_goes_from_the_address_written_to_back_to_the_sender() -> None:
    planned = plan(mail())
    assert (str(planned.from_), to(planned), cc(planned)) == (
        "Ada Kern <ada@team.example>",
        ["nora@customer.example"],
        [],
    )
    assert planned.subject == "Re: Order 17"
    assert planned.in_reply_to == "<q1@customer.example>"
    assert planned.references == ("<q1@customer.example>",)
    assert (planned.notes, planned.needs_confirmation) == ((), ())


@pytest.mark.parametrize(
    ("written_to", "writes"),
    [
        ("Ada <a.kern@team.example>", "Ada Kern <a.kern@team.example>"),
        ("ada+invoices@team.example", "Ada Kern <ada+invoices@team.example>"),
        ("orders@kern.example", "Kern & Co <orders@kern.example>"),
        ("SHOP@KERN.EXAMPLE", "Kern & Co <SHOP@KERN.EXAMPLE>"),
        ("somebody-else@customer.example", "Ada Kern <ada@team.example>"),
    ],
)
def test_from_is_the_identity_that_was_written_to(written_to: str, writes: str) -> None:
    assert str(plan(mail(To=written_to)).from_) == writes


def test_from_is_found_in_delivered_to_and_else_in_our_earlier_message() -> None:
    assert plan(mail(To="team@list.example", Delivered_To="sales@kern.example")).from_.email == "sales@kern.example"
    ours = mail(From="shop@kern.example", To="nora@customer.example", Message_ID="<o1@kern.example>")
    answer = mail(To="list@list.example", Message_ID="<q2@customer.example>", In_Reply_To="<o1@kern.example>")
    assert plan(ours, answer).from_.email == "shop@kern.example"


def test_reply_all_leaves_out_own_addresses_and_doubles() -> None:
    raw = mail(
        To="ada@team.example, Ben <ben@customer.example>, shop@kern.example",
        Cc="BEN@customer.example, nora@customer.example, Cleo <cleo@other.example>, a.kern@team.example",
    )
    planned = plan(raw, reply_all=True)
    assert to(planned) == ["nora@customer.example"]
    assert cc(planned) == ["ben@customer.example", "cleo@other.example"]
    assert cc(plan(raw)) == []


def test_who_was_reached_by_bcc_answers_the_sender_alone() -> None:
    raw = mail(To="ben@customer.example", Cc="cleo@customer.example")
    planned = plan(raw, reply_all=True)
    assert (to(planned), cc(planned)) == (["nora@customer.example"], [])
    assert "Bcc" in planned.notes[0]
    listed = plan(mail(To="dev@list.example", List_Id="<dev.list.example>"), reply_all=True)
    assert cc(listed) == ["dev@list.example"]


def test_reply_to_is_honoured_and_shown_and_confirmed_where_it_leaves_the_domain() -> None:
    near = plan(mail(Reply_To="office@customer.example"))
    assert to(near) == ["office@customer.example"]
    assert "Reply-To differs from From" in near.notes[0]
    assert near.needs_confirmation == ()
    far = plan(mail(Reply_To="office@elsewhere.example"))
    assert to(far) == ["office@elsewhere.example"]
    assert "elsewhere.example" in far.needs_confirmation[0]


@pytest.mark.parametrize("header", ["Reply_To", "Mail_Followup_To"])
def test_an_answer_to_somebody_else_never_goes_to_ourselves(header: str) -> None:
    planned = plan(mail(**{header: "shop@kern.example"}), reply_all=True)
    assert to(planned) == ["nora@customer.example"]
    assert planned.needs_confirmation == ()


def test_the_reply_to_of_a_web_form_that_a_rule_names_is_the_correspondent() -> None:
    form = mail(
        From="form@kern.example",
        To="shop@kern.example",
        Reply_To="buyer@customer.example",
        Auto_Submitted="auto-generated",
    )
    planned = plan(form, personal=("form@kern.example",))
    assert to(planned) == ["buyer@customer.example"]
    assert planned.needs_confirmation == ()


def test_mail_followup_to_counts_for_reply_all_only() -> None:
    raw = mail(
        To="dev@list.example", Cc="ada@team.example", List_Post="<mailto:dev@list.example>",
        Mail_Followup_To="dev@list.example, nora@customer.example, ada@team.example",
    )  # fmt: skip
    assert to(plan(raw)) == ["nora@customer.example"]
    planned = plan(raw, reply_all=True)
    assert (to(planned), cc(planned)) == (["dev@list.example", "nora@customer.example"], [])
    assert planned.needs_confirmation == ()
    astray = mail(To="dev@list.example, ada@team.example", Mail_Followup_To="spy@evil.example")
    assert "spy@evil.example" in plan(astray, reply_all=True).needs_confirmation[0]


def test_a_reply_that_a_list_takes_to_itself_is_said() -> None:
    planned = plan(mail(Reply_To="dev@list.example", List_Post="<mailto:dev@list.example>", To="dev@list.example"))
    assert to(planned) == ["dev@list.example"]
    assert planned.notes == ("The reply goes to the list: dev@list.example",)
    assert planned.needs_confirmation == ()


def test_a_reply_to_our_own_message_goes_to_its_recipients() -> None:
    ours = mail(From="shop@kern.example", To="nora@customer.example, ada@team.example", Cc="ben@customer.example")
    planned = plan(ours)
    assert (planned.from_.email, to(planned), cc(planned)) == ("shop@kern.example", ["nora@customer.example"], [])
    assert cc(plan(ours, reply_all=True)) == ["ben@customer.example"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"From": "Nora <nora@customer.example>, Eve <eve@evil.example>"}, "multiple From"),
        ({"From": ""}, "no sender"),
        ({"From": "=?utf-8?q?Nora_=3Cnora=40customer=2Eexample=3E?="}, "not a clean address"),
        ({"Auto_Submitted": "auto-replied"}, "automatic message"),
    ],
)
def test_where_only_a_person_can_tell_there_is_no_recipient_until_they_do(headers: dict[str, str], reason: str) -> None:
    planned = plan(mail(**headers))
    assert planned.recipients == ()
    assert reason in planned.needs_confirmation[0]
    chosen = confirmed(planned, [Address("", "nora@customer.example")])
    assert (chosen.recipients, chosen.needs_confirmation) == (("nora@customer.example",), ())


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ('"boss@team.example" <x91@freemail.example>', "display name shows another address"),
        ("Nora <nora@xn--ustomer-xjg.example>", "homograph"),
    ],
)
def test_disguises_are_named_before_anything_is_sent(sender: str, reason: str) -> None:
    planned = plan(mail(From=sender))
    assert len(planned.to) == 1
    assert "@" not in planned.to[0].name
    assert reason in planned.needs_confirmation[0]


def test_an_honest_domain_with_an_umlaut_is_shown_with_its_punycode_and_not_suspected() -> None:
    planned = plan(mail(From="Jörg <joerg@müller.example>"))
    assert planned.recipients == ("joerg@xn--mller-kva.example",)
    assert "xn--mller-kva.example" in planned.notes[0]
    assert planned.needs_confirmation == ()


def test_a_reply_to_very_many_is_confirmed_and_a_plain_reply_is_not() -> None:
    crowd = ", ".join(f"p{number}@customer.example" for number in range(5000))
    raw = mail(To=f"ada@team.example, {crowd}")
    assert "5001" in plan(raw, reply_all=True).needs_confirmation[0]
    assert plan(raw).needs_confirmation == ()


def test_references_keep_the_first_and_the_last() -> None:
    chain = [f"<m{number}@customer.example>" for number in range(200)]
    planned = plan(mail(References=" ".join(chain), In_Reply_To=chain[-1]))
    assert len(planned.references) == 50
    assert planned.references[0] == chain[0]
    assert planned.references[-2:] == (chain[-1], "<q1@customer.example>")
    assert plan(mail(In_Reply_To="<p@x.example>")).references == ("<p@x.example>", "<q1@customer.example>")


def test_a_message_without_an_id_is_answered_without_one() -> None:
    planned = plan(mail(Message_ID=""))
    assert (planned.in_reply_to, planned.references) == ("", ())


def test_what_an_encoded_header_smuggles_stays_text() -> None:
    raw = mail(
        Subject="=?utf-8?q?Hi=0d=0aBcc=3a_evil=40evil=2eexample?=",
        From="=?utf-8?q?Nora=0d=0aBcc=3a_x?= <nora@customer.example>",
    )
    planned = plan(raw)
    assert "\n" not in planned.subject + planned.to[0].name
    assert "\r" not in planned.subject + planned.to[0].name
    assert planned.recipients == ("nora@customer.example",)


def test_outlook_threads_go_on() -> None:
    from mailassist.mail.thread_index import child

    parent = "AdxQ2J7hHkcRq0ZzTJmWcB0m8yZkFA=="
    grown = child(parent, datetime(2026, 11, 24, tzinfo=UTC), "seed")
    assert grown.startswith(parent.rstrip("=")[:28])
    assert child("not base64!", datetime(2026, 11, 24, tzinfo=UTC), "seed") == ""
    assert plan(mail(Thread_Index=parent, Thread_Topic="Order 17")).thread_topic == "Order 17"
