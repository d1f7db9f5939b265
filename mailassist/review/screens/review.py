"""The main screen: reading, and what is done with a reply."""

from __future__ import annotations

import os
from functools import partial
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from mailassist.errors import MailassistError
from mailassist.review.external_editor import edit_outside, editor_command
from mailassist.review.messages import Noticed
from mailassist.review.reply import Reply
from mailassist.review.screens.pages import outgoing_page
from mailassist.review.screens.prompt import prompt_views
from mailassist.review.screens.reading import ReadingScreen
from mailassist.review.screens.room import ReadingRoom
from mailassist.review.widgets.ask_line import AskLine
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.review.widgets.draft_pane import DraftPane
from mailassist.worklist import Mode


class ReviewScreen(ReadingRoom):
    """Everything a person needs to get through the conversations that wait."""

    _deciding = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "Edit", show=False),
        Binding("E", "edit_outside", "Edit in $EDITOR", show=False),
        Binding("r", "regenerate", "Again", show=False),
        Binding("i", "instruct", "Instruct", show=False),
        Binding("z", "version_before", "Version before", show=False),
        Binding("R", "toggle_reply_all", "Reply to all", show=False),
        Binding("a", "approve", "Approve", show=False),
        Binding("d", "approve_to_drafts", "To Drafts", show=False),
        Binding("u", "undo", "Undo", show=False),
        Binding("s", "skip", "Skip", show=False),
        Binding("p", "prompt", "Prompt", show=False),
        Binding("v", "view", "View what leaves", show=False),
    ]

    def _open_reply(self) -> Reply | None:
        """The reply in hand, if its text may be changed; else the person is told why not."""
        reply = self.reply
        if reply is None:
            return None
        if reply.writing:
            self.post_message(Noticed("The draft is still being written: Esc stops it", "warning"))
            return None
        if reply.on_its_way:
            self.post_message(Noticed(reply.on_its_way_words, "warning"))
            return None
        return reply

    # ---- the text

    def action_edit(self) -> None:
        """Edit in place."""
        reply = self._open_reply()
        if reply is not None:
            self.add_class("-reading")
            reply.editing = True
            self.query_one(DraftPane).begin_editing(reply.text)
            self._show_keys()

    def action_editor_undo(self) -> None:
        """Undo typing (from the mouse)."""
        self.query_one(DraftPane).editor.undo()

    def action_editor_redo(self) -> None:
        """Redo typing (from the mouse)."""
        self.query_one(DraftPane).editor.redo()

    def action_edit_outside(self) -> None:
        """Edit in $VISUAL or $EDITOR; the terminal is the editor's until it ends."""
        reply = self._open_reply()
        if reply is None:
            return
        try:
            command = editor_command(os.environ)
            with self.app.suspend():
                text = edit_outside(reply.text, command)
        except SuspendNotSupported:
            self.post_message(Noticed("This terminal cannot be lent to an editor: e edits here", "warning"))
        except MailassistError as error:
            self.post_message(Noticed(str(error), "error"))
        else:
            self._take_back(reply, text)

    def _take_back(self, reply: Reply, text: str | None) -> None:
        """What came back from the editor outside."""
        if text is None:
            self.post_message(Noticed("Nothing came back from the editor: the draft is as it was"))
        elif text != reply.text:
            reply.type(text)
            self.keeper.keep(reply)
        self._show_list()
        self._show_current()

    def action_regenerate(self) -> None:
        """Have the draft written again."""
        reply = self._open_reply()
        if reply is not None:
            self.start(partial(self._regenerate, reply), group="decide")

    async def _regenerate(self, reply: Reply) -> None:
        if await self.decisions.may_overwrite(reply):
            reply.problem = ""
            self.writing.write(reply)

    def action_instruct(self) -> None:
        """Have the draft revised."""
        if self._open_reply() is not None:
            self.add_class("-reading")
            self.query_one(AskLine).ask("instruct")

    def action_version_before(self) -> None:
        """The version before, and back again."""
        reply = self._open_reply()
        if reply is not None:
            self.start(partial(self._step_back, reply), group="versions", exclusive=True)

    async def _step_back(self, reply: Reply) -> None:
        problem = await self.keeper.flush()
        if problem:
            self.post_message(Noticed(problem, "error"))
            return
        desk, item = self.session.desk, reply.waiting
        versions = await self.session.attempt(lambda _: desk.versions(item.account, item.message_id, item.conversation))
        if versions is None or self._open_reply() is not reply or reply.editing:
            return
        step = reply.step_back(versions)
        if step is None:
            reply.others = False
            self._show_current()
            self.post_message(Noticed("There is no version before this one"))
            return
        self.keeper.keep(reply, apart=True)
        self.post_message(Noticed(f"Version {step[0]} of {step[1]}: z goes on"))
        self._show_list()
        self._show_current()

    def action_prompt(self) -> None:
        """What the model would see, with tokens and price."""
        reply = self.reply
        if reply is not None:
            self.start(partial(self._show_prompt, reply), group="prompt", exclusive=True)

    async def _show_prompt(self, reply: Reply) -> None:
        desk, account = self.session.desk, reply.waiting.account
        if not await self.writing.load(reply) or reply.pulled is None:
            return
        pulled, reply_all = reply.pulled, reply.reply_all
        model = self._model
        views = await self.session.attempt(
            lambda _: prompt_views(desk.prompt(account, pulled, reply_all=reply_all), pulled.conversation, model)
        )
        if views is not None:
            await self.app.push_screen_wait(ReadingScreen(*views))

    def action_view(self) -> None:
        """The whole message as it would leave: headers, text, signature, quote."""
        reply = self.reply
        if reply is not None and not reply.writing:
            self.start(partial(self._show_outgoing, reply), group="prompt", exclusive=True)

    async def _show_outgoing(self, reply: Reply) -> None:
        desk, account, text = self.session.desk, reply.waiting.account, reply.text
        if not await self.writing.load(reply) or reply.pulled is None or reply.plan is None:
            return
        pulled, plan = reply.pulled, reply.plan
        preview = await self.session.attempt(lambda _: desk.preview(account, pulled, plan, text))
        if preview is not None:
            await self.app.push_screen_wait(outgoing_page(preview, self._mode(reply)))

    # ---- the decision

    def action_toggle_reply_all(self) -> None:
        """To the sender only, or to all."""
        reply = self._open_reply()
        if reply is not None:
            reply.reply_all = not reply.reply_all
            reply.in_drafts = False
            if reply.text:
                self.keeper.keep(reply)
            self._show_current()

    def action_approve(self) -> None:
        """Approve, and what the account's delivery mode says."""
        self._decide(self._mode(self.reply))

    def action_approve_to_drafts(self) -> None:
        """Approve to Drafts."""
        self._decide("drafts")

    def _decide(self, mode: Mode) -> None:
        if self.reply is not None and self._ready():
            self.start(partial(self._approve, self.reply, mode), group="decide")

    def _ready(self) -> bool:
        """Whether a decision may begin: none is under way, and the person has seen what this one is about."""
        if self._hurried is not None:
            self._hurry()  # a key that repeats has to be let go first
            return False
        return not self._deciding

    async def _approve(self, reply: Reply, mode: Mode) -> None:
        self._deciding = True
        try:
            approved = await self.decisions.approve(reply, mode)
        finally:
            self._deciding = False
        if approved:
            self._go_on(reply)

    def action_skip(self) -> None:
        """Off the list until a newer message comes."""
        reply = self._open_reply()
        if reply is not None and self._ready():
            self.start(partial(self._skip, reply), group="decide")

    async def _skip(self, reply: Reply) -> None:
        following = self.session.board.next_open(reply.key)
        problem = await self.keeper.flush()
        if problem:
            self.post_message(Noticed(problem, "error"))
        elif await self.outgoing.skip(reply) and following is not None:
            self._show_list()
            self.query_one(ConversationList).move_to(following)
            self._hurry()

    def _go_on(self, reply: Reply) -> None:
        """To the next conversation, unless the person has gone on already."""
        following = self.session.board.next_open(reply.key)
        if following is not None and self.session.current == reply.key:
            self.query_one(ConversationList).move_to(following)
            self._hurry()

    def action_undo(self) -> None:
        """Take the approval in hand back, else the last approval or skip; settle a reply that was perhaps sent."""
        self.start(partial(self._undo, self.reply), group="undo")

    async def _undo(self, current: Reply | None) -> None:
        if current is not None and current.unknown:
            await self.decisions.settle(current)
            return
        reply = await self.outgoing.undo(current)
        if reply is not None:
            self._show_list()
            self.query_one(ConversationList).move_to(reply.key)
