"""What every command shares: the `--config` option, the configuration, the desk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.config import Account, Config
    from mailassist.desk import Desk
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.store.database import Store

READ_AT_MOST = 50_000_000  # bytes of one message; what is longer is read up to here
DAYS = click.IntRange(1, 36_500)

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """Add `--config FILE` to a command, beside the group's own."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help="The configuration file.",
    )(command)


def config_path() -> Path:
    """The file named by `--config`, else the platform's."""
    from mailassist import config

    named = click.get_current_context().find_root().obj
    return Path(named).expanduser() if named else config.default_path()


def load_config() -> Config:
    """The configuration of this run. Raises ConfigError."""
    from mailassist import config_file

    return config_file.load(config_path())


def configured_or_default() -> Config:
    """The configuration where there is one or one was named, else the default settings. Raises ConfigError."""
    from mailassist import config

    path = config_path()
    return config.Config() if path == config.default_path() and not path.exists() else load_config()


def own_addresses(accounts: Collection[Account]) -> OwnAddresses:
    """The user's addresses in all of `accounts`, in the order of their identities."""
    from mailassist.mail.addresses import OwnAddresses

    faces = ((face.address, face.aliases) for account in accounts for face in account.faces)
    return OwnAddresses.of(faces, (rule for account in accounts for rule in account.waiting.personal))


def read_message_file(file: str) -> tuple[bytes, bool]:
    """One message from a file ("-": standard input): its first `READ_AT_MOST` bytes, and whether there are more.

    Raises InputError.
    """
    if file == "-" and sys.stdin is None:
        raise InputError("Standard input is closed", cure="Name a file with one message.")
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as opened:
            raw = opened.read(READ_AT_MOST)
            return raw, bool(opened.read(1))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", cure="Name a file with one message.") from error


def open_desk(*, config_is_optional: bool = False) -> Desk:
    """The desk of this run, closed with the command. Raises ConfigError, StoreError."""
    from mailassist.desk import Desk

    config = configured_or_default() if config_is_optional else load_config()
    desk = Desk(config, config_path=config_path())
    click.get_current_context().call_on_close(desk.close)
    return desk


def team_store(desk: Desk) -> Store:
    """Where the team's work is kept: PostgreSQL where `[team] database` names one, else the file of this machine.

    Closed with the command. Raises SecretError, StoreError.
    """
    from mailassist.config import TEAM_SECRET, SecretSettings
    from mailassist.secrets import look_up
    from mailassist.store.database import Store

    url = desk.config.team.database
    if not url:
        return desk.store
    found = look_up(TEAM_SECRET, SecretSettings())
    store = Store.on_postgres(url, found.secret.get_secret_value() if found else None)
    click.get_current_context().call_on_close(store.close)
    return store


def all_stores(desk: Desk) -> list[Store]:
    """The file of this machine and, where the daemon is run with this configuration, the team's database.

    A reviewer's configuration names the database, too, but no team mailbox, and has no rights to more than the queue.
    """
    runs_it = any(account.team is not None for account in desk.config.accounts.values())
    return [desk.store, team_store(desk)] if desk.config.team.database and runs_it else [desk.store]


def use_terminal(*, otherwise: str) -> None:
    """Make ready for a UI; `otherwise`: what works without a terminal. Raises InputError."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise InputError("The review UI needs a terminal", cure=f"Without one use {otherwise}.")
    if sys.stderr is None or not sys.stderr.isatty():  # Textual draws there, which a person redirects to keep a log
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]


def _remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj = value
