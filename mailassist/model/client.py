"""Who writes: one call to a model, streamed. OpenAI's Responses API, Chat Completions for servers that lack it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, cast
from urllib.parse import urlsplit

from mailassist.model import errors, events, request
from mailassist.model.connection import Connection, Endpoint, ReadFailed, Sent, warm_up
from mailassist.model.registry import Api, ModelInfo, ServerKind, Usage, find, is_loopback, server_kind

__all__ = ["Answer", "Endpoint", "RemoteModel", "Usage", "Writer", "warm_up"]

LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
_FIRST_WAIT = 0.5
_LONGEST_TOKEN = 40  # characters, on average over a whole answer: no text comes near it

OnText = Callable[[str], None]
Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote. Not `complete`: `reason` says why, in words for people; the text so far is kept."""

    text: str
    usage: Usage | None  # None: the server did not say
    model: str  # the registry's name of the model that wrote
    complete: bool
    reason: str = ""
    notices: tuple[str, ...] = ()


Attempt = Callable[[], Answer]


def _make(attempt: Attempt) -> Answer:
    return attempt()


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that a server offers, as the server says."""

    name: str
    shutdown: str = ""  # ISO date, where the server tells


class Writer:
    """One model at one server. One call at a time; any thread. `host` is where the text goes."""

    def __init__(
        self,
        endpoint: Endpoint,
        info: ModelInfo,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`info`: the model (`registry.find`, `registry.in_force`). Nothing is opened before the first call."""
        self.info = info
        self.endpoint = endpoint
        self._kind: ServerKind = server_kind(endpoint.url)
        self._api: Api = _chosen_api(endpoint, info, self._kind)
        self._left_out = set(self._kind.left_out)
        self._gone = ""  # the model that the server no longer offers
        self._news: list[str] = []  # what changed, to be said with the next answer
        self._connection = Connection(endpoint)
        self._sleep, self._clock, self._jitter = sleep, clock, jitter

    @property
    def host(self) -> str:
        """Where the text goes; "this machine" for a model in this process."""
        return self.endpoint.host

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know of this server, whatever is written."""
        if urlsplit(self.endpoint.url).scheme == "http" and not is_loopback(self.endpoint.url):
            return (f"The connection to {self.host} is not encrypted.",)
        return ()

    def write(
        self,
        instructions: str,
        input: str,
        *,
        images: Sequence[request.Image] = (),
        max_output: int,
        cache_key: str = "",
        marks: Sequence[int] = (),
        on_text: OnText = lambda text: None,
        stopped: Stopped = lambda: False,
        around: Callable[[Attempt], Answer] = _make,
    ) -> Answer:
        """Ask once, streaming each piece of text to `on_text`.

        `images` stand in front of `input`; `max_output`: tokens of the answer at most; `cache_key`: a keyed hash, the
        same for prompts with the same beginning; `marks`: where in `input` such a beginning ends; `stopped` is looked
        at all the time and ends the call at once; `around` gets each attempt at the call (`info` is the model that it
        asks) and makes it, or raises: nothing is sent then, and the call is over. Raises a subclass of
        `errors.ModelCallFailed`; once text has come, it is kept in an Answer that is not complete.
        """
        self._check_key()
        most = min(max_output, self.info.max_output)
        prompt = request.Prompt(instructions, input, most, cache_key, tuple(images), tuple(marks))
        while True:
            try:
                answer = self._retried(lambda: around(lambda: self._attempt(prompt, on_text, stopped)), stopped)
            except (errors.EndpointMissing, errors.FieldRefused, errors.ModelMissing) as failed:
                self._news += self._adapted(failed)
            else:
                news, self._news = self._news, []
                return replace(answer, notices=(*self.notices, *news))

    def models(self) -> list[RemoteModel]:
        """The models that the server offers (GET /models), by name. Raises as `write`."""
        self._check_key()
        try:
            return sorted(self._connection.read(self._offered, lambda: False), key=lambda model: model.name)
        except ReadFailed as failed:
            raise errors.explain(failed.error, self._called()) from None

    def warm_up(self) -> None:
        """Open the client, but no connection; meant for a thread that runs while mail is being fetched."""
        warm_up()
        self._connection.client()

    def close(self) -> None:
        """Hang up; never raises."""
        self._connection.close()

    def _offered(self) -> Iterator[RemoteModel]:
        """Ask for the models (in the reader's thread)."""
        for model in self._connection.client().models.list():
            if not isinstance(model.id, str):
                raise TypeError("a model without a name")
            yield RemoteModel(model.id, str(getattr(model, "shutdown_date", "") or ""))

    def _check_key(self) -> None:
        """Raise where no call can work with this key, or without one."""
        if self.endpoint.key is None:
            if self._kind.needs_key:
                raise errors.no_key(self._called())
        elif not re.fullmatch("[!-~]+", self.endpoint.key.get_secret_value()):  # all that a header may hold
            raise errors.unusable_key(self._called())

    def _adapted(self, failed: errors.ModelCallFailed) -> list[str]:
        """Make the next try differ from the one that failed, and say what changed; raises `failed` if nothing can."""
        if isinstance(failed, errors.EndpointMissing) and self._api == "responses" and self.endpoint.api == "auto":
            self._api = "chat"
            return []
        if isinstance(failed, errors.FieldRefused) and self._can_leave_out(failed.field):
            if failed.field in request.OUTPUT_LIMITS:  # it goes by its other name then
                self._left_out.add(request.output_limit(self._kind, self._left_out))
                return []
            self._left_out.add(failed.field)
            if failed.field == "developer":  # the instructions are the system's then
                return []
            return [f"{self.host} does not know the field {failed.field}; it is left out."]
        if isinstance(failed, errors.ModelMissing) and self.info.successor and not self.endpoint.model:
            self._gone, self.info = self.info.name, find(self.info.successor)
            self._api = _chosen_api(self.endpoint, self.info, self._kind)
            return [f"{self.host} no longer offers {self._gone}; {self.info.name} writes instead."]
        if isinstance(failed, errors.ModelMissing) and self._gone:
            neither = f"{self.host} offers neither {self._gone} nor its successor {self.info.name}"
            raise errors.ModelMissing(neither, cure=failed.cure) from None
        raise failed

    def _can_leave_out(self, field: str) -> bool:
        """Whether the next try may do without `field`, which this one had.

        The Responses API would keep the answer without `store: false`; no answer is asked for without a limit.
        """
        if field in request.OUTPUT_LIMITS:
            return self._api == "chat" and not self._left_out.intersection(request.OUTPUT_LIMITS)
        return field not in self._left_out and not (field == "store" and self._api == "responses")

    def _retried(self, attempt: Attempt, stopped: Stopped) -> Answer:
        """One call, tried again where that may help; never once text has come."""
        for tried in range(self.endpoint.retries + 1):
            try:
                return attempt()
            except errors.Stopped:
                break
            except errors.ModelCallFailed as failed:
                wait = self._delay(tried, failed.wait)
                if not failed.retry or tried == self.endpoint.retries or wait > LONGEST_WAIT:
                    raise
                if not self._pause(wait, stopped):
                    break
        return self._incomplete("", "stopped")

    def _delay(self, tried: int, asked: float | None) -> float:
        """Seconds before the next try: doubling with jitter, and what the server asked for at least."""
        return max(asked or 0.0, min(_FIRST_WAIT * 2.0**tried, 8.0) * (1 + 0.25 * self._jitter()))

    def _pause(self, seconds: float, stopped: Stopped) -> bool:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            if stopped():
                return False
            self._sleep(min(left, 0.05))
        return not stopped()

    def _attempt(self, prompt: request.Prompt, on_text: OnText, stopped: Stopped) -> Answer:
        pieces: list[str] = []
        length = 0
        try:
            with closing(self._connection.read(lambda: self._events(prompt), stopped)) as received:
                for event in received:
                    if isinstance(event, events.End):
                        return self._answer(event, "".join(pieces), prompt)
                    pieces.append(event.text)
                    on_text(event.text)
                    length += len(event.text)
                    if length > _LONGEST_TOKEN * prompt.max_output:  # a server that knows no limit
                        return self._answer(events.End("cut"), "".join(pieces), prompt)
        except ReadFailed as failed:
            return self._broken(self._as_sent(errors.explain(failed.error, self._called())), "".join(pieces))
        if not pieces:
            raise self._as_sent(errors.Stopped())
        return self._incomplete("".join(pieces), "stopped")

    def _as_sent(self, failed: errors.ModelCallFailed) -> errors.ModelCallFailed:
        """`failed` with what is known of its request: one that did not leave whole was not accepted either."""
        failed.sent = self._connection.sent is not Sent.NOTHING
        failed.accepted = failed.accepted and self._connection.sent is Sent.WHOLE
        return failed

    def _events(self, prompt: request.Prompt) -> Iterator[events.Text | events.End]:
        """Send the request and read its stream (in the reader's thread)."""
        body = request.body(
            prompt,
            api=self._api,
            model=self.endpoint.model or self.info.name,
            info=self.info,
            kind=self._kind,
            left_out=self._left_out,
        )
        client = self._connection.client()
        resource = client.responses if self._api == "responses" else client.chat.completions
        with cast(Any, resource.create)(**body) as stream:
            yield from (events.of_responses if self._api == "responses" else events.of_chat)(stream)

    def _answer(self, end: events.End, text: str, prompt: request.Prompt) -> Answer:
        if end.how == "completed" and text.strip():
            return Answer(text, end.usage, self.info.name, complete=True)
        if end.how == "refused":
            failed: errors.ModelCallFailed = errors.refused(self._called(), end.text, text)
        elif end.how == "failed":
            failed = errors.explain_failure(end.code, end.text, self._called())
        elif end.how == "cut":
            failed = errors.OutputCutOff(
                f"{self.info.name} reached the limit of {prompt.max_output} tokens before the end",
                cure="Raise model.output_tokens, or ask for a shorter reply.",
            )
        else:
            how = "with no text" if end.how == "completed" else "before the answer was whole"
            failed = errors.BrokenAnswer(f"{self.host} ended {how}", cure="Try again; check base_url and model.api.")
        failed.usage = end.usage
        return self._broken(failed, text)

    def _broken(self, failed: errors.ModelCallFailed, text: str) -> Answer:
        """What came is kept: as an answer that is not complete; where nothing came, or it was refused, in the error."""
        failed.partial = text
        if not text or isinstance(failed, errors.ContentRefused):
            raise failed from None
        return self._incomplete(text, str(failed), failed.usage)

    def _incomplete(self, text: str, reason: str, usage: Usage | None = None) -> Answer:
        return Answer(text, usage, self.info.name, complete=False, reason=reason)

    def _called(self) -> errors.Called:
        key = self.endpoint.key.get_secret_value() if self.endpoint.key else ""
        return errors.Called(self.host, self.info.name, self._kind, self.endpoint.timeout, key)


def shutdown_notice(model: RemoteModel, today: date) -> str:
    """What the server's own shutdown date means on `today`; "" for nothing."""
    try:
        last = date.fromisoformat(model.shutdown[:10])
    except ValueError:
        return ""
    return f"gone since {last}" if last <= today else f"until {last}"


def _chosen_api(endpoint: Endpoint, info: ModelInfo, kind: ServerKind) -> Api:
    if endpoint.api in ("responses", "chat"):
        return cast(Api, endpoint.api)
    if endpoint.in_process:
        return "chat"
    return info.api if info.api and kind.name == "OpenAI" else kind.api
