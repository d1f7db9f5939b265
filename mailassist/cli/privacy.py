"""`mailassist privacy`: what left this machine, when and whereto; and what is kept here. Never what anything said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import DAYS, all_stores, config_option, config_path, open_desk
from mailassist.cli.output import dump_json, say, table

if TYPE_CHECKING:
    from mailassist.config import Config
    from mailassist.desk import Desk
    from mailassist.store.ledger import DayTotal, Entry

_HEADER = ("Day", "Mailbox", "Went to", "Model", "Calls", "Messages", "Tokens sent")
_EACH_HEADER = ("When", "Mailbox", "Went to", "Model", "For", "Messages", "Tokens sent")


@click.command()
@click.option("--days", default=30, show_default=True, type=DAYS, help="How many days, with today.")
@click.option("--each", is_flag=True, help="Each call with its time, not the days.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; `calls` lists each call.")
@config_option
def command(days: int, each: bool, as_json: bool) -> None:
    """Show what left this machine, when and whereto, and what is kept here.

    Only conversations that are drafted, with what is attached, go to the model's server. Mail goes to your own mail
    servers and nowhere else; `setup` asks public directories about the domain of your address. What was said is never
    recorded here.
    """
    from mailassist.store import ledger

    desk = open_desk(config_is_optional=True)  # `draft FILE` needs none either
    since = ledger.day_start(time.time(), days_ago=days - 1)
    calls = [call for store in all_stores(desk) for call in ledger.entries(store, since=since)]
    left = [call for call in calls if call.left_machine]
    stayed = len(calls) - len(left)
    if as_json:
        dump_json(_as_json(desk, days, left, stayed))
        return
    _show_left(days, left, stayed, each=each)
    say()
    _show_kept(desk)


def _show_left(days: int, left: Sequence[Entry], stayed: int, *, each: bool) -> None:
    from mailassist.store.ledger import by_day

    if left:
        say(f"Text of mail, with what is attached, that left this machine for a model, {days} days:")
        say()
        if each:
            table([_call_cells(call) for call in reversed(left)], header=_EACH_HEADER)
        else:
            table([_day_cells(row) for row in by_day(left, "mailbox", "host", "model")], header=_HEADER)
    else:
        say(f"No text of mail left this machine for a model within {days} days.")
    if stayed:
        say(f"Calls that stayed on this machine, or failed before anything was sent: {stayed}")


def _day_cells(row: DayTotal) -> tuple[object, ...]:
    return (row.day, *row.key, row.calls, row.messages, f"{row.input_tokens:,}")


def _call_cells(call: Entry) -> tuple[object, ...]:
    when = datetime.fromtimestamp(call.at).isoformat(" ", "seconds")
    return (when, call.mailbox, call.host, call.model, call.purpose, call.messages, f"{call.input_tokens:,}")


def _show_kept(desk: Desk) -> None:
    say(_attached(desk.config))
    say()
    say("Mail itself goes only between this machine and:")
    for name, servers in _servers(desk.config).items():
        say(f"  {name}: {', '.join(servers)}")
    if not desk.config.accounts:
        say("  nobody: no account is configured")
    say()
    say("Kept on this machine, readable by you alone:")
    table([(f"  {what}", f"{rows:,}", how_long) for what, rows, how_long in _kept(desk)])
    say(f"  in {desk.store.path}, with a daily copy of drafts, replies and calls beside it")
    say(f"  settings: {config_path()}; passwords and keys: where `mailassist config show` says, never in these files")
    say()
    say("`mailassist forget ADDRESS` removes what is kept of a person.")


def _attached(config: Config) -> str:
    """What of attachments goes to a model."""
    if not config.model.documents:
        return "Nothing of attachments goes to a model (model.documents = false)."
    pictures = "and small copies of pictures, to models that take them" if config.model.pictures else "but no pictures"
    return f"Of attachments, their text goes with the mail, {pictures} (model.documents, model.pictures)."


def _servers(config: Config) -> dict[str, list[str]]:
    found = {}
    for name, account in config.accounts.items():
        hosts = [server.host for server in (account.imap, account.smtp) if server is not None]
        folders = [str(path) for path in (account.maildir, account.mbox) if path is not None]
        found[name] = [*dict.fromkeys(hosts), *folders]  # one name where IMAP and SMTP share it
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


def _as_json(desk: Desk, days: int, left: Sequence[Entry], stayed: int) -> dict[str, object]:
    from mailassist.store.ledger import by_day

    lines = [
        {
            "day": str(row.day),
            **dict(zip(("mailbox", "host", "model"), row.key, strict=True)),
            "calls": row.calls,
            "messages": row.messages,
            "tokens": row.input_tokens,
        }
        for row in by_day(left, "mailbox", "host", "model")
    ]
    kept = [{"what": what, "count": rows, "how_long": how_long} for what, rows, how_long in _kept(desk)]
    return {
        "days": days,
        "left": lines,
        "calls": [_call_record(call) for call in left],
        "stayed_calls": stayed,
        "servers": _servers(desk.config),
        "kept": kept,
        "store": str(desk.store.path),
    }


def _call_record(call: Entry) -> dict[str, object]:
    when = datetime.fromtimestamp(call.at).astimezone().isoformat(timespec="seconds")
    names = ("mailbox", "host", "model", "purpose", "messages", "state")
    return {"at": when, "tokens": call.input_tokens} | {name: getattr(call, name) for name in names}
