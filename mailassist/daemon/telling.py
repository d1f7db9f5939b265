"""Two ways to reach people without SMTP: the machine's sendmail program, and a webhook.

Neither carries anything of a conversation. A webhook's URL is a secret in itself (chat programs put their token there):
errors name its host only.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Protocol
from urllib.parse import urlsplit

from mailassist.config import ServerSettings
from mailassist.errors import ConfigError, MailassistError
from mailassist.team_settings import Notices
from mailassist.transport.network import open_socket

SENDMAIL_TIMEOUT = 30.0  # seconds
WEBHOOK_TIMEOUT = 10.0  # seconds without a byte


class TellingFailed(MailassistError):
    """People could not be told; it is tried again."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be said, the same for a mail and a webhook."""

    subject: str
    text: str
    ids: Sequence[int]  # of the notices: told twice after a crash, it has the same Message-ID and key
    at: float  # seconds since 1970
    notices: Sequence[Mapping[str, object]] = field(default_factory=tuple)  # for programs
    urgent: bool = False

    @property
    def key(self) -> str:
        """The same for the same notices."""
        return hashlib.sha256(f"mailassist notices {sorted(self.ids)}".encode()).hexdigest()[:32]


class Channel(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """As it stands in the store."""
        ...

    def send(self, telling: Telling) -> None:
        """Hand it over. Raises TellingFailed."""
        ...


def channels(notices: Notices) -> list[Channel]:
    """The ways that `[daemon.notices]` names. Raises ConfigError."""
    found: list[Channel] = []
    if notices.sendmail:
        found.append(Sendmail(notices.sendmail, notices.to, notices.sender))
    if notices.webhook:
        found.append(Webhook(notices.webhook))
    return found


class Sendmail:
    """A program that takes a mail on its standard input, and its recipients as arguments, as sendmail(8) does."""

    name = "sendmail"

    def __init__(self, command: str, to: Sequence[str], sender: str = "") -> None:
        """`command`: program and arguments as in a shell. Raises ConfigError."""
        words = shlex.split(command)
        if not words or shutil.which(words[0]) is None:
            raise ConfigError(
                f"daemon.notices.sendmail: there is no program {command!r}", cure="Install one, or use webhook."
            )
        if not to:
            raise ConfigError("daemon.notices.sendmail is set, but daemon.notices.to is empty", cure="Say who is told.")
        for address in (*to, *([sender] if sender else [])):
            if (
                address.startswith("-")
                or "@" not in address
                or not address.isprintable()
                or set(address) & set(' <>,"')
            ):
                raise ConfigError(
                    f"daemon.notices: {address!r} is no bare address", cure="Write it as team@example.org."
                )
        self._words = words
        self._to = list(to)
        self._sender = sender or to[0]

    def send(self, telling: Telling) -> None:
        """Run the program. Raises TellingFailed with its exit code and last line."""
        command = [*self._words, "-i", "-f", self._sender, "--", *self._to]
        try:
            done = subprocess.run(
                command,
                input=self._mail(telling),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=SENDMAIL_TIMEOUT,
                env={name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TZ")},
                check=False,
            )
        except (OSError, ValueError) as error:
            raise TellingFailed(f"{self._words[0]} could not be run: {error}") from error
        except subprocess.TimeoutExpired:
            raise TellingFailed(f"{self._words[0]} did not end within {SENDMAIL_TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise TellingFailed(f"{self._words[0]} ended with exit code {done.returncode}: {said[-1][:200]}")

    def _mail(self, telling: Telling) -> bytes:
        mail = EmailMessage(policy=SMTP.clone(linesep="\n"))
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._to)
        mail["Subject"] = telling.subject
        mail["Date"] = formatdate(telling.at)
        mail["Message-ID"] = f"<{telling.key}@{self._sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5: nobody's program answers it, ours included
        mail["X-Auto-Response-Suppress"] = "All"
        if telling.urgent:
            mail["Importance"] = "high"
        mail.set_content(telling.text, cte="quoted-printable")
        return mail.as_bytes()


class Webhook:
    """An https URL that takes JSON: `text` for chat programs, the rest for others."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        """`url`: https only, without user and password. Raises ConfigError, which does not show it."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            parts, host, port = urlsplit(""), "", 443
        if parts.scheme != "https" or not host or "@" in parts.netloc or not url.isascii() or not url.isprintable():
            raise ConfigError(
                "daemon.notices.webhook is no https URL", cure="Write it as https://chat.example.org/hook."
            )
        self._server = ServerSettings(
            host=host, port=port, security="tls", connect_timeout=WEBHOOK_TIMEOUT, read_timeout=WEBHOOK_TIMEOUT
        )
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host_field = parts.netloc

    def send(self, telling: Telling) -> None:
        """POST it; only 2xx is success, redirects are not followed. Raises TellingFailed."""
        body = json.dumps(
            {"text": telling.text, "urgent": telling.urgent, "id": telling.key, "notices": list(telling.notices)}
        )
        head = {"Content-Type": "application/json", "Idempotency-Key": telling.key, "User-Agent": "mailassist"}
        connection = http.client.HTTPSConnection(self._server.host, self._server.port, timeout=WEBHOOK_TIMEOUT)
        try:
            connection.sock = open_socket(self._server)
            connection.request("POST", self._target, body.encode("ascii"), {"Host": self._host_field} | head)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise TellingFailed(f"{self._server.host} did not take it: {why}") from error
        except MailassistError as error:
            raise TellingFailed(error.message) from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise TellingFailed(f"{self._server.host} answered {status}")
