"""One approved reply out by SMTP: `approved -> sending -> data_started -> sent`, each a commit of its own.

The bytes are fixed when the reply is approved. What is tried again was certainly not taken; what may have been taken is
looked for in Sent and otherwise shown to the person as `unknown` (RFC 1047).
"""

from __future__ import annotations

import hashlib

from mailassist.delivery.identifiers import id_told_by_server
from mailassist.delivery.lookup import Wanted, find, folder_of
from mailassist.delivery.work import LOOK_AGAIN, Work
from mailassist.errors import (
    ConnectionFailed,
    DeliveryError,
    DeliveryRefused,
    DeliveryUnknown,
    LoginError,
    MailassistError,
    MailboxError,
)
from mailassist.store import outbox as table
from mailassist.store.outbox import OutboxRow
from mailassist.transport.source import Role

DATA_LEASE = 900.0  # seconds: longer than any server may take to answer the dot
GIVE_UP_AFTER = 2 * 86_400.0  # seconds of temporary refusals
LOGIN_PAUSE = 3_600.0  # seconds: a wrong password tried often locks the account
_FIRST_PAUSE = 30.0
_LONGEST_PAUSE = 3_600.0
_UNKNOWN_LOOKS = 8  # looks for a copy that comes late (Outlook: up to 15 minutes), then the person decides


class DeliveryStopped(DeliveryError):
    """The conversation has changed since the reply was approved; it was not sent and is kept."""


def backoff(tries: int) -> float:
    """Seconds to wait after the failure number `tries` of a step: 30, 60, 120 ... an hour."""
    return min(_FIRST_PAUSE * 2.0 ** max(tries - 1, 0), _LONGEST_PAUSE)


def send(work: Work, row: OutboxRow) -> OutboxRow:
    """Send a row in state `approved` or `sending`; the row as it is afterwards.

    Raises LeaseLost where another process has taken over; other errors end in the row's state and `error`.
    """
    if row.state == "sending" and row.data_started:
        return look_for_copy(work, row)
    try:
        said = work.route.stopped_by(row)
    except table.LeaseLost:
        raise
    except MailassistError as error:
        return _later(work, row, error)
    if said:
        return refuse(work, row, DeliveryStopped(f"Not sent, for {said}", cure="Look at the conversation again."))
    work.mark("send:may-leave")
    row = table.advance(work.store, row, now=work.now(), state="sending", attempt=row.attempt + 1, data_started=False)
    work.mark("send:attempt")
    try:
        return _transmit(work, row)
    except table.LeaseLost:
        raise
    except DeliveryUnknown as error:
        row = table.advance(work.store, row, now=work.now(), error=str(error))
        return look_for_copy(work, row)
    except DeliveryRefused as error:
        return _later(work, row, error) if error.temporary else refuse(work, row, error)
    except MailassistError as error:
        return _later(work, row, error)


def _transmit(work: Work, row: OutboxRow) -> OutboxRow:
    """The SMTP transaction; what the server answered is committed before anything else happens."""
    send_by_smtp = work.route.send
    if send_by_smtp is None:
        raise DeliveryRefused(
            f"Account {row.account!r} has no SMTP server", cure='Add [accounts.NAME.smtp], or set mode = "drafts".'
        )
    if hashlib.sha256(row.raw).hexdigest() != row.raw_hash:
        raise DeliveryRefused(f"The bytes of outbox {row.id} are not those that were approved", cure="Approve again.")

    def on_data() -> None:
        work.mark("send:bytes-written")
        table.advance(work.store, row, now=work.now(), data_started=True, leased_until=work.now() + DATA_LEASE)
        work.mark("send:data-committed")

    answer = send_by_smtp(row.sender, row.recipient_list, row.raw, on_data=on_data)
    work.mark("send:answered")
    return record_sent(work, row, answer.text)


def record_sent(work: Work, row: OutboxRow, answer: str) -> OutboxRow:
    """Commit that the server took the reply. Raises LeaseLost where another attempt has begun since."""
    told = id_told_by_server(answer, row.message_id)
    if not table.record_sent(work.store, row, now=work.now(), server_answer=answer, sent_message_id=told):
        raise table.LeaseLost(f"Outbox {row.id} was sent, but its state had changed in the meantime")
    work.mark("send:recorded")
    return _again(work, row)


def look_for_copy(work: Work, row: OutboxRow) -> OutboxRow:
    """Nobody knows whether the server took it: look in Sent, in new sessions, twice; else `unknown`."""
    row = table.advance(work.store, row, now=work.now(), leased_until=work.now() + DATA_LEASE)
    for look in (1, 2):
        if look == 2:
            work.around.pause(LOOK_AGAIN)
        if copy_in_sent(work, row):
            work.mark("look:found")
            return table.advance(work.store, row, now=work.now(), state="sent", tries=0, error="")
        work.mark(f"look:{look}")
    return _unknown(work, row)


def copy_in_sent(work: Work, row: OutboxRow) -> bool:
    """Whether Sent holds our reply. False where Sent cannot be read now: that proves nothing."""
    wanted = Wanted(row.own_id, [one for one in (row.message_id, row.sent_message_id) if one], row.fingerprint)
    try:
        with work.route.open_source() as source:
            return bool(find(source, folder_of(source, Role.SENT), wanted))
    except (ConnectionFailed, MailboxError, LoginError):
        return False


def refuse(work: Work, row: OutboxRow, error: MailassistError) -> OutboxRow:
    """The server's no is final: the reason is kept, the text goes back to the drafts."""
    return table.return_text(work.store, row, now=work.now(), state="refused", error=str(error), leased_until=0.0)


def _later(work: Work, row: OutboxRow, error: MailassistError) -> OutboxRow:
    """Certainly not taken: try again later, for two days."""
    if work.now() - row.created_at > GIVE_UP_AFTER:
        return refuse(work, row, DeliveryError(f"Given up after two days: {error}"))
    pause = LOGIN_PAUSE if isinstance(error, LoginError) else backoff(row.tries + 1)
    return table.advance(
        work.store, row, now=work.now(), state="approved", data_started=False, tries=row.tries + 1,
        not_before=work.now() + pause, error=str(error), leased_until=0.0,
    )  # fmt: skip


def _unknown(work: Work, row: OutboxRow) -> OutboxRow:
    """Shown to the person, never sent again by itself; Sent is looked at a few times more."""
    tries = row.tries + 1 if row.state == "unknown" else 1
    next_look = work.now() + backoff(tries) if tries < _UNKNOWN_LOOKS else float("inf")
    text = row.error or "The connection broke before the server answered"
    return table.advance(
        work.store,
        row,
        now=work.now(),
        state="unknown",
        tries=tries,
        not_before=next_look,
        leased_until=0.0,
        error=text,
    )


def _again(work: Work, row: OutboxRow) -> OutboxRow:
    found = table.get(work.store, row.id)
    assert found is not None
    return found
