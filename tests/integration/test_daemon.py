"""The daemon as a process: it watches, drafts, reloads, stops, and goes on after it was killed."""

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from servers.daemon import Daemon, eventually
from servers.dovecot import Dovecot
from servers.exchange import ExchangeServer
from servers.model_api import ModelServer
from servers.postgres import Postgres, with_tables
from servers.proxy import CutProxy
from servers.team import answering, client, configuration, id_of, in_folder, mail

from mailassist.store import arrivals, cases, feedback, mailboxes
from mailassist.store.database import Store
from mailassist.team import audit_proof

WRITES = ("APPEND", "STORE", "COPY", "MOVE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "SETMETADATA")


class Place:
    """One team mailbox and the daemon's configuration."""

    def __init__(self, dovecot: Dovecot, model: ModelServer, folder: Path, *names: str) -> None:
        self.dovecot, self.model, self.folder = dovecot, model, folder
        self.boxes = {name: dovecot.user(name) for name in names or ("support",)}
        self.box = next(iter(self.boxes.values()))
        self.write()

    def write(self, *, policy: str = "", more: str = "", replace: tuple[str, str] = ("", "")) -> Path:
        text = configuration(
            self.dovecot, self.model, self.boxes, self.folder, policy=policy, more=f'[daemon]\nhealth = ""\n{more}'
        )
        self.config = self.folder / "config.toml"
        self.config.write_text(text.replace(*replace) if replace[0] else text)
        return self.config

    def drafts(self) -> list[object]:
        return list(in_folder(self.dovecot, self.box, "Drafts"))


@pytest.fixture
def place(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> Place:
    model_server.answers = [answering()]
    return Place(dovecot, model_server, tmp_path)


def test_mail_that_arrives_is_drafted_and_sigterm_ends_it(place: Place) -> None:
    with Daemon(place.config) as daemon:
        eventually(lambda: daemon.said("ready"))
        place.box.deliver(mail())
        eventually(lambda: len(place.drafts()) == 1)
        begun = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - begun < 30
    assert daemon.said("stopped")
    log = daemon.log_file.read_text()
    assert "carla@customer.example" not in log
    assert "sk-test" not in log
    key = (place.folder / "data" / "audit.key").read_text().strip().encode()
    assert audit_proof.verify(daemon.store(), key).whole


def test_what_came_while_it_was_down_is_caught_up(place: Place) -> None:
    with Daemon(place.config) as daemon:
        eventually(lambda: daemon.said("ready") and bool(mailboxes.get(daemon.store(), "support").looked_at))
        daemon.stop()
    place.box.deliver(mail())
    with Daemon(place.config):
        eventually(lambda: len(place.drafts()) == 1)


def test_its_only_writes_are_drafts(place: Place) -> None:
    """On the wire: what a proxy between the daemon and the server saw."""
    with CutProxy(place.dovecot.host, place.dovecot.port) as proxy:
        place.write(replace=(f"port = {place.dovecot.port}", f"port = {proxy.port}"))
        with Daemon(place.config) as daemon:
            eventually(lambda: daemon.said("ready") and bool(mailboxes.get(daemon.store(), "support").looked_at))
            asked = mail()
            place.box.deliver(asked)
            eventually(lambda: len(place.drafts()) == 1)
            place.box.deliver(mail(answers=id_of(asked), text="And in red?"))
            eventually(lambda: cases.listed(daemon.store())[0].state == "drafted" and _in_reply(place) != id_of(asked))
            answer = mail(sender="support@team.example", to="carla@customer.example", answers=_in_reply(place))
            with client(place.dovecot, place.box) as program:
                program.append("Sent", answer, flags=["\\Seen"])
            eventually(lambda: place.drafts() == [] and cases.listed(daemon.store())[0].state == "answered")
            daemon.stop()
        commands = proxy.commands()
    writing = [one for one in commands if set(one.upper().split()[:2]) & set(WRITES)]
    assert any(one.startswith("APPEND") for one in writing)
    assert any(one.startswith("UID MOVE") for one in writing)
    for one in writing:
        words = one.split()
        if words[0] == "APPEND":
            assert words[1].strip('"') == "Drafts"
            assert "\\Draft" in one
        else:
            assert words[0] == "UID"
            assert words[1] in ("MOVE", "COPY", "STORE", "EXPUNGE")
            assert words[1] != "STORE" or words[3:] == ["+FLAGS", "(\\Deleted)"]
    assert {one.split()[1].strip('"') for one in commands if one.startswith("SELECT ")} <= {"Drafts"}
    assert not any("BODY[" in one.upper() for one in commands)


def _in_reply(place: Place) -> str:
    found = in_folder(place.dovecot, place.box, "Drafts")
    return str(found[0]["In-Reply-To"]) if found else ""


def test_a_killed_daemon_is_gone_on_with(place: Place) -> None:
    for _ in range(6):
        place.box.deliver(mail())
    place.write(replace=('health = ""', 'health = ""\nfirst_start_days = 1.0'))
    place.model.answers = [answering()]
    daemon = Daemon(place.config).start()
    try:
        eventually(lambda: len(place.model.requests) > 3)
        daemon.kill()
        daemon.start()
        eventually(lambda: len(place.drafts()) >= 3)
        daemon.kill()
        daemon.start()
        eventually(lambda: set(arrivals.counted(daemon.store())) == {("support", "delivered")}, 120)
        daemon.stop()
    finally:
        daemon.kill()
    assert len(place.drafts()) == 6
    assert len({draft["In-Reply-To"] for draft in place.drafts()}) == 6


def test_a_shared_mailbox_on_exchange_is_opened_by_a_delegate_and_answered_in_outlook(
    exchange_server: ExchangeServer, place: Place
) -> None:
    place.write(replace=(f"port = {place.dovecot.port}", f"port = {exchange_server.port}"))
    text = place.config.read_text()
    login = f'login = "{place.box.name}"'
    assert login in text
    text = text.replace(login, 'login = "robot@team.example"\nmailbox = "support@team.example"\nmethod = "xoauth2"')
    head, _, tail = text.partition("[accounts.support.secret]")
    tail = tail.replace(f'password_file = "{place.folder}/password"', 'token_command = "echo token"', 1)
    place.config.write_text(f"{head}[accounts.support.secret]{tail}")
    with Daemon(place.config) as daemon, closing(daemon.store()) as store:
        eventually(lambda: bool(mailboxes.get(store, "support").looked_at))
        exchange_server.deliver(mail())
        eventually(lambda: arrivals.counted(store) == {("support", "delivered"): 1})
        assert set(exchange_server.tokens) == {b"user=support@team.example\1auth=Bearer token\1\1"}
        (draft,) = exchange_server.folders["Drafts"]
        exchange_server.send(draft)  # under another Message-ID, without our header
        exchange_server.deliver(mail())  # its work looks at Sent, of which IDLE tells nothing here
        eventually(lambda: [one.state for one in cases.listed(store)] == ["answered", "drafted"])
        eventually(lambda: [one.outcome for one in feedback.latest(store, "support", 5)] == ["as is"])
        eventually(lambda: ("support", "delivered") in arrivals.counted(store))
        assert daemon.stop() == 0
    assert len(exchange_server.folders["Drafts"]) == 1
    assert len(exchange_server.folders["Sent Items"]) == 1


def test_another_watcher_takes_over_when_one_dies(place: Place, postgres: Postgres) -> None:
    url, key = postgres.database(with_tables).url(), place.folder / "audit.key"
    key.write_text("k" * 64)
    key.chmod(0o600)
    place.write(more=f'[team]\ndatabase = "{url}"\naudit_key_file = "{key}"\n')
    (place.folder / "other").mkdir()
    other = place.folder / "other" / "config.toml"
    other.write_text(place.config.read_text().replace(f'"{place.folder}/data"', f'"{place.folder}/other/data"'))

    def is_watched_by(daemon: Daemon) -> bool:
        row = mailboxes.get(store, "support")
        assert daemon.process is not None
        return row.watcher.endswith(f":{daemon.process.pid}") and bool(row.looked_at)

    with closing(Store.on_postgres(url)) as store, Daemon(place.config) as first:
        eventually(lambda: is_watched_by(first))
        with Daemon(other) as second:
            eventually(lambda: second.said("ready"))
            place.box.deliver(mail())
            eventually(lambda: len(place.drafts()) == 1)
            assert is_watched_by(first)
            first.kill()
            place.box.deliver(mail())
            eventually(lambda: len(place.drafts()) == 2)
            assert is_watched_by(second)
            assert second.stop() == 0


def test_a_broken_mailbox_does_not_disturb_the_others(dovecot: Dovecot, model_server: ModelServer, tmp_path) -> None:
    model_server.answers = [answering()]
    place = Place(dovecot, model_server, tmp_path, "support", "sales")
    (tmp_path / "wrong").write_text("not the password")
    (tmp_path / "wrong").chmod(0o600)
    text = place.config.read_text()
    head, _, tail = text.partition("[accounts.sales.secret]")
    place.config.write_text(f"{head}[accounts.sales.secret]{tail.replace('/password', '/wrong', 1)}")
    with Daemon(place.config) as daemon:
        eventually(lambda: "refused" in mailboxes.get(daemon.store(), "sales").connection)
        place.box.deliver(mail())
        eventually(lambda: len(place.drafts()) == 1)
        command = [sys.executable, "-m", "mailassist", "--config", str(place.config), "status", "--json"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        found = {one["mailbox"]: one for one in json.loads(said.stdout)["mailboxes"]}
        assert found["sales"]["state"] == "refused"
        assert found["sales"]["error"]
        assert found["support"]["state"] == "ok"
        daemon.stop()


def test_a_changed_configuration_is_taken_over_only_where_it_is_valid(place: Place) -> None:
    with Daemon(place.config) as daemon:
        eventually(lambda: daemon.said("ready"))
        good = place.config.read_text()
        place.config.write_text(good.replace("burst_seconds = 0.0", "burst_seconds = -1.0"))
        daemon.signal(signal.SIGHUP)
        eventually(lambda: daemon.said("the new configuration is not valid; the old one stays"))
        place.box.deliver(mail())
        eventually(lambda: len(place.drafts()) == 1)
        place.write(policy='never_senders = ["carla@customer.example"]')
        daemon.signal(signal.SIGHUP)
        eventually(lambda: daemon.said("the new configuration holds"))
        place.box.deliver(mail())
        eventually(lambda: ("support", "none") in arrivals.counted(daemon.store()))
        assert len(place.drafts()) == 1
        daemon.stop()


def test_a_dry_run_counts_and_prices_and_changes_nothing(place: Place) -> None:
    place.box.deliver(mail(), received=time.time() - 86_400)
    place.box.deliver(mail(headers={"Auto-Submitted": "auto-replied"}), received=time.time() - 86_400)
    command = [sys.executable, "-m", "mailassist", "--config", str(place.config), "daemon", "--dry-run", "--days", "3"]
    said = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    (found,) = json.loads(said.stdout)
    assert (found["conversations"], found["messages"]) == (1, 2)
    assert found["price"] > 0
    assert place.drafts() == []
    assert place.model.requests == []
    assert not (place.folder / "data").exists()
    with client(place.dovecot, place.box) as program:
        program.select_folder("INBOX", readonly=True)
        assert all(b"\\Seen" not in flags for flags in program.get_flags(program.search()).values())


def test_once_ends_by_itself_and_reports(place: Place) -> None:
    place.write(replace=('health = ""', 'health = ""\nfirst_start_days = 1.0'))
    place.box.deliver(mail())
    command = [
        sys.executable,
        "-m",
        "mailassist",
        "--config",
        str(place.config),
        "daemon",
        "--once",
        "--shadow",
        "--json",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    (report,) = json.loads(said.stdout)
    assert (report["mailbox"], report["cases"], report["outcomes"], report["calls"]) == (
        "support",
        {"drafted": 1},
        {},
        2,
    )
    assert report["cost"] > 0
    assert place.drafts() == []


def test_the_process_cannot_import_smtp() -> None:
    program = (
        "from mailassist.daemon.no_sending import refuse_sending; refuse_sending()\n"
        "import mailassist.daemon.service, sys\n"
        "assert 'smtplib' not in sys.modules and 'mailassist.transport.smtp' not in sys.modules\n"
        "for name in ('smtplib', 'mailassist.transport.smtp', 'mailassist.delivery.outbox'):\n"
        "    try:\n        __import__(name)\n    except ImportError as error:\n        print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.count("cannot send") == 3
