"""The approvals table: leave to send one reply, for one person at a time.

`claimed -> checked -> sending -> sent | stopped | refused | unknown`. While a row is open no other can be made for its
case, which the constraint on (case_id, open) holds whatever happens. `sending` is set, only while the row is open,
before the reply goes into its person's outbox: until then nothing can have left, and an approval without a sign of life
may be ended by whoever comes next. From then on its person ends it; without a sign of life it is `unknown`, which
anybody who may approve can settle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from mailassist.errors import Stopped, Taken
from mailassist.store import review, team_schema
from mailassist.store.cases import change
from mailassist.store.database import Store
from mailassist.store.schema import drafts

_approvals, _cases = team_schema.approvals, team_schema.cases


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One approval; the columns of store/team_schema.py."""

    id: int
    case_id: int
    answers: str
    who: str
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A copy of the draft that may lie in the mailbox."""

    folder: str  # "": its APPEND broke off, it lies in Drafts if anywhere
    uidvalidity: int | None
    uid: int | None
    own_id: str
    message_id: str
    fingerprint: str
    replaced: bool = False


_COLUMNS = [_approvals.c[name] for name in ApprovalRow.__slots__]
_AS_CLOSED = {"sent": "answered"}  # what becomes of the case; of the others: it is open again
_GIVEN_UP = {"state": "stopped", "open": None, "said": "no sign of life"}
_NOTHING_LEFT = ("claimed", "checked")  # states in which nothing can have left yet
NOBODY_KNOWS = "nobody can tell whether the approved reply was sent"
_ENDED = "The approval has ended meanwhile"


Noted = Callable[[sa.Connection, "ApprovalRow", str], object]  # with what the model wrote, where the text was a model's


def begin(
    store: Store, case_id: int, who: str, text: str, *, now: float, seconds: float, only_claimant: bool, noted: Noted
) -> ApprovalRow:
    """Give `who` leave to send `text` in answer to the case, and nobody else until it is closed.

    `seconds`: how long a claim lasts without a sign of life. `only_claimant`: whoever has the case in hand. `noted` is
    called last in the transaction. Raises Taken, Stopped.
    """
    with store.write() as connection:
        row = review.locked(connection, case_id)
        review.refuse_ended(row)
        _refuse_second(connection, case_id, who, now, seconds)
        if only_claimant:
            review.refuse_held(row, who, now)
        if row.state == "theirs":
            raise Stopped(
                f"A colleague has it: {row.reason or 'the draft was edited or deleted in a mail program'}",
                cure="Edit the text here if you want to answer all the same.",
            )
        draft = _draft(connection, case_id)
        if draft is not None and draft.state == "appending" and draft.changed_at + review.APPENDING > now:
            raise Stopped("The draft is being put into Drafts right now", cure="Try again in a minute.")
        version, everybody = (draft.version, draft.reply_all) if draft is not None else (0, False)
        if draft is None or draft.text != text:
            review.put_text(connection, row, text, base=version, reply_all=everybody, written_by="person", now=now)
        added = connection.execute(
            _approvals.insert().values(
                case_id=case_id,
                answers=row.message_id,
                who=who,
                text=text,
                state="claimed",
                open=1,
                fingerprint=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
                created_at=now,
                changed_at=now,
            )
        )
        mine = {"state": "approved", "reason": "", "claimed_by": who, "claimed_until": now + seconds}
        change(connection, case_id, now=now, **mine)
        key = added.inserted_primary_key
        assert key is not None
        begun = _row(connection, int(key[0]))
        noted(connection, begun, draft.text if draft is not None and draft.written_by == "model" else "")
        return begun


def copies(store: Store, case_id: int) -> list[CopyRow]:
    """Every copy of the case's draft that may lie in the mailbox: the current one, and the one that it replaces."""
    with store.read() as connection:
        draft = _draft(connection, case_id)
    if draft is None:
        return []
    found = []
    if draft.own_id and (draft.folder or draft.pending):
        found.append(
            CopyRow(draft.folder, draft.uidvalidity, draft.uid, draft.own_id, draft.message_id, draft.fingerprint)
        )
    if draft.old_own_id and draft.old_folder:
        old = draft.old_folder, draft.old_uidvalidity, draft.old_uid, draft.old_own_id, "", draft.old_fingerprint
        found.append(CopyRow(*old, replaced=True))
    return found


def checked(store: Store, approval_id: int, who: str, *, now: float) -> None:
    """The copies in Drafts are gone, the reply may leave. Raises Stopped where the approval has ended."""
    with store.write() as connection:
        mine = _approvals.c.id == approval_id, _approvals.c.who == who, _approvals.c.open == 1
        done = connection.execute(
            _approvals.update().where(*mine, _approvals.c.state.in_(_NOTHING_LEFT))
            .values(state="checked", changed_at=now)
        )  # fmt: skip
        if done.rowcount != 1:
            raise Stopped(_ENDED, cure="Look at the conversation, then approve again.")
        case_id = _row(connection, approval_id).case_id
        nowhere: dict[str, Any] = {"pending": b""}
        for old in ("", "old_"):
            nowhere |= {f"{old}folder": "", f"{old}uidvalidity": None, f"{old}uid": None}
        nowhere |= {"old_own_id": "", "old_fingerprint": "", "state": "approved"}
        connection.execute(drafts.update().where(drafts.c.case_id == case_id).values(changed_at=now, **nowhere))


def leaving(store: Store, approval_id: int, who: str, *, now: float) -> None:
    """The reply goes into the outbox of `who`, or is there still. Raises Stopped where the approval has ended."""
    mine = _approvals.c.id == approval_id, _approvals.c.who == who, _approvals.c.open == 1
    with store.write() as connection:
        case_id = _lock_case(connection, approval_id)
        before = connection.scalar(sa.select(_approvals.c.state).where(*mine).with_for_update())
        if before not in ("checked", "sending", "unknown"):
            raise Stopped(_ENDED, cure="Look at the conversation, then approve again.")
        connection.execute(_approvals.update().where(*mine).values(state="sending", changed_at=now))
        if before == "unknown":
            change(connection, case_id, now=now, reason="")


def settle(
    store: Store, case_id: int, who: str, state: Literal["sent", "stopped"], *, now: float, noted: Noted
) -> None:
    """A person says whether the reply left of which nobody knows. Raises Stopped where there is none such."""
    unknown = _approvals.c.case_id == case_id, _approvals.c.open == 1, _approvals.c.state == "unknown"
    with store.write() as connection:
        review.locked(connection, case_id)
        approval_id = connection.scalar(sa.select(_approvals.c.id).where(*unknown).with_for_update())
        if approval_id is None:
            raise Stopped("No reply to this conversation has to be settled", cure="Look at the list again.")
        said = f"{who} says that it was {'sent' if state == 'sent' else 'not sent'}"
        mine = _approvals.c.id == approval_id
        connection.execute(_approvals.update().where(mine).values(state=state, said=said, open=None, changed_at=now))
        row = _row(connection, approval_id)
        _close_case(connection, row, state, said, now)
        noted(connection, row, "")


def close(store: Store, approval_id: int, who: str, state: str, said: str, *, now: float, noted: Noted) -> None:
    """How it ended, if it had not ended before. `unknown` stays open: nobody may send another one."""
    with store.write() as connection:
        _lock_case(connection, approval_id)
        mine = _approvals.c.id == approval_id, _approvals.c.who == who, _approvals.c.open == 1
        ended = {"open": None} if state != "unknown" else {}
        done = connection.execute(
            _approvals.update().where(*mine).values(state=state, said=said, changed_at=now, **ended)
        )
        if done.rowcount != 1:
            return
        row = _row(connection, approval_id)
        if state != "unknown":
            _close_case(connection, row, state, said, now)
        else:
            change(connection, row.case_id, now=now, reason=said)
        noted(connection, row, "")


def open_of(store: Store, who: str) -> list[ApprovalRow]:
    """The approvals of `who` that have not ended, oldest first."""
    query = sa.select(*_COLUMNS).where(_approvals.c.who == who, _approvals.c.open == 1).order_by(_approvals.c.id)
    with store.read() as connection:
        return [ApprovalRow(**row._mapping) for row in connection.execute(query)]


def was_sent(store: Store, case_id: int, answers: str) -> bool:
    """Whether an approved reply to the message `answers` has left."""
    mine = _approvals.c.case_id == case_id, _approvals.c.answers == answers, _approvals.c.state == "sent"
    with store.read() as connection:
        return connection.scalar(sa.select(_approvals.c.id).where(*mine).limit(1)) is not None


def give_up(store: Store, mailboxes: Collection[str], *, now: float, seconds: float, noted: Noted) -> int:
    """See to the approvals of these mailboxes that gave no sign of life for so long; how many.

    Their cases would stay approved, and nothing newer in them would be drafted. Where nothing can have left the case is
    open again; what went into somebody's outbox is `unknown`, for a person to settle. `noted` gets the connection, the
    row as it is then and the name of its mailbox.
    """
    old = (
        sa.select(_approvals.c.id, _approvals.c.case_id, _cases.c.mailbox)
        .join(_cases, _approvals.c.case_id == _cases.c.id)
        .where(_silent(now, seconds))
    )
    with store.read() as connection:
        found = [one for one in connection.execute(old) if one.mailbox in mailboxes]
    return sum(_given_up(store, one.id, one.case_id, one.mailbox, now, seconds, noted) for one in found)


def _silent(now: float, seconds: float) -> sa.ColumnElement[bool]:
    at_work = _approvals.c.state.in_((*_NOTHING_LEFT, "sending"))
    return (_approvals.c.open == 1) & at_work & (_approvals.c.changed_at + seconds <= now)


def _given_up(
    store: Store, approval_id: int, case_id: int, mailbox: str, now: float, seconds: float, noted: Noted
) -> bool:
    mine = _approvals.c.id == approval_id
    with store.write() as connection:
        review.locked(connection, case_id)
        still = sa.select(*_COLUMNS).where(mine, _silent(now, seconds)).with_for_update()
        found = connection.execute(still).first()
        if found is None:
            return False
        if found.state in _NOTHING_LEFT:
            connection.execute(_approvals.update().where(mine).values(changed_at=now, **_GIVEN_UP))
            said = f"the approval of {found.who} gave no sign of life; nothing was sent"
            _close_case(connection, ApprovalRow(**found._mapping), "stopped", said, now)
        else:
            connection.execute(_approvals.update().where(mine).values(state="unknown", said=NOBODY_KNOWS))
            reason = f"{NOBODY_KNOWS}, it lay in the outbox of {found.who}: `mailassist team settle {case_id}` says it"
            change(connection, case_id, now=now, reason=reason)
        noted(connection, _row(connection, approval_id), mailbox)
        return True


def _lock_case(connection: sa.Connection, approval_id: int) -> int:
    """Lock the case before its approval, in this order everywhere; its id, 0 where there is none."""
    mine = sa.select(_approvals.c.case_id).where(_approvals.c.id == approval_id).scalar_subquery()
    return int(connection.scalar(sa.select(_cases.c.id).where(_cases.c.id == mine).with_for_update()) or 0)


def _refuse_second(connection: sa.Connection, case_id: int, who: str, now: float, seconds: float) -> None:
    """Raises Taken or Stopped where an approval is open, unless it was given up before anything could leave."""
    found = connection.execute(
        sa.select(_approvals.c.id, _approvals.c.who, _approvals.c.state, _approvals.c.changed_at)
        .where(_approvals.c.case_id == case_id, _approvals.c.open == 1)
        .with_for_update()
    ).first()  # fmt: skip
    if found is None:
        return
    if found.state in _NOTHING_LEFT and found.changed_at + seconds <= now:
        silent = _approvals.update().where(_approvals.c.id == found.id)
        connection.execute(silent.values(changed_at=now, **_GIVEN_UP))
    elif found.who == who:
        raise Stopped("You have approved a reply to this conversation already; it is on its way")
    elif found.state == "unknown":
        cure = f"{found.who} has to settle it, or whoever knows: `mailassist team settle {case_id} sent|not-sent`."
        raise Taken(f"Nobody can tell whether {found.who}'s reply was sent", cure=cure)
    else:
        raise Taken(f"{found.who} is sending a reply to this conversation")


def _close_case(connection: sa.Connection, row: ApprovalRow, state: str, said: str, now: float) -> None:
    """The case after its approval: answered, or open again with the reason."""
    if state in _AS_CLOSED:
        ended = {"state": _AS_CLOSED[state], "reason": said, "claimed_by": "", "claimed_until": 0.0}
        change(connection, row.case_id, now=now, **ended)
        return
    again = _cases.c.id == row.case_id, _cases.c.state == "approved"  # the daemon may have found an answer meanwhile
    changes = {"state": "drafted", "reason": said, "changed_at": now}
    connection.execute(_cases.update().where(*again).values(**changes))
    taken_back = drafts.c.case_id == row.case_id, drafts.c.state == "approved"
    connection.execute(drafts.update().where(*taken_back).values(state="kept", changed_at=now))


def _draft(connection: sa.Connection, case_id: int) -> sa.Row[Any] | None:
    return connection.execute(sa.select(drafts).where(drafts.c.case_id == case_id)).first()


def _row(connection: sa.Connection, approval_id: int) -> ApprovalRow:
    found = connection.execute(sa.select(*_COLUMNS).where(_approvals.c.id == approval_id)).one()
    return ApprovalRow(**found._mapping)
