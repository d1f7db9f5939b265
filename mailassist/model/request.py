"""The body of a request, built from an allow-list: nothing else can ever be sent.

No tools, no `previous_response_id`, no metadata, no user: the model can only write text, and the provider is asked to
keep nothing (`store` is false; the Responses API would keep answers otherwise).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from mailassist.model.registry import Api, ModelInfo, ServerKind

RESPONSES_FIELDS = (
    "model", "instructions", "input", "store", "truncation", "max_output_tokens", "prompt_cache_key", "reasoning",
    "stream",
)  # fmt: skip
CHAT_FIELDS = (
    "model", "messages", "store", "max_completion_tokens", "max_tokens", "prompt_cache_key", "reasoning_effort",
    "stream", "stream_options",
)  # fmt: skip
# The limit of the answer in Chat Completions; many a server knows one of the two names only.
OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """`text` with what UTF-8 cannot say (a lone surrogate, from broken mail) replaced by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


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


def body(
    prompt: Prompt, *, api: Api, model: str, info: ModelInfo, kind: ServerKind, left_out: Collection[str]
) -> dict[str, Any]:
    """The JSON body for `api`. `model`: the name on this server; `left_out`: fields that it refuses."""
    if "images" not in info.capabilities:  # a successor that took over during the call may see none
        prompt = replace(prompt, images=())
    wanted = _responses(prompt, model, info) if api == "responses" else _chat(prompt, model, info, kind, left_out)
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
        "stream": True,
    }


def _responses_input(prompt: Prompt) -> str | list[dict[str, Any]]:
    """The text alone, or one message of pictures and text."""
    text = encodable(prompt.input)
    if not prompt.images:
        return text
    pictures = [{"type": "input_image", "image_url": one.url, "detail": one.detail} for one in prompt.images]
    return [{"role": "user", "content": [*pictures, {"type": "input_text", "text": text}]}]


def _chat_content(prompt: Prompt) -> str | list[dict[str, Any]]:
    text = encodable(prompt.input)
    if not prompt.images:
        return text
    pictures = [{"type": "image_url", "image_url": {"url": one.url, "detail": one.detail}} for one in prompt.images]
    return [*pictures, {"type": "text", "text": text}]


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
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def output_limit(kind: ServerKind, left_out: Collection[str]) -> str:
    """The field of Chat Completions for the limit of the answer: what such servers call it, else the other name."""
    return next(name for name in (kind.output_limit, *OUTPUT_LIMITS) if name not in left_out)
