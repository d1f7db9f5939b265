"""`mailassist forget`: remove what is stored of a person."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, open_desk
from mailassist.cli.output import dump_json, say
from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.store.forgotten import Removed


@click.command()
@click.argument("address")
@click.option("--undo", is_flag=True, help="Let this person's mail be indexed again.")
@click.option("--json", "as_json", is_flag=True, help="What was removed, in numbers.")
@config_option
def command(address: str, undo: bool, as_json: bool) -> None:
    """Remove what is stored on this machine of the person with ADDRESS.

    Headers, texts and drafts go, in all accounts, and their bytes leave the file. What arrived until now is not
    indexed again, which takes a keyed hash of the address; mail that comes later is. The mailbox on the server is not
    touched, nor is an approved reply that is not through yet.
    """
    from mailassist.store import forgotten

    if not re.fullmatch(r"[^\s@]{1,64}@[^\s@]{1,255}", address) or not address.isprintable():
        raise InputError(f"{address!r} is no mail address", cure="Give one like anna@example.org.")
    if undo and as_json:
        raise click.UsageError("--json says what was removed, and --undo removes nothing.")
    desk = open_desk()
    if undo:
        known = forgotten.remember_again(desk.store, address)
        say("The next sync indexes their mail again." if known else "Nobody with this address was forgotten.")
        return
    removed = forgotten.forget(desk.store, address, now=time.time())
    if as_json:
        dump_json(_described(removed))
    else:
        _report(address, removed)


def _report(address: str, removed: Removed) -> None:
    say(f"Removed what was stored of {address}:")
    for name, count in _counts(removed).items():
        say(f"  {name}: {count:,}")
    for number, state, subject in removed.kept_replies:
        say(f"  kept: the reply {number} ({state}), {subject!r}: see `mailassist outbox`, then run this again")
    say("Their mail still lies in the mailbox on the server. What is there now is not indexed again; what comes is.")


def _counts(removed: Removed) -> dict[str, int]:
    return {
        "messages of the index": removed.messages,
        "kept texts": removed.texts,
        "drafts": removed.drafts,
        "notes about conversations": removed.conversations,
        "sent replies": removed.replies,
    }


def _described(removed: Removed) -> dict[str, object]:
    return {
        "messages": removed.messages,
        "texts": removed.texts,
        "drafts": removed.drafts,
        "conversations": removed.conversations,
        "replies": removed.replies,
        "kept_replies": [{"id": one[0], "state": one[1], "subject": one[2]} for one in removed.kept_replies],
    }
