"""What stands on the pages over the main screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from mailassist.review.phrases import counted, joined, line, money, shown
from mailassist.review.screens.reading import ReadingScreen

if TYPE_CHECKING:
    from mailassist.drafting.prompt import Prompt
    from mailassist.worklist import Mode, ModelStatus, Preview

KEYS = (
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
            ("p", "the exact prompt, with tokens and price"),
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


def help_page() -> ReadingScreen:
    """Every key."""
    width = max(len(key) for _, keys in KEYS for key, _ in keys) + 2
    parts = []
    for heading, keys in KEYS:
        rows = [joined(shown(key.ljust(width), "bold"), line(words)) for key, words in keys]
        parts.append((heading, Content("\n").join(rows)))
    return ReadingScreen("Keys", parts)


def outgoing_page(preview: Preview, mode: Mode) -> ReadingScreen:
    """The whole message as it would leave."""
    width = max(len(name) for name, _ in preview.headers) + 2
    rows = [joined(shown(f"{name}:".ljust(width), "$text-muted"), line(value)) for name, value in preview.headers]
    parts = [("", Content("\n").join(rows)), ("Text", shown(preview.text))]
    if preview.html:
        parts.append(("", line("An HTML part with the same words goes along.", "$text-muted")))
    return ReadingScreen("What would leave" if mode == "send" else "What would go to Drafts", parts)


def prompt_page(prompt: Prompt, model: ModelStatus) -> ReadingScreen:
    """Exactly what would be sent, and what it costs."""
    from mailassist.drafting.attachments import picture_line

    count = counted(prompt.tokens, "token") if prompt.exact else f"at most {counted(prompt.tokens, 'token')}"
    price = "price not known" if prompt.estimated_price is None else f"{money(prompt.estimated_price)} for the input"
    where = f" to {model.host}" if model.host else ""
    parts = [
        ("", line(f"{model.name}{where} · {count} · {price}")),
        *(("", line(f"Image {number}: {picture_line(one)}")) for number, one in enumerate(prompt.images, 1)),
        ("Instructions", shown(prompt.instructions)),
        ("Input", shown(prompt.input)),
    ]
    if prompt.packed.left_out:
        rows = [line(f"{one.message_id}: {one.why}") for one in prompt.packed.left_out]
        parts.append(("Left out", Content("\n").join(rows)))
    return ReadingScreen("What the model would be sent", parts)
