"""The whole daemon with idle mailboxes, for `idle_mailboxes`: a process with its configuration file and its store."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from imapclient import IMAPClient

from benchmarks.idle_peer import Seen, delays, message, percentile
from benchmarks.measuring import cpu, resident
from mailassist.config import STORE_FILE
from tests.servers import dovecot
from tests.servers.daemon import Daemon

SETTLING = 30.0  # seconds between the last mailbox that listens and the minute that is measured
_POLL = 0.005  # seconds between two looks into the store
_LISTENING = "SELECT count(*) FROM mailboxes WHERE connection IN ('idle', 'notify') AND looked_at IS NOT NULL"


def measured(server: dovecot.Dovecot, count: int, messages: int, idle: int = 60, *, tls: bool) -> dict[str, object]:
    """The figures of one daemon that watches `count` mailboxes of `server`, `idle` seconds of them without news."""
    boxes = [server.user("team") for _ in range(count)]
    for box in boxes:
        box.deliver(message(0))
    users = [box.name for box in boxes]
    with (
        tempfile.TemporaryDirectory() as folder,
        Daemon(_configuration(Path(folder), server, users, tls=tls)) as daemon,
    ):
        begun = time.monotonic()
        store = Path(folder) / "data" / STORE_FILE
        while _listening(store) < count:
            if daemon.process is None or daemon.process.poll() is not None:
                raise SystemExit(f"the daemon has ended:\n{daemon.log_file.read_text()[-4000:]}")
            time.sleep(0.5)
        seconds = time.monotonic() - begun
        assert daemon.process is not None
        number = daemon.process.pid
        time.sleep(SETTLING)
        before, since = cpu(number), time.monotonic()
        time.sleep(idle)
        share = (cpu(number) - before) / (time.monotonic() - since) * 100
        memory = resident(number) / 1e6
        with _appending(server, users) as put, _arrivals(store, users) as arrived:
            ours, raw = delays(server, users, messages, put, arrived)
        after = resident(number) / 1e6
        daemon.stop()
        failed = sum(line["event"] == "a mailbox is away" for line in daemon.lines())
    return {
        "daemon_seconds_until_all_are_idle": seconds,
        "daemon_resident_mb": memory,
        "daemon_resident_mb_after_messages": after,
        "daemon_cpu_percent_of_a_core": share,
        "daemon_cpu_percent_limit": 2.0,
        "daemon_idle_seconds_measured": idle,
        "daemon_messages": len(ours),
        "daemon_in_store_p50_seconds": statistics.median(ours),
        "daemon_in_store_p99_seconds": percentile(ours, 99),
        "daemon_imapclient_p50_seconds": statistics.median(raw),
        "daemon_imapclient_p99_seconds": percentile(raw, 99),
        "daemon_p99_difference_seconds": percentile(ours, 99) - percentile(raw, 99),
        "daemon_mailboxes_away": failed,
    }


def _configuration(folder: Path, server: dovecot.Dovecot, users: Sequence[str], *, tls: bool) -> Path:
    """Its file: the settings that nobody named are the ordinary ones, the model is the one of this machine."""
    password = folder / "password"
    password.write_text(dovecot.PASSWORD)
    password.chmod(0o600)
    place = f'port = {server.tls_port}\nsecurity = "tls"\ncafile = "{server.cafile}"\n'
    if not tls:
        place = f'port = {server.port}\nsecurity = "none"\n'
    text = f'data_folder = "{folder}/data"\n[model]\nname = "outline"\n[daemon]\nhealth = "{folder}/health"\n'
    for user in users:
        text += (
            f'[accounts.{user}]\naddress = "{user}@team.example"\n[accounts.{user}.imap]\nhost = "127.0.0.1"\n{place}'
            f'login = "{user}"\n[accounts.{user}.secret]\nkeyring = false\npassword_file = "{password}"\n'
            f"[accounts.{user}.team]\n"
        )
    path = folder / "config.toml"
    path.write_text(text)
    return path


def _listening(store: Path) -> int:
    """How many mailboxes were looked at and say from now on that they have news."""
    if not store.exists():
        return 0
    with closing(_opened(store)) as connection:
        try:
            return int(connection.execute(_LISTENING).fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0


def _opened(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{store}?mode=ro", uri=True, check_same_thread=False)


@contextmanager
def _appending(server: dovecot.Dovecot, users: Sequence[str]) -> Iterator[Callable[[str, int], float]]:
    """APPEND by connections of their own, which log in when they are first used."""
    clients: dict[str, IMAPClient] = {}

    def put(user: str, number: int) -> float:
        if user not in clients:
            clients[user] = IMAPClient(server.host, server.port, ssl=False)
            clients[user].login(user, dovecot.PASSWORD)
        clients[user].append("INBOX", message(number))
        return time.monotonic()

    with ExitStack() as leaving:
        yield put
        for client in clients.values():
            leaving.callback(client.logout)


@contextmanager
def _arrivals(store: Path, users: Sequence[str]) -> Iterator[Callable[[], Seen]]:
    """When the daemon's store had each arrival, seen by another process that looks all the time."""
    seen: Seen = {}
    stopped = threading.Event()

    def look() -> None:
        query = "SELECT id, mailbox, message_id FROM arrivals WHERE id > ? ORDER BY id"
        last = 0
        with closing(_opened(store)) as connection:
            while not stopped.wait(_POLL):
                for row, user, message_id in connection.execute(query, (last,)).fetchall():
                    seen[user, int(message_id.strip("<").partition(".")[0])] = time.monotonic()
                    last = row

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: seen
    finally:
        stopped.set()
        thread.join()
