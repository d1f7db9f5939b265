"""`mailassist cost`: what the model cost, by day, account and model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import DAYS, all_stores, config_option, open_desk
from mailassist.cli.output import dump_json, say, table

if TYPE_CHECKING:
    from mailassist.store.ledger import DayTotal, Entry

_HEADER = ("Day", "Account", "Model", "Calls", "Input", "Cached", "Output", "Cost")


@click.command()
@click.option("--days", default=30, show_default=True, type=DAYS, help="How many days, with today.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def command(days: int, as_json: bool) -> None:
    """Show what the model cost, by day, account and model.

    Tokens and prices are the provider's own count where it gives one. A call that never came back (a crash) counts with
    the most that it can have cost.
    """
    from mailassist.store import ledger

    desk = open_desk(config_is_optional=True)  # `draft FILE` needs none either
    now = time.time()
    since = ledger.day_start(now, days_ago=days - 1)
    calls = [call for store in all_stores(desk) for call in ledger.entries(store, since=since)]
    today = sum(call.cost for call in calls if call.at >= ledger.day_start(now))
    rows = ledger.by_day(calls, "account", "model")
    budget = desk.config.model.daily_budget
    if as_json:
        dump_json(_as_json(days, rows, calls, today, budget))
    else:
        _show(days, rows, calls, today, budget)


def _as_json(
    days: int, rows: Sequence[DayTotal], calls: Sequence[Entry], today: float, budget: float | None
) -> dict[str, object]:
    from mailassist.store.ledger import cache_hit_rate

    numbers = ("calls", "input_tokens", "cached_tokens", "output_tokens", "cost", "open")
    lines = [
        {"day": str(row.day), "account": row.key[0], "model": row.key[1]}
        | {name: asdict(row)[name] for name in numbers}
        for row in rows
    ]
    return {
        "days": days,
        "rows": lines,
        "total": {name: sum(getattr(row, name) for row in rows) for name in numbers},
        "cache_hit_rate": cache_hit_rate(calls),
        "today": {"cost": today, "budget": budget},
    }


def _show(days: int, rows: Sequence[DayTotal], calls: Sequence[Entry], today: float, budget: float | None) -> None:
    if rows:
        table([_cells(row) for row in rows], header=_HEADER)
        say()
    total, unsettled = sum(row.cost for row in rows), sum(row.open for row in rows)
    say(f"Cost within {days} days: ${total:.4f}; calls: {len(calls)}{_cached(calls)}")
    if unsettled:
        say(f"Calls that never came back, counted with the most that they can have cost: {unsettled}")
    limit = "no limit" if budget is None else f"of ${budget:.2f} (model.daily_budget)"
    say(f"Today: ${today:.4f}, {limit}")


def _cells(row: DayTotal) -> tuple[object, ...]:
    tokens = (f"{count:,}" for count in (row.input_tokens, row.cached_tokens, row.output_tokens))
    at_most = "<= " if row.open else ""
    return (row.day, *row.key, row.calls, *tokens, f"{at_most}${row.cost:.4f}")


def _cached(calls: Sequence[Entry]) -> str:
    from mailassist.store.ledger import cache_hit_rate

    rate = cache_hit_rate(calls)
    return "" if rate is None else f"; {rate:.0%} of the prompt tokens came from the provider's cache"
