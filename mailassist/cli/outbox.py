"""`mailassist outbox`: approved replies that are not through, and what a person can decide about them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, open_desk
from mailassist.cli.output import dump_json, say, table
from mailassist.errors import DeliveryError

if TYPE_CHECKING:
    from mailassist.store.database import Store
    from mailassist.store.outbox import OutboxRow

_ID = click.IntRange(max=2**63 - 1)  # what SQLite can compare


@click.group(invoke_without_command=True)
@click.option("--all", "through", is_flag=True, help="Also those that are through or taken back.")
@click.option("--account", default="", help="Only this account.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
@click.pass_context
def command(ctx: click.Context, through: bool, account: str, as_json: bool) -> None:
    """Show approved replies that are not through yet; retry, cancel or settle one.

    A reply is never lost and never sent twice by itself: where nobody can tell whether the server took it, it stands
    here as `unknown` until you say `sent ID` (it arrived) or `retry ID` (it did not).
    """
    if ctx.invoked_subcommand is None:
        _list(account, through, as_json)


def _list(account: str, through: bool, as_json: bool) -> None:
    from mailassist.delivery.outbox import listed

    desk = open_desk()
    name = desk.config.account(account)[0] if account else ""
    rows = listed(desk.store, account=name, through=through)
    if as_json:
        dump_json([_fields(row) for row in rows])
    elif rows:
        table([_cells(row) for row in rows], header=("ID", "ACCOUNT", "STATE", "TO", "SUBJECT", "WHAT HAPPENED"))
    else:
        say("Nothing waits in the outbox.")


@command.command()
@click.argument("row_id", metavar="ID", type=_ID)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def show(row_id: int, as_json: bool) -> None:
    """Show one reply: where it is, to whom it goes, and its text."""
    from mailassist.delivery.outbox import said

    row = _row(open_desk().store, row_id)
    if as_json:
        dump_json({**_fields(row), "text": row.text, "server_answer": row.server_answer})
        return
    say(said(row))
    say(f"\nFrom: {row.sender}\nTo: {', '.join(row.recipient_list)}\nSubject: {row.subject}")
    say(f"Message-ID: {row.sent_message_id or row.message_id}")
    if row.server_answer:
        say(f"Server: {row.server_answer}")
    say(f"\n{row.text}")


@command.command()
@click.argument("row_id", metavar="ID", type=_ID)
@config_option
def retry(row_id: int) -> None:
    """Send one reply now: refused, waiting, or unknown (say so only if it did not arrive)."""
    from mailassist.delivery import outbox

    desk = open_desk()
    _decided(outbox.retry(desk.store, row_id, now=time.time()), desk.store, row_id)
    desk.deliver(_row(desk.store, row_id).account, row_id)
    _tell(desk.store, row_id)


@command.command()
@click.argument("row_id", metavar="ID", type=_ID)
@config_option
def cancel(row_id: int) -> None:
    """Take one reply back; its text is a draft again."""
    from mailassist.delivery import outbox

    store = open_desk().store
    now = time.time()
    _decided(outbox.cancel(store, row_id, now=now) or outbox.give_up(store, row_id, now=now), store, row_id)
    _tell(store, row_id)


@command.command()
@click.argument("row_id", metavar="ID", type=_ID)
@config_option
def sent(row_id: int) -> None:
    """Say that an unknown reply did arrive: it is filed, never sent again."""
    from mailassist.delivery import outbox

    desk = open_desk()
    _decided(outbox.settle_as_sent(desk.store, row_id, now=time.time()), desk.store, row_id)
    desk.deliver(_row(desk.store, row_id).account, row_id)
    _tell(desk.store, row_id)


def _row(store: Store, row_id: int) -> OutboxRow:
    from mailassist.store.outbox import get

    row = get(store, row_id)
    if row is None:
        raise DeliveryError(f"There is no reply {row_id} in the outbox", cure="See `mailassist outbox --all`.")
    return row


def _decided(done: bool, store: Store, row_id: int) -> None:
    """Raises DeliveryError where the reply's state does not allow what the person asked for."""
    if not done:
        row = _row(store, row_id)
        cure = f"See `mailassist outbox show {row_id}`."
        raise DeliveryError(f"Reply {row_id} is {row.state}: that is not possible now", cure=cure)


def _tell(store: Store, row_id: int) -> None:
    """The state in one line. Raises DeliveryError, DeliveryUnknown where the reply is not through."""
    from mailassist.delivery.outbox import failure, said

    row = _row(store, row_id)
    problem = failure(row)
    if problem is not None:
        raise problem
    say(said(row))


def _cells(row: OutboxRow) -> tuple[object, ...]:
    from mailassist.delivery.outbox import said

    return row.id, row.account, row.state, ", ".join(row.recipient_list), row.subject, said(row)


def _fields(row: OutboxRow) -> dict[str, object]:
    return {
        "id": row.id,
        "account": row.account,
        "state": row.state,
        "answers": row.answers,
        "from": row.sender,
        "recipients": list(row.recipient_list),
        "subject": row.subject,
        "message_id": row.message_id,
        "sent_message_id": row.sent_message_id,
        "not_before": row.not_before,
        "attempt": row.attempt,
        "error": row.error,
    }
