"""How a person reaches the team's queue: PostgreSQL, the daemon's Unix socket, or, for the service user, its file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mailassist.config import TEAM_SECRET, Config, SecretSettings
from mailassist.errors import ConfigError, NotAllowed
from mailassist.team.queue import Role, TeamQueue, Trail
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamMailbox

if TYPE_CHECKING:
    from mailassist.desk import Desk
    from mailassist.store.database import Store

_CURE = "Set [team] socket to the daemon's review_socket, or [team] database."


@contextmanager
def queue_of(desk: Desk) -> Iterator[TeamQueue]:
    """The queue, as the configuration says; closed at the end.

    `[team] database`: the person's own role of PostgreSQL says who they are and what they may do. `[team] socket`: the
    kernel says it. Neither: the file of the daemon, which only its owner opens. Raises ConfigError, NotAllowed,
    SecretError, StoreError, ConnectionFailed.
    """
    team = desk.config.team
    if team.database:
        with _on_postgres(desk) as queue:
            yield queue
    elif team.socket is not None:
        from mailassist.team.socket_queue import SocketQueue

        over_socket = SocketQueue(team.socket)
        try:
            yield over_socket
        finally:
            over_socket.close()
    else:
        yield _on_file(desk)


def policies(config: Config) -> Mapping[str, TeamMailbox]:
    """The policy of each account, which is the usual one where the person's configuration has none."""
    return {name: account.team or TeamMailbox() for name, account in config.accounts.items()}


@contextmanager
def _on_postgres(desk: Desk) -> Iterator[TeamQueue]:
    from mailassist.secrets import look_up
    from mailassist.store.database import Store

    found = look_up(TEAM_SECRET, SecretSettings())
    store = Store.on_postgres(desk.config.team.database, found.secret.get_secret_value() if found else None)
    try:
        who, role = database_role(store)
        yield _queue(desk, store, who, role, AuditInbox(store))
    finally:
        store.close()


def database_role(store: Store) -> tuple[str, Role]:
    """Who PostgreSQL says we are, and what its grants let us do. Raises NotAllowed, StoreError."""
    asked = {
        Role.APPROVE: sa.func.has_table_privilege("approvals", "INSERT"),
        Role.DRAFT: sa.func.has_any_column_privilege("cases", "UPDATE"),
        Role.SEE: sa.func.has_table_privilege("cases", "SELECT"),
    }
    with store.read() as connection:
        who = str(connection.scalar(sa.select(sa.literal_column("session_user"))))
        for role, may in asked.items():
            if connection.scalar(sa.select(may)):
                return who, role
    raise NotAllowed(f"{who} has no role in this team", cure="Whoever runs the database can grant one.")


def _on_file(desk: Desk) -> TeamQueue:
    """The daemon's own file. Raises ConfigError, SecretError."""
    from mailassist.team import audit_key
    from mailassist.team.audit import Trail as KeyedTrail

    if all(account.team is None for account in desk.config.accounts.values()):
        raise ConfigError("No team's queue is configured", cure=_CURE)
    path = desk.store.path
    if sys.platform != "win32" and path is not None and path.stat().st_uid != os.geteuid():
        raise ConfigError(f"Only the service user opens a SQLite file, and {path} is another user's", cure=_CURE)
    key = audit_key.needed(desk.config, config_path=desk.config_path, data_folder=desk.data_folder)
    return _queue(desk, desk.store, user(), Role.APPROVE, KeyedTrail(desk.store, key.key))


def user() -> str:
    """The name of whoever runs this process, as the system says it."""
    if sys.platform == "win32":
        import getpass

        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _queue(desk: Desk, store: Store, who: str, role: Role, trail: Trail) -> StoreQueue:
    seconds = desk.config.team.claim_minutes * 60
    now: Callable[[], float] = time.time
    return StoreQueue(store, who, role, policies(desk.config), trail, now, claim_seconds=seconds)


class AuditInbox:
    """The trail of a person of PostgreSQL: the database says who it was, whatever it is told."""

    def __init__(self, store: Store) -> None:
        """`store`: with the person's own role."""
        from mailassist.team.audit import InboxTrail

        self._inbox = InboxTrail(store)

    def record_in(
        self,
        connection: sa.Connection,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = {},
    ) -> None:
        """Add an entry to be sealed."""
        self._inbox.record_in(
            connection, action, mailbox=mailbox, case_id=case_id, written=written, sent=sent, details=details
        )
