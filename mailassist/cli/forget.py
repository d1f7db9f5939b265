"""`mailassist forget`: remove what is stored of a person."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import all_stores, config_option, open_desk
from mailassist.cli.output import dump_json, say, warn
from mailassist.errors import InputError, MailassistError

if TYPE_CHECKING:
    from mailassist.desk import Desk
    from mailassist.store.database import Store
    from mailassist.store.forgotten import Removed


@click.command()
@click.argument("address")
@click.option("--undo", is_flag=True, help="Let this person's mail be indexed again.")
@click.option("--json", "as_json", is_flag=True, help="What was removed, in numbers.")
@config_option
def command(address: str, undo: bool, as_json: bool) -> int:
    """Remove what is stored on this machine, or in the team's database, of the person with ADDRESS.

    Headers, texts and drafts go, in all accounts, with what a team wrote about them, and their bytes leave the file.
    What arrived until now is not indexed again, which takes a keyed hash of the address; mail that comes later is. The
    mailbox on the server is not touched, nor is an approved reply that is not through yet. Batches at the model's
    provider that hold a prompt about them end, and their files are deleted. What else cannot be reached from here is
    listed.
    """
    from mailassist.store import forgotten

    if not re.fullmatch(r"[^\s@]{1,64}@[^\s@]{1,255}", address) or not address.isprintable():
        raise InputError(f"{address!r} is no mail address", cure="Give one like anna@example.org.")
    if undo and as_json:
        raise click.UsageError("--json says what was removed, and --undo removes nothing.")
    desk = open_desk()
    if undo:
        known = sum(forgotten.remember_again(store, address) for store in all_stores(desk)) > 0
        say("The next sync indexes their mail again." if known else "Nobody with this address was forgotten.")
        return 0
    stores = all_stores(desk)
    removed = reduce(forgotten.together, [forgotten.forget(store, address, now=time.time()) for store in stores])
    left, failed = _withdrawn(desk, stores)
    if as_json:
        dump_json(_described(removed) | {"out_of_reach": _out_of_reach(desk, left)})
    else:
        _report(address, removed, _out_of_reach(desk, left))
    if failed is None:
        return 0
    warn(
        f"mailassist: what the provider's batches hold of them could not be deleted: {str(failed).rstrip('.')}. "
        "The daemon deletes it as soon as it can; or run this again."
    )
    return failed.exit_code


def _withdrawn(desk: Desk, stores: Sequence[Store]) -> tuple[list[str], MailassistError | None]:
    """The provider's batches that hold something of the person still, and what went wrong with deleting it."""
    from mailassist.daemon.starting import withdraw_forgotten
    from mailassist.store import batches

    left: list[str] = []
    for store in stores:
        try:
            left += withdraw_forgotten(desk.config, store)
        except MailassistError as error:
            return left + [batch.id for batch in batches.unfinished(store)], error
    return left, None


def _report(address: str, removed: Removed, out_of_reach: Sequence[str]) -> None:
    say(f"Removed what was stored of {address}:")
    for name, count in _counts(removed).items():
        say(f"  {name}: {count:,}")
    for name, count in _team_counts(removed).items():
        if count:
            say(f"  {name.replace('_', ' ')}: {count:,}")
    for number, state, subject in removed.kept_replies:
        say(f"  kept: the reply {number} ({state}), {subject!r}: see `mailassist outbox`, then run this again")
    for number in removed.team.kept_cases:
        say(f"  kept: case {number}, whose reply is on its way: run this again once it is through")
    if removed.team.unsealed:
        say(f"  kept: {removed.team.unsealed} entries that are not in the audit trail yet: run this again")
    say("What this cannot reach:")
    for line in out_of_reach:
        say(f"  {line}")
    say("Their mail that is in the mailbox now is not indexed again; what comes is.")


def _out_of_reach(desk: Desk, batches: Sequence[str]) -> list[str]:
    """Where more of the person may lie, one line each."""
    from mailassist.store.ledger import entries
    from mailassist.team.status import team_mailboxes

    lines = ["the mailbox on the server: their mail, replies to it, drafts in its Drafts folder"]
    hosts = sorted({call.host for store in all_stores(desk) for call in entries(store) if call.left_machine})
    if hosts:
        lines.append(f"the model's provider, for as long as it keeps what it was sent: {', '.join(hosts)}")
    for batch in batches:
        lines.append(f"the files of the provider's batch {batch}, which the daemon deletes as soon as it has ended")
    lines.append(
        "backups and snapshots that others made of this machine or its database, and the log where it shows content"
    )
    if desk.config.team.database and not team_mailboxes(desk.config):
        lines.append("the team's database: run `mailassist forget` where the daemon runs")
    if team_mailboxes(desk.config):
        lines.append("what reviewers keep on their own machines: run `mailassist forget` there, too")
    return lines


def _counts(removed: Removed) -> dict[str, int]:
    return {
        "messages of the index": removed.messages,
        "kept texts": removed.texts,
        "drafts": removed.drafts,
        "notes about conversations": removed.conversations,
        "sent replies": removed.replies,
    }


def _team_counts(removed: Removed) -> dict[str, int]:
    names = ("arrivals", "cases", "notes", "approvals", "texts_of_the_trail", "prompts", "feedback", "notices")
    return {name: getattr(removed.team, name) for name in names}


def _described(removed: Removed) -> dict[str, object]:
    return {
        "messages": removed.messages,
        "texts": removed.texts,
        "drafts": removed.drafts,
        "conversations": removed.conversations,
        "replies": removed.replies,
        "kept_replies": [{"id": one[0], "state": one[1], "subject": one[2]} for one in removed.kept_replies],
        "team": _team_counts(removed) | {"kept_cases": list(removed.team.kept_cases)},
    }
