"""The body of a request, built from an allow-list: nothing else can ever be sent.

No tools, no `previous_response_id`, no metadata, no user: the model can only write text, by a JSON schema where one is
given, and the provider is asked to keep nothing (`store` is false; the Responses API would keep answers otherwise).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from mailassist.model.registry import Api, ModelInfo, ServerKind

RESPONSES_FIELDS = (
    "model", "instructions", "input", "store", "truncation", "max_output_tokens", "prompt_cache_key",
    "prompt_cache_options", "reasoning", "text", "service_tier", "stream",
)  # fmt: skip
CHAT_FIELDS = (
    "model", "messages", "store", "max_completion_tokens", "max_tokens", "prompt_cache_key", "prompt_cache_options",
    "reasoning_effort", "response_format", "service_tier", "stream", "stream_options",
)  # fmt: skip
# The limit of the answer in Chat Completions; many a server knows one of the two names only.
OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")

MOST_MARKS = 4  # that a request can write to the cache

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """`text` with what UTF-8 cannot say (a lone surrogate, from broken mail) replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as it is sent, inside the request: nothing is fetched from anywhere."""

    content_type: str
    data: bytes
    detail: Literal["low", "high"]

    @property
    def url(self) -> str:
        """The data URL (RFC 2397)."""
        return f"data:{self.content_type};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked: the instructions (system or developer message), the data, and the limits of the answer."""

    instructions: str
    input: str
    max_output: int
    cache_key: str  # a keyed hash: tells the provider's cache which prompts share a beginning, and nothing else
    images: tuple[Image, ...] = ()  # in front of `input`, so that what ends the data stands behind them, too
    marks: tuple[int, ...] = ()  # where in `input` a beginning ends that later prompts share, in characters
    schema: Mapping[str, Any] | None = None  # the answer is JSON by this JSON schema (`strict` ones only); None: text
    flex: bool = False  # at OpenAI's Flex tier: cheaper, slower, and sometimes refused
    stream: bool = True  # the answer comes in pieces


def body(
    prompt: Prompt, *, api: Api, model: str, info: ModelInfo, kind: ServerKind, left_out: Collection[str]
) -> dict[str, Any]:
    """The JSON body for `api`. `model`: the name on this server; `left_out`: fields that it refuses."""
    if "images" not in info.capabilities:  # a successor that took over during the call may see none
        prompt = replace(prompt, images=())
    marked = info.cache_write_price is not None and kind.name == "OpenAI" and "prompt_cache_options" not in left_out
    prompt = prompt if marked else replace(prompt, marks=())
    if prompt.schema is not None and "schema" in left_out:
        prompt = replace(prompt, instructions=_with_schema(prompt.instructions, prompt.schema), schema=None)
    wanted = _responses(prompt, model, info) if api == "responses" else _chat(prompt, model, info, kind, left_out)
    wanted["prompt_cache_options"] = {"mode": "explicit"} if marked else None
    allowed = RESPONSES_FIELDS if api == "responses" else CHAT_FIELDS
    empty = ("", None)
    return {name: wanted[name] for name in allowed if name not in left_out and wanted.get(name) not in empty}


def _responses(prompt: Prompt, model: str, info: ModelInfo) -> dict[str, Any]:
    return {
        "model": model,
        "instructions": encodable(prompt.instructions),
        "input": _responses_input(prompt),
        "store": False,
        "truncation": "disabled",
        "max_output_tokens": prompt.max_output,
        "prompt_cache_key": prompt.cache_key,
        "reasoning": {"effort": info.reasoning_effort} if info.reasoning_effort else None,
        "text": None if prompt.schema is None else {"format": {"type": "json_schema", **_named(prompt.schema)}},
        "service_tier": "flex" if prompt.flex else None,
        "stream": prompt.stream or None,
    }


def _named(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "answer", "strict": True, "schema": dict(schema)}


def _with_schema(instructions: str, schema: Mapping[str, Any]) -> str:
    """For a server that takes no schema: it is asked for in words."""
    wanted = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return f"{instructions}\n\nAnswer with one JSON object and nothing else. It follows this JSON schema:\n{wanted}"


def _responses_input(prompt: Prompt) -> str | list[dict[str, Any]]:
    """The text alone, or one message of pictures and pieces of text."""
    if not (prompt.images or prompt.marks):
        return encodable(prompt.input)
    pictures = [{"type": "input_image", "image_url": one.url, "detail": one.detail} for one in prompt.images]
    return [{"role": "user", "content": [*pictures, *_pieces(prompt, "input_text")]}]


def _chat_content(prompt: Prompt) -> str | list[dict[str, Any]]:
    if not (prompt.images or prompt.marks):
        return encodable(prompt.input)
    pictures = [{"type": "image_url", "image_url": {"url": one.url, "detail": one.detail}} for one in prompt.images]
    return [*pictures, *_pieces(prompt, "text")]


def _chat(prompt: Prompt, model: str, info: ModelInfo, kind: ServerKind, left_out: Collection[str]) -> dict[str, Any]:
    role = "system" if "developer" in left_out else kind.system_role
    return {
        "model": model,
        "messages": [
            {"role": role, "content": encodable(prompt.instructions)},
            {"role": "user", "content": _chat_content(prompt)},
        ],
        "store": False,
        output_limit(kind, left_out): prompt.max_output,
        "prompt_cache_key": prompt.cache_key,
        "reasoning_effort": info.reasoning_effort,
        "response_format": (
            None if prompt.schema is None else {"type": "json_schema", "json_schema": _named(prompt.schema)}
        ),
        "service_tier": "flex" if prompt.flex else None,
        "stream": prompt.stream or None,
        "stream_options": {"include_usage": True} if prompt.stream else None,
    }


def _pieces(prompt: Prompt, kind: str) -> list[dict[str, Any]]:
    """The input in pieces that end at the last marks: models that charge for the cache read and write it there only.

    From GPT-5.6 on (OpenAI's guide "Prompt caching"), no shorter common beginning is looked for; without marks of ours
    the end of the whole prompt would be one, which is paid for and never found again.
    """
    ends = [*prompt.marks[-MOST_MARKS:], len(prompt.input)]
    pieces = [prompt.input[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    blocks: list[dict[str, Any]] = [{"type": kind, "text": encodable(piece)} for piece in pieces]
    return [block | {"prompt_cache_breakpoint": {"mode": "explicit"}} for block in blocks[:-1]] + blocks[-1:]


def output_limit(kind: ServerKind, left_out: Collection[str]) -> str:
    """The field of Chat Completions for the limit of the answer: what such servers call it, else the other name."""
    return next(name for name in (kind.output_limit, *OUTPUT_LIMITS) if name not in left_out)
