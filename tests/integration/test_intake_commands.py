"""`mailassist sync`, `list`, `draft` and `forget` on a Maildir: no network, everything else real."""

from __future__ import annotations

import email
import json
import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from servers.scripted_imap import mailbox, scripted

from mailassist.cli import group
from mailassist.errors import ConnectionFailed, InputError, MailassistError, MailboxError, StoreError

ANNA = "Anna \x1b[31mMeyer <anna@example.net>"


def message(name: str, *, sender: str = ANNA, more: str = "", days: float = 1.0) -> str:
    date = format_datetime(datetime.fromtimestamp(time.time() - days * 86_400, UTC))
    head = f"From: {sender}\nTo: tom@example.org\nSubject: About {name}\nDate: {date}\nMessage-ID: <{name}@test>\n"
    return f"{head}{more}\nHello {name}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An account on a Maildir with one question and one newsletter."""
    box = tmp_path / "Maildir"
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    (box / "cur" / "1.q:2,S").write_text(message("q"))
    (box / "cur" / "2.n:2,S").write_text(message("n", sender="news@example.com", more="List-Id: <n.example.com>\n"))
    path = tmp_path / "config.toml"
    path.write_text(
        f'data_folder = "{tmp_path / "data"}"\n[accounts.home]\naddress = "tom@example.org"\nmaildir = "{box}"\n'
    )
    return path


def run(config: Path, *words: str) -> Result:
    result = CliRunner().invoke(group, ["--config", str(config), *words])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result


def with_drafts(config: Path) -> Path:
    """The Maildir, with folders that a draft needs."""
    box = config.parent / "Maildir"
    for folder in (".Drafts", ".Trash"):
        for part in ("cur", "new", "tmp"):
            (box / folder / part).mkdir(parents=True)
    return box


def test_sync_says_what_it_did(config: Path) -> None:
    assert run(config, "sync").stdout.startswith("home: 2 new, 0 gone")
    (described,) = json.loads(run(config, "sync", "--json").stdout)
    assert (described["account"], described["new"], described["complete"]) == ("home", 0, True)


def test_accounts_that_fail_are_told_and_the_others_are_synced(config: Path) -> None:
    nobody_listens = (
        '[accounts.a]\naddress = "a@example.org"\nimap = { host = "127.0.0.1", port = 1, security = "none" }\n'
    )
    no_such_folder = f'[accounts.b]\naddress = "b@example.org"\nmaildir = "{config.parent / "gone"}"\n'
    config.write_text('default_account = "a"\n' + config.read_text() + nobody_listens + no_such_folder)
    result = CliRunner().invoke(group, ["--config", str(config), "sync"], standalone_mode=False)
    assert result.return_value == ConnectionFailed.exit_code
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["a", "b"]
    assert "home: 2 new" in result.stdout
    told = CliRunner().invoke(group, ["--config", str(config), "sync", "--json"], standalone_mode=False).stdout
    assert [(one["account"], "error" in one) for one in json.loads(told)] == [("a", True), ("home", False), ("b", True)]


def test_a_backup_that_cannot_be_made_is_told_and_mail_is_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("No backup can be made")

    monkeypatch.setattr("mailassist.store.database.backup.write", fail)
    result = run(config, "sync")
    assert result.stdout.startswith("home: 2 new") and "No backup can be made" in result.stderr


def test_the_end_of_a_file_that_was_not_read_is_told(config: Path, tmp_path: Path) -> None:
    letter = tmp_path / "large.eml"
    letter.write_bytes(b"From: Anna <anna@example.net>\nSubject: x\n\nCan you come?\n\n" + b"lorem ipsum\n" * 4_500_000)
    for more in ("--show-prompt", "--model=outline"):
        assert "first 50,000,000 bytes" in run(config, "draft", str(letter), more).stderr


def test_sync_says_that_the_server_asks_to_wait(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter(["NO [THROTTLED] Suggested Backoff Time: 9 milliseconds"])

    def answer(command: str) -> list[str] | None:
        wait = command.startswith("EXAMINE") and next(asked, None)
        return [wait] if wait else mailbox(command)

    monkeypatch.setenv("THROTTLED_PASSWORD", "secret")
    with scripted(answer) as server:
        config.write_text(
            f'data_folder = "{config.parent / "data"}"\n[accounts.home]\naddress = "tom@example.org"\n'
            f'imap = {{ host = "{server.host}", port = {server.port}, security = "none" }}\n'
            'secret = { password_env = "THROTTLED_PASSWORD", keyring = false }\n'
        )
        result = run(config, "sync")
    assert re.fullmatch(r"mailassist: home: The server asks to wait [12] s", result.stderr.splitlines()[-1])


def test_list_shows_who_waits_and_with_all_why_the_others_do_not(config: Path) -> None:
    result = run(config, "list")
    assert "run `mailassist sync`" in result.stderr
    run(config, "sync")
    shown = run(config, "list").stdout
    assert "About q" in shown and "About n" not in shown
    assert "\x1b" not in shown
    every = run(config, "list", "--all").stdout
    assert "List-Id" in every and "1 of 2 conversations wait" in every
    found = json.loads(run(config, "list", "--all", "--json").stdout)
    assert {one["message_id"]: one["waits"] for one in found} == {"<q@test>": True, "<n@test>": False}


def test_a_draft_goes_to_the_sender_and_with_reply_all_to_everybody(config: Path) -> None:
    box = with_drafts(config)
    everybody = "Cc: Ben <ben@example.net>, tom@example.org\n"
    (box / "cur" / "3.g:2,S").write_text(message("g", more=everybody, days=0.5))
    run(config, "sync")

    def saved(*words: str) -> tuple[dict[str, object], set[str | None]]:
        told = json.loads(run(config, "draft", "--model", "outline", "--save", "--json", *words).stdout)
        kept = [email.message_from_bytes(file.read_bytes()) for file in (box / ".Drafts" / "cur").iterdir()]
        return told, {one["Cc"] for one in kept}

    told, copied = saved()
    assert (told["in_reply_to"], told["cc"], copied) == ("<g@test>", [], {None})
    told, copied = saved("--reply-all")
    assert (told["cc"], copied) == (["Ben <ben@example.net>"], {"Ben <ben@example.net>"})


def test_a_draft_that_cannot_be_saved_is_shown_all_the_same(config: Path) -> None:
    words = ["--config", str(config), "draft", "--model", "outline", "--save"]
    shown = CliRunner().invoke(group, words)
    assert isinstance(shown.exception, MailboxError) and "[answer]" in shown.stdout
    told = CliRunner().invoke(group, [*words, "--json"])
    assert isinstance(told.exception, MailboxError)
    answer = json.loads(told.stdout)
    assert "[answer]" in answer["text"] and answer["saved"] == ""


def test_a_damaged_store_costs_no_draft(config: Path) -> None:
    with_drafts(config)
    run(config, "sync")
    run(config, "draft", "--model", "outline", "--save")
    run(config, "sync")
    store = config.parent / "data" / "mailassist.sqlite"
    store.write_bytes(b"damaged" * 1000)
    failed = CliRunner().invoke(group, ["--config", str(config), "list"])
    assert isinstance(failed.exception, StoreError) and "come back from the backup" in str(failed.exception)
    store.rename(config.parent / "elsewhere")
    assert "are as in" in run(config, "list").stderr
    run(config, "sync")
    assert "About q" in run(config, "list").stdout
    kept = {one["what"]: one["count"] for one in json.loads(run(config, "privacy", "--json").stdout)["kept"]}
    assert kept["drafts"] == 1


def test_forget_says_what_is_gone_and_list_shows_it_no_more(config: Path) -> None:
    run(config, "sync")
    shown = run(config, "forget", "anna@example.net").stdout
    assert "messages of the index: 1" in shown and "on the server" in shown
    run(config, "sync")
    assert "Nobody waits" in run(config, "list").stdout
    run(config, "forget", "--undo", "anna@example.net")
    run(config, "sync")
    assert "About q" in run(config, "list").stdout


@pytest.mark.parametrize("address", ["anna", "", "@", "anna@", "@example.net", "a@b@c", "a b@c", "anna@\x1b[31m"])
def test_forget_refuses_what_is_no_address(config: Path, address: str) -> None:
    result = CliRunner().invoke(group, ["--config", str(config), "forget", address])
    assert isinstance(result.exception, InputError) and "no mail address" in str(result.exception)


TOO_LARGE = str(10**21)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["cost", "--days", TOO_LARGE], 2, "1<=x<=36500"),
        (["privacy", "--days", "99999999"], 2, "1<=x<=36500"),
        (["outbox", "show", TOO_LARGE], 2, "ID"),
        (["outbox", "retry", "77"], 12, "no reply 77"),
        (["draft", "--thread", ""], 7, "no message <>"),
        (["draft", "--show-prompt", "--save"], 2, "no draft to --save"),
        (["forget", "--undo", "--json", "a@b"], 2, "removes nothing"),
        (["--config", ".", "list"], 3, "Is a directory. Name a file"),
    ],
)
def test_odd_arguments_have_a_clear_error_and_their_exit_code(
    config: Path, words: list[str], code: int, said: str
) -> None:
    run(config, "sync")
    result = CliRunner().invoke(group, ["--config", str(config), *words])
    error = result.exception
    if isinstance(error, MailassistError):
        assert (error.exit_code, len(str(error).splitlines())) == (code, 1) and said in str(error)
    else:
        assert result.exit_code == code and said in result.stderr


def test_an_mbox_that_is_a_folder_is_named(config: Path) -> None:
    config.write_text(config.read_text().replace("maildir =", "mbox ="))
    result = CliRunner().invoke(group, ["--config", str(config), "sync"], standalone_mode=False)
    assert result.return_value == MailboxError.exit_code and "no file that you may read" in result.stderr
