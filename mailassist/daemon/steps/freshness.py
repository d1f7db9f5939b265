"""Whether an answer is still wanted: asked when work starts, before the APPEND, and of every result that comes late.

Sent is part of the conversation: the look takes in what came to Inbox and Sent since, and takes the lease of whatever a
newer message or an answer has overtaken.
"""

from __future__ import annotations

from collections.abc import Collection

from mailassist.daemon.arrivals import look
from mailassist.daemon.steps.run import Run
from mailassist.store import arrivals
from mailassist.store.arrivals import LeaseLost
from mailassist.transport.source import Folder, FolderState, MailSource, Role


def check(run: Run) -> bool:
    """Look again; False where it is handled by somebody, which is recorded then.

    Raises LeaseLost where a newer message or an answer has come, MailboxError, ConnectionFailed.
    """
    with run.parts.connections.borrowed(run.mailbox.name) as source:
        return check_with(run, source)


def check_with(run: Run, source: MailSource) -> bool:
    """The same over a connection that is there."""
    parts, name = run.parts, run.mailbox.name
    folders = [folder.name for folder in source.folders() if _is_looked_at(folder, run.mailbox.account.folders.inbox)]
    before = {folder: _position(source.examine(folder)) for folder in folders}
    if parts.seen.get(name) != before:
        look(parts, name, source, folders)
        parts.seen[name] = before  # as it was before the look: what came during it is looked at again
    now = arrivals.fence(parts.store, run.row.id)
    if now != run.row.fence:
        raise LeaseLost()
    return _stands(run, source)


def _is_looked_at(folder: Folder, inboxes: Collection[str]) -> bool:
    """Whether mail of customers or answers of colleagues come there; on Gmail all of it lies in \\All."""
    return folder.selectable and (folder.name in inboxes or folder.role in (Role.INBOX, Role.SENT, Role.ALL))


def _position(state: FolderState) -> tuple[int, int, int]:
    return state.uidvalidity, state.uidnext, state.exists


def _stands(run: Run, source: MailSource) -> bool:
    """Whether the message still lies in the inbox, and no mail program has marked it as answered."""
    place = arrivals.place_of(run.parts.store, run.row.key, run.mailbox.name)
    if place is None:
        return True
    folder, uidvalidity, uid = place
    if source.examine(folder).uidvalidity != uidvalidity:
        return True  # numbered anew: the next look finds it
    found = [record for record in source.flags(folder, [uid]) if record.location.uid == uid]
    flags = {flag.lower() for record in found for flag in record.flags}
    if not found or "\\deleted" in flags:
        run.finish("none", "a colleague has taken it out of the inbox", case="none")
        return False
    if "\\answered" in flags:
        run.finish("answered", "a mail program has marked it as answered", case="answered")
        return False
    return True
