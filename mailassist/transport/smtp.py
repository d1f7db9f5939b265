"""One reply over SMTP, step by step, so that the text of the final 250 is kept (RFC 5321; RFC 1047 for its gap).

The bytes of the message go out first and the line with the dot afterwards: a server cannot accept what has no end
(RFC 5321, 4.1.1.4), so everything up to the dot can be tried again, and only what comes after it can be unknown.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mailassist.config import ServerSettings
from mailassist.errors import ConnectionFailed, DeliveryRefused, DeliveryUnknown, LoginError
from mailassist.transport.network import no_greeting, open_socket, start_tls
from mailassist.transport.sasl import Credential, concealed, initial_response, oauth_failure, spellings
from mailassist.transport.smtp_answers import SmtpAnswer as SmtpAnswer
from mailassist.transport.smtp_answers import cure, login_cure

_ANSWER_TIMES = 10  # the answer to the dot may take ten times as long as any other (RFC 5321, 4.5.3.2.6: 10 minutes)
_LINE_START = re.compile(rb"(?m)^\.")


def send(
    settings: ServerSettings,
    credential: Credential | None,
    sender: str,
    recipients: Sequence[str],
    raw: bytes,
    *,
    on_data: Callable[[], None],
) -> SmtpAnswer:
    """Send `raw` (CRLF line ends, dots not yet stuffed) from `sender` to all of `recipients`, or to none of them.

    `on_data` is called once, when all but the last line with the dot was written; if it raises, the server never gets
    the end and drops the message. Raises before that: ConnectionFailed, CertificateError, LoginError, DeliveryRefused
    (nothing was sent); after it DeliveryRefused (4xx and 5xx: the server said no) or DeliveryUnknown (no answer came).
    """
    with _session(settings, credential) as connection:
        _envelope(connection, sender, recipients, len(raw), settings.host)
        _ask(connection, settings.host, "DATA", 354)
        with _broken_before_the_end(settings.host):
            connection.wire.sendall(_LINE_START.sub(b"..", raw))
        on_data()
        return _end(connection, settings)


def check_login(settings: ServerSettings, credential: Credential | None) -> None:
    """Connect and log in, send nothing. Raises ConnectionFailed, CertificateError, LoginError."""
    with _session(settings, credential):
        pass


class _Connection(smtplib.SMTP):
    """smtplib over a socket that is already open (timeouts, proxies and TLS are `transport.network`'s)."""

    def __init__(self, opened: socket.socket, host: str) -> None:
        super().__init__(local_hostname="[127.0.0.1]")
        self._opened = opened
        self._host = host

    @property
    def wire(self) -> socket.socket:
        """The open socket. Raises SMTPServerDisconnected when smtplib has closed it."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return self.sock

    def encrypt(self, settings: ServerSettings) -> None:
        """STARTTLS; what came before TLS was up is thrown away, extensions too (RFC 3207, 4.2)."""
        code, text = self.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, text)
        self.sock = start_tls(self.wire, settings)
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}

    def greet(self) -> tuple[int, bytes]:
        """The server's greeting."""
        return self.connect(self._host, 25)

    def _get_socket(self, host: object, port: object, timeout: object) -> socket.socket:
        return self._opened


@contextmanager
def _session(settings: ServerSettings, credential: Credential | None) -> Iterator[_Connection]:
    """A connection that is encrypted and logged in; its end is polite where that is still possible."""
    opened = open_socket(settings)
    connection = _Connection(opened, settings.host)
    try:
        with _broken_before_the_end(settings.host):
            _start(connection, settings)
            if credential is not None:
                _login(connection, settings.host, credential)
        yield connection
        _farewell(connection)
    finally:
        connection.close()
        opened.close()


def _start(connection: _Connection, settings: ServerSettings) -> None:
    try:
        code, text = connection.greet()
    except smtplib.SMTPServerDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise no_greeting(settings, "SMTP") from error
        raise
    if code < 0:  # smtplib's word for a line without a code
        raise no_greeting(settings, "SMTP", text.decode("utf-8", "replace"))
    if code != 220:
        raise _refusal(settings.host, code, text)
    _hello(connection, settings.host)
    if settings.security != "starttls":
        return
    if not connection.has_extn("starttls"):
        raise ConnectionFailed(
            f"{settings.host} offers no STARTTLS; nothing was sent in the clear",
            cure='Use security = "tls" (port 465), or ask the provider.',
        )
    connection.encrypt(settings)
    _hello(connection, settings.host)


def _hello(connection: _Connection, host: str) -> None:
    code, text = connection.ehlo()
    if not 200 <= code <= 299:
        code, text = connection.helo()
    if not 200 <= code <= 299:
        raise _refusal(host, code, text)


def _login(connection: _Connection, host: str, credential: Credential) -> None:
    """AUTH PLAIN or LOGIN, XOAUTH2, OAUTHBEARER (RFC 4954, RFC 7628). Raises LoginError with the provider's cure."""
    offered = connection.esmtp_features.get("auth", "").upper().split()
    if not offered:
        raise LoginError(
            f"{host} offers no login",
            cure='Check port and security in [accounts.NAME.smtp]: 465 "tls" or 587 "starttls".',
        )
    credential = credential.asked()
    code, text = _authenticate(connection, credential, offered)
    if code not in (235, 503):
        message = concealed(text.decode("utf-8", "replace").strip(), spellings(credential))
        if 400 <= code <= 499 and not message.startswith("4.7.0"):
            raise DeliveryRefused(f"{host} cannot log anybody in now: {code} {message}", temporary=True)
        raise LoginError(
            f"{host} refused the login of {credential.login}: {code} {message}",
            cure=login_cure(message, credential.method),
        )


def _authenticate(connection: _Connection, credential: Credential, offered: Sequence[str]) -> tuple[int, bytes]:
    if credential.method == "password" and "PLAIN" not in offered and "LOGIN" in offered:
        code, text = connection.docmd("AUTH", "LOGIN")
        for answer in (credential.login, credential.secret().get_secret_value()):
            if code == 334:
                code, text = connection.docmd(_base64(answer.encode()))
        return code, text
    mechanism, response = initial_response(credential)
    code, text = connection.docmd("AUTH", f"{mechanism} {_base64(response)}")
    if code == 334:
        # The challenge holds the reason as JSON; the failure itself comes after an empty answer (RFC 7628, 3.2.3).
        reason = oauth_failure(text)
        code, text = connection.docmd("AQ==" if mechanism == "OAUTHBEARER" else "")
        text += f" {reason}".encode()
    return code, text


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii") or "="


def _envelope(connection: _Connection, sender: str, recipients: Sequence[str], size: int, host: str) -> None:
    """MAIL and every RCPT; any refusal stops before DATA and names the refused (nobody gets half a reply)."""
    for address in (sender, *recipients):
        if re.search(r"[\x00-\x20<>\x7f]", address):
            raise DeliveryRefused(f"{address!r} is not an e-mail address")
    options = []
    if connection.has_extn("size"):
        options.append(f"SIZE={size}")
    if not all(address.isascii() for address in (sender, *recipients)):
        if not connection.has_extn("smtputf8"):
            raise DeliveryRefused(f"{host} cannot send to addresses with letters beyond ASCII before the @")
        connection.command_encoding = "utf-8"
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    _ask(connection, host, "MAIL", 250, " ".join([f"FROM:<{sender}>", *options]))
    refused = {}
    for recipient in recipients:
        with _broken_before_the_end(host):
            code, text = connection.docmd("RCPT", f"TO:<{recipient}>")
        if code not in (250, 251):
            refused[recipient] = (code, text)
    if refused:
        with _broken_before_the_end(host):
            connection.docmd("RSET")
        raise _recipients_refused(host, refused)


def _end(connection: _Connection, settings: ServerSettings) -> SmtpAnswer:
    """Write the dot and wait for the one answer that counts."""
    try:
        connection.wire.settimeout(settings.read_timeout * _ANSWER_TIMES)
        connection.wire.sendall(b".\r\n")
        code, text = connection.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryUnknown(
            f"{settings.host} gave no answer after the whole reply was sent ({error or type(error).__name__})",
            cure="Look for it in Sent or ask the recipient; then use `mailassist outbox`.",
        ) from error
    if code == 250:
        return SmtpAnswer(text.decode("utf-8", "replace"))
    if 400 <= code <= 599:
        raise _refusal(settings.host, code, text)
    raise DeliveryUnknown(f"{settings.host} answered {code} {text!r} to the reply, which says neither yes nor no")


def _ask(connection: _Connection, host: str, verb: str, wanted: int, arguments: str = "") -> None:
    with _broken_before_the_end(host):
        code, text = connection.docmd(verb, arguments)
        if code != wanted:
            raise _refusal(host, code, text)


def _farewell(connection: _Connection) -> None:
    """QUIT; whatever comes of it changes nothing."""
    try:
        connection.wire.settimeout(2.0)
        connection.docmd("QUIT")
    except (OSError, smtplib.SMTPException):
        pass


@contextmanager
def _broken_before_the_end(host: str) -> Iterator[None]:
    """smtplib's and the socket's errors before the end of the message: nothing was sent."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        raise _refusal(host, error.smtp_code, text) from error
    except (OSError, smtplib.SMTPException) as error:
        raise ConnectionFailed(
            f"{host} broke the connection: {error or type(error).__name__}", cure="Nothing was sent; it is tried again."
        ) from error


def _refusal(host: str, code: int, text: bytes) -> DeliveryRefused:
    message = " ".join(text.decode("utf-8", "replace").split())
    return DeliveryRefused(f"{host} said {code} {message}", cure=cure(code, message), temporary=not 500 <= code <= 599)


def _recipients_refused(host: str, refused: dict[str, tuple[int, bytes]]) -> DeliveryRefused:
    """All refused recipients in one error; it is temporary only if every refusal is."""
    shown = "; ".join(
        f"{who}: {code} {' '.join(text.decode('utf-8', 'replace').split())}" for who, (code, text) in refused.items()
    )
    return DeliveryRefused(
        f"{host} refused {len(refused)} recipient(s), nothing was sent to anybody: {shown}",
        cure=cure(*next((code, text.decode("utf-8", "replace")) for code, text in refused.values())),
        temporary=all(code < 500 for code, _ in refused.values()),
        recipients=tuple(refused),
    )
