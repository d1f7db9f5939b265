"""The queue as it was read last: the list on the screen, and which case a conversation or a message belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from mailassist.desk.connections import pause
from mailassist.errors import MailassistError, Stopped
from mailassist.intake.waiting import Waiting
from mailassist.team.queue import Item, TeamQueue
from mailassist.transport.source import Location
from mailassist.worklist import TeamMark

LOOK = 5.0  # seconds between looks at the queue
_NOWHERE = Location("", 0, 0)


class Listing:
    """The open cases; thread-safe."""

    def __init__(self, queue: TeamQueue, now: Callable[[], float]) -> None:
        """Nothing is read yet."""
        self._queue, self._now = queue, now
        self._items: dict[tuple[str, str], Item] = {}
        self._lock = threading.Lock()
        self.looked = 0.0  # when the queue was read last, seconds since 1970

    def look(self) -> None:
        """Read the queue. Raises MailassistError."""
        items = self._queue.items()
        with self._lock:
            self._items = {(item.mailbox, item.conversation): item for item in items}
            self.looked = self._now()

    def put(self, item: Item) -> None:
        """What the queue has just said of one case."""
        with self._lock:
            self._items[item.mailbox, item.conversation] = item

    @property
    def mailboxes(self) -> set[str]:
        """The mailboxes that have open cases."""
        with self._lock:
            return {mailbox for mailbox, _ in self._items}

    def of(self, account: str) -> list[Item]:
        """The cases of one mailbox, in the order of the queue."""
        with self._lock:
            return [item for (mailbox, _), item in self._items.items() if mailbox == account]

    def case(self, account: str, conversation: str) -> Item:
        """The case of a conversation. Raises Stopped."""
        with self._lock:
            item = self._items.get((account, conversation))
        if item is None:
            raise Stopped("The conversation is not in the queue any more")
        return item

    def numbered(self, case_id: int) -> Item:
        """The case with this number. Raises Stopped."""
        with self._lock:
            found = next((item for item in self._items.values() if item.case_id == case_id), None)
        if found is None:
            raise Stopped(f"There is no open case {case_id}", cure="See `mailassist team list`.")
        return found

    def answering(self, account: str, message_id: str) -> Item:
        """The case in which this message is to be answered. Raises Stopped."""
        found = next((item for item in self.of(account) if item.message_id == message_id), None)
        if found is None:
            raise Stopped("A newer message has come in, or the conversation is not in the queue any more")
        return found

    def waiting(self, account: str) -> list[Waiting]:
        """The list for the screen. Raises MailassistError."""
        self._look_if_old()
        return [
            Waiting(
                account, item.conversation, item.message_id, item.subject, item.correspondent, item.arrived, 1, "",
                _NOWHERE,
            )
            for item in self.of(account)
        ]  # fmt: skip

    def watch(
        self,
        account: str,
        changed: Callable[[], None],
        connected: Callable[[bool, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        """As `worklist.ReviewDesk.watch`; the threads of several mailboxes share each look."""
        before: list[Item] = []
        reached = True
        while not stopped():
            try:
                self._look_if_old()
            except MailassistError as error:
                connected(False, str(error))
                reached = False
            else:
                if not reached:
                    connected(True, "")
                    reached = True
                # Office time that runs down by itself is no news for the list, which is drawn anew anyway.
                now = [replace(item, left=None, claimed_until=0.0) for item in self.of(account)]
                if now != before:
                    changed()
                before = now
            pause(LOOK, stopped)

    def _look_if_old(self) -> None:
        if self._now() - self.looked >= LOOK / 2:
            self.look()


def mark(item: Item, me: str) -> TeamMark:
    """What the row of a conversation says, for `me`."""
    return TeamMark(
        state=item.state,
        reason=item.reason,
        missing=item.missing,
        category=item.category,
        urgency=item.urgency,
        left=item.left,
        held_by=item.claimed_by if item.claimed_by != me else "",
        assigned_to=item.assigned_to,
        notes=item.notes,
        also_in=item.also_in,
    )
