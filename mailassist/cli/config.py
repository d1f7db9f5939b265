"""`mailassist config`: where the configuration is, whether it is right, what it can hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from mailassist.cli.context import config_option, config_path
from mailassist.cli.output import dump_json, say, warn
from mailassist.errors import ConfigError

_URLS = ("proxy", "base_url")


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
def check(file: Path | None) -> int:
    """Validate FILE, or the configuration; exit code 3 and one line for each mistake when it is wrong."""
    from mailassist import config_file

    where = file or config_path()
    try:
        found = config_file.load(where)
    except ConfigError as error:
        for line in error.mistakes:
            warn(f"mailassist: {line}")
        return error.exit_code
    accounts = ", ".join(f"{name} ({account.address})" for name, account in found.accounts.items()) or "none"
    say(f"{where} is valid. Accounts: {accounts}. Model: {found.model.name}.")
    return 0


@command.command()
@config_option
def show() -> None:
    """Print the configuration in force, with every default, as JSON; passwords of proxies are left out."""
    from mailassist import config_file

    dump_json(_without_passwords(config_file.load(config_path()).model_dump(mode="json")))


def _without_passwords(value: Any) -> Any:
    """`value` with the user and password of each URL masked."""
    if isinstance(value, dict):
        return {
            key: re.sub(r"//.*@", "//***@", inner) if key in _URLS and inner else _without_passwords(inner)
            for key, inner in value.items()
        }
    return [_without_passwords(inner) for inner in value] if isinstance(value, list) else value


@command.command()
@config_option
def key() -> None:
    """Ask for the API key of the configured model, and keep it in the keyring or where you say."""
    from mailassist.cli.keys import ask_model_key

    ask_model_key()


@command.command()
@config_option
def example() -> None:
    """Print a complete, commented configuration."""
    say((Path(__file__).parent.parent / "example.toml").read_text(encoding="utf-8"), end="")
