"""1,000 idle mailboxes in one process: memory, CPU, and how soon a new message is noticed against a raw imapclient.

First the watching alone, with a look that only reads; then the whole daemon.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from benchmarks import idle_daemon
from benchmarks.idle_peer import Seen, delays, message, percentile
from benchmarks.mailbox import OWNER
from benchmarks.measuring import cpu, report, resident
from mailassist.config import Account, FolderSettings, ServerSettings, SyncSettings
from mailassist.daemon.watching.hub import Hub
from mailassist.daemon.watching.mailbox import PATIENCE, Report, Watched
from mailassist.intake.batches import above
from mailassist.intake.records import index_row
from mailassist.store import index
from mailassist.store.database import Store
from mailassist.transport.imap import connect
from mailassist.transport.permitted import ReadOnly
from mailassist.transport.source import MailSource
from tests.servers import dovecot

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED_INSTANCES = 4096  # each of Dovecot's idle processes has one; without it, Dovecot looks every 30 s by itself
FILES = 16384  # that a process may have open, as the daemon's unit says


def run(arguments: list[str]) -> None:
    """`arguments`: how many mailboxes (1000), how many messages are put into them (200), idle seconds (90; 60 of the
    daemon), `tls`, `watching` or `daemon` for one of both alone.
    """
    numbers = [int(one) for one in arguments if one.isdigit()]
    count, messages = [*numbers[:2], *(1000, 200)[len(numbers) :]]
    tls = "tls" in arguments
    wanted = {"watching", "daemon"}.intersection(arguments) or {"watching", "daemon"}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, FILES), hard), hard))
    with more_instances(count) as instances, dovecot.running() as server:
        figures: dict[str, object] = {"mailboxes": count, "tls": tls, "inotify_instances": instances}
        if "watching" in wanted:
            figures |= _of_watching(server, count, messages, *numbers[2:3], tls=tls)
        if "daemon" in wanted:
            figures |= idle_daemon.measured(server, count, messages, *numbers[2:3], tls=tls)
    report("idle_mailboxes", figures, "imapclient", "sqlalchemy")


def _of_watching(server: dovecot.Dovecot, count: int, messages: int, idle: int = 90, *, tls: bool) -> dict[str, object]:
    """The figures of the watching alone."""
    boxes = {box.name: box for box in (server.user("idle") for _ in range(count))}
    for box in boxes.values():
        box.deliver(message(0))

    def put(user: str, number: int) -> float:
        boxes[user].deliver(message(number))
        return time.monotonic()

    with _watcher(server, list(boxes), tls=tls) as watcher:
        while watcher.ask("idle") < count:
            time.sleep(1)
        seconds = time.monotonic() - watcher.begun
        time.sleep(5)
        before, begun, looked = cpu(watcher.process.pid), time.monotonic(), watcher.ask("looks")
        time.sleep(idle)
        renewed = watcher.ask("looks") - looked
        share = (cpu(watcher.process.pid) - before) / (time.monotonic() - begun) * 100
        memory = resident(watcher.process.pid) / 1e6
        ours, raw = delays(server, list(boxes), messages, put, watcher.seen)
        after = resident(watcher.process.pid) / 1e6
        failures = watcher.ask("failures")
    late = [a - b for a, b in zip(ours, raw, strict=True)]
    return {
        "seconds_until_all_are_idle": seconds,
        "resident_mb": memory,
        "resident_mb_limit": 150,
        "resident_mb_after_messages": after,
        "cpu_percent_of_a_core": share,
        "cpu_percent_limit": 2.0,
        "idle_seconds_measured": idle,
        "idle_renewed_with_a_look_meanwhile": renewed,
        "messages": messages,
        "ours_p50_seconds": statistics.median(ours),
        "ours_p99_seconds": percentile(ours, 99),
        "imapclient_p50_seconds": statistics.median(raw),
        "imapclient_p99_seconds": percentile(raw, 99),
        "later_p50_seconds": statistics.median(late),
        "later_p99_seconds": percentile(late, 99),
        "p99_difference_seconds": percentile(ours, 99) - percentile(raw, 99),
        "p99_difference_limit": 0.3,
        "failures": failures,
    }


@contextmanager
def more_instances(mailboxes: int) -> Iterator[int]:
    """The system's limit of inotify instances a user, raised where that is allowed, and put back."""
    before = int(INOTIFY.read_text()) if INOTIFY.exists() else 0
    if not before or before >= max(WANTED_INSTANCES, mailboxes + 100):
        yield before
        return
    try:
        INOTIFY.write_text(str(max(WANTED_INSTANCES, 2 * mailboxes)))
    except OSError as error:
        print(f"{INOTIFY} stays at {before} ({error.strerror}): Dovecot will notice new mail by polling", flush=True)
        yield before
        return
    try:
        yield int(INOTIFY.read_text())
    finally:
        INOTIFY.write_text(str(before))


class Watcher:
    """The process that is measured."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.begun = time.monotonic()

    def ask(self, what: str) -> int:
        """A number that it answers."""
        return int(json.loads(self._answer(what)))

    def seen(self) -> Seen:
        """When its looks saw each message, by mailbox and UID, on the clock that all processes share."""
        return {(user, uid): moment for user, uid, moment in json.loads(self._answer("seen"))}

    def _answer(self, what: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextmanager
def _watcher(server: dovecot.Dovecot, users: Sequence[str], *, tls: bool) -> Iterator[Watcher]:
    port = server.tls_port if tls else server.port
    told = {"port": port, "cafile": str(server.cafile or "") if tls else "", "users": list(users)}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.idle_mailboxes", folder, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Watcher(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def watch(folder: str, told: Mapping[str, object]) -> None:
    """In the process that is measured: watch, with the cursors of the store, and answer on standard output."""
    users = told["users"]
    assert isinstance(users, list)
    store = Store(Path(folder) / "store.sqlite")
    cafile = Path(str(told["cafile"])) if told["cafile"] else None
    account = Account(address=OWNER, imap=_server(told, "", cafile), sync=SyncSettings(keep_text="none"))
    seen: list[tuple[str, int, float]] = []
    idle: set[str] = set()
    looks: list[float] = []
    failures: list[str] = []

    def opened(name: str) -> MailSource:
        secret = lambda: SecretStr(dovecot.PASSWORD)  # noqa: E731
        settings = _server(told, name, cafile)
        return connect(settings, OWNER, secret, FolderSettings(), patience=PATIENCE, permitted=ReadOnly())

    def look(name: str, source: MailSource, folders: frozenset[str]) -> None:
        """New mail by UID cursor and UIDVALIDITY, its headers into the index."""
        known = index.cursors(store, name)
        for one in folders:
            state = source.examine(one)
            cursor = known.get(one)
            if cursor is None or cursor.uidvalidity != state.uidvalidity:
                cursor = index.Cursor(one, "", state.uidvalidity, 0, state.uidnext, message_count=state.exists)
                index.start_folder(store, name, cursor)
            for batch in above(source, cursor, state):
                moment = time.monotonic()
                if one == "INBOX":
                    seen.extend((name, record.location.uid, moment) for record in batch.records)
                index.save(store, name, batch.cursor, [index_row(name, record) for record in batch.records])

    def tell(name: str, event: Report) -> None:
        if event.event == "looked":
            idle.add(name)
            looks.append(event.at)
        elif event.event == "failed":
            failures.append(event.error)
            print(name, event.error, file=sys.stderr)

    watched = [Watched(user, account.imap.host if account.imap else "") for user in users]
    hub = Hub(watched, opened=opened, look=look, tell=tell)
    over = threading.Event()
    thread = threading.Thread(target=hub.run, args=(over.is_set,))
    thread.start()
    for line in sys.stdin:
        answers = {"idle": len(idle), "looks": len(looks), "failures": len(failures), "seen": seen}
        print(json.dumps(answers[line.strip()]), flush=True)
    over.set()
    thread.join()
    store.close()


def _server(told: Mapping[str, object], user: str, cafile: Path | None) -> ServerSettings:
    security = "tls" if cafile else "none"
    values = {"host": "127.0.0.1", "port": told["port"], "security": security, "cafile": cafile, "login": user}
    return ServerSettings.model_validate(values)


if __name__ == "__main__":
    watch(sys.argv[1], json.loads(sys.argv[2]))
