"""`mailassist review`: the terminal UI, which `mailassist` alone starts too."""

from __future__ import annotations

import click

from mailassist.cli.context import config_option, open_desk, use_terminal


@click.command("review")
@click.option("--team", is_flag=True, help="The queue of your team's mailboxes.")
@config_option
def command(team: bool = False) -> None:
    """Read, edit and approve drafts in the terminal."""
    use_terminal(otherwise="`mailassist list` and `mailassist draft --latest`")
    desk = open_desk()
    from mailassist.review.app import review

    if not team:
        review(desk)
        return
    from mailassist.team import connect
    from mailassist.team.desk import TeamDesk

    settings = desk.config.team
    with connect.queue_of(desk) as queue:
        shared = TeamDesk(desk, queue, bulk_limit=settings.bulk_limit, undo_seconds=settings.undo_seconds)
        shared.look()  # what is wrong with the way to the queue is said before the screen is taken
        review(shared)
