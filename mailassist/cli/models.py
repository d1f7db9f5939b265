"""`mailassist models`: the registry, and with --remote what the configured server offers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, config_path, load_config, open_desk
from mailassist.cli.output import dump_json, say, table

if TYPE_CHECKING:
    from mailassist.model.client import RemoteModel
    from mailassist.model.registry import ModelInfo

_HEADER = ("", "Model", "Window", "Answer", "$ in", "$ cached", "$ out", "Prompt", "API", "Until", "Then")


@click.command()
@click.option("--remote", is_flag=True, help="Ask the configured server which models it offers.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def command(remote: bool, as_json: bool) -> None:
    """Show the models that mailassist knows: what they take, cost, and until when they live.

    Prices are US dollars per million tokens. `*` marks the configured model. Any other model of an OpenAI-compatible
    server works too: name it as model.name, with its prices.
    """
    today = date.today()
    if remote:
        _show_remote(today, as_json=as_json)
    else:
        _show_known(today, as_json=as_json)


def _show_known(today: date, *, as_json: bool) -> None:
    from mailassist.model.registry import in_force, models

    used = load_config().model.name if config_path().exists() else ""
    if as_json:
        dump_json([_record(info) for info in models()])
        return
    table([_cells(info, used) for info in models()], header=_HEADER)
    say()
    say("$: US dollars per million tokens. Prompt: tokens of a prompt, unless model.context_tokens says otherwise.")
    for info in models():
        notice = in_force(info, today)[1]
        if notice:
            say(notice)


def _cells(info: ModelInfo, used: str) -> tuple[object, ...]:
    prices = (info.input_price, info.input_price if info.cached_price is None else info.cached_price, info.output_price)
    return (
        "*" if info.name == used else "",
        info.name,
        f"{info.window:,}",
        f"{info.max_output:,}",
        *("?" if price is None else f"{price:.3f}" for price in prices),
        f"{info.default_budget:,}",
        "this machine" if info.local else info.api or "responses",
        info.shutdown or "",
        info.successor,
    )


def _record(info: ModelInfo) -> dict[str, object]:
    names = ("name", "window", "max_output", "input_price", "cached_price", "output_price", "tokenizer")
    more = ("default_budget", "default_output", "reasoning_effort", "successor", "local")
    record = {name: getattr(info, name) for name in (*names, *more)}
    shutdown = info.shutdown.isoformat() if info.shutdown else None
    return record | {"shutdown_date": shutdown, "capabilities": sorted(info.capabilities)}


def _show_remote(today: date, *, as_json: bool) -> None:
    writer = open_desk().models.choice().writer
    if writer is None and as_json:
        dump_json([])
        return
    if writer is None:
        say("The outline needs no model, so there is no server to ask (model.name).")
        return
    found = writer.models()
    if as_json:
        dump_json([{"name": model.name, "shutdown_date": model.shutdown or None} for model in found])
        return
    say(f"Offered by {writer.host}:")
    table([_remote_cells(model, writer.info.name, today) for model in found])


def _remote_cells(model: RemoteModel, used: str, today: date) -> tuple[object, ...]:
    from mailassist.model.client import shutdown_notice

    return ("*" if model.name == used else "", model.name, shutdown_notice(model, today))
