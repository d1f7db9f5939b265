"""The main screen of a queue that several people work on: claims, notes, handing over, many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from mailassist.errors import MailassistError
from mailassist.review import messages as told
from mailassist.review.bulk import Bulk
from mailassist.review.messages import BoardChanged, Noticed, ReplyChanged
from mailassist.review.phrases import counted, named
from mailassist.review.reply import Key, Reply
from mailassist.review.screens import questions
from mailassist.review.screens.pages import notes_page, report_page
from mailassist.review.screens.review import ReviewScreen
from mailassist.review.widgets.ask_line import AskLine
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.worklist import Mode, TeamWork

RENEWED = 60.0  # seconds between signs of life of a claim


class TeamScreen(ReviewScreen):
    """`ReviewScreen` for a `ReviewDesk` with a team."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "notes", "Notes", show=False),
        Binding("N", "write_note", "Write a note", show=False),
        Binding("h", "hand_over", "Hand over", show=False),
        Binding("x", "select", "Select", show=False),
        Binding("A", "approve_selected", "Approve selected", show=False),
        Binding("F", "show_held", "Failed and held", show=False),
    ]
    _mine: Key | None = None  # the conversation that this person has claimed, by opening it

    def on_mount(self) -> None:
        """As ever, and a sign of life for the claim."""
        super().on_mount()
        self.bulk = Bulk(self.session, self.keeper, self.writing, self.outgoing)
        self.set_interval(RENEWED, self._renew)

    @property
    def work(self) -> TeamWork:
        """The team's queue."""
        team = self.session.desk.team
        assert team is not None
        return team

    # ---- claims

    def opened(self, reply: Reply) -> None:
        """Opening a conversation claims it."""
        if not reply.held_by and self._mine != reply.key and not reply.on_its_way:
            self.start(partial(self._take, reply), group="claim")

    def left(self, key: Key) -> None:
        """Turning to another one gives it up."""
        if self._mine == key:
            self._mine = None
            self.start(partial(self._give_up, key), group="claim")

    async def leaving(self) -> None:
        """Nothing stays claimed by somebody who has gone."""
        if self._mine is not None:
            await self._give_up(self._mine)

    def _renew(self) -> None:
        reply = self.session.board.get(self._mine)
        if reply is not None and not reply.on_its_way:
            self.start(partial(self._take, reply), group="claim")

    async def _take(self, reply: Reply) -> None:
        self._mine = reply.key
        try:
            await self.session.calls.run(lambda _: self.work.take(*reply.key))
        except MailassistError as error:
            self._mine = None
            if reply.editing and self.reply is reply:
                self._end_editing()
            self.post_message(Noticed(str(error), "warning"))
            await self.mailbox.refresh(reply.waiting.account)

    async def _give_up(self, key: Key) -> None:
        problem = await self.keeper.flush()  # a text is saved by whoever has the claim
        try:
            if not problem:
                await self.session.calls.run(lambda _: self.work.leave(*key))
        except MailassistError:
            pass  # it ends by itself

    def _open_reply(self) -> Reply | None:
        """The reply in hand, if this person may change it; else they are told why not."""
        reply = super()._open_reply()
        if reply is not None and reply.held_by:
            self.post_message(Noticed(f"{reply.held_by} has this conversation in hand", "warning"))
            return None
        if reply is not None:
            self.opened(reply)
        return reply

    def _decide(self, mode: Mode) -> None:
        if mode == "drafts":
            self.post_message(Noticed("The team's drafts are kept in Drafts by the daemon: a approves and sends"))
        elif self.reply is not None and self.reply.held_by:
            self.post_message(Noticed(f"{self.reply.held_by} has this conversation in hand", "warning"))
        else:
            super()._decide(mode)

    # ---- notes and colleagues

    def action_notes(self) -> None:
        """What colleagues wrote."""
        if self.reply is not None:
            self.start(partial(self._show_notes, self.reply), group="prompt", exclusive=True)

    async def _show_notes(self, reply: Reply) -> None:
        found = await self.session.attempt(lambda _: self.work.notes(*reply.key))
        if found is not None:
            await self.app.push_screen_wait(notes_page(found, self.session.now(), self.session.zone))

    def action_write_note(self) -> None:
        """Write a note."""
        self._ask_about_reply("note")

    def action_hand_over(self) -> None:
        """Give the conversation to a colleague."""
        if self._open_reply() is not None:
            self._ask_about_reply("hand over")

    def action_skip(self) -> None:
        """No reply is needed: why?"""
        if self._open_reply() is not None and self._ready():
            self._ask_about_reply("discard")

    def _ask_about_reply(self, question: told.Question) -> None:
        if self.reply is not None:
            self.query_one(AskLine).ask(question)

    def answered(self, question: told.Question, reply: Reply, text: str) -> None:
        """A note, a name, a reason; else an instruction for the model."""
        if question == "note":
            self.start(partial(self._note, reply, text), group="decide")
        elif question == "hand over":
            to, _, note = text.partition(":")
            self.start(partial(self._hand_over, reply, to.strip(), note.strip()), group="decide")
        elif question == "discard":
            self.start(partial(self._discard, reply, text), group="decide")
        else:
            super().answered(question, reply, text)

    async def _note(self, reply: Reply, text: str) -> None:
        if await self._did(lambda: self.work.add_note(*reply.key, text), "The note is kept: n shows it"):
            await self.mailbox.refresh(reply.waiting.account)

    async def _hand_over(self, reply: Reply, to: str, note: str) -> None:
        problem = await self.keeper.flush()
        if problem:
            self.post_message(Noticed(problem, "error"))
        elif await self._did(lambda: self.work.hand_over(*reply.key, to, note), f"Handed over to {to}"):
            self._mine = None
            await self.mailbox.refresh(reply.waiting.account)
            self._go_on(reply)

    async def _discard(self, reply: Reply, reason: str) -> None:
        following = self.session.board.next_open(reply.key)
        problem = await self.keeper.flush()
        if problem:
            self.post_message(Noticed(problem, "error"))
            return
        who = named(reply.waiting.correspondent)
        if await self._did(lambda: self.work.discard(*reply.key, reason), f"No reply to {who}: {reason}"):
            self._mine = None
            self.session.board.remove(reply.key)
            self.post_message(BoardChanged())
            if following is not None:
                self._show_list()
                self.query_one(ConversationList).move_to(following)
                self._hurry()

    async def _did(self, work: Callable[[], object], words: str) -> bool:
        """Whether `work` came through; what went wrong is told."""
        done = await self.session.attempt(lambda _: (work(), True)[1])
        if done:
            self.post_message(Noticed(words))
        return bool(done)

    # ---- many at once, and what failed

    def action_select(self) -> None:
        """Select the conversation in hand for approval, or no longer."""
        reply = self.reply
        if reply is None:
            return
        limit = self.work.bulk_limit
        if not reply.selected and len(self.session.board.selected) >= limit:
            self.post_message(Noticed(f"No more than {limit} replies are approved at once", "warning"))
            return
        reply.selected = not reply.selected
        self.post_message(ReplyChanged(reply.key))
        self.action_step(1)

    def action_approve_selected(self) -> None:
        """Approve what is selected, and report each."""
        if self.session.board.selected and self._ready():
            self.start(self._approve_selected, group="decide")

    async def _approve_selected(self) -> None:
        chosen = self.session.board.selected[: self.work.bulk_limit]
        if await self._ask(questions.ask_many(chosen)) != "yes":
            return
        self._deciding = True
        try:
            outcomes = await self.bulk.approve(
                chosen, lambda done: self.post_message(Noticed(f"Approving: {done} of {len(chosen)}"))
            )
        finally:
            self._deciding = False
        held = [(reply, why) for reply, why in outcomes if why]
        title = f"{len(outcomes) - len(held)} approved, {len(held)} held"
        self.post_message(Noticed(title))
        self._show_list()
        rows = [(_named(reply), f"held: {why}" if why else "approved") for reply, why in outcomes]
        await self.app.push_screen_wait(report_page(title, rows))

    def action_show_held(self) -> None:
        """Only what failed or is held; and all of it again."""
        board = self.session.board
        board.held_only = not board.held_only
        count = sum(reply.needs_somebody for reply in board.all())
        if board.held_only:
            self.post_message(Noticed(f"{counted(count, 'conversation')} failed or held"))
        self.post_message(BoardChanged())


def _named(reply: Reply) -> str:
    return f"{named(reply.waiting.correspondent)}: {reply.waiting.subject or '(no subject)'}"
