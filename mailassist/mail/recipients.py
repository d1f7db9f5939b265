"""Who gets the answer, from whom, under which subject: computed from headers and configuration, never from a model.

RFC 5322, 3.6.3 and 3.6.4 (reply fields), draft-ietf-drums-mail-followup-to (Mail-Followup-To), RFC 2369 (List-Post).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mailassist.mail.doubts import confirmations, is_list, remarks
from mailassist.mail.message import Address, Message
from mailassist.mail.reply_headers import UnsafeHeader, wire_address
from mailassist.mail.subjects import reply_subject

if TYPE_CHECKING:
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.mail.threads import Conversation

MANY_RECIPIENTS = 20  # more than these are named once more before a reply goes to all of them
REFERENCES_KEPT = 50  # the first, which names the conversation, and the last 49
_REACHED_BY = ("delivered-to", "x-original-to", "envelope-to", "x-forwarded-to")


class Face(Protocol):
    """One identity of the user, as the configuration has it."""

    @property
    def name(self) -> str:
        """The display name."""
        ...

    @property
    def address(self) -> str:
        """The main address."""
        ...


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """The headers of one reply, before a word of it is written."""

    from_: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    subject: str = ""
    in_reply_to: str = ""  # the Message-ID answered; "" where the sender gave none
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # shown to the person
    needs_confirmation: tuple[str, ...] = ()  # why the person is asked once more before anything leaves
    candidates: tuple[Address, ...] = ()  # whom the person may choose where `to` is empty
    identity: int = 0  # index of the identity that writes
    reply_all: bool = False
    thread_index: str = ""  # of the message answered (Outlook); the reply gets a child of it
    thread_topic: str = ""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Every address of To and Cc once, as it will stand in RCPT TO (P17). Raises UnsafeHeader."""
        return tuple(dict.fromkeys(wire_address(address.email) for address in (*self.to, *self.cc)))


def plan_reply(
    conversation: Conversation,
    answered: Message,
    own: OwnAddresses,
    identities: Sequence[Face],
    *,
    reply_all: bool,
) -> ReplyPlan:
    """The plan of a reply to `answered`, a message of `conversation`.

    `reply_all` is the person's choice. An answer to a web form (`own.is_form`) goes to its Reply-To. `to` is empty, and
    `needs_confirmation` says why, where no single trustworthy recipient can be computed; `confirmed` gives the plan
    once the person has chosen.
    """
    form, ours = own.is_form(answered), own.wrote(answered)
    face, from_ = _from(conversation, answered, own, identities, ours)
    hidden = reply_all and not ours and _reached_by_bcc(answered, own)
    if ours:
        to, cc = list(answered.to), list(answered.cc) if reply_all else []
    else:
        to, cc = _targets(answered, own, reply_all=reply_all and not hidden)
    plan = ReplyPlan(
        from_=from_,
        to=tuple(map(_plain_name, _without_own(to, own) or _distinct(to))),
        subject=_one_line(reply_subject(answered.subject)),
        in_reply_to=_known_id(answered),
        references=_references(answered),
        identity=face,
        reply_all=reply_all,
        thread_index=answered.header("thread-index"),
        thread_topic=_one_line(answered.header("thread-topic")),
    )
    return _judged(
        replace(plan, cc=tuple(map(_plain_name, _without(_without_own(cc, own), plan.to)))),
        answered,
        ours,
        form,
        hidden,
    )


def confirmed(plan: ReplyPlan, to: Iterable[Address] = ()) -> ReplyPlan:
    """`plan` after the person said yes: to `to`, else to whom the plan names. Raises UnsafeHeader for a bad address."""
    chosen = tuple(to) or plan.to or plan.candidates
    for address in chosen:
        wire_address(address.email)
    return replace(plan, to=chosen, cc=tuple(_without(plan.cc, chosen)), needs_confirmation=(), candidates=())


def _judged(plan: ReplyPlan, answered: Message, ours: bool, form: bool, hidden: bool) -> ReplyPlan:
    """`plan` with its notes, the reasons to ask, and without recipients where only a person can choose them."""
    reasons, must_choose = confirmations(answered, plan.to, ours=ours, form=form)
    notes = remarks(answered, plan.to, ours=ours)
    dropped = [address for address in plan.cc if not _usable(address)]
    if dropped:
        notes.append("Left out, not a valid address: " + ", ".join(str(address.email) for address in dropped))
    cc = tuple(address for address in plan.cc if address not in dropped)
    if hidden:
        notes.append("You are in neither To nor Cc (Bcc, or an unknown alias): the answer goes to the sender alone")
    count = len(plan.to) + len(cc)
    if count > MANY_RECIPIENTS:
        reasons.append(f"many recipients: the reply goes to {count} addresses")
    if must_choose or not all(_usable(address) for address in plan.to):
        candidates = tuple(address for address in plan.to if wellformed(address))
        plan = replace(plan, to=(), candidates=candidates)
    return replace(plan, cc=cc if plan.to else (), notes=tuple(notes), needs_confirmation=tuple(reasons))


def _targets(answered: Message, own: OwnAddresses, *, reply_all: bool) -> tuple[list[Address], list[Address]]:
    """To and Cc of an answer to somebody else (RFC 5322, 3.6.3).

    A Reply-To or Mail-Followup-To that names nobody but us (a support group's) counts as none.
    """
    followup = _without_own(answered.mail_followup_to, own)
    if reply_all and followup:
        return followup, []
    author = [*answered.from_] or ([answered.sender] if answered.sender else [])
    to = _without_own(answered.reply_to, own) or author
    return to, [*answered.to, *answered.cc] if reply_all else []


def _from(
    conversation: Conversation, answered: Message, own: OwnAddresses, identities: Sequence[Face], ours: bool
) -> tuple[int, Address]:
    """The identity written to and its address as it was written to: aliases and plus-addresses stay."""
    for address in _written_to(conversation, answered, own, ours):
        index = own.which(address.email)
        if index is not None and wellformed(address):
            return index, Address(identities[index].name, address.email)
    return 0, Address(identities[0].name, identities[0].address)


def _written_to(conversation: Conversation, answered: Message, own: OwnAddresses, ours: bool) -> Iterable[Address]:
    """Addresses that may be the user's, the most telling first."""
    if ours:
        yield from answered.from_
    yield from answered.to
    yield from answered.cc
    for name in _REACHED_BY:
        for value in answered.headers.get(name, ()):
            yield Address("", value.strip())
    for entry in reversed(conversation.entries):
        if entry.ours:
            yield from entry.message.from_


def _reached_by_bcc(answered: Message, own: OwnAddresses) -> bool:
    """No own address among the visible recipients, and no list or follow-up address that would explain it."""
    visible = (*answered.to, *answered.cc, *answered.mail_followup_to)
    return not is_list(answered) and not any(own.owns(address.email) for address in visible)


def _known_id(answered: Message) -> str:
    """The Message-ID that the sender gave; "" where `parse_message` made one up."""
    return answered.message_id if answered.message_id in answered.header("message-id") else ""


def _references(answered: Message) -> tuple[str, ...]:
    """RFC 5322, 3.6.4: the parent's References (else its one In-Reply-To) and its Message-ID, at most 50."""
    before = answered.references or (answered.in_reply_to if len(answered.in_reply_to) == 1 else ())
    known = _known_id(answered)
    chain = [*dict.fromkeys(one for one in before if one != known and _short(one)), *([known] if known else [])]
    return tuple(chain if len(chain) <= REFERENCES_KEPT else [chain[0], *chain[-(REFERENCES_KEPT - 1) :]])


def _short(message_id: str) -> bool:
    return message_id.isascii() and len(message_id) <= 900


def _one_line(value: str) -> str:
    """`value` on one line without control characters: what a sender smuggled in stays text."""
    return " ".join("".join(" " if ord(one) < 32 or 127 <= ord(one) < 160 else one for one in value).split())


def _plain_name(address: Address) -> Address:
    """The address with a display name that holds nothing but a name: no controls, and no other address."""
    name = "".join(one for one in _one_line(address.name) if one.isprintable())
    return replace(address, name="" if "@" in name else name)


def wellformed(address: Address) -> bool:
    """Whether `address` can stand in RCPT TO at all."""
    try:
        wire_address(address.email)
    except UnsafeHeader:
        return False
    return True


def _usable(address: Address) -> bool:
    """P10: an address that was parsed with doubts is never used without the person."""
    return not address.defects and wellformed(address)


def _distinct(addresses: Iterable[Address]) -> list[Address]:
    return list({address.key: address for address in reversed(list(addresses))}.values())[::-1]


def _without_own(addresses: Iterable[Address], own: OwnAddresses) -> list[Address]:
    return [address for address in _distinct(addresses) if not own.owns(address.email)]


def _without(addresses: Iterable[Address], taken: Iterable[Address]) -> list[Address]:
    keys = {address.key for address in taken}
    return [address for address in _distinct(addresses) if address.key not in keys]
