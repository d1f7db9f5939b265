"""`mailassist demo`: the main job on a sample mailbox, with IMAP and SMTP servers of its own in this process."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, load_config, use_terminal
from mailassist.cli.output import say
from mailassist.errors import ConfigError, DeliveryError, NothingWaiting

if TYPE_CHECKING:
    from mailassist.config import ModelSettings
    from mailassist.demo.server import Received, SampleServers
    from mailassist.desk import Desk
    from mailassist.drafting.pipeline import Draft
    from mailassist.intake.pull import Pulled
    from mailassist.intake.waiting import Waiting
    from mailassist.mail.recipients import ReplyPlan

DRAFT_SECONDS = 35.0  # of --once; where the model needs longer, the outline drafts
DELIVERY_SECONDS = 15.0
SHOWN_LINES = 12  # of each message of the thread


@click.command("demo")
@config_option
@click.option("--once", is_flag=True, help="One conversation without the UI: thread, draft, cost, delivery.")
@click.option("--serve", is_flag=True, help="Only run the servers, to try other commands on the sample mailbox.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Write each delivered reply to FOLDER as an .eml file.",
)  # fmt: skip
def command(once: bool, serve: bool, keep: Path | None) -> None:
    """Run the main job on a sample mailbox: no account, no key, no network.

    Opens the review UI on 40 sample conversations; replies go to a sample SMTP server and nowhere else. With --config
    FILE, the model of that file writes, at its price; nothing else of the file is used.
    """
    if once and serve:
        raise click.UsageError("--once and --serve exclude each other.")
    _check(interactive=not (once or serve))
    from mailassist.demo.sample import sample_config, sample_servers

    with (
        tempfile.TemporaryDirectory(prefix="mailassist-demo-") as folder,
        sample_servers(datetime.now(UTC), keep) as servers,
    ):
        path = sample_config(servers, Path(folder), undo_seconds=0 if once else 10, model=_model())
        if once:
            _with_desk(path, lambda desk: _once(desk, servers))
            return
        if serve:
            _serve(servers, path)
        else:
            _with_desk(path, _review)
        _show_received(servers.received)


def _model() -> ModelSettings | None:
    """The model of the file that --config names; None where it names none."""
    return load_config().model if click.get_current_context().find_root().obj else None


def _check(*, interactive: bool) -> None:
    """Raise before anything is started when something is missing."""
    if not (find_spec("pymap") and find_spec("aiosmtpd")):
        raise ConfigError("The sample servers are not installed", cure="Run: pip install 'mailassist[demo]'")
    if interactive:
        use_terminal(otherwise="`mailassist demo --once`")


def _with_desk(path: Path, work: Callable[[Desk], None]) -> None:
    from mailassist import config_file
    from mailassist.desk import Desk

    desk = Desk(config_file.load(path), config_path=path)
    try:
        work(desk)
    finally:
        desk.close()


def _review(desk: Desk) -> None:
    from mailassist.review.app import review

    review(desk)


def _serve(servers: SampleServers, path: Path) -> None:
    """Tell how to reach the servers, and wait for Ctrl-C."""
    say(f"IMAP   {servers.host}:{servers.imap_port}, SMTP {servers.host}:{servers.smtp_port}, without TLS")
    say(f"Login  {servers.login}, the password is in {path.parent / 'password'}")
    say(f"Try    mailassist --config {path} sync")
    say(f"       mailassist --config {path} list --all")
    say("Ctrl-C ends the servers and removes all of it.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so does whoever ends this from outside
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say()


def _once(desk: Desk, servers: SampleServers) -> None:
    """Thread, draft, tokens, cost, approval and delivery of the newest conversation that can be answered at once."""
    account = desk.account_names[0]
    desk.sync(account)
    found = desk.waiting(account)
    say(f"{len(found)} conversations wait for an answer. The newest:")
    chosen, pulled, plan = _first_answerable(desk, account, found)
    _show_thread(chosen, pulled)
    draft = _draft(desk, account, pulled)
    if not draft.complete:
        say("\n--- The model did not finish in time on this machine, so the outline, which needs none, drafts instead.")
        draft = _outline(desk, account, pulled)
    _show_draft(draft)
    approved = desk.approve(account, pulled, plan, draft.text, "send")
    _deliver(desk, approved.outbox_id)
    if not servers.received:
        raise DeliveryError("The sample SMTP server received nothing")
    say("--- Approved and delivered")
    _show_received(servers.received)


def _first_answerable(desk: Desk, account: str, found: Sequence[Waiting]) -> tuple[Waiting, Pulled, ReplyPlan]:
    """The newest conversation whose reply needs no further question to the person. Raises NothingWaiting."""
    for waiting in found:
        pulled = desk.pull(account, waiting.message_id)
        plan = desk.plan(account, pulled, reply_all=False)
        if plan.to and not plan.needs_confirmation:
            return waiting, pulled, plan
    raise NothingWaiting("No sample conversation waits for an answer")


def _show_thread(chosen: Waiting, pulled: Pulled) -> None:
    entries = pulled.conversation.entries
    say(f"\n=== {chosen.subject}  ({chosen.correspondent}, {len(entries)} messages)")
    for entry in entries:
        message = entry.message
        date = f"{message.date:%a %d %b %Y %H:%M}" if message.date else "no date"
        places = ", ".join(place.folder for place in pulled.locations.get(message.message_id, ()))
        say(f"\n--- {'you' if entry.ours else message.author}, {date}  [{places}]")
        lines = message.reply.strip("\n").split("\n")
        say("\n".join(lines[:SHOWN_LINES]) + ("\n[...]" if len(lines) > SHOWN_LINES else ""))


def _draft(desk: Desk, account: str, pulled: Pulled) -> Draft:
    say("\n=== Draft, as it is written\n")
    end = time.monotonic() + DRAFT_SECONDS
    draft = desk.draft(
        account, pulled, on_text=lambda piece: say(piece, end=""), stopped=lambda: time.monotonic() > end
    )
    say()
    return draft


def _outline(desk: Desk, account: str, pulled: Pulled) -> Draft:
    """The draft that needs no model."""
    from mailassist.config import ModelSettings
    from mailassist.desk import Desk

    other = Desk(desk.config.model_copy(update={"model": ModelSettings(name="outline")}), config_path=desk.config_path)
    try:
        return _draft(other, account, pulled)
    finally:
        other.close()


def _show_draft(draft: Draft) -> None:
    """Who wrote it, what it cost, and what there is to know."""
    say(f"\n--- {_written_by(draft.model)}")
    used = draft.usage
    tokens = f"{used.input} in ({used.cached} cached), {used.output} out" if used else "none"
    say(f"Tokens: {tokens}. Cost: ${draft.cost:.6f}")
    for notice in draft.notices:
        say(f"Note: {notice}")
    say()


def _written_by(model: str) -> str:
    if model == "outline":
        return "No model wrote this: it is an outline of what to answer, with gaps to fill."
    if model == "local":
        return (
            "Written by the small local model (SmolLM2-135M-Instruct), on this machine.\n"
            "    Its prose is a toy's: it proves the path. A hosted model writes well, for a fraction of a cent."
        )
    return f"Written by {model}."


def _deliver(desk: Desk, outbox_id: int | None) -> None:
    """Send what was approved. Raises DeliveryError when it does not go through."""
    end = time.monotonic() + DELIVERY_SECONDS
    while True:
        desk.deliver_due()
        entry = next((entry for entry in desk.outbox() if entry.id == outbox_id), None)
        if entry is None or entry.state == "done":
            return
        if entry.state in ("refused", "unknown") or time.monotonic() > end:
            raise DeliveryError(f"The reply did not go through: {entry.error or entry.state}")
        time.sleep(0.2)


def _show_received(received: Sequence[Received]) -> None:
    if not received:
        say("Nothing was delivered to the sample SMTP server.")
    for one in received:
        say(f"Delivered to the sample SMTP server: {one.message_id}")
        say(f"  from {one.sender} to {', '.join(one.recipients)} ({len(one.raw):,} bytes)")
        say(f"  its answer: {one.answer}")
        if one.path:
            say(f"  kept in {one.path}")
