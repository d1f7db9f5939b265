"""Bytes in, `Message` out: whatever a sender sends."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailassist.mail.message import Message
from mailassist.mail.parse import Limits, message_ids, parse_headers, parse_message


def mail(*headers: str, body: bytes = b"Hello\r\n") -> bytes:
    lines = ["From: Nora Vogel <nora@customer.example>", "To: me@team.example", "Message-ID: <a@customer.example>"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def warned(message: Message, code: str) -> bool:
    return any(warning.startswith(code) for warning in message.warnings)


def ordinary() -> bytes:
    built = EmailMessage(policy=SMTP)
    built["From"] = "Jörg Müller <joerg@example.org>"
    built["To"] = '"Brandt, Ilse" <ilse@example.org>, Tom <tom@example.org>'
    built["Subject"] = "Angebot für die Küche"
    built["Date"] = "Tue, 03 Nov 2026 09:12:00 +0100"
    built["Message-ID"] = "<1@example.org>"
    built["In-Reply-To"] = "<0@example.org>"
    built["References"] = "<r@example.org> <0@example.org>"
    built.set_content("Guten Tag,\n\nder Preis steht im Anhang.\n")
    built.add_alternative("<p>Guten Tag,</p><p>der Preis steht im Anhang.</p>", subtype="html")
    built.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Größe & Preis.pdf")
    return built.as_bytes()


def test_an_ordinary_message_is_read_completely() -> None:
    message = parse_message(ordinary())
    assert message.message_id == "<1@example.org>"
    assert str(message.from_[0]) == "Jörg Müller <joerg@example.org>"
    assert [address.name for address in message.to] == ["Brandt, Ilse", "Tom"]
    assert message.subject == "Angebot für die Küche"
    assert message.date is not None and message.date.isoformat() == "2026-11-03T09:12:00+01:00"
    assert message.in_reply_to == ("<0@example.org>",)
    assert message.references == ("<r@example.org>", "<0@example.org>")
    assert message.reply == "Guten Tag,\n\nder Preis steht im Anhang."
    assert message.html.startswith("<p>Guten Tag")
    assert [(part.name, part.size) for part in message.attachments] == [("Größe & Preis.pdf", 8)]
    assert message.warnings == ()


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_message(raw: bytes) -> None:
    message = parse_message(raw)
    assert message.message_id.startswith("<") and message.message_id.endswith(">")
    assert message.date is None or message.date.tzinfo is not None


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=12)), max_size=8))
def test_a_damaged_message_gives_a_message_without_newlines_in_its_headers(damages: list[tuple[int, bytes]]) -> None:
    raw = ordinary()
    for place, damage in damages:
        place %= len(raw)
        raw = raw[:place] + damage + raw[place + len(damage) :]
    message = parse_message(raw)
    values = [value for values in message.headers.values() for value in values]
    values += [message.subject, message.message_id, *message.references, *(str(address) for address in message.to)]
    assert not any(bad in value for value in values for bad in "\r\n\0")


@given(st.lists(st.tuples(st.sampled_from(["Subject", "From", "To", "References", "Date"]), st.text()), max_size=6))
def test_headers_alone_read_as_in_the_whole_message(fields: list[tuple[str, str]]) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("utf-8", "surrogateescape")
    alone, whole = parse_headers(head + b"\r\n"), parse_message(head + b"\r\nHello")
    for name in ("message_id", "subject", "date", "from_", "to", "references", "headers"):
        assert getattr(alone, name) == getattr(whole, name)


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("utf-8", "Grüße".encode("latin-1"), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", b"\x93quoted\x94", "“quoted”"),
        ("x-evil", "Grüße".encode(), "Grüße"),
        ("rot13", b"hello", "hello"),
        ("unicode_escape", b"\\x41", "\\x41"),
        ("gb2312", "镕".encode("gb18030"), "镕"),
        ("big5", "碁嘅".encode("big5hkscs"), "碁嘅"),
        ("iso-8859-2", "„Příliš žluťoučký“".encode("cp1250"), "„Příliš žluťoučký“"),
        ("iso-8859-2", "Šťastná cesta".encode("iso-8859-2"), "Šťastná cesta"),
        ("iso-8859-15", "„Grüße“ – 5 €".encode("cp1252"), "„Grüße“ – 5 €"),
        ("iso-8859-7", "“Καλημέρα”".encode(), "“Καλημέρα”"),
        ("utf-16le", "hello".encode("utf-16-le"), "hello"),
        ("utf-16", "hello".encode("utf-16-be"), "hello"),
        ("utf-7", "Grüße".encode("utf-7"), "Grüße"),
        ("a\0b", b"hello", "hello"),
        ("iso-2022-jp", b"\x1b$B8+@Q-!\x1b(B: OK", "見積①: OK"),
        ("iso-2022-jp", b"\x1b$B-j\x1b(B\n\x1b(I1\x1b(J x", "㈱\nｱ x"),
        ("iso-2022-jp", b"\x1b$B8+@Q\x1b(B\xff", "見積\ufffd"),
        ("iso-2022-jp", "見積①".encode("cp932"), "見積①"),
        ("iso-2022-kr", b"\x1b$)C\x0e\x21", "\ufffd"),
    ],
)
def test_wrong_and_unknown_charsets_are_read(label: str, data: bytes, text: str) -> None:
    assert parse_message(mail(f'Content-Type: text/plain; charset="{label}"', body=data)).text == text


@pytest.mark.parametrize("label", ["", "; charset=us-ascii", "; charset=x-unheard-of"])
def test_html_without_a_usable_label_is_read_as_it_says_itself(label: str) -> None:
    page = '<html><head><meta http-equiv=Content-Type content="text/html; charset=windows-1251"></head><p>Добрый день'
    message = parse_message(mail(f"Content-Type: text/html{label}", body=page.encode("cp1251")))
    assert message.text == "Добрый день" and warned(message, "charset")
    late = parse_message(mail(f"Content-Type: text/html{label}", body=b"<meta charset=utf-8><p>Gr\xfc\xdfe"))
    assert late.text == "Grüße"


def test_a_guessed_charset_is_said() -> None:
    assert warned(parse_message(mail(body=b"Gr\xfc\xdfe")), "charset: not labelled; read as windows-1252")
    assert not warned(parse_message(mail(body="Grüße".encode())), "charset")


def test_base64_that_is_none_is_read_as_it_is_and_said() -> None:
    message = parse_message(mail("Content-Transfer-Encoding: base64", body=b"this is not base64 at all!!!"))
    assert message.text == "this is not base64 at all!!!"
    assert warned(message, "encoding")


def test_a_footer_below_base64_leaves_the_text_readable() -> None:
    encoded = base64.encodebytes("Grüße, wann kommen Sie?\n".encode())
    footer = b"_______________\nchess mailing list\nchess@lists.example\n"
    message = parse_message(
        mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", body=encoded + footer)
    )
    assert message.reply == "Grüße, wann kommen Sie?"
    assert "chess mailing list" in message.text and warned(message, "encoding")


def test_an_encoded_newline_never_survives_in_a_header() -> None:
    encoded = base64.b64encode(b"Hi\r\nBcc: evil@evil.example\0").decode()
    message = parse_message(mail(f"Subject: =?utf-8?b?{encoded}?="))
    assert message.subject == "Hi Bcc: evil@evil.example"
    assert "bcc" not in message.headers


def test_characters_split_between_encoded_words_are_put_together() -> None:
    halves = [base64.b64encode(piece).decode() for piece in ("ü".encode()[:1], "ü".encode()[1:] + b"ber")]
    message = parse_message(mail(f"Subject: =?utf-8?B?{halves[0]}?=\r\n =?UTF-8?b?{halves[1]}?= uns"))
    assert message.subject == "über uns"


def test_an_encoded_message_id_cannot_carry_a_command() -> None:
    assert message_ids("=?utf-8?q?<a=40b>=0d=0aX1_DELETE_INBOX?=") == ("<a@b>",)
    assert message_ids("<a b@c> <d\re@f> <ok@example.org>") == ("<ok@example.org>",)
    assert message_ids("<" + "a" * 2000 + "@b>") == ()


@given(st.text())
def test_message_ids_hold_nothing_that_a_command_obeys(value: str) -> None:
    for found in message_ids(value):
        assert len(found) <= 998
        assert all("!" <= letter <= "~" for letter in found)


def test_a_message_without_id_gets_the_same_id_from_headers_and_whole() -> None:
    raw = b"From: a@example.org\r\nDate: Tue, 3 Nov 2026 09:12:00 +0100\r\nSubject: x\r\n\r\nHello"
    assert parse_message(raw).message_id == parse_headers(raw.partition(b"Hello")[0]).message_id
    assert parse_message(raw).message_id != parse_message(raw.replace(b"Subject: x", b"Subject: y")).message_id


def nested(depth: int) -> bytes:
    opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
    return b"From: a@example.org\r\nSubject: deep\r\n" + opened.encode() + b"\r\ninner\r\n"


def test_deep_nesting_stops_at_the_limit() -> None:
    for raw in (nested(5000), b"Subject: deep\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"x"):
        message = parse_message(raw)
        assert message.too_complex and warned(message, "structure-limit") and message.subject == "deep"
    assert not parse_message(nested(10)).too_complex
    assert parse_message(nested(10)).text.strip() == "inner"


def test_the_first_text_of_a_message_with_too_many_parts_is_read() -> None:
    parts = b"".join(b"--b\r\n\r\npart %d\r\n" % number for number in range(3000))
    message = parse_message(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")
    assert message.too_complex and "part 0" in message.text and "part 2999" not in message.text


def test_endless_headers_are_cut_and_said() -> None:
    message = parse_message(b"Subject: x\r\n" + b"X-Filler: y\r\n" * 5000 + b"\r\nHello")
    assert message.subject == "x" and message.too_complex and warned(message, "structure-limit")
    assert parse_message(b"Subject: " + b"x" * 3_000_000 + b"\r\n\r\nHello").too_complex


def test_references_are_read_up_to_the_limit() -> None:
    ids = " ".join(f"<{number}@x>" for number in range(100_000))
    assert len(parse_message(mail("References: " + ids)).references) == 10_000
    assert len(parse_message(mail("References: " + ids), Limits(references=5)).references) == 5


def test_long_text_is_kept_whole_but_only_its_beginning_is_split() -> None:
    message = parse_message(mail(body=b"first\n" + b"x" * 3_000_000 + b" end"))
    assert message.text.endswith(" end") and len(message.reply) <= 2_000_000 and warned(message, "long-text")


def test_flowed_text_is_joined_again() -> None:
    body = b"This is \r\none line.\r\n\r\n>> quoted \r\n>> on\r\n From stuffing\r\n-- \r\nNora\r\n"
    message = parse_message(mail("Content-Type: text/plain; format=flowed", body=body))
    assert message.text == "This is one line.\n\n>> quoted on\nFrom stuffing\n-- \nNora\n"
    body = b"Donau \r\ndampf\r\n"
    message = parse_message(mail("Content-Type: text/plain; format=flowed; delsp=yes", body=body))
    assert message.text == "Donaudampf\n"


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ('multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b', b"--b\r\n\r\nx\r\n--b--", "PGP/MIME"),
        ("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", b"MIIB", "S/MIME"),
        ("application/octet-stream; name=smime.p7m", b"MIIB", "S/MIME"),
        (
            "multipart/mixed; boundary=b",
            b"--b\r\n\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
            b"--b\r\nContent-Type: application/octet-stream\r\n\r\nhQ\r\n--b--",
            "PGP/MIME",
        ),
        ("application/octet-stream; name=message.bin", b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n", "PGP/MIME"),
        ("application/octet-stream; name=encrypted.asc", b"hQ", "PGP/MIME"),
        (
            "multipart/mixed; boundary=b",
            b"--b\r\n\r\nRead this protected message in your browser.\r\n"
            b"--b\r\nContent-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\r\n\r\nv\xe8\r\n--b--",
            "Microsoft rights management",
        ),
        ("text/plain", b"See:\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n", "inline PGP"),
    ],
)
def test_encrypted_mail_is_named(headers: str, body: bytes, kind: str) -> None:
    message = parse_message(mail(f"Content-Type: {headers}", body=body))
    assert message.encrypted == kind and warned(message, "encrypted")


def ber(tag: int, *inside: bytes) -> bytes:
    content = b"".join(inside)
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content


def test_a_message_that_is_signed_in_one_piece_is_read() -> None:
    oid = bytes.fromhex("06092a864886f70d0107") + b"?"
    entity = b"Content-Type: text/html\r\n\r\n<p>Signed, not encrypted</p>"
    pieces = b"\x24\x80" + ber(4, entity[:30]) + ber(4, entity[30:]) + b"\0\0"
    signed = b"".join((b"\x02\x01\x01", ber(0x31), ber(0x30, oid[:-1] + b"\x01", ber(0xA0, pieces)), ber(0x31)))
    sealed = base64.encodebytes(ber(0x30, oid[:-1] + b"\x02", ber(0xA0, ber(0x30, signed))))
    header = "Content-Type: application/{}; name=smime.p7m\r\nContent-Transfer-Encoding: base64"
    for kind in ("pkcs7-mime", "octet-stream"):
        message = parse_message(mail(header.format(kind), body=sealed))
        assert message.text == "Signed, not encrypted" and message.encrypted == "" and warned(message, "signed")
    damaged = parse_message(mail(header.format("pkcs7-mime; smime-type=signed-data"), body=b"MIIB"))
    assert damaged.encrypted == "" and warned(damaged, "signed")


def test_a_signed_document_does_not_make_its_mail_encrypted() -> None:
    body = b"--b\r\n\r\nSee below.\r\n--b\r\nContent-Type: application/octet-stream; name=a.pdf.p7m\r\n\r\nx\r\n--b--"
    message = parse_message(mail("Content-Type: multipart/mixed; boundary=b", body=body))
    assert message.encrypted == "" and message.text.strip() == "See below."


def test_attached_messages_invitations_and_winmail_are_attachments() -> None:
    body = (
        b"--b\r\n\r\nSee below.\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Old\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        b"--c\r\n\r\nold text\r\n--c--\r\n"
        b"--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n"
        b"--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\r\n\0\r\n--b--\r\n"
    )
    message = parse_message(mail("Content-Type: multipart/mixed; boundary=b", body=body))
    assert message.text.strip() == "See below."
    names = [(part.name, part.content_type) for part in message.attachments]
    assert names == [
        ("Old.eml", "message/rfc822"),
        ("", "text/calendar"),
        ("winmail.dat", "application/ms-tnef"),
    ]
    assert message.attachments[0].size > 60
    assert warned(message, "unsupported: winmail.dat")


def test_names_in_rfc_2231_pieces_and_in_encoded_words_are_decoded() -> None:
    body = (
        b"--b\r\nContent-Disposition: attachment; filename*0*=utf-8''Gr%C3%B6; filename*1*=%C3%9Fe.pdf\r\n\r\nx\r\n"
        b'--b\r\nContent-Disposition: attachment; filename="=?utf-8?q?Gr=C3=B6=C3=9Fe.pdf?="\r\n\r\nx\r\n--b--'
    )
    message = parse_message(mail("Content-Type: multipart/mixed; boundary=b", body=body))
    assert [part.name for part in message.attachments] == ["Größe.pdf", "Größe.pdf"]


def test_parameters_that_break_the_standard_library_do_not_break_this() -> None:
    for value in (
        "text/plain; charset*=a\0b'x'%ff",
        "text/plain;" * 30_000,
        "; boundary=",
        'multipart/mixed; boundary="',
    ):
        assert parse_message(mail(f"Content-Type: {value}")).text.startswith("Hello")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Subject: a\r\nSubject: b", "duplicate-header"),
        ("From: Eve <eve@evil.example>", "multiple-from"),
        ("Reply-To: other@elsewhere.example", "reply-to-differs"),
        ("Cc: " + ", ".join(f"u{n}@example.org" for n in range(100)), "many-recipients"),
    ],
)
def test_odd_headers_are_said(header: str, code: str) -> None:
    assert warned(parse_message(mail(header)), code)


def test_of_a_header_that_stands_there_twice_it_is_said_what_is_used() -> None:
    message = parse_message(
        mail("To: b@team.example", "Cc: c@team.example", "Cc: d@team.example", "Subject: first", "Subject: second")
    )
    assert [str(address) for address in (*message.to, *message.cc)] == [
        "me@team.example", "b@team.example", "c@team.example", "d@team.example",
    ]  # fmt: skip
    assert message.subject == "first"
    said = [warning for warning in message.warnings if warning.startswith("duplicate-header")]
    assert {warning.split()[1]: warning.rpartition("; ")[2] for warning in said} == {
        "To": "the addresses of all are used",
        "Cc": "the addresses of all are used",
        "Subject": "the first is used",
    }


@pytest.mark.parametrize(
    "header",
    [
        f"From: {'x' * 50_000} <\x01>",
        f'From: "{"x" * 50_000}@team.example" <a@team.example>',
        f"From: <{'x' * 50_000}@@team.example>",
        "Reply-To: " + ", ".join(f'"x{number}@team.example" <a{number}@team.example>' for number in range(5000)),
        "From: " + ", ".join(f"<a{number}@@team.example>" for number in range(5000)),
    ],
)
def test_warnings_stay_short_whatever_a_sender_wrote(header: str) -> None:
    warnings = parse_message(f"{header}\r\n\r\nHello".encode()).warnings
    assert warnings
    assert max(map(len, warnings)) < 1000
    assert len(warnings) < 100


def test_senders_that_pretend_are_said() -> None:
    pretending = parse_message(b'From: "boss@team.example" <x91@freemail.example>\r\n\r\nHello')
    assert warned(pretending, "display-name-address")
    assert warned(parse_message("From: nora@\u0441ustomer.example\r\n\r\nHello".encode()), "homograph")
    assert warned(parse_message(b"From: nora@xn--ustomer-xjg.example\r\n\r\nHello"), "homograph")
    assert warned(parse_message(b"Subject: x\r\n\r\nHello"), "no-sender")


def test_alternatives_that_differ_are_said() -> None:
    def alternatives(plain: str, html: str) -> Message:
        body = f"--b\r\n\r\n{plain}\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--"
        return parse_message(mail("Content-Type: multipart/alternative; boundary=b", body=body.encode()))

    assert warned(alternatives("Please transfer the money", "<p>Thank you for lunch!</p>"), "alternative-mismatch")
    same = alternatives(
        "The offer is attached, see https://x.example/1", "<p>The <b>offer</b> is attached, see here</p>"
    )
    assert not warned(same, "alternative-mismatch")


@pytest.mark.parametrize(
    "plain",
    [
        "Please view this email in an HTML capable mail client.",
        "Ihr Programm zeigt keine HTML-Mails.",
        "Pour voir ce message : https://x.example/m/1",
        "View this email in your browser",
        "-",
    ],
)
def test_a_plain_text_that_only_points_at_the_html_gives_way_to_it(plain: str) -> None:
    question = "Hello, can you deliver the 40 boxes by Friday? And what is the price?"
    page = f"<p>{question}</p><a>View this email in your browser</a>"
    body = f"--b\r\n\r\n{plain}\r\n--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b--"
    message = parse_message(mail("Content-Type: multipart/alternative; boundary=b", body=body.encode()))
    assert message.text.startswith(question)
    assert warned(message, "alternative-mismatch") or plain in page


def test_a_short_answer_above_a_long_html_signature_stays_plain() -> None:
    page = "<p>Thanks, that works.</p><p>Nora Vogel, Customer Ltd, 12 Long Street, some words about confidentiality</p>"
    body = f"--b\r\n\r\nThanks, that works.\r\n--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b--"
    message = parse_message(mail("Content-Type: multipart/alternative; boundary=b", body=body.encode()))
    assert message.text.strip() == "Thanks, that works." and message.warnings == ()


def test_lines_that_end_with_cr_alone_are_lines() -> None:
    message = parse_message(b"From: nora@customer.example\rSubject: x\r\rHello,\rwhen?\r")
    assert message.subject == "x" and message.text == "Hello,\nwhen?\n"
    assert parse_headers(b"From: nora@customer.example\rSubject: x\r\r").subject == "x"


def test_a_multipart_that_names_no_border_is_read() -> None:
    parts = b"--x\r\nContent-Type: text/plain\r\n\r\nHello\r\n--x\r\nContent-Type: image/png\r\n\r\ni\r\n--x--\r\n"
    message = parse_message(mail("Content-Type: multipart/mixed", body=parts))
    assert message.text == "Hello" and len(message.attachments) == 1 and warned(message, "structure")
    message = parse_message(mail("Content-Type: multipart/mixed", body=b"Hello\r\n-- \r\nNora"))
    assert message.text == "Hello\n-- \nNora" and warned(message, "structure")


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Disposition: attachment",
        "Content-Type: text/plain; name=letter.txt\r\nContent-Disposition: attachment",
        "Content-Type: text/markdown",
        "Content-Type: text/x-web-markdown; name=letter.md",
    ],
)
def test_the_only_text_is_read_whatever_its_label(headers: str) -> None:
    message = parse_message(mail(headers))
    assert message.text.strip() == "Hello"
    assert warned(message, "structure") == (len(message.attachments) == 1)


def test_an_attached_table_is_not_the_message() -> None:
    assert parse_message(mail("Content-Type: text/csv; name=a.csv")).text == ""
    assert parse_message(mail("Content-Type: text/plain; name=a.csv\r\nContent-Disposition: attachment")).text == ""


def test_a_missing_empty_line_does_not_lose_text() -> None:
    message = parse_message(b"Subject: x\r\nDear Nora, the body begins here\r\nand goes on\r\n")
    assert message.subject == "x" and message.text.startswith("Dear Nora")


def test_an_empty_plain_part_gives_way_to_the_html() -> None:
    body = b"--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b--"
    assert parse_message(mail("Content-Type: multipart/alternative; boundary=b", body=body)).text.strip() == "Hello"


def test_a_multipart_without_border_is_read_as_text() -> None:
    message = parse_message(mail("Content-Type: multipart/mixed; boundary=zzz", body=b"only text"))
    assert message.text == "only text" and warned(message, "structure")
