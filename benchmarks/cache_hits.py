"""Prompt tokens that the provider's cache has: a draft written again, and the draft for the next message.

The provider's rule (OpenAI, models before GPT-5.6): the common beginning counts from 1,024 tokens on, in steps of 128.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.measuring import report
from benchmarks.prompt_tokens import draftable
from mailassist import config_file
from mailassist.config import ModelSettings
from mailassist.context.tokens import TokenCounter, counter_for
from mailassist.demo.sample import ACCOUNT, sample_config, sample_servers
from mailassist.desk import Desk
from mailassist.drafting.prompt import Author, Prompt, Wish, build
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import Conversation, thread
from mailassist.model.registry import ModelInfo, Usage, cost, find
from mailassist.store.conversations import draw_delimiter
from mailassist.transport.files import read_messages

LEAST, STEP = 1_024, 128  # tokens
AUTHOR = Author("Robin Vale", "robin@vale.example")
TODAY = date(2026, 11, 28)


def run(arguments: list[str]) -> None:
    """`arguments`: mbox files or folders of them, besides the sample mailbox; gpt-4o-mini's prices."""
    info = find("gpt-4o-mini")
    figures: dict[str, object] = {"model": info.name}
    for name, conversations in (
        ("sample", list(_of_sample())),
        *((Path(path).stem, list(_of_files(Path(path)))) for path in arguments),
    ):
        figures |= {f"{name}_{key}": value for key, value in _figures(conversations, info).items()}
    report("cache_hits", figures, "bpe-openai")


def _of_sample() -> Iterator[Conversation]:
    with tempfile.TemporaryDirectory() as folder, sample_servers(datetime.now(UTC)) as servers:
        path = sample_config(servers, Path(folder), model=ModelSettings(name="outline"))
        desk = Desk(config_file.load(path), config_path=path)
        try:
            desk.sync(ACCOUNT)
            yield from (pulled.conversation for pulled in draftable(desk))
        finally:
            desk.close()


def _of_files(path: Path) -> Iterator[Conversation]:
    """The conversations of at least two messages, as one who only reads them has them."""
    for file in sorted(path.glob("*.mbox")) if path.is_dir() else [path]:
        own = OwnAddresses.of([(AUTHOR.address, [])])
        yield from (talk for talk in thread(map(parse_message, read_messages(file)), own) if len(talk.entries) > 1)


def _figures(conversations: list[Conversation], info: ModelInfo) -> dict[str, object]:
    counter = counter_for(info.tokenizer)
    again, following = [], []
    for talk in conversations:
        delimiter = draw_delimiter()
        made = _prompt(talk, Wish(language="en"), delimiter, counter, info)
        wished = _prompt(talk, Wish("shorter, and say no", language="en"), delimiter, counter, info)
        again.append(_compared(made, wished, counter))
        if len(talk.entries) > 1:
            before = _prompt(replace(talk, entries=talk.entries[:-1]), Wish(language="de"), delimiter, counter, info)
            following.append(_compared(before, made, counter))
    return {"conversations": len(conversations), **_of("again", again, info), **_of("next", following, info)}


def _prompt(talk: Conversation, wish: Wish, delimiter: str, counter: TokenCounter, info: ModelInfo) -> Prompt:
    return build(talk, AUTHOR, wish, budget=info.default_budget, counter=counter, delimiter=delimiter, today=TODAY)


def _compared(one: Prompt, other: Prompt, counter: TokenCounter) -> tuple[int, int]:
    """The tokens of `other`, and how many of them stand at the beginning of `one` too."""
    if one.instructions != other.instructions:
        return other.tokens, 0
    pairs = enumerate(zip(one.input, other.input, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(one.input), len(other.input)))
    return other.tokens, other.instruction_tokens + counter.count(other.input[:same])


def _of(name: str, pairs: list[tuple[int, int]], info: ModelInfo) -> dict[str, object]:
    """What is shared; what the provider counts as cached, of all prompts and of the long ones; the price saved."""
    cached = [(tokens, _steps(shared)) for tokens, shared in pairs]
    long = [(tokens, hit) for tokens, hit in cached if tokens >= LEAST]
    full = sum(cost(info, Usage(tokens, 0, 0)) for tokens, _ in cached)
    paid = sum(cost(info, Usage(tokens, hit, 0)) for tokens, hit in cached)
    return {
        f"{name}_tokens": sum(tokens for tokens, _ in pairs),
        f"{name}_shared": sum(shared for _, shared in pairs) / sum(tokens for tokens, _ in pairs),
        f"{name}_cached": sum(hit for _, hit in cached) / sum(tokens for tokens, _ in cached),
        f"{name}_prompts_of_{LEAST}": len(long),
        f"{name}_cached_of_these": sum(hit for _, hit in long) / max(1, sum(tokens for tokens, _ in long)),
        f"{name}_input_price_saved": 1 - paid / full,
    }


def _steps(shared: int) -> int:
    """What the provider finds of a common beginning of `shared` tokens."""
    return shared // STEP * STEP if shared >= LEAST else 0
