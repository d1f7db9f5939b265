"""Each thing that goes wrong for users gives one clear line that says what to do, its exit code, and loses nothing."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.dovecot import Dovecot, Mailbox
from servers.model_api import ModelServer, Reply

MAILASSIST = [sys.executable, "-m", "mailassist"]
MESSAGE = (
    b"From: Nora Lind <nora@customer.example>\r\nTo: you@example.org\r\nSubject: Price\r\n"
    b"Message-ID: <1@customer.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nWhat does it cost?\r\n"
)
Write = Callable[..., Path]


def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    home = {**kept, "HOME": str(config.parent), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    return subprocess.run(
        [*MAILASSIST, "--config", str(config), *arguments],
        capture_output=True, text=True, env=home, check=False, timeout=100,
    )  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """The run failed with `code` and exactly one line, which holds `words`."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
    return lines[0]


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    user = dovecot.user()
    user.deliver(MESSAGE)
    return user


@pytest.fixture
def write(dovecot: Dovecot, mailbox: Mailbox, tmp_path: Path) -> Write:
    """Write a configuration for the mailbox, with the changes that a test wants."""

    def written(
        *, imap: str = "", folders: str = "", model: str = 'name = "outline"', password: str = "", **server: object
    ) -> Path:
        secret = tmp_path / "password"
        secret.write_text(f"{password or dovecot.password}\n")
        secret.chmod(0o600)
        values = {"host": dovecot.host, "port": dovecot.port, "security": "none"} | server
        lines = "\n".join(f"{key} = {value!r}" for key, value in values.items())
        config = tmp_path / "config.toml"
        config.write_text(
            f'data_folder = "{tmp_path / "data"}"\n[accounts.work]\naddress = "you@example.org"\n'
            f'[accounts.work.imap]\nlogin = "{mailbox.name}"\n{lines}\n{imap}\n[accounts.work.folders]\n{folders}\n'
            f'[accounts.work.secret]\nkeyring = false\npassword_file = "{secret}"\n[model]\n{model}\n'
        )
        config.chmod(0o600)
        return config

    return written


def test_a_wrong_password(write: Write) -> None:
    said = one_line(run(write(password="hunter2"), "sync"), 5, "refused the login")
    assert "hunter2" not in said


def test_an_unreachable_host(write: Write) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    one_line(run(write(port=port), "sync"), 6, f"127.0.0.1:{port}", "Check host and port")


def test_a_host_name_that_does_not_exist(write: Write) -> None:
    one_line(run(write(host="imap.nowhere.invalid", security="tls"), "sync"), 6, "imap.nowhere.invalid", "Check")


def test_a_certificate_that_nobody_vouches_for(write: Write, dovecot: Dovecot) -> None:
    said = one_line(run(write(security="tls", port=dovecot.tls_port), "sync"), 6, "certificate", "cafile")
    assert "127.0.0.1" in said


def test_an_unknown_folder(write: Write) -> None:
    one_line(run(write(folders='inbox = ["Inbux"]'), "draft", "--latest"), 7, "Inbux")


def test_malformed_toml(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[accounts\n")
    one_line(run(config, "list"), 3, str(config), "line 1")


def test_a_missing_api_key_drafts_an_outline_and_says_so(write: Write) -> None:
    done = run(write(model='name = "gpt-4o-mini"\n[model.key]\nkeyring = false'), "draft", "--latest")
    assert done.returncode == 4
    assert "OPENAI_API_KEY" in done.stderr
    assert "Nora" in done.stdout


def test_a_model_that_does_not_exist(write: Write, model_server: ModelServer) -> None:
    model_server.answers = [Reply(status=404, code="model_not_found")] * 3
    key = '[model.key]\nkeyring = false\npassword_command = "echo sk-test"'
    config = write(model=f'name = "gpt-nine"\nbase_url = "{model_server.base_url}"\n{key}')
    one_line(run(config, "draft", "--latest"), 8, "gpt-nine")


def test_a_full_disk_loses_nothing_and_says_so(write: Write) -> None:
    config = write()
    assert run(config, "sync").returncode == 0
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"sys.argv = ['mailassist', '--config', {str(config)!r}, 'draft', '--latest'];"
        "from mailassist.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 11, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run(config, "draft", "--latest").returncode == 0


def test_200_megabytes_of_nested_mime(tmp_path: Path, write: Write) -> None:
    bomb = tmp_path / "bomb.eml"
    with bomb.open("wb") as file:
        file.write(b"From: a@b.example\r\nTo: you@example.org\r\nSubject: deep\r\nMIME-Version: 1.0\r\n")
        level = 0
        while file.tell() < 200 * 2**20:
            file.write(
                b"".join(
                    b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number)
                    for number in range(level, level + 10_000)
                )
            )
            level += 10_000
    parsed = subprocess.run(
        [*MAILASSIST, "parse", str(bomb), "--json"], capture_output=True, text=True, check=False, timeout=100
    )
    assert parsed.returncode == 0
    assert "structure-limit" in parsed.stdout
    one_line(run(write(), "draft", str(bomb)), 10, "too complex")
