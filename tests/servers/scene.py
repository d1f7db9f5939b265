"""One account between a real IMAP and a real SMTP server: what the delivery tests and their child processes share."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from pathlib import Path

from imapclient import IMAPClient
from pydantic import SecretStr

from mailassist.config import FolderSettings, ServerSettings
from mailassist.delivery.outbox import Reply, Route, Surroundings, approve
from mailassist.delivery.work import SentCopy
from mailassist.mail.compose import Layout, ReplyPlan
from mailassist.mail.message import Address, Message
from mailassist.mail.parse import parse_message
from mailassist.store.database import Store
from mailassist.transport import imap, smtp
from mailassist.transport.source import Location, MailSource
from mailassist.transport.throttling import Patience

ADDRESS = "ada@team.example"


@dataclass(frozen=True)
class Ends:
    """Where everything is; goes to a child process as JSON."""

    store: str
    imap_port: int
    smtp_port: int
    user: str
    password: str = "secret"
    sent_copy: SentCopy = "auto"
    timeout: float = 2.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Scene:
    """The account, its store and its ways out; a clock that only moves when told."""

    def __init__(self, ends: Ends, mark: Callable[[str], None] = lambda step: None) -> None:
        self.ends = ends
        self.time = 1_790_000_000.0
        self.paused: list[float] = []
        self.store = Store(Path(ends.store))
        self.around = Surroundings(now=lambda: self.time, pause=self.paused.append, mark=mark)

    @property
    def route(self) -> Route:
        settings = _server(self.ends.smtp_port, self.ends)

        def send(sender: str, recipients: object, raw: bytes, *, on_data: Callable[[], None]) -> smtp.SmtpAnswer:
            return smtp.send(settings, None, sender, recipients, raw, on_data=on_data)  # type: ignore[arg-type]

        return Route("work", self.open_source, send, self.ends.sent_copy, "127.0.0.1")

    def open_source(self) -> MailSource:
        def secret() -> SecretStr:
            return SecretStr(self.ends.password)

        settings = _server(self.ends.imap_port, self.ends)
        return imap.connect(settings, self.ends.user, secret, FolderSettings(), patience=Patience(tries=1))

    def reply(self, number: int = 1, text: str = "It left today.") -> Reply:
        original = parse_message(question(number))
        plan = ReplyPlan(
            from_=Address("Ada", ADDRESS),
            to=original.from_,
            subject="Re: " + original.subject,
            in_reply_to=original.message_id,
            references=(original.message_id,),
        )
        return Reply("work", original, plan, text, Layout(), "", self.location(original))

    def location(self, original: Message) -> Location | None:
        with self.client() as client:
            state = client.select_folder("INBOX", readonly=True)
            found = client.search(["HEADER", "Message-ID", original.message_id])
            return Location("INBOX", state[b"UIDVALIDITY"], found[0]) if found else None

    def approve(self, number: int = 1, text: str = "It left today.", *, undo: float = 0.0) -> int:
        return approve(self.store, self.reply(number, text), undo_seconds=undo, now=self.time, around=self.around)

    def client(self) -> IMAPClient:
        client = IMAPClient("127.0.0.1", self.ends.imap_port, ssl=False)
        client.login(self.ends.user, self.ends.password)
        return client

    def folder(self, name: str) -> list[EmailMessage]:
        """Every message of a folder that is not marked as deleted."""
        with self.client() as client:
            client.select_folder(name, readonly=True)
            found = client.fetch(client.search(["UNDELETED"]), ["BODY.PEEK[]"])
        parsed = [email.message_from_bytes(one[b"BODY[]"], policy=email.policy.default) for one in found.values()]
        return [one for one in parsed if isinstance(one, EmailMessage)]

    def flags(self, name: str) -> list[set[str]]:
        with self.client() as client:
            client.select_folder(name, readonly=True)
            found = client.fetch(client.search(["UNDELETED"]), ["FLAGS"])
        return [{flag.decode() for flag in one[b"FLAGS"]} - {"\\Recent"} for one in found.values()]


def question(number: int) -> bytes:
    return (
        f"From: Nora Vogel <nora{number}@customer.example>\r\nTo: {ADDRESS}\r\nSubject: Order {number}\r\n"
        f"Message-ID: <q{number}@customer.example>\r\nDate: Mon, 23 Nov 2026 09:14:00 +0100\r\n\r\n"
        f"Where is order {number}?\r\n"
    ).encode()


def own_id(message: EmailMessage) -> str:
    return str(message["X-Mailassist-Id"])


def words(message: EmailMessage) -> str:
    """The text of a message without its quote, on one line."""
    return re.split(r"\nOn \d", message.get_content().replace("\r\n", "\n"))[0].strip()


def _server(port: int, ends: Ends) -> ServerSettings:
    return ServerSettings(
        host="127.0.0.1", port=port, security="none", read_timeout=ends.timeout, connect_timeout=ends.timeout
    )
