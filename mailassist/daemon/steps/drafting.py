"""From a message that needs a reply to a draft in the store: the packed prompt, then the model.

What the model writes changes the text of the draft only. Where it leaves gaps, since nothing it saw says what belongs
there, the case is `missing` with what is missing: nobody gets an invented answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mailassist.context.clean import one_line
from mailassist.context.tokens import counter_for
from mailassist.daemon.steps import freshness
from mailassist.daemon.steps.run import Run, Waits, nobody_reads_along
from mailassist.drafting.pipeline import Draft, DraftRequest, output_tokens, prepare, write
from mailassist.drafting.rendering import template_folder
from mailassist.errors import BudgetReached, ModelError
from mailassist.store import drafts
from mailassist.store.drafts import NewText

if TYPE_CHECKING:
    import sqlalchemy as sa

_TEMPLATES = ("system.j2", "conversation.j2", "reply.j2", "triage_system.j2", "triage.j2")
_GAP = re.compile(r"\[([^\[\]\n]{1,120})\](?!\()")  # not a link's
_LONGEST_GAP = 100  # characters of what is missing, as it is shown
_MOST_GAPS = 12


def pack(run: Run) -> None:
    """`triaged -> packed`: the prompt is made, and what it is made of recorded."""
    _packed(run)
    assert run.prompt is not None
    run.record(
        state="packed",
        prompt_tokens=run.prompt.tokens,
        prompt_hash=hashlib.sha256(f"{run.prompt.instructions}\0{run.prompt.input}".encode()).hexdigest(),
        prompt_version=prompt_version(run.parts.overrides),
    )


def draft(run: Run) -> None:
    """`packed -> drafted`, or `missing`; a batch takes it where it can wait."""
    parts, box = run.parts, run.mailbox
    if run.prompt is None:
        if not freshness.check(run):
            return
        _packed(run)
    assert run.request is not None and run.prompt is not None
    config = parts.config_of(box)
    info = parts.calls.info(box.name)
    try:
        if parts.defer(run):
            return
        tokens = run.prompt.tokens + output_tokens(config, info)
        with parts.calls.writer(box.name, tokens, run.stopped) as writing:
            counter = counter_for(writing.writer.info.tokenizer, None)
            made = write(
                run.request, run.prompt, writing.writer, parts.store, config, counter, nobody_reads_along, run.stopped,
                parts.now, account_budget=box.policy.daily_budget,
            )  # fmt: skip
            writing.usage = made.usage
    except BudgetReached as reached:
        raise Waits(_tomorrow(run), str(reached)) from reached
    parts.mark("draft:asked")
    finish(run, made)


def finish(run: Run, made: Draft) -> None:
    """Keep what a model wrote, at once or hours later. Raises ModelError where it is not whole, LeaseLost."""
    if not made.complete or not made.text.strip():
        raise ModelError("The model gave no whole draft")
    row = run.row
    missing = gaps(made.text, run.answered.text)
    usage = made.usage
    new = NewText(
        account=row.mailbox,
        answers=row.message_id,
        case_id=row.case_id or 0,
        conversation=run.pulled.conversation.key,
        text=made.text,
        model=made.model,
        input_tokens=usage.input if usage else 0,
        cached_tokens=usage.cached if usage else 0,
        output_tokens=usage.output if usage else 0,
        cost=made.cost,
    )
    try:
        if missing:
            _keep(run, new, "missing", "nothing that was read says what belongs into the gaps", missing)
        else:
            _keep(run, new, "drafted", "")
    except drafts.Persons:
        _keep(run, new, "theirs", "a newer message came; the draft is a person's")


def _keep(run: Run, new: NewText, state: str, reason: str, missing: Sequence[str] = ()) -> None:
    """Record the text and what it means for the case. Raises Persons where the current draft is a person's."""
    now = run.parts.now()

    def also(connection: sa.Connection) -> None:
        (drafts.offer if state == "theirs" else drafts.put)(connection, new, now=now)
        if missing:
            run.tell(connection, "information is missing")
        details = {"model": new.model, "prompt": run.row.prompt_version, "state": state}
        run.keep(connection, "drafted", written=new.text, details=details)

    about = {"state": state, "reason": reason, "missing": "\n".join(missing)}
    run.record(state=state, reason=reason, case=about, also=also)


def gaps(text: str, asked: str) -> list[str]:
    """What a draft leaves open in square brackets, as the instructions tell the model to.

    What the mail itself says in brackets (a ticket's number) is no gap.
    """
    found = (one_line(gap, _LONGEST_GAP).strip(" ?.:") for gap in _GAP.findall(text) if f"[{gap}]" not in asked)
    return list(dict.fromkeys(gap for gap in found if any(map(str.isalpha, gap))))[:_MOST_GAPS]


@lru_cache(maxsize=4)
def prompt_version(overrides: Path | None) -> str:
    """Eight characters that change with the templates: feedback is told apart by them."""
    digest = hashlib.sha256()
    for name in _TEMPLATES:
        own = overrides / name if overrides is not None else None
        digest.update((own if own is not None and own.is_file() else template_folder() / name).read_bytes())
    return digest.hexdigest()[:8]


def _packed(run: Run) -> None:
    parts, box = run.parts, run.mailbox
    face = box.account.faces[run.plan.identity]
    config = parts.config_of(box)
    documents = parts.documents(box.name, run.pulled) if config.model.documents else {}
    run.request = DraftRequest(
        box.name, run.pulled.conversation, face, "", "", run.pulled.unknown, documents, False, box.policy.language
    )
    run.prompt = prepare(
        run.request, info=parts.calls.info(box.name), store=parts.store, config=config, now=parts.now,
        overrides=parts.overrides,
    )  # fmt: skip


def _tomorrow(run: Run) -> float:
    """When the next day of the mailbox begins."""
    zone = ZoneInfo(run.mailbox.policy.time_zone)
    moment = datetime.fromtimestamp(run.parts.now(), zone)
    next_day = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=5, microsecond=0)
    return next_day.timestamp()
