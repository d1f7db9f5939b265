"""The command line: one command a file, loaded when it is used, so that `--help` imports nothing heavy."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import NoReturn

import click

from mailassist import __version__
from mailassist.errors import InputError, MailassistError, OutputFailed

# name -> what it does, in one line. The command itself is `command` in mailassist/cli/NAME.py.
COMMANDS = {
    "review": "Read, edit and approve drafts in the terminal UI (the default).",
    "setup": "Find the servers of an address, test the logins, save the account.",
    "doctor": "Check everything that can be wrong, and name the cure.",
    "sync": "Bring the local header index up to date.",
    "list": "Show the conversations that wait for an answer.",
    "draft": "Draft one reply.",
    "outbox": "Show approved replies that are not through yet; retry or cancel one.",
    "parse": "Show what mailassist reads in a message.",
    "threads": "Show the conversations of an mbox or Maildir.",
    "pack": "Show what the model would see of a conversation.",
    "status": "Show how each team mailbox is.",
    "team": "Stop or go on drafting for a team mailbox.",
    "cost": "Show what the model cost, by day, account and model.",
    "privacy": "Show what left this machine, when and whereto.",
    "models": "Show the models that mailassist knows.",
    "config": "Show, check or explain the configuration.",
    "forget": "Remove what is stored of a person.",
    "daemon": "Draft for team mailboxes as mail arrives; it never sends.",
    "db": "Upgrade, back up and restore the store; say who may do what in the team's.",
    "audit": "Prove and show the team's audit trail; make its key.",
    "demo": "Run the main job on a sample mailbox, without account, key or network.",
}


_UNASKED = "Run it in a terminal, or answer with the options that --help shows."


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one command."""
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"mailassist.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mailassist")
@click.option("--config", "config_path", metavar="FILE", help="The configuration file.")
@click.pass_context
def group(ctx: click.Context, config_path: str | None) -> None:
    """Draft replies to the mail that waits for you; you approve, it sends.

    Without a command: the terminal UI.
    """
    ctx.obj = config_path
    if ctx.invoked_subcommand is None:
        command = group.get_command(ctx, "review")
        assert command is not None
        ctx.invoke(command)


def main() -> NoReturn:
    """Run the command line; every error with a name becomes one line and its exit code (docs/CLI.md)."""
    from mailassist.cli.output import prepare_streams, warn

    prepare_streams()
    try:
        sys.exit(_run())
    except OutputFailed as error:
        if error.reader_left:
            sys.exit(141)
        with suppress(OutputFailed):  # standard error fails as well: nobody is left to tell, but for the exit code
            warn(f"mailassist: {error}")
        sys.exit(error.exit_code)


def _run() -> int:
    """The exit code of what the command line asks for. Raises OutputFailed."""
    from mailassist.cli.output import warn

    try:
        result = group.main(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except OutputFailed:
        raise
    except MailassistError as error:
        warn(f"mailassist: {error}")
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            return 130  # Ctrl-C at a question
        ended = InputError("The input ended before every question was answered", cure=_UNASKED)
        warn(f"mailassist: {ended}")
        return ended.exit_code
    except KeyboardInterrupt:
        return 130
