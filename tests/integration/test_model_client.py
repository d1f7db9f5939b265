"""The client against a server with the wire formats of Responses and Chat Completions."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr
from servers.model_api import ModelServer, Reply, Request

from mailassist.model import errors
from mailassist.model.client import Answer, Endpoint, Writer
from mailassist.model.registry import Usage, find, server_kind
from mailassist.model.request import Prompt, body

KEY = "sk-test-0123456789abcdefghij"
TEXT = "Dear Ann,\n\nTuesday at ten suits us: see you then.\n\nBen"


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer_for(clock: Clock) -> Iterator[Callable[..., Writer]]:
    made: list[Writer] = []

    def make(server: ModelServer | str, model: str = "gpt-4o-mini", **values: Any) -> Writer:
        url = server if isinstance(server, str) else server.base_url
        endpoint = Endpoint(**{"base_url": url, "key": SecretStr(KEY), "timeout": 5.0} | values)
        made.append(Writer(endpoint, find(model), sleep=clock.sleep, clock=clock, jitter=lambda: 0.0))
        return made[-1]

    yield make
    for writer in made:
        writer.close()


def write(writer: Writer, **values: Any) -> Answer:
    return writer.write(
        "You draft replies.", "<mail>When?</mail>", **{"max_output": 500, "cache_key": "c0ffee"} | values
    )


def bodies(server: ModelServer) -> list[dict[str, Any]]:
    return [dict(request.body) for request in server.requests]


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_text_is_streamed_and_the_usage_comes_back(api: str, writer_for: Callable[..., Writer]) -> None:
    pieces: list[str] = []
    with ModelServer([Reply(TEXT, usage=(1200, 1024, 40))]) as server:
        answer = write(writer_for(server, api=api), on_text=pieces.append)
    assert answer == Answer(TEXT, Usage(1200, 1024, 40), "gpt-4o-mini", complete=True)
    assert len(pieces) > 1 and "".join(pieces) == TEXT


def test_a_server_that_knows_no_limit_is_stopped_at_ours(writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply("word " * 50_000, pieces=500)]) as server:
        answer = write(writer_for(server))
    assert not answer.complete and "limit of 500 tokens" in answer.reason
    assert len(answer.text) < 25_000


def test_a_responses_request_holds_exactly_the_allowed_fields(writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        write(writer_for(server))
    assert bodies(server) == [
        {
            "model": "gpt-4o-mini",
            "instructions": "You draft replies.",
            "input": "<mail>When?</mail>",
            "store": False,
            "truncation": "disabled",
            "max_output_tokens": 500,
            "prompt_cache_key": "c0ffee",
            "stream": True,
        }
    ]


def test_the_successor_is_asked_without_reasoning(writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        write(writer_for(server, "gpt-6-luna"))
        write(writer_for(server, "gpt-6-luna", api="chat"))
    responses, chat = bodies(server)
    assert responses["reasoning"] == {"effort": "none"}
    assert chat["reasoning_effort"] == "none"


OPENAI = server_kind("")


@pytest.mark.parametrize(("api", "kind"), [("responses", "input_text"), ("chat", "text")])
def test_a_model_that_charges_for_its_cache_gets_the_last_four_ends_of_messages_marked(api: Any, kind: str) -> None:
    asked = Prompt("Draft.", "abcdefg", 500, "c0ffee", marks=(1, 2, 3, 4, 6))
    sent = body(asked, api=api, model="m", info=find("gpt-6-luna"), kind=OPENAI, left_out=())
    content = (sent["input"] if api == "responses" else sent["messages"])[-1]["content"]
    assert [part["text"] for part in content] == ["ab", "c", "d", "ef", "g"]
    assert [part.get("prompt_cache_breakpoint") for part in content] == [{"mode": "explicit"}] * 4 + [None]
    assert {part["type"] for part in content} == {kind}
    assert sent["prompt_cache_options"] == {"mode": "explicit"}


@pytest.mark.parametrize("plain", ["gpt-4o-mini", "refused", "elsewhere"])
def test_nobody_else_sees_marks(plain: str) -> None:
    sent = body(
        Prompt("Draft.", "abc", 500, "c0ffee", marks=(1,)),
        api="responses",
        model="m",
        info=find("gpt-4o-mini" if plain == "gpt-4o-mini" else "gpt-6-luna"),
        kind=server_kind("https://models.example/v1") if plain == "elsewhere" else OPENAI,
        left_out=["prompt_cache_options"] if plain == "refused" else [],
    )
    assert sent["input"] == "abc" and "prompt_cache_options" not in sent


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_what_was_written_to_the_cache_comes_back(api: str, writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(TEXT, usage=(2000, 1200, 40), cache_written=700)]) as server:
        assert write(writer_for(server, "gpt-6-luna", api=api)).usage == Usage(2000, 1200, 40, written=700)


def test_a_chat_request_holds_exactly_the_allowed_fields(writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        write(writer_for(server, "some-model", api="chat"))
    assert bodies(server) == [
        {
            "model": "some-model",
            "messages": [
                {"role": "system", "content": "You draft replies."},
                {"role": "user", "content": "<mail>When?</mail>"},
            ],
            "store": False,
            "max_tokens": 500,
            "prompt_cache_key": "c0ffee",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_no_header_tells_more_than_it_must(writer_for: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    with ModelServer() as server:
        write(writer_for(server))
        write(writer_for(server, key=None))
    with_key, without = (json.dumps(dict(request.headers)).lower() for request in server.requests)
    for said in (with_key, without):
        assert not any(
            word in said for word in ("secret", "stainless", "environment", "python", "linux", "idempotency")
        )
    assert f"bearer {KEY}" in with_key and "authorization" not in without


def test_the_output_limit_never_exceeds_what_the_model_gives(writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        write(writer_for(server), max_output=10**6)
    assert bodies(server)[0]["max_output_tokens"] == 16_384


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_text_that_utf8_cannot_say_is_sent_all_the_same(api: str, writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        assert writer_for(server, api=api).write("a\udcff", "b\ud83d \u2028\x00", max_output=5).complete
    assert server.requests[0].prompt == "a\ufffd\nb\ufffd \u2028\x00"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_responses_is_asked_by_chat_and_that_is_remembered(
    status: int, writer_for: Callable[..., Writer]
) -> None:
    def without_responses(request: Request) -> Reply:
        return Reply(TEXT) if request.path.endswith("/chat/completions") else Reply(status=status, message="no")

    with ModelServer([without_responses]) as server:
        writer = writer_for(server, "some-model")
        assert write(writer).complete and write(writer).complete
    assert [request.path for request in server.requests] == ["/v1/responses"] + ["/v1/chat/completions"] * 2


def test_the_configured_api_is_not_left(writer_for: Callable[..., Writer]) -> None:
    with ModelServer(lacks=["responses"]) as server, pytest.raises(errors.EndpointMissing):
        write(writer_for(server, api="responses"))


@pytest.mark.parametrize("field", ["prompt_cache_key", "stream_options", "store"])
def test_a_field_that_an_unlisted_server_refuses_is_left_out_and_said(
    field: str, writer_for: Callable[..., Writer]
) -> None:
    refusal = Reply(status=400, message=f"Unknown name '{field}': Cannot find field.")
    with ModelServer([refusal, Reply(TEXT)]) as server:
        answer = write(writer_for(server, "some-model", api="chat"))
    assert answer.complete and field in answer.notices[0]
    assert field in bodies(server)[0] and field not in bodies(server)[1]


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Use max_completion_tokens: max_tokens is not supported.",
        '[{"type": "extra_forbidden", "loc": ["body", "max_tokens"]}]',
    ],
)
def test_an_output_limit_with_the_other_name_is_sent_by_that(message: str, writer_for: Callable[..., Writer]) -> None:
    def refuses_one_name(request: Request) -> Reply:
        return Reply(status=400, message=message) if "max_tokens" in request.body else Reply(TEXT)

    with ModelServer([refuses_one_name]) as server:
        writer = writer_for(server, "some-model", api="chat")
        assert [write(writer).notices, write(writer).notices] == [(), ()]
    limits = [{name: value for name, value in body.items() if name.startswith("max_")} for body in bodies(server)]
    assert limits == [{"max_tokens": 500}, {"max_completion_tokens": 500}, {"max_completion_tokens": 500}]


def test_where_max_completion_tokens_is_usual_the_other_name_is_max_tokens() -> None:
    values = {"api": "chat", "model": "gpt-4o-mini", "info": find("gpt-4o-mini"), "kind": server_kind("")}
    sent = body(Prompt("", "", 500, ""), left_out={"max_completion_tokens"}, **values)  # type: ignore[arg-type]
    assert sent["max_tokens"] == 500 and "max_completion_tokens" not in sent


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_no_answer_is_asked_for_without_a_limit(api: str, writer_for: Callable[..., Writer]) -> None:
    def refuses_limits(request: Request) -> Reply:
        named = next(name for name in request.body if name.startswith("max_"))
        return Reply(status=400, message=f"Unrecognized request argument supplied: {named}")

    with ModelServer([refuses_limits]) as server, pytest.raises(errors.RequestRefused, match="max_"):
        write(writer_for(server, "some-model", api=api))
    assert all(any(name.startswith("max_") for name in body) for body in bodies(server))


def test_a_limit_with_a_value_that_is_refused_is_not_sent_by_its_other_name(writer_for: Callable[..., Writer]) -> None:
    refusal = Reply(status=400, message="max_tokens must be in [1, 400]")
    with ModelServer([refusal]) as server, pytest.raises(errors.RequestRefused, match=r"must be in \[1, 400\]"):
        write(writer_for(server, "some-model", api="chat"))
    assert len(server.requests) == 1


def test_the_responses_api_is_never_asked_without_store_false(writer_for: Callable[..., Writer]) -> None:
    refusal = Reply(status=400, message="Unknown parameter: 'store'.")
    with ModelServer([refusal]) as server, pytest.raises(errors.FieldRefused, match=r"store.*model\.api"):
        write(writer_for(server))
    assert [body["store"] for body in bodies(server)] == [False]


@pytest.mark.parametrize(
    ("api", "path"), [("chat", "/openai/deployments/my-mini/chat/completions"), ("responses", "/openai/responses")]
)
def test_azures_older_addresses_get_version_deployment_and_key(
    api: str, path: str, writer_for: Callable[..., Writer]
) -> None:
    with ModelServer([Reply(TEXT)]) as server:
        answer = write(writer_for(server, "my-mini", api=api, api_version="2026-05-01"))
    (request,) = server.requests
    assert answer.text == TEXT and request.path == f"{path}?api-version=2026-05-01"
    assert {name.lower(): value for name, value in request.headers.items()}["api-key"] == KEY


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_when_the_server_no_longer_has_the_model_its_successor_writes_and_it_is_said(
    api: str, writer_for: Callable[..., Writer]
) -> None:
    with ModelServer([Reply(TEXT)], gone=["gpt-4o-mini"]) as server:
        writer = writer_for(server, api=api)
        answer = write(writer)
    assert (answer.model, writer.info.name, answer.complete) == ("gpt-6-luna", "gpt-6-luna", True)
    assert "gpt-4o-mini" in answer.notices[0] and "gpt-6-luna" in answer.notices[0]


def test_a_successor_is_said_with_its_first_answer_although_its_first_call_failed(
    writer_for: Callable[..., Writer],
) -> None:
    with ModelServer([Reply(status=401), Reply(TEXT)], gone=["gpt-4o-mini"]) as server:
        writer = writer_for(server)
        with pytest.raises(errors.WrongKey):
            write(writer)
        (notice,) = write(writer).notices
        assert "gpt-4o-mini" in notice and "gpt-6-luna" in notice
        assert not write(writer).notices


def test_where_the_successor_is_missing_too_both_are_named(writer_for: Callable[..., Writer]) -> None:
    with ModelServer(gone=["gpt-4o-mini", "gpt-6-luna"]) as server:
        writer = writer_for(server)
        for _ in range(2):
            with pytest.raises(errors.ModelMissing, match=r"neither gpt-4o-mini nor its successor gpt-6-luna.*models"):
                write(writer)


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize(
    ("how", "said"),
    [("cut", "limit of 500 tokens"), ("unfinished", "before the answer was whole"), ("dropped", "broke")],
)
def test_an_answer_that_does_not_end_is_kept_but_not_complete(
    api: str, how: Any, said: str, writer_for: Callable[..., Writer]
) -> None:
    with ModelServer([Reply(TEXT, how)]) as server:
        answer = write(writer_for(server, api=api))
    assert (answer.text, answer.complete) == (TEXT, False)
    assert said in answer.reason
    assert len(server.requests) == 1  # never again once text has come


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("how", ["failed", "error", "garbage"])
def test_a_failure_in_the_stream_keeps_the_text(api: str, how: Any, writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(TEXT, how)]) as server:
        answer = write(writer_for(server, api=api))
    assert (answer.text, answer.complete) == (TEXT, False) and answer.reason


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("how", ["refused", "filtered"])
def test_a_refusal_is_named_and_keeps_what_was_written(api: str, how: Any, writer_for: Callable[..., Writer]) -> None:
    with (
        ModelServer([Reply("I cannot help with that.", how)]) as server,
        pytest.raises(errors.ContentRefused) as caught,
    ):
        write(writer_for(server, api=api))
    assert caught.value.cure
    if how == "refused":
        assert "I cannot help with that." in str(caught.value)
    else:
        assert caught.value.partial == "I cannot help with that."


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("how", ["completed", "unfinished", "cut", "page"])
def test_an_empty_answer_is_an_error(api: str, how: Any, writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply("", how)]) as server, pytest.raises(errors.ModelCallFailed) as caught:
        write(writer_for(server, api=api))
    assert caught.value.cure and len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(status=401, code="invalid_api_key", message=f"Incorrect API key provided: {KEY}"), errors.WrongKey),
        (Reply(status=403, message=f"no access for {KEY}"), errors.NoPermission),
        (Reply(status=403, code="model_not_found", message="no access to model x"), errors.ModelMissing),
        (Reply(status=404, code="model_not_found", message="The model `x` does not exist"), errors.ModelMissing),
        (Reply(status=404, message='model "x" not found, try pulling it first'), errors.ModelMissing),
        (Reply(status=429, code="insufficient_quota", message="You exceeded your quota"), errors.NoCredit),
        (Reply(status=402, message="Payment required"), errors.NoCredit),
        (Reply(status=400, message="Your credit balance is too low to access the API"), errors.NoCredit),
        (Reply(status=403, code="billing_not_active", message="check your billing details"), errors.NoCredit),
        (Reply(status=400, message="API key not valid. Please pass a valid API key."), errors.WrongKey),
        (Reply(status=403, message="Invalid API key"), errors.WrongKey),
        (Reply(status=400, code="model_decommissioned", message="no longer supported"), errors.ModelMissing),
        (Reply(status=410, message="The model `x` was retired"), errors.ModelMissing),
        (Reply(status=400, message="The model x has been shut down."), errors.ModelMissing),
        (Reply(status=400, code="context_length_exceeded", message="maximum context length"), errors.PromptTooLong),
        (
            Reply(status=429, code="rate_limit_exceeded", message="Request too large for x on tokens per min (TPM)"),
            errors.PromptTooLong,
        ),
        (Reply(status=400, code="content_filter", message="filtered"), errors.ContentRefused),
        (Reply(status=400, message=f"something odd about {KEY}"), errors.RequestRefused),
        (Reply(status=307, headers={"Location": "https://elsewhere.example/"}), errors.RequestRefused),
    ],
)
def test_each_refusal_has_its_name_and_cure_is_not_repeated_and_holds_no_key(
    reply: Reply, expected: type[errors.ModelCallFailed], writer_for: Callable[..., Writer]
) -> None:
    with ModelServer([reply]) as server, pytest.raises(expected) as caught:
        write(writer_for(server, "gpt-4o"))
    error = caught.value
    assert error.cure and error.sent and "\n" not in str(error)
    assert KEY not in f"{error}{error!r}{error.__cause__}" and error.__suppress_context__
    assert len(server.requests) == 1


def test_who_has_a_wrong_key_is_sent_to_the_command_that_asks_for_it(writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(status=401)]) as server, pytest.raises(errors.WrongKey, match="`mailassist config key`"):
        write(writer_for(server))


def test_a_key_that_looks_like_none_is_kept_out_of_the_text_too(writer_for: Callable[..., Writer]) -> None:
    key = "9f86d081884c7d659a2feaa0c55ad015"
    refusal = Reply(status=400, message=f"cannot read {key}")
    with ModelServer([refusal]) as server, pytest.raises(errors.RequestRefused, match="cannot read") as caught:
        write(writer_for(server, key=SecretStr(key)))
    assert key not in str(caught.value)


@pytest.mark.parametrize(("status", "expected"), [(429, errors.RateLimited), (500, errors.ServerFailed)])
def test_a_busy_server_is_asked_again_with_growing_pauses(
    status: int, expected: type[errors.ModelCallFailed], clock: Clock, writer_for: Callable[..., Writer]
) -> None:
    with ModelServer([Reply(status=status)]) as server, pytest.raises(expected):
        write(writer_for(server, retries=3))
    assert len(server.requests) == 4
    assert clock.now == pytest.approx(0.5 + 1 + 2)
    with ModelServer([Reply(status=status), Reply(TEXT)]) as server:
        assert write(writer_for(server)).complete


def test_retry_after_is_obeyed_up_to_a_minute(clock: Clock, writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(status=429, headers={"Retry-After": "7"}), Reply(TEXT)]) as server:
        assert write(writer_for(server)).complete
    assert clock.now == pytest.approx(7)
    with ModelServer([Reply(status=429, headers={"Retry-After": "3600"})]) as server:
        with pytest.raises(errors.RateLimited, match="in 60 minutes"):
            write(writer_for(server))
        assert len(server.requests) == 1


def test_retry_after_may_be_a_date(clock: Clock, writer_for: Callable[..., Writer]) -> None:
    headers = {"Date": "Mon, 23 Nov 2026 12:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 12:00:09 GMT"}
    with ModelServer([Reply(status=503, headers=headers), Reply(TEXT)]) as server:
        assert write(writer_for(server)).complete
    assert clock.now == pytest.approx(9)


def test_retry_after_as_a_date_without_the_servers_own_counts_from_this_machines_clock(
    clock: Clock, writer_for: Callable[..., Writer]
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=50)
    headers = {"Date": "", "Retry-After": format_datetime(soon, usegmt=True)}
    with ModelServer([Reply(status=429, headers=headers), Reply(TEXT)]) as server:
        assert write(writer_for(server)).complete
    assert 0.5 < clock.now <= 50


@pytest.mark.parametrize(
    "asked", ["Thu, 01 Jan 1970 00:00:00 GMT", "0", "-5", "soon", "Mon, 999999999999 Nov 2026 12:00:00 GMT", ""]
)
def test_a_retry_after_that_is_over_or_garbage_never_shortens_the_pauses(
    asked: str, clock: Clock, writer_for: Callable[..., Writer]
) -> None:
    with (
        ModelServer([Reply(status=503, headers={"Retry-After": asked})]) as server,
        pytest.raises(errors.ServerFailed, match=r"Try again in a m(oment|inute)\."),
    ):
        write(writer_for(server, retries=3))
    assert len(server.requests) == 4 and clock.now == pytest.approx(0.5 + 1 + 2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("61.2", "in 61 seconds"),
        ("600", "in 10 minutes"),
        ("10800", "in 3 hours"),
        ("172800", "in 2 days"),
        ("Wed, 25 Nov 2026 12:00:00 GMT", "in 2 days"),
        ("315360000", r"on 20\d\d-\d\d-\d\d"),
        ("Mon, 23 Nov 2076 12:00:00 GMT", r"on 20\d\d-\d\d-\d\d"),
        ("9" * 300, r"on 21\d\d-\d\d-\d\d"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_is_said_in_words_and_not_waited_for(
    asked: str, said: str, status: int, writer_for: Callable[..., Writer]
) -> None:
    headers = {"Date": "Mon, 23 Nov 2026 12:00:00 GMT", "Retry-After": asked}
    with (
        ModelServer([Reply(status=status, headers=headers)]) as server,
        pytest.raises(errors.ModelCallFailed, match=rf"Try again {said}\.$"),
    ):
        write(writer_for(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize("usage", [(-1, 0, 5), (5, 0, -1), (10**30, 0, 5), (5, 0, 10**30)])
def test_a_count_that_cannot_be_is_none(usage: tuple[int, int, int], writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(TEXT, usage=usage)]) as server:
        assert write(writer_for(server)).usage is None


def test_no_more_of_a_prompt_is_cached_than_there_is(writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(TEXT, usage=(5, 900, 3))]) as server:
        assert write(writer_for(server)).usage == Usage(5, 5, 3)


_PIECE = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0}


@pytest.mark.parametrize(
    ("api", "event"),
    [("responses", _PIECE | {"delta": piece}) for piece in (5, ["x"], {"a": 1})]
    + [("chat", {"choices": [{"index": 0, "delta": {"content": piece}}]}) for piece in (5, [{"type": "thinking"}])]
    + [("chat", {"choices": choices}) for choices in (5, [None], ["x"])],
)
def test_a_stream_that_makes_no_sense_is_no_answer(api: str, event: object, writer_for: Callable[..., Writer]) -> None:
    for text in ("", TEXT):
        with ModelServer([Reply(text, "nonsense", message=json.dumps(event))]) as server:
            if text:
                answer = write(writer_for(server, api=api))
                assert (answer.text, answer.complete) == (TEXT, False) and "no answer" in answer.reason
            else:
                with pytest.raises(errors.BrokenAnswer, match="no answer"):
                    write(writer_for(server, api=api))


@pytest.mark.parametrize("listed", [[{}], [{"id": None}], [{"id": 5}, {"id": "b"}]])
def test_a_list_of_models_without_names_is_no_answer(
    listed: list[dict[str, Any]], writer_for: Callable[..., Writer]
) -> None:
    with ModelServer(models=listed) as server, pytest.raises(errors.BrokenAnswer):
        writer_for(server).models()


def test_a_failure_before_any_text_is_tried_again(writer_for: Callable[..., Writer]) -> None:
    for how in ("failed", "dropped"):
        with ModelServer([Reply("", how), Reply(TEXT)]) as server:
            assert write(writer_for(server)).text == TEXT


def test_without_a_key_nothing_is_sent() -> None:
    writer = Writer(Endpoint(), find("gpt-4o-mini"))
    with pytest.raises(errors.NoKey, match=r"api\.openai\.com") as caught:
        write(writer)
    assert not caught.value.sent and caught.value.cure


@pytest.mark.parametrize("key", ["", " sk-0123456789", "sk-01234\n56789", "sk-\u043e123456789"])
def test_a_key_that_cannot_be_sent_is_named_and_nothing_is_sent(key: str, writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        for call in (write, Writer.models):
            with pytest.raises(errors.WrongKey, match="key for 127") as caught:
                call(writer_for(server, key=SecretStr(key)))
            assert not caught.value.sent and caught.value.cure and "56789" not in str(caught.value)
        assert not server.requests


def test_an_unreachable_server_is_named_with_the_cure(writer_for: Callable[..., Writer]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(errors.Unreachable, match=f"127.0.0.1:{port}") as caught:
            write(writer_for(f"http://127.0.0.1:{port}/v1"))
    assert caught.value.cure and not caught.value.sent


def test_a_host_without_an_address_is_named(writer_for: Callable[..., Writer]) -> None:
    with pytest.raises(errors.Unreachable, match=r"models\.invalid") as caught:
        write(writer_for("https://models.invalid/v1"))
    assert not caught.value.sent


def test_a_proxy_that_refuses_is_named(writer_for: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer() as proxy:  # answers CONNECT with 501
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url.removesuffix("/v1"))
        with pytest.raises(errors.Unreachable, match="proxy"):
            write(writer_for("https://models.invalid/v1"))


def test_a_silent_server_is_given_up(writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(before=30)]) as server, pytest.raises(errors.NoAnswerInTime, match=r"0\.3 s") as caught:
        write(writer_for(server, timeout=0.3))
    assert caught.value.sent and len(server.requests) == 1


@pytest.mark.parametrize(
    "reply", [Reply(before=60), Reply(TEXT, pause=60)], ids=["before the headers", "in the stream"]
)
def test_stopping_ends_a_silent_call_and_closes_the_connection(reply: Reply, writer_for: Callable[..., Writer]) -> None:
    stop = threading.Event()
    with ModelServer([reply]) as server:
        writer = writer_for(server)
        threading.Thread(target=lambda: (_wait_for(lambda: bool(server.requests)), stop.set())).start()
        answer = write(writer, stopped=stop.is_set)
        assert (answer.text, answer.complete, answer.reason) == ("", False, "stopped")
        assert server.hung_up.wait(10)
        server.answers = [Reply(TEXT)]
        assert write(writer).text == TEXT  # the writer is as good as new


def test_stopping_on_a_connection_that_was_used_before_closes_it_too(writer_for: Callable[..., Writer]) -> None:
    stop = threading.Event()
    with ModelServer([Reply(TEXT), Reply(before=60)]) as server:
        writer = writer_for(server)
        write(writer)
        threading.Thread(target=lambda: (_wait_for(lambda: len(server.requests) == 2), stop.set())).start()
        assert write(writer, stopped=stop.is_set).reason == "stopped"
        assert server.hung_up.wait(10)


def test_stopping_keeps_the_text_so_far(writer_for: Callable[..., Writer]) -> None:
    pieces: list[str] = []
    with ModelServer([Reply(TEXT, pause=0.01, pieces=20)]) as server:
        answer = write(writer_for(server), on_text=pieces.append, stopped=lambda: len(pieces) >= 3)
    assert answer.text == "".join(pieces) and TEXT.startswith(answer.text) and answer.text != TEXT
    assert not answer.complete


def test_stopping_ends_the_wait_between_two_tries(writer_for: Callable[..., Writer]) -> None:
    with ModelServer([Reply(status=429, headers={"Retry-After": "50"})]) as server:
        answer = write(writer_for(server), stopped=lambda: bool(server.requests))
    assert answer.reason == "stopped"


def test_what_the_listener_raises_comes_through_and_ends_the_call(writer_for: Callable[..., Writer]) -> None:
    def broken(text: str) -> None:
        raise ValueError(text)

    with ModelServer([Reply(TEXT, pause=0.05)]) as server:
        with pytest.raises(ValueError, match="Dear"):
            write(writer_for(server), on_text=broken)
        assert server.hung_up.wait(10)


def test_the_models_of_a_server_come_with_their_last_day(writer_for: Callable[..., Writer]) -> None:
    with ModelServer() as server:
        found = writer_for(server).models()
    assert [(model.name, model.shutdown) for model in found] == [("gpt-4o", ""), ("gpt-4o-mini", "2027-01-14")]


def test_the_library_cannot_log_prompts(writer_for: Callable[..., Writer], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with ModelServer() as server:
        write(writer_for(server))
    assert "When?" not in caplog.text and KEY not in caplog.text


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
