"""A team's mailboxes on a real IMAP server, a model's stand-in, and the daemon's parts: what the team tests share."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from imapclient import IMAPClient
from pydantic import SecretStr
from servers.dovecot import Dovecot, Mailbox
from servers.model_api import ModelServer, Reply, Request

from mailassist.config import Config
from mailassist.config_file import parse
from mailassist.daemon.arrivals import look
from mailassist.daemon.calls import ModelCalls
from mailassist.daemon.connections import WorkConnections
from mailassist.daemon.parts import Parts, mailboxes_of
from mailassist.daemon.people import People
from mailassist.daemon.steps import Steps
from mailassist.secrets import Keeper
from mailassist.store import arrivals, cases, notices, team_schema
from mailassist.store.database import Store
from mailassist.team.audit import Trail
from mailassist.team_settings import Notices
from mailassist.transport import imap
from mailassist.transport.source import MailSource
from mailassist.transport.throttling import Patience

DRAFT = "Dear customer,\n\nyour order left our warehouse today.\n\nKind regards"
KEY = b"k" * 32  # of the audit trail
_numbers = count(1)


def answering(text: str | Callable[[Request], str] = DRAFT, **triage: Any) -> Callable[[Request], Reply]:
    """A model that triages as told, and writes `text`."""
    verdict = {"needs_reply": True, "reason": "a question", "category": "question", "urgency": "normal",
               "language": "en", **triage}  # fmt: skip

    def answer(request: Request) -> Reply:
        if is_triage(request):
            return Reply(json.dumps(verdict), pieces=1)
        return Reply(text(request) if callable(text) else text, pieces=1)

    return answer


def is_triage(request: Request) -> bool:
    """Whether the request asks for a triage."""
    return "You sort the mail" in request.prompt


def configuration(
    dovecot: Dovecot,
    model: ModelServer,
    boxes: Mapping[str, Mailbox],
    folder: Path,
    *,
    policy: str = "",
    more: str = "",
) -> str:
    """The TOML of team mailboxes: `boxes` by account name; `policy`: further lines of each [accounts.NAME.team]."""
    (folder / "password").write_text(dovecot.password)
    (folder / "password").chmod(0o600)
    (folder / "key").write_text("sk-test")
    (folder / "key").chmod(0o600)
    text = f'data_folder = "{folder}/data"\n[model]\nname = "gpt-4o-mini"\nbase_url = "{model.base_url}"\nretries = 0\n'
    text += f'[model.key]\nkeyring = false\npassword_file = "{folder}/key"\n{more}\n'
    for name, box in boxes.items():
        text += (
            f'[accounts.{name}]\naddress = "{name}@team.example"\n'
            f'[accounts.{name}.imap]\nhost = "127.0.0.1"\nport = {dovecot.port}\nsecurity = "none"\n'
            f'login = "{box.name}"\n'
            f'[accounts.{name}.secret]\nkeyring = false\npassword_file = "{folder}/password"\n'
            f'[[accounts.{name}.identities]]\nname = "Team {name}"\naddress = "{name}@team.example"\n'
            f'aliases = ["{name}-en@team.example"]\nsignature = "Team {name}"\n'
            f"[accounts.{name}.team]\n{policy if 'burst_seconds' in policy else 'burst_seconds = 0.0'}\n"
            f"{'' if 'burst_seconds' in policy else policy}\n"
        )
    return text


@dataclass
class Team:
    """The parts of a daemon in this process; a clock that can be moved."""

    dovecot: Dovecot
    model: ModelServer
    boxes: dict[str, Mailbox]
    folder: Path
    config: Config
    ahead: float = 0.0  # seconds that the clock is ahead
    failures: list[str] = field(default_factory=list)
    patience: Patience = field(default_factory=Patience)  # with the server

    def __post_init__(self) -> None:
        self.keeper = Keeper(lambda line: None)
        self.store = Store(self.folder / "data" / "mailassist.sqlite")
        mailboxes = mailboxes_of(self.config)
        self.connections = WorkConnections(self.config.accounts, self.opened, lambda name: 2)
        self.calls = ModelCalls(self.config, mailboxes, self.keeper, lambda: datetime.now(UTC).date())
        self.parts = Parts(
            self.config, self.store, mailboxes, self.connections, self.calls, self.now, owner="tests:1",
            trail=Trail(self.store, KEY, self.now),
            people=People(self.store, {name: box.policy for name, box in mailboxes.items()}, Notices(), now=self.now),
            failed=lambda row, error: self.failures.append(str(error)),
        )  # fmt: skip
        self.steps = Steps(self.parts)

    def now(self) -> float:
        return time.time() + self.ahead

    def use(self, **changes: Any) -> None:
        """Go on with other parts."""
        self.parts = replace(self.parts, **changes)
        self.steps = Steps(self.parts)

    def policy(self, name: str = "support", **changes: Any) -> None:
        """Go on with another policy of a mailbox."""
        box = self.parts.mailboxes[name]
        changed = replace(box, policy=box.policy.model_copy(update=changes))
        self.use(mailboxes={**self.parts.mailboxes, name: changed})

    def opened(self, name: str) -> MailSource:
        account = self.config.accounts[name]
        assert account.imap is not None
        secret = SecretStr(self.dovecot.password)
        return imap.connect(account.imap, account.address, lambda: secret, account.folders, patience=self.patience)

    def look(self, name: str = "support") -> list[int]:
        with self.connections.borrowed(name) as source:
            return look(self.parts, name, source)

    def work(self, name: str = "support") -> list[str]:
        """Look, then bring everything that is due as far as it goes; the states of all arrivals, oldest first."""
        self.look(name)
        for _ in range(20):
            due = arrivals.due(self.store, now=self.now(), limit=100)
            if not due:
                break
            for row in due:
                self.steps.advance(row.id)
        return self.states()

    def states(self) -> list[str]:
        """Of all arrivals, oldest first."""
        table = team_schema.arrivals
        with self.store.read() as connection:
            return list(connection.scalars(sa.select(table.c.state).order_by(table.c.id)))

    def case(self, number: int = 1) -> cases.CaseRow:
        found = cases.get(self.store, number)
        assert found is not None
        return found

    @property
    def told(self) -> list[tuple[str, str]]:
        """What people are to hear: when, and why."""
        return [(one.kind, one.reason) for one in notices.untold(self.store)]

    def drafts(self, name: str = "support") -> list[EmailMessage]:
        return in_folder(self.dovecot, self.boxes[name], "Drafts")

    def close(self) -> None:
        self.connections.close_unused(all_of_them=True)
        self.calls.close()
        self.store.close()


def team(dovecot: Dovecot, model: ModelServer, folder: Path, *names: str, policy: str = "", more: str = "") -> Team:
    """Fresh mailboxes called `names` (default: support), with a first look behind them."""
    boxes = {name: dovecot.user(name) for name in names or ("support",)}
    text = configuration(dovecot, model, boxes, folder, policy=policy, more=more)
    made = Team(dovecot, model, boxes, folder, parse(text, "test.toml"))
    for name in boxes:
        made.look(name)
    return made


def mail(
    *,
    sender: str = "Carla Customer <carla@customer.example>",
    to: str = "support@team.example",
    subject: str = "",
    text: str = "When will my order arrive?",
    answers: str = "",
    references: str = "",
    message_id: str = "",
    at: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """One message; each has its own Message-ID and subject unless told."""
    number = next(_numbers)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject or f"Order {number}"
    message["Date"] = format_datetime(datetime.fromtimestamp(time.time() if at is None else at, UTC))
    message["Message-ID"] = message_id or f"<mail{number}.{time.time_ns()}@customer.example>"
    if answers:
        message["In-Reply-To"] = answers
        message["References"] = references or answers
    for name, value in (headers or {}).items():
        message[name] = value
    message.set_content(text)
    return message.as_bytes()


def id_of(raw: bytes) -> str:
    """The Message-ID of a message."""
    found = re.search(rb"^Message-ID: (<[^>]+>)", raw, re.MULTILINE | re.IGNORECASE)
    assert found is not None
    return found[1].decode()


def in_folder(dovecot: Dovecot, box: Mailbox, folder: str) -> list[EmailMessage]:
    """The messages of a folder that are not marked as deleted, read by another program."""
    import email
    import email.policy

    with IMAPClient("127.0.0.1", dovecot.port, ssl=False) as client:
        client.login(box.name, dovecot.password)
        client.select_folder(folder, readonly=True)
        uids = client.search(["NOT", "DELETED"])
        found = client.fetch(uids, ["BODY.PEEK[]"]) if uids else {}
        return [
            email.message_from_bytes(found[uid][b"BODY[]"], policy=email.policy.default)  # type: ignore[misc]
            for uid in sorted(found)
        ]


def client(dovecot: Dovecot, box: Mailbox) -> IMAPClient:
    """Another mail program, logged in."""
    program = IMAPClient("127.0.0.1", dovecot.port, ssl=False)
    program.login(box.name, dovecot.password)
    return program
