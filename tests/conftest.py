"""Real servers for the tests. Each is started once a run and stopped at its end."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from servers import dovecot as dovecot_server
from servers import exchange, gmail
from servers import postgres as postgres_server
from servers import pymap_server as pymap_servers
from servers import smtp as smtp_servers
from servers.model_api import model_server
from skipping import unavailable

from mailassist.store.database import Store

__all__ = ["model_server"]  # a fixture

# CI tries the same examples every time, so that it fails for a change only; on a desk, every run tries new ones.
# No deadlines: how long an example takes says how busy the machine is.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("MAILASSIST_TESTS_MUST_NOT_SKIP") else "desk")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine runs in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True


@pytest.fixture(scope="session")
def dovecot() -> Iterator[dovecot_server.Dovecot]:
    """A real Dovecot on loopback; `dovecot.user()` gives a fresh mailbox, its password is `dovecot.password`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(dovecot_server.running())
        except dovecot_server.CannotStart as error:
            unavailable(str(error))
        yield server


@pytest.fixture
def smtp_server() -> Iterator[smtp_servers.SmtpServer]:
    """A real SMTP server on loopback, without TLS and logins; `.accepted` and `.script`."""
    with smtp_servers.smtp_server() as server:
        yield server


@pytest.fixture
def pymap_server() -> Iterator[pymap_servers.PymapServer]:
    """A pymap with one empty mailbox: `host`, `port`, `user`, `password`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(pymap_servers.running())
        except pymap_servers.CannotStart as error:
            unavailable(str(error))
        yield server


@pytest.fixture
def gmail_server() -> Iterator[gmail.GmailServer]:
    """A server with Gmail's ways: `deliver`, `file_sent`, `messages`, `commands`, and where it is."""
    with gmail.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Postgres]:
    """A real PostgreSQL on loopback; `postgres.database()` gives a fresh database, `postgres.role()` a fresh role.

    Nothing is synced to disk, which only a machine's crash would show. A test that restarts it takes one of its own
    (`servers.postgres.running`).
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server.running())
        except postgres_server.CannotStart as error:
            unavailable(str(error))
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the test's store, once more with each call: in SQLite and in PostgreSQL."""
    opened: list[Store] = []
    database: list[postgres_server.Database] = []

    def another() -> Store:
        if request.param == "sqlite":
            opened.append(Store(tmp_path / "store.sqlite"))
        else:
            if not database:
                database.append(request.getfixturevalue("postgres").database(postgres_server.with_tables))
            opened.append(Store.on_postgres(database[0].url()))
        return opened[-1]

    yield another
    for store in opened:
        store.close()


@pytest.fixture
def exchange_server() -> Iterator[exchange.ExchangeServer]:
    """A server with Exchange's ways: `deliver`, `send`, `throttle`, `folders`, `commands`, and where it is."""
    with exchange.running() as server:
        yield server
