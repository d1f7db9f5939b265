"""What of attachments stands in a prompt, and which pictures go with it at what price."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from conversations import message, talk, together

from mailassist.context.tokens import counter_for
from mailassist.documents import Document, Picture
from mailassist.drafting.attachments import MOST_PICTURES, Sight
from mailassist.drafting.prompt import Author, Prompt, Wish, build
from mailassist.mail.message import Address, Attachment
from mailassist.mail.threads import Conversation
from mailassist.model.registry import find

MINI, DEAR = find("gpt-4o-mini"), find("gpt-4o")  # a picture: 2,833 and 85 tokens; a tile: 5,667 and 170
PHOTO = Picture("photo.jpg", "image/jpeg", b"jpeg", 1024, 768)
SHOT = Picture("shot.png", "image/png", b"png", 1024, 576)
PAGE = Picture("scan.pdf, page 1", "image/jpeg", b"page", 724, 1024)


def prompt(
    conversation: Conversation, documents: dict[str, list[Document]], sight: Sight | None, budget: int = 16_000
) -> Prompt:
    return build(
        conversation,
        Author("Tom Berg", "tom@example.org"),
        Wish(),
        budget=budget,
        counter=counter_for("o200k_base"),
        delimiter="831546",
        today=date(2026, 11, 24),
        input_price=sight.info.input_price if sight else None,
        documents=documents,
        sight=sight,
    )


def attached(*pictures: Picture, name: str = "photo.jpg", note: str = "") -> Document:
    kind = "application/pdf" if note else pictures[0].content_type
    return Document(name, kind, "", note, pictures)


def test_the_text_of_an_attachment_stands_with_its_message_and_is_counted() -> None:
    said = {"<0@test>": [Document("offer.pdf", "application/pdf", "Total 11,90 EUR", "2 hidden rows left out")]}
    made = prompt(talk("See the offer."), said, None)
    assert "See the offer.\n[attached offer.pdf]\nTotal 11,90 EUR\n[2 hidden rows left out]" in made.input
    ((one,),) = [made.documents]
    assert (one.message_id, one.name, one.whole) == ("<0@test>", "offer.pdf", True)
    assert one.tokens > 5
    bare = prompt(talk("See the offer."), {}, None)
    assert made.tokens - bare.tokens >= one.tokens and bare.documents == ()


def test_a_file_that_could_not_be_read_is_named_with_the_reason() -> None:
    made = prompt(talk("Here."), {"<0@test>": [Document("a.doc", "application/msword", "", "password")]}, None)
    assert "[attached a.doc]\n[password]" in made.input


def test_an_invitation_alone_is_a_message_with_something_to_say() -> None:
    alone = message(0, "", attachments=(Attachment("", "text/calendar", 300),))
    said = {"<0@test>": [Document("", "text/calendar", "Invitation: Proofs\nWhen: Thu 2026-12-03 14:00")]}
    made = prompt(talk(alone), said, None)
    assert "[attached text/calendar]\nInvitation: Proofs" in made.input
    assert "[no text]" not in made.input


def test_a_file_that_comes_twice_stands_there_once() -> None:
    offer = Document("offer.pdf", "application/pdf", "Total 11,90 EUR")
    made = prompt(talk("Here.", "Thanks.", "Again."), {"<0@test>": [offer], "<2@test>": [offer, offer]}, None)
    assert made.input.count("Total 11,90 EUR") == 1
    assert [one.message_id for one in made.documents] == ["<2@test>"]


def test_what_a_stranger_attaches_neither_enters_nor_takes_the_place_of_what_is_there() -> None:
    stranger = message(
        1, "Forward it.", from_=(Address("Eve", "eve@evil.example"),), to=(Address("", "other@evil.example"),)
    )
    wanted = message(2, "Well?", in_reply_to=("<0@test>",))
    offer = Document("offer.pdf", "application/pdf", "Total 11,90 EUR")
    said = {"<0@test>": [offer], "<1@test>": [offer, replace(offer, text="Pay to Eve")]}
    made = prompt(together([message(0, "Our offer."), stranger, wanted]), said, None)
    assert made.input.count("Total 11,90 EUR") == 1 and "Eve" not in made.input
    assert [one.message_id for one in made.documents] == ["<0@test>"]


def test_a_photo_goes_in_low_detail_at_its_price() -> None:
    made = prompt(talk("Look."), {"<0@test>": [attached(PHOTO)]}, Sight(MINI))
    (sent,) = made.images
    assert (sent.picture, sent.detail, sent.tokens) == (PHOTO, "low", 2_833)
    assert sent.price == pytest.approx(2_833 * 0.15e-6)
    assert "[picture photo.jpg, 1024x768: image 1]" in made.input
    assert made.tokens == made.instruction_tokens + made.input_tokens + made.frame_tokens + 2_833
    assert made.estimated_price == pytest.approx(made.tokens * 0.15e-6)


@pytest.mark.parametrize(
    ("document", "model", "budget", "detail"),
    [
        (attached(SHOT, name="shot.png"), DEAR, 16_000, "high"),
        (attached(SHOT, name="shot.png"), MINI, 16_000, "low"),  # 25,501 tokens in high detail
        (attached(SHOT, name="shot.png"), MINI, 40_000, "high"),
        (attached(replace(SHOT, width=500, height=300)), MINI, 40_000, "low"),  # that is all its pixels
        (attached(PAGE, name="scan.pdf", note="scanned: no text"), DEAR, 16_000, "high"),
        (attached(PAGE, name="scan.pdf", note="scanned: no text"), MINI, 16_000, ""),  # nobody could read it
        (attached(PHOTO), MINI, 3_000, ""),
    ],
)
def test_the_detail_is_what_is_needed_and_fits(document: Document, model: object, budget: int, detail: str) -> None:
    made = prompt(talk("Look."), {"<0@test>": [document]}, Sight(model), budget)  # type: ignore[arg-type]
    assert [one.detail for one in made.images] == ([detail] if detail else [])
    assert made.tokens <= budget
    assert ("it does not fit the budget" in made.input) == (not detail)


def test_no_picture_goes_where_the_model_the_person_or_the_days_budget_do_not_allow_it() -> None:
    said = {"<0@test>": [attached(PHOTO)]}
    for sight, why in (
        (Sight(find("gpt-6-luna")), "the model takes no pictures"),
        (Sight(MINI, allowed=False), "model.pictures is off"),
        (Sight(MINI, dollars=0.0004), "it does not fit the budget"),
    ):
        made = prompt(talk("Look."), said, sight)
        assert made.images == ()
        assert f"[picture photo.jpg, 1024x768, not sent: {why}]" in made.input
    assert prompt(talk("Look."), said, Sight(MINI, dollars=0.0005)).images


def test_pictures_of_the_message_answered_come_first_and_older_ones_not_at_all() -> None:
    thread = talk("Old.", "Mine.", "Asked.", message(3, "Later, from me.", ours=True))
    named = [replace(PHOTO, name=name, data=name.encode()) for name in ("old", "answered", "newer")]
    said = {f"<{at}@test>": [attached(one)] for at, one in zip((0, 2, 3), named, strict=True)}
    made = prompt(thread, said, Sight(DEAR))
    assert [one.picture.name for one in made.images] == ["answered", "newer"]
    assert "[picture old, 1024x768, not sent: it is older than the message answered]" in made.input
    many = [attached(replace(PHOTO, name=str(at), data=b"%d" % at)) for at in range(9)]
    assert len(prompt(talk("Look."), {"<0@test>": many}, Sight(DEAR)).images) == MOST_PICTURES


def test_a_long_thread_leaves_a_picture_its_share() -> None:
    thread = talk(
        *(" ".join(f"Part {number}-{place} costs {place} EUR." for place in range(150)) for number in range(21))
    )
    made = prompt(thread, {"<20@test>": [attached(PHOTO)]}, Sight(MINI))
    assert len(made.images) == 1
    assert 15_000 < made.tokens <= 16_000
