"""A daemon that serves nothing but the review socket: a queue in one SQLite file, and the real audit trail.

What it is told in `Scene.die_after` ends the process without a word, after the change and before the answer.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from mailassist.store.database import Store
from mailassist.store.drafts import DraftChanged
from mailassist.team.audit import Trail
from mailassist.team.queue import Approval, Item, NotAllowed, Note, Place, Role, Stopped, Taken, Text
from mailassist.team.socket_server import SocketLimits, SocketServer
from mailassist.team_settings import TeamRoles

KEY = b"k" * 32
NOW = 1_800_000_000.0
CASES = range(1, 6)
_TABLES = """
CREATE TABLE IF NOT EXISTS cases (id INTEGER PRIMARY KEY, claimed TEXT DEFAULT '', text TEXT DEFAULT '',
                                  version INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS notes (case_id INTEGER, who TEXT, text TEXT);
CREATE TABLE IF NOT EXISTS approvals (id INTEGER PRIMARY KEY, case_id INTEGER, who TEXT, text TEXT, state TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON approvals (case_id) WHERE state IN ('claimed', 'checked');
"""


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
        with closing(sqlite3.connect(self.folder / "queue.sqlite")) as connection:
            return connection.execute(query).fetchall()


class FileQueue:
    """A `TeamQueue` as small as it can be."""

    stuck = threading.Event()  # `notes` of case 5 wait for it

    def __init__(self, scene: Scene, who: str, role: Role) -> None:
        self._scene, self._who, self._role = scene, who, role

    def _run(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self._scene.folder / "queue.sqlite", timeout=10)) as connection, connection:
            return connection.execute(query, values).fetchall()

    def _changed(self, call: str) -> None:
        if call == self._scene.die_after:
            os._exit(9)

    def who(self) -> tuple[str, Role]:
        return self._who, self._role

    def items(self, *, through: bool = False) -> Sequence[Item]:
        rows = self._run("SELECT id, claimed FROM cases ORDER BY id")
        return [Item(one, "support", "c", "<m@x>", "Ärger \x1b[2J", "Ann", NOW, "open", due=NOW + 0.5,  # type: ignore
                     missing=("a", "b"), claimed_by=claimed) for one, claimed in rows]  # type: ignore  # fmt: skip

    def texts(self, case_ids: Sequence[int]) -> Mapping[int, Text]:
        rows = self._run("SELECT id, text, version FROM cases WHERE version > 0")
        return {one: Text(text, "person", version=version) for one, text, version in rows if one in case_ids}  # type: ignore

    def claim(self, case_id: int) -> Item:
        if self._role < Role.DRAFT:
            raise NotAllowed(f"{self._who} only sees", cure="Ask for more.")
        self._run("UPDATE cases SET claimed = ? WHERE id = ? AND claimed IN ('', ?)", self._who, case_id, self._who)
        self._changed("claim")
        item = next(one for one in self.items() if one.case_id == case_id)
        if item.claimed_by != self._who:
            raise Taken(f"{item.claimed_by} has it", cure="Wait.")
        return item

    def release(self, case_id: int) -> None:
        self._run("UPDATE cases SET claimed = '' WHERE id = ? AND claimed = ?", case_id, self._who)

    def hand_over(self, case_id: int, to: str, note: str = "") -> None:
        self._run("UPDATE cases SET claimed = ? WHERE id = ?", to, case_id)
        self._changed("hand_over")

    def notes(self, case_id: int) -> Sequence[Note]:
        if case_id == 5:
            self.stuck.wait(60)
        rows = self._run("SELECT who, text FROM notes WHERE case_id = ?", case_id)
        return tuple(Note(NOW, who, text) for who, text in rows)  # type: ignore

    def add_note(self, case_id: int, text: str) -> None:
        self._run("INSERT INTO notes VALUES (?, ?, ?)", case_id, self._who, text)
        self._changed("add_note")

    def save_text(self, case_id: int, text: str, *, base: int, reply_all: bool, written_by: str = "person") -> Text:
        query = "UPDATE cases SET text = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING version"
        rows = self._run(query, text, case_id, base)
        if not rows:
            raise DraftChanged("Somebody else has changed it", cure="Look again.")
        self._changed("save_text")
        return Text(text, written_by, version=rows[0][0])  # type: ignore

    def begin_approval(self, case_id: int, text: str) -> Approval:
        if self._role < Role.APPROVE:
            raise NotAllowed(f"{self._who} does not approve")
        query = "INSERT INTO approvals (case_id, who, text, state) VALUES (?, ?, ?, 'claimed') RETURNING id"
        try:
            number = self._run(query, case_id, self._who, text)[0][0]
        except sqlite3.IntegrityError:
            raise Stopped("One is open already") from None
        self._changed("begin_approval")
        return self._approval(number, case_id, text, "claimed")

    def _approval(self, number: object, case_id: object, text: object, state: object) -> Approval:
        place = Place("Drafts", 1, None, "own", "<d@x>", "f")
        return Approval(number, case_id, "<m@x>", text, (place,), state)  # type: ignore[arg-type]

    def checked(self, approval_id: int) -> None:
        self._run("UPDATE approvals SET state = 'checked' WHERE id = ? AND who = ?", approval_id, self._who)
        self._changed("checked")

    def close_approval(
        self, approval_id: int, state: Literal["sent", "stopped", "refused", "unknown"], said: str
    ) -> None:
        self._run("UPDATE approvals SET state = ? WHERE id = ? AND who = ?", state, approval_id, self._who)
        self._changed("close_approval")

    def mine_open(self) -> Sequence[Approval]:
        query = "SELECT id, case_id, text, state FROM approvals WHERE who = ? AND state IN ('claimed', 'checked')"
        return [self._approval(*row) for row in self._run(query, self._who)]

    def discard(self, case_id: int, reason: str) -> None:
        raise ZeroDivisionError(reason)  # a bug, for a test


def serve(scene: Scene, ready: Connection) -> None:
    """Serve until SIGTERM."""
    with closing(sqlite3.connect(scene.folder / "queue.sqlite")) as connection, connection:
        connection.executescript(_TABLES)
        connection.executemany("INSERT OR IGNORE INTO cases (id) VALUES (?)", [(one,) for one in CASES])
    store = Store(scene.folder / "store.sqlite")
    trail = Trail(store, KEY)

    def record(action: str, **said: object) -> int:
        number = trail.record(action, **said)  # type: ignore[arg-type]
        if scene.die_after == "record":
            os._exit(9)
        return number

    server = SocketServer(
        scene.socket, lambda who, role: FileQueue(scene, who, role), scene.roles, record=record,
        status=lambda: {"mailboxes": 3}, group=scene.group, limits=scene.limits,
    )  # fmt: skip
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    server.start()
    ready.send("ready")
    end.wait()
    server.stop(1.0)
    store.close()


def without_death(scene: Scene) -> Scene:
    """The same, for a daemon that goes on."""
    return replace(scene, die_after="")
