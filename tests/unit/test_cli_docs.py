"""docs/CLI.md names every command, option and exit code there is, and none that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailassist import errors
from mailassist.cli import COMMANDS, group

PAGE = (Path(__file__).parents[2] / "docs" / "CLI.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
CODES = {int(code): row for code, row in re.findall(r"^\| (\d+) \|(.*)$", PAGE, re.MULTILINE)}


def commands(name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and its subcommands, as (words, command)."""
    context = click.Context(group)
    found = group.get_command(context, name)
    assert found is not None
    yield name, found
    if isinstance(found, click.Group):
        for below in found.list_commands(context):
            command = found.get_command(context, below)
            assert command is not None
            yield f"{name} {below}", command


def options(command: click.Command) -> set[str]:
    named = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {word for option in named for word in (*option.opts, *option.secondary_opts) if word.startswith("--")}


def test_every_command_has_a_section_and_no_section_is_left_over() -> None:
    assert list(SECTIONS) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_subcommand_is_described(name: str) -> None:
    section = SECTIONS[name]
    found = dict(commands(name))
    described = set(re.findall(r"--[a-z-]+", section)) - {"--config"}
    assert described == {word for command in found.values() for word in options(command)} - {"--config"}
    for words in found:
        assert re.search(rf"\b{words}\b", section.replace("\n", " ")) or words == name, words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_configuration_file(name: str) -> None:
    for words, command in commands(name):
        assert "--config" in options(command), words


def test_every_error_stands_in_the_table_with_its_exit_code() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in found:
        if kind is not errors.MailassistError:
            assert f"`{kind.__name__}`" in CODES[kind.exit_code], kind
    assert set(CODES) - {0, 2, 130, 141} == {kind.exit_code for kind in found}
