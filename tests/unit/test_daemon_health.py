"""Health and metrics over real sockets, and `mailassist status` over the same store."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mailassist.cli import group
from mailassist.config import Config
from mailassist.config_file import load
from mailassist.daemon.health import LARGEST, Health
from mailassist.desk import STORE_FILE
from mailassist.errors import ConfigError, ConnectionFailed, StoreError
from mailassist.store import mailboxes, notices, team_schema
from mailassist.store.database import Store
from mailassist.store.ledger import Call, Spent, reserve, settle
from mailassist.team import status
from mailassist.team.socket_server import SocketServer
from mailassist.team_settings import TeamRoles

NOW = 1_795_600_000.0
ACCOUNT = """
[accounts.{name}]
address = "{name}@canary.example"
[accounts.{name}.imap]
host = "127.0.0.1"
port = 143
security = "none"
[accounts.{name}.team]
daily_budget = 2.0
"""


class Clock:
    """Wall clock and monotonic one, moved by hand; progress was made at the start."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return NOW + self.passed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = f'data_folder = "{tmp_path}"\n' + "".join(ACCOUNT.format(name=name) for name in ("support", "sales"))
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Config:
    return load(folder / "config.toml")


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = Store(folder / STORE_FILE)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(store: Store, config: Config, clock: Clock) -> Iterator[Health]:
    listening = Health(
        "127.0.0.1:0",
        lambda: status.look(store, config, now=clock()),
        since_progress=lambda: clock.passed,
        monotonic=lambda: clock.passed,
    )
    yield listening
    listening.close()


def put(store: Store, table: Any, **values: Any) -> None:
    times = {"created_at": NOW, "changed_at": NOW} if "created_at" in table.c and "changed_at" in table.c else {}
    with store.write() as connection:
        connection.execute(table.insert().values(**{**times, **values}))


def work(store: Store) -> None:
    """Two mailboxes with work; canaries stand in whatever could leak."""
    for number, state in enumerate(("seen", "packed", "delivered", "failed")):
        put(
            store, team_schema.arrivals,
            key=f"k{number}", mailbox="support", message_id=f"<CANARY{number}@x>", sender="eve@canary.example",
            received=NOW - 100 * (number + 1), state=state, attempts=number, error="eve@canary.example CANARY",
        )  # fmt: skip
    for number, (state, due) in enumerate((("drafted", NOW - 5), ("person", NOW + 99), ("answered", NOW - 99))):
        put(
            store, team_schema.cases,
            mailbox="support", conversation=f"<CANARY{number}@x>", message_id=f"<CANARY{number}@x>",
            arrived=NOW - 1000 * (number + 1), subject="CANARY", correspondent="eve@canary.example",
            state=state, due=due, reason="CANARY",
        )  # fmt: skip
    for number, outcome in enumerate(("as is", "edited", "edited", "discarded")):
        put(store, team_schema.feedback, mailbox="support", answers=f"<CANARY{number}@x>", outcome=outcome, at=NOW - 9)
    put(store, team_schema.model_use, name="api.example.org gpt", failures=6, not_before=NOW + 60)
    call = Call("support", "support@canary.example", "gpt-4o-mini", "api.example.org", messages=1)
    spent = Spent("gpt-4o-mini", 1000, 0, 100, 0.25)
    for failed in (False, True):
        number = reserve(store, call, spent, now=NOW, daily_budget=None, day=NOW)
        settle(store, number, spent, failed=failed)
    mailboxes.connected(store, "support", "idle", watcher="elsewhere:1", now=NOW)
    mailboxes.looked(store, "support", now=NOW - 30)
    mailboxes.failed(store, "sales", "refused, says CANARY", refused=True, now=NOW)
    mailboxes.pause(store, "sales", "20 drafts were not used", now=NOW)
    with store.write() as connection:
        notices.add(connection, "sales", "paused", kind="at once", now=NOW)


def asked(health: Health, path: str, *, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", health.port, timeout=10)
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_counts_and_ages_are_there_and_nothing_else(health: Health, store: Store) -> None:
    work(store)
    code, page = asked(health, "/metrics")
    assert code == 200
    for line in (
        'mailassist_arrivals{mailbox="support",state="packed"} 1.0',
        'mailassist_arrivals{mailbox="sales",state="seen"} 0.0',
        'mailassist_cases{mailbox="support",state="drafted"} 1.0',
        'mailassist_drafts{mailbox="support",outcome="edited"} 2.0',
        'mailassist_backlog{mailbox="support"} 2.0',
        'mailassist_oldest_arrival_age_seconds{mailbox="support"} 200.0',
        'mailassist_look_age_seconds{mailbox="support"} 30.0',
        'mailassist_mailbox_broken{mailbox="sales"} 1.0',
        'mailassist_mailbox_paused{mailbox="sales"} 1.0',
        'mailassist_queue{mailbox="support"} 2.0',
        'mailassist_queue_overdue{mailbox="support"} 1.0',
        'mailassist_queue_oldest_age_seconds{mailbox="support"} 2000.0',
        'mailassist_model_calls_today{mailbox="support"} 2.0',
        'mailassist_model_failures_today{mailbox="support"} 1.0',
        'mailassist_model_cost_dollars_today{mailbox="support"} 0.5',
        'mailassist_connections{kind="idle"} 1.0',
        'mailassist_model_paused{model="api.example.org gpt"} 1.0',
        "mailassist_notices_waiting 1.0",
        "mailassist_store_up 1.0",
    ):
        assert line in page.splitlines(), line
    assert 'mailassist_look_age_seconds{mailbox="sales"}' not in page
    assert "process_resident_memory_bytes" in page
    for path in ("/metrics", "/ready", "/live"):
        assert "canary" not in asked(health, path)[1].lower()


def test_the_operators_guide_knows_every_metric_and_its_configuration_is_valid(
    health: Health, store: Store, tmp_path: Path
) -> None:
    work(store)
    guide = (Path(__file__).parents[2] / "docs" / "DAEMON.md").read_text(encoding="utf-8")
    told = set(re.findall(r"mailassist_\w+", guide))
    there = set(re.findall(r"^# TYPE (mailassist_\w+)", asked(health, "/metrics")[1], re.MULTILINE))
    assert told == there
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "guide.toml").write_text(example, encoding="utf-8")
    assert status.team_mailboxes(load(tmp_path / "guide.toml")) == ["support"]


def test_live_is_what_makes_progress(health: Health, clock: Clock) -> None:
    assert asked(health, "/live")[0] == 200
    clock.passed = 61.0
    code, said = asked(health, "/live")
    assert (code, json.loads(said)["live"]) == (503, False)


def test_ready_is_whose_mailboxes_were_looked_at_in_time_or_are_known_to_be_broken(
    health: Health, store: Store, clock: Clock
) -> None:
    def ready() -> tuple[int, int, int, int]:
        clock.passed += 10.0
        code, said = asked(health, "/ready")
        counts = json.loads(said)
        return code, counts["looked_at"], counts["broken"], counts["late"]

    assert ready() == (503, 0, 0, 2)
    mailboxes.looked(store, "support", now=clock())
    assert ready() == (503, 1, 0, 1)
    mailboxes.failed(store, "sales", "no route", now=clock())
    assert ready() == (200, 1, 1, 0)
    clock.passed += 1000.0
    assert ready() == (503, 0, 1, 1)


def test_a_store_that_cannot_be_read_is_not_ready_and_said_in_the_metrics() -> None:
    def broken() -> status.Overview:
        raise StoreError("CANARY")

    health = Health("127.0.0.1:0", broken, since_progress=lambda: 0.0)
    try:
        assert asked(health, "/ready") == (503, '{"ready": false, "store": false}\n')
        code, page = asked(health, "/metrics")
        assert (code, "mailassist_store_up 0.0" in page) == (200, True)
        assert asked(health, "/live")[0] == 200
    finally:
        health.close()


@pytest.mark.parametrize(
    ("method", "path", "host", "code"),
    [
        ("GET", "/", "127.0.0.1", 404),
        ("GET", "/metrics/../etc/passwd", "127.0.0.1", 404),
        ("GET", "/live?x", "127.0.0.1", 404),
        ("POST", "/live", "127.0.0.1", 405),
        ("HEAD", "/live", "127.0.0.1", 405),
        ("GET", "/live", "evil.example", 403),
        ("GET", "/live", "127.0.0.1.evil.example:80", 403),
        ("GET", "/live", "localhost:9464", 200),
        ("GET", "/live", "[::1]:9464", 200),
    ],
)
def test_only_three_paths_are_answered_to_this_machine(
    health: Health, method: str, path: str, host: str, code: int
) -> None:
    got, text = asked(health, path, method=method, host=host)
    assert got == code
    assert "passwd" not in text


def test_large_slow_and_many_requests_end_by_themselves(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailassist.daemon.health.DEADLINE", 0.2)

    def opened(said: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", health.port), timeout=10)
        connection.sendall(said)
        return connection

    def ended(connection: socket.socket) -> bool:
        try:
            return connection.recv(100) == b""
        except ConnectionResetError:
            return True

    with opened(b"GET /live HTTP/1.1\r\nX: " + b"x" * LARGEST) as large:
        assert ended(large)
    waiting = [opened(b"GET /live HTTP/1.1\r\n") for _ in range(20)]
    assert all(ended(connection) for connection in waiting)
    for connection in waiting:
        connection.close()
    assert asked(health, "/live")[0] == 200


@pytest.mark.parametrize("where", ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "example.org:9464", "9464", ":9464"])
def test_other_machines_cannot_be_let_in(where: str) -> None:
    with pytest.raises(ConfigError, match=r"daemon\.health"):
        Health(where, pytest.fail, since_progress=lambda: 0.0)


def test_a_port_that_is_taken_is_named(health: Health) -> None:
    with pytest.raises(ConfigError, match=str(health.port)):
        Health(f"127.0.0.1:{health.port}", pytest.fail, since_progress=lambda: 0.0)


def test_a_unix_socket_serves_owner_and_group_and_takes_the_place_of_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "health.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    health = Health(str(path), pytest.fail, since_progress=lambda: 0.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10)
        asking.connect(str(path))
        asking.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        assert asking.makefile("rb").readline().startswith(b"HTTP/1.0 200")
    with pytest.raises(ConfigError, match="another daemon"):
        Health(str(path), pytest.fail, since_progress=lambda: 0.0)
    health.close()
    assert not path.exists()


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(group, ["--config", str(folder / "config.toml"), *words])


def test_status_says_how_each_mailbox_is(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    work(store)
    monkeypatch.setattr("time.time", lambda: NOW)
    said = run(folder, "status").output
    support = next(line for line in said.splitlines() if line.startswith("support"))
    assert support.split() == ["support", "ok", "idle", "30", "s", "ago", "2", "2", "1", "3", "of", "4",
                               "$0.5000", "of", "$2.00"]  # fmt: skip
    sales = next(line for line in said.splitlines() if line.startswith("sales"))
    assert sales.split()[1:5] == ["refused", "refused", "never", "0"]
    assert "sales: refused, says CANARY (0 s ago)" in said
    assert "no drafts are made, since 0 s ago: 20 drafts were not used" in said
    assert "api.example.org gpt: not asked for another 1 min, after 6 failures in a row" in said
    assert "People are still to hear of 1" in said
    record = json.loads(run(folder, "status", "support", "--json").output)
    (only,) = record["mailboxes"]
    assert (only["mailbox"], only["backlog"], only["used"], only["cost"]) == ("support", 2, 3, 0.5)
    assert "CANARY0" not in json.dumps(record)


def test_status_makes_nothing_and_names_what_there_is_not(folder: Path) -> None:
    said = run(folder, "status")
    assert said.exit_code == 0
    assert "never" in said.output
    assert not (folder / STORE_FILE).exists()
    assert "support, sales" in str(run(folder, "status", "other").exception)


def test_a_reviewer_asks_the_daemon_whose_file_they_may_not_open(
    folder: Path, store: Store, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work(store)
    monkeypatch.setattr("time.time", lambda: NOW)
    me = pwd.getpwuid(os.getuid()).pw_name
    where = tmp_path / "review.sock"
    server = SocketServer(
        where, lambda who, role: pytest.fail("no queue is asked"), TeamRoles(see=[me]), record=lambda *_, **__: 0,
        status=lambda: status.as_record(status.look(store, config, now=NOW)), group="",
    )  # fmt: skip
    file = folder / "config.toml"
    mine = file.read_text(encoding="utf-8").replace(f'"{folder}"', f'"{folder / "mine"}"')
    file.write_text(f'{mine}\n[team]\nsocket = "{where}"\n', encoding="utf-8")
    server.start()
    try:
        record = json.loads(run(folder, "status", "--json").output)
        assert [one["backlog"] for one in record["mailboxes"]] == [2, 0]
        assert run(folder, "status").exit_code == 0
    finally:
        server.stop()
    assert isinstance(run(folder, "status").exception, ConnectionFailed)


def test_a_watcher_that_is_gone_is_told(folder: Path, store: Store) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    mailboxes.connected(store, "support", "idle", watcher=f"{socket.gethostname()}:{child}", now=NOW)
    assert "does not run any more" in run(folder, "status").output
    mailboxes.connected(store, "support", "idle", watcher=f"{socket.gethostname()}:{os.getpid()}", now=NOW)
    assert "does not run any more" not in run(folder, "status").output


def test_a_mailbox_is_paused_and_goes_on(folder: Path, store: Store) -> None:
    assert "No more drafts" in run(folder, "team", "pause", "support", "--reason", "a holiday").output
    assert mailboxes.get(store, "support").paused == "a holiday"
    assert "already" in run(folder, "team", "pause", "support").output
    assert "again" in run(folder, "team", "resume", "support").output
    assert mailboxes.get(store, "support").paused == ""
    assert "not paused" in run(folder, "team", "resume", "support").output
    assert run(folder, "team", "pause", "nobody").exit_code != 0


def test_what_the_watcher_reports_is_kept_apart_from_the_cutoff_of_the_first_start(store: Store) -> None:
    assert mailboxes.begin(store, "support", cutoff=NOW) == NOW
    assert mailboxes.begin(store, "support", cutoff=NOW + 99) == NOW
    mailboxes.connected(store, "support", "idle", watcher="a:1", now=NOW)
    mailboxes.failed(store, "support", "cut", now=NOW + 1)
    assert mailboxes.get(store, "support").broken
    mailboxes.looked(store, "support", now=NOW + 2)
    row = mailboxes.get(store, "support")
    assert (row.broken, row.error, row.cutoff) == (False, "", NOW)
    mailboxes.let_go(store, "support", watcher="b:2")
    assert mailboxes.get(store, "support").watcher == "a:1"
    mailboxes.let_go(store, "support", watcher="a:1")
    assert mailboxes.get(store, "support").watcher == ""
