"""`mailassist audit`: prove the trail of what was done, show it, and make its key."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, config_path, load_config, open_desk, team_store
from mailassist.cli.output import dump_json, say, table, warn
from mailassist.errors import AuditBroken

if TYPE_CHECKING:
    from mailassist.store.audit import Entry
    from mailassist.team.audit_proof import Proof

_HEADER = ("NUMBER", "WHEN", "WHO", "DID", "MAILBOX", "CASE", "DETAILS")
_NUMBER = click.IntRange(1, 2**63 - 1)


@click.group()
@config_option
def command() -> None:
    """Prove the team's audit trail, show it, or make its key. For the user of the daemon."""


@command.command()
@click.option("--head", "noted", metavar="NUMBER:HEX", help="A head as the daemon logged it: finds a tail cut off.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def verify(noted: str | None, as_json: bool) -> None:
    """Prove that no entry was changed, removed, added or moved, or name the first that was (exit code 19)."""
    from mailassist.team import audit_key, audit_proof

    head = audit_proof.noted_head(noted) if noted is not None else None
    desk = open_desk()
    key = audit_key.needed(desk.config, config_path=desk.config_path, data_folder=desk.data_folder)
    if key.warning:
        warn(f"mailassist: {key.warning}")
    proof = audit_proof.verify(team_store(desk), key.key, noted=head)
    if as_json:
        dump_json(_described(proof))
    elif proof.whole:
        say(f"The trail is whole: {proof.entries:,} entries. Head: {proof.number}:{proof.seal}")
        if head is None:
            say("A tail that was cut off shows only against a head that was noted: --head NUMBER:HEX.")
    if not as_json and proof.waiting:
        say(f"{proof.waiting:,} entries wait to be sealed by the daemon.")
    if proof.bad is not None:
        raise AuditBroken(proof.bad.said, cure="What comes after it proves nothing. Compare a backup of the database.")


@command.command()
@click.option("--case", "case_id", type=_NUMBER, help="Only this case.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Only from this day on (2026-12-31).")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with hashes, and the texts that are still kept.")
@config_option
def show(case_id: int | None, since: datetime | None, as_json: bool) -> None:
    """Show who did what, and when."""
    from mailassist.store.audit import entries

    start = since.timestamp() if since is not None else None
    with team_store(open_desk()).read() as connection:
        found = list(entries(connection, case_id=case_id, since=start))
    if as_json:
        dump_json([_fields(entry) for entry in found])
    elif found:
        table([_cells(entry) for entry in found], header=_HEADER)
    else:
        say("The audit trail has no such entry.")


@command.command()
@config_option
def key() -> None:
    """Say where the key of the trail is; make one where there is none."""
    from mailassist.config import default_data_folder
    from mailassist.team import audit_key

    config = load_config()
    folder = (config.data_folder or default_data_folder()).expanduser()
    found = audit_key.find(config, config_path=config_path(), data_folder=folder)
    made = found is None
    if found is None:
        named = config.team.audit_key_file
        audit_key.create(named.expanduser() if named else config_path().parent / audit_key.KEY_FILE)
        found = audit_key.needed(config, config_path=config_path(), data_folder=folder)
    say(f"{'A new key of the audit trail is' if made else 'The key of the audit trail is'} in {found.origin}")
    if made:
        say("Keep a copy away from this machine: without it nobody can prove the trail.")
    if found.warning:
        warn(f"mailassist: {found.warning}")


def _described(proof: Proof) -> dict[str, object]:
    bad = proof.bad
    return {
        "whole": proof.whole,
        "entries": proof.entries,
        "head": {"number": proof.number, "seal": proof.seal},
        "waiting": proof.waiting,
        "bad": {"number": bad.number, "problem": bad.problem, "said": bad.said} if bad else None,
    }


def _cells(entry: Entry) -> tuple[object, ...]:
    sound = isinstance(entry.at, float) and 0 <= entry.at < 2.5e11  # whatever somebody wrote into the table
    when = f"{datetime.fromtimestamp(entry.at):%Y-%m-%d %H:%M:%S}" if sound else "?"
    case = "" if entry.case_id is None else entry.case_id
    return entry.number, when, entry.who, entry.action, entry.mailbox, case, entry.details


def _fields(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.number,
        "at": entry.at,
        "who": entry.who,
        "action": entry.action,
        "mailbox": entry.mailbox,
        "case": entry.case_id,
        "written_hash": entry.written_hash,
        "sent_hash": entry.sent_hash,
        "details": entry.details,
        "written": entry.written,
        "sent": entry.sent,
        "seal": entry.seal.hex(),
    }
