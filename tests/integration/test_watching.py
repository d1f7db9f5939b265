"""Many mailboxes watched from one process: news is noticed on every kind of server, and one broken mailbox is one."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from imapclient import IMAPClient
from pydantic import SecretStr
from servers.dovecot import Dovecot, Mailbox
from servers.exchange import ExchangeServer
from servers.gmail import GmailServer
from servers.proxy import CutProxy
from servers.scene import question
from servers.scripted_imap import mailbox as usual
from servers.scripted_imap import scripted
from skipping import unavailable

from mailassist.config import FolderSettings, ServerSettings
from mailassist.daemon.watching.budget import budget
from mailassist.daemon.watching.hub import Hub
from mailassist.daemon.watching.mailbox import PATIENCE, Report, Timing, Watched
from mailassist.errors import MailboxError, StoreError
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.maildir import MaildirSource
from mailassist.transport.permitted import ReadOnly
from mailassist.transport.source import MailSource

QUICK = Timing(first_pause=0.1, longest_pause=0.4, hint_gap=0.1, drafts_gap=0.2)
Port = int


@dataclass
class Team:
    """Mailboxes that a hub watches, what its looks found, and what was told."""

    places: dict[str, tuple[Port, str]]  # name -> port on this machine, login
    timing: Timing = QUICK
    password: str = "secret"
    read_timeout: float = 5.0
    cafile: Path | None = None
    maildirs: dict[str, Path] = field(default_factory=dict)
    found: list[tuple[str, str, int]] = field(default_factory=list)  # mailbox, folder, UID: as a cursor would
    looks: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    told: list[tuple[str, Report]] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)  # of the next look at a mailbox
    cursors: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def opened(self, name: str) -> MailSource:
        if name in self.maildirs:
            return MaildirSource(self.maildirs[name], FolderSettings(), self.maildirs[name])
        port, login = self.places[name]
        settings = ServerSettings(
            host="127.0.0.1",
            port=port,
            security="tls" if self.cafile else "none",
            cafile=self.cafile,
            login=login,
            read_timeout=self.read_timeout,
        )
        secret = lambda: SecretStr(self.password)  # noqa: E731
        return connect(settings, login, secret, FolderSettings(), patience=PATIENCE, permitted=ReadOnly())

    def look(self, name: str, source: MailSource, folders: frozenset[str]) -> None:
        with self.changed:
            self.looks.append((name, folders))
            if (error := self.fails.pop(name, None)) is not None:
                raise error
        for folder in sorted(folders):
            state = source.examine(folder)
            epoch, following = self.cursors.get((name, folder), (state.uidvalidity, 1))
            if epoch != state.uidvalidity:
                following = 1
            uids = source.uids(folder, following, state.uidnext - 1) if state.uidnext > following else []
            headers = list(source.headers(folder, uids))
            bodies = list(source.raw(folder, uids))
            assert len(headers) == len(bodies) == len(uids)
            self.cursors[name, folder] = (state.uidvalidity, state.uidnext)
            with self.changed:
                self.found += [(name, folder, uid) for uid in uids]
                self.changed.notify_all()

    def tell(self, name: str, report: Report) -> None:
        with self.changed:
            self.told.append((name, report))
            self.changed.notify_all()

    def until(self, met: Callable[[], bool], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        with self.changed:
            while not met():
                assert time.monotonic() < end, (self.found, self.told[-5:])
                self.changed.wait(0.2)

    def listens(self, name: str, times: int = 1) -> bool:
        return sum(one == name and report.event == "looked" for one, report in self.told) >= times

    def errors(self, name: str) -> list[Report]:
        return [report for one, report in self.told if one == name and report.event == "failed"]

    def has(self, name: str, folder: str, uid: int) -> bool:
        return (name, folder, uid) in self.found

    @contextmanager
    def watched(self, watchers: int = 4) -> Iterator[Hub]:
        mailboxes = [Watched(name, f"{port}") for name, (port, _) in self.places.items()]
        mailboxes += [Watched(name, "this machine") for name in self.maildirs]
        hub = Hub(mailboxes, opened=self.opened, look=self.look, tell=self.tell, watchers=watchers, timing=self.timing)
        over = threading.Event()
        thread = threading.Thread(target=hub.run, args=(over.is_set,))
        thread.start()
        try:
            yield hub
        finally:
            over.set()
            thread.join(30)
            assert not thread.is_alive()


def without(*names: str) -> Callable[[bytes], bytes]:
    pattern = re.compile(b"|".join(rb" %s\b" % name.encode() for name in names))

    def change(data: bytes) -> bytes:
        return pattern.sub(b"", data) if b"CAPABILITY" in data else data

    return change


@contextmanager
def client(dovecot: Dovecot, box: Mailbox) -> Iterator[IMAPClient]:
    with IMAPClient(dovecot.host, dovecot.port, ssl=False) as one:
        one.login(box.name, dovecot.password)
        yield one


@pytest.fixture
def box(dovecot: Dovecot) -> Mailbox:
    return dovecot.user("watched")


KINDS = {"notify": (), "idle": ("NOTIFY",), "poll": ("NOTIFY", "IDLE")}


@pytest.mark.parametrize("kind", KINDS)
def test_new_mail_is_noticed_in_every_folder(dovecot: Dovecot, box: Mailbox, kind: str) -> None:
    box.deliver(question(1))
    timing = replace(QUICK, others=1.0, poll=0.5)
    with CutProxy(dovecot.host, dovecot.port, change=without(*KINDS[kind])) as proxy:
        team = Team({"a": (proxy.port, box.name)}, timing)
        with team.watched(), client(dovecot, box) as other:
            team.until(lambda: team.has("a", "INBOX", 1) and team.listens("a"))
            assert {report.connection for _, report in team.told} == {kind}
            for uid, folder in enumerate(("INBOX", "Sent", "Drafts", "INBOX"), 1):
                other.append(folder, question(uid + 1))
                number = {"INBOX": 2, "Sent": 1, "Drafts": 1}[folder] + (uid == 4)
                team.until(lambda folder=folder, number=number: team.has("a", folder, number))
            other.select_folder("INBOX", readonly=True)
            assert all(b"\\Seen" not in one[b"FLAGS"] for one in other.fetch(other.search(), ["FLAGS"]).values())
    written = re.compile(r"(?:\S+ )?(?:UID )?(?:SELECT|STORE|APPEND|COPY|MOVE|EXPUNGE|CREATE)\b|.*BODY\[")
    assert not [line for line in proxy.lines if written.match(line)]
    assert len(team.found) == len(set(team.found))


def test_what_lies_in_tls_already_is_heard(dovecot: Dovecot, box: Mailbox) -> None:
    if dovecot.cafile is None:
        unavailable("There is no openssl to make certificates with")
    team = Team({"a": (dovecot.tls_port, box.name)}, cafile=dovecot.cafile)
    with team.watched(), client(dovecot, box) as other:
        team.until(lambda: team.listens("a"))
        for uid in range(1, 6):
            other.append("INBOX", question(uid))
            other.append("Sent", question(uid))
            team.until(lambda uid=uid: team.has("a", "INBOX", uid) and team.has("a", "Sent", uid))


def test_mail_on_a_disk_of_this_machine_is_polled(tmp_path: Path) -> None:
    box = Mailbox("disk", tmp_path / "Maildir", (os.getuid(), os.getgid()))
    box.deliver(question(1))
    team = Team({}, replace(QUICK, poll=0.2), maildirs={"a": box.folder})
    with team.watched():
        team.until(lambda: team.has("a", "INBOX", 1))
        box.deliver(question(2))
        team.until(lambda: team.has("a", "INBOX", 2))


@pytest.mark.parametrize(
    ("notify", "idle"),
    [
        pytest.param(["BAD [BADEVENT (MessageNew)] no"], ["+ idling", ""], id="refused"),
        pytest.param(["OK done"], ["+ idling", "* OK [NOTIFICATIONOVERFLOW] too much", ""], id="given up"),
        pytest.param(["* OK [NOTIFICATIONOVERFLOW] too much", "OK done"], ["+ idling", ""], id="given up at once"),
    ],
)
def test_without_notify_the_other_folders_are_asked_for(notify: list[str], idle: list[str]) -> None:
    def answer(command: str) -> list[str] | None:
        if command.startswith("STATUS"):
            return ["* STATUS Sent (MESSAGES 2 UIDNEXT 30 UIDVALIDITY 5)", "OK done"]
        return usual(command, {"NOTIFY": notify, "IDLE": idle})

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE NOTIFY] ready") as server:
        team = Team({"a": (server.port, "me")}, replace(QUICK, others=0.5))
        with team.watched():
            team.until(lambda: team.listens("a") and team.told[-1][1].connection == "idle")
            before = len(server.commands)
            team.until(lambda: sum(one.startswith("STATUS") for one in server.commands[before:]) >= 3)


def test_what_a_colleague_takes_away_or_answers_is_a_reason_to_look(dovecot: Dovecot, box: Mailbox) -> None:
    box.deliver(question(1))
    team = Team({"a": (dovecot.port, box.name)})
    with team.watched(), client(dovecot, box) as other:
        team.until(lambda: team.listens("a"))
        other.append("Drafts", question(2))
        team.until(lambda: team.has("a", "Drafts", 1) and team.listens("a", 2))
        before = len(team.looks)
        other.select_folder("Drafts")
        other.delete_messages([1])
        other.expunge()
        team.until(lambda: any("Drafts" in folders for _, folders in team.looks[before:]) and team.listens("a", 3))
        before = len(team.looks)
        other.select_folder("INBOX")
        other.add_flags([1], ["\\Answered"])
        team.until(lambda: any("INBOX" in folders for _, folders in team.looks[before:]))


def test_drafts_alone_are_looked_at_a_while_later_and_keep_nothing_else_waiting(dovecot: Dovecot, box: Mailbox) -> None:
    team = Team({"a": (dovecot.port, box.name)}, replace(QUICK, drafts_gap=4.0))
    with team.watched(), client(dovecot, box) as other:
        team.until(lambda: team.listens("a"))
        began = time.monotonic()
        for number in range(6):
            other.append("Drafts", question(number))
            time.sleep(0.2)
        assert not team.has("a", "Drafts", 1)
        team.until(lambda: team.has("a", "Drafts", 6))
        assert time.monotonic() - began >= 4.0
        assert sum("Drafts" in folders for _, folders in team.looks) <= 3  # with the first, of everything
        other.append("Drafts", question(7))
        time.sleep(0.5)
        other.append("INBOX", question(8))
        team.until(lambda: team.has("a", "INBOX", 1), 2.0)


def test_mail_between_a_look_and_idle_is_noticed(dovecot: Dovecot, box: Mailbox) -> None:
    """It arrives when the look is over and IDLE is not yet accepted, every time."""
    late = iter(range(1, 4))

    class Late(Team):
        def opened(self, name: str) -> MailSource:
            source = super().opened(name)
            assert isinstance(source, ImapSource) and source.session is not None
            send = source.session._imap.send

            def interrupted(data: bytes) -> None:
                if data.rstrip().endswith(b"IDLE") and (number := next(late, None)) is not None:
                    with client(dovecot, box) as other:
                        other.append("INBOX", question(number))
                        other.append("Sent", question(number))
                send(data)

            source.session._imap.send = interrupted
            return source

    for hidden in ((), ("NOTIFY",)):
        late = iter(range(1, 4))
        with CutProxy(dovecot.host, dovecot.port, change=without(*hidden)) as proxy:
            team = Late({"a": (proxy.port, box.name)}, replace(QUICK, others=2.0))
            with team.watched():
                last = 3 if not hidden else 6
                team.until(lambda team=team, last=last: team.has("a", "INBOX", last) and team.has("a", "Sent", last))


def test_a_server_that_refuses_idle_is_polled() -> None:
    def answer(command: str) -> list[str] | None:
        return usual(command, {"IDLE": ["NO not today"]})

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE] ready") as server:
        team = Team({"a": (server.port, "me")}, replace(QUICK, poll=0.3))
        with team.watched():
            team.until(lambda: team.listens("a"))
            asked = len(server.commands)
            team.until(lambda: bool(server.commands[asked + 6 :]))
    assert not team.errors("a") and server.commands.count("IDLE") == 1


def test_what_is_told_on_the_way_into_idle_is_news() -> None:
    said = iter([["* 3 EXISTS"]])

    def answer(command: str) -> list[str] | None:
        return usual(command, {"IDLE": [*next(said, []), "+ idling", ""] if command == "IDLE" else []})

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE] ready") as server:
        team = Team({"a": (server.port, "me")})
        with team.watched():
            team.until(lambda: any(folders == {"INBOX"} for _, folders in team.looks))
    assert server.connections == 1


def test_a_cut_connection_comes_back_and_catches_up(dovecot: Dovecot, box: Mailbox) -> None:
    with CutProxy(dovecot.host, dovecot.port) as proxy:
        team = Team({"a": (proxy.port, box.name)})
        with team.watched():
            team.until(lambda: team.listens("a"))
            proxy.cut_all()
            box.deliver(question(1))
            team.until(lambda: team.has("a", "INBOX", 1))
            assert [report.connection for report in team.errors("a")] == ["offline"]
            for offset in (10, 400, 900, 1500):  # within the greeting, the login, a look
                proxy.cut("down", offset)
                proxy.cut_all()
                failures = len(team.errors("a"))
                looked = sum(report.event == "looked" for _, report in team.told)
                team.until(lambda failures=failures: len(team.errors("a")) > failures)
                team.until(lambda looked=looked: team.listens("a", looked + 1))


def test_a_half_open_connection_is_found_when_idle_is_renewed(dovecot: Dovecot, box: Mailbox) -> None:
    with CutProxy(dovecot.host, dovecot.port) as proxy:
        team = Team({"a": (proxy.port, box.name)}, replace(QUICK, renew=2.0), read_timeout=1.0)
        with team.watched():
            team.until(lambda: team.listens("a"))
            proxy.stall()
            box.deliver(question(1))
            team.until(lambda: team.has("a", "INBOX", 1))
            assert "did not answer in time" in team.errors("a")[0].error


def test_a_server_whose_signs_of_life_stop_is_deaf() -> None:
    def answer(command: str) -> list[str] | None:
        if command == "IDLE":
            return ["+ idling", "* OK Still here", ""]
        return usual(command)

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE] ready") as server:
        team = Team({"a": (server.port, "me")}, replace(QUICK, silence=1.0))
        with team.watched():
            team.until(lambda: any("gone quiet" in report.error for report in team.errors("a")))
            team.until(lambda: server.connections >= 2)


def test_a_renumbered_folder_is_looked_at_again(dovecot: Dovecot, box: Mailbox) -> None:
    with client(dovecot, box) as other:
        other.append("Sent", question(1))
        team = Team({"a": (dovecot.port, box.name)}, replace(QUICK, renew=2.0))
        with team.watched():
            team.until(lambda: team.has("a", "Sent", 1))
            epoch = team.cursors["a", "Sent"][0]
            team.found.clear()
            other.delete_folder("Sent")
            other.create_folder("Sent")
            other.append("Sent", question(2))
            team.until(lambda: team.has("a", "Sent", 1) and team.cursors["a", "Sent"][0] != epoch)


@pytest.mark.parametrize("which", ["gmail_server", "exchange_server"])
def test_other_servers_are_watched_too(request: pytest.FixtureRequest, which: str) -> None:
    server: GmailServer | ExchangeServer = request.getfixturevalue(which)
    sent = "[Gmail]/Gesendet" if which == "gmail_server" else "Sent Items"
    team = Team({"a": (server.port, server.user)}, replace(QUICK, others=1.0))
    with team.watched():
        team.until(lambda: team.listens("a"))
        assert {report.connection for _, report in team.told} == {"idle"}
        server.deliver(question(1))
        team.until(lambda: team.has("a", "INBOX", 1))
        if isinstance(server, GmailServer):
            server.file_sent(question(2))
        else:
            server.deliver(question(2), sent)
        team.until(lambda: team.has("a", sent, 1))
    if isinstance(server, ExchangeServer):
        assert all("\\Seen" not in one.flags for folder in server.folders.values() for one in folder)
    assert not any(re.search(r"SELECT|STORE|APPEND|BODY\[", command) for command in server.commands)


def test_throttling_is_obeyed_for_that_mailbox_only(
    exchange_server: ExchangeServer, dovecot: Dovecot, box: Mailbox
) -> None:
    team = Team({"slow": (exchange_server.port, exchange_server.user), "other": (dovecot.port, box.name)})
    with team.watched():
        team.until(lambda: team.listens("slow") and team.listens("other"))
        exchange_server.throttle(92_415)
        exchange_server.deliver(question(1))
        team.until(lambda: bool(team.errors("slow")))
        (error,) = team.errors("slow")
        assert error.again_at is not None and error.again_at - error.at >= 92.4 and error.connection == "idle"
        commands = len(exchange_server.commands)
        box.deliver(question(1))
        team.until(lambda: team.has("other", "INBOX", 1))
        assert len(exchange_server.commands) == commands and not team.errors("other")


@contextmanager
def babbling(text: bytes, *, endless: bool, pause: float = 0.0) -> Iterator[int]:
    """A server that greets and lets in, and answers all else with `text`."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
                for line in lines:
                    tag, _, command = line.partition(b" ")
                    if command.startswith(b"LOGIN"):
                        connection.sendall(tag + b" OK in\r\n")
                        continue
                    connection.sendall(text)
                    while endless and not over.wait(pause):
                        connection.sendall(text)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()


@pytest.mark.parametrize(
    ("text", "endless", "pause"),
    [
        pytest.param(b"\x00\xff<html>\r\n", False, 0.0, id="no IMAP"),
        pytest.param(b"x" * 65536, True, 0.0, id="a line without end"),
        pytest.param(b"* 1 FETCH (FLAGS ())\r\n" * 100, True, 0.0, id="an answer without end"),
        pytest.param(b"* 1 FETCH (BODY[] {9999999999}\r\n", False, 0.0, id="a literal of 10 GB"),
        pytest.param(b"* OK wait\r\n", True, 0.3, id="an answer that never comes"),
    ],
)
def test_a_server_that_speaks_nonsense_costs_its_own_mailbox_only(
    dovecot: Dovecot, box: Mailbox, text: bytes, endless: bool, pause: float
) -> None:
    with babbling(text, endless=endless, pause=pause) as port:
        timing = replace(QUICK, visit=3.0 if pause else 60.0)
        team = Team({"mad": (port, "me"), "good": (dovecot.port, box.name)}, timing)
        with team.watched(watchers=2):
            team.until(lambda: team.listens("good"))
            box.deliver(question(1))
            team.until(lambda: team.has("good", "INBOX", 1))
            team.until(lambda: bool(team.errors("mad")), 60)
            assert not team.errors("good") and not team.listens("mad")


@pytest.mark.parametrize(
    "line", [b"* 1 EXISTS\r\n", b"* 1 EXISTS\r\n" * 1000, b"no IMAP\r\n", b"x" * 4096, b"* STATUS {5}\r\n"]
)
def test_nonsense_during_idle_costs_its_own_mailbox_only(dovecot: Dovecot, box: Mailbox, line: bytes) -> None:
    def change(data: bytes) -> bytes:
        return data.replace(b"+ idling\r\n", b"+ idling\r\n" + line * 40)

    with CutProxy(dovecot.host, dovecot.port, change=change) as proxy:
        other = dovecot.user("calm")
        places = {"mad": (proxy.port, box.name), "good": (dovecot.port, other.name)}
        team = Team(places, replace(QUICK, hint_gap=5.0))
        with team.watched(watchers=2):
            team.until(lambda: team.listens("good") and bool(team.looks))
            other.deliver(question(1))
            team.until(lambda: team.has("good", "INBOX", 1))
            time.sleep(3)
            assert not team.errors("good")
            assert sum(name == "mad" for name, _ in team.looks) < 50  # however much it hints


def test_a_refused_login_is_tried_again_rarely_and_at_once_when_woken(dovecot: Dovecot, box: Mailbox) -> None:
    team = Team({"a": (dovecot.port, box.name)}, password="wrong")
    with team.watched() as hub:
        team.until(lambda: bool(team.errors("a")))
        (error,) = team.errors("a")
        assert error.connection == "refused" and error.again_at is not None and error.again_at - error.at >= 900
        team.password = "secret"
        hub.wake("a")
        team.until(lambda: team.listens("a"))


def test_a_look_that_fails_is_told_and_made_again(dovecot: Dovecot, box: Mailbox) -> None:
    team = Team({"a": (dovecot.port, box.name)})
    for error in (StoreError("The disk is full"), MailboxError("no"), KeyError("Dear Ms Vogel")):
        team.fails["a"] = error
        failures, looked = len(team.errors("a")), sum(report.event == "looked" for _, report in team.told)
        with team.watched():
            team.until(lambda failures=failures: len(team.errors("a")) > failures)
            team.until(lambda looked=looked: team.listens("a", looked + 1))
    said = [report.error for report in team.errors("a")]
    assert "The disk is full" in said[0] and "KeyError" in said[2] and "Vogel" not in said[2]


def test_mailboxes_are_added_and_taken_away_while_it_runs(dovecot: Dovecot) -> None:
    boxes = {name: dovecot.user(name) for name in "abc"}
    team = Team({name: (dovecot.port, box.name) for name, box in boxes.items() if name != "c"})
    with team.watched() as hub:
        team.until(lambda: team.listens("a") and team.listens("b"))
        team.places["c"] = (dovecot.port, boxes["c"].name)
        hub.change([Watched(name, str(dovecot.port)) for name in "bc"])
        team.until(lambda: team.listens("c"))
        for box in boxes.values():
            box.deliver(question(1))
        team.until(lambda: team.has("b", "INBOX", 1) and team.has("c", "INBOX", 1))
        assert not team.has("a", "INBOX", 1)


def test_at_a_host_that_is_down_one_login_at_a_time_is_tried(dovecot: Dovecot) -> None:
    boxes = [dovecot.user("many") for _ in range(12)]
    with CutProxy(dovecot.host, dovecot.port) as proxy:
        team = Team({box.name: (proxy.port, box.name) for box in boxes})
        at_once: list[int] = []
        under_way = 0

        class Counting(Team):
            def opened(self, name: str) -> MailSource:
                nonlocal under_way
                with self.changed:
                    under_way += 1
                    at_once.append(under_way)
                try:
                    return super().opened(name)
                finally:
                    with self.changed:
                        under_way -= 1

        team = Counting(team.places)
        with team.watched(watchers=8):
            team.until(lambda: all(team.listens(box.name) for box in boxes))
            assert max(at_once) <= 4
            proxy.cut_all()
            boxes[0].deliver(question(1))
            team.until(lambda: all(team.listens(box.name, 2) for box in boxes))
            assert max(at_once) <= 4
            assert team.has(boxes[0].name, "INBOX", 1)


@pytest.mark.parametrize(
    ("host", "most"), [("imap.gmail.com", 7), ("outlook.office365.com", 8), ("mail.example.org", 5)]
)
def test_half_of_the_connections_are_left_to_people(host: str, most: int) -> None:
    assert budget(host) == most
