"""Who writes: one call to a model. OpenAI's Responses API, Chat Completions for servers that lack it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mailassist.model import errors, events, request
from mailassist.model.answers import Answer, broken, judged
from mailassist.model.connection import Connection, Endpoint, ReadFailed, Sent, warm_up
from mailassist.model.learnt import Known, Learnt
from mailassist.model.registry import ModelInfo, Usage, is_loopback

if TYPE_CHECKING:
    import openai

__all__ = ["Answer", "Endpoint", "RemoteModel", "Usage", "Writer", "warm_up"]

LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
_FIRST_WAIT = 0.5
_LONGEST_TOKEN = 40  # characters, on average over a whole answer: no text comes near it
# An answer in one piece is waited for in silence: seconds a token that it may take, and at least with the Flex tier
# (OpenAI's guide "Flex processing" says 15 minutes).
_SLOWEST_TOKEN = 0.05
_FLEX_TIMEOUT = 900.0
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(?P<json>.*?)\n?\s*```\s*", re.S)

OnText = Callable[[str], None]
Stopped = Callable[[], bool]


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
        streamed: bool = True,
        flex: bool = False,
        learnt: Learnt | None = None,
        connection: Connection | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`info`: the model (`registry.find`, `registry.in_force`). Nothing is opened before the first call.

        `streamed` False: the answer comes in one piece, which costs this machine a fraction of the work; `flex`: at
        OpenAI's Flex tier, and at the usual one where that has no room; `learnt` and `connection`: from a pool.
        """
        self.endpoint = endpoint
        self._streamed, self._flex = streamed, flex
        self._learnt = learnt or Learnt(endpoint, info)
        self._tried = self._learnt.known  # what the last attempt was made by
        self._kind = self._learnt.kind
        self._news: list[str] = []  # what changed, to be said with the next answer
        self._connection = connection or Connection(endpoint)
        self._sleep, self._clock, self._jitter = sleep, clock, jitter

    @property
    def info(self) -> ModelInfo:
        """The model that writes: the one that was wished for, or its successor."""
        return self._learnt.known.info

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
        """Ask once, giving each piece of text to `on_text` as it comes.

        `images` stand in front of `input`; `max_output`: tokens of the answer at most; `cache_key`: a keyed hash, the
        same for prompts with the same beginning; `marks`: where in `input` such a beginning ends; `stopped` is looked
        at all the time and ends the call at once; `around` gets each attempt at the call (`info` is the model that it
        asks) and makes it, or raises: nothing is sent then, and the call is over. Raises a subclass of
        `errors.ModelCallFailed`; once text has come, it is kept in an Answer that is not complete.
        """
        prompt = request.Prompt(instructions, input, max_output, cache_key, tuple(images), tuple(marks))
        return self._asked(prompt, on_text, stopped, around)

    def ask(
        self,
        instructions: str,
        input: str,
        schema: Mapping[str, Any],
        *,
        max_output: int,
        cache_key: str = "",
        stopped: Stopped = lambda: False,
        around: Callable[[Attempt], Answer] = _make,
    ) -> Answer:
        """Ask once for an answer that is JSON by the JSON schema `schema`, as OpenAI's "Structured Outputs" take it.

        That is: every property is required, and `additionalProperties` is false. A server that knows no schemas is
        asked for it in words, so that the caller checks what came. Otherwise as `write`.
        """
        prompt = request.Prompt(instructions, input, max_output, cache_key, schema=schema)
        answer = self._asked(prompt, lambda text: None, stopped, around)
        fenced = _FENCED.fullmatch(answer.text)  # as models write JSON where nothing keeps them from it
        return replace(answer, text=fenced["json"]) if fenced else answer

    def _asked(
        self, prompt: request.Prompt, on_text: OnText, stopped: Stopped, around: Callable[[Attempt], Answer]
    ) -> Answer:
        self._check_key()
        most = min(prompt.max_output, self.info.max_output)
        prompt = replace(prompt, max_output=most, flex=self._flex, stream=self._streamed)
        while True:
            made = partial(self._attempt if self._streamed else self._whole, prompt, on_text, stopped)
            try:
                answer = self._retried(partial(around, made), stopped)
            except (errors.EndpointMissing, errors.FieldRefused, errors.ModelMissing) as failed:
                self._news += self._learnt.adapt(failed, self._tried, structured=prompt.schema is not None)
            except errors.NoCapacity:
                if not prompt.flex:
                    raise
                prompt = replace(prompt, flex=False)
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
        known = self._tried = self._learnt.known
        pieces: list[str] = []
        length = 0
        try:
            with closing(self._connection.read(lambda: self._events(prompt, known), stopped)) as received:
                for event in received:
                    if isinstance(event, events.End):
                        return judged(event, "".join(pieces), self._called(), prompt.max_output)
                    pieces.append(event.text)
                    on_text(event.text)
                    length += len(event.text)
                    if length > _LONGEST_TOKEN * prompt.max_output:  # a server that knows no limit
                        return judged(events.End("cut"), "".join(pieces), self._called(), prompt.max_output)
        except ReadFailed as failed:
            return broken(self._failure(failed, prompt), "".join(pieces), self.info.name)
        if not pieces:
            raise self._as_sent(errors.Stopped())
        return self._incomplete("".join(pieces), "stopped")

    def _whole(self, prompt: request.Prompt, on_text: OnText, stopped: Stopped) -> Answer:
        """One attempt whose answer comes in one piece."""
        known = self._tried = self._learnt.known
        timeout = max(self.endpoint.timeout + prompt.max_output * _SLOWEST_TOKEN, _FLEX_TIMEOUT if prompt.flex else 0.0)
        path = "/responses" if known.api == "responses" else "/chat/completions"

        def send(_: openai.OpenAI) -> tuple[str, events.End]:
            got = self._connection.post(path, self._body(prompt, known), timeout)
            return (events.whole_response if known.api == "responses" else events.whole_chat)(got)

        try:
            text, end = self._connection.ask(send, stopped)
        except ReadFailed as failed:
            if self._connection.abandoned:
                raise self._as_sent(errors.Stopped()) from None
            raise self._failure(failed, prompt) from None
        if text:
            on_text(text)
        return judged(end, text, self._called(), prompt.max_output)

    def _failure(self, failed: ReadFailed, prompt: request.Prompt) -> errors.ModelCallFailed:
        explained = self._as_sent(errors.explain(failed.error, self._called()))
        if isinstance(explained, errors.NoCapacity) and prompt.flex:
            explained.retry = False  # the usual tier is asked at once
        return explained

    def _as_sent(self, failed: errors.ModelCallFailed) -> errors.ModelCallFailed:
        """`failed` with what is known of its request: one that did not leave whole was not accepted either."""
        failed.sent = self._connection.sent is not Sent.NOTHING
        failed.accepted = failed.accepted and self._connection.sent is Sent.WHOLE
        return failed

    def _body(self, prompt: request.Prompt, known: Known) -> dict[str, Any]:
        return request.body(
            prompt,
            api=known.api,
            model=self.endpoint.model or known.info.name,
            info=known.info,
            kind=self._kind,
            left_out=known.left_out,
        )

    def _events(self, prompt: request.Prompt, known: Known) -> Iterator[events.Text | events.End]:
        """Send the request and read its stream (in the reader's thread)."""
        client = self._connection.client()
        resource = client.responses if known.api == "responses" else client.chat.completions
        with cast(Any, resource.create)(**self._body(prompt, known)) as stream:
            yield from (events.of_responses if known.api == "responses" else events.of_chat)(stream)

    def _incomplete(self, text: str, reason: str) -> Answer:
        return Answer(text, None, self.info.name, complete=False, reason=reason)

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
