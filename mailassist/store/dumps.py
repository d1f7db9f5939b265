"""A whole store in one file, and back: SQLite's backup API, and pg_dump with pg_restore for PostgreSQL.

Both are consistent while others write. What was under way when the file was made may be through since: replies are left
to the person as `unknown`, and nothing leaves by itself.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store import backup, in_use, schema, team_schema
from mailassist.store.database import Store

if TYPE_CHECKING:
    from mailassist.store.postgres_server import PostgresServer

_HELD = (schema.drafts, schema.outbox, schema.ledger, team_schema.cases, team_schema.audit)


def save_sqlite(store: Path, file: Path) -> None:
    """Write `store` into a new `file` (0600). Raises StoreError."""
    if not store.exists():
        raise StoreError(f"There is no store at {store}")
    _new(file)
    try:
        with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        file.unlink(missing_ok=True)
        raise StoreError(f"{store} cannot be copied: {error}", cure="Check the disk.") from error


def restore_sqlite(store: Path, file: Path, *, replace: bool) -> None:
    """Put what is in `file` into `store`, upgraded where it is of an older mailassist. Raises StoreError.

    A store that holds something is not replaced without `replace`, and none that a daemon works with.
    """
    store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        made = Path(folder) / "store.sqlite"
        try:
            uri = f"{file.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(made)) as target:
                source.backup(target)
                version = target.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(
                f"{file} cannot be read: {error}", cure="Name a file of `mailassist db backup`."
            ) from error
        if version == 0:
            raise StoreError(f"{file} is no store of mailassist", cure="Name a file of `mailassist db backup`.")
        prepared = Store(made)
        with prepared.write() as connection:
            backup.forget_progress(connection, _why(file))
        prepared.close()
        with in_use.exclusively(store):
            there = Store(store)
            _refuse_full(there, replace)
            there.close()
            with closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(store, timeout=5.0)) as target:
                try:
                    source.backup(target)  # in the file that others have open: they see the new rows
                except sqlite3.Error as error:
                    cure = "Close the other mailassist and run the same command again."
                    raise StoreError(f"{store} cannot be replaced: {error}", cure=cure) from error


def save_postgres(url: str, password: str | None, file: Path) -> None:
    """Write the database into a new `file` (0600), in pg_dump's custom format. Raises StoreError."""
    from mailassist.store.postgres_server import PostgresServer

    server = PostgresServer(url, password, joins=False)
    _new(file)
    try:
        _run("pg_dump", ["--format=custom", f"--file={file}"], server)
    except StoreError:
        file.unlink(missing_ok=True)
        raise


def restore_postgres(url: str, password: str | None, file: Path, *, replace: bool) -> None:
    """Put what is in `file` into the database, then upgrade it. Raises StoreError.

    A database that holds something is not replaced without `replace`, and none that anybody is connected to. Roles that
    the file grants something have to be there.
    """
    from mailassist.store import upgrading

    revision = _revision_in(file)
    if revision > schema.REVISION:
        raise StoreError(f"{file} is of a newer mailassist", cure="Upgrade mailassist.")
    with upgrading.alone(url, password) as (server, connection):
        upgrading.lock_schema(server, connection)
        with connection.begin():
            tables = set(sa.inspect(connection).get_table_names())
            held = [table.name for table in _HELD if table.name in tables and _count(connection, table)]
            if held and not replace:
                raise _is_full(server.name, held)
        with tempfile.TemporaryDirectory() as folder:  # all of the file, or nothing is changed
            statements = Path(folder) / "statements.sql"
            _run("pg_restore", ["--no-owner", f"--file={statements}", str(file)])
            whole = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
            whole += [f"--command={upgrading.DROP_EVERYTHING}", f"--file={statements}"]
            _run("psql", whole, server)
        upgrading.upgrade_within(connection)
        with connection.begin():
            backup.forget_progress(connection, _why(file))


def _refuse_full(store: Store, replace: bool) -> None:
    with store.read() as connection:
        held = [table.name for table in _HELD if _count(connection, table)]
    if held and not replace:
        store.close()
        raise _is_full(store.name, held)


def _is_full(name: str, held: Sequence[str]) -> StoreError:
    return StoreError(
        f"{name} is not empty: it has {', '.join(held)}", cure="To replace all that it holds, add --replace."
    )


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _why(file: Path) -> str:
    return f"It is from the backup of {backup.day(file)}, and may have been sent since"


def _new(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(f"{file} cannot be made: {error.strerror}", cure="Name a new file.") from error


def _revision_in(file: Path) -> int:
    """The revision of the tables in a dump. Raises StoreError."""
    if not file.is_file():
        raise StoreError(f"There is no file {file}", cure="Name a file of `mailassist db backup`.")
    said = _run("pg_restore", ["--data-only", "--table=alembic_version", "--file=-", str(file)])
    lines = said.splitlines()
    found = [after for line, after in pairwise(lines) if line.startswith("COPY ")]
    if not found or not found[0].isdigit():
        raise StoreError(f"{file} holds no tables of mailassist", cure="Name a file of `mailassist db backup`.")
    return int(found[0])


def _run(name: str, arguments: list[str], server: PostgresServer | None = None) -> str:
    """What one of PostgreSQL's programs says; the password is in its environment alone. Raises StoreError."""
    database = [] if server is None else [f"--dbname={server.for_the_driver[0]}"]
    password = server.url.password if server else None
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    try:
        done = subprocess.run(
            [_program(name), *(["--no-password"] if database else []), *database, *arguments],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise StoreError(
            f"{name} cannot be run: {error.strerror}", cure="Install PostgreSQL's programs (postgresql-client)."
        ) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if re.search("error|FATAL", line, re.I)] or [done.stderr]
        cure = "Install PostgreSQL's programs in the server's version." if "version mismatch" in done.stderr else ""
        raise StoreError(f"{name}: {said[0].strip()[:500]}", cure=cure)
    return done.stdout


def _program(name: str) -> str:
    """Debian's newest one, which is the server's at least where the server runs here; else that of the path."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = sorted(versions, key=lambda path: [int(part) for part in path.parts[-3].split(".") if part.isdigit()])
    return str(newest[-1]) if newest else shutil.which(name) or name
