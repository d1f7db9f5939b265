"""OpenAI's Batch API: requests in a file, answered within a day at half the price (their guide "Batch API").

Each batch carries a key of ours, in its metadata and in the name of its input file, so that it is found again when the
answer to its creation was lost. Its files are given an end at the provider, and are deleted before it by us.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mailassist.model import errors, events, request
from mailassist.model.answers import Answer, judged
from mailassist.model.connection import Connection, Endpoint, ReadFailed, Sent
from mailassist.model.registry import ModelInfo, server_kind

if TYPE_CHECKING:
    import openai

Got = TypeVar("Got")
State = Literal["running", "completed", "expired", "failed", "cancelled"]

MOST_REQUESTS = 2_000  # in one batch; OpenAI takes 50,000, but all of it is held in memory here
MOST_BYTES = 50_000_000  # of its file; OpenAI takes 200 MB
_KEY = "mailassist"  # in the metadata
_KEPT = 14 * 86_400  # seconds until the provider deletes the files, whatever becomes of us
_MOST_LISTED = 1_000  # batches and files that are looked through for a key
_STATES: Mapping[str, State] = {
    "completed": "completed", "expired": "expired", "failed": "failed", "cancelled": "cancelled",
}  # fmt: skip


class NotDone(errors.ModelCallFailed):
    """The batch ended before this request was worked on: it costs nothing."""

    accepted = False


@dataclass(frozen=True, slots=True)
class Job:
    """A batch at the provider. `error`: its code, where the whole batch failed."""

    id: str
    state: State
    input_file: str
    output_file: str = ""
    error_file: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request: an answer, or why there is none."""

    custom_id: str
    answer: Answer | None
    error: errors.ModelCallFailed | None = None


class BatchApi:
    """The Batch API of one server; any thread, one call at a time. Each method raises `errors.ModelCallFailed`."""

    def __init__(self, endpoint: Endpoint, stopped: Callable[[], bool] = lambda: False) -> None:
        """`stopped` is looked at all the time and ends a call. Nothing is opened before the first one."""
        self.endpoint = endpoint
        self._stopped = stopped
        self._kind = server_kind(endpoint.url)
        self._connection = Connection(endpoint)

    @property
    def host(self) -> str:
        """Where the text goes."""
        return self.endpoint.host

    def body(self, prompt: request.Prompt, info: ModelInfo) -> dict[str, Any]:
        """The JSON body of one request (`store` is false), to be given to `submit`."""
        name = self.endpoint.model or info.name
        most = min(prompt.max_output, info.max_output)
        prompt = replace(prompt, max_output=most, stream=False, flex=False)
        left_out = self._kind.left_out
        return request.body(prompt, api="responses", model=name, info=info, kind=self._kind, left_out=left_out)

    def submit(self, key: str, bodies: Mapping[str, str]) -> Job:
        """Upload the requests, JSON by custom id, all for one model, and have them worked on within 24 hours."""
        lines = (
            f'{{"custom_id":{json.dumps(custom_id)},"method":"POST","url":"/v1/responses","body":{body}}}\n'
            for custom_id, body in bodies.items()
        )
        content = "".join(lines).encode()
        end: Any = {"anchor": "created_at", "seconds": _KEPT}
        upload = self._call(
            lambda client: client.files.create(file=(_file_name(key), content), purpose="batch", expires_after=end)
        )
        return self._call(
            lambda client: _job(
                client.batches.create(
                    completion_window="24h",
                    endpoint="/v1/responses",
                    input_file_id=upload.id,
                    metadata={_KEY: key},
                    output_expires_after=end,
                )
            )
        )

    def find(self, key: str) -> Job | None:
        """The batch that was submitted as `key`, among the newest ones."""

        def look(client: openai.OpenAI) -> Job | None:
            for number, batch in enumerate(client.batches.list(limit=100)):
                if (batch.metadata or {}).get(_KEY) == key:
                    return _job(batch)
                if number >= _MOST_LISTED:
                    break
            return None

        return self._call(look)

    def uploads(self, key: str) -> list[str]:
        """The input files that were uploaded as `key`, among the newest ones."""

        def look(client: openai.OpenAI) -> list[str]:
            listed = zip(range(_MOST_LISTED), client.files.list(purpose="batch", limit=100), strict=False)
            return [file.id for _, file in listed if file.filename == _file_name(key)]

        return self._call(look)

    def look(self, number: str) -> Job:
        """How the batch `number` is."""
        return self._call(lambda client: _job(client.batches.retrieve(number)))

    def cancel(self, number: str) -> Job:
        """End the batch; what was done of it can be fetched once it is "cancelled", some minutes later."""
        return self._call(lambda client: _job(client.batches.cancel(number)))

    def results(self, job: Job, info: ModelInfo) -> Iterator[Result]:
        """What became of the requests that the provider says something of, in any order; `info`: of their model."""
        for number in filter(None, (job.output_file, job.error_file)):
            content = self._call(lambda client, number=number: client.files.content(number).content)  # type: ignore[misc]
            for line in content.splitlines():
                if line.strip():
                    yield self._result(line, info)

    def delete_file(self, number: str) -> None:
        """Delete a file; one that is not there is deleted."""
        import openai

        def delete(client: openai.OpenAI) -> None:
            try:
                client.files.delete(number)
            except openai.NotFoundError:
                pass

        self._call(delete)

    def close(self) -> None:
        """Hang up; never raises."""
        self._connection.close()

    def _result(self, line: bytes, info: ModelInfo) -> Result:
        """One line of an output or error file; what makes no sense has no custom id."""
        called = self._called(info.name)
        try:
            value = json.loads(line)
            custom_id = str(value["custom_id"])
        except (ValueError, LookupError, TypeError):
            return Result("", None, errors.BrokenAnswer(f"{self.host} sent a result that is none"))
        try:
            return Result(custom_id, self._answer(value, called))
        except errors.ModelCallFailed as failed:
            return Result(custom_id, None, failed)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            return Result(custom_id, None, errors.explain(error, called))

    def _answer(self, value: Mapping[str, Any], called: errors.Called) -> Answer:
        error, response = value.get("error"), value.get("response")
        if response is None:
            raise NotDone(f"{self.host} did not answer in its batch: {str((error or {}).get('code'))[:40]}")
        body = response["body"]
        if int(response["status_code"]) != 200:
            said = body.get("error") or {}
            failed = errors.explain_failure(str(said.get("code") or ""), str(said.get("message") or ""), called)
            failed.accepted = False
            raise failed
        text, end = events.whole_response(body)
        usage = replace(end.usage, tier="batch") if end.usage else None
        return judged(replace(end, usage=usage), text, called, int(body.get("max_output_tokens") or 0))

    def _call(self, send: Callable[[openai.OpenAI], Got]) -> Got:
        try:
            return self._connection.ask(send, self._stopped)
        except ReadFailed as failed:
            if self._connection.abandoned:
                raise errors.Stopped() from None
            explained = errors.explain(failed.error, self._called(""))
            explained.sent = self._connection.sent is not Sent.NOTHING
            raise explained from None

    def _called(self, model: str) -> errors.Called:
        key = self.endpoint.key.get_secret_value() if self.endpoint.key else ""
        return errors.Called(self.host, model, self._kind, self.endpoint.timeout, key)


def offered(endpoint: Endpoint, info: ModelInfo) -> bool:
    """Whether a batch is known to be cheaper: for OpenAI's own models at OpenAI."""
    return server_kind(endpoint.url).name == "OpenAI" and info.batch_factor < 1.0


def _file_name(key: str) -> str:
    return f"mailassist-{key}.jsonl"


def _job(batch: Any) -> Job:
    said = [str(one.code or "") for one in (batch.errors.data or [])] if batch.errors else []
    return Job(
        batch.id,
        _STATES.get(batch.status, "running"),
        batch.input_file_id,
        batch.output_file_id or "",
        batch.error_file_id or "",
        " ".join(dict.fromkeys(said))[:200],
    )
