"""The reply, below the thread: recipients, state and text; the text streams in, or is edited."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from mailassist.mail.recipients import ReplyPlan
from mailassist.review.phrases import counted, joined, line, shown
from mailassist.review.reply import Reply, draft_text
from mailassist.review.widgets.editor import Editor
from mailassist.review.widgets.recipients import Recipients
from mailassist.worklist import TeamMark


class DraftPane(Vertical):
    """Shows one reply at a time."""

    _writing = False  # the text shown last was still coming in

    def compose(self) -> ComposeResult:
        """A title bar, the recipients, the text."""
        yield Static("", id="draft-title", markup=False)
        yield Recipients(id="recipients")
        with ContentSwitcher(id="draft-switch", initial="draft-scroll"):
            with VerticalScroll(id="draft-scroll"):
                yield Static("", id="draft-text", markup=False)
            yield Editor(id="editor")

    @property
    def editor(self) -> Editor:
        """Where the text is edited."""
        return self.query_one(Editor)

    @property
    def editing(self) -> bool:
        """Whether the person is editing in place."""
        return self.query_one(ContentSwitcher).current == "editor"

    def show(self, reply: Reply | None, hint: str = "") -> None:
        """A reply as it is now; `hint`: what stands in place of a text that is not there."""
        self.query_one(Recipients).show(reply)
        self.query_one("#draft-title", Static).update(_title(reply))
        text = _text(reply) if reply else None
        body = self.query_one("#draft-text", Static)
        body.update(shown(text) if text else line(hint, "$text-muted"))
        writing = bool(reply and reply.writing)
        if writing:
            self.query_one("#draft-scroll", VerticalScroll).scroll_end(animate=False)
        elif self._writing:
            self.scroll_to_top()
        self._writing = writing

    def scroll_to_top(self) -> None:
        """Show the beginning of the text."""
        self.query_one("#draft-scroll", VerticalScroll).scroll_home(animate=False)

    def begin_editing(self, text: str) -> None:
        """Turn the text into an editor."""
        self.editor.begin(text)
        self.query_one(ContentSwitcher).current = "editor"
        self.screen.set_focus(self.editor)

    def end_editing(self) -> None:
        """Turn the editor into text."""
        self.query_one(ContentSwitcher).current = "draft-scroll"


def _text(reply: Reply) -> str:
    return draft_text("".join(reply.pieces)) if reply.writing else reply.text


def _title(reply: Reply | None) -> Content:
    """`Reply`, and the state of its text in words."""
    if reply is None:
        return Content("")
    parts = [Content.styled("Reply", "bold")]
    for words, style in _states(reply):
        parts += [Content("  "), line(words, style)]
    return joined(*parts)


def _choice(reply: Reply) -> list[tuple[str, str]]:
    """Whether it goes to the sender or to all, where that makes a difference."""
    one, everybody = (reply.plans.get(choice) for choice in (False, True))
    if one is None or everybody is None or set(_people(one)) == set(_people(everybody)):
        return []
    if reply.reply_all:
        return [("to all", "$text-accent"), ("R: only to the sender", "$text-muted")]
    return [("to the sender", "$text-accent"), (f"R: to all {len(_people(everybody))}", "$text-muted")]


def _team_states(team: TeamMark) -> list[tuple[str, str]]:
    """What a colleague should know of it first."""
    said = []
    if team.held_by:
        said.append((f"{team.held_by} has it in hand", "$text-warning"))
    if team.state == "person":
        said.append((f"a person is wanted{f': {team.reason}' if team.reason else ''}", "$text-warning"))
    elif team.state == "missing":
        said.append((f"missing information: {'; '.join(team.missing) or team.reason}", "$text-warning"))
    elif team.reason:
        said.append((team.reason, "$text-warning"))
    if team.also_in:
        said.append((f"also came to {', '.join(team.also_in)}", "$text-muted"))
    if team.assigned_to:
        said.append((f"for {team.assigned_to}", "$text-muted"))
    if team.notes:
        said.append((f"{counted(team.notes, 'note')}: n", "$text-accent"))
    return said


def _people(plan: ReplyPlan) -> list[str]:
    return [address.key for address in (*plan.to, *plan.cc)]


def _states(reply: Reply) -> list[tuple[str, str]]:
    states: list[tuple[str, str]] = []
    if reply.team is not None and not reply.on_its_way:
        states += _team_states(reply.team)
    states += _choice(reply)
    if reply.writing:
        states.append(("being written: Esc stops it", "$text-accent"))
    elif reply.text and not reply.complete:
        states.append(("cut off: not a whole reply", "$text-warning"))
    elif reply.edited:
        states.append(("edited, saving" if reply.unsaved else "edited, saved", "$text-muted"))
    if reply.others and not reply.writing:
        states.append(("z: version before", "$text-muted"))
    if reply.overtaken:
        states.append(("a newer message came in after this was written", "$text-warning"))
    if reply.gone:
        states.append(("no longer waits: answered or moved elsewhere", "$text-warning"))
    states += [(notice, "$text-warning") for notice in reply.notices]
    return states
