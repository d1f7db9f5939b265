"""What can be wrong with team mailboxes: the folders that the daemon needs, policies, models, the ways to the queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailassist.doctor import Finding
from mailassist.errors import MailassistError

if TYPE_CHECKING:
    from mailassist.config import Account, Config
    from mailassist.desk import Desk
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.team_settings import TeamMailbox
    from mailassist.transport.source import HeaderRecord, MailSource

_SAMPLE = 500  # newest messages of Inbox and Sent that are compared
_FEW = 3  # answered messages below which nothing is said
_OUTSIDE = (
    "Let answers be kept in the shared mailbox; on Exchange: Set-Mailbox NAME -MessageCopyForSentAsEnabled $true "
    "-MessageCopyForSendOnBehalfEnabled $true. Until then a draft may be made for what is answered."
)


def mailbox(own: OwnAddresses, name: str, account: Account, source: MailSource) -> Iterator[Finding]:
    """One team mailbox over a connection that is there. Raises MailboxError, ConnectionFailed."""
    from mailassist.transport.imap import ImapSource
    from mailassist.transport.source import Role

    if not isinstance(source, ImapSource):
        yield Finding("fail", f"{name}: the daemon works on IMAP mailboxes only", f"Add [accounts.{name}.imap].", 3)
        return
    settings = account.imap
    if settings is not None and settings.login:
        who = f"{settings.login} logs in" + (f" and opens {settings.mailbox}" if settings.mailbox else "")
        yield Finding("ok", f"{name}: {who}; the mailbox is taken for that of {account.address}")
    found = {folder.role: folder.name for folder in source.folders() if folder.selectable}
    wants_drafts = account.team is not None and account.team.draft_mode != "queue"
    drafts = found.get(Role.DRAFTS)
    if wants_drafts and (drafts is None or drafts.upper() == "INBOX"):
        cure = f"Make a Drafts folder in a mail program, or name one: accounts.{name}.folders.drafts; or use the queue."
        yield Finding("fail", f"{name}: there is no Drafts folder for the daemon, which makes none", cure, 7)
    elif wants_drafts and drafts is not None:
        why = source.why_not(drafts)
        if why:
            yield Finding(
                "fail", f"{name}: drafts cannot be put into {drafts}: {why}", "Give this login the rights.", 7
            )
        else:
            yield Finding("ok", f"{name}: nothing speaks against drafts in {drafts}")
    if Role.SENT in found:
        yield from _answers(own, name, source, found[Role.SENT], account)


def _answers(own: OwnAddresses, name: str, source: MailSource, sent: str, account: Account) -> Iterator[Finding]:
    """Whether what the team answers shows in Sent: mail programs mark it as answered in the inbox."""
    from mailassist.intake.folders import inbox_folders

    inboxes = inbox_folders(source, account.folders)
    records = source.newest_headers(inboxes[0].name, _SAMPLE) if inboxes else []
    marked = {_ids(record)[0] for record in records if "\\answered" in {flag.lower() for flag in record.flags}}
    if len(marked) < _FEW:
        return
    answered = {one for record in source.newest_headers(sent, _SAMPLE) for one in _ids(record)[1]}
    unseen = len(marked - answered)
    if unseen * 2 > len(marked):
        said = f"{name}: {unseen} of {len(marked)} messages that are marked as answered have no answer in {sent}"
        yield Finding("warn", said, _OUTSIDE)
    else:
        yield Finding("ok", f"{name}: the team's answers show in {sent}")


def _ids(record: HeaderRecord) -> tuple[str, tuple[str, ...]]:
    """Its Message-ID, and those that it answers."""
    from mailassist.mail.parse import parse_headers

    message = parse_headers(record.headers)
    return message.message_id, (*message.in_reply_to, *message.references[-1:])


def team(desk: Desk, online: bool) -> Iterator[Finding]:
    """What all team mailboxes share: policies, models, notices, the way to the queue, the key of the trail."""
    config = desk.config
    addresses: dict[str, str] = {}
    for name, account in config.accounts.items():
        if account.team is None:
            continue
        yield from _policy(name, account.team)
        yield from _models(desk, name, account.team)
        for face in account.faces:
            other = addresses.setdefault(face.address.casefold(), name)
            if other != name:
                cure = "Give each address to one team mailbox: the other's mail from it counts as the team's."
                yield Finding("warn", f"{name} and {other} both have {face.address}", cure)
    if any(account.team is not None for account in config.accounts.values()):
        yield from _notices(config)
        yield from _key(desk)
    if online:
        yield from _queue(desk)


def _policy(name: str, policy: TeamMailbox) -> Iterator[Finding]:
    from mailassist.team.office_time import due

    if not policy.office_hours:
        yield Finding(
            "warn", f"{name}: no office hours: nothing is ever overdue", f"Set accounts.{name}.team.office_hours."
        )
        return
    try:
        due(time.time(), policy)
        yield Finding("ok", f"{name}: the policy is valid")
    except MailassistError as error:
        yield Finding("fail", f"{name}: {error.message}", error.cure, error.exit_code)


def _models(desk: Desk, name: str, policy: TeamMailbox) -> Iterator[Finding]:
    """The models that this mailbox names for itself; the configured one is looked at with all."""
    from mailassist.model.registry import find

    settings = desk.config.model
    for model in dict.fromkeys((policy.model, policy.triage_model)):
        if model and not find(model, base_url=settings.base_url).known:
            cure = (
                "`mailassist models` names the known ones. Without a price no budget stops it: set model.input_price."
            )
            yield Finding("warn", f"{name}: nothing is known of the model {model}", cure)
    if settings.name == "outline" and not policy.model:
        yield Finding(
            "fail", f"{name}: the daemon needs a model that writes", "Set model.name; `mailassist models`.", 3
        )


def _notices(config: Config) -> Iterator[Finding]:
    settings = config.daemon.notices
    if not settings.webhook and not (settings.sendmail and settings.to):
        cure = "Set [daemon.notices] sendmail and to, or webhook."
        yield Finding("warn", "nobody hears of urgent and blocked cases", cure)
    queue_only = [
        name for name, account in config.accounts.items() if account.team and account.team.draft_mode == "queue"
    ]
    if queue_only and not config.team.database and config.daemon.review_socket is None:
        cure = "Set [daemon] review_socket, or [team] database."
        yield Finding("warn", f"drafts of {', '.join(queue_only)} reach nobody but the service user", cure)


def _key(desk: Desk) -> Iterator[Finding]:
    from mailassist.team import audit_key

    try:
        key = audit_key.find(desk.config, config_path=desk.config_path, data_folder=desk.data_folder)
    except MailassistError as error:
        yield Finding("fail", error.message, error.cure, error.exit_code)
        return
    if key is not None:
        yield Finding("warn" if key.warning else "ok", key.warning or f"the key of the audit trail: {key.origin}")
    elif desk.config.team.database or desk.config.team.audit_key_file is not None:
        yield Finding("fail", "there is no key for the audit trail", "Run: mailassist audit key.", 4)
    else:
        yield Finding("ok", "the daemon makes a key for the audit trail at its first start")


def _queue(desk: Desk) -> Iterator[Finding]:
    """Whether the team's work can be reached from here, and as whom."""
    from mailassist.team.connect import queue_of

    config = desk.config
    if not config.team.database and config.team.socket is None:
        return
    where = "the team's database" if config.team.database else str(config.team.socket)
    try:
        with queue_of(desk) as queue:
            who, role = queue.who()
    except MailassistError as error:
        yield Finding("fail", f"{where}: {error.message}", error.cure, error.exit_code)
    else:
        yield Finding("ok", f"{where} answers: you are {who}, who may {role.name.lower()}")
