"""What one request over the daemon's socket does: who asks is looked up, the queue is asked, the answer is kept.

An answer to a call that changes something is kept for a while under the request's number, so that a person's process
that lost its connection can repeat the request and gets the same answer, without the thing being done twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets as random_source
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from mailassist.errors import InputError, MailassistError
from mailassist.team import wire
from mailassist.team.peers import person
from mailassist.team.queue import NotAllowed, Role, TeamQueue
from mailassist.team.wire import Call, Request
from mailassist.team_settings import TeamRoles

_KEPT, _KEPT_BYTES = 32, 16_000_000  # answers of one person
_QUIET = 60.0  # seconds between two lines of the log about the same stranger
_log = logging.getLogger("mailassist.team")


class Record(Protocol):
    """`team.audit.Trail.record`."""

    def __call__(
        self,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = ...,
    ) -> int:
        """Append an entry; its number."""
        ...


class Answers:
    """The daemon's side of `wire`, without sockets. Thread-safe."""

    def __init__(
        self,
        queue_for: Callable[[str, Role], TeamQueue],
        roles: TeamRoles,
        *,
        record: Record,
        status: Callable[[], Mapping[str, object]],
    ) -> None:
        """`queue_for`: the queue for a person and their role, made anew for each request."""
        self.daemon = random_source.token_hex(8)  # another after each start
        self.roles = roles  # may be replaced while it works
        self._queue_for = queue_for
        self._record = record
        self._status = status
        self._lock = threading.Lock()
        self._kept: dict[int, OrderedDict[str, tuple[bytes, Future[bytes]]]] = {}
        self._strangers: dict[int, float] = {}

    def greeting(self, uid: int) -> tuple[bytes, bool]:
        """The first line for user `uid`, and whether they may stay."""
        try:
            who, role = person(uid, self.roles)
        except NotAllowed as error:
            self._log_stranger(uid)
            return wire.error_line(error), False
        said = {
            "mailassist": "review", "protocol": wire.PROTOCOL, "daemon": self.daemon, "who": who, "role": int(role)
        }  # fmt: skip
        return json.dumps(said).encode() + b"\n", True

    def answer(self, uid: int, line: bytes) -> tuple[bytes, bool]:
        """The answer to one line of user `uid`, and whether they may stay."""
        request: Request | None = None
        try:
            who, role = person(uid, self.roles)  # anew each time: a role that is taken away ends at once
        except NotAllowed as error:
            return wire.error_line(error), False
        try:
            request = wire.read_request(line)
            call = wire.call_of(request)
            arguments = call.read(request.arguments)
            if call.changes:
                return self._once(uid, request, line, lambda: self._done(who, role, request, call, arguments)), True
            return self._done(who, role, request, call, arguments), True
        except MailassistError as error:
            return wire.error_line(error, request), True

    def _log_stranger(self, uid: int) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._strangers.get(uid, -_QUIET) < _QUIET:
                return
            self._strangers[uid] = now
        _log.warning("user %d has no role, and was refused at the review socket", uid)

    def _once(self, uid: int, request: Request, line: bytes, do: Callable[[], bytes]) -> bytes:
        """What `do` gives; for a request that was made before, what it gave then, be it still at work."""
        meant = hashlib.sha256(json.dumps([request.call, request.arguments], sort_keys=True).encode()).digest()
        with self._lock:
            mine = self._kept.setdefault(uid, OrderedDict())
            known = mine.get(request.id)
            if known is None:
                done: Future[bytes] = Future()
                mine[request.id] = (meant, done)
                _thin_out(mine)
        if known is None:
            try:
                done.set_result(do())
            except BaseException as error:
                done.set_exception(error)
                raise
            return done.result()
        if known[0] != meant:
            raise InputError("Two different requests have the same number")
        return known[1].result()

    def _done(self, who: str, role: Role, request: Request, call: Call, arguments: Mapping[str, Any]) -> bytes:
        """The answer, an error's too."""
        try:
            if role < call.role:
                raise NotAllowed(f"The role of {who} does not allow that", cure="See [team.roles].")
            return wire.result_line(request, call.packed(self._asked(who, role, request, arguments)))
        except MailassistError as error:
            return wire.error_line(error, request)
        except Exception as error:  # noqa: BLE001 -- one person's request never ends the daemon
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename}:{place.lineno}"  # what it says may hold content
            _log.error("%s over the review socket failed: %s at %s", request.call, type(error).__name__, where)
            said = MailassistError("The daemon failed at this, which is a bug", cure="Its log says where.")
            return wire.error_line(said, request)

    def _asked(self, who: str, role: Role, request: Request, arguments: Mapping[str, Any]) -> object:
        if request.call == "status":
            return dict(self._status())
        if request.call == "record":
            told = {**arguments["details"], "via": "socket"}  # said by a person's process, not seen by the daemon
            return self._record(**{**arguments, "details": told}, who=who)
        queue = self._queue_for(who, role)
        if request.again:
            found = _looked_up(queue, request.call, arguments)
            if found:
                return found[0]
        return getattr(queue, request.call)(**arguments)


def _thin_out(kept: OrderedDict[str, tuple[bytes, Future[bytes]]]) -> None:
    """Let the oldest answers go where there are too many, or too long ones; never a request that is at work."""
    size = 0
    for number, (one, (_, done)) in enumerate(list(reversed(kept.items()))):
        size += len(done.result()) if done.done() else 0
        if done.done() and (number >= _KEPT or size > _KEPT_BYTES):
            del kept[one]


def _looked_up(queue: TeamQueue, call: str, arguments: Mapping[str, Any]) -> list[Any]:
    """What a daemon that is gone did for the same request, where that can be seen; empty where it did nothing."""
    if call == "begin_approval":
        begun = arguments["case_id"], arguments["text"], "claimed"  # nothing of it can have left yet
        return [one for one in queue.mine_open() if (one.case_id, one.text, one.state) == begun]
    if call == "save_text":
        saved = arguments["case_id"], arguments["text"], arguments["base"] + 1
        texts = queue.texts([arguments["case_id"]])
        return [one for case_id, one in texts.items() if (case_id, one.text, one.version) == saved]
    if call == "discard":
        ended = arguments["case_id"], "none", arguments["reason"].strip()
        return [None for one in queue.items(through=True) if (one.case_id, one.state, one.reason) == ended]
    return []
