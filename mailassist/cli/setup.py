"""`mailassist setup ADDRESS`: find the servers, show them, test the logins, save the account."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import config_option, config_path
from mailassist.cli.output import say
from mailassist.errors import ConfigError, InputError, LoginError, MailassistError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mailassist.config import Account, SecretSettings, ServerSettings
    from mailassist.transport.autoconfig import Proposal

_TRIES = 3
_SECURITY = click.Choice(["tls", "starttls", "none"])
_STARTTLS_PORTS = (143, 1143, 25, 587, 1025)


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


@click.command()
@click.argument("address")
@click.option("--name", default="", help="What to call the account; from the address if left out.")
@click.option("--real-name", default="", help="Your name, as recipients see it.")
@click.option("--imap", default="", metavar="HOST[:PORT]", help="The IMAP server, where it is not found by itself.")
@click.option("--imap-security", type=_SECURITY, help="Its encryption; by the port if left out.")
@click.option("--smtp", default="", metavar="HOST[:PORT]", help="The SMTP server, likewise.")
@click.option("--smtp-security", type=_SECURITY, help="Its encryption, likewise.")
@click.option("--login", default="", help="Who logs in, if not the address.")
@click.option("--mailbox", default="", help="A shared mailbox that this login may open.")
@click.option("--method", type=click.Choice(["", "password", "xoauth2", "oauthbearer"]), help="How to log in.")
@click.option("--cafile", type=click.Path(path_type=Path), help="Certificates to trust instead of the system's.")
@click.option("--password-command", default="", help="A command that prints the password.")
@click.option("--token-command", default="", help="A command that prints an OAuth access token.")
@click.option("--password-file", type=click.Path(path_type=Path), help="A 0600 file with the password.")
@click.option("--password-env", default="", help="An environment variable with the password.")
@click.option("--drafts-only", is_flag=True, help="Never send; approved replies go to the Drafts folder.")
@click.option("--learn-from-sent/--no-learn-from-sent", default=None, help="May the text of sent replies be kept?")
@click.option("--yes", is_flag=True, help="Accept the servers that were found.")
@config_option
def command(**options: Any) -> None:
    """Find the servers of ADDRESS, test the logins, and save the account.

    The host names are shown before a password leaves this machine; nothing is saved before both logins worked.
    """
    if options["cafile"]:
        options["cafile"] = options["cafile"].absolute()
    choices = Choices(**options)
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", choices.address):
        raise InputError(f"{choices.address!r} is not an e-mail address", cure="Write it as you@example.org.")
    name = _free_name(choices)
    imap, smtp, advice = _servers(choices)
    _approve_hosts(imap, smtp, choices.yes)
    if advice:
        say(f"\n{advice}\n")
    secret, settings, imap = _secret(choices, name, imap, advice)
    smtp = _with_method(smtp, imap.method) if smtp else None
    smtp = _tested_smtp(smtp, choices, secret)
    account = _account(choices, imap, smtp, settings)
    _save(name, account, secret, settings)


def _account_name(address: str) -> str:
    """A short name from the domain: you@mail.example.org -> example."""
    labels = address.rpartition("@")[2].split(".")
    return re.sub(r"[^A-Za-z0-9_-]", "-", labels[-2] if len(labels) > 1 else labels[0]) or "mail"


def _free_name(choices: Choices) -> str:
    """The account's name, one that no other account has: its secret is kept under this name.

    Raises ConfigError where the address, or the name that was asked for, has an account already.
    """
    from mailassist import config_file

    path = config_path()
    accounts = config_file.load(path).accounts if path.exists() else {}
    for known, account in accounts.items():
        if account.address.casefold() == choices.address.casefold() or known == choices.name:
            raise ConfigError(
                f"{path} has an account {known!r} for {account.address} already",
                cure=f"Edit it there, or remove its [accounts.{known}] tables first; `--name` gives another name.",
            )
    name = choices.name or _account_name(choices.address)
    if name not in accounts:
        return name
    local = re.sub(r"[^A-Za-z0-9_-]", "-", choices.address.rpartition("@")[0])
    return next(free for free in (f"{name}-{local}{more}" for more in ("", *range(2, 99))) if free not in accounts)


def _servers(choices: Choices) -> tuple[ServerSettings, ServerSettings | None, str]:
    """The servers by the command line, else as found, else as the person says; and what the provider wants."""
    from mailassist.transport import autoconfig

    if choices.imap:
        imap = _server(choices, choices.imap, 993, choices.imap_security)
        smtp = _server(choices, choices.smtp, 465, choices.smtp_security) if choices.smtp else None
        return imap, None if choices.drafts_only else smtp, autoconfig.advice_for_host(imap.host)
    say(f"Looking for the servers of {choices.address} ...")
    found = autoconfig.discover(choices.address, fetch=autoconfig.fetch_url, mx=autoconfig.look_up_mx)
    if found is None:
        return _ask_servers(choices)
    say(f"Found {found.provider or 'servers'}, from {found.origin}.")
    return _adjusted(choices, found)


def _adjusted(choices: Choices, found: Proposal) -> tuple[ServerSettings, ServerSettings | None, str]:
    """What was found, with the words of the command line on top."""
    changes = {
        key: value
        for key in ("login", "mailbox", "method", "cafile")
        if (value := getattr(choices, key))
    }  # fmt: skip
    if choices.token_command and not choices.method and found.imap.method == "password":
        changes["method"] = "xoauth2"
    smtp = None if choices.drafts_only or not found.smtp else found.smtp.model_copy(update=changes)
    return found.imap.model_copy(update=changes), smtp, found.advice


def _ask_servers(choices: Choices) -> tuple[ServerSettings, ServerSettings | None, str]:
    domain = choices.address.rpartition("@")[2]
    if choices.yes:
        raise InputError(f"No servers were found for {domain}", cure="Name them with --imap HOST and --smtp HOST.")
    say(f"Nobody tells which servers {domain} uses. Your provider's help page does.")
    imap = _server(choices, click.prompt("IMAP server (HOST or HOST:PORT)"), 993)
    if choices.drafts_only:
        return imap, None, ""
    return imap, _server(choices, click.prompt("SMTP server (HOST or HOST:PORT)"), 465), ""


def _server(choices: Choices, text: str, default_port: int, security: str | None = None) -> ServerSettings:
    """A server from HOST[:PORT]; without `security` the port tells STARTTLS from implicit TLS."""
    from pydantic import ValidationError

    from mailassist.config import LoginMethod, Security, ServerSettings

    host, _, port = text.strip().rpartition(":") if re.search(r":\d+$", text.strip()) else (text.strip(), "", "")
    number = int(port or default_port)
    by_port: Security = "starttls" if number in _STARTTLS_PORTS else "tls"
    method: LoginMethod = choices.method or ("xoauth2" if choices.token_command else "password")  # type: ignore[assignment]
    try:
        return ServerSettings(
            host=host.strip("[]"),
            port=number,
            security=security or by_port,
            login=choices.login,
            mailbox=choices.mailbox,
            method=method,
            cafile=choices.cafile,
        )
    except ValidationError as error:
        why = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise InputError(f"{text!r} cannot be used: {why}", cure="Write HOST or HOST:PORT.") from error


def _approve_hosts(imap: ServerSettings, smtp: ServerSettings | None, yes: bool) -> None:
    """Show where the password will go, before it goes."""
    say(f"  IMAP  {imap.host}:{imap.port}  ({imap.security}, {imap.method})")
    if smtp:
        say(f"  SMTP  {smtp.host}:{smtp.port}  ({smtp.security}, {smtp.method})")
    else:
        say("  SMTP  none: approved replies go to the Drafts folder")
    if not yes and not click.confirm("Is that right? Your password or token will be sent to these hosts", default=True):
        raise InputError("Nothing was saved", cure="Name the servers with --imap HOST and --smtp HOST.")


def _secret(
    choices: Choices, name: str, imap: ServerSettings, advice: str
) -> tuple[SecretStr, SecretSettings, ServerSettings]:
    """The password or token, tried against the IMAP server; where it comes from; the server."""
    from mailassist import secrets
    from mailassist.config import SecretSettings

    named = SecretSettings(
        password_command=choices.password_command,
        token_command=choices.token_command,
        password_file=choices.password_file.absolute() if choices.password_file else None,
        password_env=choices.password_env,
    )
    if named != SecretSettings():
        found = secrets.find(name, named.model_copy(update={"keyring": False}))
        _test_imap(imap, choices.address, found.secret)
        return found.secret, named.model_copy(update={"keyring": False}), imap  # what was tested is what is used
    if imap.method != "password":
        raise InputError(
            f"{imap.host} wants an OAuth token, not a password",
            cure="Name a program that prints one: --token-command 'oama access you@example.org'.",
        )
    return _ask_password(choices, imap, advice), named, imap


def _ask_password(choices: Choices, imap: ServerSettings, advice: str) -> SecretStr:
    from pydantic import SecretStr

    for tried in range(1, _TRIES + 1):
        secret = SecretStr(click.prompt(f"Password for {imap.login or choices.address}", hide_input=True))
        try:
            _test_imap(imap, choices.address, secret)
        except LoginError as error:
            if tried == _TRIES:
                raise
            say(f"{error}")
            if advice:
                say(advice)
        else:
            return secret
    raise AssertionError("unreachable")


def _test_imap(imap: ServerSettings, address: str, secret: SecretStr) -> None:
    """Log in, list the folders, open the inbox. Raises what the connector raises."""
    from mailassist.config import FolderSettings
    from mailassist.transport.imap import connect

    with connect(imap, address, lambda: secret, FolderSettings()) as source:
        roles = {folder.role.value: folder.name for folder in source.folders()}
        state = source.examine("INBOX")
        say(f"IMAP login works: {state.exists} messages in the inbox.")
        missing = [role for role in ("sent", "drafts") if role not in roles]
        if missing:
            say(f"Not found: {' and '.join(missing)}. Name them under [accounts.{_account_name(address)}.folders].")


def _tested_smtp(smtp: ServerSettings | None, choices: Choices, secret: SecretStr) -> ServerSettings | None:
    """The SMTP server once its login worked; None where the person prefers drafts only."""
    from mailassist.transport.sasl import Credential
    from mailassist.transport.smtp import check_login

    if smtp is None:
        return None
    try:
        check_login(smtp, Credential.of(smtp, choices.address, lambda: secret))
    except MailassistError as error:
        if choices.yes:
            raise
        say(f"{error}")
        if not click.confirm("Save the account without sending (approved replies go to Drafts)?", default=False):
            raise
        return None
    say("SMTP login works.")
    return smtp


def _with_method(smtp: ServerSettings, method: str) -> ServerSettings:
    return smtp if method == smtp.method else smtp.model_copy(update={"method": method})


def _account(choices: Choices, imap: ServerSettings, smtp: ServerSettings | None, settings: SecretSettings) -> Account:
    from mailassist.config import Account, DeliverySettings, Identity, SyncSettings

    real_name = choices.real_name
    if not real_name and not choices.yes:
        real_name = click.prompt("Your name, as recipients see it", default=_system_name())
    learn = choices.learn_from_sent
    if learn is None:
        learn = not choices.yes and click.confirm(
            "May the text of your own sent replies be kept on this machine, to learn from? (You can say no)",
            default=False,
        )
    return Account(
        address=choices.address,
        imap=imap,
        smtp=smtp,
        identities=[Identity(name=real_name, address=choices.mailbox or choices.address)],
        secret=settings,
        delivery=DeliverySettings(mode="send" if smtp else "drafts"),
        sync=SyncSettings(learn_from_sent=learn),
    )


def _system_name() -> str:
    """The person's name as the system knows it."""
    try:
        import pwd

        return pwd.getpwnam(getpass.getuser()).pw_gecos.split(",")[0]
    except (ImportError, KeyError, OSError):
        return ""


def _save(name: str, account: Account, secret: SecretStr, settings: SecretSettings) -> None:
    """Keep secret and account; the secret first, so that a saved account always works."""
    from mailassist import config_file, secrets
    from mailassist.config import SecretSettings

    path = config_path()
    if settings == SecretSettings():
        problem = secrets.keyring_problem()
        if problem:
            account = account.model_copy(update={"secret": _without_keyring(name, secret, problem)})
        else:
            secrets.save_to_keyring(name, secret)
            say("The password is in your keyring.")
    config_file.add_account(path, name, account)
    say(f"Saved account {name!r} in {path}.\nNow run: mailassist")


def _without_keyring(name: str, secret: SecretStr, problem: str) -> SecretSettings:
    """Ask where the password shall be kept instead."""
    from mailassist import config_file
    from mailassist.config import SecretSettings

    say(f"The keyring cannot be used: {problem}. Where shall the password come from?")
    say("  1  a command that prints it (pass, op, secret-tool ...)")
    say("  2  a file that only you can read")
    say("  3  an environment variable")
    choice = click.prompt("Choice", type=click.Choice(["1", "2", "3"]), default="2")
    if choice == "1":
        return SecretSettings(keyring=False, password_command=click.prompt("Command"))
    if choice == "3":
        return SecretSettings(
            keyring=False, password_env=click.prompt("Name of the variable", default="MAILASSIST_PASSWORD")
        )
    file = config_path().parent / f"{name}.secret"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    config_file.write_private(file, secret.get_secret_value() + "\n")
    say(f"The password is in {file} (mode 0600).")
    return SecretSettings(keyring=False, password_file=file)
