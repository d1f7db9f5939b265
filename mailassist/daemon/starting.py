"""From a configuration to a daemon that can run: its store, its keys, its log; and what a dry run needs of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from mailassist.config import STORE_FILE, TEAM_SECRET, Config, SecretSettings, default_data_folder
from mailassist.daemon import logs
from mailassist.daemon.batches import Batches
from mailassist.daemon.calls import ModelCalls, model_of
from mailassist.daemon.dry_run import Forecast, forecast
from mailassist.daemon.parts import Mailbox, mailboxes_of
from mailassist.daemon.service import Service, Wish, without_smtp
from mailassist.delivery.work import this_process
from mailassist.desk.models import Models
from mailassist.errors import ConfigError, MailassistError
from mailassist.model.answers import Answer
from mailassist.model.batch import BatchApi
from mailassist.model.registry import ModelInfo
from mailassist.secrets import Keeper, look_up
from mailassist.store import batches
from mailassist.store.database import Store
from mailassist.team import audit_key
from mailassist.transport.permitted import ReadOnly

log = logs.logger("daemon")


def start(
    config: Config,
    config_path: Path,
    *,
    shadow: bool = False,
    once: bool = False,
    workers_only: bool = False,
    reload: Callable[[], Config],
) -> Service:
    """A daemon that is ready to run. Raises ConfigError, SecretError, StoreError."""
    folder = (config.data_folder or default_data_folder()).expanduser()
    database = _database(config)
    store = open_store(config, folder)
    if workers_only and store.is_sqlite:
        raise ConfigError("--workers-only needs a store that several machines share", cure="Set [team] database.")
    logs.set_up(key=store.key(), log_content=config.daemon.log_content)
    if any(account.smtp is not None for account in config.accounts.values() if account.team is not None):
        log.warning("the configuration names SMTP servers; the daemon has no use for them and looks for no SMTP secret")
    key = audit_key.for_daemon(config, config_path=config_path, data_folder=folder, store=store)
    if key.warning:
        log.warning("the key of the audit trail", text=key.warning)
    wish = Wish(shadow=shadow, once=once, workers_only=workers_only)
    return Service(
        config, config_path=config_path, store=store, audit_key=key.key, wish=wish, reload=reload, database=database
    )


def open_store(config: Config, folder: Path) -> Store:
    """The team's store: PostgreSQL where one is named, else the file of this machine.

    Raises StoreError, SecretError.
    """
    database = _database(config)
    return Store.on_postgres(*database) if database else Store(folder / STORE_FILE)


def _database(config: Config) -> tuple[str, str | None] | None:
    """Address and password of PostgreSQL, where the team's work is kept there."""
    if not config.team.database:
        return None
    found = look_up(TEAM_SECRET, SecretSettings())
    return config.team.database, found.secret.get_secret_value() if found else None


def withdraw_forgotten(config: Config, store: Store) -> list[str]:
    """Take back from the provider what batches hold of people who were forgotten in `store` (`Batches.withdraw`).

    Asks nobody where no batch is under way. Raises ConfigError, SecretError, ModelError, StoreError.
    """
    if not batches.unfinished(store):
        return []
    calls = ModelCalls(config, mailboxes_of(config), Keeper(lambda line: None), lambda: datetime.now(UTC).date())
    try:
        api = BatchApi(calls.endpoint())
    finally:
        calls.close()
    at_work = Batches(store, api, _never, config.daemon.limits, owner=this_process())
    try:
        return at_work.withdraw()
    finally:
        at_work.close()


def _never(arrival_id: int, answer: Answer) -> None:
    raise AssertionError("answers are taken by the daemon")


def forecasts(config: Config, *, days: float) -> Iterator[tuple[str, Forecast | MailassistError]]:
    """What each team mailbox would cost, or why nobody knows. Raises ConfigError where there is none."""
    config = without_smtp(config)
    boxes = mailboxes_of(config)
    if not boxes:
        raise ConfigError("No team mailbox is configured", cure="Add a table [accounts.NAME.team].")
    keeper = Keeper(lambda line: None)
    for name, box in boxes.items():
        try:
            yield name, _forecast(config, box, keeper, days)
        except MailassistError as error:
            yield name, error


def _forecast(config: Config, box: Mailbox, keeper: Keeper, days: float) -> Forecast:
    from mailassist.transport.imap import connect

    account = box.account
    if account.imap is None:
        raise ConfigError(f"{box.name} is no IMAP mailbox", cure=f"Add [accounts.{box.name}.imap].")

    def info(*, triage: bool = False) -> ModelInfo:
        settings = config.model.model_copy(
            update={"name": model_of(box.policy, triage=triage) or config.model.name}
        )  # fmt: skip
        return Models(settings, keeper, lambda: datetime.now(UTC).date()).info()[0]

    def secret() -> SecretStr:
        return keeper.get(box.name, account.secret)

    with connect(account.imap, account.address, secret, account.folders, permitted=ReadOnly()) as source:
        return forecast(config, box, source, info(), info(triage=True), days=days, now=time.time)
