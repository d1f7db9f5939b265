"""What a folder is for: SPECIAL-USE attributes (RFC 6154, in plain LIST too), XLIST, then names in many languages."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7

from mailassist.config import FolderSettings
from mailassist.transport.source import Folder, Role

_ATTRIBUTES = {
    "\\all": Role.ALL, "\\allmail": Role.ALL, "\\archive": Role.ARCHIVE, "\\drafts": Role.DRAFTS, "\\inbox": Role.INBOX,
    "\\junk": Role.JUNK, "\\spam": Role.JUNK, "\\sent": Role.SENT, "\\trash": Role.TRASH,
}  # fmt: skip
# "All Mail" of a server without Gmail's extensions is often a user's own folder: names say it only below these.
_ALL_MAIL_PARENTS = ("[gmail]", "[google mail]")


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of LIST or XLIST, its name decoded."""

    name: str
    delimiter: str
    attributes: frozenset[str]  # as sent, any case
    sent: bytes = b""  # the name as sent, where that is no modified UTF-7


def decoded_name(sent: bytes) -> str:
    """A folder's or label's name from modified UTF-7; what is not written in it stays readable as far as it can."""
    try:
        return str(decode_utf7(sent))
    except ValueError:  # binascii.Error and UnicodeError are ValueErrors
        return sent.decode("utf-8", "replace")


def as_listed(sent: bytes, delimiter: str, attributes: Iterable[str]) -> Listed:
    """A line of LIST. A name that its decoding does not lead back to is shown as it is and kept as it was sent.

    INBOX is one name however it is written (RFC 3501, 5.1; Yahoo writes Inbox).
    """
    if sent.upper() == b"INBOX":
        return Listed("INBOX", delimiter, frozenset(attributes))
    name = decoded_name(sent)
    if name.isprintable() and encode_utf7(name) == sent:
        return Listed(name, delimiter, frozenset(attributes))
    shown = "".join(one if one.isprintable() else "\ufffd" for one in sent.decode("utf-8", "replace"))
    cannot_be_sent = ["\\Noselect"] if any(mark in sent for mark in b"\r\n\0") else []
    return Listed(shown, delimiter, frozenset([*attributes, *cannot_be_sent]), sent)


def distinct(lines: Iterable[Listed]) -> list[Listed]:
    """The same lines, with a number behind a name as sent that looks like another's."""
    lines = list(lines)
    taken = {line.name for line in lines if not line.sent}
    found = []
    for line in lines:
        if line.sent:
            names = (line.name, *(f"{line.name} ({number})" for number in range(2, len(lines) + 2)))
            line = replace(line, name=next(name for name in names if name not in taken))
            taken.add(line.name)
        found.append(line)
    return found


def assign_roles(listed: Iterable[Listed], settings: FolderSettings) -> tuple[Folder, ...]:
    """Every folder with its role; for each role except OTHER at most one folder, the surest.

    What the configuration names wins, then attributes, then names; among equals the least deep, then the first. A name
    that no folder has chooses nothing: `doctor` and `sync` tell.
    """
    lines = list(listed)
    there = {line.name for line in lines}
    chosen = {role: name for role, name in _configured(settings).items() if name in there}
    for find in (_by_attribute, _by_name):
        for line in sorted(lines, key=_depth):
            role = find(line)
            if role is not None and _is_selectable(line) and line.name not in chosen.values():
                chosen.setdefault(role, line.name)
    roles = {name: role for role, name in chosen.items()}
    return tuple(Folder(line.name, roles.get(line.name, Role.OTHER), _is_selectable(line)) for line in lines)


def find(folders: Iterable[Folder], role: Role) -> str:
    """The name of the folder with that role, or ""."""
    return next((folder.name for folder in folders if folder.role is role), "")


def holding_conversations(folders: Iterable[Folder], settings: FolderSettings) -> list[str]:
    """The folders where parts of a conversation are looked for: inboxes, Sent, Archive and what the user added."""
    known = [folder for folder in folders if folder.selectable]
    names = {folder.name.casefold(): folder.name for folder in known}
    wanted = [names.get(name.casefold(), name) for name in settings.inbox]
    wanted += [folder.name for folder in known if folder.role in (Role.INBOX, Role.SENT, Role.ARCHIVE)]
    wanted += settings.also
    return [name for name in dict.fromkeys(wanted) if name not in settings.skip]


def _configured(settings: FolderSettings) -> dict[Role, str]:
    named: Mapping[Role, str] = {
        Role.SENT: settings.sent,
        Role.DRAFTS: settings.drafts,
        Role.ARCHIVE: settings.archive,
        Role.TRASH: settings.trash,
    }
    return {role: name for role, name in named.items() if name}


def _by_attribute(line: Listed) -> Role | None:
    if line.name == "INBOX":
        return Role.INBOX
    return next((_ATTRIBUTES[name.lower()] for name in sorted(line.attributes) if name.lower() in _ATTRIBUTES), None)


@functools.cache
def _roles_of_names() -> dict[str, Role]:
    text = (Path(__file__).parent / "folder_names.toml").read_text(encoding="utf-8")
    return {name: Role(role) for role, names in tomllib.loads(text).items() for name in names}


def _by_name(line: Listed) -> Role | None:
    parents, last = _split(line)
    role = _roles_of_names().get(re.sub(r"\s+", " ", last))
    if role is Role.ALL:
        return role if parents in _ALL_MAIL_PARENTS else None
    # Below a folder of the user's own ("Customers/Archive") a name says nothing.
    return role if parents in ("", "inbox", *_ALL_MAIL_PARENTS) else None


def _split(line: Listed) -> tuple[str, str]:
    folded = line.name.casefold()
    if not line.delimiter:
        return "", folded
    parents, _, last = folded.rpartition(line.delimiter)
    return parents, last


def _depth(line: Listed) -> int:
    return line.name.count(line.delimiter) if line.delimiter else 0


def _is_selectable(line: Listed) -> bool:
    return not {"\\noselect", "\\nonexistent"} & {name.lower() for name in line.attributes}
