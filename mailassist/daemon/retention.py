"""What is deleted when: once a day, the texts of each mailbox that are older than its `retention_days`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from mailassist.daemon import logs
from mailassist.store import retention
from mailassist.store.database import Store
from mailassist.team_settings import TeamMailbox

DAY = 86_400.0  # seconds
_FACT = "retention"

log = logs.logger("retention")


class Retention:
    """The daily deletion; any number of processes may share a store."""

    def __init__(self, store: Store, teams: Mapping[str, TeamMailbox], *, now: Callable[[], float] = time.time) -> None:
        """`teams`: the policy of each team mailbox; one that is not configured any more is kept as by default."""
        self._store = store
        self._teams = teams
        self._now = now

    @property
    def due(self) -> bool:
        """Whether the last whole run was a day ago. Raises StoreError."""
        last = self._store.fact(_FACT)
        return last is None or self._now() - float(last) >= DAY

    def run(self, stopped: Callable[[], bool] = lambda: False) -> dict[str, int]:
        """Empty what is past its time; how many rows, by table. `stopped`: end early, and go on next time.

        Raises StoreError.
        """
        now = self._now()
        done: Counter[str] = Counter(retention.remove_expired(self._store, now=now, stopped=stopped))
        others = retention.known_mailboxes(self._store) - self._teams.keys()
        for name, team in {**dict.fromkeys(sorted(others), TeamMailbox()), **self._teams}.items():
            before = now - team.retention_days * DAY
            done.update(retention.empty_mailbox(self._store, name, before=before, now=now, stopped=stopped))
        if not stopped():
            self._store.learn(_FACT, repr(now).encode())
        log.info("old texts are deleted", rows=dict(done))
        return dict(done)
