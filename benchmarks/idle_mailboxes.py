"""1,000 idle mailboxes in one process: memory, CPU, and how soon a new message is noticed against a raw imapclient."""

from __future__ import annotations

import json
import os
import random
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

from imapclient import IMAPClient
from pydantic import SecretStr

from benchmarks.mailbox import OWNER
from benchmarks.measuring import report
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
GAP = 0.4  # seconds between two deliveries


def run(arguments: list[str]) -> None:
    """`arguments`: how many mailboxes (1000), how many messages are delivered (200), idle seconds (90), `tls`."""
    numbers = [int(one) for one in arguments if one.isdigit()]
    count, messages, idle = [*numbers, *(1000, 200, 90)[len(numbers) :]]
    tls = "tls" in arguments
    with more_instances(count) as instances, dovecot.running() as server:
        boxes = [server.user("idle") for _ in range(count)]
        for box in boxes:
            box.deliver(_message(0))
        with _watcher(server, [box.name for box in boxes], tls=tls) as watcher:
            while watcher.ask("idle") < count:
                time.sleep(1)
            seconds = time.monotonic() - watcher.begun
            time.sleep(5)
            before, begun, looked = watcher.cpu(), time.monotonic(), watcher.ask("looks")
            time.sleep(idle)
            renewed = watcher.ask("looks") - looked
            cpu = (watcher.cpu() - before) / (time.monotonic() - begun) * 100
            memory = watcher.memory()
            ours, raw = _delays(server, boxes, messages, watcher, tls=tls)
            after = watcher.memory()
            failures = watcher.ask("failures")
    late = [a - b for a, b in zip(ours, raw, strict=True)]
    report(
        "idle_mailboxes",
        {
            "mailboxes": count,
            "tls": tls,
            "inotify_instances": instances,
            "seconds_until_all_are_idle": seconds,
            "resident_mb": memory,
            "resident_mb_limit": 150,
            "resident_mb_after_messages": after,
            "cpu_percent_of_a_core": cpu,
            "cpu_percent_limit": 2.0,
            "idle_seconds_measured": idle,
            "idle_renewed_with_a_look_meanwhile": renewed,
            "messages": messages,
            "ours_p50_seconds": statistics.median(ours),
            "ours_p99_seconds": _percentile(ours, 99),
            "imapclient_p50_seconds": statistics.median(raw),
            "imapclient_p99_seconds": _percentile(raw, 99),
            "later_p50_seconds": statistics.median(late),
            "later_p99_seconds": _percentile(late, 99),
            "p99_difference_seconds": _percentile(ours, 99) - _percentile(raw, 99),
            "p99_difference_limit": 0.3,
            "failures": failures,
        },
        "imapclient",
        "sqlalchemy",
    )


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


def _delays(
    server: dovecot.Dovecot, boxes: Sequence[dovecot.Mailbox], messages: int, watcher: Watcher, *, tls: bool
) -> tuple[list[float], list[float]]:
    """Seconds from delivery until each was noticed: by the look of the watcher, by a raw IDLE on the same mailbox."""
    draw = random.Random(6)
    chosen = draw.sample(range(len(boxes)), min(16, len(boxes)))
    stopped = threading.Event()
    seen: dict[tuple[str, int], float] = {}
    threads = [
        threading.Thread(target=_raw_idle, args=(server, boxes[one].name, seen, stopped, tls), daemon=True)
        for one in chosen
    ]
    for thread in threads:
        thread.start()
    time.sleep(5)
    delivered: dict[tuple[str, int], float] = {}
    numbers = dict.fromkeys(chosen, 1)
    for turn in range(messages):
        one = chosen[turn % len(chosen)]
        numbers[one] += 1
        boxes[one].deliver(_message(numbers[one]))
        delivered[boxes[one].name, numbers[one]] = time.monotonic()
        time.sleep(GAP * (0.5 + draw.random()))
    time.sleep(3)
    ours = watcher.seen()
    stopped.set()
    missing = [key for key in delivered if key not in ours or key not in seen]
    if missing:
        print(f"not noticed within 3 s by one of the two: {missing}", flush=True)
    both = [key for key in delivered if key not in missing]
    return [ours[key] - delivered[key] for key in both], [seen[key] - delivered[key] for key in both]


def _raw_idle(
    server: dovecot.Dovecot, user: str, seen: dict[tuple[str, int], float], stopped: threading.Event, tls: bool
) -> None:
    """What imapclient can do at best: a thread for one mailbox, IDLE, and the count that EXISTS tells."""
    client = IMAPClient(server.host, server.port, ssl=False)
    client.login(user, dovecot.PASSWORD)
    client.select_folder("INBOX", readonly=True)
    client.idle()
    while not stopped.is_set():
        for line in client.idle_check(timeout=1):
            if len(line) == 2 and line[1] == b"EXISTS":
                seen.setdefault((user, int(line[0])), time.monotonic())
    client.logout()


class Watcher:
    """The process that is measured."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.begun = time.monotonic()

    def ask(self, what: str) -> int:
        """A number that it answers."""
        return int(json.loads(self._answer(what)))

    def seen(self) -> Mapping[tuple[str, int], float]:
        """When its looks saw each message, by mailbox and UID, on the clock that all processes share."""
        return {(user, uid): moment for user, uid, moment in json.loads(self._answer("seen"))}

    def cpu(self) -> float:
        """Seconds of CPU that it has used, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident MB (of 1,000,000 bytes)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024 / 1e6

    def _answer(self, what: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


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
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard) if soft < 8192 else (soft, hard))
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


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _message(number: int) -> bytes:
    return (
        f"From: Nora <nora@customer.example>\r\nTo: {OWNER}\r\nSubject: Order {number}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@customer.example>\r\nDate: Mon, 23 Nov 2026 09:14:00 +0100\r\n\r\n"
        f"Where is order {number}?\r\n"
    ).encode()


if __name__ == "__main__":
    watch(sys.argv[1], json.loads(sys.argv[2]))
