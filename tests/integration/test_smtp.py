"""SMTP against a real server: what was certainly not sent, what was, and what nobody can know."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from servers.dovecot import Dovecot
from servers.proxy import CutProxy
from servers.smtp import Script, SmtpServer
from servers.smtp import smtp_server as start_smtp

from mailassist.config import ServerSettings
from mailassist.errors import (
    CertificateError,
    ConnectionFailed,
    DeliveryError,
    DeliveryRefused,
    DeliveryUnknown,
    LoginError,
    MailassistError,
)
from mailassist.transport.sasl import Credential
from mailassist.transport.smtp import SmtpAnswer, check_login, send

RAW = b"From: me@team.example\r\nTo: nora@customer.example\r\n\r\nHello\r\n.\r\n..two\r\n.hidden\r\n"


def settings_for(server: SmtpServer, **changes: object) -> ServerSettings:
    plain = {"host": server.host, "port": server.port, "security": "none", "read_timeout": 0.5}
    return ServerSettings.model_validate(plain | changes)


class Sending:
    """One attempt: whether the end of the message was about to be written."""

    def __init__(self, settings: ServerSettings, *recipients: str, raw: bytes = RAW) -> None:
        self.settings = settings
        self.recipients = recipients or ("nora@customer.example",)
        self.raw = raw
        self.data_started = 0

    def __call__(self, credential: Credential | None = None) -> SmtpAnswer:
        return send(self.settings, credential, "me@team.example", self.recipients, self.raw, on_data=self._on_data)

    def _on_data(self) -> None:
        self.data_started += 1


def test_the_message_arrives_byte_for_byte_with_its_dots_and_the_text_of_the_250_comes_back(
    smtp_server: SmtpServer,
) -> None:
    smtp_server.script = Script(after_dot="250 2.0.0 OK <new@outlook.example> [Hostname=AM0]")
    sending = Sending(settings_for(smtp_server), "nora@customer.example", "ben@customer.example")
    assert "<new@outlook.example>" in sending().text
    assert [one.raw for one in smtp_server.accepted] == [RAW]
    assert smtp_server.accepted[0].recipients == ("nora@customer.example", "ben@customer.example")
    assert sending.data_started == 1


@pytest.mark.parametrize(
    ("script", "temporary"),
    [
        (Script(at_mail="451 4.3.0 later"), True),
        (Script(at_mail="550 5.7.1 no"), False),
        (Script(at_data="451 4.3.0 later"), True),
        (Script(at_data="554 5.5.1 no"), False),
        (Script(after_dot="451 4.3.0 later"), True),
        (Script(after_dot="554 5.7.1 spam"), False),
        (Script(after_dot="552 5.3.4 too big"), False),
    ],
)
def test_a_refusal_is_known_for_what_it_is_and_nothing_was_accepted(
    smtp_server: SmtpServer, script: Script, temporary: bool
) -> None:
    smtp_server.script = script
    with pytest.raises(DeliveryRefused) as refused:
        Sending(settings_for(smtp_server))()
    assert refused.value.temporary is temporary
    assert refused.value.cure
    assert smtp_server.accepted == []


def test_one_refused_recipient_stops_before_data_and_is_named(smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(at_rcpt={"gone@customer.example": "550 5.1.1 no such user"})
    sending = Sending(settings_for(smtp_server), "nora@customer.example", "gone@customer.example")
    with pytest.raises(DeliveryRefused, match=r"gone@customer\.example") as refused:
        sending()
    assert refused.value.recipients == ("gone@customer.example",)
    assert sending.data_started == 0
    assert smtp_server.accepted == []


@pytest.mark.parametrize(("drop", "accepted"), [("unaccepted", 0), ("accepted", 1)])
def test_a_connection_lost_after_the_dot_is_unknown(smtp_server: SmtpServer, drop: str, accepted: int) -> None:
    smtp_server.script = Script(drop=drop)
    with pytest.raises(DeliveryUnknown):
        Sending(settings_for(smtp_server))()
    assert len(smtp_server.accepted) == accepted


def test_a_250_followed_by_a_drop_is_a_250(smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(drop="answered")
    assert Sending(settings_for(smtp_server))().text


def test_the_answer_to_the_dot_may_take_longer_than_any_other(smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(delay=1.2)
    assert Sending(settings_for(smtp_server, read_timeout=0.4))().text


def test_an_answer_that_never_comes_is_unknown(smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(delay=3)
    with pytest.raises(DeliveryUnknown):
        Sending(settings_for(smtp_server, read_timeout=0.1))()


def test_an_error_while_the_last_step_is_committed_keeps_the_message_from_being_sent(smtp_server: SmtpServer) -> None:
    def refuse() -> None:
        raise DeliveryError("the store is full")

    with pytest.raises(DeliveryError, match="the store is full"):
        send(settings_for(smtp_server), None, "me@team.example", ["nora@customer.example"], RAW, on_data=refuse)
    assert Sending(settings_for(smtp_server))().text
    assert len(smtp_server.accepted) == 1


def test_a_wire_cut_at_any_offset_is_safe_sent_or_unknown_and_the_server_agrees(smtp_server: SmtpServer) -> None:
    raw = RAW + b"a line of text\r\n" * 20
    with CutProxy(smtp_server.host, smtp_server.port) as proxy:
        settings = settings_for(smtp_server, port=proxy.port)
        Sending(settings, raw=raw)()
        whole = proxy.passed
        smtp_server.accepted.clear()
        for direction, length in (("up", whole.up), ("down", whole.down)):
            for offset in range(0, length, 37):
                proxy.cut(direction, offset)
                assert_the_server_agrees(smtp_server, Sending(settings, raw=raw))


def assert_the_server_agrees(server: SmtpServer, sending: Sending) -> None:
    server.accepted.clear()
    try:
        sending()
        allowed = [1]
    except DeliveryUnknown:
        assert sending.data_started == 1
        allowed = [0, 1]
    except MailassistError:
        allowed = [0]
    assert len(server.accepted) in allowed


@pytest.fixture
def cafile(dovecot: Dovecot) -> Path:
    assert dovecot.cafile is not None, "openssl is not installed: apt-get install openssl"
    return dovecot.cafile


@contextlib.contextmanager
def server_with(cafile: Path, security: str) -> Iterator[SmtpServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cafile.parent / "good.pem", cafile.parent / "good.key")
    if security == "tls":
        with start_smtp(tls=context, logins=True) as server:
            yield server
    else:
        with start_smtp(starttls=context, logins=True) as server:
            yield server


def login(secret: str = "secret", method: str = "password") -> Credential:
    return Credential("me@team.example", "me@team.example", method, lambda: SecretStr(secret))  # type: ignore[arg-type]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_logs_in_over_verified_tls(cafile: Path, security: str) -> None:
    with server_with(cafile, security) as server:
        settings = settings_for(server, security=security, cafile=cafile, read_timeout=10)
        assert Sending(settings)(login()).text
        assert server.logins[-1] == ("PLAIN", "me@team.example")
        assert Sending(settings)(login(method="xoauth2")).text
        with pytest.raises(LoginError, match="token"):
            check_login(settings, login("old", "xoauth2"))
        with pytest.raises(LoginError, match=r"no \*\*\* here.*password"):
            check_login(settings, login("wrong"))
        with pytest.raises(CertificateError):
            check_login(settings.model_copy(update={"cafile": None}), login())


def test_a_server_without_starttls_gets_no_password(smtp_server: SmtpServer) -> None:
    with pytest.raises(ConnectionFailed, match="STARTTLS"):
        check_login(settings_for(smtp_server, security="starttls"), login())
    assert smtp_server.logins == []
