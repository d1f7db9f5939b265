"""TLS against small servers of Python's own: what must not be accepted, and what each refusal says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.dovecot import make_certificates
from skipping import unavailable

from mailassist.config import ServerSettings
from mailassist.errors import CertificateError, ConfigError, ConnectionFailed
from mailassist.transport.network import open_socket
from mailassist.transport.session import Session
from mailassist.transport.smtp import check_login


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    if make_certificates(folder) is None:
        unavailable("there is no openssl of version 3 or newer: apt-get install openssl")
    return folder


def context(folder: Path, name: str, *, clients: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if clients:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(folder / "ca.pem")
    return made


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """One connection after the other, each handed to `talk`; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        talk(connection)
                    except OSError:
                        pass

        threading.Thread(target=accept, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def settings(port: int, folder: Path, **other: object) -> ServerSettings:
    values = {
        "host": "127.0.0.1",
        "port": port,
        "cafile": folder / "ca.pem",
        "read_timeout": 5.0,
        "connect_timeout": 5.0,
    }
    return ServerSettings.model_validate(values | other)


def test_a_certificate_for_another_host_is_refused(certificates: Path) -> None:
    wrong = context(certificates, "wrong")
    with (
        serving(lambda plain: wrong.wrap_socket(plain, server_side=True).close()) as port,
        pytest.raises(CertificateError, match=r"127\.0\.0\.1.*Use the host name"),
    ):
        open_socket(settings(port, certificates))


def test_a_certificate_by_a_stranger_is_refused_and_cafile_is_named(certificates: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path / "other")
    good = context(certificates, "good")
    with (
        serving(lambda plain: good.wrap_socket(plain, server_side=True).close()) as port,
        pytest.raises(CertificateError, match="not issued by the CA"),
    ):
        open_socket(settings(port, tmp_path / "other"))


def test_a_client_certificate_is_shown_where_it_is_configured(certificates: Path) -> None:
    demanding = context(certificates, "good", clients=True)

    def talk(plain: socket.socket) -> None:
        with demanding.wrap_socket(plain, server_side=True) as encrypted:
            encrypted.sendall(b"* OK known\r\n")

    own = {"client_certificate": certificates / "good.pem", "client_key": certificates / "good.key"}
    with serving(talk) as port:
        with open_socket(settings(port, certificates, **own)) as known:
            assert known.recv(100).startswith(b"* OK known")
        with pytest.raises(ConnectionFailed):
            Session(settings(port, certificates))


def test_what_was_slipped_in_before_tls_is_forgotten(certificates: Path) -> None:
    good = context(certificates, "good")

    def talk(plain: socket.socket) -> None:
        plain.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
        tag = plain.recv(1000).split()[0]
        plain.sendall(tag + b" OK begin\r\n")
        with good.wrap_socket(plain, server_side=True) as encrypted:
            tag = encrypted.recv(1000).split()[0]
            encrypted.sendall(b"* CAPABILITY IMAP4rev1 MOVE\r\n" + tag + b" OK done\r\n")
            encrypted.recv(1000)

    with serving(talk) as port:
        session = Session(settings(port, certificates, security="starttls"))
        assert session.offers("MOVE") and not session.offers("STARTTLS")
        session.close()


def test_bytes_between_starttls_and_the_handshake_never_reach_the_parser(certificates: Path) -> None:
    def talk(plain: socket.socket) -> None:
        plain.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
        tag = plain.recv(1000).split()[0]
        following = tag[:-1] + b"%d" % (int(tag[-1:]) + 1)  # tags can be guessed by whoever saw one
        plain.sendall(tag + b" OK begin\r\n* CAPABILITY IMAP4rev1 X-EVIL\r\n" + following + b" OK done\r\n")
        context(certificates, "good").wrap_socket(plain, server_side=True).close()

    with serving(talk) as port:
        try:
            session = Session(settings(port, certificates, security="starttls"))
        except ConnectionFailed:
            return  # the handshake itself met the bytes
        with pytest.raises(ConnectionFailed):
            session.offers("X-EVIL")


def test_a_server_that_says_nothing_is_given_up(certificates: Path) -> None:
    silent = threading.Event()
    with (
        serving(lambda plain: silent.wait(3) and None) as port,
        pytest.raises(ConnectionFailed, match="did not answer in time"),
    ):
        open_socket(settings(port, certificates, connect_timeout=0.3))
    silent.set()


def test_a_port_that_waits_for_tls_is_known_by_its_silence(certificates: Path) -> None:
    silent = threading.Event()
    with serving(lambda plain: silent.wait(3) and None) as port:
        unencrypted = settings(port, certificates, security="starttls", read_timeout=0.3)
        for connect in (Session, lambda server: check_login(server, None)):
            with pytest.raises(ConnectionFailed, match="did not greet in time") as caught:
                connect(unencrypted)
            assert 'needs security = "tls"' in str(caught.value)
        silent.set()


def test_a_port_of_another_protocol_is_told_with_what_it_says(certificates: Path) -> None:
    smtp, imap = b"220 mx.example ESMTP\r\n", b"* OK Dovecot ready.\r\n"
    for said, shown, connect in (
        (smtp, r"an IMAP server does: 220 mx\.example ESMTP", Session),
        (imap, r"an SMTP server does: .*Dovecot ready\.", lambda server: check_login(server, None)),
    ):
        with (
            serving(lambda plain, said=said: plain.sendall(said)) as port,
            pytest.raises(ConnectionFailed, match=f"{shown}.*host and port"),
        ):
            connect(settings(port, certificates, security="starttls"))


def test_a_host_name_that_does_not_exist_is_named(certificates: Path) -> None:
    with pytest.raises(ConnectionFailed, match=r"no-such-host\.invalid"):
        open_socket(settings(993, certificates, host="no-such-host.invalid", proxy="none"))


@pytest.mark.parametrize(
    "proxy", ["socks5://[::1:1080", "socks5://me:hunt/er2@p.example:1", "ftp://me:hunter2@p.example"]
)
def test_a_proxy_that_is_none_is_told_without_its_password(proxy: str) -> None:
    with pytest.raises(ConfigError, match=r"the proxy .*is not usable") as caught:
        open_socket(ServerSettings(host="imap.example.org", port=993, proxy=proxy))
    assert "hunt" not in str(caught.value)
