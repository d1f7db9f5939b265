"""Which keys are offered when, in the order of their weight."""

from __future__ import annotations

from mailassist.review.reply import Reply
from mailassist.review.widgets.key_bar import Hint
from mailassist.worklist import Mode

_HELP = Hint("?", "Help", "app.help")
_QUIT = Hint("q", "Quit", "app.quit")
_LATER = [
    Hint("o", "Whole thread", "screen.toggle_whole"),
    Hint("p", "Prompt", "screen.prompt"),
    Hint("E", "$EDITOR", "screen.edit_outside"),
    Hint("z", "Version before", "screen.version_before"),
    Hint("ctrl+r", "Sync", "screen.sync_now"),
]


def hints(reply: Reply | None, *, editing: bool, can_undo: bool, mode: Mode, list_only: bool) -> list[Hint]:
    """`reply`: the one in hand; `list_only`: the narrow screen shows only the list."""
    if editing:
        return [Hint("Esc", "Done", "screen.end_editing"), Hint("ctrl+z", "Undo typing", "screen.nothing"), _HELP]
    offered = [Hint("u", "Undo", "screen.undo")] if can_undo else []
    if reply is None:
        return [*offered, Hint("ctrl+r", "Sync", "screen.sync_now"), Hint("/", "Search", "screen.search"), _QUIT, _HELP]
    if reply.writing:
        offered.append(Hint("Esc", "Stop", "screen.back"))
    elif list_only or not reply.text:
        offered.append(Hint("Enter", "Open" if reply.text or list_only else "Write a draft", "screen.open"))
    if reply.text and not reply.writing and not reply.on_its_way:
        offered += _for_draft(mode)
    elif not reply.on_its_way:
        offered.append(Hint("e", "Write", "screen.edit"))
    offered += [Hint("s", "Skip", "screen.skip"), Hint("/", "Search", "screen.search"), _QUIT]
    return [*offered, *_LATER, _HELP]


def _for_draft(mode: Mode) -> list[Hint]:
    return [
        Hint("a", "Approve & send" if mode == "send" else "Approve to Drafts", "screen.approve"),
        Hint("e", "Edit", "screen.edit"),
        Hint("i", "Instruct", "screen.instruct"),
        Hint("r", "Again", "screen.regenerate"),
        Hint("d", "To Drafts", "screen.approve_to_drafts"),
    ]
