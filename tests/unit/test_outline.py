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
REQUESTS = tomllib.loads(resources.files("mailassist.context").joinpath("requests.toml").read_text(encoding="utf-8"))


def outlined(said: str, name: str = "Anna Meyer", language: str = "") -> str:
    return outline(talk(message(0, said, from_=(Address(name, "anna@example.net"),), subject="-")), TOM, language)


def one_ask(said: str) -> str:
    """The one line between greeting and closing, without the gap."""
    _, line, _ = outlined(said).split("\n\n")
    return line[: line.rindex("[")].strip()


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


@pytest.mark.parametrize(
    "said",
    [
        "Vi prego di confermare la consegna entro venerdì.",
        "Vi prego di confermare.",
        "Le chiedo cortesemente di inviarmi la fattura aggiornata.",
        "Si prega di restituire il modulo firmato.",
        "Vahvistattehan toimituspäivän.",
        "Hei, lähetättehän meille uuden tarjouksen.",
        "Muistathan palauttaa avaimet maanantaina.",
        "Pyydämme teitä vahvistamaan tilauksen.",
        "Merci de confirmer votre présence.",
        "Merci de bien vouloir nous renvoyer le devis signé.",
        "Veuillez nous indiquer le délai de livraison.",
        "Je vous prie de me communiquer le numéro de commande.",
        "Le ruego que confirme la recepción del pedido.",
        "Les rogamos que nos envíen la factura.",
        "Solicito que me envíen el presupuesto.",
        "Solicito que confirmem o envio da encomenda.",
        "Peço que me envie o orçamento até sexta.",
        "Agradeço que confirme a morada.",
        "Graag ontvang ik de offerte voor vrijdag.",
        "Graag uw bevestiging.",
        "Wij verzoeken u de factuur te corrigeren.",
        "Gelieve het formulier terug te sturen.",
        "Proszę o potwierdzenie terminu.",
        "Uprzejmie proszę o przesłanie faktury.",
        "Mam prośbę o zmianę adresu.",
        "Vänligen bekräfta mötet på torsdag.",
        "Var vänlig och skicka ritningen.",
        "Tacksam för svar innan fredag.",
        "Venligst send os en ny faktura.",
        "Vi beder jer bekræfte leveringen.",
        "Vennligst bekreft datoen.",
        "Vi ber dere sende oss fakturaen.",
        "Prosím o potvrzení objednávky.",
        "Žádáme o zaslání faktury.",
        "Прошу подтвердить получение документов.",
        "Прошу Вас выслать счёт до пятницы.",
        "Будем признательны за быстрый ответ.",
        "Прошу надіслати рахунок.",
        "Göndermenizi rica ederim.",
        "Faturayı tekrar göndermenizi rica ederiz.",
        "Παρακαλώ επιβεβαιώστε την παραλαβή.",
        "Παρακαλούμε να μας στείλετε το τιμολόγιο.",
        "ご確認をお願いします。",
        "明日までにご返信ください。",
        "ご確認のほどよろしくお願いいたします。",
        "見積書をお送りいただけますと幸いです。",
        "请尽快确认订单。",
        "烦请告知交货日期。",
        "麻烦您把合同发给我。",
        "확인 부탁드립니다.",
        "견적서를 보내 주세요.",
        "회신 주시면 감사하겠습니다.",
        "يرجى تأكيد موعد التسليم.",
        "نرجو منكم إرسال الفاتورة.",
        "אנא אשרו את קבלת ההזמנה.",
        "נא לשלוח את החשבונית עד יום ראשון.",
        "אבקש לקבל הצעת מחיר.",
        "กรุณาส่งใบเสนอราคา",
        "ขอใบเสนอราคาใหม่",
        "Kérem, erősítse meg a rendelést.",
        "Vă rog să confirmați primirea comenzii.",
        "Моля, потвърдете поръчката.",
        "Molim vas da potvrdite narudžbu.",
        "Prosim, potrdite naročilo.",
        "Prosím o potvrdenie objednávky.",
        "Lūdzu, apstipriniet pasūtījumu.",
        "Prašome patvirtinti užsakymą.",
        "Palun kinnitage tellimus.",
        "Vui lòng xác nhận đơn hàng.",
        "Mohon konfirmasi pesanan ini.",
        "कृपया आदेश की पुष्टि करें।",
        "Us prego que confirmeu la recepció.",
        "Ich bitte um Rückmeldung bis Montag.",
        "Wir bitten Sie, den Vertrag zu unterschreiben.",
        "Könnten Sie mir die Rechnung schicken.",
        "Kindly send the signed contract by Monday.",
        "We would be grateful if you sent the drawings again.",
        "I need the figures by Friday.",
        "Please confirm.",
        "Bitte um Bestätigung.",
        "لطفاً فاکتور را ارسال کنید.",
    ],
)
def test_a_request_is_known_without_a_question_mark(said: str) -> None:
    assert said in one_ask(said)


@pytest.mark.parametrize(
    "said",
    [
        "Grazie mille per la conferma.",
        "La macchina può lavorare anche di notte.",
        "Vorrei ringraziarvi per l'ospitalità.",
        "Kiitos tilauksesta.",
        "Haluaisin kiittää teitä avusta.",
        "Toimitus lähtee huomenna.",
        "Merci de votre réponse rapide.",
        "Merci d'avoir répondu si vite.",
        "Je vous prie d'agréer mes salutations distinguées.",
        "Veuillez agréer, Madame, l'expression de mes sentiments distingués.",
        "Vous trouverez le devis ci-joint.",
        "El pedido puede salir mañana.",
        "Le ruego disculpe el retraso.",
        "Gracias por su paciencia.",
        "O pedido pode sair amanhã.",
        "Agradeço a sua resposta.",
        "Peço desculpa pelo atraso.",
        "Graag gedaan.",
        "Ik stuur u morgen de factuur.",
        "Wij helpen u graag verder.",
        "Dziękuję za szybką odpowiedź.",
        "W odpowiedzi na Państwa prośbę przesyłam fakturę.",
        "Uprzejmie informuję, że paczka została wysłana.",
        "Jag vill tacka för hjälpen.",
        "Tack för fakturan.",
        "Jeg ønsker deg en fin helg.",
        "Vi sender fakturaen i morgen.",
        "Děkuji za rychlou odpověď.",
        "Fakturu pošleme zítra.",
        "Прошу прощения за задержку.",
        "Спасибо за быстрый ответ.",
        "Мы сможем отправить заказ завтра.",
        "Hızlı yanıtınız için teşekkür ederim.",
        "Σας ευχαριστώ για την απάντηση.",
        "ご連絡ありがとうございます。",
        "資料をお送りします。",
        "どうぞよろしくお願いいたします。",
        "今後ともよろしくお願いいたします。",
        "ご不明な点がございましたらお知らせください。",
        "我们已经收到您的申请。",
        "谢谢您的邀请。",
        "祝您一切顺利。",
        "빠른 답변 감사합니다.",
        "요청하신 자료를 보내드립니다.",
        "좋은 하루 되시기 바랍니다.",
        "شكراً على ردكم السريع.",
        "أرجو أن تكونوا بخير.",
        "תודה על התשובה המהירה.",
        "אשמח לעזור בכל עת.",
        "ขอบคุณ",
        "ขอบคุณมากค่ะ",
        "ขอแสดงความนับถือ",
        "ขออภัยในความล่าช้า",
        "Köszönöm a gyors választ.",
        "Vă mulțumesc pentru răspuns.",
        "Hvala na brzom odgovoru.",
        "Chúng tôi có thể giao hàng vào thứ Hai.",
        "Terima kasih atas jawabannya.",
        "Ich schicke Ihnen morgen die Rechnung.",
        "Morgen können Sie die Ware abholen.",
        "Ich möchte mich herzlich bedanken.",
        "Das war eine bittere Erfahrung.",
        "Please find attached the invoice.",
        "We would like to thank you for the visit.",
        "As you can see, the parts have arrived.",
        "I need to leave early today.",
        "The parts will be sent tomorrow.",
        "Please let me know if you have any questions.",
        "मुझे खुशी है कि सब ठीक है।",
    ],
)
def test_thanks_formulas_and_statements_ask_for_nothing(said: str) -> None:
    assert one_ask(said) == ""


@pytest.mark.parametrize(
    "said",
    [
        "Please send the offer incl. VAT and shipping.",
        "Could you check the parts, e.g. Type B or Type C?",
        "Können Sie die Teile, z. B. Schrauben und Muttern, schicken?",
        "Könnten Sie Preise bzw. Rabatte nennen?",
        "¿Puede enviarlo, p. ej. Correos o SEUR?",
        "Pourriez-vous appeler M. Dupont demain ?",
        "Please ask Dr. Meyer about it.",
        "What about order No. 4711 from May?",
        "It needs approx. 5 days, right?",
        "Ist die Rechnung Nr. 12 bezahlt?",
        "Potrebbe chiamare il Sig. Rossi?",
        "Kunt u dhr. Jansen bellen?",
        "Proszę przekazać to p. Kowalskiemu, tj. Kierownikowi.",
        "Kan du skicka t.ex. Modell B?",
        "Можете позвонить г. Иванову?",
        "Ist der 3. Mai recht?",
        "Prosím o zaslání, např. Poštou.",
        "Παρακαλώ καλέστε τον κ. Παπαδόπουλο.",
        "Voisitteko lähettää esim. Mallin A?",
    ],
)
def test_an_abbreviation_ends_no_sentence(said: str) -> None:
    assert one_ask(said) == said


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("We close at 5 p.m. Could you come earlier?", "Could you come earlier?"),
        ("I said no. Please wait.", "Please wait."),
        ("We have paper, pens, etc. Please send ink.", "Please send ink."),
        ("Thanks Jan. Please call.", "Please call."),
    ],
)
def test_what_looks_like_an_abbreviation_may_end_a_sentence(said: str, asked: str) -> None:
    assert one_ask(said) == asked


def test_a_request_is_known_in_the_language_of_the_mail_whatever_language_the_reply_is_in() -> None:
    said = "Bonjour, merci de nous renvoyer le devis signé. Nous vous remercions de votre confiance."
    assert "merci de nous renvoyer le devis signé. [answer]" in outlined(said, language="en")


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
        assert detect(" ".join(REQUESTS[code]["asks"])) == code


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


def test_an_identity_without_a_signature_signs_with_its_name() -> None:
    said = message(0, "When does the machine arrive?", subject="Delivery")
    assert outline(talk(said), TOM.model_copy(update={"signature": ""})).endswith("\n\nKind regards\nTom Berg")
    nameless = TOM.model_copy(update={"signature": "", "name": ""})
    assert outline(talk(said), nameless).endswith("\n\nKind regards")


def test_what_they_answer_line_by_line_is_not_asked_again() -> None:
    said = "> Shall we say ten?\nEleven suits me.\n> And could you bring\n> the plan?\nYes. Where is the hall?"
    assert outlined(said).split("\n\n")[1:-1] == ["Where is the hall? [answer]"]
