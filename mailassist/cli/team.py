"""`mailassist team`: let the daemon stop and go on drafting for a team mailbox; who you are to the team."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import click

from mailassist.cli import team_queue
from mailassist.cli.context import config_option, load_config, open_desk, team_store
from mailassist.cli.output import dump_json, say, warn
from mailassist.cli.team_feedback import feedback
from mailassist.errors import ConfigError, InputError, SecretError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mailassist.config import Account
    from mailassist.desk import Desk
    from mailassist.store.database import Store

_MAY = {1: "see the queue", 2: "see the queue and draft", 3: "see the queue, draft and approve"}  # by role


@click.group()
@config_option
def command() -> None:
    """Work on the team's queue, stop the drafts of a team mailbox or go on; show who you are to the team."""


for _one in (*team_queue.COMMANDS, feedback):
    command.add_command(_one)


@command.command()
@click.argument("mailbox")
@click.option("--reason", default="paused by hand", show_default=True, metavar="TEXT", help="Shown in `status`.")
@config_option
def pause(mailbox: str, reason: str) -> None:
    """Make no more drafts for MAILBOX: mail is read and queued, a running daemon stops with the next message."""
    from mailassist.store import mailboxes

    desk = open_desk()
    name = _checked(mailbox, desk.config.accounts)
    store = team_store(desk)
    noted = _noted(desk, store, "pause", name, {"reason": reason})
    done = mailboxes.pause(store, name, reason, now=time.time(), noted=noted)
    say(f"No more drafts are made for {name}." if done else f"{name} is paused already.")


@command.command()
@click.argument("mailbox")
@config_option
def resume(mailbox: str) -> None:
    """Make drafts for MAILBOX again."""
    from mailassist.store import mailboxes

    desk = open_desk()
    name = _checked(mailbox, desk.config.accounts)
    store = team_store(desk)
    done = mailboxes.resume(store, name, now=time.time(), noted=_noted(desk, store, "resume", name, {}))
    say(f"Drafts are made for {name} again." if done else f"{name} was not paused.")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def whoami(as_json: bool) -> None:
    """Show who the daemon on this machine says you are, and what you may do in the review queue."""
    from mailassist.team.socket_queue import SocketQueue

    path = load_config().team.socket
    if path is None:
        raise ConfigError("No socket of the daemon is configured", cure="Name it in [team] socket.")
    with closing(SocketQueue(path)) as queue:
        who, role = queue.who()
    if as_json:
        dump_json({"who": who, "role": role.name.lower()})
    else:
        say(f"You are {who}, and may {_MAY[role]}.")


def _noted(
    desk: Desk, store: Store, action: str, mailbox: str, details: Mapping[str, object]
) -> Callable[[sa.Connection], object]:
    """The entry of the audit trail; over PostgreSQL without the key the daemon seals it."""
    from mailassist.team import audit_key, connect
    from mailassist.team.audit import InboxTrail, Trail

    try:
        key = audit_key.find(desk.config, config_path=desk.config_path, data_folder=desk.data_folder)
    except SecretError as error:  # to stop drafts must not fail at this
        warn(f"mailassist: not in the audit trail: {error}")
        key = None
    trail = Trail(store, key.key) if key is not None else None if store.is_sqlite else InboxTrail(store)

    def note(connection: sa.Connection) -> None:
        if trail is not None:
            trail.record_in(connection, action, who=connect.user(), mailbox=mailbox, details=details)

    return note


def _checked(name: str, accounts: dict[str, Account]) -> str:
    if name not in accounts or accounts[name].team is None:
        teams = ", ".join(one for one, account in accounts.items() if account.team is not None) or "none"
        raise InputError(f"There is no team mailbox {name!r}", cure=f"They are: {teams}.")
    return name
