"""What systemd hears of the daemon, and its watchdog: datagrams to `$NOTIFY_SOCKET` (sd_notify(3)).

Without that variable (started by hand, in a container) nothing is said to anybody.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping

from mailassist.mail.safe_text import SafeText


class Notifier:
    """Tells the service manager how the daemon is; nobody waits for an answer."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """`environment`: NOTIFY_SOCKET is the path of a socket, or `@` and the name of an abstract one."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """The start, or a reload, is done."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`: counts and mailbox names, nothing from mail."""
        self._send(_status(status))

    def reloading(self) -> None:
        """SIGHUP came; `ready` follows. With the moment, as Type=notify-reload demands."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """SIGTERM came; what is in flight is finished."""
        self._send("STOPPING=1")

    def more_time(self, seconds: float) -> None:
        """The start or the stop takes so much longer, counted from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def alive(self) -> None:
        """Real work came forward; see `Watchdog`."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.setblocking(False)
            try:
                sending.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass  # a manager that restarts hears the next one; no work waits for it


class Watchdog:
    """Passes the progress of the work loop on to systemd, which restarts a daemon that makes none.

    No thread of its own: a loop that hangs says nothing. `progress()` is to be called more often than `interval`.
    """

    def __init__(
        self,
        notifier: Notifier,
        environment: Mapping[str, str] = os.environ,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`environment`: WATCHDOG_USEC, and WATCHDOG_PID, which names the process that is meant."""
        self._notifier = notifier
        self._monotonic = monotonic
        self.interval = _interval(environment)  # seconds within which systemd wants a sign of life; None: it does not
        self._lock = threading.Lock()
        self._progressed = monotonic()
        self._told = float("-inf")

    def progress(self) -> None:
        """Work came forward: a look came through, a step was done, or there was nothing to do. Any thread."""
        with self._lock:
            now = self._progressed = self._monotonic()
            tell = self.interval is not None and now - self._told >= self.interval / 4
            if tell:
                self._told = now
        if tell:
            self._notifier.alive()

    @property
    def since_progress(self) -> float:
        """Seconds since work last came forward, for `/live`."""
        return max(0.0, self._monotonic() - self._progressed)


def _interval(environment: Mapping[str, str]) -> float | None:
    wanted, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or int(wanted) == 0 or (meant and meant != str(os.getpid())):
        return None
    return int(wanted) / 1_000_000


def _status(text: str) -> str:
    return f"STATUS={SafeText(text).line()}"
