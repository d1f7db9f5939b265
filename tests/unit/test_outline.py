"""Drafts without any model."""

import tomllib
from importlib import resources

import pytest
from conversations import message, talk

from mailassist.config import Identity
from mailassist.context.language import detect
from mailassist.drafting.outline import outline
from mailassist.mail.message import Address

TOM = Identity(name="Tom Berg", address="tom@example.org", signature="Tom Berg\nExample Ltd")
WORDS = tomllib.loads(resources.files("mailassist.drafting").joinpath("outline.toml").read_text(encoding="utf-8"))


def outlined(said: str, name: str = "Anna Meyer", language: str = "") -> str:
    return outline(talk(message(0, said, from_=(Address(name, "anna@example.net"),), subject="-")), TOM, language)


def test_each_question_and_request_is_a_line_with_a_gap() -> None:
    said = """Hi Tom,

hope you are well. Two questions about the offer:

1. Does it hold until 3 p.m. on Friday,
   or longer?
2. What is the price for Graz

By the way, the second drawing was great. Please send the data sheets, too.

Best
Anna"""
    assert outlined(said).split("\n\n") == [
        "Hello Anna,",
        "Does it hold until 3 p.m. on Friday, or longer? [answer]",
        "Please send the data sheets, too. [answer]",
        "Kind regards",
    ]


@pytest.mark.parametrize(
    ("said", "greeting", "asked", "closing"),
    [
        (
            "Guten Tag, wann kommt die Lieferung? Danke.",
            "Guten Tag Anna Meyer,",
            "wann kommt die Lieferung? [Antwort]",
            "Freundliche Grüße",
        ),
        (
            "Bonjour, merci de confirmer la date.",
            "Bonjour Anna Meyer,",
            "merci de confirmer la date. [réponse]",
            "Cordialement",
        ),
        (
            "Gracias. ¿Cuándo llega el pedido?",
            "Hola, Anna Meyer:",
            "¿Cuándo llega el pedido? [respuesta]",
            "Un saludo",
        ),
        (
            "Kan du skicka fakturan igen? Tack!",
            "Hej Anna,",
            "Kan du skicka fakturan igen? [svar]",
            "Med vänlig hälsning",
        ),
        (
            "Dzień dobry, proszę o fakturę.",
            "Dzień dobry, Anna Meyer,",
            "proszę o fakturę. [odpowiedź]",
            "Z poważaniem",
        ),
        (
            "Πότε θα είναι έτοιμη; Ευχαριστώ",
            "Καλημέρα σας Anna Meyer,",
            "Πότε θα είναι έτοιμη; [απάντηση]",
            "Με εκτίμηση",
        ),
        (
            "Пришлите, пожалуйста, счёт.",
            "Здравствуйте, Anna Meyer!",
            "Пришлите, пожалуйста, счёт. [ответ]",
            "С уважением",
        ),
        (
            "納期はいつでしょうか。よろしくお願いいたします。",
            "Anna Meyer様",
            "納期はいつでしょうか。 [回答]",
            "よろしくお願いいたします。",
        ),
        (
            "请问什么时候发货？谢谢",
            "Anna Meyer，您好：",
            "请问什么时候发货？ [答复]",
            "此致敬礼",
        ),
        (
            "متى يصل الطلب؟",
            "مرحباً Anna Meyer،",
            "متى يصل الطلب؟ [الجواب]",
            "مع أطيب التحيات",
        ),
    ],
)
def test_it_is_written_in_the_language_of_the_mail(said: str, greeting: str, asked: str, closing: str) -> None:
    lines = outlined(said).split("\n\n")
    assert lines[0] == greeting
    assert lines[1].endswith(asked)
    assert lines[-1] == closing


@pytest.mark.parametrize("code", WORDS)
def test_every_language_of_the_data_file_gives_greeting_gap_and_closing(code: str) -> None:
    lines = outlined("FYI", "Ada Byron", code).split("\n\n")
    assert len(lines) == 3
    assert "Ada" in lines[0]
    assert lines[1].startswith("[")
    assert "{" not in "".join(lines)


def test_there_are_more_than_twenty_languages_and_their_requests_are_words_of_that_language() -> None:
    assert len(WORDS) >= 30
    for code in ("de", "fr", "es", "it", "nl", "pl", "ru"):
        assert detect(" ".join(WORDS[code]["asks"])) == code


def test_questions_that_came_before_the_users_last_answer_are_not_asked_again() -> None:
    talked = talk("What is the price?", "42 euros.", "And for two?")
    assert "What is the price?" not in outline(talked, TOM)
    assert "And for two?" in outline(talked, TOM)


def test_every_message_since_the_users_last_one_counts() -> None:
    talked = talk(message(0, "What is the price?"), message(1, "And how long does it take?"))
    assert "What is the price?" in outline(talked, TOM)
    assert "And how long does it take?" in outline(talked, TOM)


@pytest.mark.parametrize(
    "name", ["", "anna@example.net", "<script>", "Anna\x1b[2J", "https://evil.example", "4711", "A" * 500]
)
def test_what_is_no_name_is_not_greeted(name: str) -> None:
    assert outlined("Is that so?", name).startswith("Hello,\n")


def test_a_name_in_catalogue_order_is_turned_round() -> None:
    assert outlined("Wann kommt die Lieferung bei uns an?", "Meyer, Anna").startswith("Guten Tag Anna Meyer,")


def test_addresses_of_the_other_side_are_not_carried_into_the_reply() -> None:
    text = outlined(
        "Could you pay at https://evil.example/?a=b or write to x@evil.example? Please look at www.evil.example."
    )
    assert "evil" not in text
    assert "Could you pay at [...] or write to [...]? [answer]" in text


def test_the_identitys_languages_and_no_signature() -> None:
    said = message(0, "Quand arrive la livraison de la machine ?", subject="Livraison")
    text = outline(talk(said), TOM.model_copy(update={"languages": ["de"]}))
    assert text.startswith("Guten Tag")
    assert "Tom Berg" not in text
