"""Wherever the output goes, a command ends with the exit code that docs/CLI.md states, and without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest

COMMANDS = {
    "list": ["list"],
    "parse": ["parse", "mail.eml"],
    "parse --json": ["parse", "mail.eml", "--json"],
    "config example": ["config", "example"],
    "draft --show-prompt": ["draft", "mail.eml", "--show-prompt"],
    "help": ["--help"],
}
SHOWN = ["list", "parse", "draft --show-prompt"]  # what shows text of mail
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configured account, already read: one question, in letters that no small encoding has."""
    folder = tmp_path_factory.mktemp("home")
    for part in ("cur", "new", "tmp"):
        (folder / "Maildir" / part).mkdir(parents=True)
    mail = (
        "From: Nora <nora@customer.example>\nTo: tom@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe_=E4=BD=A0?=\n"
        f"Date: {formatdate(time.time() - 86_400)}\nMessage-ID: <1@customer.example>\n"
        "Content-Type: text/plain; charset=utf-8\n\nWas kostet es, 你好?\n"
    )
    for file in (folder / "mail.eml", folder / "Maildir" / "cur" / "1.a:2,S"):
        file.write_text(mail, encoding="utf-8")
    (folder / "config.toml").write_text(
        'data_folder = "data"\n[accounts.home]\naddress = "tom@example.org"\nmaildir = "Maildir"\n'
        '[model]\nname = "outline"\n'
    )
    assert run(folder, ["sync"]).returncode == 0
    return folder


def run(home: Path, words: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {}} | options
    environment = {**os.environ, "HOME": str(home), **settings.pop("env")}  # type: ignore[dict-item]
    command = [sys.executable, "-m", "mailassist", "--config", str(home / "config.toml"), *words]
    return subprocess.run(command, cwd=home, env=environment, check=False, timeout=60, **settings)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_with_its_own_exit_code(home: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(home, COMMANDS[command], stdout=full)
        nowhere = run(home, COMMANDS[command], stdout=full, stderr=full)
    (line,) = done.stderr.decode().splitlines()
    assert "could not be written" in line and "disk space" in line
    assert (done.returncode, nowhere.returncode) == (16, 16)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_who_left_ends_the_command_quietly(home: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(home, COMMANDS[command], stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_encoding_breaks_the_output_off(home: Path, command: str, encoding: str) -> None:
    done = run(home, COMMANDS[command], env=ENCODINGS[encoding])
    assert (done.returncode, done.stderr) == (0, b"")
    if "--json" in command:
        assert "你" in json.dumps(json.loads(done.stdout.decode("ascii")), ensure_ascii=False)


@pytest.mark.parametrize("command", SHOWN)
def test_what_the_encoding_lacks_is_shown_by_its_number(home: Path, command: str) -> None:
    shown = run(home, COMMANDS[command], env=ENCODINGS["cp1252"]).stdout.decode("cp1252")
    assert "Grüße \\u4f60" in shown


@pytest.mark.parametrize("command", ["parse", "draft"])
def test_a_closed_standard_input_is_named(home: Path, command: str) -> None:
    closed = ["sh", "-c", '"$@" <&-', "sh", sys.executable, "-m", "mailassist", command, "-"]
    done = subprocess.run(closed, cwd=home, env={**os.environ, "HOME": str(home)}, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode().count("\n")) == (15, 1) and b"input is closed" in done.stderr


def test_an_error_is_told_whatever_the_encoding(home: Path) -> None:
    done = run(home, ["parse", "你.eml"], env=ENCODINGS["cp1252"])
    assert done.returncode == 15 and b"\\u4f60.eml cannot be read" in done.stderr
