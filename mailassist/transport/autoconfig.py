"""Which servers an address uses: a table, the domain's own autoconfig, the public ISPDB, then the MX host.

The order is that of draft-ietf-mailmaint-autoconfig. What comes from the network is a proposal: a person sees the host
names before a password leaves (`mailassist setup`). RFC 6186 SRV records are not used, as the draft advises.
"""

from __future__ import annotations

import functools
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from mailassist.config import LoginMethod, Security, ServerSettings

Fetch = Callable[[str], bytes | None]
LookUpMx = Callable[[str], list[str]]

DEFAULT_CONNECTIONS = 10  # what Dovecot gives a user at one address, unless it is told otherwise
_MAX_DOCUMENT = 256 * 1024
_SECURITY: dict[str, Security] = {"SSL": "tls", "STARTTLS": "starttls"}
_METHODS: dict[str, LoginMethod] = {
    "password-cleartext": "password",
    "plain": "password",
    "password-encrypted": "password",
    "OAuth2": "xoauth2",
}
# Labels under which registries sell names; without a Public Suffix List, "example.co.uk" must not become "co.uk".
_REGISTRY_LABELS = frozenset(
    ["ac", "co", "com", "edu", "gov", "gob", "gouv", "gv", "ne", "net", "nom", "or", "org", "sch"]
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The servers of an address, where that is known from, and what the provider wants of a person."""

    imap: ServerSettings
    smtp: ServerSettings | None
    origin: str  # for people: "the table of big providers", a URL
    provider: str = ""
    advice: str = ""


def discover(address: str, *, fetch: Fetch, mx: LookUpMx) -> Proposal | None:
    """The first proposal for `address`; None when nobody knows.

    `fetch`: a URL's bytes or None; `mx`: a domain's MX host names, best first.
    """
    domain = address.rpartition("@")[2].casefold()
    known = by_domain(address, domain) or _from_documents(address, domain, fetch)
    if known is not None:
        return known
    for host in mx(domain)[:3]:
        name = host.rstrip(".").casefold()
        found = _by_mx(address, name)
        for parent in () if found else _parents(name):
            found = by_domain(address, parent) or _from_documents(address, parent, fetch)
            if found is not None:
                break
        if found is not None:
            return replace(found, origin=f"{found.origin} (your domain's mail is handled by {name})")
    return None


def by_domain(address: str, domain: str) -> Proposal | None:
    """The table's entry for `domain`."""
    entry = next((entry for entry in _table().values() if domain in entry["domains"]), None)
    return _from_entry(address, entry) if entry else None


def advice_for_host(host: str) -> str:
    """What the provider that owns the server `host` wants of a person; "" when unknown."""
    for entry in _table().values():
        if host.casefold() in (entry["imap"]["host"], entry["smtp"]["host"]) and host != "127.0.0.1":
            return str(entry["advice"])
    return ""


def connection_limit(host: str) -> int:
    """How many IMAP connections the provider that owns `host` lets one account have, all its programs together.

    DEFAULT_CONNECTIONS when unknown.
    """
    for entry in _table().values():
        if host.casefold() == entry["imap"]["host"] and "connections" in entry:
            return int(entry["connections"])
    return DEFAULT_CONNECTIONS


def parse_config(document: bytes, address: str, origin: str) -> Proposal | None:
    """The first usable IMAP and SMTP server of a config-v1.1 document; None when it has none or is not well formed."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        return None  # entities have no place in this format and can be made to grow without end
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        return None
    imap = next(_servers(root, "incomingServer", "imap", address), None)
    smtp = next(_servers(root, "outgoingServer", "smtp", address), None)
    if imap is None:
        return None
    name = root.findtext("./emailProvider/displayName") or ""
    return Proposal(imap, smtp, origin, name.strip(), advice_for_host(imap.host))


def fetch_url(url: str, *, timeout: float = 6.0) -> bytes | None:
    """The body of `url`, or None when there is none; proxies of the environment are used, certificates verified."""
    request = urllib.request.Request(url, headers={"User-Agent": "mailassist"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body: bytes = answer.read(_MAX_DOCUMENT + 1)
    except (OSError, ValueError, HTTPException):  # URLError is an OSError; ValueError: a redirect to a malformed URL
        return None
    return body if len(body) <= _MAX_DOCUMENT else None


def look_up_mx(domain: str, *, timeout: float = 6.0) -> list[str]:
    """The MX hosts of `domain`, best first; empty when there are none or DNS does not answer."""
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(domain, "MX", lifetime=timeout)
    except dns.exception.DNSException:
        return []
    return [str(record.exchange) for record in sorted(answer, key=lambda record: int(record.preference))]


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "providers.toml").read_text(encoding="utf-8"))


def _from_entry(address: str, entry: dict[str, Any]) -> Proposal:
    login = address.rpartition("@")[0] if entry.get("login") == "local" else ""
    method: LoginMethod = entry.get("method", "password")
    imap = ServerSettings(**entry["imap"], login=login, method=method)
    smtp = ServerSettings(**entry["smtp"], login=login, method=method)
    return Proposal(imap, smtp, "the table of big providers", entry["name"], entry["advice"])


def _by_mx(address: str, host: str) -> Proposal | None:
    for entry in _table().values():
        if any(host == suffix or host.endswith(f".{suffix}") for suffix in entry.get("mx", ())):
            return _from_entry(address, entry)
    return None


def _from_documents(address: str, domain: str, fetch: Fetch) -> Proposal | None:
    for url in _urls(address, domain):
        document = fetch(url)
        found = parse_config(document, address, url) if document else None
        if found is not None:
            return found
    return None


def _urls(address: str, domain: str) -> Iterator[str]:
    query = f"?emailaddress={quote(address)}"
    host = quote(domain, safe="")
    yield f"https://autoconfig.{host}/mail/config-v1.1.xml{query}"
    yield f"https://{host}/.well-known/autoconfig/mail/config-v1.1.xml{query}"
    yield f"http://autoconfig.{host}/mail/config-v1.1.xml"  # without the address: this one is not encrypted
    yield f"https://v1.ispdb.net/{host}"


def _parents(host: str) -> Iterator[str]:
    """The domains above an MX host that may have a configuration, the longest first."""
    labels = host.split(".")[1:]
    while len(labels) >= 2 and not (len(labels) == 2 and labels[0] in _REGISTRY_LABELS):
        yield ".".join(labels)
        labels = labels[1:]


def _servers(
    root: ElementTree.Element, tag: str, kind: Literal["imap", "smtp"], address: str
) -> Iterator[ServerSettings]:
    for server in root.iterfind(f"./emailProvider/{tag}[@type='{kind}']"):
        security = _SECURITY.get((server.findtext("socketType") or "").strip())
        method = next(_usable_methods(server), None)
        port = (server.findtext("port") or "").strip()
        host = _fill(server.findtext("hostname") or "", address)
        if security and method and port.isdecimal() and 0 < int(port) < 65536 and _is_host_name(host):
            login = _fill(server.findtext("username") or "%EMAILADDRESS%", address)
            yield ServerSettings(
                host=host, port=int(port), security=security, method=method, login="" if login == address else login
            )


def _usable_methods(server: ElementTree.Element) -> Iterator[LoginMethod]:
    """In the provider's order, but passwords before OAuth: we hold no client id of our own."""
    offered = [
        _METHODS[text] for one in server.iterfind("authentication") if (text := (one.text or "").strip()) in _METHODS
    ]
    yield from sorted(offered, key=lambda method: method != "password")


def _fill(template: str, address: str) -> str:
    """Put the address into the documented placeholders (the ISPDB has one without its last percent sign)."""
    local, _, domain = address.rpartition("@")
    text = template.strip().replace("%EMAILADDRESS%", address).replace("%EMAILLOCALPART%", local)
    text = text.replace("%EMAILDOMAIN%", domain)
    return address if text == "%EMAILADDRESS" else text


def _is_host_name(text: str) -> bool:
    return 0 < len(text) < 254 and all(len(part) < 64 and part.replace("-", "a").isalnum() for part in text.split("."))
