"""Reading: conversations at the left, the thread in the middle, the reply below it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import tzinfo
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from mailassist.review import messages as told
from mailassist.review.deciding import Decisions
from mailassist.review.keeping import Keeper
from mailassist.review.mailbox import Mailbox
from mailassist.review.outgoing import Outgoing
from mailassist.review.phrases import ago, joined, line
from mailassist.review.reply import Key, Reply
from mailassist.review.screens.confirm import ConfirmScreen
from mailassist.review.screens.hints import hints
from mailassist.review.session import Session, unexpected
from mailassist.review.widgets.ask_line import AskLine
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.review.widgets.draft_pane import DraftPane
from mailassist.review.widgets.key_bar import KeyBar
from mailassist.review.widgets.notice_bar import NoticeBar
from mailassist.review.widgets.outgoing_bar import OutgoingBar
from mailassist.review.widgets.status_bar import StatusBar
from mailassist.review.widgets.thread_view import ThreadView
from mailassist.review.writing import Writing
from mailassist.worklist import Mode, ModelStatus, ReviewDesk, Spending

NARROW = 100  # columns below which list and conversation take turns
HURRY = 0.6  # seconds after another conversation came up by itself in which no decision is taken
REST = 0.12  # seconds the cursor rests on a conversation before it is read


class ReadingRoom(Screen[None]):
    """Shows conversations and replies, and moves among them; what is done with a reply is `ReviewScreen`'s."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "step(1)", "Next", show=False),
        Binding("k", "step(-1)", "Previous", show=False),
        Binding("down", "step(1)", show=False),
        Binding("up", "step(-1)", show=False),
        Binding("enter", "open", "Open", show=False),
        Binding("o", "toggle_whole", "Whole thread", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("escape", "back", "Back", show=False),
        Binding("space", "page(1)", show=False),
        Binding("backspace", "page(-1)", show=False),
        Binding("ctrl+r", "sync_now", "Sync", show=False),
    ]
    AUTO_FOCUS = "#list"

    def __init__(self, desk: ReviewDesk, *, now: Callable[[], float], zone: tzinfo | None) -> None:
        """`now`: the clock; `zone`: of the dates shown, None for the machine's."""
        super().__init__()
        self.session = Session(desk, now, zone, self.post_message, self.start)
        self.keeper = Keeper(self.session)
        self.writing = Writing(self.session, self.keeper)
        self.mailbox = Mailbox(self.session, self.keeper)
        self.outgoing = Outgoing(self.session, self.keeper)
        self.decisions = Decisions(self.session, self.keeper, self.writing, self.outgoing, self._ask)
        self._connections: dict[str, tuple[str, bool]] = {}
        self._model = ModelStatus("")
        self._spending = Spending()
        self._hurried: Timer | None = None  # runs while no decision is taken
        self._shown: tuple[Key, str] | None = None  # which thread stands in the middle, up to which message

    def compose(self) -> ComposeResult:
        """Three panes and the lines at the bottom."""
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Static("", id="list-title", markup=False)
                yield ConversationList(id="list")
            with Vertical(id="right"):
                yield Static("", id="thread-title", markup=False)
                yield ThreadView(id="thread")
                yield DraftPane(id="draft")
        yield OutgoingBar(id="outgoing")
        yield NoticeBar(id="notice")
        yield AskLine(id="ask")
        yield StatusBar(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """List first; everything else in the background."""
        self._show_current()
        self.session.desk.tell(lambda line: self.post_message(told.Noticed(line, "warning")))
        self.start(self._open, group="open")
        self.set_interval(0.08, self._stream)
        self.set_interval(0.5, self._tick)
        self.set_interval(30.0, self._show_list)

    # ---- what the parts behind the screen use

    def start(self, work: Callable[[], Coroutine[Any, Any, object]], *, group: str, exclusive: bool = False) -> object:
        """Run `work` in a worker of Textual; `exclusive`: what runs in the same `group` is cancelled."""
        return self.run_worker(work, group=group, exclusive=exclusive, exit_on_error=False)  # type: ignore[arg-type]

    async def _ask(self, question: ConfirmScreen) -> str:
        return await self.app.push_screen_wait(question) or ""

    async def _open(self) -> None:
        await self.mailbox.open()
        await self.outgoing.open()
        await self._read_figures()
        if self._model.notice:
            self.post_message(told.Noticed(self._model.notice, "warning"))

    async def _read_figures(self) -> None:
        desk = self.session.desk
        found = await self.session.attempt(lambda _: (desk.model_status(), desk.spending()))
        if found is not None:
            self._model, self._spending = found
        self._show_current()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A bug in a worker is told in one line; the screen goes on."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.post_message(told.Noticed(unexpected(event.worker.error), "error"))

    def _hurry(self) -> None:
        """Another conversation has come up: a key meant for the one before must not decide about it."""
        if self._hurried is not None:
            self._hurried.stop()
        self._hurried = self.set_timer(HURRY, self._calm)

    def _calm(self) -> None:
        self._hurried = None

    # ---- showing

    @property
    def reply(self) -> Reply | None:
        """The conversation in hand."""
        return self.session.board.get(self.session.current)

    def _show_list(self) -> None:
        board, names = self.session.board, self.session.desk.account_names
        shown = board.shown()
        self.query_one(ConversationList).show(
            shown, self.session.now(), with_account=len(names) > 1, with_reason=board.held_only
        )
        words = f"{len(shown)} failed or held" if board.held_only else f"{len(board)} waiting"
        title = [line(words, "bold")]
        overdue = sum(reply.urgency < 0 and not reply.gone for reply in board.all())
        if overdue and not board.held_only:
            title.append(line(f", {overdue} overdue", "$text-error"))
        if board.held_only:
            title += [Content("  "), line("F shows all", "$text-accent")]
        if len(names) == 1 and not board.search and not board.held_only:
            title += [Content("  "), line(self.session.desk.address(names[0]), "$text-muted")]
        if board.search:
            title += [Content("  "), line(f"{len(shown)} match “{board.search}”", "$text-accent")]
        self.query_one("#list-title", Static).update(joined(*title))

    def _show_current(self) -> None:
        """The reply, the figures and the keys, as they are now."""
        reply = self.reply
        self.query_one(DraftPane).show(reply, self._hint(reply) if reply else "")
        self.query_one(DraftPane).display = reply is not None
        title = self.query_one("#thread-title", Static)
        title.update(line(reply.waiting.subject or "(no subject)", "bold") if reply else Content(""))
        bar = self.query_one(StatusBar)
        bar.show_figures(self._model.name, reply.figures if reply else None, self._spending)
        bar.show_connection(list(self._connections.values()))
        self._show_keys()

    def _show_keys(self) -> None:
        reply = self.reply
        self.query_one(KeyBar).show(
            hints(
                reply,
                editing=self.query_one(DraftPane).editing,
                can_undo=bool(self.outgoing.pending),
                mode=self._mode(reply),
                list_only=self.has_class("-narrow") and not self.has_class("-reading"),
                selected=len(self.session.board.selected) if self.session.desk.team is not None else None,
            )
        )

    def _mode(self, reply: Reply | None) -> Mode:
        return self.session.desk.delivery_mode(reply.waiting.account) if reply else "send"

    def _hint(self, reply: Reply) -> str:
        """What stands where the draft will be."""
        if reply.problem:
            return f"{reply.problem} (r tries again)"
        if reply.writing:
            return "…"
        outline = bool(self._model.problem) or self._model.name == "outline"
        who = "an outline, without a model" if outline else f"a draft with {self._model.name}"
        problem = f" {self._model.problem}" if self._model.problem else ""
        return f"Enter writes {who}; e lets you write it yourself.{problem}"

    def _empty_sentence(self) -> str:
        desk = self.session.desk
        if not desk.account_names:
            return "No account is configured yet. Leave with q and run: mailassist setup you@example.org"
        if not self.mailbox.listed:
            return "Reading the list …"
        if self.session.board.search:
            return "No conversation matches the search. Esc shows all of them."
        times = [desk.last_synced(name) for name in desk.account_names]
        last = max((time for time in times if time is not None), default=None)
        return f"Nothing waits for an answer. Last looked: {ago(last, self.session.now())}; ctrl+r looks again."

    async def _show_thread(self) -> None:
        """Once the cursor rests: read the conversation and show it."""
        await asyncio.sleep(REST)
        reply = self.reply
        thread = self.query_one(ThreadView)
        if reply is None:
            self._shown = None
            await thread.say(self._empty_sentence())
            return
        wanted = (reply.key, reply.waiting.message_id)
        if wanted == self._shown and reply.pulled is not None:
            return
        if reply.pulled is None:
            self._shown = None
            await thread.say("Reading the conversation …")
        if not await self.writing.load(reply) or reply.pulled is None:
            await thread.say("The conversation could not be read. Enter tries again.")
            return
        self._shown = wanted
        conversation = reply.pulled.conversation
        await thread.show(conversation, wanted[1], now=self.session.now(), zone=self.session.zone)

    def _turn_to(self, key: Key | None) -> None:
        """Take another conversation in hand."""
        if key == self.session.current and key is not None:
            return
        self._end_editing()
        before, self.session.current = self.session.current, key
        if before is not None:
            self.left(before)
        self._show_current()
        self.query_one(DraftPane).scroll_to_top()
        self.start(self._show_thread, group="thread", exclusive=True)

    def left(self, key: Key) -> None:
        """Another conversation is in hand than `key`: nothing follows, for a person alone."""

    def opened(self, reply: Reply) -> None:
        """The person has opened a conversation, to work on it."""

    async def leaving(self) -> None:
        """The program ends, and everything is saved."""

    def _end_editing(self) -> None:
        pane = self.query_one(DraftPane)
        if pane.editing:
            had_focus = pane.editor.has_focus
            pane.end_editing()
            if self.reply is not None:
                self.reply.editing = False
            if had_focus:
                self.set_focus(self.query_one("#draft-scroll"))
            self._show_current()

    # ---- time

    def _stream(self) -> None:
        reply = self.reply
        if reply is not None and reply.writing:
            self.query_one(DraftPane).show(reply, self._hint(reply))

    def _tick(self) -> None:
        self.outgoing.tick()
        self.query_one(OutgoingBar).show(self.outgoing.entries, self.session.now())
        self._show_keys()

    def on_resize(self, event: Resize) -> None:
        """Narrow terminals show list and conversation in turns."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self._show_keys()

    # ---- what the parts tell

    @on(told.BoardChanged)
    def _board_changed(self, event: told.BoardChanged) -> None:
        self._show_list()
        cursor = self.query_one(ConversationList).cursor
        if self.reply is None or cursor is None:
            if self.session.current is not None:
                self._hurry()
            self.session.current = None
            self._turn_to(cursor)
        elif self._shown and self._shown[1] != self.reply.waiting.message_id:
            self.start(self._show_thread, group="thread", exclusive=True)
        if event.new:
            more = f" and {len(event.new) - 1} more" if len(event.new) > 1 else ""
            self.post_message(told.Noticed(f"New: {event.new[0]}{more}"))

    @on(told.ReplyChanged)
    def _reply_changed(self, event: told.ReplyChanged) -> None:
        self._show_list()
        if event.key == self.session.current:
            self._show_current()

    @on(told.SpendingChanged)
    def _spending_changed(self) -> None:
        self.start(self._read_figures, group="figures", exclusive=True)

    @on(told.Noticed)
    def _noticed(self, event: told.Noticed) -> None:
        self.query_one(NoticeBar).say(event.text, event.severity)

    @on(told.ConnectionChanged)
    def _connection_changed(self, event: told.ConnectionChanged) -> None:
        several = len(self.session.desk.account_names) > 1
        self._connections[event.account] = (f"{event.account} {event.text}" if several else event.text, event.ok)
        self.query_one(StatusBar).show_connection(list(self._connections.values()))
        if self.reply is None:
            self.start(self._show_thread, group="thread", exclusive=True)

    @on(told.ConversationHighlighted)
    def _highlighted(self, event: told.ConversationHighlighted) -> None:
        self._turn_to(event.key)

    @on(told.ConversationChosen)
    def _chosen(self, event: told.ConversationChosen) -> None:
        self._turn_to(event.key)
        self._show(write=event.write)

    @on(told.TextEdited)
    def _text_edited(self, event: told.TextEdited) -> None:
        reply = self.reply
        if reply is not None and event.text != reply.text:
            reply.type(event.text)
            self.keeper.keep(reply)

    @on(told.EditingEnded)
    def action_end_editing(self) -> None:
        """Back from the editor."""
        self._end_editing()

    @on(told.Answered)
    def _answered(self, event: told.Answered) -> None:
        if event.question == "search":
            self._search(event.text)
            if event.final:
                self.set_focus(self.query_one(ConversationList))
        elif event.final:
            self.set_focus(self.query_one("#draft-scroll"))
            if self.reply is not None and event.text.strip():
                self.answered(event.question, self.reply, event.text.strip())

    def answered(self, question: told.Question, reply: Reply, text: str) -> None:
        """What was typed in the line at the bottom about a reply."""
        self.writing.write(reply, text)

    @on(told.Dismissed)
    def _dismissed(self, event: told.Dismissed) -> None:
        if event.question == "search":
            self._search("")
        self.set_focus(self.query_one("#list" if event.question == "search" else "#draft-scroll"))

    def _search(self, text: str) -> None:
        self.session.board.search = text
        self.post_message(told.BoardChanged())

    # ---- keys: moving

    def action_step(self, step: int) -> None:
        """The next or the previous conversation."""
        key = self.session.board.neighbour(self.session.current, step)
        if key is not None:
            self.query_one(ConversationList).move_to(key)

    def action_page(self, step: int) -> None:
        """Scroll the thread by a page."""
        thread = self.query_one(ThreadView)
        thread.scroll_page_down() if step > 0 else thread.scroll_page_up()

    def action_open(self) -> None:
        """Show the thread and have a draft written where there is no text."""
        self._show(write=True)

    def _show(self, *, write: bool) -> None:
        reply = self.reply
        if reply is None:
            return
        self.opened(reply)
        self.add_class("-reading")
        self.set_focus(self.query_one(ThreadView))
        self.start(self._show_thread, group="thread", exclusive=True)
        if write and not reply.text and not reply.problem:
            self.writing.write(reply)
        self._show_keys()

    def action_back(self) -> None:
        """Stop what is being written; else back to the list; else show all of it."""
        reply = self.reply
        if reply is not None and reply.writing:
            self.writing.stop(reply)
            return
        if self.session.board.search and not self.has_class("-reading"):
            self._search("")
        self.remove_class("-reading")
        self.set_focus(self.query_one(ConversationList))
        self._show_keys()

    def action_toggle_whole(self) -> None:
        """The whole thread with its quoted text, or the newest message only."""
        self.query_one(ThreadView).toggle_whole()

    def action_search(self) -> None:
        """Search the list while typing."""
        self.remove_class("-reading")
        self.query_one(AskLine).ask("search", self.session.board.search)

    def action_sync_now(self) -> None:
        """Look for new mail."""
        self.mailbox.sync_now()
