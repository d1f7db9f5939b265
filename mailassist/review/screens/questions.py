"""What is asked before something that cannot be taken back, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from mailassist.mail.recipients import ReplyPlan
from mailassist.review.gaps import gaps
from mailassist.review.phrases import bare, counted, named
from mailassist.review.reply import Reply
from mailassist.review.screens.confirm import Choice, ConfirmScreen
from mailassist.worklist import Mode, OutboxEntry

MANY = 9  # candidates that have a digit of their own


def doubts(reply: Reply, plan: ReplyPlan) -> list[str]:
    """Why a person should look twice before this reply leaves; empty: nothing speaks against it."""
    found = []
    if not reply.complete:
        found.append("The draft was cut off: it is not a whole reply.")
    open_ones = gaps(reply.text)
    if open_ones:
        found.append(f"{counted(len(open_ones), 'gap')} may still have to be filled in: {', '.join(open_ones[:5])}")
    if reply.overtaken:
        found.append("A newer message came in after this was written.")
    if reply.gone:
        found.append("The conversation no longer waits: it was answered or moved elsewhere.")
    return found + list(plan.needs_confirmation)


def ask_approval(plan: ReplyPlan, reasons: Sequence[str], mode: Mode) -> ConfirmScreen:
    """One clear question; "yes" or ""."""
    to = ", ".join(bare(address) for address in (*plan.to, *plan.cc))
    title, words = ("Send this reply?", "send it") if mode == "send" else ("Save this reply to Drafts?", "save it")
    lines = [f"To {to}", "", *(f"! {reason}" for reason in reasons)]
    return ConfirmScreen(title, lines, [Choice("y", f"yes, {words}", "yes"), Choice("n", "no, back", "")])


def ask_many(replies: Sequence[Reply]) -> ConfirmScreen:
    """Whether these replies are to leave together; "yes" or ""."""
    lines = [f"{named(reply.waiting.correspondent)}: {reply.waiting.subject or '(no subject)'}" for reply in replies]
    note = "Each is looked at again before it leaves; what has changed, or is in doubt, is held."
    choices = [Choice("y", "yes, send them", "yes"), Choice("n", "no, back", "")]
    return ConfirmScreen(f"Send {len(replies)} replies?", [*lines, "", note], choices)


def ask_new_draft(why: str) -> ConfirmScreen:
    """Whether a new draft is wanted although the one before is not ours any more; "yes" or ""."""
    choices = [Choice("y", "yes, save a new one", "yes"), Choice("n", "no, back", "")]
    return ConfirmScreen("Save a new draft to Drafts?", [f"{why}."], choices)


def ask_recipient(plan: ReplyPlan) -> ConfirmScreen:
    """Who of the candidates gets the reply; the answer is a candidate's position, or ""."""
    lines = [f"! {reason}" for reason in plan.needs_confirmation]
    choices = [
        Choice(str(index + 1), bare(address), str(index)) for index, address in enumerate(plan.candidates[:MANY])
    ]
    return ConfirmScreen("Who is this reply for?", lines, [*choices, Choice("n", "nobody, back", "")])


def ask_before_leaving(pending: Sequence[OutboxEntry], sending: bool) -> ConfirmScreen:
    """What becomes of replies on their way; "send", "keep", "undo", "quit" or ""."""
    lines = [f"“{one.subject}” to {', '.join(one.recipients)}" for one in pending]
    if not pending:
        return ConfirmScreen(
            "A reply is being sent right now",
            ["If you leave, the next start looks what became of it and never sends it twice by itself."],
            [Choice("x", "leave all the same", "quit"), Choice("w", "wait for it", "wait")],
        )
    title = f"{counted(len(pending), 'approved reply')} not sent yet".replace("replys", "replies")
    keep = "Kept in the outbox: sent at the next start, after another undo time."
    choices = [Choice("s", "send now", "send"), Choice("u", "undo", "undo"), Choice("k", "keep for next start", "keep")]
    note = [f"{'One more is being sent right now. ' if sending else ''}{keep}"]
    return ConfirmScreen(title, [*lines, "", *note], choices)


def ask_whether_it_arrived(entry: OutboxEntry) -> ConfirmScreen:
    """What became of a reply that was perhaps sent; "arrived", "again", "dropped" or ""."""
    lines = [
        f"“{entry.subject}” to {', '.join(entry.recipients)}",
        "The connection broke before the server answered, and no copy is in Sent.",
        "Look into Sent, or ask the recipient; sending again may send it twice.",
    ]
    choices = [
        Choice("y", "it arrived", "arrived"),
        Choice("s", "send again", "again"),
        Choice("g", "give up, keep the text", "dropped"),
        Choice("n", "not now", ""),
    ]
    return ConfirmScreen("Did this reply arrive?", lines, choices)


def ask_after_failed_save(problem: str) -> ConfirmScreen:
    """Whether to leave although a text could not be saved."""
    return ConfirmScreen(
        "Your last changes are not saved",
        [problem],
        [Choice("x", "leave and lose them", "quit"), Choice("n", "stay", "")],
    )


def ask_regeneration() -> ConfirmScreen:
    """Whether a text by the person may make room."""
    return ConfirmScreen(
        "Write a new draft over your text?",
        ["Your text stays one key away: z brings it back."],
        [Choice("y", "yes, write", "yes"), Choice("n", "no, back", "")],
    )
