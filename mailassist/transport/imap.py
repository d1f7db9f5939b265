"""An IMAP mailbox as a source of mail: one connection, opened again when it breaks.

Reads are done again after a break or when the server asks to wait; commands that change something never are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_response
from pydantic import SecretStr

from mailassist.config import FolderSettings, ServerSettings
from mailassist.errors import CertificateError, ConnectionFailed, MailboxError
from mailassist.transport import bodies, conversation, fetch, folders, idle, states, writing
from mailassist.transport.arguments import Argument, day, header_search, items, keyword, span
from mailassist.transport.login import log_in
from mailassist.transport.permitted import ReadOnly
from mailassist.transport.sasl import Credential
from mailassist.transport.session import BrokenConnection, Refused, Session
from mailassist.transport.source import Folder, FolderState, HeaderRecord, Location, Role
from mailassist.transport.throttling import Patience, Throttled

Result = TypeVar("Result")
ByUid = Callable[[Session, Sequence[int]], list[Result]]  # reads messages of the open folder

# What one message can make a server do, and what a network can do too.
_FAILURES = (Refused, fetch.Unreadable, ConnectionFailed)
_FRESH = 5.0  # seconds after an answer of the server in which its connection counts as alive
_SEARCH_WINDOW = 100_000  # UIDs a SEARCH; an answer must not grow without bound


def connect(
    settings: ServerSettings,
    address: str,
    secret: Callable[[], SecretStr],
    folders: FolderSettings,
    *,
    patience: Patience | None = None,
    permitted: ReadOnly | None = None,
) -> ImapSource:
    """Connect and log in.

    `secret` is asked at every login; `permitted`: what the connection may send at most (`transport.permitted`).
    Raises ConnectionFailed, CertificateError, LoginError, SecretError, ConfigError.
    """
    source = ImapSource(settings, Credential.of(settings, address, secret), folders, patience or Patience(), permitted)
    source.open()
    return source


class ImapSource:
    """A mailbox on an IMAP server (`transport.source.MailSource`)."""

    def __init__(
        self,
        settings: ServerSettings,
        credential: Credential,
        folder_settings: FolderSettings,
        patience: Patience,
        permitted: ReadOnly | None = None,
    ) -> None:
        """Nothing is sent before `open`."""
        self._permitted = permitted
        self._time_limit: float | None = None
        self._settings = settings
        self._credential = credential
        self._folder_settings = folder_settings
        self._patience = patience
        self._session: Session | None = None
        self._folders: tuple[Folder, ...] = ()
        self._names_as_sent: dict[str, bytes] = {}
        self._epochs: dict[str, int] = {}  # UIDVALIDITY of each folder, as this source has told it
        self._found = conversation.Found()
        self._unreadable: list[Location] = []

    def open(self) -> None:
        """Connect and log in; a server that asks to wait is waited for, any other failure is raised at once."""
        for attempt in range(self._patience.tries):
            try:
                self._session = self._logged_in()
            except Throttled as error:
                if attempt + 1 == self._patience.tries:
                    raise
                self._patience.pause(attempt, error.seconds)
            else:
                return

    def on_session(self, read: Callable[[Session], Result]) -> Result:
        """Do `read` once, in the connection that there is (else a new one): for what watches it."""
        return self._read(read, again=False)

    @property
    def session(self) -> Session | None:
        """The connection, if there is one now."""
        return self._session

    def limit_time(self, seconds: float | None) -> None:
        """How long all reading of this connection may take from now on, and of each that replaces it; None: no end."""
        self._time_limit = seconds
        if self._session is not None:
            self._session.limit_time(seconds)

    def forget_bodies(self) -> None:
        """Keep nothing of what `thread` brought: for a connection that waits for long."""
        self._found = conversation.Found()

    def cut(self) -> None:
        """End the connection under whoever reads from it in another thread; never raises."""
        session = self._session
        if session is not None:
            session.cut()

    def abandon(self) -> None:
        """Leave the connection without a word; never raises."""
        self._drop()

    @property
    def gmail(self) -> bool:
        """Whether the server has Gmail's extensions."""
        return self._read(lambda session: session.offers("X-GM-EXT-1"))

    def folders(self) -> Sequence[Folder]:
        """Every folder with its role; asked once."""
        if not self._folders:
            self._read(self._list)
        return self._folders

    def examine(self, folder: str) -> FolderState:
        """EXAMINE, also when the folder is open already: its state now."""

        def read(session: Session) -> FolderState:
            self._epochs.pop(folder, None)
            return self._opened(session, folder, again=True)

        return self._read(read)

    def state(self, folder: str) -> FolderState:
        """STATUS; EXAMINE for the folder that is open (RFC 3501, 6.3.10), and where the server tells too little."""

        def read(session: Session) -> FolderState | None:
            if session.selected is not None and session.selected.name == folder:
                return None
            told = states.states(session, [folder]).get(folder)
            return told if told and told.uidvalidity and told.uidnext else None

        return self._read(read) or self.examine(folder)

    def uids(self, folder: str, first: int, last: int, since: date | None = None) -> list[int]:
        """The UIDs in [first, last], searched for in windows; what lies above UIDNEXT is one window."""
        arrived = [keyword("SINCE"), day(since)] if since else []

        def read(session: Session) -> list[int]:
            following = session.selected.uidnext if session.selected else 0
            found: list[int] = []
            start = max(1, first)
            while start <= last:
                end = last if start >= following else min(last, start + _SEARCH_WINDOW - 1)
                found += session.search(*arrived, first=start, last=end)
                start = end + 1
            return found

        return self._in_folder(folder, read)

    def headers(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Headers in batches; each batch is read again if the connection breaks in the middle of it."""
        for start in range(0, len(uids), fetch.BATCH):
            yield from self._batch(folder, uids[start : start + fetch.BATCH], _headers)

    def flags(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        """Flags, and on Gmail labels."""

        def read(session: Session) -> list[HeaderRecord]:
            return list(fetch.flags(session, fetch.by_uid(session, uids, fetch.flag_items(session))))

        yield from self._in_folder(folder, read)

    def take_unreadable(self) -> list[Location]:
        """What was left out because the server fails at it, since the last call."""
        taken, self._unreadable = self._unreadable, []
        return taken

    def newest_headers(self, folder: str, count: int) -> list[HeaderRecord]:
        """The last `count` messages by sequence number, newest first."""

        def read(session: Session) -> list[HeaderRecord]:
            return list(fetch.records(session, fetch.newest(session, count, fetch.header_items(session))))

        def numbers(session: Session) -> list[int]:
            exists = session.selected.exists if session.selected else 0
            return session.search(span(max(1, exists - count + 1), exists)) if exists and count > 0 else []

        try:
            found = self._in_folder(folder, read)
        except _FAILURES as error:
            if isinstance(error, Throttled):
                raise
            found = self._batch(folder, self._in_folder(folder, numbers), _headers, again=False)
        return sorted(found, key=lambda record: -record.location.uid)

    def raw(self, folder: str, uids: Sequence[int], *, limit: int = bodies.LIMIT) -> Iterator[tuple[Location, bytes]]:
        """Whole messages; those that came with `thread` cost nothing."""
        epoch = self._epochs.get(folder, 0)
        places = [Location(folder, epoch, uid) for uid in uids]
        known = self._found.bodies
        yield from ((place, known[place]) for place in places if place in known)
        missing = [place.uid for place in places if place not in known]
        if missing:
            yield from self._batch(folder, missing, lambda session, uids: list(bodies.whole(session, uids, limit)))

    def standing(self, location: Location) -> bytes | None:
        """Flags and text in one command after EXAMINE."""
        folder = location.folder
        if self.examine(folder).uidvalidity != location.uidvalidity:
            return None
        found = self._batch(folder, [location.uid], lambda session, uids: list(bodies.standing(session, uids)))
        return next(iter(found), None)

    def thread(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """The conversation of `record` and `ids`, from every folder where it lives; bodies are kept for `raw`."""
        everywhere = folders.holding_conversations(self.folders(), self._folder_settings)
        everything = folders.find(self.folders(), Role.ALL)

        def look(session: Session, bodies: bool) -> conversation.Found:
            criterion = conversation.thread_criterion(session, record)
            if criterion is None:
                return conversation.by_ids(session, everywhere, record, ids, now=datetime.now(UTC), bodies=bodies)
            places = [everything] if everything and session.offers("X-GM-EXT-1") else everywhere
            return conversation.by_thread_id(session, places, *criterion, bodies=bodies)

        self._found = self._look_up(look)
        return list(self._found.records.values())

    def earlier(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        """The messages `ids` by their Message-IDs, among all that arrived since two years before `record`."""
        everywhere = folders.holding_conversations(self.folders(), self._folder_settings)

        def look(session: Session, bodies: bool) -> conversation.Found:
            now = datetime.now(UTC)
            return conversation.by_message_ids(session, everywhere, record, ids, now=now, bodies=bodies)

        found = self._look_up(look)
        self._found.bodies |= found.bodies
        return list(found.records.values())

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """UIDs whose header `name` contains `value`; a server that refuses the search is read instead."""

        def read(session: Session) -> list[int]:
            try:
                return session.search(*header_search(name, value), readable=True)
            except Refused:
                return _scan(session, name, value)

        return self._in_folder(folder, read)

    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        """APPEND, once; a folder that is not there is made, unless `permitted` limits what may be sent."""
        if self._permitted is not None and all(known.name != folder for known in self.folders()):
            raise writing.no_folder(self._settings.host, folder)
        place = self._write(lambda session: writing.append(session, folder, raw, flags))
        if all(known.name != folder for known in self._folders):
            self._folders = ()
        return place

    def why_not(self, folder: str) -> str:
        """Why nothing can be stored in `folder`, as far as that is told without storing; see `writing.why_not`."""
        return self._read(lambda session: writing.why_not(session, folder))

    def remove(self, location: Location) -> bool:
        """Move one message to Trash, once."""
        trash = folders.find(self.folders(), Role.TRASH)
        if not trash and self.gmail:
            raise MailboxError("Gmail shows no Trash folder over IMAP", cure="In its settings, let Trash show in IMAP.")
        return self._write(lambda session: writing.remove(session, location, trash))

    def vouch(self, location: Location) -> None:
        """Tell the allow-list of this connection, if it has one, that the message at `location` is our own."""
        if self._permitted is not None:
            self._permitted.vouch(location)

    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        """Add flags, once."""
        return self._write(lambda session: writing.add_flags(session, location, flags))

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """IDLE or NOOP. Raises ConnectionFailed where the connection breaks: the caller decides when to come back."""
        try:
            return self._in_folder(folder, lambda session: idle.wait(session, seconds, stopped), again=False)
        except BrokenConnection as error:
            self._drop()
            raise ConnectionFailed(f"The connection to {self._settings.host} broke: {error}") from error

    def close(self) -> None:
        """Log out."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out."""
        self.close()

    def _logged_in(self) -> Session:
        session = Session(self._settings, self._permitted)
        session.names_as_sent = self._names_as_sent
        try:
            log_in(session, self._credential)
        except BaseException:
            session.abandon()
            raise
        session.limit_time(self._time_limit)
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.abandon()
            self._session = None

    def _read(self, read: Callable[[Session], Result], *, again: bool = True) -> Result:
        """Do `read`; after a break in a new connection, after a request to wait when that time is over."""
        for attempt in range(self._patience.tries):
            last = not again or attempt + 1 == self._patience.tries
            try:
                self._session = self._session or self._logged_in()
                return read(self._session)
            except CertificateError:
                self._drop()
                raise
            except Throttled as error:
                if error.broken:
                    self._drop()
                if last:
                    raise
                self._patience.pause(attempt, error.seconds)
            except ConnectionFailed:
                self._drop()
                if last:
                    raise
                self._patience.pause(attempt)
        raise AssertionError("unreachable")

    def _write(self, write: Callable[[Session], Result]) -> Result:
        """Do `write` once, in a connection that answers: an old one may have died unnoticed."""
        session = self._read(_alive)
        try:
            return write(session)
        except ConnectionFailed:
            self._drop()
            raise

    def _look_up(self, look: Callable[[Session, bool], conversation.Found]) -> conversation.Found:
        """What `look` finds, with bodies; where the server fails at one of them, without: `raw` leaves out that one."""
        try:
            found = self._read(lambda session: look(session, True))
        except _FAILURES as error:
            if isinstance(error, Throttled):
                raise
            self._read(_alive)  # raises where it is the network
            found = self._read(lambda session: look(session, False))
        for place in found.records:
            self._epochs.setdefault(place.folder, place.uidvalidity)
        return found

    def _batch(self, folder: str, uids: Sequence[int], read: ByUid[Result], *, again: bool = True) -> list[Result]:
        """Read one batch. Where the server fails at it, the halves of it, down to the message that is to blame.

        The parts are tried once: the connection may break at each of them.
        """
        try:
            return self._in_folder(folder, lambda session: read(session, uids), again=again)
        except _FAILURES as error:
            if again and isinstance(error, Throttled):
                raise
            self._read(_alive)  # raises where it is not the message but the network
            if len(uids) == 1 and not self._reads_another(folder, uids[0], read):
                raise
        if len(uids) == 1:
            return self._message_or_none(folder, uids[0], read)
        half = len(uids) // 2
        return [one for part in (uids[:half], uids[half:]) for one in self._batch(folder, part, read, again=False)]

    def _message_or_none(self, folder: str, uid: int, read: ByUid[Result]) -> list[Result]:
        """The last try at a message while the server gives others: one more failure, and the message is left out."""
        try:
            return self._in_folder(folder, lambda session: read(session, [uid]))
        except _FAILURES as error:
            if isinstance(error, Throttled):
                raise
            self._read(_alive)
            self._unreadable.append(Location(folder, self._epochs[folder], uid))
            return []

    def _reads_another(self, folder: str, uid: int, read: ByUid[Result]) -> bool:
        """Whether the server gives others than `uid` in this folder: the first, the last or one between."""
        exists = self._in_folder(folder, lambda session: session.selected.exists if session.selected else 0)
        for number in dict.fromkeys((1, exists, (exists + 1) // 2) if exists > 1 else ()):

            def read_one(session: Session, number: int = number) -> bool:
                others = [one for one in session.search(span(number, number)) if one != uid]
                return bool(others and read(session, others))

            try:
                if self._in_folder(folder, read_one, again=False):
                    return True
            except _FAILURES:
                continue
        return exists <= 1

    def _in_folder(self, folder: str, read: Callable[[Session], Result], *, again: bool = True) -> Result:
        def opened(session: Session) -> Result:
            self._opened(session, folder)
            return read(session)

        return self._read(opened, again=again)

    def _list(self, session: Session) -> None:
        lines = folders.distinct(_listed(session))
        self._folders = folders.assign_roles(lines, self._folder_settings)
        self._names_as_sent.update((line.name, line.sent) for line in lines if line.sent)
        if self._permitted is not None:
            drafts, trash = (folders.find(self._folders, role) for role in (Role.DRAFTS, Role.TRASH))
            as_sent = [session.folder_argument(name) if name else None for name in (drafts, trash)]
            self._permitted.knows(drafts, *as_sent)

    def _opened(self, session: Session, folder: str, *, again: bool = False) -> FolderState:
        """Open `folder`; UIDs that the caller holds must not come to mean other messages."""
        try:
            state = session.open_folder(folder, again=again)
        except MailboxError:
            if self._folders:
                raise
            self._list(session)  # which tells whether the server writes this name in a way of its own
            if folder not in self._names_as_sent:
                raise
            state = session.open_folder(folder, again=again)
        if self._epochs.setdefault(folder, state.uidvalidity) != state.uidvalidity:
            del self._epochs[folder]
            raise MailboxError(f"The folder {folder!r} was renumbered by the server", cure="Run `mailassist sync`.")
        return state


def _headers(session: Session, uids: Sequence[int]) -> list[HeaderRecord]:
    return list(fetch.records(session, fetch.by_uid(session, uids, fetch.header_items(session))))


def _alive(session: Session) -> Session:
    if time.monotonic() - session.answered_at > _FRESH:
        session.run("NOOP")
    return session


def _listed(session: Session) -> list[folders.Listed]:
    """LIST, or XLIST where only that tells what folders are for."""
    use = "XLIST" if session.offers("XLIST") and not session.offers("SPECIAL-USE") else "LIST"
    answer = session.run(use, Argument(b'""'), Argument(b'"*"'))
    lines = [line for line in answer.get(use, []) if line]
    try:
        parsed = parse_response(lines)
    except (ProtocolError, ValueError, AssertionError, RecursionError) as error:
        raise MailboxError(f"{session.host} lists its folders in a way that cannot be read: {error}") from error
    return [_line(*three) for three in zip(parsed[::3], parsed[1::3], parsed[2::3], strict=False)]


def _line(attributes: Any, delimiter: Any, name: Any) -> folders.Listed:
    words = (word.decode("ascii", "replace") for word in attributes or () if isinstance(word, bytes))
    sent = name if isinstance(name, bytes) else str(name).encode("ascii", "replace")  # a number is a name too
    return folders.as_listed(sent, delimiter.decode("ascii", "replace") if delimiter else "", words)


def _scan(session: Session, name: str, value: str) -> list[int]:
    """What a refused search would have found among the newest messages (iCloud knows few headers)."""
    found = fetch.newest(session, 500, items(["UID", f"BODY.PEEK[HEADER.FIELDS ({name.upper()})]"]))
    return sorted(one["UID"] for one in found if "UID" in one and value.encode() in (fetch.header_bytes(one) or b""))
