"""Whose text of a conversation may enter a prompt: ids in mail can be forged, so a common participant is required."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mailassist.mail.addresses import OwnAddresses, normal

if TYPE_CHECKING:
    from mailassist.mail.message import Message
    from mailassist.mail.threads import Conversation, Entry

# Where an equal domain does not mean that two people belong together.
_SHARED_DOMAINS = frozenset({
    "gmail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "icloud.com", "me.com", "mac.com",
    "aol.com", "gmx.de", "gmx.net", "gmx.com", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "mail.ru",
    "yandex.ru", "proton.me", "protonmail.com", "fastmail.com", "orange.fr", "free.fr", "laposte.net", "wanadoo.fr",
    "libero.it", "qq.com", "163.com", "126.com", "naver.com", "zoho.com", "mail.com", "comcast.net", "wp.pl", "o2.pl",
    "seznam.cz", "posteo.de", "mailbox.org", "tutanota.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "hotmail.co.uk",
    "hotmail.fr", "live.co.uk", "btinternet.com", "verizon.net", "att.net", "sbcglobal.net", "rediffmail.com",
})  # fmt: skip


def participants_in_common(conversation: Conversation, newest: Message) -> Conversation:
    """The entries of `conversation` that may enter a prompt for an answer to `newest`.

    Ids in mail can be recycled or forged, so an entry counts only if the author of `newest` (the newest from the other
    side, where `newest` is ours) took part in it, or somebody did whom an entry that counts vouches for: who wrote to
    that author, and whom we wrote to together. Whom the author merely names in To or Cc does not vouch for him, unless
    it is of his own domain or an address that never writes here (a list). Own addresses are never in common.
    """
    answered = newest
    if conversation.own.wrote(newest):
        other = conversation.newest_from_others
        answered = other.message if other is not None else newest
    trust = _Trust(conversation)
    trust.extend(_named_by_author(conversation, answered))
    kept = tuple(
        entry
        for index, entry in enumerate(conversation.entries)
        if index in trust.reached or entry.message.message_id in (answered.message_id, newest.message_id)
    )
    return replace(conversation, entries=kept)


class _Trust:
    """Which entries are reached from a set of participants; each entry and participant is looked at once."""

    def __init__(self, conversation: Conversation) -> None:
        self._entries = conversation.entries
        self._own = conversation.own
        self.reached: set[int] = set()
        self._seen: set[str] = set()
        self._by_participant: dict[str, list[int]] = {}
        for index, entry in enumerate(self._entries):
            for key in _authors(entry.message, self._own) | _recipients(entry.message, self._own):
                self._by_participant.setdefault(key, []).append(index)

    def extend(self, participants: set[str]) -> None:
        """Reach what these participants took part in, and whom those entries vouch for."""
        waiting = list(participants)
        while waiting:
            participant = waiting.pop()
            if participant in self._seen:
                continue
            self._seen.add(participant)
            for index in self._by_participant.get(participant, ()):
                if index not in self.reached:
                    self.reached.add(index)
                    waiting.extend(self._vouched(self._entries[index]))

    def _vouched(self, entry: Entry) -> set[str]:
        return _recipients(entry.message, self._own) if entry.ours else _authors(entry.message, self._own)


def _authors(message: Message, own: OwnAddresses) -> set[str]:
    senders = message.from_ or ((message.sender,) if message.sender else ())
    if own.is_form(message):
        senders = message.reply_to
    return {normal(address.email) for address in senders if not own.owns(address.email)}


def _recipients(message: Message, own: OwnAddresses) -> set[str]:
    return {normal(address.email) for address in (*message.to, *message.cc) if not own.owns(address.email)}


def _named_by_author(conversation: Conversation, message: Message) -> set[str]:
    """The author of `message`, and of those he names the ones that his word is enough for."""
    authors = _authors(message, conversation.own)
    domains = {key.rpartition("@")[2] for key in authors} - _SHARED_DOMAINS
    writers = {key for entry in conversation.entries for key in _authors(entry.message, conversation.own)}
    named = _recipients(message, conversation.own)
    return authors | {key for key in named if key not in writers or key.rpartition("@")[2] in domains}
