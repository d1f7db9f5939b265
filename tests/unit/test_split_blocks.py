"""Every line of a body in exactly one block, of the right kind, whatever the body is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.attribution import attribution
from mailassist.mail.body import html_to_text
from mailassist.mail.message import Address, BlockKind, Message
from mailassist.mail.quotes import split

LINES = (
    "On Tue, 3 Nov 2026 at 09:12, Tomás Vidal <tomas@vidal.example> wrote:",
    *("On Tue, 3 Nov 2026", "wrote:", "<tomas@vidal.example> wrote:", "Tomás Vidal <", "2026/11/13 T <t@x.example>"),
    *("> quoted", ">> older", ">", "| barred", "TV> initials", ">>> T 11/3/2026 9:12 AM >>>", ">From here"),
    *("-- ", "--", "—", "__", "---", "________________________________", "-----Original Message-----"),
    *("From: T <t@x.example>", "Sent: 3 Nov 2026 09:12", "To: I", "Subject: x", "Sent from my iPhone", "Von: T"),
    *("begin 644 a", "end", "```", "##- reply above this line -##", "CAUTION: external e-mail, do not click links", ""),
    *("You received this message because you are subscribed", "_" * 47, "X mailing list", "Begin forwarded message:"),
    *(
        "This e-mail is confidential and intended for the recipient.",
        "-----BEGIN PGP SIGNATURE-----",
        "PS: x",
        "\u200f:",
    ),
    *("To", "Subject", "03/11/2026 09:12", "|---+--->", "| To: T |", "         T         To: I", "         Subject: x"),
    *("[Tomás Vidal wrote on 3 Nov 2026]", "-------------- next part --------------", "A part was scrubbed..."),
)
BODIES = st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=12)), max_size=30).map("\n".join)


WROTE = "On 3 Nov 2026 at 10:15 Tom Vidal <tom@vidal.example> wrote:"


@given(BODIES)
def test_every_line_is_in_exactly_one_block(body: str) -> None:
    parted = split(body)
    assert "\n".join(block.text for block in parted.blocks) == body
    parts = " ".join((parted.reply, parted.quoted, parted.signature)).split()
    assert sorted(parts) == sorted(body.split())


@given(BODIES)
def test_something_is_left_of_a_body_that_is_no_boilerplate(body: str) -> None:
    kinds = {block.kind for block in split(body).blocks if block.text.strip()}
    boilerplate = {BlockKind.ATTRIBUTION, BlockKind.SIGNATURE, BlockKind.ADVERTISING, BlockKind.DISCLAIMER}
    assert bool(split(body).reply) or not (kinds - boilerplate - {BlockKind.FOOTER, BlockKind.QUOTED})


WORDS = st.text(alphabet="abcdefghij éßж字", min_size=1, max_size=30).filter(lambda text: bool(text.strip()))


@given(
    st.lists(WORDS, min_size=1, max_size=6),
    st.lists(WORDS, min_size=1, max_size=6),
    st.sampled_from(
        "bg cs da de el en es et fi fr hr hu it ja ko lt lv nb nl nn pl pt ro ru sk sl sv tr uk zh".split()  # noqa: SIM905
    ),
)
def test_what_we_compose_is_split_into_what_it_was_made_of(answer: list[str], quote: list[str], language: str) -> None:
    original = Message(
        "<a@b>", date=datetime(2026, 11, 3, 9, tzinfo=UTC), from_=(Address("Anna Meyer", "a@b.example"),)
    )
    reply = "\n".join(line.strip() for line in answer)
    marked = "\n".join(f"> {line.strip()}" for line in quote)
    parted = split(f"{reply}\n\n{attribution(original, language)}\n{marked}\n\n-- \nTom\n")
    assert (parted.reply, parted.signature.strip()) == (reply, "-- \nTom")


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("Yes.\n\nSent from my iPhone\n\nTom wrote:\n> May we?", "own advertising attribution quoted"),
        ("Yes.\n\n-- \nSent from my Android device with K-9 Mail. Please excuse my brevity.", "own advertising"),
        ("Yes.\n\n-- \nTom\nShop Ltd", "own signature"),
        ("Tom wrote:\n> May we?\n\nYes.\n\n> And now?\n\nYes.", "attribution answered own answered own"),
        ("See:\n\n---------- Forwarded message ---------\nFrom: T <t@x.example>\nDate: 3 Nov 2026\nSubject: x\n\nHi",
         "own attribution forwarded"),
        ("> only a quote", "forwarded"),
        ("CAUTION: This email came from outside the company. Do not click links.\n\nHello", "disclaimer own"),
        ("Yes.\n\nThis e-mail is confidential. If you are not the recipient, delete it.", "own disclaimer"),
        ("Yes.\n\n-- \nYou received this message because you are subscribed to the group \"x\".\nhttps://x.example",
         "own footer"),
        ("Yes.\n\n>>> Tom Vidal 11/3/2026 9:12 AM >>>\nMay we?", "own attribution quoted"),
        (f"{WROTE}\n\nI would wait.\n\n> May we?\n\nYes.", "attribution own quoted own"),
        (f"{WROTE}\n\nThat suits me.\n\n> {WROTE}\n> May we?", "attribution forwarded"),
        (f"Thanks.\n\nYes. {WROTE}\n\nMay we?", "own"),
        ("Yes.\n\nDr. Le Duc <duc@x.example> wrote:\n> May we?", "own attribution quoted"),
        ("Yes.\n\nOn 3 Nov 2026, Tom ***@***.***> wrote:\n\nMay we?", "own attribution quoted"),
        ("Yes.\n\n--\nsimple things should be simple.", "own signature"),
        ("Yes.\n\n--\nsent from my android device with k-9 mail, please excuse my brevity.", "own advertising"),
        ("Yes.\n\n--\nTom Vidal, Head of Sales, Vidal Ltd, Madrid, and Managing Director of Vidal GmbH, Berlin.",
         "own signature"),
        ("-\nCAUTION: This email came from outside the company. Do not click links.\n\nHello", "disclaimer own"),
        ("*** CAUTION: This email came from outside the company. Do not click links.\n\nHello", "disclaimer own"),
        ("Yes.\n\nFrom: Tom Vidal <tom@vidal.example> Sent: 3 Nov 2026 9:12 AM To: Ann Subject: Form\n\nSign.",
         "own attribution quoted"),
        ("Ann\nfills in\n\nTo\nTom\nSubject\na trip", "own"),
        ("Yes:\n\n         Ann         To: Madrid\n         Tom         Subject: trip", "own"),
        ("Yes:\n\n         Ann         To: Madrid\n         Tom         at 09:12", "own"),
        ("Yes:\n\n|------+------>\n| To: Madrid |\n|------+------>", "own"),
    ],
)  # fmt: skip
def test_a_block_is_of_the_kind_that_it_is(body: str, kinds: str) -> None:
    assert [block.kind.value for block in split(body).blocks] == kinds.split()


def test_a_quoted_line_that_lost_its_mark_is_no_attribution() -> None:
    wrapped = "It seems unlikely to me that you would need to break it as small as\n> a hundred"
    assert [block.text for block in split(f"{WROTE}\n{wrapped}\n\nYes.").blocks][:2] == [WROTE, wrapped]


def test_the_copied_header_of_lotus_notes_goes_to_the_end_of_its_subject() -> None:
    header = "\nTom Vidal\n03.11.2026 09:12\n\nTo\nAnn\nSubject\na subject that\nis long"
    assert [block.text for block in split(f"Yes.\n{header}\n\nMay we?").blocks] == ["Yes.", header, "\nMay we?"]


def test_the_delimiter_above_advertising_is_not_the_author_s() -> None:
    text = "Yes.\n\n--\nsent from my android device with k-9 mail, please excuse my brevity."
    assert split(text).reply == "Yes."


def test_what_stands_below_the_lines_that_are_looked_at_is_not_lost() -> None:
    many = "word\n" * 120_000
    assert split(many + "> end").reply == many + "> end"
    parted = split(f"Yes.\n\n{WROTE}\n\n{many}end")
    assert (parted.reply, parted.quoted) == ("Yes.", f"{WROTE}\n\n{many}end")


@pytest.mark.parametrize(
    "line",
    [
        *("He wrote:\n> I like it", "As Tom wrote:\n> I like it", "You wrote:\n> I like it"),
        *("Sent from my desk, which is easier.", "Sent by courier yesterday", "Outlook for Mac crashes. Why?"),
        *("To unsubscribe from anger, breathe.", "Attention: the outside door is open, please lock it."),
        *("x\n__\nsee also the second page\n__\nend", "Title\n=====\ntext\n\nOther\n-----\ntext", "10:15 Tom: hello"),
        *("On 3 Nov 2026 at 9:12 we meet Tomás <t@x.example>:\nbring the key", ">From the start it was clear."),
        *(
            "Meeting on 3.11.2026 with tomas@vidal.example:\n- a",
            "Name: T\nDate: 3.11.2026\nFrom: A\nTo: B\nSubject: c",
        ),
    ],
)
def test_what_a_person_typed_is_kept_above_more_of_it_and_at_the_end(line: str) -> None:
    assert split(f"Hello,\n\n{line}\n\nWhat now?").reply == f"Hello,\n\n{line}\n\nWhat now?"
    assert split(f"Hello,\n\n{line}").reply.split() == f"Hello,\n\n{line}".split() or line.startswith(
        ("He", "As", "You")
    )


def test_struck_out_text_does_not_read_as_current() -> None:
    assert html_to_text("<p>It costs <del>40</del> 50 euros.</p>").text == "It costs ~~40~~ 50 euros."


@pytest.mark.parametrize(
    "body",
    [
        *(">" * 5_000_000, ">\n" * 1_000_000, "On " * 1_600_000, "From: a\n" * 500_000, "-- \n\n" * 500_000),
        *(
            "\n" * 5_000_000,
            "-- \na\n" * 800_000,
            "Am 3.11.2026 schrieb\n" * 240_000,
            "___\n" * 1_250_000,
            "On\n" * 1_600_000,
        ),
        *("|" * 5_000_000, "* " * 2_500_000, "-" * 5_000_000, "To\ncc\nSubject\n" * 350_000, "|---+--->\n" * 500_000),
        *("On 3 Nov 2026 at 10:15 T <a@b> wrote:\n" * 50_000, "begin 644 a\n" * 200_000, "```x\ny\n" * 200_000),
        *("Sent from " * 300_000, "-" * 3_000_000, ("-" * 40 + "reply " * 13 + "\n") * 20_000, "<a@b:\n" * 300_000),
    ],
    ids=lambda body: f"{body[:12]!r}",
)
def test_endless_marks_are_read_in_time(body: str) -> None:
    assert "\n".join(block.text for block in split(body).blocks) == body
