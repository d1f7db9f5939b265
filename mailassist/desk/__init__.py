"""The composition root: puts the parts together for one run, and gives the verbs of the main job.

Command line, terminal UI and sample run work only with a `Desk`. Everything heavy is imported and opened when it is
first used. Every method may block and may be called from any thread; errors are MailassistErrors.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailassist.config import STORE_FILE as STORE_FILE
from mailassist.config import Account, Config, default_data_folder
from mailassist.desk.attachments import Attachments
from mailassist.desk.connections import Connections
from mailassist.desk.models import OUTLINE, Models
from mailassist.desk.views import answered, author, outbox_entry, preview, saved_draft
from mailassist.errors import DeliveryError, MailassistError, ModelError, NothingWaiting, SecretError, StoreError
from mailassist.mail.addresses import OwnAddresses
from mailassist.secrets import Keeper
from mailassist.worklist import (
    Approved,
    Author,
    Kept,
    Mode,
    ModelStatus,
    OutboxEntry,
    Preview,
    SavedDraft,
    Spending,
    TeamWork,
    Verdict,
    Version,
    never,
)

if TYPE_CHECKING:
    from mailassist.config import Identity
    from mailassist.delivery.outbox import Outcome
    from mailassist.delivery.reply import Reply
    from mailassist.delivery.work import Route
    from mailassist.documents import Document
    from mailassist.drafting.pipeline import Draft, DraftRequest
    from mailassist.drafting.prompt import Prompt
    from mailassist.intake.pull import Pulled
    from mailassist.intake.sync import SyncProgress, SyncResult
    from mailassist.intake.waiting import Waiting
    from mailassist.mail.recipients import ReplyPlan
    from mailassist.model.client import Writer
    from mailassist.model.registry import ModelInfo
    from mailassist.store.database import Store
    from mailassist.store.outbox import OutboxRow
    from mailassist.transport.sasl import Credential
    from mailassist.transport.source import Location, MailSource

FRESH_APPROVAL = 900.0  # seconds: before twice as many without a sign of life nobody ends what lies in an outbox
SHOWN_WHEN_DONE = 120.0  # seconds that a delivered reply stays in the list


def say_on_stderr(line: str) -> None:
    """How a warning reaches the person outside of the UI; where a sync's progress stands, it takes the place of it."""
    from mailassist.mail.safe_text import SafeText

    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}mailassist: {SafeText(line).line()}", file=sys.stderr)


class Desk:
    """Everything one run needs, opened late. Close it in the end."""

    team: TeamWork | None = None  # a person's own mailboxes are nobody else's
    # Why the reply of a team's approval must not leave, where the queue says so; set by whoever can ask the queue.
    approval_ended: Callable[[int], str] | None = None

    def __init__(
        self,
        config: Config,
        *,
        config_path: Path,
        warn: Callable[[str], None] = say_on_stderr,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`config_path`: templates of the user lie beside it; `warn` takes one line for the person."""
        self.config = config
        self.config_path = config_path
        self.data_folder = (config.data_folder or default_data_folder()).expanduser()
        self._now = now
        self._listener: Callable[[str], object] = warn
        self._keeper = Keeper(self._warn)
        self._delivering = threading.Lock()

    def tell(self, listener: Callable[[str], object]) -> None:
        """Warnings go to `listener` from now on, one line each, from any thread."""
        self._listener = listener

    def _warn(self, line: str) -> None:
        self._listener(line)

    @cached_property
    def _connections(self) -> Connections:
        return Connections(self.config.accounts, self._keeper, self.data_folder, self._warn)

    @cached_property
    def _attachments(self) -> Attachments:
        return Attachments(self.source)

    @cached_property
    def models(self) -> Models:
        """The model in force, and who writes."""
        return Models(self.config.model, self._keeper, self._today)

    @cached_property
    def store(self) -> Store:
        """What is remembered. Raises StoreError."""
        from mailassist.store.database import Store

        store = Store(self.data_folder / STORE_FILE)
        if store.restored_from is not None:
            self._warn(
                f"drafts, approved replies and costs are as in {store.restored_from}; run `mailassist sync`, and see "
                "`mailassist outbox` for replies that may have been sent since"
            )
        return store

    def close(self) -> None:
        """Log out, hang up, close the store."""
        if "_connections" in self.__dict__:
            self._connections.close()
        if "models" in self.__dict__:
            self.models.close()
        if "store" in self.__dict__:
            self.store.close()

    def _today(self) -> date:
        return date.fromtimestamp(self._now())

    # -- accounts

    @property
    def account_names(self) -> Sequence[str]:
        """The configured accounts, the default first; empty where none is configured."""
        return sorted(self.config.accounts, key=lambda name: name != self.config.default_account)

    def account(self, name: str) -> Account:
        """The settings of an account. Raises ConfigError."""
        return self.config.account(name)[1]

    def address(self, account: str) -> str:
        """The account's mail address."""
        return self.account(account).address

    def undo_seconds(self, account: str) -> float:
        """How long an approved reply can be taken back."""
        return self.account(account).delivery.undo_seconds

    def delivery_mode(self, account: str) -> Mode:
        """What approving does unless the person says otherwise."""
        settings = self.account(account)
        return settings.delivery.mode if settings.smtp else "drafts"

    def own(self, account: str) -> OwnAddresses:
        """What tells the user's own mail from that of others."""
        settings = self.account(account)
        listed = [(face.address, face.aliases) for face in settings.faces]
        return OwnAddresses.of([*listed, (self.address(account), [])], settings.waiting.personal)

    def source(self, account: str) -> AbstractContextManager[MailSource]:
        """The mailbox, for one piece of work. Raises LoginError, ConnectionFailed, SecretError, MailboxError."""
        return self._connections.borrowed(account)

    def opened(self, account: str) -> MailSource:
        """A new session with the mailbox, which sees it as it is now; to be closed. Raises as `source`."""
        return self._connections.opened(account)

    # -- reading

    def last_synced(self, account: str) -> float | None:
        """When the header index was last brought up to date (seconds since 1970)."""
        from mailassist.store import index

        return index.last_synced(self.store, account)

    def sync(
        self,
        account: str,
        progress: Callable[[SyncProgress], None] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> SyncResult:
        """Bring the header index up to date; once a day, the store is backed up first."""
        from mailassist.intake.sync import sync

        try:
            self.store.back_up(now=self._now())
        except StoreError as error:
            self._warn(str(error))  # mail is read all the same
        settings, own = self.account(account), self.own(account)
        with self.source(account) as source:
            return sync(source, self.store, account, settings, own, now=self._now, progress=progress, stopped=stopped)

    def waiting(self, account: str, *, excluded: bool = False) -> list[Waiting]:
        """Who waits, newest first, from the index alone."""
        from mailassist.intake.waiting import waiting

        settings, own = self.account(account), self.own(account)
        return waiting(self.store, account, settings, own, now=self._now, excluded=excluded, in_hand=True)

    def latest(self, account: str) -> Pulled:
        """The newest conversation that waits: by the index, else straight from the server. Raises NothingWaiting."""
        if self.last_synced(account) is not None:
            found = [one for one in self.waiting(account) if one.reply in ("", "refused")]
            if not found:
                raise NothingWaiting(cure="`mailassist sync` looks again; `mailassist list --all` shows why.")
            return self.pull(account, found[0].message_id)
        from mailassist.intake.latest import pull_latest

        with self.source(account) as source:
            return pull_latest(source, self.store, account, self.account(account), self.own(account), now=self._now)

    def watch(
        self,
        account: str,
        changed: Callable[[], None],
        connected: Callable[[bool, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Wait for new mail until `stopped()`; see `worklist.ReviewDesk`."""
        from mailassist.desk.watching import watch

        watch(
            lambda: self._connections.opened(account),
            self.account(account).folders.inbox[0],
            lambda: self.sync(account, stopped=stopped).changed,
            changed=changed,
            connected=connected,
            stopped=stopped,
        )

    def pull(self, account: str, message_id: str) -> Pulled:
        """The whole conversation of a message. Raises MailboxError when the message is nowhere."""
        from mailassist.intake.pull import pull, pull_kept

        kept = pull_kept(self.store, account, self.own(account), message_id, now=self._now)
        if kept is not None:
            return kept
        with self.source(account) as source:
            return pull(
                source, self.store, account, self.account(account), self.own(account), message_id, now=self._now
            )

    def skip(self, account: str, conversation: str, message_id: str, skipped: bool = True) -> None:
        """Take a conversation off the list until a newer message comes; `skipped=False` takes that back."""
        from mailassist.store import conversations

        conversations.skip(self.store, account, conversation, message_id if skipped else "")

    # -- writing

    def model_status(self) -> ModelStatus:
        """Which model would write. No network."""
        return self.models.status()

    def check_model(self) -> str:
        """Ask the model's server whether it is there and takes our key; one line. Raises ModelError."""
        choice = self.models.choice()
        if choice.writer is None:
            return "no model is used: drafts are outlines"
        offered = choice.writer.models()
        known = any(model.name == choice.info.name for model in offered)
        return f"{choice.writer.host} answers" + (f" and offers {choice.info.name}" if known else "")

    def check_smtp(self, account: str) -> None:
        """Log in to the account's SMTP server, send nothing. Raises LoginError, ConnectionFailed."""
        from mailassist.transport.smtp import check_login

        settings = self.account(account).smtp
        assert settings is not None
        check_login(settings, self._smtp_credential(account))

    def spending(self) -> Spending:
        """Today's calls."""
        from mailassist.store import ledger

        today = ledger.entries(self.store, since=ledger.day_start(self._now()))
        tokens = sum(entry.input_tokens + entry.output_tokens for entry in today)
        return Spending(sum(entry.cost for entry in today), tokens, len(today), self.config.model.daily_budget)

    def prompt(
        self, account: str, pulled: Pulled, *, instruction: str = "", previous: str = "", reply_all: bool = False
    ) -> Prompt:
        """Exactly what `draft` would send, with tokens and price; nothing is sent."""
        return self.prepare(self.request(account, pulled, instruction, previous, reply_all=reply_all))

    def prepare(self, request: DraftRequest) -> Prompt:
        """The prompt of `request`. Raises NotDraftable, ConfigError (templates), InputError (budget)."""
        from mailassist.drafting.pipeline import prepare

        info, count = self._counting_model()
        return prepare(
            request,
            info=info,
            store=self.store,
            config=self.config,
            now=self._now,
            count=count,
            overrides=self._overrides,
        )

    def draft(
        self,
        account: str,
        pulled: Pulled,
        *,
        instruction: str = "",
        previous: str = "",
        reply_all: bool = False,
        on_text: Callable[[str], None] = lambda text: None,
        stopped: Callable[[], bool] = never,
    ) -> Draft:
        """Write a reply and save it; `on_text` gets each new piece. See `worklist.ReviewDesk.draft`."""
        request = self.request(account, pulled, instruction, previous, reply_all=reply_all)
        made = self.write(request, on_text=on_text, stopped=stopped)
        self.keep(account, pulled, made, instruction)
        return made

    def write(
        self, request: DraftRequest, *, on_text: Callable[[str], None], stopped: Callable[[], bool] = never
    ) -> Draft:
        """Let the model (or the outline) write; nothing is saved but the ledger."""
        from mailassist.drafting.pipeline import draft

        writer, count, failure, notice = self._writer()
        made = draft(
            request,
            writer=writer,
            store=self.store,
            config=self.config,
            on_text=on_text,
            stopped=stopped,
            now=self._now,
            count=count,
            overrides=self._overrides,
            failure=failure,
        )
        return replace(made, notices=(notice, *made.notices)) if notice else made

    def request(
        self,
        account: str,
        pulled: Pulled,
        instruction: str = "",
        previous: str = "",
        *,
        reply_all: bool = False,
        language: str = "",
    ) -> DraftRequest:
        """What is to be drafted, in the name of the identity that was written to."""
        from mailassist.drafting.pipeline import DraftRequest

        plan = self.plan(account, pulled, reply_all=False)
        identity = self.account(account).faces[plan.identity]
        return DraftRequest(
            account,
            pulled.conversation,
            identity,
            instruction,
            previous,
            pulled.unknown,
            self.documents(account, pulled),
            reply_all,
            language,
        )

    def documents(self, account: str, pulled: Pulled) -> Mapping[str, Sequence[Document]]:
        """What the attachments of a conversation say, by Message-ID; nothing where that is off or nobody reads it."""
        return self._attachments.documents(account, pulled) if self.reads_attachments else {}

    @property
    def reads_attachments(self) -> bool:
        """Whether a model is asked that is told what attachments say."""
        return self.config.model.documents and self.config.model.name != OUTLINE

    @property
    def _overrides(self) -> Path | None:
        """The user's own templates, beside the configuration."""
        folder = self.config_path.parent / "templates"
        return folder if folder.is_dir() else None

    def _writer(self) -> tuple[Writer | None, Callable[[str], int] | None, MailassistError | None, str]:
        """Who writes, and how its tokens are counted; where no model can: why, so that the outline can say it."""
        try:
            choice = self.models.choice()
        except (ModelError, SecretError) as error:
            return None, None, error, ""
        return choice.writer, choice.count, None, choice.notice

    def _counting_model(self) -> tuple[ModelInfo, Callable[[str], int] | None]:
        """The model whose prompt is shown; a local one is started, to count with its own tokenizer."""
        if self.models.is_local:
            choice = self.models.choice()
            return choice.info, choice.count
        return self.models.info()[0], None

    # -- the text being worked on

    def saved_drafts(self, account: str) -> Mapping[str, SavedDraft]:
        """Every saved draft, by the Message-ID it answers."""
        from mailassist.store import drafts, versions

        others = versions.known(self.store, account)
        return {row.answers: saved_draft(row, others) for row in drafts.rows(self.store, account) if row.text}

    def saved(self, account: str, message_id: str) -> SavedDraft | None:
        """The saved draft that answers `message_id`."""
        from mailassist.store import drafts, versions

        row = drafts.get(self.store, account, message_id)
        return saved_draft(row, versions.known(self.store, account)) if row is not None and row.text else None

    def save_text(
        self,
        account: str,
        message_id: str,
        text: str,
        *,
        written_by: Author = "person",
        complete: bool = True,
        conversation: str = "",
        reply_all: bool = False,
        base: int | None = None,
        apart: bool = False,
    ) -> Kept:
        """Keep the text of a reply; see `worklist.ReviewDesk.save_text`."""
        from mailassist.store import drafts

        about: dict[str, Any] = {"complete": complete, "reply_all": reply_all}
        if conversation:
            about["conversation"] = conversation
        kept = drafts.save_text(
            self.store, account, message_id, text,
            written_by=written_by, now=self._now(), base=base, apart=apart, **about,
        )  # fmt: skip
        return Kept(kept.version, kept.overtaken)

    def versions(self, account: str, message_id: str, conversation: str) -> list[Version]:
        """Every text for this reply besides the current one, oldest first."""
        from mailassist.store import versions

        found = versions.others(self.store, account, message_id, conversation)
        return [Version(one.text, author(one.written_by), one.complete) for one in found]

    def keep(self, account: str, pulled: Pulled, made: Draft, instruction: str) -> None:
        """Keep what was drafted; what stood there before is among the versions. Nothing drafted changes nothing."""
        from mailassist.store import drafts

        if not made.text.strip():
            return
        usage = made.usage
        drafts.save_text(
            self.store,
            account,
            answered(pulled).message_id,
            made.text,
            now=self._now(),
            written_by="model",
            model=made.model,
            complete=made.complete,
            instruction=instruction,
            conversation=pulled.conversation.key,
            input_tokens=usage.input if usage else 0,
            cached_tokens=usage.cached if usage else 0,
            output_tokens=usage.output if usage else 0,
            cost=made.cost,
        )

    # -- deciding

    def plan(self, account: str, pulled: Pulled, reply_all: bool) -> ReplyPlan:
        """Recipients, subject and From of the reply. Raises NotDraftable when there is no message to answer."""
        from mailassist.mail.recipients import plan_reply

        faces = self.account(account).faces
        return plan_reply(pulled.conversation, answered(pulled), self.own(account), faces, reply_all=reply_all)

    def approve(
        self,
        account: str,
        pulled: Pulled,
        plan: ReplyPlan,
        text: str,
        mode: Mode,
        *,
        anew: bool = False,
        undo_seconds: float | None = None,
    ) -> Approved:
        """`send` or to `drafts`; see `worklist.ReviewDesk.approve`. `undo_seconds`: None: those of the account."""
        from mailassist.delivery import outbox

        reply = self._reply(account, pulled, plan, text)
        if mode == "drafts":
            return self._to_drafts(account, reply, anew)
        undo = self.undo_seconds(account) if undo_seconds is None else undo_seconds
        moment = self._now()
        number = outbox.approve(self.store, reply, undo_seconds=undo, now=moment)
        return Approved(number, moment + undo)

    def preview(self, account: str, pulled: Pulled, plan: ReplyPlan, text: str) -> Preview:
        """The whole message as it would leave now. Raises NotDraftable where nobody would get it, UnsafeHeader."""
        from mailassist.delivery.reply import build

        built = build(self.store, self._reply(account, pulled, plan, text), now=self._now(), unique="preview")
        return preview(built.raw)

    def _reply(self, account: str, pulled: Pulled, plan: ReplyPlan, text: str) -> Reply:
        from mailassist.delivery.reply import Reply, layout_of

        settings = self.account(account)
        face = settings.faces[plan.identity]
        original = answered(pulled)
        layout = layout_of(settings, face, self._language(pulled, face))
        places = pulled.locations.get(original.message_id, ())
        place = places[0] if places else None
        return Reply(account, original, plan, text, layout, pulled.conversation.key, place)

    def _language(self, pulled: Pulled, face: Identity) -> str:
        """The language of the attribution line."""
        from mailassist.context.language import reply_language

        return reply_language(pulled.conversation, face.languages)

    def _to_drafts(self, account: str, reply: Reply, anew: bool) -> Approved:
        from mailassist.delivery.saving import save_draft

        outcome = save_draft(self.store, self.route(account), reply, anew=anew)
        return Approved(said=outcome.said, theirs=outcome.state in ("person", "gone"))

    # -- the way out

    def outbox(self) -> list[OutboxEntry]:
        """Replies of all accounts that are not through yet, and what went through in the last minutes."""
        from mailassist.delivery import outbox

        return [outbox_entry(row) for row in outbox.listed(self.store, recent=self._now() - SHOWN_WHEN_DONE)]

    def undo(self, outbox_id: int) -> bool:
        """True: cancelled, nothing was or will be sent. False: too late."""
        from mailassist.delivery import outbox

        return outbox.cancel(self.store, outbox_id, now=self._now())

    def settle(self, outbox_id: int, verdict: Verdict) -> bool:
        """What the person says of a reply of which nobody knows whether it was sent; False when it is not unknown."""
        from mailassist.delivery import outbox

        decide = {"arrived": outbox.settle_as_sent, "again": outbox.retry, "dropped": outbox.give_up}[verdict]
        return decide(self.store, outbox_id, now=self._now())

    def reschedule(self, outbox_id: int, seconds: float) -> bool:
        """An approved or refused reply leaves `seconds` from now; False when it is under way or gone."""
        from mailassist.delivery import outbox

        return outbox.reschedule(self.store, outbox_id, seconds, now=self._now())

    def deliver_due(self) -> list[Outcome]:
        """Send what is due, after looking after what a crash left half done."""
        from mailassist.delivery import outbox

        # One delivery at a time in this process: a second thread would only find leased rows.
        with self._delivering:
            return outbox.deliver_due(self.store, {name: self.route(name) for name in self.config.accounts})

    def deliver(self, account: str, outbox_id: int) -> Outcome:
        """Send this reply if it is due, and no other."""
        from mailassist.delivery import outbox

        with self._delivering:
            return outbox.deliver_now(self.store, self.route(account), outbox_id)

    def route(self, account: str) -> Route:
        """The ways out of an account."""
        from mailassist.delivery.outbox import route_of

        settings = self.account(account)
        credential = self._smtp_credential(account) if settings.smtp else None
        return route_of(account, settings, credential, lambda: self.opened(account), self._stopped_by)

    # -- replies that others may send too

    def taken_up(
        self, source: MailSource, account: str, answers: str, text: str, ours: Collection[Location] = ()
    ) -> str:
        """Why `text` is not to be sent in answer to the message `answers`, as the server has it now; else "".

        `ours`: the places of our own copies in Drafts. Raises MailboxError, ConnectionFailed.
        """
        from mailassist.delivery.copies import others
        from mailassist.intake.overtaken import overtaken

        said = overtaken(source, self.account(account), self.own(account), answers, text)
        return said or ("a colleague has a draft of an answer in Drafts" if others(source, answers, ours) else "")

    def guard(self, account: str, answers: str, approval_id: int) -> None:
        """From now on the mailbox is looked at again, by whichever process, before a reply to `answers` leaves it.

        The queue is asked, too, whether the approval stands: by a process that cannot ask only while it is fresh.
        """
        self.store.learn(_guarded(account, answers), f"{approval_id} {self._now()}".encode())

    def _stopped_by(self, row: OutboxRow) -> str:
        guarded = self.store.fact(_guarded(row.account, row.answers))
        if guarded is None:
            return ""
        with self.opened(row.account) as source:
            said = self.taken_up(source, row.account, row.answers, row.text)
        return said or self._approval_ended(*guarded.decode().split())

    def _approval_ended(self, approval_id: str, since: str) -> str:
        if self.approval_ended is not None:
            return self.approval_ended(int(approval_id))
        if self._now() - float(since) < FRESH_APPROVAL:
            return ""
        raise DeliveryError("The team's queue has to be asked first", cure="Open `mailassist review --team`.")

    def _smtp_credential(self, account: str) -> Credential:
        """Who logs in to SMTP."""
        from mailassist.transport.sasl import Credential

        settings = self.account(account)
        server = settings.smtp
        assert server is not None
        name, secret = (f"{account}.smtp", settings.smtp_secret) if settings.smtp_secret else (account, settings.secret)
        return Credential.of(server, settings.address, self._connections.secret(name, secret))


def _guarded(account: str, answers: str) -> str:
    """The fact that others may answer this message too."""
    return f"shared {account} {answers}"
