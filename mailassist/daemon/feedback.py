"""What became of our drafts, from what really left: never from an opinion that a model has of itself.

What the team finally sent is found by In-Reply-To and by likeness of text, since programs rewrite Message-IDs.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from mailassist.daemon.parts import Parts
from mailassist.errors import MailassistError
from mailassist.mail.message import Message
from mailassist.mail.threads import Conversation
from mailassist.store import arrivals, cases, drafts, feedback, mailboxes
from mailassist.store.arrivals import ArrivalRow
from mailassist.store.drafts import DraftRow
from mailassist.store.feedback import Feedback, Outcome

if TYPE_CHECKING:
    from mailassist.daemon.steps.run import Run

AS_IS = 0.98  # likeness from which on a text counts as sent as it was
EDITED = 0.5  # and from which on as made from the draft
_LONGEST = 2000  # words that are compared


def likeness(draft: str, sent: str) -> float:
    """How much of two texts is the same, word by word: 0 to 1 (Ratcliff and Obershelp's measure)."""
    one, other = _words(draft), _words(sent)
    if one == other:
        return 1.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio() if one and other else 0.0


def outcome_of(alike: float) -> Outcome:
    """What a likeness means."""
    if alike >= AS_IS:
        return "as is"
    return "edited" if alike >= EDITED else "elsewhere"


def note_answer(run: Run, row: DraftRow) -> None:
    """Compare the draft with what the team sent, where that can be read."""
    try:
        conversation = run.pulled.conversation
    except MailassistError:
        return  # deleted meanwhile, or the server fails at it: nothing is known of it
    sent = answer_to(conversation, row)
    if sent is None:
        return
    alike = max(likeness(row.text, text) for text in (sent.reply or sent.text, sent.text))
    _note(run.parts, run.row, row, outcome_of(alike), alike)


def note_answer_elsewhere(run: Run) -> None:
    """An answer to an earlier message that left from somewhere we do not see, such as a delegate's own mailbox.

    It shows in what the customer writes next: that answers a message which is not here, or quotes our draft.
    """
    message = run.answered
    if not message.in_reply_to and not message.quoted.strip():
        return  # as most first messages: nothing was answered
    row = drafts.of_case(run.parts.store, run.row.case_id or 0)
    if row is None or row.answers == message.message_id or not row.text.strip():
        return
    alike = contained(row.text, message.quoted)
    if _answers_what_is_elsewhere(run) or alike >= EDITED:
        _note_of(run.parts, row, outcome_of(alike), alike)


def doubt(run: Run) -> str:
    """Why an answer may exist that nobody sees here, in plain words; "" where nothing speaks for it.

    A delegate's program may keep what was sent in that person's own mailbox: not to see an answer proves nothing.
    """
    message, conversation = run.answered, run.pulled.conversation
    ids = [one.message_id for one in conversation.messages]
    before = conversation.entries[: ids.index(message.message_id)] if message.message_id in ids else ()
    if not _answers_what_is_elsewhere(run) or not before or before[-1].ours:
        return ""
    return "an answer may exist elsewhere: this message answers one that is not in the mailbox"


def _answers_what_is_elsewhere(run: Run) -> bool:
    return any(run.pulled.conversation.message(one) is None for one in run.answered.in_reply_to)


def contained(draft: str, text: str) -> float:
    """How much of a draft stands in a longer text, such as a quotation: 0 to 1, by runs of three words."""
    runs, there = _runs(draft), _runs(text)
    return len(runs & there) / len(runs) if runs else 0.0


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return set(zip(words, words[1:], words[2:], strict=False))


def note_discarded(parts: Parts, arrival: ArrivalRow) -> None:
    """A person threw the draft away."""
    row = drafts.of_case(parts.store, arrival.case_id or 0)
    if row is not None:
        _note(parts, arrival, row, "discarded", 0.0)


def note_gone(parts: Parts, row: DraftRow) -> None:
    """Our draft was taken out of the Drafts folder, and nothing was sent."""
    _note_of(parts, row, "discarded", 0.0)


def answer_to(conversation: Conversation, row: DraftRow) -> Message | None:
    """What we sent in answer to the message of the draft: by In-Reply-To, else the one most like it."""
    asked = conversation.message(row.answers)
    ours = [entry.message for entry in conversation.entries if entry.ours]
    later = [one for one in ours if asked is None or not one.date or not asked.date or one.date >= asked.date]
    direct = [one for one in later if row.answers in (*one.in_reply_to, *one.references[-1:])]
    return max(direct or later, key=lambda one: likeness(row.text, one.reply or one.text), default=None)


def _note_of(parts: Parts, row: DraftRow, outcome: Outcome, alike: float) -> None:
    """For the arrival that the draft answers, where that is known still."""
    found = [one for one in arrivals.of_case(parts.store, row.case_id or 0) if one.message_id == row.answers]
    if found:
        _note(parts, found[-1], row, outcome, alike)


def _note(parts: Parts, arrival: ArrivalRow, row: DraftRow, outcome: Outcome, alike: float) -> None:
    case = cases.get(parts.store, arrival.case_id or 0)
    category = case.category if case else ""
    noted = Feedback(
        arrival.mailbox, row.answers, outcome, alike, category, row.model, arrival.prompt_version, parts.now()
    )
    feedback.note(parts.store, noted)
    _pause_if_unused(parts, arrival.mailbox)


def _pause_if_unused(parts: Parts, mailbox: str) -> None:
    """A mailbox whose last drafts nobody used pauses itself, and says so."""
    if parts.shadow:  # nobody could use them; that must not count later either
        mailboxes.count_anew(parts.store, mailbox, now=parts.now())
        return
    box = parts.mailboxes.get(mailbox)
    wanted = box.policy.pause_after_unused if box else 0
    if not wanted:
        return
    last = feedback.latest(parts.store, mailbox, wanted)
    since = mailboxes.get(parts.store, mailbox).resumed_at
    if len(last) < wanted or any(one.outcome not in feedback.UNUSED or one.at <= since for one in last):
        return
    reason = f"nobody used the last {wanted} drafts"
    if parts.people.pause(mailbox, reason):
        with parts.store.write() as connection:
            parts.trail.record_in(connection, "pause", who="daemon", mailbox=mailbox, details={"reason": reason})


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())[:_LONGEST]
