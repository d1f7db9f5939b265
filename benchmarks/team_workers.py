"""Two daemons on one PostgreSQL against one, and how soon a third takes over the work of one that is killed.

Each daemon is limited to 8 calls at once; the model answers in a second. The first watches and works, the others only
work (`--workers-only`).
"""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measuring import report
from benchmarks.team_throughput import configuration, question
from tests.servers import dovecot as dovecot_server

CALLS = 8


def run(arguments: list[str]) -> None:
    """One daemon, then two, then a kill."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=240)
    options = parser.parse_args(arguments)
    one = _drafts_a_second(options.conversations, daemons=1)
    two = _drafts_a_second(options.conversations, daemons=2)
    figures = {
        "conversations": options.conversations,
        "drafts_a_second_of_one": one,
        "drafts_a_second_of_two": two,
        "ratio": two / one,
        "wanted_ratio": 1.8,
        "share_of_the_models_limit_of_two": two / CALLS,
        "seconds_until_taken_over": _taken_over(options.conversations),
        "most_seconds": 60,
    }
    report("team_workers", figures, "procrastinate", "psycopg", "sqlalchemy")


class _Scene:
    """Mail that waits, a model, a database, and the daemons' configuration."""

    def __init__(self, stack: ExitStack, conversations: int) -> None:
        postgres = importlib.import_module("servers.postgres")
        model_load = importlib.import_module("servers.model_load")
        server = stack.enter_context(dovecot_server.running())
        url = stack.enter_context(model_load.running("--latency", "1.0"))
        self.database = stack.enter_context(postgres.running(fast=False)).database(postgres.with_tables)
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.wanted = conversations
        boxes = {f"box{number}": server.user("box") for number in range(4)}
        draw, now = random.Random(7), time.time()
        for number in range(conversations):
            at = now - 3600 + number
            boxes[f"box{number % 4}"].deliver(question(number, draw, at), received=at)
        (self.folder / "audit.key").write_text("k" * 40)
        (self.folder / "audit.key").chmod(0o600)
        team = f'[team]\ndatabase = "{self.database.url()}"\naudit_key_file = "{self.folder}/audit.key"\n'
        logins = {name: box.name for name, box in boxes.items()}
        self.path = configuration(self.folder, server.port, logins, url, calls=CALLS, more=team)
        self.stack = stack

    def daemon(self, *options: str) -> subprocess.Popen[bytes]:
        """One more daemon."""
        log = self.stack.enter_context((self.folder / f"log{time.monotonic()}").open("w"))
        command = [sys.executable, "-m", "mailassist", "--config", str(self.path), "daemon", *options]
        process = subprocess.Popen(command, stderr=log)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def states(self) -> Counter[str]:
        """How many arrivals are in which state."""
        return Counter(dict(self.database.execute("SELECT state, count(*) FROM arrivals GROUP BY state")))

    def wait(self, delivered: int, seconds: float = 300.0) -> float:
        """Until so many are delivered; the moment."""
        end = time.monotonic() + seconds
        while self.states()["delivered"] < delivered and time.monotonic() < end:
            time.sleep(0.1)
        return time.monotonic()


def _drafts_a_second(conversations: int, *, daemons: int) -> float:
    """Between the first tenth and nine tenths: starting and ending are not measured."""
    with ExitStack() as stack:
        scene = _Scene(stack, conversations)
        scene.daemon()
        for _ in range(daemons - 1):
            scene.daemon("--workers-only")
        first, last = conversations // 4, conversations * 9 // 10
        begun = scene.wait(first)
        return (last - first) / (scene.wait(last) - begun)


def _taken_over(conversations: int) -> float:
    """Seconds from the kill of a worker until what it had in hand is delivered by others."""
    with ExitStack() as stack:
        scene = _Scene(stack, conversations)
        scene.daemon()
        victim = scene.daemon("--workers-only")
        scene.wait(conversations // 4)
        scene.daemon("--workers-only")
        in_hand: list[int] = []
        while not in_hand:
            query = "SELECT id FROM arrivals WHERE owner LIKE %s AND leased_until > 0"
            in_hand = [row[0] for row in scene.database.execute(query, (f"%:{victim.pid}:%",))]
        victim.kill()
        killed = time.monotonic()
        while time.monotonic() - killed < 200:
            left = "SELECT count(*) FROM arrivals WHERE id = ANY(%s) AND state <> 'delivered'"
            if not scene.database.execute(left, (in_hand,))[0][0]:
                break
            time.sleep(0.1)
        print(f"in hand when it was killed: {len(in_hand)}")
        return time.monotonic() - killed
