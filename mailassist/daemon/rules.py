"""Whether a message needs no reply by its headers alone: automatic mail, loops (RFC 3834), lists, the policy."""

from __future__ import annotations

import hashlib

from mailassist.daemon.parts import Mailbox
from mailassist.mail.addresses import named_by, normal, sender_rules
from mailassist.mail.automatic import automatic
from mailassist.mail.message import Message


def no_reply_needed(message: Message, mailbox: Mailbox) -> str:
    """Why nobody waits for an answer to `message`, in plain words; "" where somebody may."""
    reason = automatic(message, mailbox.own)
    if reason:
        return reason
    author = mailbox.own.correspondent(message)
    if author is None:
        return "it has no sender"
    if normal(author.email) in mailbox.team:
        return f"it comes from a mailbox of the team ({author.email})"
    policy = mailbox.policy
    if policy.senders and not named_by(author.key, sender_rules(policy.senders)):
        return "the policy of this mailbox names other senders"
    if named_by(author.key, sender_rules(policy.never_senders)):
        return "the policy of this mailbox leaves this sender out"
    subject = message.subject.casefold()
    if any(text.casefold() in subject for text in policy.never_subjects if text):
        return "the policy of this mailbox leaves this subject out"
    return ""


def arrival_key(message: Message) -> str:
    """The same for one message at several addresses, and for no other: who reuses a Message-ID hides nobody's mail."""
    author = message.author.key if message.author else ""
    parts = (message.message_id, author, message.header("date"), message.header("subject"))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
