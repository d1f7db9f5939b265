"""`setup` and `doctor` as a person uses them, against a real Dovecot and a real SMTP server."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.dovecot import Dovecot
from servers.smtp import SmtpServer
from servers.smtp import smtp_server as running_smtp

from mailassist import config_file, secrets

MAILASSIST = [sys.executable, "-m", "mailassist"]


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """An SMTP server that wants a login."""
    with running_smtp(logins=True) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment without keyring, session bus or the settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "COVERAGE_PROCESS_START") if name in os.environ}
    return {**kept, "HOME": str(tmp_path), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def _run(arguments: list[str], home: dict[str, str], said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAILASSIST, *arguments], input=said, capture_output=True, text=True, env=home, check=False, timeout=60
    )


def _servers(dovecot: Dovecot, smtp: SmtpServer | None) -> list[str]:
    found = ["--imap", f"{dovecot.host}:{dovecot.port}", "--imap-security", "none"]
    if smtp:
        found += ["--smtp", f"{smtp.host}:{smtp.port}", "--smtp-security", "none"]
    return found


def _typed(arguments: list[str], home: dict[str, str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run in a real terminal; each answer is typed once its question stands there."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [*MAILASSIST, *arguments], home)
    seen, place, left = "", 0, list(answers)
    while True:
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:  # the terminal is closed with its process
            break
        while left and (found := seen.find(left[0][0], place)) >= 0:
            place = found + len(left[0][0])
            os.write(terminal, f"{left.pop(0)[1]}\n".encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), seen


def test_setup_shows_the_hosts_tests_both_logins_and_saves(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path
) -> None:
    user, config = dovecot.user(), tmp_path / "config.toml"
    arguments = ["--config", str(config), "setup", "you@example.org", *_servers(dovecot, smtp_server)]
    code, seen = _typed(
        [*arguments, "--login", user.name],
        home,
        [
            ("sent to these hosts", "y"),
            ("Password for", "wrong"),
            ("Password for", dovecot.password),
            ("Your name", "Robin Vale"),
            ("learn from?", "n"),
            ("Choice", "2"),
            ("API key of api.openai.com", ""),
        ],
    )
    assert code == 0, seen
    assert "mailassist config key" in seen
    assert seen.index(f"IMAP  {dovecot.host}:{dovecot.port}") < seen.index("Password for")
    assert "SMTP login works." in seen
    assert f"{dovecot.password}\r\n" not in seen  # never echoed
    saved = config_file.load(config).accounts["example"]
    assert saved.identities[0].name == "Robin Vale"
    assert saved.sync.learn_from_sent is False
    assert f'"{dovecot.password}"' not in config.read_text()
    kept = saved.secret.password_file
    assert kept is not None and kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text() == f"{dovecot.password}\n"


def test_setup_saves_nothing_when_the_password_is_wrong(dovecot: Dovecot, home: dict[str, str], tmp_path: Path) -> None:
    user, config = dovecot.user(), tmp_path / "config.toml"
    arguments = ["--config", str(config), "setup", "you@example.org", *_servers(dovecot, None), "--login", user.name]
    done = _run([*arguments, "--yes", "--password-command", "echo wrong"], home)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1
    assert not config.exists()


def test_setup_saves_nothing_when_the_host_is_not_approved(
    dovecot: Dovecot, home: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    done = _run(["--config", str(config), "setup", "you@example.org", *_servers(dovecot, None)], home, said="n\n")
    assert done.returncode == 15
    assert not config.exists()


def test_a_second_account_is_appended_and_the_first_kept_word_for_word(
    dovecot: Dovecot, home: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    first = '# my own comment\n[accounts.a]\naddress = "a@b.example"\nmaildir = "/m"\n'
    config.write_text(first)
    user = dovecot.user()
    arguments = ["setup", "you@example.org", *_servers(dovecot, None), "--login", user.name, "--config", str(config)]
    done = _run([*arguments, "--yes", "--password-command", f"echo {dovecot.password}"], home)
    assert done.returncode == 0, done.stderr
    assert config.read_text().startswith(first)
    assert set(config_file.load(config).accounts) == {"a", "example"}
    again = _run([*arguments, "--yes", "--password-command", f"echo {dovecot.password}"], home)
    assert again.returncode == 3
    assert "already" in again.stderr


def test_two_addresses_of_one_provider_are_two_accounts(dovecot: Dovecot, home: dict[str, str], tmp_path: Path) -> None:
    config, user = tmp_path / "config.toml", dovecot.user()
    for address in ("alice@example.org", "bob@example.org"):
        arguments = ["setup", address, *_servers(dovecot, None), "--login", user.name, "--config", str(config)]
        done = _run([*arguments, "--yes", "--password-command", f"echo {dovecot.password}"], home)
        assert done.returncode == 0, done.stderr
    accounts = config_file.load(config).accounts
    assert {name: account.address for name, account in accounts.items()} == {
        "example": "alice@example.org",
        "example-bob": "bob@example.org",
    }
    assert not accounts["example"].secret.keyring  # what was tested is what is used


def test_setup_again_for_an_address_replaces_its_servers_and_secret_and_nothing_else(
    dovecot: Dovecot, home: dict[str, str], tmp_path: Path
) -> None:
    config, user = tmp_path / "config.toml", dovecot.user()
    before = '# mine\n[model]\nname = "outline"\n\n'
    after = '\n# the other one\n[accounts.b]\naddress = "b@example.org"\nmaildir = "/m"\n'
    config.write_text(
        f'''{before}[accounts.w]\naddress = "You@example.org"\n[accounts.w.imap]\nhost = "gone.example"\nport = 993
ip = "4"\n[accounts.w.secret]\npassword_command = "false"\n[[accounts.w.identities]]\naddress = "you@example.org"
signature = """\nRobin\n"""\n{after}'''
    )
    arguments = ["setup", "you@example.org", *_servers(dovecot, None), "--login", user.name, "--config", str(config)]
    code, seen = _typed(
        arguments, home, [("anew?", "y"), ("these hosts", "y"), ("Password for", dovecot.password), ("Choice", "2")]
    )
    assert code == 0, seen
    text, accounts = config.read_text(), config_file.load(config).accounts
    assert text.startswith(before) and text.endswith(after) and list(accounts) == ["w", "b"]
    assert accounts["w"].identities[0].signature == "Robin\n" and accounts["w"].delivery.mode == "drafts"
    server = accounts["w"].imap
    assert server is not None and (server.host, server.ip) == (dovecot.host, "4")
    assert accounts["w"].secret.password_file == tmp_path / "w.secret"


def test_setup_asks_nothing_where_the_name_is_taken(home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[accounts.w]\naddress = "a@b.example"\n[accounts.w.imap]\nhost = "h.example"\nport = 993\n')
    for name, code in (("w", 3), ("model", 15), ("../w", 15)):
        arguments = ["--config", str(config), "setup", "c@b.example", "--name", name, "--imap", "m.example"]
        done = _run(arguments, home)
        assert (done.returncode, done.stdout) == (code, "") and len(done.stderr.splitlines()) == 1


def test_the_key_of_the_model_is_kept_where_the_person_says(home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[model]\nname = "gpt-4o-mini"  # cheap\n')
    answers = [("API key of api.openai.com", "sk-test-1"), ("Choice", "2")]
    code, seen = _typed(["config", "key", "--config", str(config)], home, answers)
    assert code == 0 and "sk-test-1" not in seen, seen
    assert secrets.find("model", config_file.load(config).model.key).secret.get_secret_value() == "sk-test-1"
    assert config.read_text().startswith('[model]\nname = "gpt-4o-mini"  # cheap\n')


def test_a_command_that_does_not_print_the_secret_is_not_kept(home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[model]\nname = "gpt-4o-mini"\n')
    answers = [("API key of api.openai.com", "sk-test-1")]
    for command in ("false", "echo sk-other", "echo sk-test-1"):
        answers += [("Choice", "1"), ("Command", command)]
    code, seen = _typed(["config", "key", "--config", str(config)], home, answers)
    assert code == 0, seen
    assert seen.count("1  a command that prints it") == 3
    assert (
        "failed with exit code 1" in seen
        and "something else" in seen
        and "sk-test-1" not in seen.replace("Command: echo sk-test-1", "")
    )
    assert config_file.load(config).model.key.password_command == "echo sk-test-1"


def test_a_secret_in_the_environment_is_kept_with_a_warning(
    dovecot: Dovecot, home: dict[str, str], tmp_path: Path
) -> None:
    config, user = tmp_path / "config.toml", dovecot.user()
    config.write_text('[model]\nname = "gpt-4o-mini"\n')
    answers = [("API key of api.openai.com", "sk-test-1"), ("Choice", "3"), ("Name of the variable", "MY_KEY")]
    code, seen = _typed(["config", "key", "--config", str(config)], home, answers)
    assert code == 0 and "Set $MY_KEY before" in seen and "Every process" in seen
    arguments = ["setup", "you@example.org", *_servers(dovecot, None), "--login", user.name, "--config", str(config)]
    done = _run([*arguments, "--yes", "--password-env", "PASS"], {**home, "PASS": dovecot.password})
    assert done.returncode == 0 and "$PASS is readable by every process" in done.stderr


def test_an_app_password_is_taken_as_a_web_page_shows_it(home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[model]\nname = "gpt-4o-mini"\n')
    answers = [("API key of api.openai.com", "abcd\u00a0efgh"), ("Choice", "2")]
    assert _typed(["config", "key", "--config", str(config)], home, answers)[0] == 0
    assert secrets.find("model", config_file.load(config).model.key).secret.get_secret_value() == "abcd efgh"


def test_input_that_ends_before_the_answers_is_one_line(dovecot: Dovecot, home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    done = _run(["--config", str(config), "setup", "you@example.org", *_servers(dovecot, None)], home)
    assert done.returncode == 15 and len(done.stderr.splitlines()) == 1 and "--help" in done.stderr
    assert not config.exists()


def test_a_shared_mailbox_that_is_no_address_is_no_identity(
    dovecot: Dovecot, home: dict[str, str], tmp_path: Path
) -> None:
    config, user = tmp_path / "config.toml", dovecot.user()
    arguments = ["setup", "you@example.org", *_servers(dovecot, None), "--login", user.name, "--mailbox", user.name]
    done = _run([*arguments, "--config", str(config), "--yes", "--password-command", f"echo {dovecot.password}"], home)
    assert done.returncode == 0, done.stderr
    assert config_file.load(config).accounts["example"].identities[0].address == "you@example.org"


def test_a_port_that_is_none_is_one_line(home: dict[str, str], tmp_path: Path) -> None:
    done = _run(["--config", str(tmp_path / "c.toml"), "setup", "a@b.example", "--imap", "m.example:99999"], home)
    assert done.returncode == 15 and len(done.stderr.splitlines()) == 1


def test_doctor_finds_nothing_wrong_with_a_working_account(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path
) -> None:
    config = _account(dovecot, smtp_server, tmp_path)
    done = _run(["doctor", "--json", "--config", str(config)], home)
    findings = json.loads(done.stdout)
    assert [one for one in findings if one["level"] == "fail"] == []
    assert done.returncode == 0
    said = " ".join(one["what"] for one in findings)
    assert "login works" in said and "SMTP login works" in said and "sent = Sent" in said


def test_doctor_names_the_cure_for_each_thing_that_is_wrong(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path
) -> None:
    config = _account(dovecot, smtp_server, tmp_path, password="wrong")
    text = config.read_text().replace('name = "outline"', 'name = "gpt-4o-mini"')
    config.write_text(text)
    done = _run(["doctor", "--json", "--config", str(config)], home)
    failed = [one for one in json.loads(done.stdout) if one["level"] == "fail"]
    assert done.returncode == 5
    assert len(failed) >= 2
    assert all(one["cure"] for one in failed)


@pytest.mark.parametrize(
    ("secret", "cure"),
    [
        ('password_command = "false"', "in a terminal"),
        ('password_command = "true"', "first line"),
        ('password_file = "/nowhere/password"', "Write the secret there"),
        ('password_env = "NOWHERE"', "Set $NOWHERE"),
    ],
)
def test_doctor_names_the_cure_for_a_secret_that_is_not_there(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path, secret: str, cure: str
) -> None:
    config = _account(dovecot, smtp_server, tmp_path)
    config.write_text(config.read_text().replace(f'password_file = "{tmp_path / "password"}"', secret))
    done = _run(["doctor", "--json", "--config", str(config)], home)
    failed = [one for one in json.loads(done.stdout) if one["level"] == "fail"]
    assert done.returncode == 4 and failed and all(cure in one["cure"] for one in failed)


def test_doctor_proposes_web_forms_as_personal(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path
) -> None:
    user = dovecot.user()
    for number in range(4):
        user.deliver(
            f"From: Form <no-reply@forms.example>\r\nReply-To: visitor{number}@people.example\r\n"
            f"To: you@example.org\r\nSubject: Contact {number}\r\nMessage-ID: <{number}@forms.example>\r\n"
            "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n".encode()
        )
    config = _account(dovecot, smtp_server, tmp_path, user=user.name)
    done = _run(["doctor", "--json", "--config", str(config)], home)
    cures = " ".join(one["cure"] for one in json.loads(done.stdout))
    assert 'waiting.personal = ["no-reply@forms.example"]' in cures


def test_doctor_and_sync_name_folders_that_are_not_there(
    dovecot: Dovecot, smtp_server: SmtpServer, home: dict[str, str], tmp_path: Path
) -> None:
    config = _account(dovecot, smtp_server, tmp_path)
    config.write_text(config.read_text() + '[accounts.work.folders]\ninbox = ["Unbekant"]\nsent = "Sentt"\n')
    doctor, sync = _run(["doctor", "--config", str(config)], home), _run(["sync", "--config", str(config)], home)
    assert (doctor.returncode, sync.returncode) == (7, 7)
    assert len(sync.stderr.splitlines()) == 2 and "1 new" not in sync.stderr
    for said in (doctor.stdout, sync.stderr):
        assert "'Unbekant'" in said and "Did you mean 'Sent'?" in said
    assert "sent = Sent," in doctor.stdout  # the real one is used meanwhile


def _account(dovecot: Dovecot, smtp: SmtpServer, folder: Path, *, password: str = "", user: str = "") -> Path:
    config, secret = folder / "config.toml", folder / "password"
    secret.write_text(f"{password or dovecot.password}\n")
    secret.chmod(0o600)
    config.write_text(
        f"""data_folder = "{folder / "data"}"
[accounts.work]
address = "you@example.org"
[accounts.work.imap]
host = "{dovecot.host}"
port = {dovecot.port}
security = "none"
login = "{user or dovecot.user().name}"
[accounts.work.smtp]
host = "{smtp.host}"
port = {smtp.port}
security = "none"
[accounts.work.secret]
keyring = false
password_file = "{secret}"
[model]
name = "outline"
"""
    )
    config.chmod(0o600)
    return config
