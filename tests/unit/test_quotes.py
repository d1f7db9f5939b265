"""What is new, what is quoted, what is signature: by the conventions of the issue, in the languages it names."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.attribution import attribution
from mailassist.mail.message import Address, Message
from mailassist.mail.quotes import split

ATTRIBUTIONS = {
    "en": "On Tue, 3 Nov 2026 at 09:12, Tomás Vidal <tomas@vidal.example> wrote:",
    "de": "Am Di., 3. Nov. 2026 um 09:12 Uhr schrieb Tomás Vidal <tomas@vidal.example>:",
    "de-thunderbird": "Am 03.11.26 um 09:12 schrieb Tomás Vidal:",
    "fr": "Le mar. 3 nov. 2026 à 09:12, Tomás Vidal <tomas@vidal.example> a écrit :",
    "es": "El mar, 3 nov 2026 a las 9:12, Tomás Vidal (<tomas@vidal.example>) escribió:",
    "pt": "Em ter., 3 de nov. de 2026 às 09:12, Tomás Vidal <tomas@vidal.example> escreveu:",
    "it": "Il giorno mar 3 nov 2026 alle ore 09:12 Tomás Vidal <tomas@vidal.example> ha scritto:",
    "nl": "Op di 3 nov. 2026 om 09:12 schreef Tomás Vidal <tomas@vidal.example>:",
    "pl": "wt., 3 lis 2026 o 09:12 Tomás Vidal <tomas@vidal.example> napisał(a):",
    "sv": "Den tis 3 nov. 2026 kl 09:12 skrev Tomás Vidal <tomas@vidal.example>:",
    "da": "Den tirs. 3. nov. 2026 kl. 09.12 skrev Tomás Vidal <tomas@vidal.example>:",
    "no": "tir. 3. nov. 2026 kl. 09:12 skrev Tomás Vidal <tomas@vidal.example>:",
    "fi": "ti 3. marrask. 2026 klo 9.12 Tomás Vidal (tomas@vidal.example) kirjoitti:",
    "cs": "út 3. 11. 2026 v 9:12 odesílatel Tomás Vidal <tomas@vidal.example> napsal:",
    "ru": "вт, 3 нояб. 2026 г. в 09:12, Tomás Vidal <tomas@vidal.example>:",
    "tr": "Tomás Vidal <tomas@vidal.example>, 3 Kas 2026 Sal, 09:12 tarihinde şunu yazdı:",
    "el": "Στις Τρί 3 Νοε 2026 στις 9:12 π.μ., ο χρήστης Tomás Vidal <tomas@vidal.example> έγραψε:",
    "ja": "2026年11月3日(火) 9:12 Tomás Vidal <tomas@vidal.example>:",
    "zh": "Tomás Vidal <tomas@vidal.example> 于2026年11月3日周二 09:12写道：",
    "zh-netease": 'At 2026-11-03 09:12:04, "Tomás Vidal" <tomas@vidal.example> wrote:',
    "hi": "मंगल, 3 नव॰ 2026 को 9:12 am बजे को Tomás Vidal <tomas@vidal.example> ने लिखा:",
    "fa": "در تاریخ سه‌شنبه 3 نوامبر 2026 ساعت 9:12 Tomás Vidal <tomas@vidal.example> نوشت:",
    "sr": "уто, 3. нов 2026. у 09:12 Tomás Vidal <tomas@vidal.example> је написао/ла:",
    "is": "Þann þri., 3. nóv. 2026 kl. 09:12 skrifaði Tomás Vidal <tomas@vidal.example>:",
    "zh-apple": "在 2026年11月3日，09:12，Tomás Vidal <tomas@vidal.example> 写道：",
    "ko": "2026년 11월 3일 (화) 오전 9:12, Tomás Vidal <tomas@vidal.example>님이 작성:",
    "ar": "في الثلاثاء، 3 نوفمبر 2026 في 9:12 ص تمت كتابة ما يلي بواسطة Tomás Vidal <tomas@vidal.example>:",
    "he": "\u202bבתאריך יום ג׳, 3 בנוב׳ 2026 ב-9:12 מאת \u202aTomás Vidal\u202c\u200f "
    "<\u202atomas@vidal.example\u202c\u200f>:\u202c",
}


@pytest.mark.parametrize("language", ATTRIBUTIONS)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("marked", [False, True])
def test_an_attributed_quote_below_the_answer_is_history(language: str, wrapped: bool, marked: bool) -> None:
    attribution = ATTRIBUTIONS[language]
    if wrapped and " <" in attribution:
        attribution = attribution.replace(" <", "\n<", 1)
    quote = "> May we meet?\n> Tomás\n" if marked else "May we meet?\nTomás\n"
    parted = split(f"That suits me.\n\nIlse\n\n{attribution}\n\n{quote}")
    assert parted.reply == "That suits me.\n\nIlse"
    assert "May we meet?" in parted.quoted and re.search(r"9[:.]12", parted.quoted)


HEADER_BLOCKS = {
    "en": ("From", "Sent", "To", "Subject"),
    "de": ("Von", "Gesendet", "An", "Betreff"),
    "fr": ("De", "Envoyé", "À", "Objet"),
    "es": ("De", "Enviado el", "Para", "Asunto"),
    "pt": ("De", "Enviada em", "Para", "Assunto"),
    "it": ("Da", "Inviato", "A", "Oggetto"),
    "nl": ("Van", "Verzonden", "Aan", "Onderwerp"),
    "pl": ("Od", "Wysłano", "Do", "Temat"),
    "sv": ("Från", "Skickat", "Till", "Ämne"),
    "da": ("Fra", "Sendt", "Til", "Emne"),
    "fi": ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"),
    "cs": ("Od", "Odesláno", "Komu", "Předmět"),
    "ru": ("От", "Отправлено", "Кому", "Тема"),
    "tr": ("Kimden", "Gönderildi", "Kime", "Konu"),
    "el": ("Από", "Στάλθηκε", "Προς", "Θέμα"),
    "ja": ("差出人", "送信日時", "宛先", "件名"),
    "zh": ("发件人", "发送时间", "收件人", "主题"),
    "ko": ("보낸 사람", "보낸 날짜", "받는 사람", "제목"),
    "ar": ("من", "تاريخ الإرسال", "إلى", "الموضوع"),
    "he": ("מאת", "נשלח", "אל", "נושא"),
    "hr": ("Od", "Poslano", "Prima", "Predmet"),
    "sl": ("Od", "Poslano", "Za", "Zadeva"),
    "bg": ("От", "Изпратено", "До", "Тема"),
    "et": ("Saatja", "Saadetud", "Adressaat", "Teema"),
    "lt": ("Nuo", "Išsiųsta", "Kam", "Tema"),
    "lv": ("No", "Nosūtīts", "Kam", "Tēma"),
    "sk": ("Od", "Odoslané", "Komu", "Predmet"),
    "ca": ("De", "Enviat", "Per a", "Assumpte"),
    "id": ("Dari", "Dikirim", "Kepada", "Subjek"),
    "vi": ("Từ", "Đã gửi", "Đến", "Chủ đề"),
    "th": ("จาก", "ส่ง", "ถึง", "เรื่อง"),
    "fa": ("از", "ارسال", "به", "موضوع"),
    "hi": ("से", "भेजा गया", "को", "विषय"),
}


@pytest.mark.parametrize("language", HEADER_BLOCKS)
@pytest.mark.parametrize("form", ["{}: {}", "*{}:* {}", "{}： {}"])
def test_a_header_block_begins_history(language: str, form: str) -> None:
    values = ("Tomás Vidal <tomas@vidal.example>", "Dienstag, 3. November 2026 09:12", "Ilse", "Form")
    block = "\n".join(form.format(key, value) for key, value in zip(HEADER_BLOCKS[language], values, strict=True))
    parted = split(f"Noted.\n\n________________________________\n{block}\n\nPlease sign the form.\n")
    assert parted.reply == "Noted."
    assert "Please sign" in parted.quoted


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
        "Gesendet von Outlook für Android",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Enviado do meu iPhone",
        "Inviato da iPhone",
        "Verstuurd vanaf mijn iPhone",
        "Wysłane z iPhone'a",
        "Skickat från min iPhone",
        "Sendt fra min iPhone",
        "Lähetetty iPhonesta",
        "Odesláno z iPhonu",
        "Отправлено с iPhone",
        "iPhone'umdan gönderildi",
        "Στάλθηκε από το iPhone μου",
        "iPhoneから送信",
        "从我的 iPhone 发送",
        "나의 iPhone에서 보냄",
        "Get Outlook for iOS<https://aka.ms/o0ukef>",
        "Sent with Proton Mail secure email.",
    ],
)
def test_client_advertising_is_dropped(line: str) -> None:
    assert split(f"That suits me.\n\n{line}\n").reply == "That suits me."
    assert split(f"That suits me.\n\n{line}\n\nTom wrote:\n> May we?\n").reply == "That suits me."


@pytest.mark.parametrize(
    "text",
    [
        "Sent from my desk, which is easier.\nMore tomorrow.",
        "Two options:\n\n---------\nA\n---------\n\nI take B.",
        "This fails:\n\n```\n> x <- 1\n[1] 2\n```\n\n- tried",
        "This fails:\n\n> library(DBI)\n> x <- 1",
        "On Monday I wrote:\nnothing of the kind.",
        "From: the beginning\nit was clear.",
        "Note: bring the key.\nTo: do\nDate: tomorrow",
        "Kind regards\nIlse",
        "He said -- and I agree -- no.",
    ],
)
def test_what_the_author_typed_is_kept(text: str) -> None:
    assert split(text).reply == text


PROSE = (
    "On 3 Nov 2026 Tom wrote:",
    "On 3 Nov Tom wrote:",
    "On 3 November 2026 at 10:15 I wrote:",
    "Am 3.11.2026 um 10:15 Uhr schrieb ich:",
    "Den 3 november 2026 kl. 10:15 skrev jag:",
    "El 3 de noviembre de 2026 Tomás escribió:",
    "Le 3 novembre 2026 Thomas a écrit :",
)


@pytest.mark.parametrize("line", PROSE)
def test_what_the_author_says_that_somebody_wrote_is_kept(line: str) -> None:
    text = f"The price has changed.\n\n{line}\nForty euros a piece.\n\nNow it is fifty. Why?"
    assert split(text).reply == text


@pytest.mark.parametrize("line", PROSE[:2])
def test_a_line_that_may_be_prose_is_an_attribution_above_quote_marks(line: str) -> None:
    parted = split(f"Fifty, please.\n\n{line}\n> Forty euros a piece.")
    assert (parted.reply, line in parted.quoted) == ("Fifty, please.", True)
    parted = split(f"Fifty, please.\n\n-- \nAnna\n\n{line}\n> Forty euros a piece.")
    assert (parted.reply, parted.signature) == ("Fifty, please.", "-- \nAnna")


@pytest.mark.parametrize(
    "text",
    [
        "There was an agreement.\nOn 3 Nov 2026 at 10:15 Tom Vidal wrote:\nForty euros.\n\nIs that so?",
        "Hi Anna,\n\nOn 3 Nov 2026 at 10:15 Tom Vidal wrote:\nForty euros.\n\nIs that so?",
        "On the phone it was forty euros.\nThen, on 3 Nov 2026 at 10:15, Tom wrote:\nFifty.\n\nWhich one is it?",
    ],
)
def test_a_program_writes_its_attribution_below_a_finished_text_only(text: str) -> None:
    assert split(text).reply == text


@pytest.mark.parametrize(
    "line",
    [
        "On 3 Nov 2026 at 10:15, Tomás Vidal wrote:",
        "    On Tuesday 3 November 2026 at 10:15:14 CET, Tomás Vidal <tomas at vidal.example> wrote:",
        "2026/11/3 Tomás Vidal <tomas@vidal.example>:",
    ],
)
def test_text_without_marks_below_a_programs_attribution_is_history(line: str) -> None:
    parted = split(f"Yes, please.\n\n{line}\n\nForty euros a piece.\n\nTomás")
    assert (parted.reply, "Forty euros" in parted.quoted) == ("Yes, please.", True)


@pytest.mark.parametrize("gap", ["...", "[...]", "<snip>", "[…]"])
def test_answers_below_a_quote_whose_beginning_was_left_out_are_kept(gap: str) -> None:
    line = ATTRIBUTIONS["en"]
    assert split(f"Hi,\n\n{line}\n{gap}\n\n> Is Friday free?\n\nYes, from six.").reply == "Hi,\n\nYes, from six."


def test_answers_between_quoted_lines_keep_what_they_answer() -> None:
    text = "Tom wrote:\n> Thursday?\n\nYes.\n\n> The budget?\n\nOpen.\n\n> Regards\n> Tom\n"
    parted = split(text)
    assert parted.reply.split() == [">", "Thursday?", "Yes.", ">", "The", "budget?", "Open."]
    assert "Tom wrote:" in parted.quoted and "> Regards" in parted.quoted


def test_an_attributed_quote_above_the_only_answer_is_history_and_a_bare_one_stays() -> None:
    assert split("Hi,\n\nTom wrote:\n> Thursday?\n\nYes.\n").reply == "Hi,\n\nYes."
    assert split("> Thursday?\n\nYes.\n").reply == "> Thursday?\n\nYes."


def test_where_only_a_quote_or_forward_is_there_it_is_the_reply() -> None:
    assert split("> Please sign.\n").reply == "> Please sign."
    block = "From: T <t@x.example>\nDate: 3 Nov 2026\nSubject: Form\nTo: I <i@x.example>\n\nPlease sign.\n"
    forwarded = f"---------- Forwarded message ---------\n{block}"
    assert split(forwarded).reply == "Please sign."
    assert split(f"Can you?\n\n{forwarded}").reply == "Can you?"


def test_signatures_footers_and_disclaimers_are_set_apart() -> None:
    footer = (
        "_______________________________________________\nX mailing list\nhttps://lists.example/mailman/listinfo/x\n"
    )
    parted = split(f"The form is attached.\n\n-- \nIlse Brandt\n\nTom wrote:\n> Form?\n\n{footer}")
    assert parted.reply == "The form is attached."
    assert "Ilse Brandt" in parted.signature and "mailing list" in parted.signature
    disclaimer = "This e-mail and any attachments are confidential and intended solely for the addressee."
    assert split(f"Yes.\n\nIlse\n\n{disclaimer}\n").signature == disclaimer


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *ATTRIBUTIONS.values(),
                    *("> quoted", ">> older", "-- ", "", "-----Original Message-----", "Tom wrote:", "```"),
                    *("From: T <t@x.example>", "Sent: 3 Nov 2026 09:12", "To: I", "Subject: x", "Sent from my iPhone"),
                ]
            ),
            st.text(alphabet="abc >:-\u200f", max_size=12),
        ),
        max_size=30,
    )
)
def test_no_line_is_lost(lines: list[str]) -> None:
    parted = split("\n".join(lines))
    found = re.split(r"\s+", "\n".join((parted.reply, parted.quoted, parted.signature)).strip())
    assert sorted(word for word in found if word) == sorted("\n".join(lines).split())


def test_endless_marks_are_split() -> None:
    for text in (">" * 5_000_000, ">\n" * 500_000, "On " * 500_000, "From: a\n" * 100_000, "a\n\n> b\n\n" * 50_000):
        assert split(text).quoted or split(text).reply


@pytest.mark.parametrize(
    "asked",
    [
        "Request:\n\nFrom: Anna M\nE-mail: a@x.example\nDate: 3.11.2026\nSubject: Table\nMessage: Is Friday free?",
        "Hello,\n\nFrom: London Heathrow\nTo: Brighton\nDate: 3 November 2026, 10:00\n\nWhat does it cost?",
        "Hello,\n\nFrom: noon at the station\nTo: two at no. 10.30\nSubject: a walk\n\nDoes that suit you?",
        "Hello,\n\nDate: 3.11.2026\nFrom: 10:00\nTo: 12:30\n\nDoes that suit you?",
        "Hello,\n\nThis email is intended to confirm an order, for the recipient below. Will it be Friday?",
        "We see two options:\n--\nOption A: 10\nOption B: 20\n--\nWhich one do you recommend?\n\nAnna",
        "See:\n--\nx <- 1\ny <- 2\n--\nThat fails here.",
        "Here is the parcel.\n\nSent by courier yesterday",
    ],
)
def test_what_somebody_asks_stays_whatever_it_looks_like(asked: str) -> None:
    assert split(asked).reply == asked


def test_header_blocks_of_mail_programs_are_found_with_and_without_addresses() -> None:
    blocks = (
        "Von: Anna Meyer\nGesendet: Montag, 3. November 2026 10:00\nAn: Jim\nBetreff: Tisch",
        "*From:* Anna Meyer <anna@x.example>\n*Sent:* Monday, 3 November\n*To:* Jim\n*Subject:* Table",
        "From: anna@x.example\nTo: jim@y.example\nSubject: Table",
        "From: Anna Meyer <anna at x.example>\nTo: Jim\nSubject: Table",
        "*De :* anna at x.example\n*À :* Jim\n*Objet :* Table",
        "Von: Anna\nAn: jim at y.example, tom at y.example\nBetreff: Tisch",
    )
    for block in blocks:
        found = split(f"Yes.\n\n{block}\n\nIs Friday free?")
        assert (found.reply, "Is Friday free?" in found.quoted) == ("Yes.", True)


def test_a_garbled_name_is_no_question() -> None:
    assert split("Yes.\n\n--\nJ?rgen Meyer\nShop Ltd").reply == "Yes."


def test_a_postscript_ends_a_signature() -> None:
    found = split("Yes.\n\n-- \nAnna\nShop Ltd\n\nPS: when do you open?")
    assert found.reply.endswith("PS: when do you open?") and found.signature == "-- \nAnna\nShop Ltd"


def test_an_attribution_between_rules_begins_history() -> None:
    line = "---- On Tue, 03 Nov 2026 09:12:04 +0100 Tomás Vidal <tomas@vidal.example> wrote ---"
    assert split(f"That suits me.\n\n{line}\n\nMay we meet?\n").reply == "That suits me."


@pytest.mark.parametrize(
    "line",
    [
        "Zitat von Tomás Vidal <tomas@vidal.example>:",
        "3. Nov. 2026, 09:12 von tomas@vidal.example:",
        "Nov 3, 2026, 09:12 by tomas@vidal.example:",
    ],
)
def test_attributions_without_a_verb_stand_above_quote_marks(line: str) -> None:
    assert split(f"That suits me.\n\n{line}\n\n> May we meet?\n").reply == "That suits me."
    told = "Am 3.11.2026 kam eine Mail von tomas@vidal.example:\n\nDarin steht, dass er absagt."
    assert split(f"Guten Tag. So war es.\n\n{told}").reply.endswith("absagt.")


@pytest.mark.parametrize("line", ["----- Mail original -----", "----- Ursprüngliche Mail -----"])
def test_separators_of_zimbra_begin_history(line: str) -> None:
    block = 'From: "Tomás Vidal" <tomas@vidal.example>\nTo: Ilse\nSubject: Form'
    assert split(f"Noted.\n\n{line}\n{block}\n\nPlease sign.").reply == "Noted."


def test_a_rule_above_a_quoted_header_is_not_the_authors() -> None:
    header = "> Date: Tue, 3 Nov 2026 09:12:04 +0100\n> From: tomas@vidal.example\n> Subject: Room\n>\n> Which one?\n"
    assert split(f"The blue one.\n\n________________________________\n{header}").reply == "The blue one."
    assert "____" in split("The blue one.\n________________________________\n> Which one?\nThat is it.").reply


def test_other_quote_marks_below_an_attribution_end_where_the_answer_begins() -> None:
    found = split("On 3 Nov 2026 at 10:00, Anna wrote:\n| Is Friday free?\n| Anna\n\nYes, from six.")
    assert found.reply == "Yes, from six."
    assert "Is Friday free?" in found.quoted


LANGUAGES = "bg cs da de el en es et fi fr hr hu it ja ko lt lv nb nl nn pl pt ro ru sk sl sv tr uk zh"


@pytest.mark.parametrize("language", LANGUAGES.split())
def test_our_own_attributions_are_recognised_in_every_language(language: str) -> None:
    date = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
    original = Message("<a@b>", date=date, from_=(Address("Anna Meyer", "a@b.example"),))
    line = attribution(original, language)
    assert split(f"Yes.\n\n{line}\n> Is Friday free?").reply == "Yes.", line
