"""One message while it is worked on: its row under a lease, its conversation, and what the steps hand each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailassist.daemon.parts import Mailbox, Parts
from mailassist.errors import NotDraftable
from mailassist.intake.pull import Pulled, pull
from mailassist.mail.recipients import ReplyPlan, plan_reply
from mailassist.store import arrivals
from mailassist.store.arrivals import ArrivalRow, Outlook

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mailassist.drafting.pipeline import DraftRequest
    from mailassist.drafting.prompt import Prompt
    from mailassist.mail.message import Message


LEASE = 300.0  # seconds without a recorded step until another worker may take over
_LOOKED_AHEAD = ("packed", "drafted")  # what follows costs money, or shows to others
_ACTIONS = {"delivered": "placed", "answered": "withdrawn", "none": "no reply needed", "person": "given to a person"}


def nobody_reads_along(text: str) -> None:
    """For a text that streams while nobody sees it."""


class Waits(Exception):
    """The step can go on at `until` (seconds since 1970)."""

    def __init__(self, until: float, reason: str) -> None:
        """See the class."""
        super().__init__(reason)
        self.until = until
        self.reason = reason


@dataclass
class Run:
    """Work on one arrival by one worker."""

    parts: Parts
    row: ArrivalRow
    stopped: Callable[[], bool]
    request: DraftRequest | None = None  # what was packed in this run
    prompt: Prompt | None = None
    outlook: Outlook | None = None  # as of the last step that was recorded, until it was used
    _pulled: Pulled | None = None
    _plan: ReplyPlan | None = None

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox that works on it. Raises NotDraftable where it is no longer configured."""
        found = self.parts.mailboxes.get(self.row.mailbox)
        if found is None:
            raise NotDraftable(f"{self.row.mailbox} is not a team mailbox any more")
        return found

    @property
    def pulled(self) -> Pulled:
        """Its whole conversation, read once. Raises MailboxError, ConnectionFailed."""
        if self._pulled is None:  # not a cached_property: before Python 3.12 all threads wait for each other there
            self._pulled = self._pull()
        return self._pulled

    def _pull(self) -> Pulled:
        parts, box = self.parts, self.mailbox
        with parts.connections.borrowed(box.name) as source:
            return pull(source, parts.store, box.name, box.account, box.own, self.row.message_id, now=parts.now)

    @property
    def answered(self) -> Message:
        """The message to be answered. Raises NotDraftable."""
        found = self.pulled.conversation.message(self.row.message_id)
        if found is None:
            raise NotDraftable("The message is not in the mailbox any more")
        return found

    @property
    def plan(self) -> ReplyPlan:
        """From, recipients and subject, by code. Raises NotDraftable."""
        if self._plan is None:
            box = self.mailbox
            conversation = self.pulled.conversation
            self._plan = plan_reply(conversation, self.answered, box.own, box.account.faces, reply_all=False)
        return self._plan

    def record(
        self,
        *,
        case: Mapping[str, Any] | None = None,
        also: Callable[[sa.Connection], object] | None = None,
        **values: Any,
    ) -> None:
        """Record a step (see `store.arrivals.advance`). Raises LeaseLost, StoreError."""
        if not values:
            values = {"owner": "", "leased_until": 0.0}
        if "state" in values and values["state"] != self.row.state:
            values = {"attempts": 0, "error": "", "leased_until": self.parts.now() + LEASE, **values}

        def all_of_it(connection: sa.Connection) -> None:
            if self.row.case_id is not None and values.get("state") in _LOOKED_AHEAD:
                self.outlook = arrivals.outlook(connection, self.row.id)
            if also is not None:
                also(connection)

        self.outlook = None
        self.row = arrivals.advance(
            self.parts.store, self.row, now=self.parts.now(), case=case, also=all_of_it, **values
        )  # fmt: skip

    def finish(
        self, state: str, reason: str, *, case: str = "", tell: bool = False, blocked: bool = False, **about: Any
    ) -> None:
        """The arrival is at an end; `case`: the state of its case; `tell`: people hear of it, `blocked`: at once."""
        changes = {"state": case, "reason": reason, **about} if case else None

        def also(connection: sa.Connection) -> None:
            if tell:
                self.tell(connection, reason, blocked=blocked, **about)
            self.keep(connection, _ACTIONS.get(state, state))

        self.record(state=state, reason=reason, case=changes, also=also)

    def tell(
        self, connection: sa.Connection, reason: str, *, blocked: bool = False, category: str = "", urgency: str = "",
        **_: Any,
    ) -> None:  # fmt: skip
        """People hear of this case, in the transaction of the step."""
        if self.row.case_id is not None and not self.parts.shadow:
            self.parts.people.case(
                connection, self.row.mailbox, self.row.case_id, reason,
                category=category, urgency=urgency, blocked=blocked,
            )  # fmt: skip

    def keep(self, connection: sa.Connection, action: str, **about: Any) -> None:
        """An entry of the audit trail, in the transaction of the step."""
        self.parts.trail.record_in(
            connection, action, who="daemon", mailbox=self.row.mailbox, case_id=self.row.case_id, **about
        )
