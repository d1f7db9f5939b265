"""What one call to a model costs this machine: milliseconds of processor time, the server in a process of its own."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import report
from mailassist.daemon.model_use import InStore, ModelUse
from mailassist.drafting.budget import Payer, paid_write
from mailassist.model.client import Answer, Endpoint, Writer
from mailassist.model.pool import WriterPool
from mailassist.model.registry import find
from mailassist.store.database import Store
from mailassist.team_settings import Limits

CALLS = 200
PROMPT = "What the customer wrote, and what was answered. " * 400  # about 4,000 tokens
SCHEMA = {
    "type": "object",
    "properties": {"needs_reply": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["needs_reply", "reason"],
    "additionalProperties": False,
}


def run(arguments: list[str]) -> None:
    """No arguments."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    model_load = importlib.import_module("servers.model_load")
    figures: dict[str, object] = {"calls": CALLS}
    with model_load.running() as url, TemporaryDirectory() as folder:
        endpoint, info = Endpoint(url, api="responses", retries=0), find("gpt-6-luna")
        streaming, pool = Writer(endpoint, info), WriterPool(endpoint, info)
        store = Store(Path(folder) / "team.sqlite")
        use = ModelUse(info.name, Limits(requests_per_minute=10_000_000, tokens_per_minute=10**12))
        stored = ModelUse(info.name, use.limits, InStore(store, info.name))

        def streamed() -> Answer:
            return streaming.write("You draft.", PROMPT, max_output=700)

        def whole() -> Answer:
            with pool.writer() as writer:
                return writer.write("You draft.", PROMPT, max_output=700)

        def structured() -> Answer:
            with pool.writer() as writer:
                return writer.ask("Triage.", PROMPT, SCHEMA, max_output=100)

        def limited(by: ModelUse) -> None:
            with by.call(5_000, lambda: False) as slot:
                slot.used(whole().usage)

        def paid() -> None:
            with use.call(5_000, lambda: False) as slot, pool.writer() as writer:
                answer = paid_write(
                    writer, store, Payer("support", "support@example.org", None), instructions="You draft.",
                    input=PROMPT, input_tokens=4_000, messages=1, max_output=700, cache_key="k", count=len,
                    on_text=lambda text: None, stopped=lambda: False, now=time.time,
                )  # fmt: skip
                slot.used(answer.usage)

        for name, call in {
            "streamed_in_8_pieces": streamed,
            "in_one_piece": whole,
            "by_a_schema": structured,
            "with_limits_in_memory": lambda: limited(use),
            "with_limits_in_the_store": lambda: limited(stored),
            "with_limits_and_ledger": paid,
        }.items():
            figures[f"{name}_cpu_ms"] = _milliseconds(call)
        pool.close()
        streaming.close()
        store.close()
    report("model_calls", figures, "openai", "httpx2")


def _milliseconds(call: Callable[[], object]) -> float:
    for _ in range(5):
        call()
    begun = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - begun) / CALLS * 1000
