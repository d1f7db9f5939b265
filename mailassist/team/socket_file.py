"""The file of a Unix socket: made whole and with its rights, taken over from a dead daemon, never from a living one."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from mailassist.errors import ConfigError

_LONGEST = 107  # bytes that sockaddr_un has for a path on Linux


class SocketFile:
    """A listening Unix socket at `path`, mode 0660, whose group may connect; held by a lock beside it."""

    def __init__(self, path: Path, *, group: str, backlog: int = 64) -> None:
        """`group`: of the system; "" keeps that of the process. Raises ConfigError."""
        self.path = path.expanduser()
        made = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        if len(os.fsencode(made)) > _LONGEST:
            raise ConfigError(
                f"{self.path} is too long for a Unix socket",
                cure=f"Choose one of at most {_LONGEST - 10} bytes.",
            )
        gid = _gid(group)
        try:
            if not self.path.parent.exists():
                self.path.parent.mkdir(parents=True)
                self.path.parent.chmod(0o755)  # whatever the umask is: people go through it
            self._lock = self._locked()
            try:
                self._check_dead()
                self.listener = self._listening(made, gid, group, backlog)
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            cure = "Check the owner of its folder, and [daemon] review_socket."
            raise ConfigError(f"{self.path} cannot be made: {error.strerror}", cure=cure) from error
        self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Stop listening, and remove the file if it is still this one."""
        self.listener.close()
        with suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        os.close(self._lock)

    def _locked(self) -> int:
        """The lock that a living daemon holds; it goes with the process, however that ends. Raises ConfigError."""
        import fcntl

        name = self.path.with_name(self.path.name + ".lock")
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise _living(self.path) from None
        return handle

    def _check_dead(self) -> None:
        """Raises ConfigError where something else than a dead socket lies there."""
        try:
            kind = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(kind):
            raise ConfigError(f"{self.path} is there, and is no socket", cure="Remove it, or choose another path.")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                return
            except BlockingIOError:
                pass  # it lives, and has much to do
            raise _living(self.path)

    def _listening(self, made: Path, gid: int, group: str, backlog: int) -> socket.socket:
        """The socket, under its name only when its rights are set."""
        with suppress(FileNotFoundError):
            made.unlink()  # of a dead process with our number
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(made))
            made.chmod(0o660)
            if gid != made.stat().st_gid:
                try:
                    os.chown(made, -1, gid)
                except PermissionError:
                    cure = f"Add the user of the daemon to it: usermod -aG {group} USER."
                    raise ConfigError(f"The socket cannot be given to the group {group}", cure=cure) from None
            listener.listen(backlog)
            listener.setblocking(False)
            made.replace(self.path)
        except BaseException:
            listener.close()
            with suppress(OSError):
                made.unlink()
            raise
        return listener


def _gid(group: str) -> int:
    import grp

    try:
        return grp.getgrnam(group).gr_gid if group else os.getegid()
    except KeyError:
        cure = f"Make it (groupadd {group}), or name another in [daemon] review_group."
        raise ConfigError(f"There is no group {group!r} on this machine", cure=cure) from None


def _living(path: Path) -> ConfigError:
    return ConfigError(f"Another daemon serves {path}", cure="Stop it first, or choose another [daemon] review_socket.")
