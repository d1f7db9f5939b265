"""A Maildir as a source, for people who sync with mbsync or offlineimap (cr.yp.to/proto/maildir.html, Maildir++).

A file's unique name is what stays; UIDs are given to names in the order of arrival and kept in a list of our own, never
in the Maildir.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mailassist.config import FolderSettings
from mailassist.errors import MailboxError
from mailassist.transport.folders import Listed, as_listed, assign_roles, find
from mailassist.transport.local_source import Entry, LocalSource, earlier, no_folder
from mailassist.transport.source import Folder, FolderState, Location, Role

_INFO = re.compile(r"[:!;]2,([A-Za-z]*)$")  # "!" and ";" where a file system has no colons
_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted", "P": "$Forwarded"}
_OF_FLAG = {flag.lower(): letter for letter, flag in _LETTERS.items()}
_ARRIVAL = re.compile(r"(\d{1,12})")
_DELIVERED = re.compile(r"(\d{9,10})[._]")  # seconds since 1970, as every program that follows the custom begins a name
_deliveries = itertools.count()


class MaildirSource(LocalSource):
    """One Maildir with its subfolders, or a folder that holds Maildirs (Maildir++ and nested layouts alike)."""

    def __init__(
        self, root: Path, folders: FolderSettings, data_folder: Path, *, now: Callable[[], float] = time.time
    ) -> None:
        """`data_folder`: where the list of UIDs is kept. Raises MailboxError when there is no Maildir in `root`."""
        super().__init__()
        self._root = root
        self._settings = folders
        self._now = now
        self._lists = data_folder / "maildir" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        self._paths = _maildirs(root)
        if not self._paths:
            raise MailboxError(f"{root} holds no Maildir", cure="Name the folder that has cur, new and tmp inside.")
        self._folders = assign_roles([Listed(name, "/", frozenset()) for name in self._paths], folders)

    def folders(self) -> Sequence[Folder]:
        """Every Maildir below the root."""
        return self._folders

    def look(self, folder: str) -> tuple[FolderState, Mapping[int, Entry]]:
        """The files that are there, with the UIDs of our list; new names get the next ones."""
        path = self._path(folder)
        files = _files(path)
        uids = _numbered(self._list_of(folder), files, self._now)
        entries = {uids.of[name]: _entry(uids.of[name], file) for name, file in files.items()}
        there = {uid: entry for uid, entry in entries.items() if entry is not None}
        return FolderState(folder, uids.validity, uids.next, len(there)), there

    def signature(self, folder: str) -> object:
        """The times of the two folders that deliveries change."""
        parts = [self._path(folder) / part for part in ("cur", "new")]
        return [part.stat().st_mtime_ns for part in parts if part.exists()]

    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        """Write to tmp, sync, then rename: a reader never sees half a message."""
        path = self._path(folder)
        name = f"{int(self._now())}.M{time.time_ns() % 10**9}P{os.getpid()}Q{next(_deliveries)}.{_host()}"
        temporary = path / "tmp" / name
        try:
            with temporary.open("xb") as file:
                file.write(raw.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path / "cur" / f"{name}:2,{_letters(flags)}")
        except OSError as error:
            raise MailboxError(f"The message could not be stored in {path}: {error.strerror or error}") from error
        return self._place(folder, name)

    def remove(self, location: Location) -> bool:
        """Move the file to the Trash Maildir; without one it is marked \\Deleted."""
        file = self._file(location)
        if file is None:
            return False
        trash = find(self._folders, Role.TRASH)
        if not trash or trash == location.folder:
            return self.add_flags(location, ["\\Deleted"])
        return _renamed(file, self._path(trash) / "cur" / _named(file, ()))

    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        """Rename the file; one in `new` goes to `cur`."""
        file = self._file(location)
        return file is not None and _renamed(file, file.parent.with_name("cur") / _named(file, flags))

    def _path(self, folder: str) -> Path:
        if folder not in self._paths:
            raise no_folder(folder, self._root)
        return self._paths[folder]

    def _list_of(self, folder: str) -> Path:
        return self._lists / hashlib.sha256(folder.encode()).hexdigest()[:16]

    def _place(self, folder: str, name: str) -> Location:
        uids = _numbered(self._list_of(folder), _files(self._path(folder)), self._now)
        return Location(folder, uids.validity, uids.of[name])

    def _file(self, location: Location) -> Path | None:
        files = _files(self._path(location.folder))
        uids = _numbered(self._list_of(location.folder), files, self._now)
        if uids.validity != location.uidvalidity:
            return None
        return next((file for name, file in files.items() if uids.of[name] == location.uid), None)


@dataclass
class _Uids:
    """Our list of one folder."""

    validity: int
    next: int
    of: dict[str, int]


def _maildirs(root: Path) -> dict[str, Path]:
    """Folder name -> path, the inbox first; a dot in front of a name or between its parts is Maildir++."""
    found: dict[str, Path] = {}
    for written, path in _written(root):
        name = _readable(written)
        names = itertools.chain((name, written), (f"{name} ({number})" for number in itertools.count(2)))
        found[next(one for one in names if one not in found)] = path
    return found


def _readable(written: str) -> str:
    """A folder's name from modified UTF-7, in which Dovecot, mbsync and offlineimap write it; else as it stands."""
    line = as_listed(os.fsencode(written), "/", ())
    return written if line.attributes else line.name


def _written(root: Path) -> Iterator[tuple[str, Path]]:
    """(folder name as the disk has it, path)."""
    if (root / "cur").is_dir():
        yield "INBOX", root
    for folder, inner, _ in os.walk(root, followlinks=False):
        inner[:] = sorted(name for name in inner if name not in ("cur", "new", "tmp"))
        path = Path(folder)
        if path != root and (path / "cur").is_dir():
            parts = [part for name in path.relative_to(root).parts for part in _parts(name)]
            name = "/".join(parts)
            yield ("INBOX" if name.upper() == "INBOX" else name), path


def _parts(name: str) -> list[str]:
    return [part for part in name.split(".") if part] if name.startswith(".") else [name]


def _files(path: Path) -> dict[str, Path]:
    """The unique name of every message file, whatever its flags are now."""
    found: dict[str, Path] = {}
    for part in ("new", "cur"):
        try:
            with os.scandir(path / part) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MailboxError(
                f"{path / part} cannot be read: {error.strerror}", cure="Check who may read it."
            ) from error
        found.update((_INFO.sub("", name), path / part / name) for name in names if not name.startswith("."))
    return found


def _numbered(list_file: Path, files: Mapping[str, Path], now: Callable[[], float]) -> _Uids:
    """The UIDs of `files`, the list brought up to date under a lock."""
    list_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(list_file):
        uids = _read(list_file) or _Uids(int(now()), 1, {})
        new = sorted((name for name in files if name not in uids.of), key=_arrival)
        gone = uids.of.keys() - files.keys()
        for name in new:
            uids.of[name] = uids.next
            uids.next += 1
        for name in gone:
            del uids.of[name]
        if new or gone:
            _write(list_file, uids)
    return uids


def _arrival(name: str) -> tuple[int, str]:
    seconds = _ARRIVAL.match(name)
    return (int(seconds[1]) if seconds else 0), name


def _read(list_file: Path) -> _Uids | None:
    try:
        first, *lines = list_file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        validity, following = first.split()
        pairs = (line.split(" ", 1) for line in lines if line)
        return _Uids(int(validity), int(following), {name: int(uid) for uid, name in pairs})
    except FileNotFoundError:
        return None
    except ValueError:
        # A damaged list cannot be trusted: a new epoch makes everybody read the folder anew.
        return None


def _write(list_file: Path, uids: _Uids) -> None:
    temporary = list_file.with_suffix(".new")
    lines = [f"{uids.validity} {uids.next}", *(f"{uid} {name}" for name, uid in uids.of.items())]
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
    temporary.replace(list_file)


@contextlib.contextmanager
def _locked(list_file: Path) -> Iterator[None]:
    with list_file.with_suffix(".lock").open("a") as lock:
        try:
            import fcntl
        except ImportError:  # Windows, where file names cannot hold the colon of a Maildir anyway
            yield
            return
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _entry(uid: int, file: Path) -> Entry | None:
    try:
        status = file.stat()
    except OSError:
        return None  # another program renamed it this moment
    if not stat.S_ISREG(status.st_mode):
        return None
    match = _INFO.search(file.name)
    flags = frozenset(_LETTERS[letter] for letter in (match[1] if match else "") if letter in _LETTERS)
    received = earlier(datetime.fromtimestamp(status.st_mtime, UTC), _delivered(file.name))
    return Entry(uid, flags, received, status.st_size, partial(_beginning, file), partial(_beginning, file, -1))


def _delivered(name: str) -> datetime | None:
    seconds = _DELIVERED.match(name)
    return datetime.fromtimestamp(int(seconds[1]), UTC) if seconds else None


def _beginning(file: Path, size: int) -> bytes:
    """The file's bytes, also when another program has just renamed it (flags are part of the name)."""
    for _ in range(3):
        try:
            with file.open("rb") as opened:
                return opened.read(size)
        except FileNotFoundError:
            unique = _INFO.sub("", file.name)
            folder = file.parent.parent
            file = next((path for name, path in _files(folder).items() if name == unique), file)
    return b""


def _named(file: Path, flags: Sequence[str]) -> str:
    match = _INFO.search(file.name)
    letters = "".join(sorted({*(match[1] if match else ""), *_letters(flags)}))
    return f"{_INFO.sub('', file.name)}:2,{letters}"


def _letters(flags: Sequence[str]) -> str:
    return "".join(sorted({_OF_FLAG[flag.lower()] for flag in flags if flag.lower() in _OF_FLAG}))


def _renamed(file: Path, target: Path) -> bool:
    try:
        file.rename(target)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MailboxError(f"{file} could not be moved: {error.strerror or error}") from error
    return True


def _host() -> str:
    return socket.gethostname().replace("/", "\\057").replace(":", "\\072") or "localhost"
