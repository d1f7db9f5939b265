"""The outbox: approve, undo, deliver, decide. What is approved is on disk before anything leaves.

`approved -> sending -> sent -> filed -> done`, aside `unknown`, `refused`, `cancelled`; see docs/ARCHITECTURE.md. Every
step is its own commit and can be gone on from by any process after a crash; one process works on a row at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from mailassist.config import Account
from mailassist.delivery import filing, sending
from mailassist.delivery.drafts import resume_drafts
from mailassist.delivery.reply import Reply, build
from mailassist.delivery.work import Route, Surroundings, Work, by_nothing
from mailassist.errors import DeliveryError, DeliveryUnknown
from mailassist.mail.reply_headers import wire_address
from mailassist.store import outbox as table
from mailassist.store.database import Store
from mailassist.store.outbox import OutboxRow
from mailassist.transport.sasl import Credential
from mailassist.transport.source import MailSource

__all__ = [
    "Outcome",
    "Reply",
    "Route",
    "Surroundings",
    "approve",
    "build",
    "cancel",
    "deliver_due",
    "deliver_now",
    "listed",
    "reschedule",
    "resume",
    "retry",
    "route_of",
    "settle_as_sent",
]  # fmt: skip

LEASE = 180.0  # seconds without a sign of life until another process may take over


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one reply."""

    id: int
    account: str
    state: str
    said: str  # one line for the person, with the cure
    row: OutboxRow


def route_of(
    name: str,
    account: Account,
    credential: Credential | None,
    open_source: Callable[[], MailSource],
    stopped_by: Callable[[OutboxRow], str] = by_nothing,
) -> Route:
    """The ways out of a configured account; `credential` is for its SMTP server (None: no login)."""
    from mailassist.transport import smtp

    if account.smtp is None:
        return Route(name, open_source)
    send = partial(smtp.send, account.smtp, credential)
    return Route(name, open_source, send, account.delivery.sent_copy, account.smtp.host, stopped_by)


def approve(store: Store, reply: Reply, *, undo_seconds: float, now: float, around: Surroundings | None = None) -> int:
    """Store the approved reply, to leave `undo_seconds` from now; its id. Nothing has left when this returns.

    Approving the same text for the same recipients twice gives the same id. Raises NotDraftable (nobody to send to),
    UnsafeHeader, BuildFailed, AnotherReply, StoreError.
    """
    built = build(store, reply, now=now, unique=f"send {now} {reply.text}")
    around = around or Surroundings()
    around.mark("approve:built")
    place = reply.location
    row_id = table.insert(
        store,
        {
            "account": reply.account,
            "answers": reply.original.message_id,
            "conversation": reply.conversation,
            "not_before": now + undo_seconds,
            "message_id": built.message_id,
            "own_id": built.own_id,
            "fingerprint": built.fingerprint,
            "sender": wire_address(reply.plan.from_.email),
            "recipients": "\n".join(reply.plan.recipients),
            "raw": built.raw,
            "raw_hash": hashlib.sha256(built.raw).hexdigest(),
            "subject": reply.plan.subject,
            "text": reply.text,
            "answered_folder": place.folder if place else "",
            "answered_uidvalidity": place.uidvalidity if place else None,
            "answered_uid": place.uid if place else None,
        },
        now=now,
    )
    around.mark("approve:stored")
    return row_id


def cancel(store: Store, row_id: int, *, now: float) -> bool:
    """Take an approved reply back; its text is a draft again. False when it is under way, unknown or through."""
    states = ("approved", "refused")
    return table.decide(store, row_id, states, now=now, give_back=True, state="cancelled", error="")


def give_up(store: Store, row_id: int, *, now: float) -> bool:
    """A person wants no more of an unknown reply, arrived or not; its text is a draft again. False for other states."""
    return table.decide(store, row_id, ("unknown",), now=now, give_back=True, state="cancelled", error="")


def reschedule(store: Store, row_id: int, seconds: float, *, now: float) -> bool:
    """An approved or refused reply leaves `seconds` from now; False when it is under way, unknown or through."""
    return table.decide(
        store, row_id, ("approved", "refused"), now=now, give_back=False,
        state="approved", not_before=now + seconds, tries=0, error="", data_started=False, created_at=now,
    )  # fmt: skip


def retry(store: Store, row_id: int, *, now: float) -> bool:
    """A person wants it sent now, also where nobody knows whether it was sent; False when it is under way or through.

    Raises AnotherReply while another reply to the same message is open.
    """
    return table.decide(
        store, row_id, ("approved", "refused", "unknown"), now=now, give_back=False,
        state="approved", not_before=now, tries=0, error="", data_started=False, created_at=now,
    )  # fmt: skip


def settle_as_sent(store: Store, row_id: int, *, now: float) -> bool:
    """A person knows that an unknown reply did arrive: file it, never send it. False for any other state."""
    return table.decide(
        store, row_id, ("unknown",), now=now, give_back=False, state="sent", not_before=now, tries=0, error=""
    )


def listed(store: Store, *, account: str = "", through: bool = False, recent: float | None = None) -> list[OutboxRow]:
    """Approved replies that are not through (or changed after `recent`, or all), oldest first."""
    return table.rows(store, account=account, through=through, recent=recent)


def deliver_due(
    store: Store, routes: Mapping[str, Route], *, around: Surroundings | None = None, limit: int = 100
) -> list[Outcome]:
    """Bring every due reply of the accounts in `routes` as far as it goes now, crashed ones included; drafts too.

    Never raises for one reply what would stop the others: what went wrong is in its outcome and row. Raises StoreError.
    """
    around = around or Surroundings()
    for route in routes.values():
        resume_drafts(store, route, around=around)
    outcomes: list[Outcome] = []
    for _ in range(limit):
        row = table.lease(store, list(routes), now=around.now(), seconds=LEASE, owner=around.owner, alive=around.alive)
        if row is None:
            break
        around.mark("send:leased")
        outcomes.append(_outcome(_through(Work(store, routes[row.account], around), row)))
    return outcomes


def deliver_now(store: Store, route: Route, row_id: int, *, around: Surroundings | None = None) -> Outcome:
    """Bring reply `row_id` of the account of `route`, and no other, as far as it goes now."""
    around = around or Surroundings()
    leased = table.lease(
        store, [route.account], now=around.now(), seconds=LEASE, owner=around.owner, alive=around.alive, only=row_id
    )
    if leased is not None:
        _through(Work(store, route, around), leased)
    row = table.get(store, row_id)
    if row is None:
        raise DeliveryError(f"There is no outbox entry {row_id}", cure="See `mailassist outbox`.")
    return _outcome(row)


resume = deliver_due  # after a crash: the same; every state says what is left to do


def _through(work: Work, row: OutboxRow) -> OutboxRow:
    """Step after step until the row is through, waits, or needs a person."""
    try:
        if row.state in ("approved", "sending"):
            row = sending.send(work, row)
        elif row.state == "unknown":
            row = sending.look_for_copy(work, row)
        if row.state == "sent" and row.not_before <= work.now():
            row = filing.file_copy(work, row)
        if row.state == "filed" and row.not_before <= work.now():
            row = filing.finish(work, row)
    except table.LeaseLost as error:
        found = table.get(work.store, row.id)
        row = replace(found or row, error=str(error))
    return row


def _outcome(row: OutboxRow) -> Outcome:
    return Outcome(row.id, row.account, row.state, said(row), row)


_SAID = {
    "approved": "Waits to be sent to {to}",
    "sending": "Being sent to {to}",
    "sent": "Sent to {to}",
    "filed": "Sent to {to}",
    "done": "Sent to {to}",
    "refused": "Not sent to {to}",
    "cancelled": "Taken back, not sent again to {to}",
    "unknown": "Perhaps sent to {to}: the server's answer was lost and no copy is in Sent",
}


def said(row: OutboxRow) -> str:
    """One line: where the reply is, why, and what a person can do."""
    line = _SAID[row.state].format(to=", ".join(row.recipient_list))
    if row.error:
        line += f". {row.error}"
    if row.state == "unknown":
        line += f". If it arrived: `mailassist outbox sent {row.id}`; if not: `mailassist outbox retry {row.id}`"
    return line.rstrip(".") + "."


def failure(row: OutboxRow) -> DeliveryError | None:
    """The error to raise for a reply that is not on its way: refused, or unknown; None for all others."""
    if row.state == "unknown":
        return DeliveryUnknown(said(row))
    if row.state == "refused" or (row.state == "approved" and row.error):
        return DeliveryError(said(row))
    return None
