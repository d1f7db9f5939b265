"""A real Secret Service: gnome-keyring in a D-Bus session of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from skipping import unavailable

SCRIPT = """
from pydantic import SecretStr
from mailassist import secrets
from mailassist.config import SecretSettings
from mailassist.errors import SecretError

print(repr(secrets.keyring_problem()))
secrets.save_to_keyring("work", SecretStr("hunter2"))
found = secrets.find("work", SecretSettings(password_command="false"), environment={})
print(found.origin, found.secret.get_secret_value())
print(secrets.delete_from_keyring("work"), secrets.delete_from_keyring("work"))
try:
    secrets.find("work", SecretSettings(), environment={})
except SecretError as error:
    print("gone:", error.message)
"""


@pytest.fixture
def session(tmp_path: Path) -> list[str]:
    for program in ("dbus-run-session", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            unavailable(f"{program} is missing: apt-get install gnome-keyring dbus-daemon")
    unlock = "printf 'test\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"
    return ["dbus-run-session", "--", "sh", "-c", f'{unlock}; exec "$0" "$@"']


def test_a_secret_is_kept_found_and_removed_in_a_real_keyring(session: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        [*session, sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines()[:3] == ["''", "the keyring hunter2", "True False"], done.stderr
    assert "looked in: the keyring" in done.stdout.splitlines()[3]


FAILS = """
from pathlib import Path
from pydantic import SecretStr
from mailassist import secrets
from mailassist.cli import setup
from mailassist.config import Account, ServerSettings
from mailassist.errors import ConfigError

secrets.save_to_keyring("work", SecretStr("old"))
setup.config_path = lambda: Path("/dev/null/config.toml")  # a place where no file can be
account = Account(address="a@b.example", imap=ServerSettings(host="h.example", port=993))
for name in ("work", "new"):
    try:
        setup.save(name, account, SecretStr("changed"))
    except ConfigError as error:
        kept = secrets.in_keyring(name)
        print(type(error).__name__, kept and kept.get_secret_value())
"""


def test_a_failed_save_leaves_the_secret_that_was_there(session: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        [*session, sys.executable, "-c", FAILS],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stdout.splitlines() if "Error" in line] == ["ConfigError old", "ConfigError None"], (
        done.stdout + done.stderr
    )


def test_without_a_keyring_the_cure_is_named(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    code = "from mailassist import secrets; print(secrets.keyring_problem())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True, timeout=60
    )
    assert "no keyring service" in done.stdout
