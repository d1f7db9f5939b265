"""`mailassist privacy`: what left this machine, when and whereto; and what is kept here. Never what anything said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, config_path, open_desk
from mailassist.cli.output import dump_json, say, table

if TYPE_CHECKING:
    from mailassist.config import Config
    from mailassist.desk import Desk
    from mailassist.store.ledger import DayTotal, Entry

_HEADER = ("Day", "Mailbox", "Went to", "Model", "Calls", "Messages", "Tokens sent")


@click.command()
@click.option("--days", default=30, show_default=True, type=click.IntRange(min=1), help="How many days, with today.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def command(days: int, as_json: bool) -> None:
    """Show what left this machine, when and whereto, and what is kept here.

    Only conversations that are drafted go to the model's server, and nothing else goes anywhere but your own mail
    servers. What was said is never recorded here.
    """
    from mailassist.store import ledger

    desk = open_desk()
    calls = ledger.entries(desk.store, since=ledger.day_start(time.time(), days_ago=days - 1))
    left = ledger.by_day([call for call in calls if call.left_machine], "mailbox", "host", "model")
    stayed = [call for call in calls if not call.left_machine]
    if as_json:
        dump_json(_as_json(desk, days, left, stayed))
    else:
        _show(desk, days, left, stayed)


def _show(desk: Desk, days: int, left: Sequence[DayTotal], stayed: Sequence[Entry]) -> None:
    if left:
        say(f"Text of mail that left this machine for a model, {days} days:")
        say()
        cells = [(row.day, *row.key, row.calls, row.messages, f"{row.input_tokens:,}") for row in left]
        table(cells, header=_HEADER)
    else:
        say(f"No text of mail left this machine for a model within {days} days.")
    if stayed:
        say(f"{len(stayed)} calls stayed on this machine, or failed before anything was sent.")
    say()
    say("Mail itself goes only between this machine and:")
    for name, servers in _servers(desk.config).items():
        say(f"  {name}: {', '.join(servers)}")
    say()
    say("Kept on this machine, readable by you alone:")
    table([(f"  {what}", f"{rows:,}", how_long) for what, rows, how_long in _kept(desk)])
    say(f"  in {desk.store.path}")
    say(f"  settings: {config_path()}; passwords and keys: where `mailassist config show` says, never in these files")
    say()
    say("`mailassist forget ADDRESS` removes what is kept of a person.")


def _servers(config: Config) -> dict[str, list[str]]:
    found = {}
    for name, account in config.accounts.items():
        hosts = [server.host for server in (account.imap, account.smtp) if server is not None]
        folders = [str(path) for path in (account.maildir, account.mbox) if path is not None]
        found[name] = hosts + folders
    return found


def _kept(desk: Desk) -> list[tuple[str, int, str]]:
    """What is in the store: the kind of data, how many, for how long."""
    from mailassist.store.holdings import holdings

    syncs = [account.sync for account in desk.config.accounts.values()]
    days = ", ".join(sorted({f"{sync.days} days" for sync in syncs})) or "-"
    retention = ", ".join(sorted({f"{sync.retention_days} days" for sync in syncs})) or "-"
    said = {
        "messages": ("headers of messages", f"of the last {days} (sync.days)"),
        "texts": ("whole messages", f"{retention} (sync.retention_days){{next}}"),
        "drafts": ("drafts", "until you forget the correspondent"),
        "outbox": ("approved replies", "until you forget the correspondent"),
        "ledger": ("calls to models", "numbers only, no text"),
    }
    rows = []
    for holding in holdings(desk.store):
        what, how_long = said[holding.name]
        following = f"; the next goes on {_day(holding.next_deletion)}" if holding.next_deletion else ""
        rows.append((what, holding.rows, how_long.replace("{next}", following)))
    return rows


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).date().isoformat()


def _as_json(desk: Desk, days: int, left: Sequence[DayTotal], stayed: Sequence[Entry]) -> dict[str, object]:
    lines = [
        {
            "day": str(row.day),
            **dict(zip(("mailbox", "host", "model"), row.key, strict=True)),
            "calls": row.calls,
            "messages": row.messages,
            "tokens": row.input_tokens,
        }
        for row in left
    ]
    kept = [{"what": what, "count": rows, "how_long": how_long} for what, rows, how_long in _kept(desk)]
    return {
        "days": days,
        "left": lines,
        "stayed_calls": len(stayed),
        "servers": _servers(desk.config),
        "kept": kept,
        "store": str(desk.store.path),
    }
