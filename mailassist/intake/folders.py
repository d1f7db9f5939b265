"""Which folders hold conversations, and in which order they are read."""

from __future__ import annotations

from mailassist.config import FolderSettings
from mailassist.transport.source import Folder, MailSource, Role

_ORDER = {Role.INBOX: 0, Role.SENT: 1, Role.ARCHIVE: 2, Role.ALL: 3}
_LEFT_OUT = (Role.DRAFTS, Role.TRASH, Role.JUNK)


def conversation_folders(source: MailSource, settings: FolderSettings) -> list[Folder]:
    """The folders to index: Inbox first, then Sent, then Archive, then the rest.

    Never Drafts, Junk, Trash or what the configuration skips. On Gmail \\All alone: it holds each message once, and
    its labels say where else.
    """
    there = [folder for folder in source.folders() if folder.selectable and folder.name not in settings.skip]
    if source.gmail:
        everything = [folder for folder in there if folder.role is Role.ALL]
        if everything:
            return everything[:1]
    inboxes = set(settings.inbox)
    chosen = [folder for folder in there if folder.role not in _LEFT_OUT]
    if not source.gmail:
        # Elsewhere \\All (Proton's All Mail, Dovecot's virtual folder) only repeats the other folders.
        chosen = [folder for folder in chosen if folder.role is not Role.ALL]
    return sorted(chosen, key=lambda folder: -1 if folder.name in inboxes else _ORDER.get(folder.role, 9))


def inbox_folders(source: MailSource, settings: FolderSettings) -> list[Folder]:
    """The folders whose mail is answered: INBOX and those that the configuration names."""
    return [
        folder
        for folder in source.folders()
        if folder.selectable and (folder.role is Role.INBOX or folder.name in settings.inbox)
    ]
