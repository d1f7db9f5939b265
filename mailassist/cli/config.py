"""`mailassist config`: where the configuration is, whether it is right, what it can hold."""

from __future__ import annotations

from pathlib import Path

import click

from mailassist.cli.context import config_option, config_path
from mailassist.cli.output import dump_json, say


@click.group()
@config_option
def command() -> None:
    """Show, check or explain the configuration."""


@command.command()
@config_option
def path() -> None:
    """Print where the configuration file lies."""
    say(config_path())


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@config_option
def check(file: Path | None) -> None:
    """Validate FILE, or the configuration; exit code 3 and one line for each mistake when it is wrong."""
    from mailassist import config_file

    where = file or config_path()
    found = config_file.load(where)
    accounts = ", ".join(f"{name} ({account.address})" for name, account in found.accounts.items()) or "none"
    say(f"{where} is valid. Accounts: {accounts}. Model: {found.model.name}.")


@command.command()
@config_option
def show() -> None:
    """Print the configuration in force, with every default, as JSON."""
    from mailassist import config_file

    dump_json(config_file.load(config_path()).model_dump(mode="json"))


@command.command()
@config_option
def example() -> None:
    """Print a complete, commented configuration."""
    say((Path(__file__).parent.parent / "example.toml").read_text(encoding="utf-8"), end="")
