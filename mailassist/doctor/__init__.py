"""Checks everything that a person can get wrong, and names the cure for each.

Each check is a generator of `Finding`s; one that fails ends only itself, so that one visit shows everything.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailassist import config_file
from mailassist.errors import MailassistError

if TYPE_CHECKING:
    from mailassist.config import Account, Config, Identity
    from mailassist.desk import Desk
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.transport.source import HeaderRecord, MailSource

Level = Literal["ok", "warn", "fail"]

_LOW_DISK = 200 * 1024 * 1024
_SAMPLE = 500  # messages looked at for rules of "personal" senders
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "glusterfs"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    what: str
    cure: str = ""
    exit_code: int = 0  # of the error behind a "fail"


def examine(path: Path, *, online: bool = True) -> Iterator[Finding]:
    """Everything, in the order in which it would hurt. `online=False` asks no server."""
    yield from _machine()
    try:
        config = config_file.load(path)
    except MailassistError as error:
        yield _failure(error)
        return
    yield from _file_modes(path, config)
    from mailassist.desk import Desk

    try:
        desk = Desk(config, config_path=path)
        desk.store  # noqa: B018 - opening it is the check
    except MailassistError as error:
        yield _failure(error)
        return
    try:
        yield from _store(desk)
        yield from _accounts(desk, online)
        if any(account.team is not None for account in config.accounts.values()) or _is_reviewer(config):
            from mailassist.doctor.team import team

            yield from team(desk, online)
        yield from _model(desk, online)
        yield from _attachments(config)
    finally:
        desk.close()


def _failure(error: MailassistError, about: str = "") -> Finding:
    return Finding("fail", f"{about}{error.message}", error.cure, error.exit_code)


def _machine() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("ok", f"Python {version} on {sys.platform}")
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        yield Finding("warn", f"the terminal's encoding is {sys.stdout.encoding}", "Set LANG to a UTF-8 locale.")
    from mailassist import secrets

    problem = secrets.keyring_problem()
    if problem:
        yield Finding("warn", f"no keyring: {problem}", "Use password_command or a 0600 password_file.")
    else:
        yield Finding("ok", "the keyring can be used")


def _file_modes(path: Path, config: Config) -> Iterator[Finding]:
    yield Finding("ok", f"{path} is valid")
    if os.name == "posix" and path.stat().st_mode & 0o022:
        yield Finding("fail", f"{path} can be changed by others", f"Run: chmod 600 {path}", 3)
    if not config.accounts:
        yield Finding("fail", "no account is configured", "Run `mailassist setup you@example.org`.", 3)


def _store(desk: Desk) -> Iterator[Finding]:
    folder = desk.data_folder
    problem = desk.store.damage()
    if problem:
        yield Finding("fail", f"{desk.store.path} is damaged: {problem}", desk.store.way_back, 11)
    else:
        yield Finding("ok", f"the store in {folder} is whole")
    free = shutil.disk_usage(folder).free
    if free < _LOW_DISK:
        yield Finding("warn", f"only {free // 2**20} MB are free in {folder}", "Free some space.")
    system = _file_system(folder)
    if system in _NETWORK_FILE_SYSTEMS:
        yield Finding(
            "fail", f"{folder} is on a network file system ({system})", "Set data_folder to a local disk.", 11
        )


def _file_system(folder: Path) -> str:
    """The type of the file system below `folder`; "" where the system does not tell."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best = ("", "")
    for line in mounts.read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        if folder.resolve().is_relative_to(where) and len(where) > len(best[0]):
            best = (where, kind)
    return best[1]


def _accounts(desk: Desk, online: bool) -> Iterator[Finding]:
    for name, account in desk.config.accounts.items():
        yield from _identities(name, account.faces)
        if not online and account.imap:
            continue
        try:
            with desk.source(name) as source:
                yield Finding("ok", f"{name}: login works")
                yield from _folders(name, account, source)
                yield from _proposals(desk, name, account, source)
                if account.team is not None:
                    from mailassist.doctor.team import mailbox

                    yield from mailbox(desk.own(name), name, account, source)
        except MailassistError as error:
            yield _failure(error, f"{name}: ")
        if account.smtp:
            yield from _smtp(desk, name)
        elif account.delivery.mode == "send" and account.team is None:  # the daemon has no use for SMTP
            cure = f'Add [accounts.{name}.smtp], or set accounts.{name}.delivery.mode = "drafts".'
            yield Finding("fail", f'{name}: mode is "send", but there is no SMTP server', cure, 3)


def _is_reviewer(config: Config) -> bool:
    return bool(config.team.database) or config.team.socket is not None


def _identities(name: str, faces: Iterable[Identity]) -> Iterator[Finding]:
    for face in faces:
        if not face.name:
            yield Finding("warn", f"{name}: no name for {face.address}", "Recipients see the bare address; set `name`.")


def _folders(name: str, account: Account, source: MailSource) -> Iterator[Finding]:
    from mailassist.intake.folders import unknown_folders
    from mailassist.transport.source import Role

    for error in unknown_folders(source, account.folders):
        yield _failure(error, f"{name}: ")
    found = {folder.role: folder.name for folder in source.folders()}
    for role, needed_for in ((Role.SENT, "your own answers are not seen"), (Role.DRAFTS, "drafts cannot be saved")):
        if role not in found:
            cure = f"Set accounts.{name}.folders.{role.value}."
            yield Finding("warn", f"{name}: no {role.value} folder was found: {needed_for}", cure)
    roles = ", ".join(f"{role.value} = {folder}" for role, folder in found.items() if role is not Role.OTHER)
    yield Finding("ok", f"{name}: folders {roles}")
    if source.gmail and Role.ALL not in found:
        cure = 'In Gmail\'s settings, under Labels, let "All Mail" show in IMAP.'
        yield Finding("fail", f"{name}: Gmail hides All Mail", cure, 7)


def _proposals(desk: Desk, name: str, account: Account, source: MailSource) -> Iterator[Finding]:
    """Senders whose mail looks automatic but was answered, or carries a Reply-To of changing people: web forms."""
    from mailassist.intake.folders import inbox_folders

    inboxes = inbox_folders(source, account.folders)
    records = source.newest_headers(inboxes[0].name, _SAMPLE) if inboxes else []
    for sender, why in personal_senders(records, desk.own(name)):
        rule = f'accounts.{name}.waiting.personal = ["{sender}"]'
        yield Finding("warn", f"{name}: mail from {sender} looks automatic, but {why}", f"If people write it: {rule}")


def personal_senders(records: Iterable[HeaderRecord], own: OwnAddresses) -> list[tuple[str, str]]:
    """Senders of automatic-looking mail that people may stand behind, and what speaks for it."""
    from mailassist.mail.automatic import automatic
    from mailassist.mail.parse import parse_headers

    correspondents: dict[str, set[str]] = {}
    answered: Counter[str] = Counter()
    for record in records:
        message = parse_headers(record.headers)
        author = message.author
        if author is None or not automatic(message, own):
            continue
        replies = {address.key for address in message.reply_to if not own.owns(address.email)} - {author.key}
        if own.owns(author.email) and not replies:
            continue
        correspondents.setdefault(author.key, set()).update(replies)
        answered[author.key] += "\\Answered" in record.flags
    forms = [
        (key, f"its Reply-To named {len(people)} people") for key, people in correspondents.items() if len(people) > 2
    ]
    known = {key for key, _ in forms}
    replied = [
        (key, f"you answered {count} of them") for key, count in answered.items() if count > 1 and key not in known
    ]
    return forms + replied


def _smtp(desk: Desk, name: str) -> Iterator[Finding]:
    try:
        desk.check_smtp(name)
        yield Finding("ok", f"{name}: SMTP login works")
    except MailassistError as error:
        yield _failure(error, f"{name}: ")


def _model(desk: Desk, online: bool) -> Iterator[Finding]:
    status = desk.model_status()
    if status.notice:
        yield Finding("warn", status.notice)
    if status.problem:
        what, _, cure = status.problem.partition(". ")
        yield Finding("fail", f"model {status.name}: {what}", cure, 8)
        return
    yield Finding("ok", f"model {status.name}, at {status.host}")
    spending = desk.spending()
    if spending.budget is not None and spending.cost >= spending.budget:
        yield Finding("warn", f"today's budget of ${spending.budget:.2f} is spent", "Raise model.daily_budget.")
    if online:
        try:
            yield Finding("ok", desk.check_model())
        except MailassistError as error:
            yield _failure(error, f"model {status.name}: ")


def _attachments(config: Config) -> Iterator[Finding]:
    """Whether every kind of attachment can be read."""
    from mailassist.documents.reading import available

    if not config.model.documents:
        yield Finding("ok", "attachments are not read (model.documents = false)")
    elif available():
        yield Finding("ok", "PDF, Office files and pictures in mail can be read")
    else:
        cure = "Run: pip install 'mailassist[documents]'"
        yield Finding("warn", "PDF, Office files and pictures in mail are named, but not read", cure)
