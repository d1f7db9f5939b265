"""Which keys are offered when, in the order of their weight."""

from __future__ import annotations

from mailassist.review.reply import Reply
from mailassist.review.widgets.key_bar import Hint
from mailassist.worklist import Mode

_HELP = Hint("?", "Help", "app.help")
_QUIT = Hint("q", "Quit", "app.quit")
_SYNC = Hint("ctrl+r", "Sync", "screen.sync_now")
_THREAD = [Hint("o", "Whole thread", "screen.toggle_whole"), Hint("p", "Prompt", "screen.prompt")]
_EDITING = [
    Hint("Esc", "Done", "screen.end_editing"),
    Hint("ctrl+z", "Undo", "screen.editor_undo"),
    Hint("ctrl+y", "Redo", "screen.editor_redo"),
]


def hints(
    reply: Reply | None, *, editing: bool, can_undo: bool, mode: Mode, list_only: bool, selected: int | None = None
) -> list[Hint]:
    """`reply`: the one in hand; `list_only`: the narrow screen shows only the list.

    `selected`: how many replies of a team's queue are to be approved together; None where there is no team.
    """
    if selected is not None and not editing:
        return _for_team(
            reply, hints(reply, editing=editing, can_undo=can_undo, mode=mode, list_only=list_only), selected
        )
    if editing:
        return _EDITING
    offered = [Hint("u", "Undo", "screen.undo")] if can_undo else []
    if reply is None:
        return [*offered, _SYNC, Hint("/", "Search", "screen.search"), _QUIT, _HELP]
    if reply.unknown:
        offered = [Hint("u", "Did it arrive?", "screen.undo")]
    if reply.writing:
        offered.append(Hint("Esc", "Stop", "screen.back"))
    elif not reply.on_its_way:
        offered += _for_reply(reply, mode, list_only)
    offered += [Hint("/", "Search", "screen.search"), _QUIT]
    if not list_only:
        offered += _THREAD
    if reply.text and not reply.writing and not reply.on_its_way:
        offered.append(Hint("E", "$EDITOR", "screen.edit_outside"))
    return [*offered, _SYNC, _HELP]


def _for_team(reply: Reply | None, offered: list[Hint], selected: int) -> list[Hint]:
    """A team's keys beside the others, and without those that a team has no use for."""
    first = [Hint("A", f"Approve {selected}", "screen.approve_selected")] if selected else []
    offered = [hint for hint in offered if hint.key != "d"]
    offered = [Hint("s", "No reply", "screen.skip") if hint.key == "s" else hint for hint in offered]
    held = Hint("F", "Failed and held", "screen.show_held")
    if reply is None:
        return [*first, *offered[:-1], held, offered[-1]]
    more = [Hint("n", "Notes", "screen.notes"), Hint("h", "Hand over", "screen.hand_over")]
    select = Hint("x", "Select", "screen.select")
    at = next((place for place, hint in enumerate(offered) if hint.key == "s"), len(offered) - 1) + 1
    if reply.held_by:  # a colleague has it in hand: reading is what is left
        kept = [hint for hint in offered if hint.key not in ("a", "e", "i", "r", "s", "E")]
        return [*first, *kept[:-1], Hint("n", "Notes", "screen.notes"), held, kept[-1]]
    return [*first, *offered[:at], *more, select, *offered[at:-1], held, offered[-1]]


def _for_reply(reply: Reply, mode: Mode, list_only: bool) -> list[Hint]:
    """What can be done with a reply that nobody is writing."""
    open_it = [Hint("Enter", "Open" if reply.text or list_only else "Write a draft", "screen.open")]
    skip = Hint("s", "Skip", "screen.skip")
    if not reply.text:
        return [*open_it, Hint("e", "Write", "screen.edit"), skip]
    before = [Hint("z", "Version before", "screen.version_before")] if reply.others else []
    return [
        *(open_it if list_only else []),
        Hint("a", "Approve & send" if mode == "send" else "Approve to Drafts", "screen.approve"),
        Hint("e", "Edit", "screen.edit"),
        Hint("i", "Instruct", "screen.instruct"),
        Hint("r", "Again", "screen.regenerate"),
        *([Hint("d", "To Drafts", "screen.approve_to_drafts")] if mode == "send" else []),
        skip,
        Hint("v", "View", "screen.view"),
        *before,
    ]
