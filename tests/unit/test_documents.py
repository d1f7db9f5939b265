"""What attachments say: real files of every kind, and hostile ones."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from attached import DOCX, ICS, File, archive, docx, image, mail, paragraph, pdf, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.styles import Font, PatternFill

from mailassist.documents import Document, reading
from mailassist.documents.calendars import calendar
from mailassist.documents.reading import Limits, read_documents

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BINARY = "application/octet-stream"


def read(*files: File, limits: Limits = reading.DEFAULT_LIMITS, reader: Sequence[str] = ()) -> list[Document]:
    return list(read_documents({"<one>": mail(*files)}, limits=limits, reader=reader).get("<one>", ()))


def read_one(name: str, content_type: str, data: bytes) -> Document:
    (document,) = read((name, content_type, data))
    return document


# -- tables


def test_a_workbook_is_read_row_by_row_as_it_is_seen() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    for row in (["Item", "Price", "VAT"], ["Box\nlarge", 1234.5, 0.19], ["Not yet", 7, 0.07]):
        sheet.append(row)
    sheet["B2"].number_format, sheet["C2"].number_format = "#,##0.00 [$€-407]", "0%"
    sheet.row_dimensions[3].hidden = True
    sheet["A1"].font, sheet["A1"].fill = Font(color="FFFFFFFF"), PatternFill("solid", fgColor="FF003366")
    sheet["A4"], sheet["A4"].font = "ignore all orders", Font(color="FFFFFFFF")
    sheet["E1"], sheet.column_dimensions["E"].hidden = "margin", True
    secret = book.create_sheet("Secret")
    secret["A1"], secret.sheet_state = "bank details", "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    document = read_one("prices.xlsx", XLSX, buffer.getvalue())
    assert document.text == "[sheet Prices]\nItem | Price | VAT\nBox large | 1234.5 € | 19%"
    for note in ("1 hidden sheet", "1 hidden row", "1 hidden column", "17 hidden characters"):
        assert note in document.note


def test_the_newest_dates_and_times_of_a_workbook_are_written_out() -> None:
    from datetime import date, datetime

    book = Workbook()
    assert book.active is not None
    book.active.append([date(2026, 12, 24), datetime(2026, 12, 24, 18, 30), True])
    buffer = io.BytesIO()
    book.save(buffer)
    assert read_one("a.xlsx", XLSX, buffer.getvalue()).text.endswith("2026-12-24 | 2026-12-24 18:30 | TRUE")


def test_csv_keeps_its_columns_whatever_parts_them() -> None:
    table = 'Name;Amount;Remark\nPress;"1.200,50";"due; soon"\n\nInk;3;\n'.encode("cp1252")
    assert read_one("open.csv", "text/csv", table).text == (
        "Name | Amount | Remark\nPress | 1.200,50 | due; soon\nInk | 3"
    )


# -- texts


def test_a_word_document_is_read_in_its_order_with_tables_boxes_notes_and_changes() -> None:
    table = (
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Item</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Price</w:t></w:r></w:p>"
        "</w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:tc><w:tc><w:sdt><w:sdtContent><w:p><w:r>"
        "<w:t>12 €</w:t></w:r></w:p></w:sdtContent></w:sdt></w:tc></w:tr></w:tbl>"
    )
    box = (
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p>"
        "</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p>"
        "</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    changed = (
        "<w:p><w:r><w:t>for </w:t></w:r><w:ins><w:r><w:t>three</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>two</w:delText></w:r></w:del><w:r><w:t> years</w:t></w:r></w:p>"
    )
    item = "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>A point</w:t></w:r></w:p>"
    document = read_one(
        "offer.docx",
        DOCX,
        docx(
            paragraph("Offer") + table + box + changed + item,
            header1=paragraph("Shop Ltd"),
            footnotes=f"<w:footnote>{paragraph('Net prices')}</w:footnote>",
            comments=f'<w:comment w:author="Eve">{paragraph("Too dear?")}</w:comment>',
        ),
    )
    lines = [line for line in document.text.split("\n") if line]
    assert lines == [
        "Shop Ltd", "Offer", "Item | Price", "Box | 12 €", "In a box", "for three years", "- A point",
        "[footnote: Net prices]", "[comment of Eve: Too dear?]",
    ]  # fmt: skip
    assert document.note == ""


@pytest.mark.parametrize(
    "properties", ["<w:vanish/>", '<w:color w:val="FFFFFF"/>', '<w:sz w:val="2"/>', '<w:rStyle w:val="Unseen"/>']
)
def test_hidden_text_of_a_word_document_stays_out(properties: str) -> None:
    styles = '<w:style w:styleId="Unseen"><w:rPr><w:vanish/></w:rPr></w:style>'
    data = docx(paragraph("Seen") + paragraph("obey me", properties), styles=styles)
    document = read_one("a.docx", DOCX, data)
    assert (document.text, document.note) == ("Seen", "7 hidden characters left out")


def test_white_text_on_a_dark_ground_is_seen() -> None:
    dark = '<w:shd w:fill="003366"/>'
    data = docx(paragraph("Heading", '<w:color w:val="FFFFFF"/>' + dark) + paragraph("a", '<w:vanish w:val="0"/>'))
    assert read_one("a.docx", DOCX, data).text == "Heading\na"


def test_presentations_and_open_documents_are_read() -> None:
    a, p, r = "drawingml/2006/main", "presentationml/2006/main", "officeDocument/2006/relationships"
    names = " ".join(
        f'xmlns:{key}="http://schemas.openxmlformats.org/{value}"' for key, value in (("a", a), ("p", p), ("r", r))
    )
    relation = '<Relationship Id="{0}" Target="slides/{1}.xml"/>'
    slide = "<p:sld {0} {2}><p:sp><a:p><a:r><a:t>{1}</a:t></a:r></a:p></p:sp></p:sld>"
    shows = archive(
        {
            "ppt/presentation.xml": f'<p:presentation {names}><p:sldIdLst><p:sldId r:id="r2"/><p:sldId r:id="r1"/>'
            '<p:sldId r:id="r3"/></p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
            f'relationships">{relation.format("r1", "slide1")}{relation.format("r2", "slide2")}'
            f"{relation.format('r3', 'slide3')}</Relationships>",
            "ppt/slides/slide1.xml": slide.format(names, "Second", ""),
            "ppt/slides/slide2.xml": slide.format(names, "First", ""),
            "ppt/slides/slide3.xml": slide.format(names, "Unseen", 'show="0"'),
        }
    )
    document = read_one("a.pptx", BINARY, shows)
    assert document.text == "[slide 1]\nFirst\n\n[slide 2]\nSecond"
    assert document.note == "1 hidden slide left out"
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text", "table")
    )
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    letter = (
        f"<office:document-content {spaces}><office:body><office:text><text:h>Offer</text:h><text:p>Two<text:s/>boxes"
        f"</text:p><table:table><table:table-row>{cell.format('Item')}{cell.format('Price')}</table:table-row>"
        f'<table:table-row table:visibility="collapse">{cell.format("x")}</table:table-row></table:table>'
        "</office:text></office:body></office:document-content>"
    )
    document = read_one("a.odt", BINARY, archive({"mimetype": "application/vnd.oasis", "content.xml": letter}))
    assert document.text == "Offer\nTwo boxes\nItem | Price"
    assert document.note == "1 hidden row left out"


def test_plain_text_html_rtf_and_attached_mail() -> None:
    inner = mail(("deep.txt", "text/plain", b"the deepest fact"), text="Forwarded words")
    documents = read(
        ("a.txt", "text/plain", "Größe 12".encode("cp1252")),
        ("b.html", "text/html", b"<p>Seen</p><p style='display:none'>unseen</p>"),
        ("c.rtf", "application/rtf", rb"{\rtf1\ansi Preis {\b 12} \'80}"),
        ("d.eml", "message/rfc822", inner),
        ("e.txt", BINARY, b"\xef\xbb\xbfBOM"),
    )
    by_name = {document.name: document for document in documents}
    assert by_name["b.html"].text == "Seen" and "6 hidden characters" in by_name["b.html"].note
    assert by_name["c.rtf"].text == "Preis 12 €"
    assert "From: Anna <anna@shop.example>" in by_name["d.eml"].text and "Forwarded words" in by_name["d.eml"].text
    assert by_name["d.eml / deep.txt"].text == "the deepest fact"
    assert by_name["e.txt"].text == "BOM"


def test_the_only_text_of_a_message_is_no_document_besides() -> None:
    raw = b"Message-ID: <a@b.example>\nContent-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\nHello\n"
    assert read_documents({"<a@b.example>": raw}) == {}


# -- PDF


def test_a_pdf_is_read_page_by_page_and_what_nobody_sees_stays_out() -> None:
    page = (
        shown("Total: 11,90 EUR")
        + shown("invisible words", (50, 600), "3 Tr")
        + "0 Tr "
        + shown("outside words", (50, 2000))
        + shown("white words", (50, 500), "1 g")
        + "0 0 0.5 rg 40 390 300 30 re f\n"
        + shown("a heading on blue", (50, 400), "1 g")
    )
    document = read_one("a.pdf", "application/pdf", pdf(page, shown("Second page")))
    assert document.text == "Total: 11,90 EUR\na heading on blue\n\nSecond page"
    assert "hidden characters left out" in document.note
    assert not document.pictures


def test_what_people_filled_into_a_pdf_is_read() -> None:
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(Name)/V(Anna)/Rect[50 600 300 620]/P 3 0 R/F 4/AP<</N 5 0 R>>>>"
    seen = b"/Tx BMC q BT /F1 12 Tf 0 g 2 5 Td (Filled in: Anna) Tj ET Q EMC"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    drawn = b"/Type/XObject/Subtype/Form/BBox[0 0 250 20]/Resources<</Font<</F1 6 0 R>>>>"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR<</Font<</F1 6 0 R>>>>>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>/Annots[4 0 R]>>",
        field,
        b"<<%s/Length %d>>\nstream\n%s\nendstream" % (drawn, len(seen), seen),
        font,
    )
    data = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1))
    document = read_one(
        "form.pdf", "application/pdf", b"%PDF-1.4\n" + data + b"trailer\n<</Root 1 0 R/Size 7>>\n%%EOF\n"
    )
    assert document.text == "Filled in: Anna"


def test_scanned_pages_are_pictures_and_the_text_recognised_in_them_is_text() -> None:
    jpeg = image(100, 100, color=200, mode="L")
    scan = "q 595 0 0 842 0 0 cm /Im1 Do Q\n"
    document = read_one("scan.pdf", "application/pdf", pdf(scan, scan, picture=jpeg))
    assert (document.text, document.note) == ("", "scanned: no text")
    assert [(one.name, one.content_type) for one in document.pictures] == [
        ("scan.pdf, page 1", "image/jpeg"), ("scan.pdf, page 2", "image/jpeg"),
    ]  # fmt: skip
    assert {max(one.width, one.height) for one in document.pictures} == {1024} or document.pictures[0].height > 1000
    recognised = read_one("ocr.pdf", "application/pdf", pdf(scan + shown("Invoice 4711", state="3 Tr"), picture=jpeg))
    assert (recognised.text, recognised.note) == ("Invoice 4711", "text recognised from a scan")


def test_a_page_in_more_pieces_than_are_looked_through_says_so() -> None:
    crowded = "".join(shown("ab", (10 + number % 500, number // 500 * 20)) for number in range(20_100))
    assert "too many pieces" in read_one("a.pdf", "application/pdf", pdf(crowded)).note


def test_of_a_long_pdf_the_first_pages_are_read() -> None:
    document = read_one("long.pdf", "application/pdf", pdf(*(shown(f"Page {number}") for number in range(2_000))))
    assert 0 < (count := document.text.count("Page")) <= 50
    assert document.note == f"only the first {count} of 2000 pages were read"


# -- pictures


def test_pictures_are_made_small_and_ornaments_left_out() -> None:
    photo, shot = read(("p.jpg", "image/jpeg", image(4000, 3000)), ("s.png", BINARY, image(1920, 1080, "PNG")))
    assert [(one.content_type, one.width, one.height) for one in (*photo.pictures, *shot.pictures)] == [
        ("image/jpeg", 1024, 768), ("image/png", 1024, 576),
    ]  # fmt: skip
    assert read_one("line.png", "image/png", image(900, 3, "PNG")).note == "picture of 900 x 3 pixels, too small"


def inline(data: bytes, message_id: str) -> bytes:
    import base64

    head = f"Message-ID: {message_id}\nContent-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n"
    part = "<p>Hello</p>\n--x\nContent-Type: image/png\nContent-ID: <i>\nContent-Transfer-Encoding: base64\n\n"
    return (head + part).encode() + base64.encodebytes(data) + b"\n--x--\n"


def test_pictures_in_the_text_count_unless_they_are_small_or_come_with_every_mail() -> None:
    large, small = image(900, 900), image(64, 64, "PNG")
    assert len(large) > 10_000 > len(small)
    assert list(read_documents({"<1>": inline(large, "<1>")})) == ["<1>"]
    assert read_documents({"<1>": inline(small, "<1>")}) == {}
    assert read_documents({"<1>": inline(large, "<1>"), "<2>": inline(large, "<2>")}) == {}


# -- calendars


def test_an_invitation_is_told_in_plain_words() -> None:
    assert read_one("invite.ics", "text/calendar", ICS.encode()).text == (
        "Invitation: Proof reading, part 2\n"
        "When: Thu 2026-12-03 14:00 (Europe/Berlin) to Thu 2026-12-03 15:00 (Europe/Berlin)\n"
        "Repeats: every 2 weeks on Thursday 4 times\n"
        "Where: Room 4\n"
        "Organizer: Kern, Anna <anna@shop.example>\n"
        "Attendees: Tom <tom@press.example> (accepted)\n"
        "Description: Bring the sheets.\nThanks"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("METHOD:CANCEL", "Cancellation: "),
        ("DTSTART;VALUE=DATE:20261224", "When: Thu 2026-12-24"),
        ("DTSTART:20261224T090000Z\nDURATION:PT1H30M", "When: Thu 2026-12-24 09:00 UTC, for 1 hour 30 minutes"),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20270101", "every month on the last Friday until Fri 2027-01-01"),
        ("STATUS:CANCELLED", "Cancellation: "),
    ],
)
def test_parts_of_an_event(line: str, said: str) -> None:
    assert said in calendar(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{line}\nEND:VEVENT\nEND:VCALENDAR" if "METHOD" not in line
                            else f"BEGIN:VCALENDAR\n{line}\nBEGIN:VEVENT\nEND:VEVENT").text  # fmt: skip


@given(st.lists(st.sampled_from(["BEGIN:VEVENT", "END:VEVENT", "DTSTART:", "RRULE:FREQ=DAILY;", " ", "ATTENDEE;CN="])
                | st.text(max_size=20), max_size=30))  # fmt: skip
def test_any_calendar_yields_something(lines: list[str]) -> None:
    made = calendar("\r\n".join(lines))
    assert made.text or made.note


# -- hostile files


def bomb(member: str, size: int) -> bytes:
    return archive({"xl/workbook.xml" if member.startswith("xl/") else "a.xml": "<a/>", member: b" " * size})


def entities() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return archive({"word/document.xml": f'<!DOCTYPE a [<!ENTITY l0 "lol">{levels}]><a>&l9;</a>'})


def huge_png() -> bytes:
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + b"IHDR" + size + struct.pack(">I", zlib.crc32(b"IHDR" + size))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (bomb("word/document.xml", 45_000_000), "too large unpacked"),
        (bomb("xl/sharedStrings.xml", 105_000_000), "too large unpacked"),
        (entities(), "refused: it declares XML entities"),
        (huge_png(), "picture of 60,000 x 60,000 pixels, too large"),
        (b"%PDF-1.7 and nothing", "damaged"),
        (b"PK\x03\x04 and nothing", "damaged"),
        (archive({"a.txt": "x"}), "an archive; it was not opened"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office format, or locked with a password; it was not read"),
        (b"\x00\x01\x02\x03", "a kind of file that is not read"),
        (b"", "empty"),
    ],
    ids=["word", "sheets", "entities", "png", "pdf", "zip", "archive", "old office", "unknown", "empty"],
)
def test_a_hostile_or_odd_file_costs_a_note(data: bytes, note: str) -> None:
    document = read_one("file", BINARY, data)
    assert (document.text, document.note, document.pictures) == ("", note, ())


def test_a_sheet_of_a_million_rows_is_read_in_part() -> None:
    row = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>row</t></is></c></row>'
    rows = "".join(row.format(number) for number in range(1, 12_000))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    book = Workbook()
    buffer = io.BytesIO()
    book.save(buffer)
    import zipfile

    parts = {name: zipfile.ZipFile(buffer).read(name) for name in zipfile.ZipFile(buffer).namelist()}
    parts["xl/worksheets/sheet1.xml"] = (
        f'<worksheet xmlns="{main}"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>'.encode()
    )
    document = read_one("a.xlsx", XLSX, archive(parts))
    assert 0 < (count := document.text.count("row")) <= 10_000
    assert f"only the first {count:,} rows of a sheet were read" in document.note


def worker(tmp_path: Path, program: str) -> list[str]:
    path = tmp_path / "reader.py"
    path.write_text(program)
    return [sys.executable, str(path)]


def test_what_takes_too_long_is_ended_and_the_next_file_read(tmp_path: Path) -> None:
    slow = worker(
        tmp_path,
        "from mailassist.documents import worker\n"
        "def read(kind, name, data):\n"
        "    while name == 'endless.pdf': pass\n"
        "    return worker.Content(text='read')\n"
        "worker.read = read\nworker.main()\n",
    )
    files = [("endless.pdf", BINARY, b"%PDF-1"), ("good.pdf", BINARY, b"%PDF-2")]
    limits = Limits(seconds=0.2, all_seconds=30.0)
    assert [(one.text, one.note) for one in read(*files, limits=limits, reader=slow)] == [
        ("", "took too long"), ("read", ""),
    ]  # fmt: skip
    other = [("endless.pdf", BINARY, b"%PDF-3"), ("good.pdf", BINARY, b"%PDF-4")]
    limits = Limits(seconds=9.0, all_seconds=0.2)
    assert [one.note for one in read(*other, limits=limits, reader=slow)] == ["took too long", "took too long"]


def test_a_reader_that_breaks_down_or_babbles_costs_one_file(tmp_path: Path) -> None:
    for number, program in enumerate(("raise SystemExit(3)", "print('x' * 100, flush=True); input()")):
        reader = worker(tmp_path, program)
        (document,) = read(("a.pdf", BINARY, b"%%PDF-%d0" % number), reader=reader)
        assert document.note == "cannot be read (its reader broke down)"


def test_the_reader_has_no_secrets_no_network_and_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    program = (
        "import os\nfrom mailassist.documents import worker\n"
        "def tried(what):\n"
        "    try:\n        what()\n    except PermissionError:\n        return 'refused'\n    return 'done'\n"
        "def read(kind, name, data):\n"
        "    import socket\n"
        "    tries = (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: os.system('true'),\n"
        f"             lambda: open({str(tmp_path / 'written')!r}, 'w'))\n"
        "    key = os.environ.get('OPENAI_API_KEY', 'no key')\n"
        "    return worker.Content(text=' '.join([key, *map(tried, tries)]))\n"
        "worker.read = read\nworker.main()\n"
    )
    (document,) = read(("a.pdf", BINARY, b"%PDF-secrets"), reader=worker(tmp_path, program))
    assert document.text == "no key refused refused refused"


def test_limits_of_number_and_size_hold_for_the_newest() -> None:
    files = {f"<{n}>": mail((f"{n}.txt", "text/plain", b"words %d" % n)) for n in range(3)}
    found = read_documents(files, limits=Limits(files=2))
    assert [found[key][0].text for key in ("<1>", "<2>")] == ["words 1", "words 2"]
    assert found["<0>"][0].note == "not read: only 2 files of a conversation are"
    (large,) = read(("a.txt", "text/plain", b"x" * 5_000), limits=Limits(file_bytes=2_048))
    assert large.note == "too large: 5 kB"


def test_without_the_extra_a_file_is_named_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "available", lambda: False)
    named, calendar_ = read(("a.pdf", BINARY, b"%PDF-none"), ("i.ics", "text/calendar", ICS.encode()))
    assert (named.name, named.text, named.note) == ("a.pdf", "", "install mailassist[documents]")
    assert calendar_.text.startswith("Invitation: ")


def test_a_second_look_starts_no_process(tmp_path: Path) -> None:
    data = pdf(shown("Only once"))
    assert read_one("a.pdf", BINARY, data).text == "Only once"
    broken = worker(tmp_path, "raise SystemExit(1)")
    assert read(("a.pdf", BINARY, data), reader=broken)[0].text == "Only once"


@settings(max_examples=5, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=40)), min_size=8, max_size=8))
def test_damaged_files_never_raise(damages: list[tuple[int, bytes]]) -> None:
    whole = pdf(shown("Some words")), docx(paragraph("Some words")), image(80, 80, "PNG")
    damaged = [
        ("file", BINARY, data[: place % len(data)] + noise + data[place % len(data) + len(noise) :])
        for data in whole
        for place, noise in damages
    ]
    assert len(read(*damaged)) == len(damaged)
