"""From a description to a message as its sender's mail program writes it: text, HTML, quotation, headers, bytes.

The bytes are put together by hand instead of with `email`, because real mail is not as tidy as what `email` writes:
other charsets than UTF-8 in subjects, format=flowed, each program's own headers and quotations.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import quopri
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.header import Header
from email.utils import format_datetime, formataddr

from mailassist.demo import quoting
from mailassist.demo.description import OWNER, Description, Person, Story, data, moment

_PROGRAMS = {
    "apple": ("X-Mailer", "Apple Mail (2.3864.300.41.1.7)"),
    "thunderbird": ("User-Agent", "Mozilla Thunderbird"),
    "outlook": ("X-Mailer", "Microsoft Outlook 16.0"),
}


@dataclass(frozen=True, slots=True)
class Written:
    """A message as it was written, and what a reply to it needs."""

    description: Description
    person: Person
    date: datetime
    message_id: str
    references: tuple[str, ...]  # of this message
    subject: str
    to: tuple[tuple[str, str], ...]  # (name, address)
    cc: tuple[tuple[str, str], ...]
    text: str  # the whole plain text, quotation and all
    html: str  # the inside of the HTML body, "" where there is none
    number: int  # from 1


def write(story: Story, now: datetime) -> list[tuple[Written, bytes]]:
    """All messages of `story`, as of `now`."""
    done: list[Written] = []
    for description in story.messages:
        number = len(done) + 1 if description.answers is None else description.answers + 1
        answered = done[number - 2] if number > 1 else None
        done.append(_written(story, description, answered, len(done) + 1, now))
    return [(written, _raw(story, written, now)) for written in done]


def _written(story: Story, description: Description, answered: Written | None, number: int, now: datetime) -> Written:
    person = story.people[description.sender]
    date = moment(description.ago, now).astimezone(datetime.strptime(person.zone, "%z").tzinfo)
    text = unwrapped = _new_text(description, person, now)
    if person.client in ("gmail", "plain") and not description.content_type:
        text = quoting.wrapped(text, 76)
    kind = person.html
    inner = quoting.with_days(description.html, now) or (f"<div>{quoting.as_html(unwrapped)}</div>\n" if kind else "")
    if answered and description.quote == "below":
        text, inner = _with_quote(text, inner, person, answered, bool(kind))
    elif answered and description.quote == "inline":
        text = f"{_attribution(person, answered)}\n{text}"
    return Written(
        description, person, date, _message_id(story, person, number), _references(answered),
        description.subject or _reply_subject(person, answered, story), *_recipients(story, description, answered),
        text, inner, number,
    )  # fmt: skip


def _new_text(description: Description, person: Person, now: datetime) -> str:
    text = quoting.with_days(description.body.strip("\n"), now)
    if description.signed and person.signature:
        separator = "" if person.client in ("outlook", "apple") else "-- \n"  # only some programs write RFC 3676's
        text += f"\n\n{separator}{person.signature.strip()}"
    return text


def _with_quote(text: str, inner: str, person: Person, answered: Written, with_html: bool) -> tuple[str, str]:
    """Text and HTML with the original below, as the person's program quotes."""
    original = answered.html or quoting.as_html(answered.text)
    if person.client == "outlook":
        head = quoting.outlook_header(
            person.language, answered.date.astimezone(_zone(person)), sender=_named(answered), subject=answered.subject,
            to=[_shown(*one) for one in answered.to], cc=[_shown(*one) for one in answered.cc],
        )  # fmt: skip
        lines = "\n".join(f"{name}: {value}" for name, value in head)
        block = "<br>".join(f"<b>{name}:</b> {quoting.as_html(value)}" for name, value in head)
        rule = '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'
        quote = f"{rule}<p>{block}</p></div>\n{original}"
        return f"{text}\n\n{'_' * 32}\n{lines}\n\n{answered.text}", inner + quote if with_html else ""
    line = _attribution(person, answered)
    plain = f"{text}\n\n{line}\n{quoting.quoted(answered.text)}"
    return plain, inner + _html_quote(person, line, original) if with_html else ""


def _html_quote(person: Person, line: str, original: str) -> str:
    """The quotation of an HTML part, in the person's program's own elements."""
    shown = quoting.as_html(line)
    if person.client == "gmail":
        style = 'class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px #ccc solid;padding-left:1ex"'
        return (
            f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{shown}<br></div>'
            f"<blockquote {style}>{original}</blockquote></div>"
        )
    if person.client == "apple":
        return f'<br><div><blockquote type="cite"><div>{shown}</div><br>{original}</blockquote></div>'
    return f'<div class="moz-cite-prefix">{shown}</div><blockquote type="cite">{original}</blockquote>'


def _attribution(person: Person, answered: Written) -> str:
    when = answered.date.astimezone(_zone(person))
    return quoting.attribution(person.client, person.language, when, answered.person.name, answered.person.address)


def _zone(person: Person) -> timezone:
    zone = datetime.strptime(person.zone, "%z").tzinfo
    assert isinstance(zone, timezone)
    return zone


def _named(written: Written) -> str:
    return _shown(written.person.name, written.person.address)


def _shown(name: str, address: str) -> str:
    return f"{name} <{address}>" if name else address


def _reply_subject(person: Person, answered: Written | None, story: Story) -> str:
    """What is answered with one prefix; a program replaces its own and `Re:`, and keeps those it does not know."""
    prefix = quoting.reply_prefix(person.client, person.language)
    subject = answered.subject if answered else story.subject
    known = (prefix.casefold(), "re: ")
    while subject.casefold().startswith(known):
        subject = subject.partition(": ")[2]
    return prefix + subject


def _references(answered: Written | None) -> tuple[str, ...]:
    return (*answered.references, answered.message_id) if answered else ()


def _message_id(story: Story, person: Person, number: int) -> str:
    """A Message-ID as the person's program makes them; the same in every run."""
    digest = hashlib.sha256(f"{story.name} {number}".encode()).hexdigest()
    domain = person.address.partition("@")[2]
    left = {
        "gmail": f"CA+{base64.urlsafe_b64encode(bytes.fromhex(digest[:48])).decode('ascii')}",
        "apple": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}".upper(),
        "outlook": f"AM6PR{digest[:24].upper()}",
    }.get(person.client, digest[:24])
    return f"<{left}@{domain}>"


def _recipients(
    story: Story, description: Description, answered: Written | None
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """To and Cc as given; To is else whom the same person wrote to before, whom the owner answers, or the owner."""
    cc = _addresses(story, description.cc)
    if description.to or answered is None:
        return _addresses(story, description.to or ("me",)), cc
    if answered.description.sender == description.sender:
        return answered.to, cc or answered.cc
    from_us = description.sender in OWNER or answered.description.sender in OWNER
    return _addresses(story, [answered.description.sender if from_us else "me"]), cc


def _addresses(story: Story, keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    people = story.people
    return tuple((people[key].name, people[key].address) if key in people else ("", key) for key in keys)


def _raw(story: Story, written: Written, now: datetime) -> bytes:
    """The message, wire-ready."""
    content_headers, content = _content(written, now)
    lines = [*_headers(story, written), *content_headers]
    return "\r\n".join(f"{name}: {value}" for name, value in lines).encode("ascii") + b"\r\n\r\n" + content


def _headers(story: Story, written: Written) -> list[tuple[str, str]]:
    person, own = written.person, written.description.headers
    charset = person.charset
    made = {
        "Received": f"from mail.{person.address.partition('@')[2]} by mx.valepaper.example with ESMTPS;\r\n"
        f" {format_datetime(written.date)}",
        "From": _header_address(person.name, person.address, charset),
        "To": ",\r\n ".join(_header_address(*one, charset) for one in written.to),
        "Cc": ",\r\n ".join(_header_address(*one, charset) for one in written.cc),
        "Reply-To": person.reply_to,
        "Subject": _header_text(written.subject, charset, "Subject"),
        "Date": format_datetime(written.date),
        "Message-ID": written.message_id,
        "In-Reply-To": written.references[-1] if written.references else "",
        "References": "\r\n ".join(written.references),
        **dict([_PROGRAMS[person.client]] if person.client in _PROGRAMS else []),
        **(_thread_index(story, written) if person.client == "outlook" else {}),
        "MIME-Version": "1.0",
    }
    if written.description.sender in OWNER:
        del made["Received"]
    made.update({name: _header_text(value, charset, name) for name, value in own.items()})
    return [(name, value) for name, value in made.items() if value]


def _thread_index(story: Story, written: Written) -> dict[str, str]:
    """Outlook's own threading headers ([MS-OXOMSG] 2.2.1.3: 22 bytes, then 5 for each reply)."""
    digest = hashlib.sha256(story.name.encode()).digest()
    index = b"\x01\xdc" + digest[:20] + b"".join(digest[n : n + 5] for n in range(len(written.references)))
    return {"Thread-Topic": _header_text(story.subject, "utf-8", "Thread-Topic"),
            "Thread-Index": base64.b64encode(index).decode("ascii")}  # fmt: skip


def _header_text(value: str, charset: str, name: str) -> str:
    """RFC 2047 where the value is not ASCII."""
    if value.isascii():
        return value
    return Header(value, charset, header_name=name, maxlinelen=76).encode(linesep="\r\n")


def _header_address(name: str, address: str, charset: str) -> str:
    return formataddr((name, address)) if name.isascii() else f"{_header_text(name, charset, 'From')} <{address}>"


def _content(written: Written, now: datetime) -> tuple[list[tuple[str, str]], bytes]:
    description, person = written.description, written.person
    if description.content_type:  # the body is given as raw content: reports, invitations, encrypted mail
        return [("Content-Type", description.content_type)], _lines(written.text).encode("utf-8")
    plain = _plain_part(written)
    if not person.html:
        headers, content = plain
    else:
        html_part = _text_part("text/html", f"<html><body>\n{written.html}\n</body></html>", person)
        headers, content = (
            html_part if person.html == "only" else _multipart("alternative", [plain, html_part], written)
        )
    if description.attachments:
        parts = [(headers, content), *(_attachment(name, now) for name in description.attachments)]
        headers, content = _multipart("mixed", parts, written)
    return headers, content


Part = tuple[list[tuple[str, str]], bytes]


def _plain_part(written: Written) -> Part:
    person = written.person
    if person.client == "thunderbird":
        return _text_part("text/plain", quoting.flowed(written.text), person, "; format=flowed")
    return _text_part("text/plain", written.text, person)


def _text_part(content_type: str, text: str, person: Person, parameters: str = "") -> Part:
    raw = _lines(text + "\n").encode(person.charset, "replace")
    encoding = person.encoding
    if encoding == "quoted-printable":
        raw = _lines(quopri.encodestring(raw.replace(b"\r\n", b"\n")).decode("ascii")).encode("ascii")
    elif encoding == "base64":
        raw = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    return [
        ("Content-Type", f"{content_type}; charset={person.charset}{parameters}"),
        ("Content-Transfer-Encoding", encoding),
    ], raw


def _attachment(name: str, now: datetime) -> Part:
    raw = (data() / "files" / name).read_bytes()
    if name.endswith(".ics"):
        raw = _lines(quoting.with_days(raw.decode("utf-8"), now)).encode("utf-8")
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return [
        ("Content-Type", f'{content_type}; name="{name}"'),
        ("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", f'attachment; filename="{name}"'),
    ], base64.encodebytes(raw).replace(b"\n", b"\r\n")


def _multipart(kind: str, parts: Sequence[Part], written: Written) -> Part:
    boundary = f"=_{kind}_{hashlib.sha256(written.message_id.encode()).hexdigest()[:16]}"
    pieces = [
        f"--{boundary}\r\n".encode("ascii")
        + "\r\n".join(f"{name}: {value}" for name, value in headers).encode("ascii")
        + b"\r\n\r\n"
        + content
        for headers, content in parts
    ]
    body = b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode("ascii")])
    return [("Content-Type", f'multipart/{kind}; boundary="{boundary}"')], body


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
