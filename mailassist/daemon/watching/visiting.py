"""One turn at one mailbox, in a thread of the pool: connect, look, begin to listen again."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mailassist.daemon.watching.mailbox import Connection, Look, Report, Tell, Timing, Watched
from mailassist.daemon.watching.pauses import Pauses, is_refusal
from mailassist.errors import ConnectionFailed, MailassistError
from mailassist.transport.imap import ImapSource
from mailassist.transport.listening import Listening
from mailassist.transport.source import MailSource, Role
from mailassist.transport.states import differ
from mailassist.transport.throttling import Throttled

_ROUNDS = 3  # looks in one visit; a mailbox that has more news than that waits for its next turn
_log = logging.getLogger(__name__)


class Unexpected(MailassistError):
    """A mistake in the program came up while a mailbox was looked at."""


@dataclass(slots=True, eq=False)
class Box:
    """A mailbox with its connection. It belongs to the hub's thread, or, while a visit lasts, to the visit's."""

    watched: Watched
    pauses: Pauses
    source: MailSource | None = None
    folders: tuple[str, ...] = ()
    unhurried: frozenset[str] = frozenset()  # of these, the ones whose news can wait: Drafts
    listening: Listening | None = None  # None: not connected, or the mail is on a disk of this machine
    news: frozenset[str] = frozenset()  # folders that a look is due for
    looked_at_all: float | None = None  # these are readings of the monotonic clock
    connected_at: float = 0.0
    renew_at: float = 0.0
    quiet_until: float = 0.0  # the server has asked for it
    alive_at: float | None = None  # the server's last sign of life during IDLE, if it gives any
    has_looked: bool = False  # in the visit that lasts
    alarm: int = 0  # the number of its newest alarm in the hub
    is_removed: bool = False

    @property
    def connection(self) -> Connection:
        """How news is heard."""
        if self.source is None:
            return "offline"
        return "poll" if self.listening is None else self.listening.kind

    def leave(self) -> None:
        """Close the connection without a word."""
        source, self.source, self.listening, self.alive_at = self.source, None, None, None
        if isinstance(source, ImapSource):
            source.abandon()
        elif source is not None:
            source.close()


@dataclass(frozen=True, slots=True)
class Visitor:
    """What every visit is made with; `now` is monotonic, `clock` gives seconds since 1970."""

    opened: Callable[[str], MailSource]
    look: Look
    tell: Tell
    timing: Timing
    now: Callable[[], float]
    clock: Callable[[], float]

    def connect(self, box: Box) -> MailassistError | None:
        """Log in; what went wrong, if something did: then there is no connection."""
        error = self._guarded(box, self._connect)
        if error is not None:
            box.leave()
        return error

    def visit(self, box: Box) -> MailassistError | None:
        """Look where something is new, or everywhere where that is due, and listen again; what went wrong, if anything.

        Where something did, `box.news` keeps what is still to be looked at.
        """
        return self._guarded(box, self._visit)

    def failed(self, box: Box, error: MailassistError, pause: float) -> Report:
        """What there is to tell when the next try is `pause` seconds away."""
        connection: Connection = "refused" if is_refusal(error) else box.connection
        at = self.clock()
        return Report("failed", connection, at, str(error), at + pause)

    def report(self, box: Box, event: Report) -> None:
        """Tell it."""
        try:
            self.tell(box.watched.name, event)
        except MailassistError as error:  # what cannot be noted is no reason to stop watching
            _log.warning("The state of %s could not be noted: %s", box.watched.name, error)

    def _guarded(self, box: Box, work: Callable[[Box], None]) -> MailassistError | None:
        """Nothing that one mailbox does reaches the others."""
        try:
            work(box)
        except MailassistError as error:
            if isinstance(error, ConnectionFailed) and not (isinstance(error, Throttled) and not error.broken):
                box.leave()
            return error
        except Exception as error:  # noqa: BLE001 - a mistake at one mailbox must not end the watching of all
            box.leave()  # nobody knows what is left in it
            return unexpected(error)
        return None

    def _connect(self, box: Box) -> None:
        box.source = source = self.opened(box.watched.name)
        box.connected_at = self.now()
        box.looked_at_all = None
        if isinstance(source, ImapSource):
            source.limit_time(self.timing.visit)
        found = [folder.name for folder in source.folders() if folder.selectable and folder.role in box.watched.roles]
        box.folders = tuple(dict.fromkeys((*box.watched.folders, *found)))
        drafts = {folder.name for folder in source.folders() if folder.role is Role.DRAFTS}
        box.unhurried = frozenset(drafts - set(box.watched.folders))
        box.listening = Listening(source, box.folders) if isinstance(source, ImapSource) else None
        self.report(box, Report("connected", box.connection, self.clock()))

    def _visit(self, box: Box) -> None:
        box.has_looked = False
        begun, since = self.now(), box.looked_at_all
        is_renewal = box.connection != "poll" and not box.news  # IDLE is begun anew, without a hint
        is_due = since is None or is_renewal or begun - since >= self.timing.look_after
        if box.listening is None:
            self._look(box, box.folders)
        else:
            source = box.listening.source
            source.limit_time(self.timing.visit)
            self._look_and_listen(box, box.listening, is_due)
            source.limit_time(None)
            source.forget_bodies()
        if is_due or box.listening is None:
            box.looked_at_all = begun
        if box.has_looked:
            self.report(box, Report("looked", box.connection, self.clock()))

    def _look_and_listen(self, box: Box, listening: Listening, everything: bool) -> None:
        """Look until nothing is new, or only what can wait, which stays in `box.news`; then IDLE.

        A folder's state is taken before a look and after it: what differs arrived meanwhile, seen or not, and is looked
        for again. The state after it is taken right before IDLE, which tells what has come since.
        """
        box.news |= listening.end()
        before = dict(listening.known) or listening.states(listening.folders)
        if listening.known and box.news:
            before |= listening.states(box.news)
        if everything:
            box.news = frozenset(listening.folders)
        for _ in range(_ROUNDS):
            self._look(box, box.news)
            after = listening.states(listening.folders)
            box.news = frozenset(name for name in listening.folders if differ(before.get(name), after.get(name)))
            listening.known = before = after
            if box.news <= box.unhurried:
                told = listening.begin()
                box.news |= told
                if told <= box.unhurried:
                    return
                box.news |= listening.end()
                before = {**after, **listening.states(box.news)}

    def _look(self, box: Box, folders: Iterable[str]) -> None:
        wanted = frozenset(folders)
        assert box.source is not None
        if wanted:
            self.look(box.watched.name, box.source, wanted)
            box.has_looked = True


def unexpected(error: Exception) -> Unexpected:
    """A mistake of ours in one line: where it was raised, and not what it says, which may be somebody's mail."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return Unexpected(f"{type(error).__name__} at {place}", cure="Please report it.")
