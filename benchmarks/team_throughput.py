"""How fast waiting conversations of team mailboxes are drafted, beside what the model allows; and what it costs here.

The daemon as a process, a real IMAP server, the model's stand-in as another process: it answers in a second and allows
16 calls at once. A triage is a call. The processor time is that of the whole process, and that of its steps as it logs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from benchmarks.measuring import cpu, report, resident
from tests.servers import dovecot as dovecot_server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
model_load = importlib.import_module("servers.model_load")

_TOPICS = ("order", "invoice", "delivery", "return", "account", "password", "repair", "offer", "contract", "visit")
_TEXT = """Hello,

I bought a {topic} kit from you on {day} March, number {number}, and since then I have waited for news. {more}

Could you tell me when I can expect it, and whether the {topic} can be changed to a larger one? My colleagues would
need it before the end of the month, since we begin with the works in our new rooms then.

Best regards
{name}
"""
_MORE = (
    "The parcel service says that it knows nothing of it.",
    "I called twice, and nobody could help me.",
    "On your page it says that it was sent, which surprises me.",
    "Perhaps my address was wrong: we moved in February, to a street with a similar name.",
)


def question(number: int, draw: random.Random, at: float) -> bytes:
    """A conversation of one message, from a sender of its own."""
    topic = draw.choice(_TOPICS)
    name = f"Customer {number}"
    message = EmailMessage()
    message["From"] = f"{name} <customer{number}@people{number % 50}.example>"
    message["To"] = "support@team.example"
    message["Subject"] = f"Question about {topic} {number}"
    message["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    message["Message-ID"] = f"<q{number}.{draw.randrange(10**9)}@people{number % 50}.example>"
    more = " ".join(draw.sample(_MORE, 2))
    message.set_content(_TEXT.format(topic=topic, day=draw.randrange(1, 28), number=number, more=more, name=name))
    return message.as_bytes()


def configuration(folder: Path, port: int, names: dict[str, str], url: str, *, calls: int, more: str = "") -> Path:
    """The daemon's configuration file: accounts by name, each with its login."""
    for name, content in (("password", dovecot_server.PASSWORD), ("key", "sk-benchmark")):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    text = (
        f'data_folder = "{folder}/data"\n[model]\nname = "gpt-4o-mini"\nbase_url = "{url}"\ndaily_budget = 1000.0\n'
        f'[model.key]\nkeyring = false\npassword_file = "{folder}/key"\n'
        f'[daemon]\nhealth = ""\nfirst_start_days = 1.0\nworkers = {2 * calls}\n'
        f"[daemon.limits]\ncalls_at_once = {calls}\n{more}"
    )
    for name, login in names.items():
        text += (
            f'[accounts.{name}]\naddress = "{name}@team.example"\n[accounts.{name}.imap]\nhost = "127.0.0.1"\n'
            f'port = {port}\nsecurity = "none"\nlogin = "{login}"\n[accounts.{name}.secret]\nkeyring = false\n'
            f'password_file = "{folder}/password"\n[accounts.{name}.team]\nburst_seconds = 0.0\n'
            f"drafts_per_hour = 100000\ndrafts_per_sender_per_hour = 100\n"
        )
    path = folder / "config.toml"
    path.write_text(text)
    return path


def run(arguments: list[str]) -> None:
    """Deliver, start the daemon, wait until every conversation has its draft."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--mailboxes", type=int, default=4)
    parser.add_argument("--calls", type=int, default=16)
    parser.add_argument("--latency", type=float, default=1.0)
    options = parser.parse_args(arguments)
    draw = random.Random(7)
    with (
        dovecot_server.running() as server,
        model_load.running("--latency", str(options.latency), "--at-once", str(options.calls)) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        boxes = {f"box{number}": server.user("box") for number in range(options.mailboxes)}
        names = list(boxes)
        now = time.time()
        for number in range(options.conversations):
            at = now - 3600 + number
            boxes[names[number % len(names)]].deliver(question(number, draw, at), received=at)
        logins = {name: box.name for name, box in boxes.items()}
        path = configuration(Path(folder), server.port, logins, url, calls=options.calls)
        figures = _measured(path, Path(folder), options)
    report("team_throughput", figures, "imapclient", "openai", "sqlalchemy")


def _measured(path: Path, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, "-m", "mailassist", "--config", str(path), "daemon"]
    begun = time.monotonic()
    with subprocess.Popen(command, stderr=(folder / "log").open("w")) as process:
        store = folder / "data" / "mailassist.sqlite"
        first = 0.0
        while True:
            time.sleep(0.2)
            states = _states(store)
            done = states["delivered"]
            if done and not first:
                first = time.monotonic()
                first_cpu, first_done = cpu(process.pid), done
            if done >= options.conversations or process.poll() is not None:
                break
        seconds = time.monotonic() - begun
        used = cpu(process.pid)
        memory = resident(process.pid) / 1024**2
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        log = (folder / "log").read_text()
        if states["delivered"] < options.conversations:
            print(log[-4000:])
    least = 2 * options.conversations * options.latency / options.calls
    steady = (used - first_cpu) / max(1, states["delivered"] - first_done)
    return {
        "conversations": options.conversations,
        "delivered": states["delivered"],
        "seconds": seconds,
        "seconds_the_model_needs": least,
        "share_of_the_models_limit": least / seconds,
        "wanted_share": 0.9,
        "cpu_milliseconds_a_draft": 1000 * used / options.conversations,
        "cpu_milliseconds_a_draft_without_start": 1000 * steady,
        "most_cpu_milliseconds": 25,
        "resident_megabytes": memory,
        **{f"cpu_milliseconds_{step}": 1000 * spent / options.conversations for step, spent in _by_step(log)},
    }


def _by_step(log: str) -> list[tuple[str, float]]:
    """Seconds of processor time of each step, from the last line of the daemon's log."""
    said = [json.loads(line) for line in log.splitlines() if '"processor_time"' in line]
    return [(step, float(one["seconds"])) for step, one in said[-1]["processor_time"].items()] if said else []


def _states(store: Path) -> Counter[str]:
    if not store.exists():
        return Counter()
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return Counter(dict(connection.execute("SELECT state, count(*) FROM arrivals GROUP BY state").fetchall()))
    except sqlite3.OperationalError:
        return Counter()
