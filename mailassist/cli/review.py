"""`mailassist review`: the terminal UI, which `mailassist` alone starts too."""

from __future__ import annotations

import click

from mailassist.cli.context import config_option, open_desk, use_terminal


@click.command("review")
@config_option
def command() -> None:
    """Read, edit and approve drafts in the terminal."""
    use_terminal(otherwise="`mailassist list` and `mailassist draft --latest`")
    desk = open_desk()
    from mailassist.review.app import review

    review(desk)
