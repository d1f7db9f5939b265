"""Open mailboxes: connections are kept for the next use, and never more of them than a provider likes.

Providers count connections over all of a user's programs (Gmail: 15, half-open ones included), so one account gets two
for work; watching for new mail has one of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from mailassist.config import Account, SecretSettings
from mailassist.errors import ConnectionFailed, LoginError
from mailassist.secrets import Keeper
from mailassist.transport.source import MailSource

WORK_CONNECTIONS = 2
IDLE_LIMIT = 120.0  # seconds after which an unused connection is closed instead of tried


class Connections:
    """The sources of every account; thread-safe."""

    def __init__(
        self, accounts: dict[str, Account], keeper: Keeper, data_folder: Path, warn: Callable[[str], None]
    ) -> None:
        """`keeper` finds the passwords; `data_folder` holds the UID tables of Maildirs; `warn` tells the person."""
        self._accounts = accounts
        self._keeper = keeper
        self._data_folder = data_folder
        self._warn = warn
        self._free: dict[str, list[tuple[float, MailSource]]] = {name: [] for name in accounts}
        self._limits = {name: threading.BoundedSemaphore(WORK_CONNECTIONS) for name in accounts}
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def borrowed(self, name: str) -> Iterator[MailSource]:
        """A source for one piece of work; it goes back to be used again unless the work failed."""
        with self._limits[name]:
            source = self._take(name) or self.opened(name)
            try:
                yield source
            except BaseException:
                source.close()
                raise
            self._give_back(name, source)

    def opened(self, name: str) -> MailSource:
        """A new source of the account. Raises LoginError, ConnectionFailed, SecretError, MailboxError."""
        account = self._accounts[name]
        if account.maildir is not None:
            from mailassist.transport.maildir import MaildirSource

            return MaildirSource(account.maildir.expanduser(), account.folders, self._data_folder)
        if account.mbox is not None:
            from mailassist.transport.mbox import MboxSource

            return MboxSource(account.mbox.expanduser(), self._data_folder)
        return self._opened_imap(name, account)

    def secret(self, name: str, settings: SecretSettings) -> Callable[[], SecretStr]:
        """What gives the password or token when a connection needs it."""
        return lambda: self._keeper.get(name, settings)

    def close(self) -> None:
        """Log out of everything that is not in use."""
        with self._lock:
            self._closed = True
            free = [source for sources in self._free.values() for _, source in sources]
            self._free = {name: [] for name in self._free}
        for source in free:
            source.close()

    def _opened_imap(self, name: str, account: Account) -> MailSource:
        from mailassist.transport.imap import connect
        from mailassist.transport.throttling import Patience

        assert account.imap is not None
        secret, patience = self.secret(name, account.secret), Patience(warn=lambda line: self._warn(f"{name}: {line}"))
        try:
            return connect(account.imap, account.address, secret, account.folders, patience=patience)
        except LoginError:
            self._keeper.forget(name)
            raise

    def _take(self, name: str) -> MailSource | None:
        """A source that was used a moment ago; older ones are closed."""
        now = time.monotonic()
        with self._lock:
            free, self._free[name] = self._free[name], []
            fresh = [(since, source) for since, source in free if now - since < IDLE_LIMIT]
            taken = fresh.pop() if fresh else None
            self._free[name] = fresh
        for since, source in free:
            if now - since >= IDLE_LIMIT:
                source.close()
        return taken[1] if taken else None

    def _give_back(self, name: str, source: MailSource) -> None:
        with self._lock:
            if not self._closed:
                self._free[name].append((time.monotonic(), source))
                return
        source.close()


def pause(seconds: float, stopped: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleep, but look at `stopped` four times a second."""
    end = time.monotonic() + seconds
    while not stopped() and (left := end - time.monotonic()) > 0:
        sleep(min(left, 0.25))


class Backoff:
    """How long to wait before the next try: doubled each time up to five minutes, with jitter."""

    def __init__(self, random: Callable[[], float], *, first: float = 2.0, most: float = 300.0) -> None:
        """`random`: numbers in [0, 1)."""
        self._random, self._first, self._most = random, first, most
        self._tries = 0

    def reset(self) -> None:
        """It worked: begin anew."""
        self._tries = 0

    def next(self) -> float:
        """Seconds: between half and all of the doubled time, so that many programs do not return at once."""
        whole = min(self._most, self._first * 2.0**self._tries)
        self._tries = min(self._tries + 1, 20)
        return whole * (0.5 + self._random() / 2)


def is_lasting(error: Exception) -> bool:
    """Whether trying again soon is useless: a refused login stays refused, a broken line does not."""
    return not isinstance(error, ConnectionFailed)
