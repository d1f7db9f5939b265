"""Whether a reply is needed, and of which kind: rules first, then the small model with a structured answer.

The model's answer decides only whether a person, a draft or nobody is asked; it is never shown to the other side. No
confidence that a model reports of itself is used for anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mailassist.context.clean import data_text, one_line
from mailassist.context.language import reply_language
from mailassist.context.shorten import shorten
from mailassist.context.tokens import counter_for
from mailassist.daemon import feedback
from mailassist.daemon.steps import freshness
from mailassist.daemon.steps.run import Run, Waits, nobody_reads_along
from mailassist.drafting.budget import Payer, paid_write
from mailassist.drafting.pipeline import cache_key, refuse_undraftable
from mailassist.drafting.rendering import render
from mailassist.errors import ModelError, NotDraftable
from mailassist.store import arrivals, conversations, ledger
from mailassist.team_settings import CATEGORIES

HOUR = 3600.0
_LONGEST = 500  # tokens of the message that triage sees
_LONGEST_REASON = 200  # characters
_OUTPUT = 120  # tokens
_FRAME = 40  # tokens that the format of chat and schema add
_LATER = 900.0  # seconds until the limits of an hour are looked at again
URGENCIES = ("low", "normal", "high")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "needs_reply": {"type": "boolean"},
        "reason": {"type": "string"},
        "category": {"type": "string", "enum": list(CATEGORIES)},
        "urgency": {"type": "string", "enum": list(URGENCIES)},
        "language": {"type": "string"},
    },
    "required": ["needs_reply", "reason", "category", "urgency", "language"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What triage found."""

    needs_reply: bool
    reason: str
    category: str
    urgency: str
    language: str


def triage(run: Run) -> None:
    """`seen -> triaged`, or an end: none, person."""
    if not freshness.check(run):
        return
    _limits(run)
    refuse_undraftable(run.pulled.conversation)
    feedback.note_answer_elsewhere(run)
    if run.plan.needs_confirmation:
        reasons = "; ".join(run.plan.needs_confirmation)
        raise NotDraftable(f"A person has to choose who gets the reply ({reasons})")
    policy = run.mailbox.policy
    verdict = _asked(run) if policy.triage == "model" else _by_rules(run)
    about: dict[str, Any] = {"category": verdict.category, "urgency": verdict.urgency, "language": verdict.language}
    if not verdict.needs_reply:
        run.finish("none", verdict.reason, case="none", **about)
    elif verdict.category in policy.no_draft:
        reason = f"{verdict.category}: this mailbox leaves it to a person"
        run.finish("person", reason, case="person", tell=True, **about)
    else:
        urgent = verdict.urgency == "high"
        run.record(
            state="triaged", reason=verdict.reason, case={**about, "state": "open", "reason": ""},
            also=(lambda connection: run.tell(connection, "urgent", **about)) if urgent else None,
        )  # fmt: skip


def _limits(run: Run) -> None:
    """Detection of loops by headers is never complete: how much one sender, and one mailbox, gets in an hour."""
    parts, row, policy = run.parts, run.row, run.mailbox.policy
    hour_ago = parts.now() - HOUR
    if not row.backlog and row.sender:
        sent = arrivals.from_sender(parts.store, row.mailbox, row.sender, hour_ago)
        if sent > policy.drafts_per_sender_per_hour:
            raise NotDraftable(f"{sent} messages of this sender came within an hour: it may be a loop")
    if ledger.calls_since(parts.store, row.mailbox, hour_ago) >= policy.drafts_per_hour:
        raise Waits(parts.now() + _LATER, f"the limit of {policy.drafts_per_hour} drafts an hour is reached")


def _by_rules(run: Run) -> Verdict:
    language = reply_language(run.pulled.conversation, ())
    return Verdict(True, "nothing says that it needs no reply", "other", "normal", language)


def _asked(run: Run) -> Verdict:
    """Ask the model. Raises ModelError where its answer is not of the form asked for."""
    parts, box = run.parts, run.mailbox
    conversation = run.pulled.conversation
    config = parts.config_of(box)
    info = parts.calls.info(box.name, triage=True)
    counter = counter_for(info.tokenizer, None)
    delimiter = conversations.delimiter(parts.store, box.name, conversation.key)
    message = run.answered
    text = data_text(message.reply or message.text, delimiter)
    values = {
        "delimiter": delimiter,
        "subject": one_line(data_text(message.subject, delimiter), 200),
        "text": shorten(text, _LONGEST, counter),
        "earlier": len(conversation.entries) - 1,
        "categories": CATEGORIES,
    }
    instructions = render("triage_system.j2", values, parts.overrides)
    asked = render("triage.j2", values, parts.overrides)
    tokens = counter.count(instructions) + counter.count(asked) + _FRAME
    with parts.calls.writer(box.name, tokens + _OUTPUT, run.stopped, triage=True) as writing:
        paid = paid_write(
            writing.writer,
            parts.store,
            Payer(box.name, box.account.address, config.model.daily_budget, "triage", box.policy.daily_budget),
            instructions=instructions,
            input=asked,
            input_tokens=tokens,
            messages=1,
            max_output=_OUTPUT,
            cache_key=cache_key(parts.store, box.name, "triage"),
            count=counter.count,
            on_text=nobody_reads_along,
            stopped=run.stopped,
            now=parts.now,
            schema=SCHEMA,
        )
        writing.usage = paid.usage
    parts.mark("triage:asked")
    if not paid.answer.complete:
        raise ModelError(f"The model gave no whole answer: {paid.answer.reason}")
    return read_verdict(paid.answer.text, reply_language(conversation, ()))


def read_verdict(text: str, language: str) -> Verdict:
    """The answer of a model, checked; `language`: what our own rules say, which comes first. Raises ModelError."""
    start, end = text.find("{"), text.rfind("}")
    try:
        said = json.loads(text[start : end + 1])
    except ValueError as error:
        raise ModelError("The model's triage is no JSON") from error
    if not isinstance(said, dict) or not isinstance(said.get("needs_reply"), bool):
        raise ModelError("The model's triage is not of the form that was asked for")
    category, urgency = said.get("category"), said.get("urgency")
    told = said.get("language")
    return Verdict(
        said["needs_reply"],
        one_line(data_text(str(said.get("reason", "")), ""), _LONGEST_REASON),
        category if category in CATEGORIES else "other",
        urgency if urgency in URGENCIES else "normal",
        language or (told if isinstance(told, str) and told.isascii() and len(told) <= 12 else ""),
    )
