"""`mailassist list`: the conversations that wait for an answer."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, open_desk
from mailassist.cli.output import dump_json, say, table, warn

if TYPE_CHECKING:
    from mailassist.intake.waiting import Waiting


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that do not wait, each with the reason.")
@click.option("--account", default="", metavar="NAME", help="One account; without it, all of them.")
@click.option("--json", "as_json", is_flag=True, help="A list of conversations.")
@config_option
def command(everything: bool, account: str, as_json: bool) -> None:
    """Show the conversations that wait for an answer, newest first.

    Answers from the local index: run `mailassist sync` first. Whose reply is approved but not through yet is shown
    with its state.
    """
    desk = open_desk()
    names = [desk.config.account(account)[0]] if account else desk.account_names or [desk.config.account()[0]]
    for name in names:
        if desk.last_synced(name) is None:
            warn(f"{name} has not been read yet: run `mailassist sync`")
    found = [one for name in names for one in desk.waiting(name, excluded=everything)]
    if as_json:
        dump_json([_described(one) for one in found])
    else:
        _show(found, several=len(names) > 1, everything=everything)


def _show(found: list[Waiting], *, several: bool, everything: bool) -> None:
    if not found:
        say("Nobody waits for an answer.")
        return
    rows = []
    for one in found:
        date = f"{datetime.fromtimestamp(one.date):%Y-%m-%d %H:%M}"
        row = [date, one.correspondent[:40], one.subject[:60] or "(no subject)", f"[{one.count}]", _state(one)]
        rows.append([one.account, *row] if several else row)
    table(rows)
    if everything:
        waiting = sum(not one.excluded for one in found)
        say(f"{waiting} of {len(found)} conversations wait for an answer.")


def _state(one: Waiting) -> str:
    return one.excluded or (f"reply {one.reply}" if one.reply else "waits")


def _described(one: Waiting) -> dict[str, object]:
    return {
        "account": one.account,
        "conversation": one.conversation,
        "message_id": one.message_id,
        "subject": one.subject,
        "correspondent": one.correspondent,
        "date": datetime.fromtimestamp(one.date).astimezone().isoformat(),
        "count": one.count,
        "waits": not one.excluded,
        "excluded": one.excluded,
        "reply": one.reply,
        "folder": one.location.folder,
        "uid": one.location.uid,
    }
