"""What an answer says, the same for both APIs: pieces of text, and how it ended.

The library raises nothing for a stream that ends early, nor for `response.failed` and `response.incomplete`: only a
seen `response.completed` (Chat Completions: `finish_reason` "stop") makes a whole answer. The same holds for an answer
that comes in one piece: its status, or its finish reason, says whether it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from mailassist.model.registry import Usage

_MOST_TOKENS = 10**9  # no call has more: a count beyond is none


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """How the stream ended. `how`: "completed", "cut" (output limit), "refused", "failed" or "unfinished"."""

    how: str
    usage: Usage | None = None
    code: str = ""
    text: str = ""  # the server's words


def of_responses(stream: Iterable[Any]) -> Iterator[Text | End]:
    """The events of a stream of the Responses API; the last one is an End. Raises TypeError for text that is none."""
    refusal: list[str] = []
    for event in stream:
        kind = getattr(event, "type", "") or ""
        if kind == "response.output_text.delta":
            yield Text(_string(event.delta))
        elif kind == "response.refusal.delta":
            refusal.append(_string(event.delta))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            yield _response_end(kind, event.response, "".join(refusal))
            return
        elif kind == "error":
            yield End("failed", code=_string(getattr(event, "code", "")), text=_string(getattr(event, "message", "")))
            return
    yield End("refused", text="".join(refusal)) if refusal else End("unfinished")


def of_chat(stream: Iterable[Any]) -> Iterator[Text | End]:
    """The chunks of a stream of Chat Completions; the last one is an End. The usage comes after the finish reason.

    Raises TypeError for text that is none.
    """
    reason, usage, refusal = "", None, []
    for chunk in stream:
        usage = _usage(chunk, "prompt", "completion") or usage
        for choice in (getattr(chunk, "choices", None) or [])[:1]:
            reason = _string(choice.finish_reason) or reason
            refusal.append(_string(getattr(choice.delta, "refusal", None)))
            text = _string(getattr(choice.delta, "content", None))
            if text:
                yield Text(text)
    yield End(_chat_end(reason, "".join(refusal)), usage, reason, "".join(refusal))


def whole_response(answer: object) -> tuple[str, End]:
    """The text and the end of an answer of the Responses API that came in one piece: its JSON.

    Raises TypeError or AttributeError for what is no such answer.
    """
    response = _named(answer)
    if getattr(response, "error", None) is not None and not hasattr(response, "status"):
        return "", _error_end(response.error)
    parts = [
        part for item in response.output or [] if getattr(item, "type", "") == "message" for part in item.content or []
    ]
    text = "".join(_string(part.text) for part in parts if part.type == "output_text")
    refusal = "".join(_string(part.refusal) for part in parts if part.type == "refusal")
    return text, _response_end(f"response.{_string(response.status)}", response, refusal)


def whole_chat(answer: object) -> tuple[str, End]:
    """The same for Chat Completions."""
    completion = _named(answer)
    if getattr(completion, "error", None) is not None:
        return "", _error_end(completion.error)
    choice = completion.choices[0]
    reason, refusal = _string(choice.finish_reason), _string(getattr(choice.message, "refusal", None))
    usage = _usage(completion, "prompt", "completion")
    return _string(choice.message.content), End(_chat_end(reason, refusal), usage, reason, refusal)


def _error_end(error: Any) -> End:
    code = getattr(error, "code", "")
    return End("failed", code=str(code or ""), text=_string(getattr(error, "message", "")))


def _named(value: object) -> Any:
    """JSON with its keys as attributes, as the stream's events have them."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _named(inner) for key, inner in value.items()})
    return [_named(inner) for inner in value] if isinstance(value, list) else value


def _chat_end(reason: str, refusal: str) -> str:
    if refusal or reason == "content_filter":
        return "refused"
    return {"stop": "completed", "length": "cut", "": "unfinished"}.get(reason, "failed")


def _response_end(kind: str, response: Any, refusal: str) -> End:
    usage = _usage(response, "input", "output")
    if kind == "response.failed":
        error = getattr(response, "error", None)
        return End("failed", usage, _string(getattr(error, "code", "")), _string(getattr(error, "message", "")))
    if kind == "response.incomplete":
        reason = str(getattr(getattr(response, "incomplete_details", None), "reason", "") or "")
        how = "refused" if reason == "content_filter" else "cut" if reason == "max_output_tokens" else "unfinished"
        return End(how, usage, reason, refusal)
    status = getattr(response, "status", "completed") or "completed"
    if refusal:
        return End("refused", usage, "refusal", refusal)
    return End("completed" if status == "completed" else "unfinished", usage, str(status))


def _string(value: object) -> str:
    """A text that may be left out; anything else in its place is no answer, and no part of one is left out unsaid."""
    if value is None or isinstance(value, str):
        return value or ""
    raise TypeError("no text where text belongs")


def _usage(answer: Any, sent: str, written: str) -> Usage | None:
    """The server's count, where it gives one that can be; compatible servers leave parts of it out."""
    usage = getattr(answer, "usage", None)
    count, output = _tokens(usage, f"{sent}_tokens"), _tokens(usage, f"{written}_tokens")
    if count is None or output is None:
        return None
    details = getattr(usage, f"{sent}_tokens_details", None)
    cached = min(_tokens(details, "cached_tokens") or 0, count)
    cached_now = min(_tokens(details, "cache_write_tokens") or 0, count - cached)
    return Usage(count, cached, output, cached_now, "flex" if getattr(answer, "service_tier", "") == "flex" else "")


def _tokens(counts: Any, name: str) -> int | None:
    value = getattr(counts, name, None)
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
