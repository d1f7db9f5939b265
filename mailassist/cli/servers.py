"""Which servers `setup` uses: as the command line says, else as found, else as the person says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.output import say
from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.config import ServerSettings
    from mailassist.transport.autoconfig import Proposal

_STARTTLS_PORTS = (143, 1143, 25, 587, 1025)
_IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}
_SMTP_PORTS = {"tls": 465, "starttls": 587, "none": 587}

Found = tuple["ServerSettings", "ServerSettings | None", str]  # IMAP, SMTP, what the provider wants


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line said; empty: ask, or find out."""

    address: str
    name: str
    real_name: str
    imap: str
    imap_security: str | None
    smtp: str
    smtp_security: str | None
    login: str
    mailbox: str
    method: str | None
    cafile: Path | None
    password_command: str
    token_command: str
    password_file: Path | None
    password_env: str
    drafts_only: bool
    learn_from_sent: bool | None
    yes: bool


def servers(choices: Choices) -> Found:
    """The servers to use, and what their provider wants of a person. Raises InputError."""
    from mailassist.transport import autoconfig

    if choices.imap:
        imap = _server(choices, choices.imap, _IMAP_PORTS, choices.imap_security)
        return imap, _named_smtp(choices), autoconfig.advice_for_host(imap.host)
    say(f"Looking for the servers of {choices.address} ...")
    found = autoconfig.discover(choices.address, fetch=autoconfig.fetch_url, mx=autoconfig.look_up_mx)
    if found is None:
        return _ask_servers(choices)
    say(f"Found {found.provider or 'servers'}, from {found.origin}.")
    return adjusted(choices, found)


def adjusted(choices: Choices, found: Proposal) -> Found:
    """What was found, with the words of the command line on top. Raises InputError."""
    imap = _changed(choices, found.imap, _IMAP_PORTS, choices.imap_security)
    smtp = _named_smtp(choices)
    if smtp is not None:
        smtp = smtp.model_copy(update={"login": imap.login})
    elif found.smtp and not choices.drafts_only:
        smtp = _changed(choices, found.smtp, _SMTP_PORTS, choices.smtp_security)
    return imap, smtp, found.advice


def _ask_servers(choices: Choices) -> Found:
    domain = choices.address.rpartition("@")[2]
    if choices.yes:
        raise InputError(f"No servers were found for {domain}", cure="Name them with --imap HOST and --smtp HOST.")
    say(f"Nobody tells which servers {domain} uses. Your provider's help page does.")
    asked = click.prompt("IMAP server (HOST or HOST:PORT)")
    imap = _server(choices, asked, _IMAP_PORTS, choices.imap_security)
    smtp = _named_smtp(choices)
    if smtp is None and not choices.drafts_only:
        asked = click.prompt("SMTP server (HOST or HOST:PORT)")
        smtp = _server(choices, asked, _SMTP_PORTS, choices.smtp_security)
    return imap, smtp, ""


def _named_smtp(choices: Choices) -> ServerSettings | None:
    if choices.drafts_only or not choices.smtp:
        return None
    return _server(choices, choices.smtp, _SMTP_PORTS, choices.smtp_security)


def _server(choices: Choices, text: str, ports: dict[str, int], security: str | None) -> ServerSettings:
    """A server from HOST[:PORT]; without `security` the port tells STARTTLS from implicit TLS."""
    named = re.fullmatch(r"(\[.+\]|[^:]+)(?::(\d{1,9}))?", text.strip())
    host, port = named.groups() if named else (text.strip(), None)
    number = int(port) if port else ports[security or "tls"]
    security = security or ("starttls" if number in _STARTTLS_PORTS else "tls")
    method = choices.method or ("xoauth2" if choices.token_command else "password")
    values = {"host": host.strip("[]"), "port": number, "security": security, "method": method}
    return _valid(text, values | _said(choices))


def _changed(choices: Choices, found: ServerSettings, ports: dict[str, int], security: str | None) -> ServerSettings:
    """A server that was found, changed as the command line says; another encryption has another port."""
    changes = _said(choices)
    if choices.token_command and not choices.method and found.method == "password":
        changes["method"] = "xoauth2"
    if security and security != found.security:
        changes |= {"security": security, "port": ports[security]}
    return _valid(found.host, found.model_dump() | changes)


def _said(choices: Choices) -> dict[str, Any]:
    """What the command line said of both servers."""
    return {key: value for key in ("login", "mailbox", "method", "cafile") if (value := getattr(choices, key))}


def _valid(named: str, values: dict[str, Any]) -> ServerSettings:
    from pydantic import ValidationError

    from mailassist.config import ServerSettings

    try:
        return ServerSettings(**values)
    except ValidationError as error:
        why = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise InputError(f"{named!r} cannot be used: {why}", cure="Write HOST or HOST:PORT.") from error
