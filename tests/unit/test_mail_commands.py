"""`mailassist parse` and `mailassist threads`: the shapes that other programs rely on."""

from __future__ import annotations

import json
import mailbox
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailassist.cli import context, group
from mailassist.errors import InputError
from mailassist.transport.files import read_messages

KEYS = (
    "message_id from to cc date subject headers reply quoted signature blocks hidden attachments warnings".split()  # noqa: SIM905
)
MAIL = (
    b"From: Nora <nora@x.example>\r\nTo: me@own.example, Tom <tom@y.example>\r\nMessage-ID: <1@x>\r\n"
    b"Subject: \x1b[2J=?utf-8?q?Gr=C3=BC=9B=C3=9Fe?=\r\nDate: Tue, 3 Nov 2026 09:12:00 +0100\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello\x1b]52;c;ZXZpbA==\x07</p><p hidden>secret</p>"
)


def run(*arguments: str, stdin: bytes = b"") -> str:
    result = CliRunner().invoke(group, list(arguments), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def raw_controls(text: str) -> set[str]:
    return {letter for letter in text if letter != "\n" and (letter < " " or "\x7f" <= letter < "\xa0")}


def test_parse_prints_the_promised_shape_without_raw_controls() -> None:
    output = run("parse", "-", "--json", stdin=MAIL)
    value = json.loads(output)
    assert list(value) == KEYS and not raw_controls(output)
    assert value["from"] == "Nora <nora@x.example>" and value["to"] == "me@own.example, Tom <tom@y.example>"
    assert value["date"] == "2026-11-03T09:12:00+01:00" and value["cc"] == ""
    assert value["headers"]["message-id"] == ["<1@x>"]
    assert "\n".join(block["text"] for block in value["blocks"]).startswith(value["reply"])
    assert value["reply"].startswith("Hello") and value["hidden"] == ["secret"]


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff" * 100, b"\n\n", b"From x\n", MAIL[:120]])
def test_parse_exits_0_for_any_bytes(raw: bytes) -> None:
    assert list(json.loads(run("parse", "-", "--json", stdin=raw))) == KEYS


def test_parse_for_people_is_safe() -> None:
    output = run("parse", "-", stdin=MAIL)
    assert "␛" in output and "secret" in output and not raw_controls(output)


def test_parse_reads_the_beginning_of_what_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "READ_AT_MOST", 200)
    value = json.loads(run("parse", "-", "--json", stdin=b"Subject: big\r\n\r\n" + b"x" * 10_000))
    assert value["subject"] == "big" and value["warnings"][0].startswith("structure-limit")


def test_parse_of_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        run("parse", str(tmp_path / "nothing"))


@pytest.mark.parametrize("command", ["threads", "pack"])
def test_a_file_that_breaks_off_is_one_clear_error(command: str) -> None:
    more = ["--thread", "<1@x>"] if command == "pack" else []
    with pytest.raises(InputError, match="/proc/self/mem cannot be read: Input/output error"):
        run(command, "/proc/self/mem", *more)


def test_threads_of_nothing_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["threads", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "") and "has no messages" in result.stderr


def chain(count: int) -> list[bytes]:
    return [
        f"From: a@x.example\nMessage-ID: <{n}@x>\nIn-Reply-To: <{n - 1}@x>\nSubject: s\n"
        f"Date: Tue, 3 Nov 2026 09:{n:02}:00 +0000\n\nFrom here\n>From there\n".encode()
        for n in range(count)
    ]


def test_threads_of_an_mbox_and_of_a_maildir_are_the_same(tmp_path: Path) -> None:
    other = b"From: b@x.example\nMessage-ID: <other@x>\nSubject: t\n\nHi\n"
    mbox, maildir = mailbox.mbox(tmp_path / "box"), mailbox.Maildir(tmp_path / "dir")
    for raw in [*reversed(chain(3)), other]:
        mbox.add(raw)
        maildir.add(raw)
    mbox.close()
    expected = [["<0@x>", "<1@x>", "<2@x>"], ["<other@x>"]]
    for path in ("box", "dir"):
        assert sorted(json.loads(run("threads", str(tmp_path / path), "--json"))) == expected
    assert "<2@x>" in run("threads", str(tmp_path / "box"))


def test_threads_tell_how_messages_hang_together(tmp_path: Path) -> None:
    text = b"Could you please send the seals to the new address in Hamburg?"
    again = (
        b"From: a@x.example\nTo: b@x.example\nMessage-ID: <%b@x>\nSubject: Seals\n"
        b"Date: Tue, %b Nov 2026 09:00:00 +0000\n\n%b\n"
    )
    answer = (
        b"From: b@x.example\nTo: a@x.example\nMessage-ID: <3@x>\nReferences: <1@x> <gone@x>\nSubject: Re: Seals\n"
        b"Date: Fri, 6 Nov 2026 09:00:00 +0000\n\nYes\n"
    )
    box = mailbox.mbox(tmp_path / "box")
    for raw in (again % (b"1", b"3", text), again % (b"2", b"4", text), answer):
        box.add(raw)
    box.close()
    [found] = json.loads(run("threads", str(tmp_path / "box"), "--json", "--details"))
    assert found["key"] == "<1@x>" and found["subject"] == "Seals"
    assert found["missing"] == [{"message_id": "<gone@x>", "parent": "<1@x>", "children": ["<3@x>"]}]
    first, second = found["messages"]
    assert first["duplicates"] == ["<2@x>"] and first["linked_by"] == "" and first["date"].startswith("2026-11-03T09")
    assert (second["parent"], second["linked_by"], second["author"]) == ("<1@x>", "references", "b@x.example")
    for wanted in ("1@x", "2@x"):
        packed = json.loads(run("pack", str(tmp_path / "box"), "--thread", wanted, "--json"))
        assert [one["message_id"] for one in packed["messages"]] == ["<1@x>", "<3@x>"]


def test_an_mbox_is_split_at_its_from_lines_only(tmp_path: Path) -> None:
    raws = chain(3)
    box = mailbox.mbox(tmp_path / "box")
    for raw in raws:
        box.add(raw)
    box.close()
    assert [raw.count(b"From here") for raw in read_messages(tmp_path / "box")] == [1, 1, 1]
    (tmp_path / "one.eml").write_bytes(MAIL)
    assert list(read_messages(tmp_path / "one.eml")) == [MAIL]
    with pytest.raises(InputError):
        list(read_messages(tmp_path / "nothing"))
