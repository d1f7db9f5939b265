"""The daemon's Unix socket for people on its machine: few threads, and a bounded cost for whoever connects.

One thread waits for all sockets together; a few do what is asked. A person has so many connections and so many requests
at work at once; lines, pauses and answers have limits. Whoever sends garbage, dribbles, floods or goes away loses their
own connection.
"""

from __future__ import annotations

import logging
import queue
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mailassist.errors import ConnectionFailed, InputError
from mailassist.team import wire
from mailassist.team.peers import peer_uid
from mailassist.team.queue import Role, TeamQueue
from mailassist.team.socket_answers import Answers, Record
from mailassist.team.socket_file import SocketFile
from mailassist.team_settings import TeamRoles

_PIECE = 65_536  # bytes read at once
_FOREVER = float("inf")
_log = logging.getLogger("mailassist.team")


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What the people at the socket may cost, all together and each."""

    connections: int = 64
    of_one_person: int = 8
    workers: int = 4  # threads
    at_once: int = 2  # requests of one person at work
    request_bytes: int = wire.REQUEST_BYTES
    request_seconds: float = 30.0  # from the first byte of a line to its end
    answer_seconds: float = 30.0  # until an answer is read
    idle_seconds: float = 900.0


@dataclass(eq=False, slots=True)
class _Connection:
    socket: socket.socket
    uid: int
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: memoryview = field(default_factory=lambda: memoryview(b""))
    at_work: bool = True  # a line of it waits for a worker, or is worked on
    leaving: bool = False  # closed when the answer is out
    deadline: float = _FOREVER
    watched: int = 0


class SocketServer:
    """Serves a `TeamQueue` for each person; `start` it, `stop` it."""

    def __init__(
        self,
        path: Path,
        queue_for: Callable[[str, Role], TeamQueue],
        roles: TeamRoles,
        *,
        record: Record,
        status: Callable[[], Mapping[str, object]],
        group: str = "mailassist",
        limits: SocketLimits = SocketLimits(),
    ) -> None:
        """`queue_for`: the queue of a person with a role; `record`: `Trail.record`; `status`: for `SocketQueue.status`.

        `group`: whose members may connect ("": that of the process). Raises ConfigError: another daemon serves `path`.
        """
        self._limits = limits
        self._answers = Answers(queue_for, roles, record=record, status=status)
        self._file = SocketFile(path, group=group)
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for one in (self._waker, self._woken):
            one.setblocking(False)
        self._selector.register(self._file.listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._accept_after = 0.0
        self._connections: set[_Connection] = set()
        self._waiting: deque[tuple[_Connection, bytes | None]] = deque()
        self._at_work: Counter[int] = Counter()
        self._work: queue.SimpleQueue[tuple[_Connection, bytes | None] | None] = queue.SimpleQueue()
        self._done: deque[tuple[_Connection, bytes, bool]] = deque()
        self._stopping = False
        self._threads = [threading.Thread(target=self._serve, name="review-socket", daemon=True)]
        self._threads += [
            threading.Thread(target=self._worker, name=f"review-socket-{number}", daemon=True)
            for number in range(limits.workers)
        ]

    def start(self) -> None:
        """Begin to serve, in threads of its own."""
        for thread in self._threads:
            thread.start()

    def set_roles(self, roles: TeamRoles) -> None:
        """Other roles from the next request on, connections that are open included."""
        self._answers.roles = roles

    def stop(self, seconds: float = 10.0) -> None:
        """Take no more, finish what is at work within `seconds`, and remove the socket's file."""
        self._stopping = True
        self._wake()
        until = time.monotonic() + seconds
        if self._threads[0].ident is not None:
            for thread in self._threads:
                thread.join(max(0.0, until - time.monotonic()))
        self._file.close()

    # --- the thread that waits ---

    def _serve(self) -> None:
        stopping_until = _FOREVER
        while True:
            knocked = False
            for key, mask in self._selector.select(self._pause()):
                if key.fileobj is self._file.listener:
                    knocked = True
                elif key.fileobj is self._woken:
                    with suppress(BlockingIOError):
                        while self._woken.recv(_PIECE):
                            pass
                elif isinstance(key.data, _Connection):
                    self._move(key.data, mask)
            if knocked:  # when those who have left have made room
                self._accept()
            self._take_answers()
            self._expire()
            self._hand_out()
            if self._stopping and stopping_until == _FOREVER:
                stopping_until = time.monotonic() + self._limits.answer_seconds
                self._begin_to_stop()
            if self._stopping and (not self._connections or time.monotonic() > stopping_until):
                break
        for connection in list(self._connections):
            self._drop(connection)
        for _ in range(self._limits.workers):
            self._work.put(None)
        self._selector.close()

    def _begin_to_stop(self) -> None:
        self._watch_listener(False)
        self._file.listener.close()
        for connection in list(self._connections):
            connection.leaving = True
            if not connection.at_work and not connection.outgoing:
                self._drop(connection)

    def _pause(self) -> float | None:
        """Seconds until something runs out."""
        times = [one.deadline for one in self._connections if one.deadline != _FOREVER]
        times += [self._accept_after] if self._accept_after else []
        if self._stopping:
            times.append(time.monotonic() + 0.5)
        return max(0.0, min(times) - time.monotonic()) + 0.01 if times else None

    def _accept(self) -> None:
        try:
            accepted, _ = self._file.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no file handles are left: a while of quiet instead of a loop
            _log.warning("the review socket cannot accept: %s", error.strerror)
            self._watch_listener(False)
            self._accept_after = time.monotonic() + 1.0
            return
        accepted.setblocking(False)
        try:
            connection = _Connection(accepted, peer_uid(accepted))
        except OSError:
            accepted.close()
            return
        theirs = sum(one.uid == connection.uid for one in self._connections)
        if len(self._connections) >= self._limits.connections or theirs >= self._limits.of_one_person:
            busy = ConnectionFailed("The daemon has too many reviewers connected", cure="Close another mailassist.")
            with suppress(OSError):
                accepted.send(wire.error_line(busy))
            accepted.close()
            return
        self._connections.add(connection)
        self._waiting.append((connection, None))

    def _watch_listener(self, on: bool) -> None:
        with suppress(KeyError, ValueError):
            if on:
                self._selector.register(self._file.listener, selectors.EVENT_READ)
            else:
                self._selector.unregister(self._file.listener)

    def _move(self, connection: _Connection, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                sent = connection.socket.send(connection.outgoing[: 16 * _PIECE])
                connection.outgoing = connection.outgoing[sent:]
                if not connection.outgoing:
                    self._listen(connection)
            elif mask & selectors.EVENT_READ:
                piece = connection.socket.recv(_PIECE)
                if not piece:
                    self._drop(connection)
                    return
                self._add(connection, piece)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _add(self, connection: _Connection, piece: bytes) -> None:
        """More of a line, or its end."""
        if not connection.incoming:
            connection.deadline = time.monotonic() + self._limits.request_seconds
        connection.incoming += piece
        if b"\n" in piece:
            self._take_line(connection)
        elif len(connection.incoming) > self._limits.request_bytes:
            too_long = InputError(f"A request has at most {self._limits.request_bytes} bytes")
            self._send(connection, wire.error_line(too_long), stays=False)

    def _take_line(self, connection: _Connection) -> None:
        line, _, rest = connection.incoming.partition(b"\n")
        connection.incoming = rest
        connection.at_work = True
        connection.deadline = _FOREVER
        self._watch(connection, 0)
        self._waiting.append((connection, bytes(line)))

    def _send(self, connection: _Connection, answer: bytes, *, stays: bool) -> None:
        connection.at_work = False
        connection.leaving = connection.leaving or not stays
        connection.outgoing = memoryview(answer)
        connection.deadline = time.monotonic() + self._limits.answer_seconds
        self._watch(connection, selectors.EVENT_WRITE)

    def _listen(self, connection: _Connection) -> None:
        """The answer is out: what comes next."""
        if connection.leaving:
            self._drop(connection)
        elif b"\n" in connection.incoming:
            self._take_line(connection)
        else:
            limits = self._limits
            wait = limits.request_seconds if connection.incoming else limits.idle_seconds
            connection.deadline = time.monotonic() + wait
            self._watch(connection, selectors.EVENT_READ)

    def _watch(self, connection: _Connection, events: int) -> None:
        if events and connection.watched:
            self._selector.modify(connection.socket, events, connection)
        elif events:
            self._selector.register(connection.socket, events, connection)
        elif connection.watched:
            self._selector.unregister(connection.socket)
        connection.watched = events

    def _drop(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._watch(connection, 0)
            connection.socket.close()

    def _expire(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._connections if one.deadline <= now]:
            self._drop(connection)
        if self._accept_after and self._accept_after <= now and not self._stopping:
            self._accept_after = 0.0
            self._watch_listener(True)

    # --- the threads that work ---

    def _hand_out(self) -> None:
        """Give waiting lines to the workers: of each person only so many at once, so that others come to their turn."""
        for _ in range(len(self._waiting)):
            connection, line = self._waiting.popleft()
            if connection not in self._connections:
                continue
            if self._at_work[connection.uid] < self._limits.at_once:
                self._at_work[connection.uid] += 1
                self._work.put((connection, line))
            else:
                self._waiting.append((connection, line))

    def _worker(self) -> None:
        while (job := self._work.get()) is not None:
            connection, line = job
            uid = connection.uid
            try:
                answer, stays = self._answers.greeting(uid) if line is None else self._answers.answer(uid, line)
            except Exception as error:  # noqa: BLE001 -- this thread is everybody's
                _log.error("a line of user %d over the review socket failed: %s", uid, type(error).__name__)
                answer, stays = b"", False
            self._done.append((connection, answer, stays))
            self._wake()

    def _take_answers(self) -> None:
        while self._done:
            connection, answer, stays = self._done.popleft()
            self._at_work[connection.uid] -= 1
            if not self._at_work[connection.uid]:
                del self._at_work[connection.uid]
            if connection in self._connections:
                self._send(connection, answer, stays=stays)

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):  # full: it will wake anyway; closed: nobody waits any more
            self._waker.send(b"\0")
