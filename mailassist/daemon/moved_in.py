"""On Gmail: what was put into an inbox later than it came, which has no new UID in All Mail.

The index goes by All Mail there, since it has each message once. An inbox is a label, and a folder with UIDs of its
own: a message that gets the label (from the archive, back from snoozing, by a rule) has a new one in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mailassist.daemon.parts import Mailbox
from mailassist.intake.folders import inbox_folders
from mailassist.intake.records import index_row
from mailassist.store import index, looks
from mailassist.store.database import Store
from mailassist.store.index import IndexRow
from mailassist.store.looks import Position
from mailassist.transport.source import Folder, HeaderRecord, MailSource, Role

MOST = 2000  # messages of an inbox in one look, the newest


def moved_in(
    source: MailSource, store: Store, mailbox: Mailbox, only: Collection[str] = ()
) -> tuple[list[IndexRow], dict[str, Position]]:
    """What All Mail has had for longer and the inboxes (those in `only`, else all) have now, and how far that goes.

    Asked before All Mail is: what comes in between is found there. Writes the new labels into the index. Raises
    MailboxError, ConnectionFailed, StoreError.
    """
    rows: list[IndexRow] = []
    reached: dict[str, Position] = {}
    if not source.gmail or all(cursor.role != Role.ALL for cursor in index.cursors(store, mailbox.name).values()):
        return rows, reached
    before = looks.positions(store, mailbox.name)
    for folder in inbox_folders(source, mailbox.account.folders):
        if only and folder.name not in only:
            continue
        state, position = source.examine(folder.name), before.get(folder.name)
        top = state.uidnext - 1
        if position is None or position.uidvalidity != state.uidvalidity:
            reached[folder.name] = Position(state.uidvalidity, top, state.uidnext)
        elif top > position.uid:
            uids = source.uids(folder.name, position.uid + 1, top)[-MOST:]
            for record in source.headers(folder.name, uids) if uids else ():
                rows += _relabelled(store, mailbox, folder, record)
            reached[folder.name] = Position(state.uidvalidity, top, position.lowest)
    return rows, reached


def _relabelled(store: Store, mailbox: Mailbox, folder: Folder, record: HeaderRecord) -> Iterator[IndexRow]:
    """The copy in All Mail, if the index has it, with the labels that it has now."""
    seen = index_row(mailbox.name, record)  # a folder's own label is not told in it
    labels = "\n".join(sorted({*record.labels, "\\Inbox" if folder.role is Role.INBOX else folder.name}))
    for row in index.conversation_of(store, mailbox.name, seen.message_id):
        if row.message_id == seen.message_id and row.sender_address == seen.sender_address:
            index.change_flags(store, mailbox.name, row.folder, {row.uid: (seen.flags, labels)})
            yield row._replace(flags=seen.flags, labels=labels, headers=record.headers)
