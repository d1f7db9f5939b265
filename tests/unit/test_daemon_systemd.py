"""sd_notify, heard on a socket of the test: a file and an abstract one."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailassist.config import SecretSettings
from mailassist.daemon.systemd import Notifier, Watchdog
from mailassist.errors import SecretError
from mailassist.secrets import Keeper, find


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that stands for systemd, and what NOTIFY_SOCKET says of it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@mailassist-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(10)
        yield listening, name


def heard(listening: socket.socket) -> list[str]:
    return listening.recv(4096).decode().split("\n")


def test_each_turn_of_the_daemons_life_is_told(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready("3 mailboxes")
    assert heard(listening) == ["READY=1", "STATUS=3 mailboxes"]
    notifier.reloading()
    first, moment = heard(listening)
    assert first == "RELOADING=1"
    key, _, value = moment.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(value) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.status("a\nSTOPPING=1\x1b")
    assert heard(listening) == ["STATUS=a STOPPING=1\u241b"]
    notifier.more_time(30)
    assert heard(listening) == ["EXTEND_TIMEOUT_USEC=30000000"]
    notifier.stopping()
    assert heard(listening) == ["STOPPING=1"]


def test_the_watchdog_barks_for_progress_only_and_not_for_each(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    now = [100.0]
    environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    watchdog = Watchdog(Notifier({"NOTIFY_SOCKET": name}), environment, monotonic=lambda: now[0])
    assert watchdog.interval == 30.0
    watchdog.progress()
    assert heard(listening) == ["WATCHDOG=1"]
    now[0] += 1.0
    watchdog.progress()
    now[0] += 200.0
    assert watchdog.since_progress == 200.0
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(4096)
    listening.settimeout(10)
    watchdog.progress()
    assert heard(listening) == ["WATCHDOG=1"]
    assert watchdog.since_progress == 0.0


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}]
)
def test_nobody_is_told_who_did_not_ask(environment: dict[str, str]) -> None:
    watchdog = Watchdog(Notifier({}), environment)
    assert watchdog.interval is None
    watchdog.progress()


def test_a_manager_that_is_gone_stops_no_work(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready("")
    notifier.stopping()


NAMES = ("support", "model", "team", "audit")


def test_systemds_folder_of_credentials_holds_what_the_daemon_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        file = tmp_path / f"mailassist.{name}"
        file.write_text(f"secret of {name}\n", encoding="utf-8")
        file.chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    kept_out: list[str] = []
    keeper = Keeper(pytest.fail, lambda secret: kept_out.append(secret.get_secret_value()))
    found = [keeper.get(name, SecretSettings(keyring=False)).get_secret_value() for name in NAMES]
    assert found == kept_out == [f"secret of {name}" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_credential_that_is_missing_or_empty_is_named(tmp_path: Path, name: str) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(SecretError, match=f"mailassist.{name}"):
        find(name, SecretSettings(keyring=False), environment=environment)
    (tmp_path / f"mailassist.{name}").touch()
    with pytest.raises(SecretError, match="empty"):
        find(name, SecretSettings(keyring=False), environment=environment)
