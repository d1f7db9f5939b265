"""One IMAP connection: imapclient on a socket of ours, with one way to send a command and one to read its answer.

imapclient and imaplib parse; what leaves is made of checked arguments only (`transport.arguments`). A session never
repeats anything: `transport.imap` decides what may be done again after a break.
"""

from __future__ import annotations

import base64
import imaplib
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from imapclient import IMAPClient

from mailassist.config import ServerSettings
from mailassist.errors import ConnectionFailed, MailboxError
from mailassist.transport.arguments import Argument, Literal, folder, folder_as_sent, keyword, span
from mailassist.transport.network import failures, no_greeting, open_socket, start_tls
from mailassist.transport.reader import Reader
from mailassist.transport.refusals import known_cure
from mailassist.transport.sasl import concealed, oauth_failure
from mailassist.transport.source import FolderState
from mailassist.transport.throttling import Throttled, suggested_pause

if TYPE_CHECKING:
    from mailassist.transport.permitted import ReadOnly

Answer = dict[str, list[Any]]  # untagged responses by name, as imaplib keeps them

# Of an answer to one command, apart from what is taken as it comes: bytes, and responses.
_LONGEST_ANSWER = 32 * 1024 * 1024
_MOST_RESPONSES = 300_000
_LOGIN_LIMIT = 180.0  # seconds for greeting and login, however alive a server looks
_NO_IMAP = "unexpected response: "  # what imaplib says of a first line that is not IMAP
_LONGEST_NUMBER = 20  # digits: 64 bits
_HIGHEST_UID = 0xFFFFFFFF
_MOST_STATUSES = 1000
_MOST_FAILURES = 150  # of one search: to find one message among all UIDs takes 33
_MESSAGE_LIMIT = re.compile(rb"\[MESSAGELIMIT \d+(?: (\d{1,10}))?\]", re.IGNORECASE)
_OUR_IDENTITY = Argument(b'("name" "mailassist")')
_PLAIN = re.compile(rb"\* (?:(\d+) )?([A-Z-]+)(?: (.*))?\r\n")  # an untagged response without a literal
_CODE = re.compile(rb"\[([A-Z-]+)(?: (.*))?\]")  # in front of the text of OK, NO and BAD
_LITERAL_MINUS = 4096  # RFC 7888: up to here LITERAL- servers wait for no go-ahead


class BrokenConnection(ConnectionFailed):
    """The connection to the mail server broke."""


class Refused(MailboxError):
    """The mail server refused a command.

    `text` is what it said, with the response code, such as `[TRYCREATE] No such folder`.
    """

    def __init__(self, message: str, text: str, *, cure: str = "") -> None:
        """See the class."""
        super().__init__(message, cure=cure)
        self.text = text


class _Wire(imaplib.IMAP4):
    """imaplib's parser on a given socket; asks for no capabilities that the greeting has told."""

    def __init__(self, opened: socket.socket, host: str) -> None:
        self._opened = opened
        super().__init__(host)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self._put_back = b""
        self.use(self._opened)

    def use(self, opened: socket.socket) -> None:
        """Read from and write to `opened`; what was read before and not used is forgotten."""
        self.sock = opened
        self.reader = Reader(opened)
        self.reader.until = time.monotonic() + _LOGIN_LIMIT

    def _log(self, line: object) -> None:
        """imaplib would keep the last lines of every connection, passwords and mail among them."""

    def read(self, size: int) -> bytes:
        return self.reader.exactly(size)

    def readline(self) -> bytes:
        line, self._put_back = self._put_back, b""
        return line or self.reader.line()

    def next_response(self) -> bytes | None:
        """As `_get_response`, which takes several times as long for the plain lines that most answers consist of."""
        line = self.reader.line()
        plain = _PLAIN.fullmatch(line)
        if plain is None or line.endswith(b"}\r\n"):
            self._put_back = line
            return self._get_response()  # type: ignore[no-any-return]
        number, kind, data = plain.groups(b"")
        told = self.untagged_responses
        told.setdefault(kind.decode("ascii"), []).append(number + b" " + data if number and data else number or data)
        if not number and kind in (b"OK", b"NO", b"BAD") and (code := _CODE.match(data)):
            told.setdefault(code[1].decode("ascii"), []).append(code[2] or b"")
        return line[:-2]

    def shutdown(self) -> None:
        self.sock.close()

    def _get_capabilities(self) -> None:
        # imaplib would ask at once, at the price of a round trip; what is not told is asked when it is needed.
        self.capabilities = ("IMAP4REV1",)


class Session(IMAPClient):  # type: ignore[misc]
    """A connection that can send commands; `transport.login` logs it in."""

    def __init__(self, settings: ServerSettings, permit: ReadOnly | None = None) -> None:
        """Connect and, where asked, STARTTLS. Raises ConnectionFailed, CertificateError, ConfigError, Throttled.

        `permit`: what this connection may send; None: everything that mailassist sends.
        """
        self.settings = settings
        self.permit = permit
        self._cached_capabilities: tuple[bytes, ...] | None
        self.selected: FolderState | None = None
        self.writable = False
        self.names_as_sent: Mapping[str, bytes] = {}  # of folders whose names are no modified UTF-7
        self.news = False  # what the last IDLE brought
        self.answered_at = 0.0  # when the last command came to its end (a reading of the monotonic clock)
        self._answer_begun = self._responses = 0
        self.secrets: Sequence[str] = ()  # never to be repeated in an error
        self.keeps_status = False  # with NOTIFY, STATUS comes unasked with any answer
        self.statuses: list[bytes] = []  # these, while they are kept
        self.overflowed = False  # the server has given NOTIFY up (RFC 5465, 5.8)
        with self._connection_errors():
            super().__init__(settings.host, settings.port, ssl=False, timeout=None)
            self._imap.debug = 0  # imapclient logs every line; ours hold passwords and mail
            if settings.security == "starttls":
                self._encrypt()

    def _create_IMAP4(self) -> imaplib.IMAP4:
        opened = open_socket(self.settings)
        try:
            return _Wire(opened, self.settings.host)
        except BaseException as error:
            opened.close()
            if isinstance(error, TimeoutError):
                raise no_greeting(self.settings, "IMAP") from error
            if isinstance(error, imaplib.IMAP4.abort) and (said := str(error)).startswith(_NO_IMAP):
                raise no_greeting(self.settings, "IMAP", said.removeprefix(_NO_IMAP)[2:-1]) from error
            raise

    def _set_read_timeout(self) -> None:
        """The socket came with its timeouts."""

    def _encrypt(self) -> None:
        """STARTTLS (RFC 3501, 6.2.1); all that came before is dropped, so that nobody can slip anything in front."""
        imap = self._imap
        if imap.state == "AUTH":
            raise ConnectionFailed(
                f"{self.host} greets as logged in before TLS; it is not trusted", cure='Use security = "tls".'
            )
        tell = imap.untagged_responses.get("CAPABILITY") or self.run("CAPABILITY").get("CAPABILITY") or [b""]
        if b"STARTTLS" not in tell[-1].upper().split():
            raise ConnectionFailed(
                f"{self.host} offers no STARTTLS; nothing was sent in the clear",
                cure='Use security = "tls" (port 993), or ask the provider.',
            )
        self.run("STARTTLS")
        imap.use(start_tls(imap.sock, self.settings))
        imap.untagged_responses.clear()
        self._cached_capabilities = None

    def offers(self, *names: str) -> bool:
        """Whether the server has one of the capabilities; asks at most once after the login."""
        return any(name.encode("ascii") in self.capabilities() for name in names)

    def capabilities(self) -> tuple[bytes, ...]:
        """What the server can do, as told at the login, else asked once."""
        if self._cached_capabilities is None:
            told = self.run("CAPABILITY").get("CAPABILITY") or [b""]
            self._cached_capabilities = tuple(told[-1].upper().split())
        return self._cached_capabilities

    def run(self, name: str, *parts: Argument | Literal) -> Answer:
        """Send one command, wait for its end, give the untagged responses that came.

        Raises Refused (NO, BAD), Throttled (later), BrokenConnection.
        """
        answer: Answer = {}
        for part in self.responses("", name, *parts):
            answer = part
        return answer

    def responses(self, wanted: str, name: str, *parts: Argument | Literal) -> Iterator[Any]:
        """Like `run`, but every response `wanted` (FETCH) is given as it arrives; at the end all others, as a dict.

        The caller reads to the end: what is left would be taken for the answer to the next command.
        """
        with self._connection_errors():
            tag = self._send(name, parts)
            imap = self._imap
            while imap.tagged_commands[tag] is None:
                imap._check_bye()
                self._next_response()
                if wanted and wanted in imap.untagged_responses:
                    yield imap.untagged_responses.pop(wanted)
                    self._begin_answer()
            kind, data = imap.tagged_commands.pop(tag)
        self.answered_at = time.monotonic()
        if kind != "OK":
            self._refuse(name, kind, data[0])
        answer: Answer = {**imap.untagged_responses, "tagged": data}
        yield answer

    def authenticate(self, mechanism: str, response: bytes, *, at_once: bool) -> Answer:
        """AUTHENTICATE with a mechanism of one message; `at_once`: in the command itself (SASL-IR, RFC 4959).

        Raises Refused; its text tells an OAuth server's reason, which comes as a second challenge (RFC 7628, 3.2.3).
        """
        encoded = base64.b64encode(response)
        reason = ""
        with self._connection_errors():
            tag = self._send("AUTHENTICATE", (keyword(mechanism), *([Argument(encoded)] if at_once else [])))
            imap = self._imap
            while imap.tagged_commands[tag] is None:
                imap._check_bye()
                if self._next_response() is not None:
                    continue
                if at_once:
                    reason = oauth_failure(imap.continuation_response)
                    encoded = b"AQ==" if mechanism == "OAUTHBEARER" else b""
                imap.send(encoded + b"\r\n")
                at_once = True
            kind, data = imap.tagged_commands.pop(tag)
        if kind != "OK":
            self._refuse("AUTHENTICATE", kind, data[0] + (f" ({reason})".encode() if reason else b""))
        return {**imap.untagged_responses, "tagged": data}

    def _send(self, name: str, parts: tuple[Argument | Literal, ...]) -> bytes:
        if self.permit is not None:
            self.permit.check(self.selected if self.writable else None, name, parts)
        imap = self._imap
        imap._check_bye()
        self._keep_statuses()
        imap.untagged_responses.clear()
        self._begin_answer()
        tag: bytes = imap._new_tag()
        line = tag + b" " + keyword(name)
        for part in parts:
            if isinstance(part, Literal):
                line = self._send_literal(tag, line, part)
            elif isinstance(part, Argument):
                line += b" " + part
            else:
                raise TypeError(f"{part!r} has not gone through transport.arguments")
        imap.send(line + b"\r\n")
        return tag

    def _keep_statuses(self) -> None:
        if self.keeps_status:
            self.overflowed = self.overflowed or "NOTIFICATIONOVERFLOW" in self._imap.untagged_responses
            told = [line for line in self._imap.untagged_responses.get("STATUS", []) if isinstance(line, bytes)]
            self.statuses = [*self.statuses, *told][-_MOST_STATUSES:]

    def take_statuses(self) -> list[bytes]:
        """The STATUS responses since the last call, unasked ones included, while `keeps_status`."""
        self._keep_statuses()
        self._imap.untagged_responses.pop("STATUS", None)
        taken, self.statuses = self.statuses, []
        return taken

    def limit_time(self, seconds: float | None) -> None:
        """From now on, reading may take so long in all: a server could send a byte a minute for ever; None: no end."""
        self._imap.reader.until = None if seconds is None else time.monotonic() + seconds

    def _begin_answer(self) -> None:
        self._answer_begun, self._responses = self._imap.reader.taken, 0

    def _next_response(self) -> Any:
        """One response, as imaplib's parser gives it: None for a continuation. Raises its abort, TimeoutError.

        What it keeps of an answer has an end: a server that has lost its way must not take all memory.
        """
        self._responses += 1
        if self._responses > _MOST_RESPONSES or self._imap.reader.taken - self._answer_begun > _LONGEST_ANSWER:
            raise imaplib.IMAP4.abort("an answer without end")
        return self._imap.next_response()

    def _send_literal(self, tag: bytes, line: bytes, literal: bytes) -> bytes:
        """Send what there is and the announcement; what is left to send is the literal itself (RFC 7888)."""
        size = len(literal)
        known = self._cached_capabilities or ()
        if b"LITERAL+" in known or (b"LITERAL-" in known and size <= _LITERAL_MINUS):
            return line + b" {%d+}\r\n" % size + literal
        imap = self._imap
        imap.send(line + b" {%d}\r\n" % size)
        while self._next_response() is not None:
            if imap.tagged_commands[tag] is not None:
                kind, data = imap.tagged_commands.pop(tag)
                self._refuse("literal", kind, data[0])
        return bytes(literal)

    def _refuse(self, name: str, kind: str, data: bytes) -> None:
        text = concealed(data.decode("utf-8", "replace"), self.secrets)
        pause = suggested_pause(text, of_all=name in ("LOGIN", "AUTHENTICATE"))
        if pause is not None:
            raise Throttled(f"{self.host} asks to wait: {text}", pause)
        raise Refused(f"{self.host} refused {name}: {text}", text, cure=known_cure(text))

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        try:
            with failures(self.settings):
                yield
        except imaplib.IMAP4.error as error:
            self.selected = None
            text = concealed(re.sub(r"^(command: \w+ => )|^b['\"]|['\"]$", "", str(error)), self.secrets)
            pause = suggested_pause(text, of_all=True)
            if pause is not None:
                raise Throttled(f"{self.host} asks to wait: {text}", pause, broken=True) from error
            raise BrokenConnection(
                f"{self.host} closed the connection: {text}", cure="Try again; it may be busy."
            ) from error
        except ValueError as error:  # imaplib's, at numbers beyond any sense
            self.selected = None
            raise BrokenConnection(f"{self.host} sent an answer that cannot be read: {error}") from error
        except ConnectionFailed:
            self.selected = None
            raise

    def folder_argument(self, name: str) -> Argument | Literal:
        """The folder `name` in a command. Raises UnsafeArgument."""
        return folder_as_sent(self.names_as_sent[name]) if name in self.names_as_sent else folder(name)

    def open_folder(self, name: str, *, writable: bool = False, again: bool = False) -> FolderState:
        """EXAMINE (or SELECT, to write) `name`, unless it is open already and `again` is not wanted.

        Raises MailboxError when it is not there.
        """
        if self.selected and self.selected.name == name and self.writable >= writable and not again:
            return self.selected
        self.selected = None
        try:
            answer = self._opening("SELECT" if writable else "EXAMINE", self.folder_argument(name))
        except Refused as error:
            raise MailboxError(
                f"{self.host} does not open the folder {name!r}: {error.text}",
                cure=error.cure or "Check the folder names under [accounts.NAME.folders].",
            ) from error
        exists = _number(answer, "EXISTS", 0)
        uidnext = _number(answer, "UIDNEXT", 0) or self._after_the_last(exists)
        self.writable = writable
        self.selected = FolderState(name, _number(answer, "UIDVALIDITY", 0), uidnext, exists)
        return self.selected

    def _after_the_last(self, exists: int) -> int:
        """UIDNEXT by the last message, where a server does not tell it (RFC 3501, 6.3.1, lets it)."""
        if not exists:
            return 1
        last = self.search(span(exists, exists))
        if not last:
            raise MailboxError(f"{self.host} tells no UIDs of the folder that was opened")
        return last[-1] + 1

    def _opening(self, command: str, name: Argument | Literal) -> Answer:
        """163, 126 and their like open nothing before they know the client's name, and say so in these words."""
        try:
            return self.run(command, name)
        except Refused as error:
            if "unsafe login" not in error.text.lower():
                raise
            self.identify()
            return self.run(command, name)

    def search(
        self, *criteria: Argument | Literal, first: int = 1, last: int = _HIGHEST_UID, readable: bool = False
    ) -> list[int]:
        """UID SEARCH among the UIDs from `first` to `last` of the open folder, ascending.

        A server that looks at a part only, at the newest messages (RFC 9738: Yahoo, AOL), is asked for the rest: below
        the UID that it names, in halves where it names none. `readable`: messages whose file the server cannot read,
        over which it fails at the whole search, are found by halves and left out.
        """
        charset = [keyword("CHARSET"), keyword("UTF-8")] if any(isinstance(part, Literal) for part in criteria) else []
        found: set[int] = set()
        spans = [(first, last)]
        failures_left = _MOST_FAILURES if readable else 0
        while spans:
            low, high = spans.pop()
            within = [] if (low, high) == (1, _HIGHEST_UID) else [keyword("UID"), span(low, high)]
            try:
                answer = self.run("UID", keyword("SEARCH"), *charset, *within, *criteria)
            except Refused as error:
                failures_left -= 1
                if failures_left < 0 or "[SERVERBUG]" not in error.text.upper():
                    raise
                spans += _halves(low, high)
                continue
            words = (word for line in answer.get("SEARCH", []) for word in line.split())
            found.update(int(word) for word in words if word.isdigit() and len(word) <= _LONGEST_NUMBER)
            limited = _MESSAGE_LIMIT.search(answer["tagged"][0])
            if limited is None:
                continue
            lowest = int(limited[1] or 0)
            if low <= lowest <= high:
                spans += [(low, lowest - 1)] if lowest > low else []
            else:
                spans += _halves(low, high)
        return sorted(found)

    def identify(self) -> None:
        """ID (RFC 2971): some servers open no folder before they know the client's name."""
        self.run("ID", _OUR_IDENTITY)

    def close(self) -> None:
        """LOGOUT and close; never raises."""
        try:
            self._imap.sock.settimeout(min(3.0, self.settings.read_timeout))
            tag = self._imap._new_tag()
            self._imap.send(tag + b" LOGOUT\r\n")
            while (line := self._imap.readline()) and not line.startswith(tag):
                pass
        except (OSError, imaplib.IMAP4.error):
            pass
        finally:
            self.abandon()

    def cut(self) -> None:
        """Shut the socket down, from any thread: whoever reads from it sees its end; never raises."""
        try:
            socket.socket.shutdown(self._imap.sock, socket.SHUT_RDWR)  # not TLS's own, which another thread uses now
        except OSError:
            pass

    def abandon(self) -> None:
        """Close the socket without a word; never raises."""
        try:
            self._imap.shutdown()
        except OSError:
            pass


def _halves(low: int, high: int) -> list[tuple[int, int]]:
    """Both halves of a range of UIDs; nothing of a single one."""
    middle = (low + high) // 2
    return [(low, middle), (middle + 1, high)] if low < high else []


def _number(answer: Answer, name: str, default: int) -> int:
    value = answer.get(name, [None])[-1]
    return int(value) if value is not None and value.isdigit() and len(value) <= _LONGEST_NUMBER else default
