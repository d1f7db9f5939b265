"""What every step of the daemon is given: mailboxes and their policies, the store, the ways to servers and models."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mailassist.config import Account, Config
from mailassist.delivery.work import Route
from mailassist.desk.attachments import Attachments
from mailassist.mail.addresses import OwnAddresses, normal
from mailassist.store.database import Store
from mailassist.team_settings import TeamMailbox

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mailassist.daemon.steps.run import Run
    from mailassist.documents import Document
    from mailassist.errors import MailassistError
    from mailassist.intake.pull import Pulled
    from mailassist.model.client import Writer
    from mailassist.model.registry import ModelInfo, Usage
    from mailassist.store.arrivals import ArrivalRow
    from mailassist.transport.source import MailSource


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One team mailbox."""

    name: str
    account: Account
    policy: TeamMailbox
    own: OwnAddresses
    rank: int  # its place in the configuration: of several that got a message, the first works on it
    team: frozenset[str] = frozenset()  # the addresses of all team mailboxes, in their normal form


class Mailboxes(Protocol):
    """The connections for work: opened when needed, used again, never more of them than the provider likes."""

    def borrowed(self, name: str) -> AbstractContextManager[MailSource]:
        """One for a piece of work. Raises LoginError, ConnectionFailed, SecretError, MailboxError."""
        ...

    def opened(self, name: str) -> MailSource:
        """A new one, to be closed by the caller."""
        ...


@dataclass(slots=True)
class Writing:
    """A writer for one call; what the call came to is to be told, for the limits."""

    writer: Writer
    usage: Usage | None = None


class Calls(Protocol):
    """Calls to the models of the mailboxes, within the limits of the account."""

    def info(self, mailbox: str, *, triage: bool = False) -> ModelInfo:
        """The model that writes for this mailbox, or triages. Raises ConfigError, SecretError, ModelError."""
        ...

    def writer(
        self, mailbox: str, tokens: int, stopped: Callable[[], bool], *, triage: bool = False
    ) -> AbstractContextManager[Writing]:
        """A writer for one call of at most so many tokens. Raises ModelBusy, SecretError, ModelError."""
        ...


class Keeping(Protocol):
    """The audit trail (`team.audit.Trail`)."""

    def record_in(
        self,
        connection: sa.Connection,
        action: str,
        *,
        who: str,
        mailbox: str = "",
        case_id: int | None = None,
        written: str = "",
        sent: str = "",
        details: Mapping[str, object] = ...,
    ) -> object:
        """Add an entry in the caller's transaction, as its last statement."""
        ...


class Telling(Protocol):
    """The people behind the mailboxes (`daemon.people.People`)."""

    def case(
        self,
        connection: sa.Connection,
        mailbox: str,
        case_id: int,
        reason: str,
        *,
        category: str = "",
        urgency: str = "",
        blocked: bool = False,
    ) -> None:
        """A case needs a person."""
        ...

    def pause(self, mailbox: str, reason: str) -> bool:
        """Make no more drafts for a mailbox; False when it is paused already."""
        ...


class _NoTrail:
    def record_in(self, connection: object, action: str, **about: object) -> None:
        """Nothing is kept of a dry run."""


class _Nobody:
    def case(self, connection: object, mailbox: str, case_id: int, reason: str, **about: object) -> None:
        """Nobody is told."""

    def pause(self, mailbox: str, reason: str) -> bool:
        """Nothing is paused."""
        return False


def _unlogged(row: ArrivalRow, error: MailassistError) -> None:
    """For a daemon without a log."""


@dataclass(frozen=True)
class Parts:
    """The parts of one daemon."""

    config: Config
    store: Store
    mailboxes: Mapping[str, Mailbox]
    connections: Mailboxes
    calls: Calls
    now: Callable[[], float]
    owner: str  # this process, as `host:pid`
    shadow: bool = False  # nothing is put into any mailbox
    started: float = 0.0  # mail from before is the backlog
    overrides: Path | None = None  # the operator's own templates
    trail: Keeping = field(default_factory=_NoTrail)
    people: Telling = field(default_factory=_Nobody)
    mark: Callable[[str], None] = field(default=lambda step: None)  # the hook of tests, between two steps
    random: Callable[[], float] = random.random
    failed: Callable[[ArrivalRow, MailassistError], object] = _unlogged
    # By mailbox the state of its folders that the last look has seen: while it is the same, nothing new has come.
    seen: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)
    defer: Callable[[Run], bool] = field(default=lambda run: False)  # True: a batch takes it

    def config_of(self, mailbox: Mailbox) -> Config:
        """The configuration with the model of a mailbox."""
        if not mailbox.policy.model:
            return self.config
        model = self.config.model.model_copy(update={"name": mailbox.policy.model})
        return self.config.model_copy(update={"model": model})

    def documents(self, mailbox: str, pulled: Pulled) -> Mapping[str, Sequence[Document]]:
        """What the attachments of a conversation say, by Message-ID."""
        return Attachments(self.connections.borrowed).documents(mailbox, pulled)

    def route(self, mailbox: str) -> Route:
        """The way into the Drafts folder of a mailbox."""
        return Route(mailbox, lambda: self.connections.borrowed(mailbox))


def mailboxes_of(config: Config) -> dict[str, Mailbox]:
    """The team mailboxes of a configuration, in its order."""
    chosen = {name: account for name, account in config.accounts.items() if account.team is not None}
    team = frozenset(normal(face.address) for account in chosen.values() for face in account.faces)
    found = {}
    for rank, (name, configured) in enumerate(chosen.items()):
        assert configured.team is not None
        # Texts are fetched when they are needed: what is kept of them is what drafts and the trail keep.
        account = configured.model_copy(update={"sync": configured.sync.model_copy(update={"keep_text": "none"})})
        faces = [(face.address, face.aliases) for face in account.faces]
        own = OwnAddresses.of([*faces, (account.address, [])], account.waiting.personal)
        found[name] = Mailbox(name, account, configured.team, own, rank, team)
    return found
