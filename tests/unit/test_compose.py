"""The bytes of a reply: what a reader gets is what was approved, and nothing on the wire can become a command."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailassist.mail.body import html_to_text
from mailassist.mail.compose import Layout, ReplyPlan, comparable, compose, message_text
from mailassist.mail.message import Address, Message
from mailassist.mail.parse import parse_message
from mailassist.mail.reply_headers import UnsafeHeader
from mailassist.mail.thread_index import child

DATE = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ORIGINAL = Message(
    message_id="<q1@customer.example>",
    date=datetime(2026, 11, 23, 9, 14, tzinfo=UTC),
    from_=(Address("Nora Vogel", "nora@customer.example"),),
    text="Hello Ada,\n\nwhere is order 17?\n> earlier words\n\n-- \nNora\n",
    headers={"bcc": ("hidden@customer.example",)},
)
PLAN = ReplyPlan(
    from_=Address("Ada Kern", "ada@team.example"),
    to=(Address("Nora Vogel", "nora@customer.example"),),
    subject="Re: Order 17",
    in_reply_to="<q1@customer.example>",
    references=("<q0@customer.example>", "<q1@customer.example>"),
)


def built(
    body: str = "It left today.", plan: ReplyPlan = PLAN, original: Message = ORIGINAL, **layout: object
) -> bytes:
    return compose(
        plan, body, original=original, layout=Layout(**layout),  # type: ignore[arg-type]
        message_id="<r1@team.example>", own_id="0123abcd", date=DATE,
    ).raw  # fmt: skip


def test_a_reply_is_flowed_plain_text_with_signature_and_quote_below() -> None:
    raw = built(signature="Ada Kern\nTeam Ltd")
    standard = email.message_from_bytes(raw, policy=email.policy.default)
    assert standard.get_content_type() == "text/plain"
    assert standard.get_param("format") == "flowed"
    assert standard.get_content().replace("\r\n", "\n") == (
        "It left today.\n\n-- \nAda Kern\nTeam Ltd\n\nOn 2026-11-23 09:14 +0000, Nora Vogel wrote:\n"
        "> Hello Ada,\n>\n> where is order 17?\n>> earlier words\n>\n> --\n> Nora\n"
    )
    assert standard["In-Reply-To"] == "<q1@customer.example>"
    assert standard["References"] == "<q0@customer.example> <q1@customer.example>"
    assert standard["X-Mailassist-Id"] == "0123abcd"
    assert "hidden@customer.example" not in raw.decode()


def test_long_paragraphs_flow_and_read_back_as_one_line() -> None:
    paragraph = "A sentence that goes on and on, as sentences in mail do. " * 8
    raw = built(paragraph, quote="none")
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert parse_message(raw).text.strip() == paragraph.strip()


def test_lines_that_mean_something_elsewhere_stay_text() -> None:
    body = "From here on:\n.\n..\n> not quite a quote\n indented\n-- \nnot a signature"
    raw = built(body, quote="none")
    assert parse_message(raw).text.rstrip("\n") == body


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("de", "Am 2026-11-23 09:14 +0000 schrieb Nora Vogel:"),
        ("pt-BR", "Em 2026-11-23 09:14 +0000, Nora Vogel escreveu:"),
    ],
)
def test_the_line_above_the_quote_is_in_the_language_of_the_reply(language: str, line: str) -> None:
    assert line in message_text("Gut.", ORIGINAL, Layout(language=language))


def test_inline_answers_keep_their_quotes_and_others_get_the_quote_above() -> None:
    body = "> where is order 17?\n\nIt left today."
    assert message_text(body, ORIGINAL, Layout(quote="inline")) == body + "\n"
    above = message_text("It left today.", ORIGINAL, Layout(quote="inline"))
    assert above.startswith("On 2026-11-23")
    assert above.endswith("\n\nIt left today.\n")


def test_a_signature_that_the_text_has_already_is_not_doubled() -> None:
    text = message_text("Done.\n\n-- \nAda Kern", ORIGINAL, Layout(quote="none", signature="Ada Kern"))
    assert text == "Done.\n\n-- \nAda Kern\n"


def test_the_html_part_is_made_by_code_and_holds_no_markup_of_the_text() -> None:
    hostile = Message(message_id="<h@x.example>", from_=ORIGINAL.from_, text="<img src=x onerror=alert(1)>")
    raw = built("1 < 2 & <b>3</b>\n\nnext", original=hostile, html=True, signature="Ada", html_signature="<b>Ada</b>")
    standard = email.message_from_bytes(raw, policy=email.policy.default)
    page = standard.get_body(("html",))
    plain = standard.get_body(("plain",))
    assert page is not None
    assert plain is not None
    shown = page.get_content().replace("\r\n", "\n")
    assert "<p>1 &lt; 2 &amp; &lt;b&gt;3&lt;/b&gt;</p>\n<p>next</p>" in shown
    assert "<b>Ada</b>" in shown
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert "1 < 2 & <b>3</b>" in plain.get_content()


def test_plain_text_and_html_say_the_same_in_the_same_order() -> None:
    signed = "It left today.\n\n-- \nAda"
    for quote, order in (("below", ["left today", "\n--", "where is"]), ("inline", ["where is", "left today", "\n--"])):
        seen = parse_message(built(signed, html=True, signature="Ada", quote=quote))
        for text in (seen.text, html_to_text(seen.html).text):
            assert sorted(order, key=text.index) == order
            assert [text.count(words) for words in order] == [1, 1, 1]
    answered = parse_message(built("> where is order 17?\n\nIt left today.", html=True, quote="inline"))
    assert html_to_text(answered.html).text.count("where is") == 1


def test_names_and_domains_of_all_alphabets_arrive() -> None:
    plan = ReplyPlan(
        from_=Address("Jürgen Groß, Büro", "j@müller.example"),
        to=(Address("山田 太郎", "taro@example.jp"), Address('O"Neil, Pat', "pat@customer.example")),
        cc=(Address("", "x@bücher.example"),),
        subject="Re: Größe — 山田さんの注文 " + "sehr " * 40 + "lang",
    )
    seen = parse_message(built(plan=plan))
    assert [str(one) for one in (*seen.from_, *seen.to)] == [
        "Jürgen Groß, Büro <j@xn--mller-kva.example>",
        "山田 太郎 <taro@example.jp>",
        'O"Neil, Pat <pat@customer.example>',
    ]
    assert seen.cc[0].email == "x@xn--bcher-kva.example"
    assert seen.subject == plan.subject


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@y.example", "a\nb", "a\0b", "a\x1bb"])
@pytest.mark.parametrize("place", ["subject", "name", "email", "reference", "topic"])
def test_headers_refuse_line_breaks_and_controls(bad: str, place: str) -> None:
    from dataclasses import replace

    plan = {
        "subject": replace(PLAN, subject=bad),
        "name": replace(PLAN, to=(Address(bad, "nora@customer.example"),)),
        "email": replace(PLAN, to=(Address("", f"{bad}@customer.example"),)),
        "reference": replace(PLAN, references=(f"<{bad}@x.example>",)),
        "topic": replace(PLAN, thread_topic=bad),
    }[place]
    with pytest.raises(UnsafeHeader):
        built(plan=plan)


def test_outlooks_thread_index_grows_by_one_block() -> None:
    # 22 octets: the high 48 bits of a FILETIME of 2026-11-23, and a GUID.
    header = bytes.fromhex("01dd5b0f1e2d" + "00112233445566778899aabbccddeeff")
    import base64
    from dataclasses import replace

    parent = base64.b64encode(header).decode()
    grown = base64.b64decode(child(parent, DATE, "<r1@team.example>"))
    assert grown[:22] == header
    assert len(grown) == 27
    assert grown[22] < 0x80  # less than 1.7 years: the short form of the difference
    seen = parse_message(built(plan=replace(PLAN, thread_index=parent, thread_topic="Order 17")))
    assert len(base64.b64decode(seen.header("thread-index"))) == 27
    assert seen.header("thread-topic") == "Order 17"


def test_controls_of_a_draft_do_not_reach_the_reply() -> None:
    seen = parse_message(built("a\x1b[2Jb\x00c\u202ed\x9be\u2028f", quote="none"))
    assert seen.text.strip() == "a[2Jbcde\nf"


_PIECES = [
    "\n",
    " ",
    ".",
    ">",
    "-- ",
    "From ",
    "=",
    "\t",
    "\r",
    "\r\n",
    "\0",
    "é",
    "😀",
    "漢字",
    "\u202e",
    "=?",
    "x" * 90,
]
text = st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=20)), max_size=60).map("".join)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]), max_size=80).map(
    lambda value: " ".join(value.split())
)


@settings(deadline=None, max_examples=400)
@given(
    body=text,
    quoted=text,
    subject=words,
    name=words,
    html=st.booleans(),
    quote=st.sampled_from(["none", "below", "inline"]),
)
def test_what_is_built_reads_back_and_is_safe_on_the_wire(
    body: str, quoted: str, subject: str, name: str, html: bool, quote: str
) -> None:
    original = Message(message_id="<q@x.example>", from_=(Address(name, "nora@customer.example"),), text=quoted)
    plan = ReplyPlan(Address(name, "ada@team.example"), original.from_, subject=subject)
    raw = built(body, plan, original, html=html, quote=quote)
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw) is None
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    seen = parse_message(raw)
    layout = Layout(html=html, quote=quote)  # type: ignore[arg-type]
    assert comparable(seen.text) == comparable(message_text(body, original, layout))
    if html:  # HTML has no empty lines, and so no quote marks before them.
        assert comparable(html_to_text(seen.html).text).replace(">", "") == comparable(seen.text).replace(">", "")
    assert (seen.subject, seen.from_[0].name) == (subject, name)
    assert [one.email for one in seen.to] == ["nora@customer.example"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", seen.text)
