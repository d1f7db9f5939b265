"""The list of conversations: what is on it, in which order, and what a search leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailassist.review.reply import Key, Reply
from mailassist.worklist import OutboxEntry, SavedDraft, TeamMark

if TYPE_CHECKING:
    from mailassist.intake.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Merged:
    """What a look at the mailbox changed."""

    new: tuple[Reply, ...]  # conversations that were not on the list
    overtaken: tuple[Reply, ...]  # with a text by the person that a newer message came after


class Board:
    """Every conversation the person can turn to. Used by the UI's thread only."""

    def __init__(self) -> None:
        """An empty list."""
        self._replies: dict[Key, Reply] = {}
        self.search = ""
        self.held_only = False  # only what failed or is held

    def __len__(self) -> int:
        """How many wait, searched for or not; what has been sent does not wait."""
        return sum(not reply.gone for reply in self._replies.values())

    def get(self, key: Key | None) -> Reply | None:
        """The conversation with this key."""
        return self._replies.get(key) if key else None

    def all(self) -> list[Reply]:
        """Newest first; a team's: the one with the least office time left first, then the one that came first."""
        return sorted(self._replies.values(), key=_order)

    def shown(self) -> list[Reply]:
        """What the search leaves, in the order of the list."""
        words = self.search.casefold().split()
        found = [reply for reply in self.all() if _matches(reply.waiting, words)]
        return [reply for reply in found if reply.needs_somebody] if self.held_only else found

    @property
    def selected(self) -> list[Reply]:
        """What is to be approved together."""
        return [reply for reply in self.all() if reply.selected]

    def mark(self, account: str, marks: Mapping[str, TeamMark]) -> None:
        """What a team's queue says of the conversations of `account`."""
        for (name, conversation), reply in self._replies.items():
            if name == account and conversation in marks:
                reply.team = marks[conversation]

    def neighbour(self, key: Key | None, step: int) -> Key | None:
        """The conversation `step` rows below `key` (above where negative); None at the ends."""
        keys = [reply.key for reply in self.shown()]
        if key not in keys:
            return keys[0] if keys else None
        position = keys.index(key) + step
        return keys[position] if 0 <= position < len(keys) else None

    def next_open(self, key: Key | None) -> Key | None:
        """Where the work goes on after `key` is done: the next undecided one below, else the nearest above."""
        shown = self.shown()
        keys = [reply.key for reply in shown]
        start = keys.index(key) if key in keys else -1
        below, above = shown[start + 1 :], shown[: max(start, 0)][::-1]
        return next((reply.key for reply in below + above if not reply.on_its_way and not reply.gone), None)

    def merge(
        self, account: str, waiting: Iterable[Waiting], saved: Mapping[str, SavedDraft], keep: Key | None = None
    ) -> Merged:
        """Bring one account's part up to date.

        The one in hand (`keep`) and what is being written or is on its way stay on the list, marked, when they no
        longer wait.
        """
        new: list[Reply] = []
        overtaken: list[Reply] = []
        found: set[Key] = set()
        for item in waiting:
            key = (account, item.conversation)
            found.add(key)
            reply = self._replies.get(key)
            if reply is None:
                reply = self._replies[key] = Reply(item)
                new.append(reply)
                if item.message_id in saved:
                    reply.remember(saved[item.message_id])
                continue
            reply.gone = False
            if item.message_id != reply.waiting.message_id:
                reply.renew(item)
                if reply.edited:
                    overtaken.append(reply)
                    continue
            reply.waiting = item
            _catch_up(reply, saved.get(item.message_id))
        for key, reply in list(self._replies.items()):
            if key[0] == account and key not in found:
                reply.gone = True
                if key != keep and not reply.writing and not reply.outbox:
                    del self._replies[key]
        return Merged(tuple(new), tuple(overtaken))

    def remove(self, key: Key) -> None:
        """Take a conversation off the list."""
        self._replies.pop(key, None)

    def put(self, reply: Reply) -> None:
        """Put a conversation (back) on the list."""
        self._replies[reply.key] = reply

    def follow(self, entries: Iterable[OutboxEntry]) -> list[Reply]:
        """Tell each conversation what became of its reply; returns those whose state changed."""
        by_message = {(entry.account, entry.answers): entry for entry in entries if entry.state != "cancelled"}
        changed = []
        for reply in self._replies.values():
            entry = by_message.get((reply.waiting.account, reply.waiting.message_id))
            if entry != reply.outbox:
                reply.outbox = entry
                changed.append(reply)
        return changed


def _catch_up(reply: Reply, saved: SavedDraft | None) -> None:
    """Show what another window has made of the text meanwhile, unless something is being done with it here."""
    busy = reply.editing or reply.unsaved or reply.writing or reply.on_its_way
    if saved is None or busy:
        return
    if saved.version > reply.version:
        reply.remember(saved)
    elif saved.version == reply.version and saved.in_drafts:
        reply.in_drafts = True


def _order(reply: Reply) -> tuple[float, float, Key]:
    date = reply.waiting.date
    return reply.urgency, date if reply.team is not None else -date, reply.key


def _matches(item: Waiting, words: list[str]) -> bool:
    text = f"{item.correspondent}\n{item.subject}\n{item.account}".casefold()
    return all(word in text for word in words)
