"""The queue on the database: roles and policies are enforced here, the rest is one transaction of `store.review`.

On PostgreSQL the person's process runs this with the person's own role, whose grants say the same; in the daemon it
runs for whoever is at the other end of the Unix socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from mailassist.errors import InputError, NotAllowed, Stopped
from mailassist.store import approvals, retrying, review
from mailassist.store.database import Store
from mailassist.team.office_time import due, left
from mailassist.team.queue import Approval, CaseState, Item, Note, Place, Role, Text, Trail
from mailassist.team_settings import TeamMailbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

CLAIM_SECONDS = 900.0
_DOES = {Role.DRAFT: "work on conversations", Role.APPROVE: "approve"}


class StoreQueue:
    """`TeamQueue` for one person; thread-safe."""

    def __init__(
        self,
        store: Store,
        who: str,
        role: Role,
        policies: Mapping[str, TeamMailbox],
        trail: Trail,
        now: Callable[[], float],
        *,
        claim_seconds: float = CLAIM_SECONDS,
    ) -> None:
        """`who`: as database or kernel say; `policies`: the mailboxes whose cases are seen, by account name."""
        self._store, self._who, self._role = store, who, role
        self._policies, self._trail, self._now = policies, trail, now
        self._seconds = claim_seconds

    def who(self) -> tuple[str, Role]:
        """See `TeamQueue`."""
        return self._who, self._role

    def items(self, *, through: bool = False) -> Sequence[Item]:
        """See `TeamQueue`."""
        self._may(Role.SEE)
        now = self._now()
        rows = review.cases(self._store, self._policies, through=through)
        items = [self._item(row, now) for row in rows if through or not self._is_for_drafts(row)]
        return sorted(items, key=lambda item: (item.left is None, item.left or 0.0, item.arrived, item.case_id))

    def texts(self, case_ids: Sequence[int]) -> Mapping[int, Text]:
        """See `TeamQueue`."""
        self._may(Role.SEE)
        return {row.case_id: _text(row) for row in review.texts(self._store, case_ids, self._policies)}

    def claim(self, case_id: int) -> Item:
        """See `TeamQueue`."""
        row, now = self._case(case_id, Role.DRAFT), self._now()
        until = now + self._seconds
        review.claim(self._store, case_id, self._who, now=now, until=until, noted=self._noted("claim", row))
        return self._item(self._case(case_id, Role.DRAFT), now)

    def release(self, case_id: int) -> None:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.DRAFT)
        review.release(self._store, case_id, self._who, noted=self._noted("release", row))

    def hand_over(self, case_id: int, to: str, note: str = "") -> None:
        """See `TeamQueue`."""
        row, now = self._case(case_id, Role.DRAFT), self._now()
        to, note = to.strip(), note.strip()
        if not to:
            raise InputError("There is no name to hand the conversation over to", cure="Name a colleague.")
        noted = self._noted("hand over", row, details={"to": to, "note": bool(note)})
        until = now + self._seconds
        review.hand_over(self._store, case_id, self._who, to, note, now=now, until=until, noted=noted)

    def notes(self, case_id: int) -> Sequence[Note]:
        """See `TeamQueue`."""
        self._case(case_id, Role.SEE)
        return [Note(*row) for row in review.notes(self._store, case_id)]

    def add_note(self, case_id: int, text: str) -> None:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.DRAFT)
        if not text.strip():
            raise InputError("The note is empty", cure="Write something.")
        noted = self._noted("note", row)
        review.add_note(self._store, case_id, self._who, text.strip(), now=self._now(), noted=noted)

    def save_text(self, case_id: int, text: str, *, base: int, reply_all: bool, written_by: str = "person") -> Text:
        """See `TeamQueue`."""
        row, now = self._case(case_id, Role.DRAFT), self._now()
        by_model = written_by == "model"
        noted = self._noted("model draft", row, written=text) if by_model else self._noted("edit", row)
        kept = review.save_text(
            self._store, case_id, self._who, text, base=base, reply_all=reply_all,
            written_by="model" if by_model else "person", now=now, until=now + self._seconds, noted=noted,
        )  # fmt: skip
        return _text(kept)

    def begin_approval(self, case_id: int, text: str) -> Approval:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.APPROVE)
        if not text.strip():
            raise InputError("There is no text to approve", cure="Write one.")

        def noted(connection: Connection, begun: approvals.ApprovalRow, written: str) -> None:
            self._record(connection, "approve", row, written=written, sent=text, details={"approval": begun.id})

        begun = approvals.begin(
            self._store, case_id, self._who, text, now=self._now(), seconds=self._seconds,
            only_claimant=self._policies[row.mailbox].only_claimant_approves, noted=noted,
        )  # fmt: skip
        return self._approval(begun)

    def checked(self, approval_id: int) -> None:
        """See `TeamQueue`."""
        self._may(Role.APPROVE)
        approvals.checked(self._store, approval_id, self._who, now=self._now())

    def leaving(self, approval_id: int) -> None:
        """See `TeamQueue`."""
        self._may(Role.APPROVE)
        approvals.leaving(self._store, approval_id, self._who, now=self._now())

    def settle(self, case_id: int, state: Literal["sent", "stopped"]) -> None:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.APPROVE)

        def noted(connection: Connection, settled: approvals.ApprovalRow, _: str) -> None:
            about = {"approval": settled.id, "of": settled.who}
            self._record(connection, state, row, sent=settled.text if state == "sent" else "", details=about)

        approvals.settle(self._store, case_id, self._who, state, now=self._now(), noted=noted)

    def close_approval(
        self, approval_id: int, state: Literal["sent", "stopped", "refused", "unknown"], said: str
    ) -> None:
        """See `TeamQueue`."""
        self._may(Role.APPROVE)

        def noted(connection: Connection, closed: approvals.ApprovalRow, _: str) -> None:
            row = review.locked(connection, closed.case_id)
            sent = closed.text if state == "sent" else ""
            self._record(connection, state, row, sent=sent, details={"approval": approval_id})

        approvals.close(self._store, approval_id, self._who, state, said, now=self._now(), noted=noted)

    def mine_open(self) -> Sequence[Approval]:
        """See `TeamQueue`."""
        self._may(Role.SEE)
        return [self._approval(row) for row in approvals.open_of(self._store, self._who)]

    def retry(self, case_id: int) -> None:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.DRAFT)
        retrying.ask(self._store, case_id, self._who, now=self._now(), noted=self._noted("retry", row))

    def discard(self, case_id: int, reason: str) -> None:
        """See `TeamQueue`."""
        row = self._case(case_id, Role.DRAFT)
        noted = self._noted("discard", row)
        review.discard(self._store, case_id, self._who, reason.strip(), now=self._now(), noted=noted)

    def _is_for_drafts(self, row: review.CaseRow) -> bool:
        """Whether its draft is for the Drafts folder alone."""
        return row.state == "drafted" and self._policies[row.mailbox].draft_mode == "drafts"

    def _may(self, wanted: Role) -> None:
        """Raises NotAllowed where the role is too small."""
        if self._role < wanted:
            may = _DOES.get(wanted, "see the queue")
            raise NotAllowed(f"{self._who} may not {may}", cure="Ask whoever runs the daemon for the role.")

    def _case(self, case_id: int, wanted: Role) -> review.CaseRow:
        """A case of the person's mailboxes. Raises NotAllowed, Stopped."""
        self._may(wanted)
        row = review.case(self._store, case_id)
        if row is None or row.mailbox not in self._policies:
            raise Stopped(f"There is no case {case_id}", cure="Look at the list again.")
        return row

    def _item(self, row: review.CaseRow, now: float) -> Item:
        policy = self._policies[row.mailbox]
        target = row.due if row.due is not None else due(row.arrived, policy)
        ended = row.state in review.ENDED
        holder = row.holder(now)
        return Item(
            case_id=row.id,
            mailbox=row.mailbox,
            conversation=row.conversation,
            message_id=row.message_id,
            subject=row.subject,
            correspondent=row.correspondent,
            arrived=row.arrived,
            state=cast(CaseState, row.state),
            reason=row.reason,
            missing=tuple(row.missing.split("\n")) if row.missing else (),
            category=row.category,
            urgency=row.urgency,
            due=target,
            left=None if ended else left(now, target, policy),
            claimed_by=holder,
            claimed_until=row.claimed_until if holder else 0.0,
            assigned_to=row.assigned_to,
            notes=row.notes,
            drafted=row.drafted,
            in_drafts=row.in_drafts,
            also_in=row.also_in,
        )

    def _approval(self, row: approvals.ApprovalRow) -> Approval:
        places = [
            Place(**{name: getattr(one, name) for name in Place.__slots__})
            for one in approvals.copies(self._store, row.case_id)
        ]
        return Approval(row.id, row.case_id, row.answers, row.text, tuple(places), row.state)

    def _noted(
        self, action: str, row: review.CaseRow, *, written: str = "", details: Mapping[str, object] | None = None
    ) -> review.Noted:
        """The entry of the trail for what is about to be done."""
        return lambda connection: self._record(connection, action, row, written=written, details=details)

    def _record(
        self,
        connection: Connection,
        action: str,
        row: review.CaseRow,
        *,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        self._trail.record_in(
            connection, action, who=self._who, mailbox=row.mailbox, case_id=row.id, written=written, sent=sent,
            details=details or {},
        )  # fmt: skip


def _text(row: review.TextRow) -> Text:
    return Text(row.text, row.written_by, row.model, row.complete, row.version, row.reply_all)
