"""What a stream says, the same for both APIs: pieces of text, and how it ended.

The library raises nothing for a stream that ends early, nor for `response.failed` and `response.incomplete`: only a
seen `response.completed` (Chat Completions: `finish_reason` "stop") makes a whole answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mailassist.model.registry import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """How the stream ended. `how`: "completed", "cut" (output limit), "refused", "failed" or "unfinished"."""

    how: str
    usage: Usage | None = None
    model: str = ""  # what the server says wrote it
    code: str = ""
    text: str = ""  # the server's words


def of_responses(stream: Iterable[Any]) -> Iterator[Text | End]:
    """The events of a stream of the Responses API; the last one is an End."""
    refusal: list[str] = []
    for event in stream:
        kind = getattr(event, "type", "") or ""
        if kind == "response.output_text.delta":
            yield Text(event.delta or "")
        elif kind == "response.refusal.delta":
            refusal.append(event.delta or "")
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            yield _response_end(kind, event.response, "".join(refusal))
            return
        elif kind == "error":
            yield End("failed", code=str(getattr(event, "code", "") or ""), text=str(getattr(event, "message", "")))
            return
    yield End("refused", text="".join(refusal)) if refusal else End("unfinished")


def of_chat(stream: Iterable[Any]) -> Iterator[Text | End]:
    """The chunks of a stream of Chat Completions; the last one is an End. The usage comes after the finish reason."""
    reason, usage, model, refusal = "", None, "", []
    for chunk in stream:
        usage = _usage(getattr(chunk, "usage", None), "prompt", "completion") or usage
        model = getattr(chunk, "model", "") or model
        for choice in (getattr(chunk, "choices", None) or [])[:1]:
            reason = choice.finish_reason or reason
            refusal.append(getattr(choice.delta, "refusal", None) or "")
            text = getattr(choice.delta, "content", None)
            if text:
                yield Text(text)
    yield End(_chat_end(reason, "".join(refusal)), usage, model, reason, "".join(refusal))


def _chat_end(reason: str, refusal: str) -> str:
    if refusal or reason == "content_filter":
        return "refused"
    return {"stop": "completed", "length": "cut", "": "unfinished"}.get(reason, "failed")


def _response_end(kind: str, response: Any, refusal: str) -> End:
    usage = _usage(getattr(response, "usage", None), "input", "output")
    model = getattr(response, "model", "") or ""
    if kind == "response.failed":
        error = getattr(response, "error", None)
        code, text = getattr(error, "code", "") or "", getattr(error, "message", "") or ""
        return End("failed", usage, model, str(code), str(text))
    if kind == "response.incomplete":
        reason = str(getattr(getattr(response, "incomplete_details", None), "reason", "") or "")
        how = "refused" if reason == "content_filter" else "cut" if reason == "max_output_tokens" else "unfinished"
        return End(how, usage, model, reason, refusal)
    status = getattr(response, "status", "completed") or "completed"
    if refusal:
        return End("refused", usage, model, "refusal", refusal)
    return End("completed" if status == "completed" else "unfinished", usage, model, str(status))


def _usage(usage: Any, sent: str, written: str) -> Usage | None:
    """The server's count, where it gives one; compatible servers leave parts of it out."""
    count, output = getattr(usage, f"{sent}_tokens", None), getattr(usage, f"{written}_tokens", None)
    if not isinstance(count, int) or not isinstance(output, int):
        return None
    cached = getattr(getattr(usage, f"{sent}_tokens_details", None), "cached_tokens", None)
    return Usage(count, cached if isinstance(cached, int) else 0, output)
