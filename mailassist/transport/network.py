"""Sockets: how a server is reached (directly, by proxy, IPv4 or IPv6), how TLS is verified, what went wrong in words.

Shared by IMAP and SMTP. A socket from here has Nagle's algorithm off, since commands leave in pieces (PROVIDERS 6).
"""

from __future__ import annotations

import base64
import functools
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mailassist.config import ServerSettings
from mailassist.errors import CertificateError, ConfigError, ConnectionFailed

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER, _UNVERIFIABLE, _NOT_YET, _EXPIRED = 18, 19, 20, 21, 9, 10
_WRONG_NAMES = (62, 64)  # hostname, IP address
_END_OF_HEADER = b"\r\n\r\n"
_LONGEST_HEADER = 65_536
# Seconds without a byte until the first probe, between two, and how many are left unanswered before it is the end.
_PROBES = (("TCP_KEEPIDLE", 120), ("TCP_KEEPALIVE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


def open_socket(settings: ServerSettings, *, environment: Mapping[str, str] = os.environ) -> socket.socket:
    """Connect to the server; for security = "tls" the socket returned is encrypted and verified.

    Raises ConnectionFailed, CertificateError (both name the host and say what to do), ConfigError (cafile, proxy).
    """
    context = tls_context(settings) if settings.security == "tls" else None
    with failures(settings):
        proxy = proxy_for(settings, environment)
        plain = _through(proxy, settings) if proxy else _directly(settings)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(plain)
            plain.settimeout(settings.connect_timeout)
            opened = context.wrap_socket(plain, server_hostname=settings.host) if context else plain
        except BaseException:
            plain.close()
            raise
        opened.settimeout(settings.read_timeout)
    return opened


def _keep_alive(plain: socket.socket) -> None:
    """A connection whose other end is gone without a word is found within minutes, not after the system's two hours."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        option = getattr(socket, name, None)  # which of them there are depends on the system
        if option is not None:
            plain.setsockopt(socket.IPPROTO_TCP, option, value)


def tls_context(settings: ServerSettings) -> ssl.SSLContext:
    """A context that verifies certificate and host name, against the system's CAs or `cafile`. Raises ConfigError.

    Connections with the same files share one: the system's CAs take half a megabyte of memory.
    """
    paths = (settings.cafile, settings.client_certificate, settings.client_key)
    files = tuple(None if path is None else path.expanduser() for path in paths)
    try:
        changed = tuple(path.stat().st_mtime_ns for path in files if path is not None)
        return _context(*files, changed if settings.cafile else (*changed, *_system_cas()))
    except OSError as error:  # an ssl.SSLError is one too
        named = ", ".join(str(path) for path in (settings.cafile, settings.client_certificate) if path)
        raise ConfigError(
            f"The certificate files of {settings.host} cannot be used ({named}): {error.strerror or error}",
            cure="They must be PEM files that you can read; check cafile, client_certificate and client_key.",
        ) from error


def _system_cas() -> tuple[str | int, ...]:
    """Where the system's CAs are, and since when: a daemon outlives their renewal."""
    where = ssl.get_default_verify_paths()
    file = Path(where.cafile) if where.cafile else None
    return where.cafile or "", where.capath or "", file.stat().st_mtime_ns if file and file.exists() else 0


@functools.lru_cache(maxsize=16)
def _context(
    cafile: Path | None, certificate: Path | None, key: Path | None, changed: tuple[str | int, ...]
) -> ssl.SSLContext:
    """A context with these files as they are since `changed`."""
    context = ssl.create_default_context(cafile=cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cafile:
        # Python 3.13 refuses CAs that are not made to its taste (Proton Bridge's, many home-made ones). Who signed,
        # and for which host, is verified all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_cert_chain(str(certificate), None if key is None else str(key))
    return context


def start_tls(plain: socket.socket, settings: ServerSettings) -> ssl.SSLSocket:
    """Encrypt a socket after STARTTLS. Raises ConnectionFailed, CertificateError."""
    context = tls_context(settings)
    with failures(settings):
        plain.settimeout(settings.connect_timeout)
        encrypted = context.wrap_socket(plain, server_hostname=settings.host)
        encrypted.settimeout(settings.read_timeout)
    return encrypted


def proxy_for(settings: ServerSettings, environment: Mapping[str, str]) -> str:
    """The proxy's URL; "" for a direct connection. The environment's never applies to this machine or to NO_PROXY."""
    if settings.proxy:
        return "" if settings.proxy == "none" else settings.proxy
    if settings.host in _LOOPBACK:
        return ""
    values = {name.lower(): value for name, value in environment.items()}
    if _is_exempt(settings.host, values.get("no_proxy", "")):
        return ""
    return values.get("https_proxy") or values.get("all_proxy") or ""


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY (`example.org,.intern.example,*`) names the host or a domain above it."""
    names = [name.strip().lstrip("*.").split(":")[0].lower() for name in no_proxy.split(",") if name.strip()]
    lowered = host.lower()
    return "*" in no_proxy.split(",") or any(
        name and (lowered == name or lowered.endswith(f".{name}")) for name in names
    )


def _through(url: str, settings: ServerSettings) -> socket.socket:
    if url.startswith("http://"):
        return _through_http(url, settings)
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
    from python_socks.sync import Proxy

    shown = "the proxy"
    # socks5h is curl's name for what is the default here: the proxy looks the name up.
    try:
        shown = f"the proxy {urlsplit(url).hostname}"  # without the user and password that the URL may hold
        proxy = Proxy.from_url(
            url.replace("socks5h://", "socks5://", 1).replace("socks4a://", "socks4://", 1), rdns=True
        )
    except ValueError as error:
        raise ConfigError(
            f"{shown} is not usable: {error}", cure="Use socks5://host:port or http://host:port."
        ) from error
    try:
        opened = proxy.connect(settings.host, settings.port, timeout=settings.connect_timeout)
    except (ProxyError, ProxyConnectionError, ProxyTimeoutError, OSError) as error:
        raise _not_through(shown, settings, error) from error
    assert isinstance(opened, socket.socket)
    return opened


def _not_through(proxy: str, settings: ServerSettings, error: object) -> ConnectionFailed:
    return ConnectionFailed(
        f"{settings.host}:{settings.port} could not be reached through {proxy}: {error or type(error).__name__}",
        cure='Check the proxy, or set proxy = "none" for this server.',
    )


def _through_http(url: str, settings: ServerSettings) -> socket.socket:
    """HTTP's CONNECT (RFC 9110, 9.3.6).

    A mail server may greet in the same packet in which the proxy answers; libraries read both and lose the greeting.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise ConfigError(f"The proxy is not usable: {error}", cure="Use http://host:port.") from error
    target = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
    try:
        opened = socket.create_connection((host, port), timeout=settings.connect_timeout)
        try:
            opened.sendall(f"{request}\r\n".encode())
            status = _http_header(opened).split(b"\r\n")[0].decode("ascii", "replace")
            if not re.match(r"HTTP/1\.\d 2\d\d\b", status):
                raise OSError(f"it answers {status[:100]!r}")
        except BaseException:
            opened.close()
            raise
    except OSError as error:
        raise _not_through(f"the proxy {host}", settings, error) from error
    return opened


def _http_header(opened: socket.socket) -> bytes:
    """The header of an HTTP answer; what follows it is left for whoever reads next. Raises OSError."""
    header = b""
    while not header.endswith(_END_OF_HEADER):
        seen = opened.recv(4096, socket.MSG_PEEK)
        if not seen or len(header) > _LONGEST_HEADER:
            raise OSError("it hung up" if not seen else "its answer does not end")
        end = (header + seen).find(_END_OF_HEADER)
        header += opened.recv(len(seen) if end < 0 else end + len(_END_OF_HEADER) - len(header))
    return header


def _directly(settings: ServerSettings) -> socket.socket:
    """The first address that answers; none may use up the time of all."""
    found = socket.getaddrinfo(settings.host, settings.port, _FAMILIES[settings.ip], socket.SOCK_STREAM)
    share = max(3.0, settings.connect_timeout / len(found))
    last: OSError | None = None
    for family, kind, protocol, _, address in found:
        attempt = socket.socket(family, kind, protocol)
        try:
            attempt.settimeout(min(share, settings.connect_timeout))
            attempt.connect(address)
        except OSError as error:
            attempt.close()
            last = error
        else:
            return attempt
    raise last or OSError("no address")


def no_greeting(settings: ServerSettings, protocol: str, what: object = "") -> ConnectionFailed:
    """The error for a server that was reached and does not greet as one of `protocol` does; `what`: what it did."""
    where = f"{settings.host}:{settings.port}"
    cure = "Check host and port."
    if settings.security != "tls":
        cure = 'Check host and port; one that wants TLS from the start (993, 465) needs security = "tls".'
    if not what:
        return ConnectionFailed(f"{where} did not greet in time", cure=cure)
    return ConnectionFailed(f"{where} does not greet as an {protocol} server does: {what}", cure=cure)


@contextmanager
def failures(settings: ServerSettings) -> Iterator[None]:
    """Turn what sockets and TLS raise into ConnectionFailed and CertificateError, which name host, reason and cure."""
    where = f"{settings.host}:{settings.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message or str(error)
        raise CertificateError(
            f"The certificate of {where} cannot be trusted: {reason}",
            cure=_certificate_cure(error.verify_code, settings),
        ) from error
    except ssl.SSLError as error:
        raise _no_tls(where, error, settings) from error
    except socket.gaierror as error:
        family = f" over IPv{settings.ip}" if settings.ip != "any" else ""
        raise ConnectionFailed(
            f"The name {settings.host} was not found{family}: {error.strerror}",
            cure="Check the host name and the network connection.",
        ) from error
    except TimeoutError as error:
        raise ConnectionFailed(
            f"{where} did not answer in time", cure="Check host, port and network; the timeouts are configurable."
        ) from error
    except ConnectionRefusedError as error:
        raise ConnectionFailed(f"{where} refused the connection", cure="Check host and port; is it running?") from error
    except OSError as error:
        raise ConnectionFailed(
            f"The connection to {where} failed: {error.strerror or error}", cure="Check the network and try again."
        ) from error


def _no_tls(where: str, error: ssl.SSLError, settings: ServerSettings) -> ConnectionFailed:
    if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error) or "RECORD_LAYER" in str(error):
        return ConnectionFailed(f"{where} does not speak TLS from the start", cure='Try security = "starttls".')
    if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
        return ConnectionFailed(
            f"{where} refused the TLS handshake: {error.reason}", cure="Does it want a client certificate?"
        )
    return ConnectionFailed(f"TLS with {where} failed: {error.reason or error}", cure="Check port and security.")


def _certificate_cure(code: int, settings: ServerSettings) -> str:
    if code in _WRONG_NAMES:
        return "Use the host name that the certificate is for; somebody may also be listening in."
    if code in (_EXPIRED, _NOT_YET):
        return "Check this machine's clock; otherwise the server's owner must renew it."
    if code in (_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER, _UNVERIFIABLE) and settings.cafile:
        return f"It was not issued by the CA in {settings.cafile}; somebody may be listening in."
    return "If the server is your own, name its CA certificate as `cafile`; otherwise somebody may be listening in."
