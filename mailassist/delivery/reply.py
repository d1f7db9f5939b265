"""A reply as it may leave: what a person or the daemon decides on, and its bytes. Nothing here can send."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailassist.config import Account, Identity
from mailassist.delivery.identifiers import fingerprint_of, keyed, message_id
from mailassist.errors import NotDraftable
from mailassist.mail.compose import Layout, ReplyPlan, compose
from mailassist.mail.message import Message
from mailassist.store.database import Store
from mailassist.transport.source import Location


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person approved."""

    account: str
    original: Message
    plan: ReplyPlan
    text: str
    layout: Layout = field(default_factory=Layout)
    conversation: str = ""
    location: Location | None = None  # of the original, for \\Answered


def layout_of(account: Account, face: Identity, language: str) -> Layout:
    """How an account's replies from `face` look; `language`: that of the attribution line."""
    return Layout(
        quote=account.delivery.quote,
        language=language,
        signature=face.signature,
        html=account.delivery.html,
        html_signature=face.html_signature,
    )


@dataclass(frozen=True, slots=True)
class Built:
    """A reply as bytes, with what it can be found again by."""

    raw: bytes
    message_id: str
    own_id: str
    fingerprint: str


def build(store: Store, reply: Reply, *, now: float, unique: str) -> Built:
    """The bytes of a reply, with keyed identifiers. Raises UnsafeHeader, BuildFailed, NotDraftable."""
    if not reply.plan.to:
        reasons = "; ".join(reply.plan.needs_confirmation)
        raise NotDraftable(f"There is nobody to send this reply to ({reasons})", cure="Choose the recipient yourself.")
    own_id = keyed(store.key(), "own", reply.account, reply.original.message_id, unique)
    new_id = message_id(reply.plan.from_.email, keyed(store.key(), "message", own_id))
    composed = compose(
        reply.plan, reply.text, original=reply.original, layout=reply.layout, message_id=new_id, own_id=own_id,
        date=datetime.fromtimestamp(int(now), UTC).astimezone(),
    )  # fmt: skip
    return Built(composed.raw, new_id, own_id, fingerprint_of(composed.message))
