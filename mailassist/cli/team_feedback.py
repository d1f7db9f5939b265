"""`mailassist team feedback`: what became of the drafts, by mailbox, category, model and prompt version."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import DAYS, config_option, open_desk, team_store
from mailassist.cli.output import dump_json, say, table
from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.store.feedback import Became

_BY = ("mailbox", "category", "model", "prompt_version")
_OUTCOMES = ("as is", "edited", "discarded", "elsewhere")


@click.command()
@click.option("--by", default="mailbox", show_default=True, metavar="NAMES", help=f"Some of {','.join(_BY)}.")
@click.option("--days", default=30, show_default=True, type=DAYS, help="How many days, with today.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def feedback(by: str, days: int, as_json: bool) -> None:
    """Show what became of the drafts: sent as they were, edited, discarded, or answered elsewhere.

    It is counted from what really left, never from what a model says of itself.
    """
    from mailassist.store import ledger
    from mailassist.store.feedback import became

    names = tuple(dict.fromkeys(name.strip() for name in by.split(",")))
    wrong = [name for name in names if name not in _BY]
    if wrong:
        raise InputError(f"Drafts are not counted by {wrong[0]!r}", cure=f"Name some of {', '.join(_BY)}.")
    found = became(team_store(open_desk()), since=ledger.day_start(time.time(), days_ago=days - 1), by=names)
    if as_json:
        dump_json({"days": days, "by": list(names), "rows": [_fields(names, key, one) for key, one in found.items()]})
    elif found:
        header = (*(name.replace("_", " ").upper() for name in names), "DRAFTS", "USED", *map(str.upper, _OUTCOMES))
        table([_cells(key, one) for key, one in found.items()], header=(*header, "KEPT OF EDITED"))
    else:
        say(f"Nothing is known of drafts of the last {days} days yet.")


def _cells(key: Sequence[str], one: Became) -> tuple[object, ...]:
    counts = (one.outcomes.get(outcome, 0) for outcome in _OUTCOMES)
    kept = "-" if one.likeness is None else f"{one.likeness:.0%}"
    return (*(value or "-" for value in key), one.drafts, f"{one.used / one.drafts:.0%}", *counts, kept)


def _fields(names: Sequence[str], key: Sequence[str], one: Became) -> Mapping[str, object]:
    counts = {outcome: one.outcomes.get(outcome, 0) for outcome in _OUTCOMES}
    said = {"drafts": one.drafts, "used": one.used, "outcomes": counts, "kept_of_edited": one.likeness}
    return dict(zip(names, key, strict=True)) | said
