"""`mailassist setup ADDRESS`: find the servers, show them, test the logins, save the account."""

from __future__ import annotations

import getpass
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import config_option, config_path
from mailassist.cli.keys import ask_secret, keep, offer_model_key
from mailassist.cli.output import say, warn
from mailassist.cli.servers import Choices, servers
from mailassist.errors import ConfigError, InputError, LoginError, MailassistError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mailassist.config import Account, SecretSettings, ServerSettings

_TRIES = 3
_SECURITY = click.Choice(["tls", "starttls", "none"])
# What `setup` does not ask for: an account that is set up anew keeps it.
_KEPT = ("proxy", "ip", "connect_timeout", "read_timeout", "client_certificate", "client_key")


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

    The host names are shown before a password leaves this machine; nothing is saved before both logins worked. For an
    address that has an account it offers to set that up anew: its servers and its secret; other settings stay.
    """
    if options["cafile"]:
        options["cafile"] = options["cafile"].absolute()
    choices = Choices(**options)
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", choices.address):
        raise InputError(f"{choices.address!r} is not an e-mail address", cure="Write it as you@example.org.")
    name, known = _place(choices)
    imap, smtp, advice = servers(choices)
    if known is not None:
        imap, smtp = _with_kept(imap, known.imap) or imap, _with_kept(smtp, known.smtp)
    _approve_hosts(imap, smtp, choices.yes)
    if advice:
        say(f"\n{advice}\n")
    secret, settings = _secret(choices, name, imap, advice)
    smtp = _with_method(smtp, imap.method) if smtp else None
    smtp = _tested_smtp(smtp, choices, _smtp_secret(name, known) or secret)
    make = _account if known is None else partial(_renewed, known)
    save(name, make(choices, imap, smtp, settings), secret)
    if not choices.yes:
        offer_model_key()
    say("Now run: mailassist")


def _account_name(address: str) -> str:
    """A short name from the domain: you@mail.example.org -> example."""
    labels = address.rpartition("@")[2].split(".")
    return re.sub(r"[^A-Za-z0-9_-]", "-", labels[-2] if len(labels) > 1 else labels[0]) or "mail"


def _place(choices: Choices) -> tuple[str, Account | None]:
    """The account's name, and the account of that name that is to be set up anew: before anything is asked or kept.

    A secret is kept under this name, so no two accounts share one. Raises ConfigError, InputError.
    """
    from mailassist import config_file
    from mailassist.config import MODEL_KEY

    if choices.name == MODEL_KEY or not re.fullmatch(r"[\w.-]*", choices.name):
        raise InputError(f"An account cannot be called {choices.name!r}", cure="Choose another with --name.")
    path = config_path()
    accounts = config_file.load(path).accounts if path.exists() else {}
    wanted = choices.address.casefold()
    same = [name for name, one in accounts.items() if one.imap and one.address.casefold() == wanted]
    name = choices.name or (same[0] if same else _free_name(choices.address, {*accounts, MODEL_KEY}))
    known = accounts.get(name)
    if known is not None:
        _may_replace(path, name, known, choices)
    return name, known


def _may_replace(path: Path, name: str, known: Account, choices: Choices) -> None:
    """Raises ConfigError or InputError where the account stays as it is."""
    from mailassist import config_file

    there = f"{path} has an account {name!r} for {known.address} already"
    if known.address.casefold() != choices.address.casefold() or known.imap is None:
        raise ConfigError(there, cure="Choose another name with --name.")
    if choices.yes:
        raise ConfigError(there, cure="Without --yes `setup` offers to set it up anew; --name makes another one.")
    config_file.with_account(path, name, known)  # whether it can be written is told now, not after all questions
    say(f"{there}.")
    if not click.confirm("Set up its servers and its password anew? Its other settings stay", default=True):
        raise InputError("Nothing was changed", cure="`--name NAME` makes another account of the same address.")


def _free_name(address: str, taken: set[str]) -> str:
    """A short name from the domain; with the local part where another account has it."""
    name, local = _account_name(address), re.sub(r"[^A-Za-z0-9_-]", "-", address.rpartition("@")[0])
    tries = (name, f"{name}-{local}", *(f"{name}-{local}{number}" for number in range(2, len(taken) + 2)))
    return next(free for free in tries if free not in taken)


def _approve_hosts(imap: ServerSettings, smtp: ServerSettings | None, yes: bool) -> None:
    """Show where the password will go, before it goes."""
    say(f"  IMAP  {imap.host}:{imap.port}  ({imap.security}, {imap.method})")
    if smtp:
        say(f"  SMTP  {smtp.host}:{smtp.port}  ({smtp.security}, {smtp.method})")
    else:
        say("  SMTP  none: approved replies go to the Drafts folder")
    if not yes and not click.confirm("Is that right? Your password or token will be sent to these hosts", default=True):
        raise InputError("Nothing was saved", cure="Name the servers with --imap HOST and --smtp HOST.")


def _secret(choices: Choices, name: str, imap: ServerSettings, advice: str) -> tuple[SecretStr, SecretSettings]:
    """The password or token, tried against the IMAP server, and where it comes from."""
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
        if found.warning:
            warn(f"mailassist: {found.warning}")
        _test_imap(imap, choices.address, name, found.secret)
        return found.secret, named.model_copy(update={"keyring": False})  # what was tested is what is used
    if imap.method != "password":
        raise InputError(
            f"{imap.host} wants an OAuth token, not a password",
            cure="Name a program that prints one: --token-command 'oama access you@example.org'.",
        )
    return _ask_password(choices, name, imap, advice), named


def _ask_password(choices: Choices, name: str, imap: ServerSettings, advice: str) -> SecretStr:
    from pydantic import SecretStr

    for tried in range(1, _TRIES + 1):
        secret = SecretStr(ask_secret(f"Password for {imap.login or choices.address}"))
        try:
            _test_imap(imap, choices.address, name, secret)
        except LoginError as error:
            if tried == _TRIES:
                raise
            say(f"{error}")
            if advice:
                say(advice)
        else:
            return secret
    raise AssertionError("unreachable")


def _test_imap(imap: ServerSettings, address: str, name: str, secret: SecretStr) -> None:
    """Log in, list the folders, open the inbox. Raises what the connector raises."""
    from mailassist.config import FolderSettings
    from mailassist.transport.imap import connect

    with connect(imap, address, lambda: secret, FolderSettings()) as source:
        roles = {folder.role.value: folder.name for folder in source.folders()}
        state = source.examine("INBOX")
        say(f"IMAP login works: {state.exists} messages in the inbox.")
        missing = [role for role in ("sent", "drafts") if role not in roles]
        if missing:
            say(f"Not found: {' and '.join(missing)}. Name them under [accounts.{name}.folders].")


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
        identities=[Identity(name=real_name, address=choices.mailbox if "@" in choices.mailbox else choices.address)],
        secret=settings,
        delivery=DeliverySettings(mode="send" if smtp else "drafts"),
        sync=SyncSettings(learn_from_sent=learn),
    )


def _renewed(
    known: Account, choices: Choices, imap: ServerSettings, smtp: ServerSettings | None, settings: SecretSettings
) -> Account:
    """The account that was there, with other servers and another secret; questions that were answered stay so."""
    mode = ("drafts" if smtp is None else known.delivery.mode) if known.smtp else ("send" if smtp else "drafts")
    changes: dict[str, Any] = {"imap": imap, "smtp": smtp, "secret": settings}
    changes["delivery"] = known.delivery.model_copy(update={"mode": mode})
    if smtp is None:
        changes["smtp_secret"] = None
    if choices.real_name:
        first, *others = known.faces
        changes["identities"] = [first.model_copy(update={"name": choices.real_name}), *others]
    if choices.learn_from_sent is not None:
        changes["sync"] = known.sync.model_copy(update={"learn_from_sent": choices.learn_from_sent})
    return known.model_copy(update=changes)


def _with_kept(server: ServerSettings | None, known: ServerSettings | None) -> ServerSettings | None:
    return server.model_copy(update={key: getattr(known, key) for key in _KEPT}) if server and known else server


def _smtp_secret(name: str, known: Account | None) -> SecretStr | None:
    """The secret of the SMTP server, where that has one of its own. Raises SecretError."""
    from mailassist import secrets

    return secrets.find(f"{name}.smtp", known.smtp_secret).secret if known and known.smtp_secret else None


def _system_name() -> str:
    """The person's name as the system knows it."""
    try:
        import pwd

        return pwd.getpwnam(getpass.getuser()).pw_gecos.split(",")[0]
    except (ImportError, KeyError, OSError):
        return ""


def save(name: str, account: Account, secret: SecretStr) -> None:
    """Keep secret and account; the secret first, so that a saved account always works. Both or none.

    Raises ConfigError, SecretError.
    """
    from mailassist import config_file
    from mailassist.config import SecretSettings

    path = config_path()
    kept = keep(name, secret) if account.secret == SecretSettings() else None
    try:
        saved = account.model_copy(update={"secret": kept.settings}) if kept else account
        config_file.put_account(path, name, saved)
    except MailassistError:
        if kept:
            kept.undo()
        raise
    say(f"Saved account {name!r} in {path}.")
