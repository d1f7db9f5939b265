"""Whether an answer is still wanted: asked when work starts, before the APPEND, and of every result that comes late.

Sent is part of the conversation: the look takes in what came to Inbox and Sent since, and takes the lease of whatever a
newer message or an answer has overtaken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
    inboxes = run.mailbox.account.folders.inbox
    folders = [folder.name for folder in source.folders() if _is_looked_at(folder, inboxes)]
    folders.sort(key=lambda folder: folder in inboxes)  # these are opened, for the flags of the message
    states = {folder: source.examine(folder) if folder in inboxes else source.state(folder) for folder in folders}
    before = {folder: _position(state) for folder, state in states.items()}
    if parts.seen.get(name) != before:
        look(parts, name, source, folders)
        parts.seen[name] = before  # as it was before the look: what came during it is looked at again
    fence, place = arrivals.standing(parts.store, run.row.id, name)
    if fence != run.row.fence:
        raise LeaseLost()
    return place is None or _stands(run, source, place, before)


def _is_looked_at(folder: Folder, inboxes: Collection[str]) -> bool:
    """Whether mail of customers or answers of colleagues come there; on Gmail all of it lies in \\All."""
    return folder.selectable and (folder.name in inboxes or folder.role in (Role.INBOX, Role.SENT, Role.ALL))


def _position(state: FolderState) -> tuple[int, int, int]:
    return state.uidvalidity, state.uidnext, state.exists


def _stands(
    run: Run, source: MailSource, place: tuple[str, int, int], before: Mapping[str, tuple[int, int, int]]
) -> bool:
    """Whether the message still lies in the inbox, and no mail program has marked it as answered."""
    folder, uidvalidity, uid = place
    epoch = before[folder][0] if folder in before else source.examine(folder).uidvalidity
    if epoch != uidvalidity:
        return True  # numbered anew: the next look finds it
    found = [record for record in source.flags(folder, [uid]) if record.location.uid == uid]
    flags = {flag.lower() for record in found for flag in record.flags}
    if not found or "\\deleted" in flags:
        run.finish("none", arrivals.TAKEN_OUT, case="none")
        return False
    if "\\answered" in flags:
        run.finish("answered", "a mail program has marked it as answered", case="answered")
        return False
    return True
