"""The sample servers: pymap for IMAP and aiosmtpd for SMTP, on free loopback ports, in one thread of this process.

They speak without TLS, on the loopback interface only, and know one login with a password drawn anew for each run.
What pymap does not offer (SPECIAL-USE, CONDSTORE, ESEARCH) is not asked of it: folders are found by their names.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import ssl
import threading
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config as DictConfig
from pymap.backend.dict import Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.concurrent import Subsystem
from pymap.config import BackendCapability
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials.flag import Flag
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

from mailassist.demo.mailbox import FOLDERS, SampleMessage

HOST = "127.0.0.1"
START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the sample SMTP server took."""

    sender: str  # MAIL FROM
    recipients: tuple[str, ...]  # RCPT TO
    raw: bytes
    answer: str  # what the server said to it: "250 ..."
    path: Path | None = None  # where it was written, so that a person can look

    @property
    def message_id(self) -> str:
        """The Message-ID of what was received."""
        return str(BytesHeaderParser().parsebytes(self.raw).get("Message-ID", "")).strip()


class SampleServers:
    """An IMAP server filled with `messages` and an SMTP server that keeps what it receives; a context manager.

    `host`, `imap_port`, `smtp_port`, `login` and `password` say how to reach them; `received` grows with each
    delivery. With `folder`, each received message is also written there as an .eml file.
    """

    def __init__(
        self, messages: Sequence[SampleMessage], *, login: str, password: str, folder: Path | None = None
    ) -> None:
        """Nothing runs yet; `with` or `start()` starts both servers."""
        self.host = HOST
        self.login = login
        self.password = password
        self.imap_port = 0
        self.smtp_port = 0
        self.received: list[Received] = []
        self._messages = messages
        self._folder = folder
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="sample-servers", daemon=True)

    def start(self) -> None:
        """Start both servers; returns when they answer. Raises OSError when no port can be had."""
        _silence()
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise OSError("the sample servers did not start")
        if self._failure is not None:
            raise OSError(f"the sample servers could not start: {self._failure}") from self._failure

    def stop(self) -> None:
        """Stop both servers and wait for their thread; connections are closed."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - handed to start(), which runs in another thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # a client that hangs up is no news
        self._stop = asyncio.Event()
        config = _ImapConfig(self.login)
        imap = await self._start_imap(config)
        smtp = await self._loop.create_server(self._smtp_session, HOST, 0)
        self.imap_port = imap.sockets[0].getsockname()[1]
        self.smtp_port = smtp.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        imap.close()
        smtp.close()

    async def _start_imap(self, config: _ImapConfig) -> asyncio.Server:
        config.apply_context()
        login = Login(config)
        await login.demo_user_identity.set(UserMetadata(config, self.login, password=self.password))
        config.set_cache[self.login] = (await _mailboxes(self._messages), FilterSet())
        connected = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(login, config))
        return await asyncio.start_server(connected, HOST, 0)

    def _smtp_session(self) -> SMTP:
        return SMTP(
            self,  # its handle_* methods are the hooks
            hostname="localhost",  # otherwise aiosmtpd asks the resolver, which may wait for a network
            ident="mailassist sample server",
            authenticator=self._authenticate,
            auth_require_tls=False,
            enable_SMTPUTF8=True,
            loop=self._loop,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and (
            hmac.compare_digest(given.login, self.login.encode())
            and hmac.compare_digest(given.password, self.password.encode())
        )
        return AuthResult(success=right, handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep what was received (aiosmtpd calls this after DATA); the answer names it, as real servers do."""
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        number = len(self.received) + 1
        answer = f"250 2.0.0 Ok: queued as SAMPLE-{number:04d}"
        path = self._folder / f"{number:04d}.eml" if self._folder else None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        recipients = tuple(str(address) for address in envelope.rcpt_tos)
        self.received.append(Received(str(envelope.mail_from or ""), recipients, raw, answer, path))
        return answer


class _ImapConfig(DictConfig):
    """pymap's settings for one user in memory, without what a loopback server does not need.

    The two properties are pymap's own extension points.
    """

    def __init__(self, login: str) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=HOST,
            port=0,
            demo_data=False,
            demo_user=login,
            demo_password="",  # unused: the user is added with its own password
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),  # otherwise read from files that $CERT_FILE names
            tls_enabled=False,
            reject_dnsbl=False,
            hash_context=Cleartext(),  # the password lives as long as this process
            cpu_subsystem=Subsystem.for_asyncio(),
            max_append_len=50_000_000,
        )

    @property
    def backend_capability(self) -> BackendCapability:
        """Without OBJECTID: pymap's THREADID follows the subject and knows `Re:` alone, so `AW:` would cut a thread."""
        return BackendCapability(idle=True, object_id=False, multi_append=True)

    @property
    def greeting(self) -> bytes:
        """Without the machine's name: asking the resolver for it may wait for a network."""
        return b"mailassist sample server ready"


async def _mailboxes(messages: Sequence[SampleMessage]) -> MailboxSet:
    """`messages` in pymap's memory, in the order of their arrival, as a server would have numbered them."""
    mailboxes = MailboxSet()
    for name in FOLDERS[1:]:  # INBOX is there
        await mailboxes.add_mailbox(name)
    for message in sorted(messages, key=lambda message: message.received):
        mailbox = await mailboxes.get_mailbox(message.folder)
        flags = frozenset(Flag(flag.encode("ascii")) for flag in message.flags)
        await mailbox.append(AppendMessage(message.raw, message.received, flags))
    return mailboxes


def _silence() -> None:
    """Keep both libraries' logging off the terminal: a UI is drawn on it."""
    for name in ("pymap", "mail.log", "mail.debug", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
