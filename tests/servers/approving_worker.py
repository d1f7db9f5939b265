"""A reviewer's own process: approves and delivers as the terminal UI does, and stops at a step when told to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from team_store import RememberedTrail, queue_of

from mailassist.config import Account, Config, ModelSettings, SecretSettings, ServerSettings
from mailassist.delivery.outbox import deliver_due
from mailassist.delivery.work import Surroundings
from mailassist.desk import Desk
from mailassist.errors import MailassistError
from mailassist.store.database import Store
from mailassist.team.approving import Approving

ADDRESS = "ada@team.example"


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    team: str  # the team's store
    own: str  # a folder; each reviewer's own store lies below it
    imap_port: int
    smtp_port: int
    user: str


@dataclass(frozen=True)
class Order:
    """One thing that a reviewer does."""

    place: Place
    who: str
    verb: str  # approve | deliver | resume | undo
    case: int = 0
    text: str = ""
    stop_at: str = ""
    later: float = 0.0  # seconds by which the clock of the queue is ahead


def configuration(place: Place, who: str) -> Config:
    (Path(place.own) / "password").write_text("secret")
    (Path(place.own) / "password").chmod(0o600)
    server = {"security": "none", "host": "127.0.0.1", "read_timeout": 10.0, "connect_timeout": 10.0}
    account = Account(
        address=ADDRESS,
        imap=ServerSettings(port=place.imap_port, login=place.user, **server),  # type: ignore[arg-type]
        smtp=ServerSettings(port=place.smtp_port, **server),  # type: ignore[arg-type]
        secret=SecretSettings(password_file=Path(place.own) / "password", keyring=False),
    )
    return Config(accounts={"support": account}, data_folder=Path(place.own) / who, model=ModelSettings(name="outline"))


def act(order: Order, mark: Callable[[str], None]) -> object:
    """Do one thing with a desk of its own."""
    around = Surroundings(mark=mark, pause=lambda seconds: None)
    desk = Desk(configuration(order.place, order.who), config_path=Path(order.place.own) / "config.toml")
    team = Store(Path(order.place.team))
    queue = queue_of(team, order.who, now=lambda: time.time() + order.later, trail=RememberedTrail())
    approving = Approving(desk, queue, around=around, undo_seconds=0.0)
    try:
        if order.verb == "approve":
            item = next((one for one in queue.items(through=True) if one.case_id == order.case), None)
            assert item is not None
            pulled = desk.pull("support", item.message_id)
            plan = desk.plan("support", pulled, False)
            return approving.approve("support", order.case, pulled, plan, order.text).outbox_id
        if order.verb == "resume":
            return approving.resume()
        if order.verb == "undo":
            return [desk.undo(entry.id) for entry in desk.outbox()], approving.follow()
        outcomes = deliver_due(desk.store, {"support": desk.route("support")}, around=around)
        approving.follow()
        return [outcome.state for outcome in outcomes]
    finally:
        desk.close()
        team.close()


def serve(told: Connection) -> None:
    """Do what the pipe says until it says nothing more."""
    while (order := told.recv()) is not None:

        def mark(name: str, stop_at: str = order.stop_at) -> None:
            if name == stop_at:
                told.send(("at", name))
                if told.recv() == "die":
                    os._exit(9)

        try:
            told.send(("done", act(order, mark)))
        except MailassistError as error:
            told.send((type(error).__name__, str(error)))
