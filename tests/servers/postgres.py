"""A PostgreSQL of the tests' own: a loopback port, an ordinary user, a fresh database for whoever asks.

Started by root, it runs as `nobody`. The owner of the databases is the role `owner`, no superuser, as it would be
at work; every role logs in without a password.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from servers.dovecot import _free_port

from mailassist.store import upgrading

OWNER = "owner"
_TEMPLATE = "template_of_tests"
_FAST = {"fsync": "off", "full_page_writes": "off"}  # whoever kills the server, but not the machine, loses nothing
_CONFIG = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "logging_collector": "off",
}


class CannotStart(Exception):
    """There is no PostgreSQL here that these tests can use; the text says why and what to do."""


@dataclass
class Database:
    """One database, empty but for the tables of mailassist where they were wanted."""

    server: Postgres
    name: str

    def url(self, role: str = OWNER) -> str:
        """Where it is, for `Store.on_postgres`."""
        return f"postgresql://{role}@127.0.0.1:{self.server.port}/{self.name}"

    def execute(self, query: str, parameters: Sequence[Any] = (), *, role: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as `role`; the rows."""
        with psycopg.connect(self.url(role), autocommit=True) as connection:
            done = connection.execute(query, parameters)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []


@dataclass
class Postgres:
    """A running server."""

    programs: Path  # the folder of initdb, postgres, pg_dump
    folder: Path
    port: int
    owner: tuple[int, int]
    fast: bool = True
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self, prepare: Callable[[str], None] | None = None) -> Database:
        """A fresh database. `prepare` fills a template with the tables, once a run: it gets its URL."""
        template = "template0" if prepare is None else _TEMPLATE
        admin = Database(self, "postgres")
        if prepare and not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)):
            admin.execute(f"CREATE DATABASE {template} OWNER {OWNER} TEMPLATE template0")
            prepare(Database(self, template).url())
        name = f"team{next(self._numbers)}"
        admin.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")
        return Database(self, name)

    def role(self, name: str) -> str:
        """A fresh role that may log in; its name."""
        unique = f"{name}{next(self._numbers)}"
        Database(self, "postgres").execute(f"CREATE ROLE {unique} LOGIN")
        return unique

    def start(self) -> None:
        """Start it, and wait until it answers. Raises CannotStart."""
        settings = {**_CONFIG, "port": str(self.port), **(_FAST if self.fast else {})}
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as(self.owner))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                psycopg.connect(Database(self, "postgres").url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise CannotStart(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-800:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it. SIGINT: connections are cut, all is written; SIGQUIT: at once, as after a cut of the power.

        One that does not stop within 15 s is killed: a crash too.
        """
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:  # PostgreSQL 15 was seen waiting on after its children were gone
                self.process.kill()
                self.process.wait(15)
            self.process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it and start it on the same port."""
        self.stop(how)
        self.start()


def with_tables(url: str) -> None:
    """Make the tables of mailassist."""
    upgrading.upgrade(url, None)


@contextmanager
def running(*, fast: bool = True) -> Iterator[Postgres]:
    """Start PostgreSQL in a temporary folder, stop it at the end. `fast`: nothing is synced to disk.

    Raises CannotStart.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    owner = (account.pw_uid, account.pw_gid)
    if os.geteuid() == 0:
        os.chown(folder, *owner)
    server = Postgres(programs, folder, _free_port(), owner, fast)
    command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    try:
        made = subprocess.run(
            [*command, "--locale=C", "-N"], cwd=folder, capture_output=True, text=True, timeout=60, **_as(owner)
        )
        if made.returncode:
            raise CannotStart(f"PostgreSQL's initdb failed: {made.stderr[-800:]}")
        server.start()
        Database(server, "postgres").execute(f"CREATE ROLE {OWNER} LOGIN")
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder with the programs of the newest PostgreSQL of this machine. Raises CannotStart."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = [path.parent for path in sorted(debian, key=lambda path: -float(path.parts[-3]))]
    found += [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    if not found:
        raise CannotStart("PostgreSQL is not installed: apt-get install postgresql")
    return found[0]


def _as(owner: tuple[int, int]) -> dict[str, Any]:
    """How a process is started as an ordinary user."""
    return {"user": owner[0], "group": owner[1], "extra_groups": []} if os.geteuid() == 0 else {}
