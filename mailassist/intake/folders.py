"""Which folders hold conversations, and in which order they are read."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from mailassist.config import FolderSettings
from mailassist.errors import MailboxError
from mailassist.transport.source import Folder, MailSource, Role

_ORDER = {Role.INBOX: 0, Role.SENT: 1, Role.ARCHIVE: 2, Role.ALL: 3}
_LEFT_OUT = (Role.DRAFTS, Role.TRASH, Role.JUNK)
_SHOWN = 12  # names in an error; a company's server can have thousands


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


def unknown_folders(source: MailSource, settings: FolderSettings) -> list[MailboxError]:
    """One error, not raised, for each name of the configuration that no folder has."""
    there = [folder.name for folder in source.folders()]
    return [_unknown(key, name, there) for key, name in _named(settings) if name not in there]


def _named(settings: FolderSettings) -> Iterator[tuple[str, str]]:
    """(key, folder name) for every folder that the configuration names."""
    for key, value in settings.model_dump().items():
        for name in [value] if isinstance(value, str) else value:
            if name:
                yield key, name


def _unknown(key: str, name: str, there: list[str]) -> MailboxError:
    folded = {one.casefold(): one for one in there}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    names = ", ".join(there[:_SHOWN]) + (", ..." if len(there) > _SHOWN else "")
    cure = f"Did you mean {folded[close[0]]!r}?" if close else f"The folders are: {names}."
    return MailboxError(f"There is no folder {name!r}, which folders.{key} names", cure=cure)
