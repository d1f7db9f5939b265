"""`mailassist review`: the terminal UI, which `mailassist` alone starts too."""

from __future__ import annotations

import sys

import click

from mailassist.cli.context import config_option, open_desk


@click.command("review")
@config_option
def command() -> None:
    """Read, edit and approve drafts in the terminal."""
    from mailassist.errors import InputError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "The review UI needs a terminal", cure="Without one use `mailassist list` and `mailassist draft --latest`."
        )
    desk = open_desk()
    from mailassist.review.app import review

    review(desk)
