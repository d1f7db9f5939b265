"""Files as they come attached to mail, made here: Word, PDF, pictures, archives; and a mail that carries them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

File = tuple[str, str, bytes]  # name, content type, content

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

ICS = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Proof reading\\, part 2
DTSTART;TZID=Europe/Berlin:20261203T140000
DTEND;TZID=Europe/Berlin:20261203T150000
RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TH;COUNT=4
LOCATION:Room 4
ORGANIZER;CN="Kern, Anna":mailto:anna@shop.example
ATTENDEE;CN=Tom;PARTSTAT=ACCEPTED:MAILTO:tom@press.ex
 ample
DESCRIPTION:Bring the sheets.\\nThanks
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


HEADERS = {
    "From": "Anna <anna@shop.example>", "To": "tom@press.example", "Date": "Thu, 26 Nov 2026 10:00:00 +0100",
    "Message-ID": "<one@shop.example>", "Subject": "Offer",
}  # fmt: skip


def mail(*files: File, text: str = "See the attachment.", headers: Mapping[str, str] = HEADERS) -> bytes:
    """A message with `files` attached; `headers` take the place of ours."""
    message = EmailMessage()
    for field, value in {**HEADERS, **headers}.items():
        message[field] = value
    message.set_content(text)
    for name, content_type, data in files:
        main, sub = content_type.split("/")
        if main == "message":
            part = EmailMessage()
            part["Content-Type"], part["Content-Disposition"] = content_type, f'attachment; filename="{name}"'
            part.set_payload(data.decode("ascii"))
            if not message.is_multipart():
                message.make_mixed()
            message.attach(part)
        else:
            message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def docx(body: str, **others: str) -> bytes:
    """A Word document; `body`: WordprocessingML, `others`: further parts, such as footnotes."""
    parts = {"word/document.xml": f"<w:document {W} {MC}><w:body>{body}</w:body></w:document>"}
    parts |= {f"word/{name}.xml": f"<w:{name.rstrip('0123456789')} {W}>{xml}</w:{name.rstrip('0123456789')}>"
              for name, xml in others.items()}  # fmt: skip
    return archive(parts)


def paragraph(text: str, properties: str = "", around: str = "") -> str:
    """A paragraph with one run."""
    return f"<w:p>{around}<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def pdf(*pages: str, picture: bytes = b"", box: str = "0 0 595 842") -> bytes:
    """A PDF; `pages`: content streams, with font /F1, and /Im1 for `picture`, a JPEG of 100 x 100 gray pixels."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        b"<</Type/XObject/Subtype/Image/Width 100/Height 100/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode"
        b"/Length %d>>\nstream\n%s\nendstream" % (len(picture), picture),
    ]
    for number, content in enumerate(pages):
        resources = "/Font<</F1 3 0 R>>" + ("/XObject<</Im1 4 0 R>>" if picture else "")
        page = f"/MediaBox[{box}]/Resources<<{resources}>>/Contents {6 + 2 * number} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R{page}>>".encode())
        stream = content.encode("cp1252")
        objects.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream))
    made = b"%PDF-1.4\n"
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n"
    return made + end % (size, table, size, len(made))


def shown(text: str, at: tuple[int, int] = (50, 700), state: str = "0 g") -> str:
    """The part of a content stream that shows `text`."""
    return f"{state} BT /F1 12 Tf {at[0]} {at[1]} Td ({text}) Tj ET\n"


def image(width: int, height: int, kind: str = "JPEG", color: object = "gray", mode: str = "RGB") -> bytes:
    """A picture with a little noise in it, so that it is no plain surface."""
    from PIL import Image, ImageDraw

    made = Image.new(mode, (width, height), color)  # type: ignore[arg-type]
    draw = ImageDraw.Draw(made)
    for step in range(0, min(width, height), 7):
        draw.line((step, 0, width - step, height), fill=step % 256 if mode == "L" else (step % 256, 90, 160))
    buffer = io.BytesIO()
    made.save(buffer, kind)
    return buffer.getvalue()
