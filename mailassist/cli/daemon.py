"""`mailassist daemon`: work for the team mailboxes without a person; it drafts and never sends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, config_path, load_config
from mailassist.cli.output import dump_json, say, table, warn
from mailassist.errors import MailassistError

if TYPE_CHECKING:
    from mailassist.config import Config
    from mailassist.daemon.dry_run import Forecast
    from mailassist.store.database import Store


@click.command()
@click.option("--dry-run", is_flag=True, help="Say how many conversations would be drafted, and the price; do nothing.")
@click.option("--days", type=click.FloatRange(0, 3650), help="With --dry-run: mail of so many days.")
@click.option("--shadow", is_flag=True, help="Draft into the store only, put nothing into any mailbox.")
@click.option("--once", is_flag=True, help="Catch up, work until nothing is left to do, report, end.")
@click.option("--workers-only", is_flag=True, help="Work on what another daemon's watchers find (PostgreSQL).")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run, --shadow and --once: the report as JSON.")
@config_option
def command(dry_run: bool, days: float | None, shadow: bool, once: bool, workers_only: bool, as_json: bool) -> int:
    """Watch the team mailboxes, and draft replies as mail arrives.

    Every account with a table [accounts.NAME.team] is a team mailbox. Drafts go into its Drafts folder and into the
    queue of `mailassist review --team`; nothing is ever sent from here. SIGTERM ends it within 30 seconds, SIGHUP
    takes a changed configuration over.
    """
    from mailassist.daemon.no_sending import refuse_sending

    refuse_sending()
    config = load_config()
    if dry_run:
        return _dry_run(config, config.daemon.first_start_days if days is None else days, as_json)
    from mailassist.daemon.starting import start

    service = start(config, config_path(), shadow=shadow, once=once, workers_only=workers_only, reload=load_config)
    service.leave = partial(os._exit, 0)  # each step is recorded: ending here loses nothing
    code = service.run()
    if shadow:
        _report_shadow(service.store, list(service.parts.mailboxes), as_json)
    elif once:
        from mailassist.daemon.service import report

        rows = report(service.store, list(service.config.accounts))
        if as_json:
            dump_json([{"mailbox": mailbox, "state": state, "cases": count} for mailbox, state, count in rows])
        elif rows:
            table(rows, header=("mailbox", "state", "cases"))
    service.store.close()
    return code


_STATES = {
    "drafted": "drafted", "open": "still worked on", "person": "given to a person",
    "missing": "without the information",
    "none": "in need of no reply", "answered": "answered by the team", "theirs": "left to a person", "failed": "failed",
}  # fmt: skip
_OUTCOMES = {"as is": "sent as they are", "edited": "sent with changes", "elsewhere": "unlike what was sent",
             "discarded": "discarded"}  # fmt: skip


def _report_shadow(store: Store, mailboxes: Sequence[str], as_json: bool) -> None:
    """What would have been done, and how near it came to what the team did itself."""
    from mailassist.team.report import report

    found = report(store, mailboxes)
    if as_json:
        dump_json([asdict(one) for one in found])
        return
    for one in found:
        states = ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in one.cases.items())
        say(f"{one.mailbox}: {sum(one.cases.values())} conversations{': ' if states else ''}{states}")
        if one.outcomes:
            near = ", ".join(f"{count} {_OUTCOMES[name]}" for name, count in one.outcomes.items())
            say(f"  of {sum(one.outcomes.values())} drafts that the team needed meanwhile: {near}")
        say(f"  {one.calls} calls to models, ${one.cost:.4f}")


def _dry_run(config: Config, days: float, as_json: bool) -> int:
    from mailassist.daemon.starting import forecasts

    code = 0
    found: list[Forecast] = []
    for name, one in forecasts(config, days=days):
        if isinstance(one, MailassistError):
            warn(f"mailassist: {name}: {one}")
            code = code or one.exit_code
        else:
            found.append(one)
    if as_json:
        dump_json([_described(one) for one in found])
        return code
    for one in found:
        sampled = f" (from {one.sampled} of them)" if one.sampled < one.conversations else ""
        say(
            f"{one.mailbox}: {one.conversations} conversations of the last {days:g} days would be drafted, of "
            f"{one.looked_at} messages; about {one.tokens:,} tokens, ${one.price:.4f}{sampled}"
        )
    if len(found) > 1:
        total = sum(one.conversations for one in found)
        say(f"together: {total} conversations, ${sum(one.price for one in found):.4f}")
    return code


def _described(one: Forecast) -> dict[str, object]:
    return {
        "mailbox": one.mailbox,
        "conversations": one.conversations,
        "messages": one.looked_at,
        "sampled": one.sampled,
        "tokens": one.tokens,
        "price": round(one.price, 6),
    }
