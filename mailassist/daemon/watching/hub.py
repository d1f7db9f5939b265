"""All idle mailboxes together: one thread with one selector waits for their sockets, a small pool does what blocks.

A hint (IDLE, NOTIFY), a time that has come and a broken connection all lead to the same: a visit in a thread of the
pool (`visiting`), after which the mailbox listens again. Nothing here goes by what a hint says; the look does, by UID.
"""

from __future__ import annotations

import heapq
import itertools
import random as random_numbers
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from mailassist.daemon.watching.mailbox import Look, Tell, Timing, Watched
from mailassist.daemon.watching.pauses import Pauses, Turns
from mailassist.daemon.watching.pool import Pool
from mailassist.daemon.watching.visiting import Box, Visitor, unexpected
from mailassist.errors import ConnectionFailed, MailassistError
from mailassist.transport.imap import ImapSource
from mailassist.transport.session import BrokenConnection
from mailassist.transport.source import MailSource
from mailassist.transport.throttling import Throttled

_TURN = 0.5  # seconds: how soon `stopped` is noticed


class Hub:
    """Watches mailboxes until it is stopped. `run` is for one thread; `wake` and `change` are for any."""

    def __init__(
        self,
        mailboxes: Sequence[Watched],
        *,
        opened: Callable[[str], MailSource],
        look: Look,
        tell: Tell,
        watchers: int = 8,
        timing: Timing | None = None,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """`opened` gives a new source of a mailbox, with the patience `watching.mailbox.PATIENCE`: nothing in it waits.

        `look` is called in a thread of the pool with the name, that source and the folders to look at; what it raises
        is told and tried again later. It reads what it wants on the source, and finds everything new by its own
        cursors: a folder may be new again, or not new at all. `tell` hears what happens. `watchers`: threads.
        """
        self._timing = timing or Timing()
        self._visitor = Visitor(opened, look, tell, self._timing, now, clock)
        self._now, self._clock, self._random = now, clock, random
        self._pool = Pool(watchers, self._timing.slow, now)
        self._turns: Turns[Box] = Turns(max(1, watchers * 3 // 4), max(1, watchers // 2))
        self._boxes: dict[str, Box] = {}
        self._visited: set[Box] = set()
        self._woken: set[Box] = set()  # during a visit
        self._ready: deque[Box] = deque()
        self._again: set[Box] = set()  # more of what they said lies in TLS, where no selector sees it
        self._alarms: list[tuple[float, int, Box]] = []
        self._numbers = itertools.count(1)
        self._calls: deque[Callable[[], None]] = deque()  # from other threads
        self._selector = selectors.DefaultSelector()
        self._poke, self._poked = socket.socketpair()
        self._poke.setblocking(False)
        self._poked.setblocking(False)
        self.turned_at = clock()  # seconds since 1970: the thread of `run` was alive then
        self._change(mailboxes)

    def wake(self, name: str) -> None:
        """Look at the mailbox now, or try its connection now, unless its server has asked to wait."""
        self._call(partial(self._wake, name))

    def change(self, mailboxes: Sequence[Watched]) -> None:
        """Watch these from now on: new ones begin, others end, those that differ are connected anew."""
        self._call(partial(self._change, tuple(mailboxes)))

    def run(self, stopped: Callable[[], bool]) -> None:
        """Watch until `stopped`, which is asked twice a second; then leave all connections."""
        self._selector.register(self._poked, selectors.EVENT_READ)
        try:
            while not stopped():
                self._turn()
        finally:
            self._stop()

    def _turn(self) -> None:
        self.turned_at = self._clock()
        while self._calls:
            self._calls.popleft()()
        self._ring()
        self._hand_out()
        again, self._again = self._again, set()
        for box in again:
            self._hear(box)
        wait = 0.0 if again or self._calls else _TURN
        if self._alarms:
            wait = min(wait, max(0.0, self._alarms[0][0] - self._now()))
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._drain()
            else:
                self._hear(key.data)

    def _call(self, what: Callable[[], None]) -> None:
        self._calls.append(what)
        try:
            self._poke.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it is poked already, or over

    def _drain(self) -> None:
        try:
            while self._poked.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _ring(self) -> None:
        """What has come due."""
        now = self._now()
        while self._alarms and self._alarms[0][0] <= now:
            _, number, box = heapq.heappop(self._alarms)
            if box.alarm != number or box.is_removed:
                continue
            if box.renew_at <= now:
                self._queue(box)
            elif box.alive_at is not None and now - box.alive_at >= self._timing.silence:
                self._broke(box, BrokenConnection(f"The mail server of {box.watched.name} has gone quiet"))
            else:
                self._set_alarm(box)

    def _set_alarm(self, box: Box) -> None:
        """At the time of the next visit, or when the server would have been silent for too long."""
        due = box.renew_at if box.alive_at is None else min(box.renew_at, box.alive_at + self._timing.silence)
        box.alarm = next(self._numbers)
        heapq.heappush(self._alarms, (due, box.alarm, box))

    def _queue(self, box: Box) -> None:
        """A visit is due."""
        box.alarm = 0
        self._unregister(box)
        if box.source is None:
            self._turns.ask(box, box.watched.host)
        else:
            self._ready.append(box)

    def _hand_out(self) -> None:
        while self._pool.free() > 0:
            if self._ready:
                box = self._ready.popleft()
                if box.is_removed:
                    continue
                work = partial(self._visit, box)
            elif (next_one := self._turns.next()) is not None:
                box = next_one
                if box.is_removed:
                    self._turns.done(box.watched.host, None)
                    continue
                work = partial(self._connect_and_visit, box)
            else:
                return
            self._visited.add(box)
            self._pool.do(work)

    def _connect_and_visit(self, box: Box) -> None:
        """In a thread of the pool."""
        error = self._visitor.connect(box)
        self._call(partial(self._turns.done, box.watched.host, error))
        if error is None:
            error = self._visitor.visit(box)
        self._call(partial(self._after_visit, box, error))

    def _visit(self, box: Box) -> None:
        """In a thread of the pool."""
        error = self._visitor.visit(box)
        self._call(partial(self._after_visit, box, error))

    def _after_visit(self, box: Box, error: MailassistError | None) -> None:
        self._visited.discard(box)
        if box.is_removed:
            box.leave()
        elif box in self._woken and not isinstance(error, Throttled):
            self._woken.discard(box)
            box.news = frozenset(box.folders)
            self._queue(box)
        elif error is not None:
            self._woken.discard(box)
            self._pause(box, error)
        else:
            now = self._now()
            box.pauses.worked(steadily=now - box.connected_at >= self._timing.steady)
            box.alive_at = None
            box.renew_at = now + (self._before_look(box, now) if box.news else self._interval(box))
            self._set_alarm(box)
            self._register(box)

    def _before_look(self, box: Box, now: float) -> float:
        """Seconds until the look at what is new."""
        return self._timing.drafts_gap if box.news <= box.unhurried else box.pauses.after_hint(now)

    def _interval(self, box: Box) -> float:
        """Until the next visit without a hint; spread, so that many do not come due together."""
        timing, draw = self._timing, self._random()
        if box.connection == "poll":
            return timing.poll * (0.75 + draw / 2)
        tells_all = box.connection == "notify" or len(box.folders) == 1
        whole = timing.renew if tells_all else min(timing.renew, timing.others)
        is_first = self._now() - box.connected_at < whole / 10
        return whole * (0.05 + 0.95 * draw if is_first else 0.8 + 0.2 * draw)

    def _hear(self, box: Box) -> None:
        """Something can be read."""
        if box.is_removed or box.listening is None or box in self._visited or box.alarm == 0:
            return
        try:
            heard = box.listening.hear()
        except ConnectionFailed as error:
            self._broke(box, error)
            return
        except Exception as error:  # noqa: BLE001 - a mistake at one mailbox must not end the watching of all
            self._broke(box, unexpected(error))
            return
        now = self._now()
        if heard.alive:
            first, box.alive_at = box.alive_at is None, now
            if first:
                self._set_alarm(box)
        if heard.more:
            self._again.add(box)
        if heard.folders:
            box.news |= heard.folders
            pause = self._before_look(box, now)
            if pause == 0.0:
                self._queue(box)
            elif box.news <= box.unhurried:  # goes on listening: what comes next may be urgent
                if now + pause < box.renew_at:
                    box.renew_at = now + pause
                    self._set_alarm(box)
            else:
                self._unregister(box)  # what it says more can wait for the visit
                box.renew_at, box.alive_at = now + pause, None
                self._set_alarm(box)

    def _broke(self, box: Box, error: MailassistError) -> None:
        """The connection ended while it was listened to."""
        self._unregister(box)
        box.leave()
        self._pause(box, error)

    def _pause(self, box: Box, error: MailassistError) -> None:
        """Something failed: later again."""
        pause = box.pauses.after(error)
        box.renew_at, box.alive_at = self._now() + pause, None
        box.quiet_until = box.renew_at if isinstance(error, Throttled) else 0.0
        self._set_alarm(box)
        self._pool.do(partial(self._visitor.report, box, self._visitor.failed(box, error, pause)))

    def _register(self, box: Box) -> None:
        if box.listening is not None and box.listening.source.session is not None:
            self._selector.register(box.listening.socket, selectors.EVENT_READ, box)
            self._again.add(box)  # what was read up to now may have left more behind

    def _unregister(self, box: Box) -> None:
        self._again.discard(box)
        if box.listening is not None and box.listening.source.session is not None:
            try:
                self._selector.unregister(box.listening.socket)
            except (KeyError, ValueError):
                pass  # it is not registered, or closed

    def _wake(self, name: str) -> None:
        box = self._boxes.get(name)
        if box is None or box.quiet_until > self._now():
            return
        if box in self._visited:
            self._woken.add(box)
        elif box.alarm:  # else its turn comes anyway
            box.news |= frozenset(box.folders)
            self._queue(box)

    def _change(self, mailboxes: Sequence[Watched]) -> None:
        wanted = {one.name: one for one in mailboxes}
        for name, box in list(self._boxes.items()):
            if wanted.get(name) != box.watched:
                del self._boxes[name]
                box.is_removed = True
                self._unregister(box)
                if box not in self._visited:
                    box.leave()
        for name, one in wanted.items():
            if name not in self._boxes:
                box = self._boxes[name] = Box(one, Pauses(self._timing, self._random))
                self._queue(box)

    def _stop(self) -> None:
        """Visits under way have a moment to end by themselves; then their connections are cut."""
        if not self._pool.stop(self._timing.stop):
            for box in self._visited:
                if isinstance(box.source, ImapSource):
                    box.source.cut()
            self._pool.stop(2.0)
        for box in self._boxes.values():
            if box not in self._visited or self._pool.busy() == 0:
                box.leave()
        self._selector.close()
        self._poke.close()
        self._poked.close()
