"""When something is tried again, and how many logins a host sees at once: 1,000 mailboxes must not return together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from mailassist.daemon.watching.mailbox import Timing
from mailassist.errors import CertificateError, ConfigError, ConnectionFailed, LoginError, MailassistError, SecretError
from mailassist.transport.throttling import Throttled

T = TypeVar("T")

_BURST = 8.0  # looks after hints that may follow each other at once


class Pauses:
    """The pauses of one mailbox: exponential with full jitter, so that the tries of many spread evenly."""

    __slots__ = ("_credit", "_credited_at", "_failures", "_random", "_refusals", "_timing")

    def __init__(self, timing: Timing, random: Callable[[], float]) -> None:
        """`random`: numbers in [0, 1)."""
        self._timing, self._random = timing, random
        self._failures = self._refusals = 0
        self._credit, self._credited_at = _BURST, 0.0

    def worked(self, *, steadily: bool) -> None:
        """A visit came through; `steadily`: on a connection that lasts, so that the next failure is a first one."""
        self._refusals = 0
        if steadily:
            self._failures = 0

    def after(self, error: MailassistError) -> float:
        """Seconds until the next try; never less than the server asks for."""
        timing = self._timing
        if is_refusal(error):
            self._refusals = min(self._refusals + 1, 3)
            return timing.refused * 2.0 ** (self._refusals - 1) * (1 + self._random() / 4)
        least = error.seconds if isinstance(error, Throttled) else 0.0
        window = min(timing.longest_pause, timing.first_pause * 2.0**self._failures)
        self._failures = min(self._failures + 1, 20)
        return least + window * self._random()

    def after_hint(self, now: float) -> float:
        """Seconds until a look after a hint: none, unless hints come one after the other without end."""
        gap = self._timing.hint_gap
        self._credit = min(_BURST, self._credit + (now - self._credited_at) / gap) - 1
        self._credited_at = now
        return max(0.0, -self._credit * gap)


class Turns(Generic[T]):
    """Whose login is next: so many at once in all and at one host, and one by one at a host that fails."""

    def __init__(self, most: int, most_at_host: int) -> None:
        """Limits of logins under way."""
        self._most, self._most_at_host = most, most_at_host
        self._waiting: dict[str, deque[T]] = {}
        self._under_way: dict[str, int] = {}
        self._failing: set[str] = set()

    def ask(self, one: T, host: str) -> None:
        """One wants to log in."""
        self._waiting.setdefault(host, deque()).append(one)

    def next(self) -> T | None:
        """One that may log in now, by turns of the hosts; it counts until `done`."""
        if sum(self._under_way.values()) >= self._most:
            return None
        for host, those in self._waiting.items():
            limit = 1 if host in self._failing else self._most_at_host
            if self._under_way.get(host, 0) < limit:
                one = those.popleft()
                del self._waiting[host]
                if those:
                    self._waiting[host] = those  # at the end
                self._under_way[host] = self._under_way.get(host, 0) + 1
                return one
        return None

    def done(self, host: str, error: MailassistError | None) -> None:
        """A login has ended."""
        self._under_way[host] -= 1
        if not self._under_way[host]:
            del self._under_way[host]
        if isinstance(error, ConnectionFailed):
            self._failing.add(host)
        else:
            self._failing.discard(host)


def is_refusal(error: MailassistError) -> bool:
    """Whether only a person can change it: a wrong password or setting, not a broken line."""
    return isinstance(error, LoginError | SecretError | ConfigError | CertificateError)
