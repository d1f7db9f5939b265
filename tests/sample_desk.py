"""A desk without network: realistic conversations, a writer that types, an outbox in memory, and brakes for tests.

Stands in for `mailassist.desk.Desk` where the UI alone is looked at. Run as a script it opens the UI on itself.
"""

from __future__ import annotations

import sys
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailassist.context.asks import Ask
from mailassist.context.packed import LeftOut, Packed, PackedMessage
from mailassist.drafting.pipeline import Draft
from mailassist.drafting.prompt import AttachedText, Prompt
from mailassist.errors import MailassistError, ModelError, Taken
from mailassist.intake.pull import Pulled
from mailassist.intake.sync import SyncProgress, SyncResult
from mailassist.intake.waiting import Waiting
from mailassist.mail.message import Address, Attachment, Message
from mailassist.mail.recipients import ReplyPlan
from mailassist.mail.threads import Conversation, Entry
from mailassist.model.registry import Usage
from mailassist.transport.source import Location
from mailassist.worklist import (
    Approved,
    Kept,
    ModelStatus,
    OutboxEntry,
    Preview,
    SavedDraft,
    Spending,
    TeamMark,
    TeamNote,
    Version,
)

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
ME = Address("Max Muster", "max@muster.example")


def conversation(
    key: str, who: Address, subject: str, *texts: str, hours: float = 2.0, **extra: object
) -> Conversation:
    """`texts` alternate between the correspondent and us so that the last is theirs."""
    entries: list[Entry] = []
    for index, text in enumerate(texts):
        ours = (len(texts) - 1 - index) % 2 == 1
        when = NOW - timedelta(hours=hours) - timedelta(hours=20 * (len(texts) - 1 - index))
        last = index == len(texts) - 1
        quoted = "\n".join("> " + line for line in texts[index - 1].splitlines()) if index else ""
        message = Message(
            message_id=f"<{key}-{index}@example.org>",
            subject=subject if index == 0 else f"Re: {subject}",
            date=when,
            from_=(ME,) if ours else (who,),
            to=(who,) if ours else (ME,),
            text=text + ("\n\n" + quoted if quoted else ""),
            reply=text,
            quoted=quoted,
            **(extra if last else {}),  # type: ignore[arg-type]
        )
        parent = f"<{key}-{index - 1}@example.org>" if index else None
        entries.append(Entry(message, ours, False, parent))
    return Conversation(key, tuple(entries))


def _samples() -> tuple[Conversation, ...]:
    with (Path(__file__).parent / "sample_mail.toml").open("rb") as file:
        rows = tomllib.load(file)["conversation"]
    return tuple(
        conversation(
            row["key"],
            Address(row["name"], row["email"]),
            row["subject"],
            *row["texts"],
            hours=row["hours"],
            cc=tuple(Address("", email) for email in row.get("cc", ())),
            attachments=(Attachment(row["attachment"], "application/pdf", 184_233),) if "attachment" in row else (),
        )
        for row in rows
    )


SAMPLES = _samples()

ANSWER = (
    "Guten Tag Frau Keller,\n\nvielen Dank für Ihre schnelle Antwort. Die Woche vom 7. Dezember passt mir gut, "
    "Sie können den Termin fest einplanen.\n\nDas Gerüst brauche ich für die Fassade nicht; bitte bauen Sie es wie "
    "geplant wieder ab.\n\nFreundliche Grüße\nMax Muster"
)


class SampleTeam:
    """Everything `TeamWork` asks for, beside a `SampleDesk`."""

    bulk_limit = 3

    def __init__(self, desk: SampleDesk) -> None:
        self.desk = desk
        desk.team = self
        self.kept: dict[str, TeamMark] = {
            key: TeamMark(left=(number - 1) * 5400.0 + 600) for number, key in enumerate(desk.samples)
        }
        self.written: dict[str, list[TeamNote]] = {}
        self.held: set[str] = set()  # by the person at the keyboard

    def change(self, conversation: str, **changes: object) -> None:
        self.kept[conversation] = replace(self.kept[conversation], **changes)  # type: ignore[arg-type]

    def marks(self, account: str) -> Mapping[str, TeamMark]:
        return dict(self.kept)

    def take(self, account: str, conversation: str) -> None:
        self.desk._enter("take", conversation)
        if self.kept[conversation].held_by:
            raise Taken(f"{self.kept[conversation].held_by} is replying")
        self.held.add(conversation)

    def leave(self, account: str, conversation: str) -> None:
        self.desk._enter("leave", conversation)
        self.held.discard(conversation)

    def notes(self, account: str, conversation: str) -> list[TeamNote]:
        return self.written.get(conversation, [])

    def add_note(self, account: str, conversation: str, text: str) -> None:
        self.desk._enter("add_note", conversation, text)
        self.written.setdefault(conversation, []).append(TeamNote(self.desk.now(), "me", text))
        self.change(conversation, notes=len(self.written[conversation]))

    def hand_over(self, account: str, conversation: str, to: str, note: str) -> None:
        self.desk._enter("hand_over", conversation, to, note)
        self.change(conversation, held_by=to, assigned_to=to)

    def discard(self, account: str, conversation: str, reason: str) -> None:
        self.desk._enter("discard", conversation, reason)
        del self.desk.samples[conversation]


class SampleDesk:
    """Everything `ReviewDesk` asks for."""

    team: object = None

    def __init__(self, *samples: Conversation, now: Callable[[], float] | None = None, delay: float = 0.0) -> None:
        self.now = now or NOW.timestamp
        self.delay = delay  # seconds between two pieces of a draft
        self.account_names: list[str] = ["work"]
        self.samples = {sample.key: sample for sample in samples or SAMPLES}
        self.answer = ANSWER
        self.calls: list[tuple[object, ...]] = []
        self.texts: dict[str, SavedDraft] = {}
        self.replaced: dict[str, list[Version]] = {}
        self.entries: dict[int, OutboxEntry] = {}
        self.skipped: set[str] = set()
        self.synced = SyncResult()
        self.sent: list[str] = []
        self.failures: dict[str, MailassistError] = {}  # method -> what it raises
        self.gates: dict[str, threading.Event] = {}  # method -> blocks until set, deaf to `stopped`
        self.plans: dict[str, ReplyPlan] = {}
        self.news = threading.Event()
        self.model = ModelStatus("gpt-4o-mini", "api.openai.com")
        self.mode = "send"
        self.removed_drafts = False  # by the person, in the mailbox
        self.cost = 0.0312
        self.complete = True

    def _enter(self, method: str, *details: object) -> None:
        self.calls.append((method, *details))
        if method in self.gates:
            self.gates[method].wait(30)
        if method in self.failures:
            raise self.failures[method]

    def called(self, method: str) -> list[tuple[object, ...]]:
        return [call for call in self.calls if call[0] == method]

    def tell(self, listener: Callable[[str], None]) -> None:
        self.warn = listener

    def address(self, account: str) -> str:
        return ME.email

    def undo_seconds(self, account: str) -> float:
        return 10.0

    def delivery_mode(self, account: str) -> str:
        return self.mode

    def model_status(self) -> ModelStatus:
        return self.model

    def spending(self) -> Spending:
        return Spending(self.cost, 41_000, 12, 1.0)

    def last_synced(self, account: str) -> float | None:
        return NOW.timestamp() - 180

    def waiting(self, account: str, *, excluded: bool = False) -> list[Waiting]:
        self._enter("waiting", account)
        answered = {entry.answers for entry in self.entries.values() if entry.state in ("sent", "filed", "done")}
        rows = []
        for sample in self.samples.values():
            newest = sample.newest.message
            if newest.message_id in answered or newest.message_id in self.skipped or account != self.account_names[0]:
                continue
            rows.append(
                Waiting(
                    account,
                    sample.key,
                    newest.message_id,
                    newest.subject,
                    str(newest.author),
                    newest.date.timestamp(),
                    len(sample.entries),
                    "",
                    Location("INBOX", 1, 1),
                )
            )
        return sorted(rows, key=lambda row: -row.date)

    def sync(self, account: str, progress: object = None, stopped: Callable[[], bool] = lambda: False) -> SyncResult:
        if callable(progress):
            progress(SyncProgress("INBOX", 1200, 4210))
        self._enter("sync", account)
        return self.synced

    def watch(
        self,
        account: str,
        changed: Callable[[], None],
        connected: Callable[[bool, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._enter("watch", account)
        while not stopped():
            if self.news.wait(0.05):
                self.news.clear()
                changed()

    def pull(self, account: str, message_id: str) -> Pulled:
        self._enter("pull", message_id)
        return Pulled(next(one for one in self.samples.values() if one.message(message_id)), {}, {})

    def prompt(
        self, account: str, pulled: Pulled, *, instruction: str = "", previous: str = "", reply_all: bool = False
    ) -> Prompt:
        self._enter("prompt")
        return _prompt(pulled.conversation)

    def draft(
        self,
        account: str,
        pulled: Pulled,
        *,
        instruction: str = "",
        previous: str = "",
        reply_all: bool = False,
        on_text: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> Draft:
        text, ended = "", True
        message_id = pulled.conversation.newest.message.message_id
        for word in (f"[{instruction}] " + self.answer if instruction else self.answer).split(" "):
            if stopped():
                ended = False
                break
            piece = word if not text else " " + word
            text += piece
            on_text(piece)
            time.sleep(self.delay)
            if text.count(" ") == 3:
                self._enter("draft", message_id, instruction, previous)
        ended = ended and self.complete
        if text:
            self._put(message_id, text, "model", complete=ended, apart=True)
        self.cost += 0.0003
        usage = Usage(1240, 1024, 96)
        return Draft(text, "gpt-4o-mini", usage, 0.00017, None, ended, ())

    def saved_drafts(self, account: str) -> Mapping[str, SavedDraft]:
        return dict(self.texts)

    def saved(self, account: str, message_id: str) -> SavedDraft | None:
        return self.texts.get(message_id)

    def save_text(
        self, account: str, message_id: str, text: str, *, written_by: str = "person", complete: bool = True,
        conversation: str = "", reply_all: bool = False, base: int | None = None, apart: bool = False,
    ) -> Kept:  # fmt: skip
        self._enter("save_text", message_id, text)
        before = self.texts.get(message_id)
        overtaken = before is not None and base not in (None, before.version) and before.text != text
        self._put(message_id, text, written_by, complete=complete, reply_all=reply_all, apart=apart or overtaken)
        return Kept(self.texts[message_id].version, overtaken)

    def _put(self, message_id: str, text: str, written_by: str, *, apart: bool, **about: bool) -> None:
        before = self.texts.get(message_id)
        replaced = self.replaced.setdefault(message_id, [])
        if before and before.text != text and (apart or "model" in (written_by, before.written_by)):
            version = Version(before.text, before.written_by, before.complete)
            replaced += [version] if before.text not in map(_text, replaced) else []
        number = before.version + (before.text != text) if before else 1
        self.texts[message_id] = SavedDraft(
            message_id, text, written_by, version=number, others=bool(replaced), **about
        )  # fmt: skip

    def versions(self, account: str, message_id: str, conversation: str) -> list[Version]:
        return list(self.replaced.get(message_id, ()))

    def preview(self, account: str, pulled: Pulled, plan: ReplyPlan, text: str) -> Preview:
        headers = (("From", ME.email), ("To", ", ".join(plan.recipients)), ("Subject", plan.subject))
        return Preview(headers, f"{text}\n\n-- \nMax Muster\n\n> {pulled.conversation.newest.message.reply}", False)

    def plan(self, account: str, pulled: Pulled, reply_all: bool) -> ReplyPlan:
        newest = pulled.conversation.newest.message
        if pulled.conversation.key in self.plans:
            return self.plans[pulled.conversation.key]
        return ReplyPlan(ME, newest.from_, newest.cc if reply_all else (), newest.subject, reply_all=reply_all)

    def approve(
        self, account: str, pulled: Pulled, plan: ReplyPlan, text: str, mode: str, *, anew: bool = False
    ) -> Approved:
        self._enter("approve", plan, text, mode)
        self._enter(f"approve {pulled.conversation.key}")
        if mode == "drafts" and self.removed_drafts and not anew:
            return Approved(said="You have deleted the draft in your mailbox", theirs=True)
        if mode == "drafts":
            return Approved(said="Saved to Drafts")
        number = len(self.entries) + 1
        due = self.now() + self.undo_seconds(account)
        self.entries[number] = OutboxEntry(
            number,
            account,
            pulled.conversation.newest.message.message_id,
            "approved",
            due,
            plan.subject,
            plan.recipients,
        )
        return Approved(number, due)

    def skip(self, account: str, conversation: str, message_id: str, skipped: bool = True) -> None:
        self._enter("skip", message_id, skipped)
        (self.skipped.add if skipped else self.skipped.discard)(message_id)

    def outbox(self) -> list[OutboxEntry]:
        return list(self.entries.values())

    def undo(self, outbox_id: int) -> bool:
        self._enter("undo", outbox_id)
        return self._move(outbox_id, ("approved", "refused"), "cancelled")

    def settle(self, outbox_id: int, verdict: str) -> bool:
        self._enter("settle", outbox_id, verdict)
        states = {"arrived": "done", "again": "approved", "dropped": "cancelled"}
        self.entries[outbox_id] = replace(self.entries[outbox_id], not_before=self.now())
        return self._move(outbox_id, ("unknown",), states[verdict])

    def reschedule(self, outbox_id: int, seconds: float) -> bool:
        self._enter("reschedule", outbox_id, seconds)
        entry = self.entries[outbox_id]
        self.entries[outbox_id] = replace(entry, not_before=self.now() + seconds)
        return entry.state == "approved"

    def deliver_due(self) -> None:
        self._enter("deliver_due")
        for entry in list(self.entries.values()):
            if entry.state == "approved" and entry.not_before <= self.now():
                self._move(entry.id, ("approved",), "done")
                self.sent.append(entry.answers)

    def _move(self, outbox_id: int, states: tuple[str, ...], state: str) -> bool:
        entry = self.entries[outbox_id]
        if entry.state not in states:
            return False
        self.entries[outbox_id] = replace(entry, state=state)
        return True

    def arrive(self, sample: Conversation) -> None:
        """New mail."""
        self.samples[sample.key] = sample
        self.news.set()


def _text(version: Version) -> str:
    return version.text


def _prompt(talk: Conversation) -> Prompt:
    """What a prompt of `talk` may look like: its newest message, and of longer ones little of those before."""
    newest, first = talk.newest.message, talk.entries[0].message
    who = newest.from_[0].name
    asks = (Ask(newest.message_id, "Fri 20 Nov", who, "Brauchen Sie das Gerüst auch für die Fassade?", "question"),)
    packed = Packed(
        (PackedMessage(newest.message_id, newest.reply, 104, f"8315 Fri 20 Nov {who}"),), (), 719, True, "8315",
        open_asks=asks,
    )  # fmt: skip
    documents: tuple[AttachedText, ...] = ()
    if len(talk.entries) > 1:
        answer = talk.entries[-2].message
        short = PackedMessage(
            answer.message_id,
            f"[in short] {' '.join(answer.reply.split())}"[:105],
            21,
            "8315 Thu 19 Nov me",
            True,
            True,
        )
        excerpt = PackedMessage(first.message_id, "Gerüst: 480 €", 17, f"8315 Wed 18 Nov {who}, Preise.pdf", True)
        left_out = (
            LeftOut(first.message_id, "over the token budget"),
            LeftOut(answer.message_id, "one line is left, for the token budget"),
        )
        excerpts = (replace(excerpt, attached="Preise.pdf"),)
        packed = replace(packed, messages=(short, *packed.messages), left_out=left_out, excerpts=excerpts)
        documents = (AttachedText(first.message_id, "Preise.pdf", 388, False, 17),)
    return Prompt(
        instructions="You write replies for Max Muster.", input=f"8315 {newest.text}", tokens=1240,
        instruction_tokens=310, input_tokens=919, frame_tokens=11, exact=True, packed=packed,
        estimated_price=0.000186, documents=documents, language="de", sentences=(2, 3),
    )  # fmt: skip


def hostile_conversation() -> Conversation:
    """Everything a mail can say to a terminal."""
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\x00\u202eevil\u2066\x9d0;title\x9c [@click=app.quit]click[/] [/] [0]"
    who = Address(f"Mallory {evil}", f"mallory{evil}@evil.example")
    return conversation(
        "hostile", who, f"Subject {evil}", f"First {evil}", f"Ours {evil}", f"Body {evil}\nnext line {evil}",
        hours=0.5, attachments=(Attachment(f"name{evil}.pdf", f"application/{evil}", 10),), warnings=(f"odd {evil}",),
        hidden=(f"hidden {evil}",), cc=(Address("", f"cc{evil}@evil.example"),), signature=f"sig {evil}",
    )  # fmt: skip


def main() -> None:
    """Open the UI on a sample desk: `python sample_desk.py [slow|hostile|stuck|empty]`."""
    from mailassist.review.app import review

    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    desk = SampleDesk(
        *((hostile_conversation(),) if kind == "hostile" else ()), now=time.time, delay=0.15 if kind == "slow" else 0.02
    )
    if kind == "hostile":
        desk.answer = "Model \x1b]52;c;ZXZpbA==\x07 \x9b31m \u202e text here is [@click=app.quit]x[/] done"
        desk.failures["sync"] = ModelError("server said \x1b[31m\x9b31m\u202e [@click=app.quit]")
    if kind == "stuck":
        desk.gates["draft"] = threading.Event()
        desk.gates["sync"] = threading.Event()
    if kind == "empty":
        desk.samples.clear()
    review(desk)


if __name__ == "__main__":
    main()
