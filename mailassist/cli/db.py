"""`mailassist db`: the database of a team, or this machine's store: upgrade, one step back, backup, restore, rights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, configured_or_default
from mailassist.cli.output import dump_json, say
from mailassist.errors import InputError

if TYPE_CHECKING:
    from mailassist.store.grants import Level

_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Where:
    """The database of PostgreSQL that the configuration names, else the SQLite file."""

    file: Path
    url: str = ""
    password: str | None = None

    def __str__(self) -> str:
        """Which it is, for people: without a password."""
        import sqlalchemy as sa

        return sa.make_url(self.url).render_as_string() if self.url else str(self.file)


@click.group()
@config_option
def command() -> None:
    """Upgrade, back up and restore the store, and say who may do what in the team's database."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def upgrade(as_json: bool) -> None:
    """Bring the tables to this version of mailassist, and those of its queue; no daemon may run meanwhile.

    Where nothing is to be done it does nothing, so every machine may start it.
    """
    where = _where()
    if where.url:
        from mailassist.store import upgrading

        before, now = upgrading.upgrade(where.url, where.password)
        result = {"before": before.store, "now": now.store, "queue_before": before.queue, "queue_now": now.queue}
    else:
        from mailassist.store.sqlite_file import SqliteFile

        file = SqliteFile(where.file)  # upgrades by itself
        result = dict(zip(("before", "now"), file.upgrade(), strict=True))
        file.close()
    if as_json:
        dump_json({"database": str(where), **result})
    elif all(result[name] == result[name.replace("before", "now")] for name in result):
        say(f"{where} is up to date: revision {result['now']}.")
    else:
        say(f"{where} is at revision {result['now']} now; it was at {result['before']}.")


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def downgrade(yes: bool) -> None:
    """Go one revision of the tables back, for the mailassist before this one; what only this one keeps is deleted."""
    where = _where()
    if not yes:
        click.confirm(f"Delete from {where} what the older mailassist does not know?", abort=True)
    if where.url:
        from mailassist.store import upgrading

        before, now = upgrading.downgrade(where.url, where.password)
    else:
        from mailassist.store.sqlite_file import SqliteFile

        file = SqliteFile(where.file)
        before, now = file.downgrade()
        file.close()
    say(f"{where} is at revision {now} now; it was at {before}. Start the older mailassist, not this one.")


@command.command()
@click.argument("file", type=_FILE)
@config_option
def backup(file: Path) -> None:
    """Write the whole store into a new FILE, also while the daemon runs."""
    from mailassist.store import dumps

    where = _where()
    if where.url:
        dumps.save_postgres(where.url, where.password, file)
    else:
        dumps.save_sqlite(where.file, file)
    say(f"{where} is in {file}.")


@command.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace everything that the store holds.")
@config_option
def restore(file: Path, replace: bool) -> None:
    """Put a FILE of `db backup` into an empty store.

    Replies that were on their way then are `unknown`: nobody can tell whether they were sent since, and nothing is sent
    by itself.
    """
    from mailassist.store import dumps

    where = _where()
    if where.url:
        dumps.restore_postgres(where.url, where.password, file, replace=replace)
    else:
        dumps.restore_sqlite(where.file, file, replace=replace)
    say(f"{where} is as in {file}. See `mailassist outbox` for replies that may have been sent since.")


@command.command()
@click.argument("role")
@click.argument("level", type=click.Choice(["see", "draft", "approve", "nothing"]))
@config_option
def grant(role: str, level: Level) -> None:
    """Let a ROLE of PostgreSQL see the queue, draft in it, approve, or nothing any more."""
    from mailassist.store import grants
    from mailassist.store.database import Store

    where = _where()
    if not where.url:
        raise InputError("Roles are for a team's database", cure="Set team.database in the configuration.")
    store = Store.on_postgres(where.url, where.password)
    try:
        grants.grant(store, role, level)
    finally:
        store.close()
    say(f"{role} may {'do nothing' if level == 'nothing' else level} in {where}.")


def _where() -> _Where:
    """Raises ConfigError, SecretError."""
    from mailassist.config import TEAM_SECRET, SecretSettings, default_data_folder
    from mailassist.desk import STORE_FILE
    from mailassist.secrets import look_up

    config = configured_or_default()
    file = (config.data_folder or default_data_folder()).expanduser() / STORE_FILE
    if not config.team.database:
        return _Where(file)
    found = look_up(TEAM_SECRET, SecretSettings())  # the role may need none: a Unix socket, .pgpass, a certificate
    return _Where(file, config.team.database, found.secret.get_secret_value() if found else None)
