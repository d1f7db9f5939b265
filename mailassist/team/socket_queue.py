"""The review queue over the daemon's Unix socket: `TeamQueue` for a person on the daemon's machine.

The connection is made when it is needed and made again when it broke. A request whose answer was lost is repeated under
its number: the same daemon gives the answer that it had. A daemon that was restarted in between does not know it. Then
calls that read, and claim, release, checked, leaving, and close_approval, are made again, since twice is as good as
once; begin_approval, save_text, and discard after the daemon looked for what the first try did; hand_over, add_note,
settle, retry, and record are not repeated, and the person is told.
"""

from __future__ import annotations

import json
import secrets as random_source
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mailassist.errors import ConfigError, ConnectionFailed, InputError, MailassistError
from mailassist.team import wire
from mailassist.team.queue import Approval, Item, Note, Role, Text

_NOTHING: Mapping[str, Any] = {}


class _Busy(OSError):
    """The daemon has no room at present; the error says so."""

    def __init__(self, said: MailassistError) -> None:
        super().__init__(str(said))
        self.said = said


class _Line:
    """One connection that was greeted."""

    def __init__(self, path: Path, seconds: float) -> None:
        """Raises OSError where nobody listens or it broke, MailassistError for what the daemon says."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(seconds)
            self._socket.connect(str(path))
            self._reader = self._socket.makefile("rb")
            greeting = self.read()
            if "error" in greeting:
                refused = wire.raised(greeting["error"])
                raise _Busy(refused) if isinstance(refused, ConnectionFailed) else refused
            if greeting.get("mailassist") != "review" or greeting.get("protocol") != wire.PROTOCOL:
                raise ConfigError(
                    f"The daemon at {path} speaks another version", cure="Run the same mailassist as the daemon."
                )
            self.daemon = str(greeting.get("daemon"))
        except BaseException:
            self._socket.close()
            raise

    def write(self, line: bytes) -> None:
        """Send one line. Raises OSError: not all of it went out, so that the daemon does nothing."""
        self._socket.sendall(line)

    def read(self) -> dict[str, Any]:
        """The next line. Raises OSError, MailassistError."""
        line = self._reader.readline(wire.ANSWER_BYTES)
        if not line.endswith(b"\n"):
            if len(line) >= wire.ANSWER_BYTES:
                raise InputError("The daemon's answer is too long")
            raise ConnectionResetError("the daemon went away")
        try:
            read = json.loads(line)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise InputError("The daemon answered something that is no answer")
        return read

    def close(self) -> None:
        self._socket.close()


class SocketQueue:
    """`TeamQueue` over the socket at `path`; also `status` and `record`. Thread-safe; close it in the end."""

    def __init__(self, path: Path, *, patience: float = 10.0, timeout: float = 120.0) -> None:
        """`patience`: seconds to wait for a daemon that is not there; `timeout`: for one that does not answer."""
        self._path = path.expanduser()
        self._patience = patience
        self._timeout = timeout
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._hang_up()

    def who(self) -> tuple[str, Role]:
        """Who the daemon says we are, and what we may do."""
        found: tuple[str, Role] = self._ask("who")
        return found

    def items(self, *, through: bool = False) -> Sequence[Item]:
        """As `TeamQueue.items`."""
        found: Sequence[Item] = self._ask("items", through=through)
        return found

    def texts(self, case_ids: Sequence[int]) -> Mapping[int, Text]:
        """As `TeamQueue.texts`."""
        found: Mapping[int, Text] = self._ask("texts", case_ids=list(case_ids))
        return found

    def claim(self, case_id: int) -> Item:
        """As `TeamQueue.claim`."""
        found: Item = self._ask("claim", case_id=case_id)
        return found

    def release(self, case_id: int) -> None:
        """As `TeamQueue.release`."""
        self._ask("release", case_id=case_id)

    def hand_over(self, case_id: int, to: str, note: str = "") -> None:
        """As `TeamQueue.hand_over`."""
        self._ask("hand_over", case_id=case_id, to=to, note=note)

    def notes(self, case_id: int) -> Sequence[Note]:
        """As `TeamQueue.notes`."""
        found: Sequence[Note] = self._ask("notes", case_id=case_id)
        return found

    def add_note(self, case_id: int, text: str) -> None:
        """As `TeamQueue.add_note`."""
        self._ask("add_note", case_id=case_id, text=text)

    def save_text(self, case_id: int, text: str, *, base: int, reply_all: bool, written_by: str = "person") -> Text:
        """As `TeamQueue.save_text`."""
        found: Text = self._ask(
            "save_text", case_id=case_id, text=text, base=base, reply_all=reply_all, written_by=written_by
        )
        return found

    def begin_approval(self, case_id: int, text: str) -> Approval:
        """As `TeamQueue.begin_approval`."""
        found: Approval = self._ask("begin_approval", case_id=case_id, text=text)
        return found

    def checked(self, approval_id: int) -> None:
        """As `TeamQueue.checked`."""
        self._ask("checked", approval_id=approval_id)

    def leaving(self, approval_id: int) -> None:
        """As `TeamQueue.leaving`."""
        self._ask("leaving", approval_id=approval_id)

    def settle(self, case_id: int, state: Literal["sent", "stopped"]) -> None:
        """As `TeamQueue.settle`."""
        self._ask("settle", case_id=case_id, state=state)

    def close_approval(
        self, approval_id: int, state: Literal["sent", "stopped", "refused", "unknown"], said: str
    ) -> None:
        """As `TeamQueue.close_approval`."""
        self._ask("close_approval", approval_id=approval_id, state=state, said=said)

    def mine_open(self) -> Sequence[Approval]:
        """As `TeamQueue.mine_open`."""
        found: Sequence[Approval] = self._ask("mine_open")
        return found

    def retry(self, case_id: int) -> None:
        """As `TeamQueue.retry`."""
        self._ask("retry", case_id=case_id)

    def discard(self, case_id: int, reason: str) -> None:
        """As `TeamQueue.discard`."""
        self._ask("discard", case_id=case_id, reason=reason)

    def status(self) -> Mapping[str, Any]:
        """What `mailassist status` shows, as the daemon sees it."""
        found: Mapping[str, Any] = self._ask("status")
        return found

    def record(
        self,
        action: str,
        *,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = _NOTHING,
    ) -> int:
        """Add an entry to the audit trail in our name, as `team.audit.Trail.record` does; its number."""
        number: int = self._ask(
            "record", action=action, mailbox=mailbox, case_id=case_id, written=written, sent=sent, details=dict(details)
        )
        return number

    def _ask(self, name: str, **arguments: object) -> Any:
        """The result of a call. Raises MailassistError."""
        call = wire.CALLS[name]
        request = {"id": random_source.token_hex(16), "call": name, "arguments": arguments}
        with self._lock:
            answer = self._answered(call, request)
        if "error" in answer:
            raise wire.raised(answer["error"])
        try:
            return call.unpacked(answer.get("result"))
        except ValueError:
            raise InputError("The daemon answered something that is no answer") from None

    def _answered(self, call: wire.Call, request: dict[str, Any]) -> dict[str, Any]:
        """The answer, from whichever connection lasts until it is there."""
        until = time.monotonic() + self._patience
        asked = ""  # the daemon that may have done it already
        pause = 0.02
        while True:
            try:
                line = self._connected()
                if asked and line.daemon != asked and call.changes:
                    if call.again == "no":
                        raise _unclear(request["call"])
                    request["again"] = True
                line.write(_bytes(request))
                asked = line.daemon
                return self._own(line, request)
            except TimeoutError as error:
                self._hang_up()
                cure = "See whether it is busy: `mailassist status`. What was asked for may still be done."
                raise ConnectionFailed(f"The daemon at {self._path} does not answer", cure=cure) from error
            except OSError as error:
                self._hang_up()
                if time.monotonic() > until:
                    raise self._given_up(error, request["call"] if asked and call.changes else "") from error
                time.sleep(pause)
                pause = min(pause * 2, 0.5)
            except MailassistError:
                self._hang_up()
                raise

    def _own(self, line: _Line, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = line.read()
        if answer.get("id") not in (request["id"], None):
            raise InputError("The daemon answered something that was not asked")
        return answer

    def _connected(self) -> _Line:
        if self._line is None:
            self._line = _Line(self._path, self._timeout)
        return self._line

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _given_up(self, error: OSError, unclear: str) -> MailassistError:
        """What to tell where `error` lasts; `unclear`: the call that may have been done."""
        if unclear:
            return _unclear(unclear)
        if isinstance(error, _Busy):
            return error.said
        if isinstance(error, PermissionError):
            cure = "You need to be in the group of the socket: ask whoever runs the daemon."
        else:
            cure = "Does it run on this machine? See [team] socket."
        return ConnectionFailed(f"The daemon cannot be reached at {self._path}: {error.strerror or error}", cure=cure)


def _bytes(request: Mapping[str, Any]) -> bytes:
    """The request as a line. Raises InputError."""
    try:
        line = json.dumps(request, ensure_ascii=False).encode() + b"\n"
    except (ValueError, TypeError):
        raise InputError("What was asked holds half a character, or something that JSON does not know") from None
    if len(line) > wire.REQUEST_BYTES:
        raise InputError("What was asked is too long for the daemon", cure="Shorten the text.")
    return line


def _unclear(name: str) -> ConnectionFailed:
    return ConnectionFailed(
        f"The daemon was restarted during {name}: nobody can tell whether it was done",
        cure="Look at the conversation again before you repeat it.",
    )
