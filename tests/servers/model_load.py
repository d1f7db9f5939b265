"""The stand-in for the paid API as a process of its own, fast enough to measure what talks to it.

    python -m servers.model_load --latency 1.0 --at-once 16 --failures 0.2 --seed 7      (with `tests` on PYTHONPATH)

prints its base URL and runs until it is stopped. Answers in one piece or streamed, over Responses and Chat Completions;
with a JSON schema the answer is the first value of everything that it allows. `--answers module:function` names a
function of the request's body that gives the text instead (None: the usual one). `GET /stats` tells what was asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.model_api import Reply, _chat_stream, _responses_stream, whole

TEXT = "Thank you for your message.\n\nWe have looked into it and will come back to you tomorrow.\n\nKind regards"
_REASONS = {200: b"OK", 404: b"Not Found", 429: b"Too Many Requests", 500: b"Internal Server Error"}


@dataclass
class Load:
    """How the server behaves, and what it saw."""

    latency: float = 0.0  # seconds a call
    at_once: int = 0  # calls; more get 429; 0: no limit
    retry_after: float = 1.0  # seconds, with a 429
    failures: float = 0.0  # share of calls that get 500
    seed: int = 0
    answer: Callable[[Mapping[str, Any]], str | None] = lambda body: None
    stats: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("calls", "refused", "failed", "most"), 0))

    def __post_init__(self) -> None:
        """The same seed fails the same calls."""
        self.running = 0
        self.random = random.Random(self.seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next((line for line in head.lower().split("\r\n") if line.startswith("content-length:")), ":0")
                data = await reader.readexactly(int(length.partition(":")[2]))
                writer.write(await self._answered(head.split(" ", 2)[1], data))
                await writer.drain()
        writer.close()

    async def _answered(self, path: str, data: bytes) -> bytes:
        if path == "/stats":
            return _http(200, json.dumps(self.stats).encode())
        if not path.endswith(("/responses", "/chat/completions")):
            return _http(404, b'{"error": {"message": "unknown", "code": "unknown_url"}}')
        self.stats["calls"] += 1
        if self.at_once and self.running >= self.at_once:
            self.stats["refused"] += 1
            headers = f"Retry-After: {self.retry_after:g}\r\n"
            return _http(429, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}', headers)
        self.running += 1
        self.stats["most"] = max(self.stats["most"], self.running)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.running -= 1
        if self.random.random() < self.failures:
            self.stats["failed"] += 1
            return _http(500, b'{"error": {"message": "The server had an error", "code": "server_error"}}')
        return self._reply(path, json.loads(data))

    def _reply(self, path: str, body: Mapping[str, Any]) -> bytes:
        text = self.answer(body)
        if text is None:
            schema = _schema(body)
            text = TEXT if schema is None else json.dumps(first_value(schema))
        api = "responses" if path.endswith("/responses") else "chat"
        reply = Reply(text, usage=(len(json.dumps(body)) // 4, 0, len(text) // 4))
        if body.get("stream"):
            stream = (_responses_stream if api == "responses" else _chat_stream)(reply, body)
            return _http(200, "".join(stream).encode(), kind="text/event-stream")
        return _http(200, json.dumps(whole(reply, api, body)).encode())


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = (body.get("text") or {}).get("format") or (body.get("response_format") or {}).get("json_schema") or {}
    found: Mapping[str, Any] | None = form.get("schema")
    return found


def first_value(schema: Mapping[str, Any]) -> Any:
    """The first value that a schema allows, as far as triage needs it."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return first_value(schema["anyOf"][0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: first_value(inner) for name, inner in schema.get("properties", {}).items()}
    return {"boolean": True, "integer": 1, "number": 1.0, "array": [], "null": None}.get(kind, "en")


def _http(status: int, data: bytes, headers: str = "", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS[status].decode()}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
    return head.encode() + headers.encode() + b"\r\n" + data


@contextmanager
def running(*options: str) -> Iterator[str]:
    """The server in a process of its own, with these options of the command line; its base URL."""
    command = [sys.executable, "-m", "servers.model_load", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the server did not start"
            yield url
        finally:
            process.kill()


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    for name, default in (("latency", 0.0), ("retry-after", 1.0), ("failures", 0.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--at-once", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answers", default="")
    options = vars(parser.parse_args())
    port, answers = options.pop("port"), options.pop("answers")
    if answers:
        module, _, name = answers.partition(":")
        options["answer"] = getattr(importlib.import_module(module), name)
    asyncio.run(_run(Load(**options), port))


async def _run(load: Load, port: int) -> None:
    server = await asyncio.start_server(load.serve, "127.0.0.1", port, limit=2**22)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    main()
