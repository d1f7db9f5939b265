"""`mailassist status`: how each team mailbox is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import config_option, open_desk, team_store
from mailassist.cli.output import dump_json, say, table
from mailassist.errors import ConfigError, InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from mailassist.desk import Desk

_HEADER = ("Mailbox", "State", "Connection", "Last look", "Backlog", "In queue", "Overdue", "Used", "Today")
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))

Record = Mapping[str, Any]


@click.command()
@click.argument("mailboxes", nargs=-1, metavar="[MAILBOX]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def command(mailboxes: Sequence[str], as_json: bool) -> None:
    """Show how each team mailbox is: its connection, what waits, what went wrong, and what today cost.

    With MAILBOX, only these. Works while the daemon runs and when it does not.
    """
    from mailassist.team import status

    desk = open_desk()
    names = status.team_mailboxes(desk.config)
    if not names:
        raise ConfigError("No team mailbox is configured", cure="Add [accounts.NAME.team], see docs/DAEMON.md.")
    for name in mailboxes:
        if name not in names:
            raise InputError(f"There is no team mailbox {name!r}", cure=f"They are: {', '.join(names)}.")
    record = _record(desk)
    if mailboxes:
        record["mailboxes"] = [one for one in _mailboxes(record) if one["mailbox"] in mailboxes]
    if as_json:
        dump_json(record)
    else:
        _show(record)


def _record(desk: Desk) -> dict[str, Any]:
    """From the store where we may open it, else over the daemon's socket. Raises StoreError, ConnectionFailed."""
    from mailassist.desk import STORE_FILE
    from mailassist.store.database import Store
    from mailassist.team.socket_queue import SocketQueue
    from mailassist.team.status import as_record, look

    config, now = desk.config, time.time()
    file = desk.data_folder / STORE_FILE
    socket = config.team.socket or config.daemon.review_socket
    if config.team.database or os.access(file, os.R_OK | os.W_OK):
        return as_record(look(team_store(desk), config, now=now))
    if socket is not None:
        asked = SocketQueue(socket, patience=1.0)
        try:
            return dict(asked.status())
        finally:
            asked.close()
    if _is_missing(file):
        return as_record(look(Store.in_memory(), config, now=now))  # the daemon has not run yet; a look makes nothing
    raise StoreError(
        f"{file} may be opened by the daemon's user only", cure="Run: sudo -u mailassist mailassist status."
    )


def _is_missing(file: Path) -> bool:
    try:
        return not file.exists()
    except PermissionError:
        return False


def _mailboxes(record: Record) -> list[Record]:
    return list(record["mailboxes"])


def _show(record: Record) -> None:
    now = record["at"]
    table([_cells(one, now) for one in _mailboxes(record)], header=_HEADER)
    lines = [line for one in _mailboxes(record) for line in _troubles(one, now)] + list(_of_all(record))
    if lines:
        say()
    for line in lines:
        say(line)


def _cells(one: Record, now: float) -> tuple[object, ...]:
    drafts = sum(one["drafts"].values())
    used = f"{one['used']} of {drafts}" if drafts else "-"
    budget = "" if one["budget"] is None else f" of ${one['budget']:.2f}"
    cost = f"${one['cost']:.4f}{budget}"
    connection = "gone" if one["watcher_gone"] else one["connection"] or "-"
    counts = (one["backlog"], one["queue"], one["overdue"])
    return (one["mailbox"], one["state"], connection, _ago(one["looked_at"], now), *counts, used, cost)


def _troubles(one: Record, now: float) -> Iterator[str]:
    name = one["mailbox"]
    if one["error"]:
        yield f"{name}: {one['error']} ({_ago(one['error_at'], now)})"
    if one["paused"]:
        yield f"{name}: no drafts are made, since {_ago(one['paused_at'], now)}: {one['paused']}"
        yield f"  `mailassist team resume {name}` goes on."
    if one["watcher_gone"]:
        yield f"{name}: the daemon that watched it ({one['watcher']}) does not run any more"
    if one["tried_again"]:
        yield f"{name}: {one['tried_again']} of {one['backlog']} on their way have failed before and are tried again"
        if one["trouble"]:
            yield f"  {one['trouble']}"
    for each in one["unsettled"]:
        who, number = each["who"], each["case"]
        heard = _ago(each["since"], now)
        yield f"{name}: nobody can tell whether {who}'s reply in case {number} was sent (last heard of {heard})"
        yield f"  `mailassist team settle {number} sent|not-sent` says it."
    for other, count in one["elsewhere"].items():
        yield f"{name}: {count} came here, too, and are answered from {other}"
    if one["in_batches"]:
        yield f"{name}: {one['in_batches']} wait for the provider's batch"


def _of_all(record: Record) -> Iterator[str]:
    now, notices = record["at"], record["notices"]
    for model in record["models"]:
        if model["not_before"] > now:
            wait = _span(model["not_before"] - now)
            yield f"{model['name']}: not asked for another {wait}, after {model['failures']} failures in a row"
    if notices["waiting"]:
        yield f"People are still to hear of {notices['waiting']} (the oldest: {_ago(notices['oldest'], now)})"
    for name, channel in notices["channels"].items():
        if channel["error"]:
            tried = f"tried {channel['tries']} times, again in {_span(max(0.0, channel['not_before'] - now))}"
            yield f"People cannot be told by {name}: {channel['error']} ({tried})"
    today = record["today"]
    limit = "no limit" if today["budget"] is None else f"of ${today['budget']:.2f}"
    yield f"Today, all accounts: ${today['cost']:.4f}, {limit}"


def _ago(at: float | None, now: float) -> str:
    return "never" if at is None else f"{_span(max(0.0, now - at))} ago"


def _span(seconds: float) -> str:
    return next((f"{seconds / unit:.0f} {name}" for unit, name in _UNITS if seconds >= unit), f"{seconds:.0f} s")
