"""Attachments through the commands: from a mailbox or a file to what a model would be sent."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attached import DOCX, ICS, File, docx, image, mail, paragraph, pdf, shown
from click.testing import CliRunner
from openpyxl import Workbook
from servers.model_api import ModelServer

from mailassist import doctor
from mailassist.cli import group
from mailassist.documents import reading

MAILBOX = """
import sys
from mailassist.cli import group
group(sys.argv[1:], standalone_mode=False)
loaded = [name for name in ("mailassist.documents.reading", "PIL", "pypdfium2", "openpyxl") if name in sys.modules]
print("loaded:", *loaded, file=sys.stderr)
"""


def run(*words: str, stdin: bytes = b"") -> str:
    result = CliRunner().invoke(group, list(words), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def xlsx(fact: str) -> bytes:
    book = Workbook()
    assert book.active is not None
    book.active.append(["Order", "Code"])
    book.active.append([17, fact])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def inner(fact: str) -> bytes:
    return mail(("deep.txt", "text/plain", fact.encode()), text="Passed on.")


KINDS: dict[str, Callable[[str], File]] = {
    "pdf": lambda fact: ("a.pdf", "application/pdf", pdf(shown("First page"), shown(f"Code {fact}"))),
    "docx": lambda fact: ("a.docx", DOCX, docx(paragraph("Dear Tom") + paragraph(f"code {fact}"))),
    "xlsx": lambda fact: ("a.xlsx", "application/octet-stream", xlsx(fact)),
    "csv": lambda fact: ("a.csv", "text/csv", f"Order;Code\n17;{fact}\n".encode()),
    "ics": lambda fact: ("a.ics", "text/calendar", ICS.replace("Room 4", fact).encode()),
    "txt": lambda fact: ("a.txt", "text/plain", f"Code {fact}".encode("utf-16")),
    "html": lambda fact: ("a.html", "text/html", f"<table><tr><td>Code<td>{fact}</table>".encode()),
    "rtf": lambda fact: ("a.rtf", "application/rtf", rb"{\rtf1 Code %s}" % fact.encode()),
    "eml": lambda fact: ("a.eml", "message/rfc822", inner(fact)),
}


def test_a_fact_in_any_attachment_of_a_thread_of_fifty_messages_is_in_the_packed_context(tmp_path: Path) -> None:
    kinds, path = list(KINDS.values()), tmp_path / "box"
    with path.open("wb") as box:
        for number in range(50):
            people = ("anna@shop.example", "tom@press.example")
            headers = {
                "From": people[number % 2],
                "To": people[1 - number % 2],
                "Message-ID": f"<{number}@t>",
                "In-Reply-To": f"<{max(number - 1, 0)}@t>",
                "Date": f"{1 + number // 2} Nov 2026 {10 + number % 2}:00 +0000",
            }
            file = kinds[number % len(kinds)](f"NEEDLE-{number}-{number * 7919}")
            box.write(b"From a@b Thu Nov 26 10:00:00 2026\n")
            box.write(mail(file, text=f"Message number {number}.", headers=headers) + b"\n")
    value = json.loads(run("pack", str(path), "--thread", "<49@t>", "--json"))
    said = "\n".join(message["text"] for message in value["messages"])
    missing = [number for number in range(50) if f"NEEDLE-{number}-{number * 7919}" not in said]
    assert missing == []
    assert {one["name"] for one in value["documents"]} >= {"a.pdf", "a.docx", "a.xlsx", "a.eml / deep.txt"}
    assert all(one["whole"] and one["tokens"] for one in value["documents"])


def test_parse_tells_what_each_attachment_says_or_why_nothing() -> None:
    raw = mail(KINDS["pdf"]("X-1"), ("old.doc", "application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))
    read, odd = json.loads(run("parse", "-", "--json", stdin=raw))["attachments"]
    assert (read["name"], read["text"], read["note"]) == ("a.pdf", "First page\n\nCode X-1", "")
    assert odd["text"] == "" and odd["note"].startswith("an old Office format")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An account on a Maildir with nothing in it, and a model at a stand-in server."""
    for part in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    path = tmp_path / "config.toml"
    path.write_text(
        f'data_folder = "{tmp_path / "data"}"\n[accounts.home]\naddress = "tom@press.example"\n'
        f'maildir = "{tmp_path / "Maildir"}"\n'
    )
    return path


def deliver(config: Path, raw: bytes) -> None:
    from email.utils import formatdate

    raw = raw.replace(b"Thu, 26 Nov 2026 10:00:00 +0100", formatdate().encode())
    (config.parent / "Maildir" / "cur" / "1.a:2,S").write_bytes(raw)


def test_a_draft_sends_the_text_of_attachments_unless_that_is_off(
    config: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(config, mail(KINDS["docx"]("X-2"), ("p.jpg", "image/jpeg", image(900, 700))))
    monkeypatch.setenv("KEY_OF_THE_TEST", "k")
    settings = f'\n[model]\nbase_url = "{model_server.base_url}"\nkey = {{password_env = "KEY_OF_THE_TEST"}}\n'
    text = config.read_text()
    for off, pictures, code in (("", 1, True), ("pictures = false\n", 0, True), ("documents = false\n", 0, False)):
        config.write_text(text + settings.replace("\nkey", f"\n{off}key"))
        run("--config", str(config), "draft", "--latest")
        sent = json.dumps(model_server.requests[-1].body)
        assert (sent.count("data:image/jpeg;base64,"), "code X-2" in sent) == (pictures, code)


def test_mail_without_attachments_loads_nothing_for_them(config: Path) -> None:
    deliver(config, mail(text="When can you come?"))
    words = ["--config", str(config), "draft", "--latest", "--show-prompt"]
    done = subprocess.run([sys.executable, "-c", MAILBOX, *words], capture_output=True, text=True, check=True)
    assert "When can you come?" in done.stdout
    assert done.stderr.splitlines()[-1].strip() == "loaded:"


def test_doctor_says_whether_attachments_can_be_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {one.what: one.level for one in doctor.examine(config, online=False)}
    assert told["PDF, Office files and pictures in mail can be read"] == "ok"
    monkeypatch.setattr(reading, "available", lambda: False)
    (missing,) = [one for one in doctor.examine(config, online=False) if "not read" in one.what]
    assert (missing.level, missing.cure) == ("warn", "Run: pip install 'mailassist[documents]'")
