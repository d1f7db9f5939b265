"""What stands on the pages over the main screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from textual.content import Content

from mailassist.review.phrases import joined, line, moment, shown
from mailassist.review.screens.reading import Part, ReadingScreen, gathered, pieces

if TYPE_CHECKING:
    from mailassist.worklist import Mode, Preview, TeamNote

Keys = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # headings, each with keys and what they do

KEYS: Keys = (
    (
        "Conversations",
        (
            ("j / k, ↓ / ↑", "next, previous conversation (arrows: while the list has the focus)"),
            ("Enter", "open: show the thread, and write a draft if there is none"),
            ("s", "skip: off the list until a newer message comes"),
            ("/", "search the list"),
            ("ctrl+r", "look for new mail now"),
            ("Tab", "from list to thread to draft; space, PageUp and PageDown scroll"),
            ("Esc", "stop a draft being written; back to the list"),
        ),
    ),
    (
        "Thread",
        (("o", "show the whole thread with quoted text, or fold it again"),),
    ),
    (
        "Draft",
        (
            ("e", "edit in place; Esc ends it. Every pause is saved"),
            ("E", "edit in $VISUAL or $EDITOR; an empty file cancels"),
            ("r", "write it again"),
            ("i", "instruct: “shorter; say no politely”"),
            ("z", "the versions before, one after the other, and back"),
            ("R", "reply to the sender only, or to all"),
            ("p", "what the model would see, and what is left out; x there: the exact prompt"),
            ("v", "the whole message as it would leave: headers, text, signature, quote"),
        ),
    ),
    (
        "Decide",
        (
            ("a", "approve and send (or what the account's delivery mode says)"),
            ("u", "undo: take an approved reply back while its time runs; bring a skipped conversation back"),
            ("d", "approve to Drafts"),
        ),
    ),
    (
        "Program",
        (("T", "dark or light colours"), ("?", "this page"), ("q", "quit; nothing is lost")),
    ),
)


TEAM_KEYS: Keys = (
    (
        "Team",
        (
            ("n / N", "the notes of colleagues; write one. No model ever sees them"),
            ("h", "hand over: “eli: you know this customer”"),
            ("s", "no reply is needed; says why"),
            ("x", "select for approval; A approves all that are selected, and reports each"),
            ("F", "what failed or is held, and why; r and a try again. F shows all of it again"),
        ),
    ),
)
_NOT_IN_A_TEAM = ("s", "d")


def help_page(*, team: bool = False) -> ReadingScreen:
    """Every key; `team`: of a queue that several people work on."""
    pages = KEYS
    if team:
        alone = tuple(
            (heading, tuple(row for row in rows if row[0] not in _NOT_IN_A_TEAM)) for heading, rows in KEYS
        )  # fmt: skip
        pages = (*alone[:-1], *TEAM_KEYS, alone[-1])
    width = max(len(key) for _, keys in pages for key, _ in keys) + 2
    parts = []
    for heading, keys in pages:
        rows = [joined(shown(key.ljust(width), "bold"), line(words)) for key, words in keys]
        parts.append(Part(heading, [Content("\n").join(rows)]))
    return ReadingScreen(("Keys", parts))


def notes_page(notes: Sequence[TeamNote], now: float, zone: tzinfo | None) -> ReadingScreen:
    """What colleagues wrote about a conversation, oldest first."""
    parts = [
        Part(f"{note.who}, {moment(datetime.fromtimestamp(note.at, UTC), now, zone)}", pieces(note.text))
        for note in notes
    ]
    return ReadingScreen(("Notes", parts or [Part("", [line("Nobody has written a note: N writes one.")])]))


def report_page(title: str, rows: Sequence[tuple[str, str]]) -> ReadingScreen:
    """What came of each of many; `rows`: of what, and what."""
    lines = [joined(line(what, "bold"), shown("  "), line(came)) for what, came in rows]
    return ReadingScreen((title, [Part("", gathered(lines))]))


def outgoing_page(preview: Preview, mode: Mode) -> ReadingScreen:
    """The whole message as it would leave."""
    width = max(len(name) for name, _ in preview.headers) + 2
    rows = [joined(shown(f"{name}:".ljust(width), "$text-muted"), line(value)) for name, value in preview.headers]
    parts = [Part("", [Content("\n").join(rows)]), Part("Text", pieces(preview.text))]
    if preview.html:
        parts.append(Part("", [line("An HTML part with the same words goes along.", "$text-muted")]))
    return ReadingScreen(("What would leave" if mode == "send" else "What would go to Drafts", parts))
