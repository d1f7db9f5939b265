"""New mail appears by itself: IDLE is a hint, the cursor of the index decides."""

from __future__ import annotations

import random
from collections.abc import Callable

from mailassist.desk.connections import Backoff, pause
from mailassist.errors import MailassistError
from mailassist.transport.source import MailSource

LOOK_ANYWAY = 300.0  # seconds: other folders than the watched one change without a hint


def watch(
    opened: Callable[[], MailSource],
    folder: str,
    look: Callable[[], object],
    *,
    changed: Callable[[], None],
    connected: Callable[[bool, str], None],
    stopped: Callable[[], bool],
) -> None:
    """Until `stopped`: wait for a hint in `folder`, then `look`, then say `changed`.

    `opened` gives a new source; `connected` hears of each change of the connection's state. Never raises what has a
    name: the reason is said and the connection tried again, with backoff.
    """
    backoff = Backoff(random.random)
    while not stopped():
        try:
            with opened() as source:
                source.examine(folder)
                connected(True, "")
                backoff.reset()
                while not stopped():
                    look()
                    changed()
                    source.wait(folder, LOOK_ANYWAY, stopped)
        except MailassistError as error:
            if not stopped():
                connected(False, str(error))
                pause(backoff.next(), stopped)
