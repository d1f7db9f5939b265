"""New mail appears by itself: IDLE is a hint, the cursor of the index decides."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from mailassist.desk.connections import Backoff, pause
from mailassist.errors import MailassistError
from mailassist.transport.source import MailSource
from mailassist.transport.throttling import Throttled

STEADY = 60.0  # seconds that a connection has to last before the next one is opened without a growing pause
LOOK_ANYWAY = 300.0  # seconds: other folders than the watched one change without a hint


def watch(
    opened: Callable[[], MailSource],
    folder: str,
    look: Callable[[], object],
    *,
    changed: Callable[[], None],
    connected: Callable[[bool, str], None],
    stopped: Callable[[], bool],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Until `stopped`: wait for a hint in `folder`, then `look`, then say `changed`.

    `opened` gives a new source; `connected` hears of each change of the connection's state. Never raises what has a
    name: the reason is said and the connection tried again, with a pause that grows while connections do not last:
    a server that drops IDLE must not see a login a second.
    """
    backoff = Backoff(random.random)
    while not stopped():
        begun = now()
        try:
            with opened() as source:
                source.examine(folder)
                connected(True, "")
                while not stopped():
                    look()
                    changed()
                    source.wait(folder, LOOK_ANYWAY, stopped)
        except MailassistError as error:
            if now() - begun >= STEADY:
                backoff.reset()
            if not stopped():
                connected(False, str(error))
                pause(max(backoff.next(), error.seconds if isinstance(error, Throttled) else 0.0), stopped, sleep)
