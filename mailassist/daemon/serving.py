"""The review queue for people on the daemon's machine, over its Unix socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mailassist.config import Config
from mailassist.store.database import Store
from mailassist.team.audit import Trail
from mailassist.team.queue import Role, TeamQueue
from mailassist.team.socket_server import SocketServer
from mailassist.team.store_queue import StoreQueue


class Serving:
    """One socket, served until `stop`."""

    def __init__(
        self,
        path: Path,
        store: Store,
        trail: Trail,
        config: Callable[[], Config],
        status: Callable[[], Mapping[str, object]],
        now: Callable[[], float],
    ) -> None:
        """`config`: the one in force. Raises ConfigError where another daemon serves `path`."""
        self._store, self._trail, self._config, self._now = store, trail, config, now
        self._server = SocketServer(
            path, self._queue_for, config().team.roles, record=trail.record, status=status,
            group=config().daemon.review_group,
        )  # fmt: skip
        self._server.start()

    def take_over(self) -> None:
        """The roles of the configuration in force."""
        self._server.set_roles(self._config().team.roles)

    def stop(self) -> None:
        """Answer what was asked, take no more."""
        self._server.stop()

    def _queue_for(self, who: str, role: Role) -> TeamQueue:
        config = self._config()
        policies = {name: account.team for name, account in config.accounts.items() if account.team is not None}
        seconds = config.team.claim_minutes * 60.0
        return StoreQueue(self._store, who, role, policies, self._trail, self._now, claim_seconds=seconds)
