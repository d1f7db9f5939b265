"""Each way in which a model gives no whole answer: what happened, and the cure. No text of these holds a key.

`explain` turns what the openai library raises into one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from mailassist.errors import ModelError

if TYPE_CHECKING:
    from mailassist.model.registry import ServerKind, Usage


class ModelCallFailed(ModelError):
    """The model gave no whole answer.

    `partial`: the text that had come; `usage`: what the server counted, if it said so; `sent`: whether the prompt can
    have left this machine; `accepted`: whether the server took the request or may have, so that it charges for the
    prompt; `retry`: whether the same call may work in a moment; `wait`: how long the server asked for.
    """

    sent = True
    accepted = True
    retry = False

    def __init__(self, message: str = "", *, cure: str = "", partial: str = "", wait: float | None = None) -> None:
        """`message` and `cure` as in MailassistError."""
        super().__init__(message, cure=cure)
        self.partial = partial
        self.usage: Usage | None = None
        self.wait = wait


class NoKey(ModelCallFailed):
    """There is no key for this server."""

    sent = False


class WrongKey(ModelCallFailed):
    """The server does not know this key."""


class NoPermission(ModelCallFailed):
    """The key may not use this model."""


class NoCredit(ModelCallFailed):
    """The account has no credit left."""


class RateLimited(ModelCallFailed):
    """Too many requests or tokens in a short time."""

    retry = True


class NoCapacity(RateLimited):
    """The tier has no room for this request at the moment."""


class ServerFailed(ModelCallFailed):
    """The server failed or is overloaded."""

    retry = True


class Unreachable(ModelCallFailed):
    """The server could not be reached."""

    sent = False


class ConnectionBroke(ModelCallFailed):
    """The connection broke before the answer began."""

    retry = True


class NoAnswerInTime(ModelCallFailed):
    """The server sent nothing for too long."""


class Stopped(ModelCallFailed):
    """The person stopped the call before any text had come."""


class ContentRefused(ModelCallFailed):
    """The model or its provider refuses to write about this."""


class ModelMissing(ModelCallFailed):
    """The server does not offer this model."""


class PromptTooLong(ModelCallFailed):
    """The prompt is longer than the model's window."""


class RequestRefused(ModelCallFailed):
    """The server does not understand the request."""


class EndpointMissing(RequestRefused):
    """The server does not know this path: it lacks this API."""


class FieldRefused(RequestRefused):
    """The server does not know a field of the request; `field` names it."""

    field = ""


class OutputCutOff(ModelCallFailed):
    """The answer reached the limit of tokens before its end."""


class BrokenAnswer(ModelCallFailed):
    """What the server sent is not the answer of a model."""


class LocalModelMissing(ModelCallFailed):
    """The model on this machine cannot be loaded."""

    sent = False


@dataclass(frozen=True, slots=True)
class Called:
    """Whom a call went to: what error texts may name."""

    host: str
    model: str
    kind: ServerKind
    timeout: float
    key: str = field(default="", repr=False)  # only to keep it out of the texts


_DAY = 86_400
_LONGEST = 36_525.0 * _DAY  # a century: no wait is longer, whatever a server asks for
_NO_CREDIT = (
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits",
    "credit balance is too low",
)  # fmt: skip
_WRONG_KEY = re.compile(r"(invalid|incorrect)[ _]api[ _]key|api[ _]key[ _](is )?(not valid|invalid)")
_TOO_LONG = re.compile(
    r"context.{0,30}(length|window|size)|maximum context|too many (input )?tokens|prompt is too long"
)
_MISSING = re.compile(
    r"model.{0,200}(not found|does ?n[o']t exist|not exist|no longer available|deprecated|decommissioned|discontinued"
    r"|retired|shut down)",
    re.S,
)
_UNKNOWN_FIELD = re.compile(
    r"unknown|unrecognized|unsupported|unexpected|not supported|not permitted|not allowed|extra (inputs|fields)"
    r"|cannot find field|extra_forbidden|must be (one of|in)|invalid role"
)
_OUTPUT_LIMIT = re.compile(r"max_(completion_)?tokens")
_DROPPABLE = re.compile(
    r"\b(prompt_cache_key|prompt_cache_options|prompt_cache_breakpoint|truncation|service_tier|stream_options|reasoning_effort|reasoning|store|developer"
    rf"|{_OUTPUT_LIMIT.pattern})\b"
)
_SCHEMA = re.compile(r"text\.format|response_format|json_schema|(?<=['\"`])text(?=['\"`])")
_WRONG_VALUE = re.compile(r"must be|unsupported[ _]value")


def explain(error: Exception, called: Called) -> ModelCallFailed:
    """The error of the openai library as one of ours, with the cure."""
    import openai

    if isinstance(error, ModelCallFailed):
        return error
    if isinstance(error, openai.APITimeoutError):
        return _timed_out(error, called)
    if isinstance(error, openai.APIConnectionError):
        return _not_connected(error, called)
    if isinstance(error, openai.APIStatusError):
        refusal = _refused(error, called)
        refusal.accepted = False
        return refusal
    if isinstance(error, openai.APIError):
        return explain_failure(error.code or str(error.type or ""), error.message, called)
    if isinstance(error, AttributeError | LookupError | TypeError | ValueError):  # from reading what makes no sense
        return BrokenAnswer(f"{called.host} sent something that is no answer", cure="Check base_url and try again.")
    return ModelCallFailed(f"{called.host}: {_server_text(str(error), called)}", cure="Check base_url and the model.")


def explain_failure(code: str, text: str, called: Called) -> ModelCallFailed:
    """A failure that the server reports inside a stream: its code and its words."""
    said = f"{code} {text}".lower()
    if any(word in said for word in _NO_CREDIT):
        return no_credit(called)
    if "rate_limit" in said or "overloaded" in said:
        return RateLimited(f"{called.host} is busy: {_server_text(text, called)}", cure="Try again in a minute.")
    if any(word in said for word in ("policy", "content_filter", "invalid_prompt", "safety")):
        return refused(called, text)
    if _TOO_LONG.search(said):
        return too_long(called)
    return ServerFailed(f"{called.host} failed: {_server_text(text or code, called)}", cure="Try again in a minute.")


def no_key(called: Called) -> NoKey:
    """There is no key, and this server needs one."""
    page = f" Get one at {called.kind.key_page}." if called.kind.key_page else ""
    return NoKey(
        f"There is no key for {called.host}",
        cure=f"Run `mailassist config key` to store one, or choose a model that needs none (model.name).{page}",
    )


def unusable_key(called: Called) -> WrongKey:
    """The key cannot even be sent."""
    failed = WrongKey(
        f"The key for {called.host} is empty, or holds a space, a line break or a character beyond ASCII",
        cure="Store the right one with `mailassist config key`.",
    )
    failed.sent = False
    return failed


def no_credit(called: Called) -> NoCredit:
    """The account behind the key is empty or over its limit."""
    page = f" at {called.kind.credit_page}" if called.kind.credit_page else ""
    return NoCredit(
        f"{called.host}: the account has no credit left, or its limit is reached", cure=f"Add credit{page}."
    )


def refused(called: Called, text: str, partial: str = "") -> ContentRefused:
    """The model or the provider's filter refused."""
    said = f": {_server_text(text, called)}" if text else ""
    return ContentRefused(
        f"{called.model} refuses to write this{said}",
        cure="Write this reply yourself, or draft it with another model.",
        partial=partial,
    )


def too_long(called: Called) -> PromptTooLong:
    """The prompt does not fit."""
    return PromptTooLong(
        f"The conversation is longer than the window of {called.model}", cure="Lower model.context_tokens."
    )


def _timed_out(error: Exception, called: Called) -> ModelCallFailed:
    if "Connect" in type(error.__cause__).__name__:
        return Unreachable(
            f"{called.host} did not take the connection in time", cure="Check the network, a proxy and base_url."
        )
    return NoAnswerInTime(
        f"{called.host} sent nothing for {called.timeout:g} s", cure="Try again, or raise model.timeout."
    )


def _not_connected(error: Exception, called: Called) -> ModelCallFailed:
    cause = str(error.__cause__ or error).lower()
    kind = type(error.__cause__).__name__
    if "proxy" in kind.lower():
        return Unreachable(
            f"The proxy does not connect to {called.host}: {_server_text(cause, called)}",
            cure="Check HTTPS_PROXY and ALL_PROXY.",
        )
    if "certificate" in cause or "ssl" in cause:
        return Unreachable(
            f"The certificate of {called.host} could not be verified",
            cure="Check base_url and this machine's clock; a company proxy's certificate goes into SSL_CERT_FILE.",
        )
    if "Connect" not in kind:
        return ConnectionBroke(f"The connection to {called.host} broke", cure="Try again.")
    if any(word in cause for word in ("name or service", "getaddrinfo", "nodename", "name resolution", "no address")):
        return Unreachable(f"{called.host} has no address", cure="Check the network and base_url.")
    if "refused" in cause:
        return Unreachable(
            f"Nothing listens at {called.host}", cure="Start the server, or check base_url, HTTPS_PROXY and ALL_PROXY."
        )
    return Unreachable(f"{called.host} could not be reached: {_server_text(cause, called)}", cure="Check the network.")


def _refused(error: Any, called: Called) -> ModelCallFailed:
    """An HTTP status that is no success."""
    code, text, status = str(error.code or ""), _message_of(error), int(error.status_code)
    said = f"{code} {error.type or ''} {text}".lower()
    if status == 402 or (status in (400, 403, 429) and any(word in said for word in _NO_CREDIT)):
        return no_credit(called)
    if status == 429 and "too large" in said:  # for a minute's tokens: waiting does not help
        return PromptTooLong(
            f"{called.host} takes no request of this size: {_server_text(text, called)}",
            cure="Lower model.context_tokens.",
        )
    if status == 429:
        return _rate_limited(error, said, called)
    if status == 401 or (status in (400, 403) and _WRONG_KEY.search(said)):
        page = f" Keys are at {called.kind.key_page}." if called.kind.key_page else ""
        return WrongKey(
            f"{called.host} does not accept the key", cure=f"Store the right one with `mailassist config key`.{page}"
        )
    if status in (400, 403, 404, 410) and _is_missing(code, said):
        return ModelMissing(
            f"{called.host} does not offer the model {called.model}",
            cure="See `mailassist models --remote`, then change model.name.",
        )
    if status == 403:
        return NoPermission(
            f"{called.host}: this key may not do that: {_server_text(text, called)}",
            cure="Give the key access to the model, or choose another.",
        )
    if (status >= 500 and status != 501) or status in (408, 409):
        wait = _retry_after(error)
        return ServerFailed(f"{called.host} failed (HTTP {status})", cure=f"Try again {_in_words(wait)}.", wait=wait)
    return _bad_request(status, code, str(error.param or ""), said, text, called)


def _bad_request(status: int, code: str, parameter: str, said: str, text: str, called: Called) -> ModelCallFailed:
    if status in (404, 405, 501):
        return EndpointMissing(
            f"{called.host} knows no such API (HTTP {status})", cure='Check base_url; it often ends in "/v1".'
        )
    if 300 <= status < 400:
        return RequestRefused(f"{called.host} points to another address", cure="Set base_url to that address.")
    if status == 413 or code == "context_length_exceeded" or _TOO_LONG.search(said):
        return too_long(called)
    if code in ("content_filter", "content_policy_violation") or "content management policy" in said:
        return refused(called, "the provider's content filter")
    field = _refused_field(parameter, said)
    if field:
        unknown = FieldRefused(
            f"{called.host} does not know the field {field}", cure='Try model.api = "chat", or choose another server.'
        )
        unknown.field = field
        return unknown
    return RequestRefused(
        f"{called.host} refuses the request (HTTP {status}): {_server_text(text, called)}",
        cure="Check model.name, model.api and base_url.",
    )


def _refused_field(parameter: str, said: str) -> str:
    """The field that the server does not know: the one that it names as such, else the first in its words.

    "schema" stands for the field of either API that holds one.
    """
    if parameter.startswith("service_tier"):  # offered for some models only
        return "service_tier"
    if parameter == "text" or _SCHEMA.match(parameter) or (not parameter and _SCHEMA.search(said)):
        return "schema" if _UNKNOWN_FIELD.search(said) else ""
    named = _DROPPABLE.search(parameter) or _DROPPABLE.search(said)
    if named is None or not _UNKNOWN_FIELD.search(said):
        return ""
    field = named.group().replace("breakpoint", "options")  # the two go together
    return "" if _OUTPUT_LIMIT.fullmatch(field) and _WRONG_VALUE.search(said) else field


def _rate_limited(error: Any, said: str, called: Called) -> RateLimited:
    wait = _retry_after(error)
    kind = NoCapacity if re.search("resource[_ ]unavailable", said) else RateLimited
    return kind(f"{called.host} allows no more requests at the moment", cure=f"Try again {_in_words(wait)}.", wait=wait)


def _retry_after(error: Any) -> float | None:
    """Seconds of Retry-After (RFC 9110, 10.2.3), milliseconds where the server is so exact; None where it says nothing.

    A date counts from the answer's own Date, where it has one, so that this machine's clock does not matter.
    """
    headers = error.response.headers
    for header, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value := headers.get(header, "")):
            return min(float(value) / divisor, _LONGEST)
    until = _http_date(headers.get("retry-after", ""))
    if until is None:
        return None
    said = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - said).total_seconds()), _LONGEST)


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _in_words(wait: float | None) -> str:
    """When a wait of so many seconds is over, as people say it."""
    if wait is None:
        return "in a minute"
    if wait > 30 * _DAY:
        return f"on {(datetime.now() + timedelta(seconds=wait)).date()}"
    for unit, seconds in (("days", _DAY), ("hours", 3600), ("minutes", 60)):
        if wait >= 2 * seconds:
            return f"in {round(wait / seconds)} {unit}"
    return "in a moment" if wait < 2 else f"in {wait:.0f} seconds"


def _is_missing(code: str, said: str) -> bool:
    return code in ("model_not_found", "model_decommissioned", "DeploymentNotFound") or bool(_MISSING.search(said))


def _message_of(error: Any) -> str:
    """The server's own words: `message` of its error object, else the start of what it sent."""
    body = error.body
    if isinstance(body, Mapping) and isinstance(body.get("message"), str):
        return str(body["message"])
    return json.dumps(body) if isinstance(body, Mapping | list) else str(body or "")


def _server_text(text: str, called: Called) -> str:
    """The server's words, short, on one line, without anything that looks like a key."""
    if called.key:
        text = text.replace(called.key, "[key]")
    text = re.sub(r"\b(sk|key|Bearer)[-_ ][\w*.-]{6,}", "[key]", " ".join(text.split()))
    return text if len(text) <= 200 else text[:199] + "…"
