"""Which language a reply is written in."""

import pytest
from conversations import ANNA, message, talk
from hypothesis import given
from hypothesis import strategies as st

from mailassist.context.language import detect, language_name, reply_language

SAID = {
    "en": "When can we expect the delivery of the second machine?",
    "de": "Wann können wir mit der Lieferung der zweiten Maschine rechnen?",
    "fr": "Quand pouvons-nous attendre la livraison de la deuxième machine ?",
    "es": "¿Cuándo podemos esperar la entrega de la segunda máquina?",
    "pt": "Quando podemos esperar a entrega da segunda máquina?",
    "it": "Quando possiamo aspettarci la consegna della seconda macchina?",
    "nl": "Wanneer kunnen we de levering van de tweede machine verwachten?",
    "sv": "När kan vi räkna med leveransen av den andra maskinen?",
    "da": "Hvornår kan vi regne med leveringen af den anden maskine?",
    "nb": "Når kan vi regne med leveringen av den andre maskinen, og hva koster det?",
    "fi": "Milloin voimme odottaa toisen koneen toimitusta?",
    "pl": "Kiedy możemy spodziewać się dostawy drugiej maszyny?",
    "cs": "Kdy můžeme očekávat dodávku druhého stroje?",
    "sk": "Kedy môžeme očakávať dodávku druhého stroja?",
    "sl": "Kdaj lahko pričakujemo dobavo drugega stroja?",
    "hr": "Kada možemo očekivati isporuku drugog stroja?",
    "hu": "Mikor várhatjuk a második gép szállítását?",
    "ro": "Când ne putem aștepta la livrarea celei de-a doua mașini?",
    "tr": "İkinci makinenin teslimatını ne zaman bekleyebiliriz?",
    "et": "Millal võime oodata teise masina tarnet?",
    "lv": "Kad mēs varam gaidīt otrās mašīnas piegādi?",
    "lt": "Kada galime tikėtis antrosios mašinos pristatymo?",
    "ca": "Quan podem esperar el lliurament de la segona màquina?",
    "vi": "Khi nào chúng tôi có thể nhận được máy thứ hai?",
    "id": "Kapan kami bisa menerima pengiriman mesin kedua?",
    "ru": "Когда мы можем ожидать поставку второй машины?",
    "uk": "Коли ми можемо очікувати поставку другої машини?",
    "bg": "Кога можем да очакваме доставката на втората машина?",
    "sr": "Када можемо да очекујемо испоруку друге машине?",
    "el": "Πότε μπορούμε να περιμένουμε την παράδοση;",
    "he": "מתי נוכל לצפות למשלוח?",
    "ar": "متى يمكننا توقع تسليم الآلة الثانية؟",
    "fa": "چه زمانی می‌توانیم منتظر تحویل دستگاه دوم باشیم؟",
    "ja": "二台目の機械の納品はいつになりますか。",
    "zh": "第二台机器什么时候可以交货？",
    "ko": "두 번째 기계는 언제 배송되나요?",
    "th": "เครื่องที่สองจะส่งเมื่อไหร่",
    "hi": "दूसरी मशीन की डिलीवरी कब होगी?",
}


@pytest.mark.parametrize("code", SAID)
def test_one_question_is_enough_to_tell(code: str) -> None:
    assert detect(SAID[code]) == code


@pytest.mark.parametrize(
    "text", ["", "ok", "12:30", "https://example.org/the/and/of", "Müller GmbH", "👍", "tom@example.org"]
)
def test_text_that_tells_nothing_is_left_open(text: str) -> None:
    assert detect(text) == ""


ENGLISH_NOTICE = (
    "This e-mail and any attachments are confidential and intended solely for the addressee. If you have received it "
    "in error, please notify the sender and delete it."
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hallo Tom, das Meeting ist am Freitag um zehn, please find attached. Kommst du?", "de"),
        ("Hello 田中様, thank you for the call. When would you like to meet us?", "en"),
        (f"Sehr geehrte Damen und Herren,\n\n{SAID['en']}\n\nMit freundlichen Grüßen\nAnna", "en"),
        (f"Bonjour Marie,\n{SAID['en']}\nCordialement", "en"),
        (f"Hi Tom!\n{SAID['it']}\n\nBest regards\nAnna\nSales Manager", "it"),
        (f"Passt mir gut, bis dann!\n\n{ENGLISH_NOTICE}", "de"),
        (f"Danke!\n\n{ENGLISH_NOTICE}", "de"),
        ("Tom様\n\n灰色のほうが合いそうです。\n\nBest regards,\nTanaka", "ja"),
    ],
)
def test_a_mixed_text_is_in_the_language_of_what_is_said_first_behind_the_greeting(text: str, code: str) -> None:
    assert detect(text) == code


@given(st.text(max_size=80))
def test_any_text_has_a_language_or_none(text: str) -> None:
    assert detect(f"{text}\n\n{text}\ud800 who goes there and what is this?") in {
        "",
        *SAID,
        "bn",
        "ta",
        "ka",
        "hy",
        "ur",
        "is",
        "sq",
    }


def test_the_newest_message_of_the_other_side_decides() -> None:
    talked = talk(SAID["en"], "Can I help you with anything else?", SAID["fr"])
    assert reply_language(talked) == "fr"


def test_what_is_too_short_to_tell_is_told_by_the_older_messages_of_its_author_then_the_subject_then_the_others() -> (
    None
):
    assert reply_language(talk(SAID["it"], "Domani va bene?", message(2, "ok", subject="Re: 4711"))) == "it"
    assert reply_language(talk(SAID["it"], SAID["en"], message(2, "ok", subject="Delivery of the machine"))) == "it"
    assert reply_language(talk(SAID["en"], message(1, "ok", subject="Re: Lieferung der zweiten Maschine"))) == "de"
    assert reply_language(talk(SAID["nl"], message(1, "ok", subject="Re: 4711"))) == "nl"


def test_quoted_text_never_counts() -> None:
    quoting = message(1, "", quoted=SAID["en"], text=SAID["en"], subject="Re: 4711", from_=(ANNA,))
    assert reply_language(talk(message(0, SAID["de"]), quoting)) == "de"
    between = f"> {SAID['en']}\n> {SAID['en']}\nIm März.\n"
    assert reply_language(talk(message(0, SAID["de"]), message(1, between, subject="4711"))) == "de"


def test_only_the_languages_of_the_identity_come_into_question() -> None:
    assert reply_language(talk(message(0, SAID["fr"], subject="Livraison")), ["de", "en"]) == "de"
    dutch = "Wat is de prijs in het magazijn, en is er nog iets over in de week?"
    assert reply_language(talk(message(0, dutch, subject="Prijs")), ["de", "en"]) == "de"
    assert reply_language(talk(message(0, "👍", subject="4711")), ["de", "en"]) == "de"
    assert reply_language(talk("Har du tid på tirsdag?"), ["en", "nb"]) == "nb"
    assert reply_language(talk(SAID["pt"]), ["es", "pt-BR"]) == "pt-BR"


def test_languages_are_named_in_english_for_the_prompt() -> None:
    assert [language_name(code) for code in ("de", "pt-BR", "no", "xx", "")] == [
        "German", "Portuguese (pt-BR)", "Norwegian", "xx", "",
    ]  # fmt: skip
