"""A daemon that serves nothing but the review socket: the real queue, the real audit trail.

What it is told in `Scene.die_after` ends the process without a word, after the change and before the answer.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from team_store import NOW, POLICY, add_case

from mailassist.store import review
from mailassist.store.database import Store
from mailassist.team.audit import Trail
from mailassist.team.queue import Role, TeamQueue
from mailassist.team.socket_server import SocketLimits, SocketServer
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamRoles

KEY = b"k" * 32
STUCK = 5  # the case whose notes take a minute
BUG = "secret words of a bug"  # the reason of `discard` at which the queue breaks


@dataclass(frozen=True)
class Scene:
    """What a daemon is started with."""

    folder: Path
    roles: TeamRoles
    group: str = ""
    limits: SocketLimits = field(default_factory=SocketLimits)
    die_after: str = ""  # a call

    @property
    def socket(self) -> Path:
        return self.folder / "review.sock"

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What is in the daemon's store."""
        with closing(sqlite3.connect(self.folder / "store.sqlite")) as connection:
            return connection.execute(query).fetchall()

    def store(self) -> Store:
        """The daemon's store, with five cases."""
        store = Store(self.folder / "store.sqlite")
        if not review.cases(store, ["support"], through=True):
            for number in range(1, 6):
                add_case(store, number, subject="Ärger \x1b[2J", missing="a\nb")
        return store


class _Queue:
    """The queue of one person, which dies, breaks, or waits where the scene wants it."""

    def __init__(self, queue: TeamQueue, die_after: str) -> None:
        self._queue, self._die_after = queue, die_after

    def __getattr__(self, name: str) -> Callable[..., object]:
        real = getattr(self._queue, name)

        @wraps(real)
        def call(*args: Any, **kwargs: Any) -> object:
            if kwargs.get("reason") == BUG:
                raise ZeroDivisionError(BUG)
            if name == "notes" and kwargs["case_id"] == STUCK:
                threading.Event().wait(60)
            done = real(*args, **kwargs)
            if name == self._die_after:
                os._exit(9)
            return done

        return cast(Callable[..., object], call)


def server_of(scene: Scene, store: Store) -> SocketServer:
    """A server on the scene's socket. Raises ConfigError."""
    trail = Trail(store, KEY, lambda: NOW)

    def queue_for(who: str, role: Role) -> TeamQueue:
        queue = StoreQueue(store, who, role, {"support": POLICY}, trail, lambda: NOW)
        return cast(TeamQueue, _Queue(queue, scene.die_after))

    def record(action: str, **said: Any) -> int:
        number = trail.record(action, **said)
        if scene.die_after == "record":
            os._exit(9)
        return number

    return SocketServer(
        scene.socket, queue_for, scene.roles, record=record, status=lambda: {"mailboxes": 3}, group=scene.group,
        limits=scene.limits,
    )  # fmt: skip


def serve(scene: Scene, ready: Connection) -> None:
    """Serve until SIGTERM."""
    store = scene.store()
    server = server_of(scene, store)
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    server.start()
    ready.send("ready")
    end.wait()
    server.stop(1.0)
    store.close()
