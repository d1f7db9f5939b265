"""A team's day under a bad star: the daemon is killed, servers are restarted, the model fails; then we count.

The same seed makes the same mail and the same moments, as far as a machine's speed lets it. Used by a short test and
by `make bench NAME=team_kills`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Literal, Protocol

from servers import dovecot as dovecot_server
from servers import exchange, gmail, model_load
from servers import postgres as postgres_server
from servers.daemon import Daemon
from servers.proxy import CutProxy
from servers.team import id_of, in_folder, mail

from mailassist.errors import StoreError
from mailassist.store import arrivals
from mailassist.store.database import Store
from mailassist.team import audit_proof

Kind = Literal["dovecot", "gmail", "exchange"]
KEY = "k" * 40
QUIET = 240.0  # seconds without progress after which what is left is a problem: longer than any wait for a next try


@dataclass(frozen=True)
class Plan:
    """How much of what happens."""

    conversations: int = 1000
    kills: int = 100
    server_restarts: int = 10
    database_restarts: int = 5
    failures: float = 0.2  # share of the model's calls
    seed: int = 1
    kind: Kind = "dovecot"
    on_postgres: bool = False


class Mail(Protocol):
    """One mail server with one team mailbox, as the world sees it."""

    host: str
    port: int
    login: str
    password: str

    def deliver(self, raw: bytes, at: float) -> None: ...
    def colleague_sends(self, raw: bytes, at: float) -> None: ...
    def drafts(self) -> list[Message]: ...
    def restart(self) -> None: ...


class _Dovecot:
    def __init__(self, server: dovecot_server.Dovecot) -> None:
        self._server, self._box = server, server.user("support")
        self.host, self.port, self.login, self.password = server.host, server.port, self._box.name, server.password

    def deliver(self, raw: bytes, at: float) -> None:
        self._box.deliver(raw, received=at)

    def colleague_sends(self, raw: bytes, at: float) -> None:
        self._box.deliver(raw, "Sent", flags="S", received=at)

    def drafts(self) -> list[Message]:
        return list(in_folder(self._server, self._box, "Drafts"))

    def restart(self) -> None:
        self._server.stop()
        time.sleep(0.3)
        self._server.start()


class _Gmail:
    def __init__(self, server: gmail.GmailServer, proxy: CutProxy) -> None:
        self._server, self._proxy = server, proxy
        self.host, self.port, self.login, self.password = "127.0.0.1", proxy.port, server.user, server.password

    def deliver(self, raw: bytes, at: float) -> None:
        self._server.deliver(raw, received=datetime.fromtimestamp(at, UTC))

    def colleague_sends(self, raw: bytes, at: float) -> None:
        self._server.deliver(raw, "\\Sent", flags="\\Seen", received=datetime.fromtimestamp(at, UTC))

    def drafts(self) -> list[Message]:
        folder = next(name for name, label in self._server.labels.items() if label == "\\Drafts")
        return [message_from_bytes(one.raw) for one in self._server.in_folder(folder)]

    def restart(self) -> None:
        self._proxy.cut_all()


class _Exchange:
    def __init__(self, server: exchange.ExchangeServer, proxy: CutProxy) -> None:
        self._server, self._proxy = server, proxy
        self.host, self.port, self.login, self.password = "127.0.0.1", proxy.port, server.user, server.password

    def deliver(self, raw: bytes, at: float) -> None:
        self._server.deliver(raw, received=datetime.fromtimestamp(at, UTC))

    def colleague_sends(self, raw: bytes, at: float) -> None:
        self._server.deliver(raw, exchange.SENT, flags="\\Seen", received=datetime.fromtimestamp(at, UTC))

    def drafts(self) -> list[Message]:
        there = self._server.in_folder(exchange.DRAFTS)
        return [message_from_bytes(one.raw) for one in there if "\\Deleted" not in one.flags]

    def restart(self) -> None:
        self._proxy.cut_all()
        self._server.throttle(300)


@contextmanager
def mail_server(kind: Kind) -> Iterator[Mail]:
    with ExitStack() as stack:
        if kind == "dovecot":
            yield _Dovecot(stack.enter_context(dovecot_server.running()))
            return
        server = stack.enter_context((gmail if kind == "gmail" else exchange).running())
        proxy = stack.enter_context(CutProxy("127.0.0.1", server.port))
        yield _Gmail(server, proxy) if isinstance(server, gmail.GmailServer) else _Exchange(server, proxy)


@dataclass
class Outcome:
    """What is left at the end."""

    wanted: set[str]  # Message-IDs that need a draft
    answered: Counter[str]  # In-Reply-To of the drafts that are there
    states: dict[str, int]
    whole: bool  # the audit trail verifies
    entries: int
    seconds: float
    kills: int
    restarts: int
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> set[str]:
        return self.wanted - self.answered.keys()

    @property
    def doubled(self) -> list[str]:
        return [one for one, count in self.answered.items() if count > 1]

    @property
    def unwanted(self) -> set[str]:
        return set(self.answered) - self.wanted


@dataclass(frozen=True)
class _Event:
    kind: Literal["ask", "automatic", "follow up", "answer"]
    number: int


def run(plan: Plan, folder: Path, progress: Callable[[str], object] = lambda line: None) -> Outcome:
    """The whole of it."""
    draw = random.Random(plan.seed)
    with ExitStack() as stack:
        server = stack.enter_context(mail_server(plan.kind))
        options = ["--latency", "0.05", "--failures", str(plan.failures), "--seed", str(plan.seed)]
        model = stack.enter_context(model_load.running(*options))
        database = stack.enter_context(postgres_server.running(fast=False)) if plan.on_postgres else None
        url = database.database(postgres_server.with_tables).url() if database else ""
        daemon = Daemon(_configuration(folder, server, model, url))
        stack.callback(daemon.kill)
        day = _Day(plan, draw, server)
        begun = time.monotonic()
        blows = _blows(plan, draw)
        kills = restarts = 0
        daemon.start()
        daemon.wait_until_ready()
        for number, blow in enumerate(blows):
            day.some(-(-plan.conversations // len(blows)))
            time.sleep(draw.uniform(0.3, 3.0))
            if blow == "kill":
                daemon.kill()
                daemon.start()
                daemon.wait_until_ready()  # it is to die at work, not while it starts
                kills += 1
            elif blow == "server":
                server.restart()
                restarts += 1
            elif database is not None:
                database.restart()
                restarts += 1
            if number % 10 == 9:
                progress(f"{number + 1} of {len(blows)} blows")
        day.some(plan.conversations)
        problems = _wait_until_through(daemon, url, plan)
        seconds = time.monotonic() - begun
        daemon.stop()
        store = Store.on_postgres(url) if url else daemon.store()
        counted = arrivals.counted(store)
        proof = audit_proof.verify(store, KEY.encode())
        states = {state: count for (_, state), count in counted.items()}
        answered = Counter(str(one["In-Reply-To"]).strip() for one in server.drafts())
        store.close()
        return Outcome(
            day.wanted, answered, states, proof.whole, proof.entries, seconds, kills, restarts, problems
        )  # fmt: skip


class _Day:
    """The mail of the day: questions, what comes after them, machines, colleagues."""

    def __init__(self, plan: Plan, draw: random.Random, server: Mail) -> None:
        self._plan, self._draw, self._server = plan, draw, server
        self._made = 0
        self._asked: list[bytes] = []
        self.wanted: set[str] = set()

    def some(self, count: int) -> None:
        """Up to `count` conversations more."""
        for _ in range(min(count, self._plan.conversations - self._made)):
            self._made += 1
            self._one(self._made)

    def _one(self, number: int) -> None:
        draw, now = self._draw, time.time()
        who = f"Customer {number} <c{number}@people.example>"
        choice = draw.random()
        headers = {"Auto-Submitted": "auto-generated"} if choice < 0.1 else None
        message_id = f"<{self._plan.seed}.{number}@people.example>"
        asked = mail(sender=who, subject=f"Question {number}", message_id=message_id, headers=headers)
        self._server.deliver(asked, now)
        if headers:
            return
        self.wanted.add(id_of(asked))
        self._asked.append(asked)
        if choice < 0.25:  # the customer of an earlier conversation writes again
            earlier = self._asked.pop(draw.randrange(len(self._asked)))
            before = message_from_bytes(earlier)
            again = mail(
                sender=str(before["From"]), subject=f"Re: {before['Subject']}",
                answers=id_of(earlier), message_id=f"<{self._plan.seed}.{number}.again@people.example>",
                text="One more thing: can you send it to my office?",
            )  # fmt: skip
            self._server.deliver(again, now + 1)
            self.wanted.discard(id_of(earlier))
            self.wanted.add(id_of(again))
        elif choice < 0.4:  # a colleague answers one
            earlier = self._asked.pop(draw.randrange(len(self._asked)))
            answer = mail(
                sender="support@team.example", to=str(message_from_bytes(earlier)["From"]),
                subject=f"Re: {message_from_bytes(earlier)['Subject']}", answers=id_of(earlier),
                message_id=f"<{self._plan.seed}.{number}.ours@team.example>", text="It left today, says the colleague.",
            )  # fmt: skip
            self._server.colleague_sends(answer, now + 1)
            self.wanted.discard(id_of(earlier))


def _blows(plan: Plan, draw: random.Random) -> list[str]:
    databases = plan.database_restarts if plan.on_postgres else 0
    blows = ["kill"] * plan.kills + ["server"] * plan.server_restarts + ["database"] * databases
    draw.shuffle(blows)
    return blows


def _wait_until_through(daemon: Daemon, url: str, plan: Plan) -> list[str]:
    """Until nothing is on its way any more; what is left after a long time without progress is a problem."""
    since, before, quiet = time.monotonic(), {}, 0
    counted: dict[tuple[str, str], int] = {}
    while time.monotonic() < since + QUIET:
        time.sleep(1.0)
        try:
            store = Store.on_postgres(url) if url else daemon.store()
        except StoreError:
            continue
        try:
            counted = arrivals.counted(store)
        except StoreError:
            continue
        finally:
            store.close()
        if counted != before:
            since, before = time.monotonic(), counted
        left = sum(count for (_, state), count in counted.items() if state in arrivals.ON_THE_WAY)
        done = sum(counted.values())
        quiet = quiet + 1 if left == 0 and done >= plan.conversations else 0
        if quiet >= 3:
            return []
    return [f"not through in time: {dict(counted)}"]


def _configuration(folder: Path, server: Mail, model: str, url: str) -> Path:
    for name, content in (("password", server.password), ("key", "sk-test"), ("audit.key", KEY)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    team = f'[team]\naudit_key_file = "{folder}/audit.key"\n' + (f'database = "{url}"\n' if url else "")
    text = f"""data_folder = "{folder}/data"
[model]
name = "gpt-4o-mini"
base_url = "{model}"
retries = 0
daily_budget = 1000.0
[model.key]
keyring = false
password_file = "{folder}/key"
[daemon]
health = ""
first_start_days = 1.0
workers = 8
watchers = 2
[daemon.limits]
failures_until_pause = 50
{team}
[accounts.support]
address = "support@team.example"
[accounts.support.imap]
host = "127.0.0.1"
port = {server.port}
security = "none"
login = "{server.login}"
[accounts.support.secret]
keyring = false
password_file = "{folder}/password"
[accounts.support.team]
burst_seconds = 0.0
drafts_per_hour = 100000
drafts_per_sender_per_hour = 100
pause_after_unused = 0
"""
    path = folder / "config.toml"
    path.write_text(text)
    return path
