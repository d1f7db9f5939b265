"""`mailassist team`: let the daemon stop and go on drafting for a team mailbox; who you are to the team."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from mailassist.cli import team_queue
from mailassist.cli.context import config_option, load_config, open_desk
from mailassist.cli.output import dump_json, say
from mailassist.errors import ConfigError, InputError

if TYPE_CHECKING:
    from mailassist.config import Account

_MAY = {1: "see the queue", 2: "see the queue and draft", 3: "see the queue, draft and approve"}  # by role


@click.group()
@config_option
def command() -> None:
    """Work on the team's queue, stop the drafts of a team mailbox or go on; show who you are to the team."""


for _one in team_queue.COMMANDS:
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
    done = mailboxes.pause(desk.store, name, reason, now=time.time())
    say(f"No more drafts are made for {name}." if done else f"{name} is paused already.")


@command.command()
@click.argument("mailbox")
@config_option
def resume(mailbox: str) -> None:
    """Make drafts for MAILBOX again."""
    from mailassist.store import mailboxes

    desk = open_desk()
    name = _checked(mailbox, desk.config.accounts)
    done = mailboxes.resume(desk.store, name, now=time.time())
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


def _checked(name: str, accounts: dict[str, Account]) -> str:
    if name not in accounts or accounts[name].team is None:
        teams = ", ".join(one for one, account in accounts.items() if account.team is not None) or "none"
        raise InputError(f"There is no team mailbox {name!r}", cure=f"They are: {teams}.")
    return name
