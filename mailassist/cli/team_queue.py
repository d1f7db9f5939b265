"""`mailassist team list` and what follows: the team's queue without a terminal UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import config_option, open_desk
from mailassist.cli.output import dump_json, say, table
from mailassist.errors import InputError, MailassistError, Stopped, Taken

if TYPE_CHECKING:
    from mailassist.desk import Desk
    from mailassist.team.desk import TeamDesk
    from mailassist.team.queue import Item, TeamQueue

_CASE = click.IntRange(1, 2**63 - 1)
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_HEADER = ("CASE", "LEFT", "MAILBOX", "STATE", "WHO", "FROM", "SUBJECT")


@click.command("list")
@click.option("--all", "through", is_flag=True, help="Also those that are answered or need no reply.")
@_JSON
@config_option
def list_cases(through: bool, as_json: bool) -> None:
    """Show the queue, the case with the least office time left first."""
    items = _queue(open_desk()).items(through=through)
    if as_json:
        dump_json([_fields(item) for item in items])
    elif items:
        table([_cells(item) for item in items], header=_HEADER)
    else:
        say("Nothing waits for the team.")


@click.command()
@click.argument("case", type=_CASE)
@_JSON
@config_option
def claim(case: int, as_json: bool) -> None:
    """Take CASE, or keep it, so that nobody else replies."""
    item = _queue(open_desk()).claim(case)
    if as_json:
        dump_json(_fields(item))
    else:
        say(f"Case {case} is yours until {_moment(item.claimed_until)}.")


@click.command()
@click.argument("case", type=_CASE)
@config_option
def release(case: int) -> None:
    """Give CASE up."""
    _queue(open_desk()).release(case)
    say(f"Case {case} is anybody's.")


@click.command("hand-over")
@click.argument("case", type=_CASE)
@click.argument("to", metavar="NAME")
@click.option("--note", default="", help="What they should know.")
@config_option
def hand_over(case: int, to: str, note: str) -> None:
    """Give CASE to a colleague."""
    _queue(open_desk()).hand_over(case, to, note)
    say(f"Case {case} is kept for {to}.")


@click.command()
@click.argument("case", type=_CASE)
@click.argument("text", required=False)
@_JSON
@config_option
def note(case: int, text: str | None, as_json: bool) -> None:
    """Show the notes about CASE, or add TEXT to them. No model ever sees them."""
    queue = _queue(open_desk())
    if text is not None:
        queue.add_note(case, text)
    notes = queue.notes(case)
    if as_json:
        dump_json([{"at": one.at, "who": one.who, "text": one.text} for one in notes])
        return
    for one in notes:
        say(f"{_moment(one.at)}  {one.who}: {one.text}")


@click.command()
@click.argument("cases", metavar="CASE...", type=_CASE, nargs=-1, required=True)
@_JSON
@config_option
def approve(cases: tuple[int, ...], as_json: bool) -> None:
    """Send the texts of CASEs as they stand in the queue, now; each is reported. 18 where one was held."""
    desk = open_desk()
    limit = desk.config.team.bulk_limit
    if len(cases) > limit:
        raise InputError(f"No more than {limit} replies are approved at once", cure="See [team] bulk_limit.")
    from mailassist.team.desk import TeamDesk

    shared = TeamDesk(desk, _queue(desk), undo_seconds=0.0)
    shared.look()
    rows: list[dict[str, Any]] = []
    for case in dict.fromkeys(cases):
        held = _approve_one(shared, case)
        rows.append({"case": case, "approved": not held, "held": held})
    shared.deliver_due()
    if as_json:
        dump_json(rows)
    else:
        _report(rows, "approved")
    if any(row["held"] for row in rows):
        click.get_current_context().exit(18)


@click.command()
@click.argument("cases", metavar="[CASE]...", type=_CASE, nargs=-1)
@click.option("--mailbox", default="", metavar="NAME", help="Also every failed case of this mailbox.")
@_JSON
@config_option
def retry(cases: tuple[int, ...], mailbox: str, as_json: bool) -> None:
    """Let the daemon try CASEs again that have failed; each is reported. 18 where one was held."""
    if not cases and not mailbox:
        raise InputError("Nothing is named that could be tried again", cure="Name a CASE, or --mailbox.")
    desk = open_desk()
    queue = _queue(desk)
    if mailbox and mailbox not in {*desk.config.accounts, *(item.mailbox for item in queue.items())}:
        raise InputError(f"There is no mailbox {mailbox!r}", cure="`mailassist team list` names them.")
    failed = [item.case_id for item in queue.items() if item.mailbox == mailbox and item.state == "failed"]
    rows = [{"case": case, "held": _retry_one(queue, case)} for case in dict.fromkeys((*cases, *failed))]
    if as_json:
        dump_json([{**row, "retried": not row["held"]} for row in rows])
    else:
        _report(rows, "tried again")
    if any(row["held"] for row in rows):
        click.get_current_context().exit(18)


@click.command()
@click.argument("case", type=_CASE)
@click.option("--reason", default="", metavar="TEXT", help="Why no reply is needed.")
@config_option
def discard(case: int, reason: str) -> None:
    """Say that CASE needs no reply."""
    _queue(open_desk()).discard(case, reason)
    say(f"Case {case} needs no reply.")


@click.command()
@click.argument("case", type=_CASE)
@click.argument("verdict", type=click.Choice(["sent", "not-sent"]))
@config_option
def settle(case: int, verdict: str) -> None:
    """Say whether the approved reply of CASE left, where nobody can tell: look in Sent, or ask whoever approved it."""
    _queue(open_desk()).settle(case, "sent" if verdict == "sent" else "stopped")
    say(f"Case {case} is answered." if verdict == "sent" else f"Case {case} is open again.")


COMMANDS = (list_cases, claim, release, hand_over, note, approve, settle, retry, discard)


def _queue(desk: Desk) -> TeamQueue:
    """The queue, closed with the command."""
    from mailassist.team import connect

    return click.get_current_context().with_resource(connect.queue_of(desk))


def _approve_one(shared: TeamDesk, case: int) -> str:
    """Why the reply is held; "" where it is on its way."""
    from mailassist.review.gaps import gaps

    try:
        item = shared.case(case)
        saved = shared.saved(item.mailbox, item.message_id)
        if saved is None or not saved.text.strip():
            return "there is no text"
        if not saved.complete:
            return "the draft was cut off"
        if gaps(saved.text):
            return f"there is a gap to be filled in: {gaps(saved.text)[0]}"
        pulled = shared.pull(item.mailbox, item.message_id)
        plan = shared.plan(item.mailbox, pulled, saved.reply_all)
        if plan.needs_confirmation or not plan.to:
            return "; ".join(plan.needs_confirmation) or "its recipient has to be chosen"
        shared.approve(item.mailbox, pulled, plan, saved.text, "send")
    except MailassistError as error:
        return str(error)
    return ""


def _retry_one(queue: TeamQueue, case: int) -> str:
    """Why it is held; "" where it is tried again."""
    try:
        queue.retry(case)
    except (Taken, Stopped) as error:
        return str(error)
    return ""


def _report(rows: Sequence[dict[str, Any]], done: str) -> None:
    held = [row for row in rows if row["held"]]
    say(f"{len(rows) - len(held)} {done}, {len(held)} held.")
    for row in held:
        say(f"Case {row['case']} is held: {row['held']}")


def _cells(item: Item) -> tuple[object, ...]:
    left = "" if item.left is None else f"{'-' if item.left < 0 else ''}{abs(item.left) / 3600:.1f} h"
    who = item.claimed_by or (f"for {item.assigned_to}" if item.assigned_to else "")
    mailbox = f"{item.mailbox} (also {', '.join(item.also_in)})" if item.also_in else item.mailbox
    return item.case_id, left, mailbox, item.state, who, item.correspondent, item.subject


def _fields(item: Item) -> dict[str, object]:
    return {name: getattr(item, name) for name in item.__slots__}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
