"""What a packed conversation costs and holds: tokens beside its unique text, lines, facts that are asked for, time.

The argument is a folder with mbox files (without one, the sample mailbox). The tokens of the unique text are a
perfect de-quoter's: quote marks stripped, equal lines counted once. Lines: those without a quote mark, but
signatures, footers and what mail programs add, looked for in the packed text; `history_lost` counts those that the
split calls quoted. Facts: `needles.toml`, each put into one message, and into one attachment, of a conversation of 50
messages made of the mail's own texts, whose newest message asks for it in other words; the second half of them,
`held_out`, was not looked at while the packer was written.
"""

from __future__ import annotations

import random
import re
import time
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measuring import best, median, report
from benchmarks.parsing import read_mails, sample_mails
from mailassist.context.pack import pack
from mailassist.context.tokens import counter_for
from mailassist.documents import Document
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Address, BlockKind, Message
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import Conversation, thread

COUNTER = counter_for("o200k_base")
MARK = "482915037641"
BUDGET = 16_000  # tokens of a prompt by default
INSTRUCTIONS = 420  # tokens of it that are not the packed conversation
LEAST = 5  # messages of a conversation
ME, ANNA = Address("Tom Berg", "tom@example.org"), Address("Anna Meyer", "anna@example.net")
OWN = OwnAddresses.of([(ME.email, [])])
FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOT_WRITTEN = (
    BlockKind.SIGNATURE, BlockKind.ADVERTISING, BlockKind.DISCLAIMER, BlockKind.FOOTER, BlockKind.ATTRIBUTION,
)  # fmt: skip


def run(arguments: list[str]) -> None:
    """`arguments`: a folder with mbox files."""
    raws = read_mails(Path(arguments[0])) if arguments else sample_mails()
    messages = [parse_message(raw) for raw in raws]
    conversations = [one for one in thread(messages, OwnAddresses()) if len(one.entries) >= LEAST]
    COUNTER.count("a")
    figures: dict[str, object] = {"messages": len(messages), "conversations": len(conversations)}
    figures.update(_tokens(conversations))
    figures.update(_lines(conversations))
    texts = [message.reply for message in messages if 100 < len(message.reply) < 2500]
    figures.update(_needles(texts))
    figures.update(_speed(texts))
    report("packing", figures, "bpe-openai")


def _tokens(conversations: Sequence[Conversation]) -> dict[str, object]:
    packed = unique = pasted = 0
    ratios = []
    for one in conversations:
        tokens = pack(one, 1_000_000, COUNTER, MARK).tokens
        lines = [line for entry in one.entries for line in entry.message.text.split("\n")]
        once = dict.fromkeys(filter(None, (re.sub(r"^[\s>|]+", "", line).strip() for line in lines)))
        least = COUNTER.count("\n".join(once) + "\n")
        packed, unique = packed + tokens, unique + least
        pasted += sum(COUNTER.count(entry.message.text) for entry in one.entries)
        ratios.append(tokens / least)
    return {
        "tokens_packed_to_unique": packed / unique,
        "tokens_pasted_to_unique": pasted / unique,
        "ratio_median": median(ratios),
        "ratio_most": max(ratios),
        "conversations_over_1.05": sum(ratio > 1.05 for ratio in ratios),
    }


def _lines(conversations: Sequence[Conversation]) -> dict[str, object]:
    written = lost = history = 0
    for one in conversations:
        seen = " ".join(_folded(message.text) for message in pack(one, 1_000_000, COUNTER, MARK).messages)
        for line, kind in (pair for entry in one.entries for pair in _unmarked(entry.message)):
            written += 1
            if _folded(line) not in seen:
                lost, history = lost + (kind is BlockKind.OWN), history + (kind is not BlockKind.OWN)
    return {"lines_unmarked": written, "lines_own_lost": lost, "lines_history_lost": history}


def _unmarked(message: Message) -> Iterator[tuple[str, BlockKind]]:
    for block in message.blocks:
        if block.kind not in NOT_WRITTEN:
            for line in block.text.split("\n"):
                if line.lstrip()[:1] not in (">", "|") and re.search(r"\w", line):
                    yield line, block.kind


def _folded(text: str) -> str:
    return " ".join(text.split())


def _needles(texts: Sequence[str]) -> dict[str, object]:
    needles = tomllib.loads(Path(__file__).with_name("needles.toml").read_text(encoding="utf-8"))["needle"]
    found: dict[str, object] = {}
    for name, some in (("all", needles), ("held_out", needles[len(needles) // 2 :])):
        for budget in (BUDGET, 2_000):
            hits = [
                _is_found(needle, texts, number, budget - INSTRUCTIONS, attached=attached)
                for number, needle in enumerate(some)
                for attached in (False, True)
            ]
            found[f"facts_{name}_at_{budget}"] = sum(hits) / len(hits)
    return found


def _is_found(needle: dict[str, Any], texts: Sequence[str], seed: int, budget: int, *, attached: bool) -> bool:
    chance = random.Random(seed)
    said = chance.sample(texts, 49)
    place = chance.randrange(48)
    documents = {}
    if attached:
        lines = "\n".join(chance.sample(texts, 3)).split("\n")
        lines.insert(chance.randrange(len(lines)), f"\n{needle['fact']}\n")
        documents = {f"<{place}@x>": [Document("notes.txt", "text/plain", "\n".join(lines))]}
    else:
        paragraphs = said[place].split("\n\n")
        paragraphs.insert(chance.randrange(len(paragraphs) + 1), needle["fact"])
        said[place] = "\n\n".join(paragraphs)
    packed = pack(_talk([*said, needle["question"]]), budget, COUNTER, MARK, documents)
    assert packed.tokens <= budget
    return needle["answer"] in _folded(" ".join(one.text for one in (*packed.messages, *packed.excerpts)))


def _talk(said: Sequence[str]) -> Conversation:
    """A conversation of two in turns, the other side's message last."""
    messages = []
    for number, text in enumerate(said):
        author, reader = (ME, ANNA) if (len(said) - number) % 2 == 0 else (ANNA, ME)
        messages.append(
            Message(
                f"<{number}@x>",
                "Re: plan",
                FIRST + timedelta(hours=7 * number),
                (author,),
                to=(reader,),
                in_reply_to=(f"<{number - 1}@x>",) if number else (),
                text=text,
                reply=text,
            )
        )
    (found,) = thread(messages, OWN)
    return found


def _speed(texts: Sequence[str]) -> dict[str, object]:
    chance = random.Random(1)
    long = _talk(chance.sample(texts, 1_000) if len(texts) >= 1_000 else chance.choices(texts, k=1_000))
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        pack(long, BUDGET, COUNTER, MARK)
        seconds.append(time.process_time() - begun)
    return {"seconds_first_1000_messages": seconds[0], "seconds_1000_messages": best(seconds)}
