"""The whole daemon as a process, as its operators see it: systemd's socket, health, status, signals, and its log."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from servers.dovecot import Dovecot, _free_port
from servers.model_api import ModelServer
from servers.team import answering, configuration, mail

Found = TypeVar("Found")
CANARY = "canary"  # stands in the customer's address, the subject, the text and what the model writes
MORE = """
[daemon]
workers = 2
watchers = 2
health = "127.0.0.1:{port}"
"""


def until(look: Callable[[], Found | None]) -> Found:
    """What `look` finds in the end."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


class Daemon:
    """One process, with a socket that stands for systemd's."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.file = folder / "config.toml"
        self.said = folder / "stderr"
        self._told: list[str] = []
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(folder / "notify"))
        self._systemd.setblocking(False)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        with self.said.open("wb") as stderr:
            command = [sys.executable, "-m", "mailassist", "--config", str(self.file), "daemon"]
            self.process = subprocess.Popen(command, stderr=stderr, stdout=stderr, env=environment)

    def told(self, line: str) -> bool:
        """Whether systemd has been told this line; what came before it is forgotten then."""
        while True:
            try:
                self._told += self._systemd.recv(4096).decode().split("\n")
            except BlockingIOError:
                break
        if line not in self._told:
            return False
        del self._told[: self._told.index(line) + 1]
        return True

    def asked(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self._systemd.close()


@pytest.fixture
def daemon(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> Iterator[Daemon]:
    model_server.answers = [answering(f"Dear {CANARY},\n\nit left our warehouse today.\n")]
    box = dovecot.user("operated")
    port = _free_port()
    text = configuration(dovecot, model_server, {"support": box}, tmp_path, more=MORE.format(port=port))
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "mailassist", "--config", str(tmp_path / "config.toml"), "audit", "key"],
        check=True, capture_output=True,
    )  # fmt: skip
    running = Daemon(tmp_path, port)
    try:
        until(lambda: running.told("READY=1"))
        until(lambda: running.asked("/ready")[0] == 200)
        box.deliver(mail(sender=f"{CANARY} <{CANARY}@customer.example>", subject=CANARY, text=f"Where is {CANARY}?"))
        yield running
    finally:
        running.close()


def status(daemon: Daemon) -> dict[str, object]:
    command = [sys.executable, "-m", "mailassist", "--config", str(daemon.file), "status", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (mailbox,) = json.loads(done.stdout)["mailboxes"]
    return dict(mailbox)


def test_a_daemon_that_works_is_seen_to_work_and_keeps_to_itself_what_it_reads(daemon: Daemon) -> None:
    queue = 'mailassist_queue{mailbox="support"} 1.0'
    page = until(lambda: text if queue in (text := daemon.asked("/metrics")[1]) else None)
    assert 'mailassist_connections{kind="idle"} 1.0' in page or 'mailassist_connections{kind="notify"} 1.0' in page
    assert daemon.asked("/live")[0] == 200
    until(lambda: daemon.told("WATCHDOG=1"))
    seen = status(daemon)
    assert (seen["state"], seen["queue"], seen["backlog"], seen["watcher_gone"]) == ("ok", 1, 0, False)
    assert seen["calls"] == 2  # triage and draft

    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.told("RELOADING=1"))
    until(lambda: daemon.told("READY=1"))

    daemon.process.send_signal(signal.SIGTERM)
    until(lambda: daemon.told("STOPPING=1"))
    assert daemon.process.wait(30) == 0
    assert status(daemon)["queue"] == 1

    said = daemon.said.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in said.splitlines()]
    assert {"ready", "stopped"} <= {line["event"] for line in lines}
    assert not [line for line in lines if "traceback" in line]
    for secret in (CANARY, "sk-test", "customer.example"):
        assert secret not in (said + page).lower(), secret


def test_a_new_address_of_health_is_taken_over_and_one_that_is_taken_is_refused(daemon: Daemon) -> None:
    old, text = daemon.port, daemon.file.read_text(encoding="utf-8")

    def reload(port: int) -> None:
        daemon.file.write_text(text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{port}"), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.told("RELOADING=1"))
        until(lambda: daemon.told("READY=1"))

    daemon.port = _free_port()
    reload(daemon.port)
    assert daemon.asked("/live")[0] == 200
    with socket.socket() as trying:
        assert trying.connect_ex(("127.0.0.1", old)) != 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        reload(taken.getsockname()[1])
    assert daemon.asked("/live")[0] == 200
    events = [json.loads(line) for line in daemon.said.read_text(encoding="utf-8").splitlines()]
    (refused,) = [one for one in events if one["event"] == "the new configuration is not valid; the old one stays"]
    assert "cannot be listened at" in refused["error"]


_HANGS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from mailassist.daemon import service
service.LEAVE_AFTER = 1.0
ThreadPoolExecutor(1).submit(time.sleep, 600)  # as a call to a database that is away: Python waits for it at its end
sys.argv = ["mailassist", "--config", sys.argv[1], "daemon"]
from mailassist.cli import main
main()
"""


def test_a_thread_that_hangs_does_not_keep_the_daemon_from_ending(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait(20)
    with daemon.said.open("wb") as stderr:
        daemon.process = subprocess.Popen([sys.executable, "-c", _HANGS, str(daemon.file)], stderr=stderr)
    until(lambda: '"ready"' in daemon.said.read_text())
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(30) == 0
    assert "something hangs" in daemon.said.read_text()
