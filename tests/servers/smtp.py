"""A real SMTP server (aiosmtpd) that fails where the test says so, and remembers everything it accepted."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "secret"


@dataclass(frozen=True)
class Accepted:
    """A message for which the server took responsibility."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes  # CRLF line ends, dots unstuffed

    @property
    def own_id(self) -> str:
        """The value of our own header."""
        found = re.search(rb"(?mi)^X-Mailassist-Id: *([^\r\n]*)", self.raw)
        return found.group(1).decode() if found else ""


@dataclass
class Script:
    """What goes wrong; "" is what a good server does."""

    at_mail: str = ""  # the answer to MAIL, e.g. "451 4.3.0 later"
    at_rcpt: dict[str, str] = field(default_factory=dict)  # by address
    at_data: str = ""  # the answer to DATA, in place of 354
    after_dot: str = ""  # the answer to the message; 2xx accepts it, others do not
    drop: str = ""  # "unaccepted": close after the dot; "accepted": accept, close; "answered": accept, 250, close
    delay: float = 0.0  # seconds before the answer to the dot
    times: int = 1_000_000  # how many messages (or refused commands) this goes on for
    rename_id: str = ""  # Outlook: replace the Message-ID and tell it in the 250


class SmtpServer:
    """`with smtp_server() as server`: `server.port`, `server.accepted`, `server.script`."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.accepted: list[Accepted] = []
        self.script = Script()
        self.file_copy: Callable[[bytes], None] | None = None  # a server that fills Sent by itself
        self.logins: list[tuple[str, str]] = []
        self.commands: list[str] = []
        self.lock = threading.Lock()

    def take(self) -> Script:
        """The script for this event; used up after `times` events."""
        with self.lock:
            if self.script.times <= 0:
                return Script()
            self.script.times -= 1
            return self.script


class _Handler:
    def __init__(self, server: SmtpServer) -> None:
        self.server = server

    async def handle_MAIL(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.server.script.at_mail:
            answer = self.server.take().at_mail
            if answer:
                return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.server.script.at_rcpt:
            answer = self.server.take().at_rcpt.get(address)
            if answer:
                return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:
        script = self.server.take() if not (self.server.script.at_mail or self.server.script.at_rcpt) else Script()
        await asyncio.sleep(script.delay)
        if script.after_dot and not script.after_dot.startswith("2"):
            return script.after_dot
        if script.drop == "unaccepted":
            return _close(smtp)
        answer = self._accept(envelope, script)
        if script.drop == "accepted":
            return _close(smtp)
        if script.drop == "answered":
            asyncio.get_running_loop().call_later(0.05, _close, smtp)
        return answer

    async def auth_XOAUTH2(self, smtp: SMTP, args: list[str]) -> AuthResult:
        """RFC 7628's shape as Google and Microsoft speak it: a wrong token gets its reason as a challenge."""
        user, token = base64.b64decode(args[1]).decode().removeprefix("user=").split("\x01auth=Bearer ")
        self.server.logins.append(("XOAUTH2", user))
        if token.rstrip("\x01") == PASSWORD:
            return AuthResult(success=True)
        await smtp.challenge_auth('{"status":"400","schemes":"Bearer"}')
        return AuthResult(success=False, handled=False)

    def _accept(self, envelope: Envelope, script: Script) -> str:
        raw = envelope.original_content or b""
        answer = script.after_dot or "250 2.0.0 OK queued"
        if script.rename_id:
            raw = re.sub(rb"(?mi)^Message-ID:\s*([^\r\n]*)", rb"X-Microsoft-Original-Message-ID: \1", raw, count=1)
            raw = b"Message-ID: " + script.rename_id.encode() + b"\r\n" + raw
            answer = f"250 2.0.0 OK {script.rename_id} [Hostname=AM0.eurprd01.prod.outlook.example]"
        self.server.accepted.append(Accepted(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw))
        if self.server.file_copy:
            self.server.file_copy(raw)
        return answer


class _Smtp(SMTP):
    """aiosmtpd, which can also refuse the DATA command and remembers the commands."""

    our_server: SmtpServer

    async def smtp_DATA(self, arg: str) -> None:
        if self.our_server.script.at_data:
            answer = self.our_server.take().at_data
            if answer:
                await self.push(answer)
                return
        await super().smtp_DATA(arg)

    async def push(self, status: str | bytes) -> None:
        try:
            await super().push(status)
        except ConnectionError:
            pass  # the script has closed the connection


def _close(smtp: SMTP) -> str:
    if smtp.transport is not None:
        smtp.transport.abort()
    return "421 gone"


@contextmanager
def smtp_server(
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    logins: bool = False,
    exclude: tuple[str, ...] = (),
) -> Iterator[SmtpServer]:
    """A running server on a free port of loopback."""
    server = SmtpServer()

    def authenticate(_smtp: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        server.logins.append((mechanism, data.login.decode()))
        if data.password == PASSWORD.encode():
            return AuthResult(success=True)
        # Some servers repeat what they refuse.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 no {data.password.decode()} here")

    def factory() -> SMTP:
        protocol = _Smtp(
            _Handler(server),
            enable_SMTPUTF8=True,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate if logins else None,
            auth_require_tls=False,
            auth_required=logins,
            auth_exclude_mechanism=exclude,
            timeout=60,
            loop=loop,
        )
        protocol.our_server = server
        return protocol

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(loop.create_server(factory, server.host, 0, ssl=tls))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()
