"""What this process watches, and what it does when a mailbox has news."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from mailassist.daemon import logs
from mailassist.daemon.arrivals import look
from mailassist.daemon.drafts_folder import look_after
from mailassist.daemon.parts import Parts
from mailassist.daemon.watch_leases import WatchLeases
from mailassist.daemon.watching.hub import Hub
from mailassist.daemon.watching.mailbox import Report, Watched
from mailassist.errors import StoreError
from mailassist.store import mailboxes
from mailassist.transport.source import MailSource, Role

log = logs.logger("watching")


class Lookout:
    """The watched mailboxes of one process: all of them, or, of several machines, those it has the lease of."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        opened: Callable[[str], MailSource],
        *,
        found: Callable[[], object],
        progressed: Callable[[], object],
        watchers: int,
    ) -> None:
        """`parts`: those of the configuration in force; `found` is called when there is something to work on."""
        self._parts = parts
        self._found = found
        self._progressed = progressed
        self._leased: frozenset[str] | None = None if parts().store.is_sqlite else frozenset()
        self._hub = Hub(self._watched(), opened=opened, look=self._look, tell=self._told, watchers=watchers)

    @property
    def names(self) -> list[str]:
        """The mailboxes that are watched here."""
        return [one.name for one in self._watched()]

    def threads(self, stop: threading.Event) -> dict[str, Callable[[], object]]:
        """What is to run until `stop` is set, each in a thread of its own."""
        wanted: dict[str, Callable[[], object]] = {"watching": partial(self._hub.run, stop.is_set)}
        if self._leased is not None:
            leases = WatchLeases(
                self._parts().store, lambda: list(self._parts().mailboxes), self._watch_these, troubled=_away
            )
            wanted["leases"] = partial(leases.run, stop)
        return wanted

    def take_over(self) -> None:
        """The mailboxes of another configuration."""
        self._hub.change(self._watched())

    def _watched(self) -> list[Watched]:
        return [
            Watched(name, box.account.imap.host, tuple(box.account.folders.inbox))
            for name, box in self._parts().mailboxes.items()
            if box.account.imap is not None and (self._leased is None or name in self._leased)
        ]

    def _watch_these(self, names: frozenset[str]) -> None:
        """Leases were taken or lost."""
        lost = (self._leased or frozenset()) - names
        self._leased = names
        self._hub.change(self._watched())
        log.info("leases", watched=len(names), lost=sorted(lost))

    def _look(self, name: str, source: MailSource, folders: frozenset[str]) -> None:
        """After a hint, or because it is time: what is new, and whether our drafts still lie where we put them."""
        parts = self._parts()
        box = parts.mailboxes.get(name)
        if box is None:
            return
        found = look(parts, name, source, tuple(folders))
        drafts = [folder.name for folder in source.folders() if folder.role is Role.DRAFTS]
        if not folders or folders.intersection(drafts):
            look_after(parts, box, source)
        if found:
            log.info("new mail", mailbox=name, arrivals=len(found))
            self._found()
        self._progressed()

    def _told(self, name: str, report: Report) -> None:
        parts = self._parts()
        if report.event == "connected":
            mailboxes.connected(parts.store, name, report.connection, watcher=parts.owner, now=report.at)
        elif report.event == "looked":
            mailboxes.looked(parts.store, name, now=report.at)
        else:
            refused = report.connection == "refused"
            mailboxes.failed(parts.store, name, report.error, refused=refused, now=report.at)
            log.warning("a mailbox is away", mailbox=name, text=report.error, connection=report.connection)


def _away(error: StoreError) -> None:
    log.error("the store cannot be used", error=error)
