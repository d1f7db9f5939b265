"""Canaries: secrets, addresses, subjects and control characters that pass through the log are not in its lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# What a daemon's process says, in every way in which it can say something; stderr is what journald would keep.
PROGRAM = r"""
import logging, sys, threading, warnings
from pydantic import BaseModel, SecretStr, ValidationError
from mailassist.daemon import logs
from mailassist.errors import LoginError
from mailassist.daemon.logs import Address, MessageId, Secret, Subject

logs.set_up(key=b"k" * 32, log_content=sys.argv[1] == "content", level=logging.DEBUG)
logs.keep_out(SecretStr("kept-out-CANARY"))
log = logs.logger("test")

log.info("typed", sender=Address("Eve <eve-CONTENT@example.org>"), subject=Subject("Offer-CONTENT\x1b[2J"),
         password_of=Secret("typed-CANARY"), message=MessageId("<id-NEVER@example.org>"), size=3)
log.info("in containers", all=[Address("eve-CONTENT@example.org"), {"x": Secret("nested-CANARY")}],
         s=SecretStr("ss-CANARY"))
log.info("by name", password="named-CANARY", api_key="sk-CANARY-named", prompt_tokens=12)
log.warning("texts", url="postgresql://me:url-CANARY@db.example.org/x?sslmode=require",
            query="https://h/?access_token=q-CANARY&x=1",
            header="Authorization: Bearer bearer-CANARY-000", key="sk-proj-CANARY12345", server="x kept-out-CANARY y",
            imap="A1 LOGIN someone imap-CANARY", to="asks eve-CONTENT@example.org", file="a\x9b31m\u202eb")

class Row:
    def __repr__(self): return "Row(subject='repr-NEVER')"
log.info("an object", row=Row())

log.error("ours", error=LoginError("The server refused eve-CONTENT@example.org", cure="Check it: password=cure-CANARY"))
try:
    raise LoginError("again eve-CONTENT@example.org") from ValueError("cause-NEVER")
except LoginError:
    log.exception("ours as exception")

class Model(BaseModel):
    number: int

never, text = "NEV" + "ER", "BUG" + "TEXT"  # a line of the source may be shown, a value not

def bug(password, subject):
    here = never * 2
    try:
        Model(number=text)
    except ValidationError as error:
        raise KeyError(text) from error
try:
    bug(never, never)
except KeyError:
    log.exception("a bug")

logging.getLogger("imapclient").debug("> LOGIN someone debug-NEVER")
logging.getLogger("openai").warning("asked about %s", "argument-BUGTEXT")
logging.getLogger("other").error("said kept-out-CANARY to eve-CONTENT@example.org")
warnings.warn("a warning")
thread = threading.Thread(target=bug, args=(never, never))
thread.start(); thread.join()
with logs.about(mailbox="support", case=7):
    log.info("mailbox lines")
with logs.timed(log, "looked", mailbox="sales") as more:
    more["new"] = 2
bug(never, never)
"""


def lines(tmp_path: Path, mode: str) -> tuple[str, list[dict[str, object]]]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run([sys.executable, program, mode], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    return done.stderr, [json.loads(line) for line in done.stderr.splitlines()]


def of(found: list[dict[str, object]], event: str) -> dict[str, object]:
    return next(line for line in found if line["event"] == event)


@pytest.mark.parametrize("mode", ["plain", "content"])
def test_no_secret_is_in_any_line_whatever_is_asked_for(tmp_path: Path, mode: str) -> None:
    said, found = lines(tmp_path, mode)
    assert "CANARY" not in said
    assert "NEVER" not in said
    assert all(" " <= character < "\x7f" or character == "\n" for character in said)
    assert of(found, "by name")["prompt_tokens"] == 12
    url = str(of(found, "texts")["url"])
    assert url.startswith("postgresql://***@db.example.org")


def test_addresses_subjects_and_texts_of_bugs_are_there_only_when_asked_for(tmp_path: Path) -> None:
    plain, _ = lines(tmp_path, "plain")
    assert "CONTENT" not in plain
    assert "BUGTEXT" not in plain
    _, found = lines(tmp_path, "content")
    typed = of(found, "typed")
    assert typed["sender"] == "Eve <eve-CONTENT@example.org>"
    assert typed["subject"] == "Offer-CONTENT\u241b[2J"
    assert typed["message"] != "<id-NEVER@example.org>"
    assert typed["password_of"] == "***"


def test_each_line_says_when_what_and_where_an_error_of_ours_is_one_line_and_a_bug_has_its_traceback(
    tmp_path: Path,
) -> None:
    _, found = lines(tmp_path, "plain")
    assert all({"at", "level", "part", "event"} <= line.keys() for line in found)
    ours = of(found, "ours as exception")
    assert ours["error"] == "LoginError: again ***@***"
    assert "traceback" not in ours
    bug = of(found, "a bug")
    trace = bug["traceback"]
    assert isinstance(trace, list)
    assert any("program.py" in line and " bug: " in line for line in trace)
    assert trace[-1] == "KeyError"
    assert (bug["level"], of(found, "texts")["level"]) == ("error", "warning")
    assert of(found, "a thread ends")["traceback"]
    assert of(found, "the process ends")["level"] == "critical"
    assert of(found, "mailbox lines")["mailbox"] == "support"
    looked = of(found, "looked")
    assert (looked["new"], isinstance(looked["seconds"], float)) == (2, True)
    assert of(found, "an object")["row"] == "<Row>"
