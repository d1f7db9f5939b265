"""Tokens and price of a reply to each waiting conversation of the sample mailbox, against the mails pasted whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from benchmarks.measuring import median, report
from mailassist import config_file
from mailassist.config import ModelSettings
from mailassist.context.tokens import counter_for
from mailassist.demo.sample import ACCOUNT, sample_config, sample_servers
from mailassist.desk import Desk
from mailassist.drafting.pipeline import refuse_undraftable
from mailassist.errors import NotDraftable
from mailassist.intake.pull import Pulled
from mailassist.model.registry import Usage, cost

ANSWER = 120  # output tokens of some 90 words


def run(arguments: list[str]) -> None:
    """`arguments`: the model (gpt-4o-mini)."""
    model = arguments[0] if arguments else "gpt-4o-mini"
    with (
        tempfile.TemporaryDirectory() as folder,
        sample_servers(datetime.now(UTC)) as servers,
    ):
        path = sample_config(servers, Path(folder), model=ModelSettings(name=model))
        desk = Desk(config_file.load(path), config_path=path)
        try:
            desk.sync(ACCOUNT)
            pulled = list(draftable(desk))
            prompts = [desk.prompt(ACCOUNT, one) for one in pulled]
            info, _ = desk.models.info()
        finally:
            desk.close()
    counter = counter_for(info.tokenizer)
    tokens = [float(prompt.tokens) for prompt in prompts]
    whole = [float(counter.count(pasted(one)) + prompts[0].instruction_tokens) for one in pulled]
    prices = [cost(info, Usage(prompt.tokens, 0, ANSWER)) for prompt in prompts]
    figures = {
        "model": info.name,
        "conversations": len(prompts),
        "messages_most": max(len(one.conversation.entries) for one in pulled),
        "instruction_tokens": prompts[0].instruction_tokens,
        "input_tokens_median": median(tokens),
        "input_tokens_most": max(tokens),
        "pasted_tokens_median": median(whole),
        "pasted_tokens_most": max(whole),
        "ratio_of_the_sums": sum(tokens) / sum(whole),
        "answer_tokens_assumed": ANSWER,
        "dollars_median": f"{median(prices):.6f}",
        "dollars_most": f"{max(prices):.6f}",
        "drafts_for_a_dollar": int(len(prices) / sum(prices)),
    }
    report("prompt_tokens", figures, "bpe-openai")


def draftable(desk: Desk) -> Iterator[Pulled]:
    """What waits, but what cannot be read (encrypted mail)."""
    for one in desk.waiting(ACCOUNT):
        pulled = desk.pull(ACCOUNT, one.message_id)
        with suppress(NotDraftable):
            refuse_undraftable(pulled.conversation)
            yield pulled


def pasted(pulled: Pulled) -> str:
    """What a first script sends: From, Date, Subject and the whole text of every message."""
    texts = []
    for entry in pulled.conversation.entries:
        standard = message_from_bytes(pulled.raw[entry.message.message_id], policy=policy.default)
        body = standard.get_body(("plain", "html"))
        head = "".join(f"{name}: {standard[name]}\n" for name in ("From", "Date", "Subject"))
        texts.append(f"{head}\n{body.get_content() if body is not None else ''}")
    return "\n\n".join(texts)
