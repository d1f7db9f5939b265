"""Answers in one piece, by a JSON schema, and at the Flex tier: what the daemon asks a model for."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from servers.model_api import ModelServer, Reply, Request

from mailassist.drafting.budget import Payer, paid_write
from mailassist.model import errors
from mailassist.model.client import Answer, Endpoint
from mailassist.model.pool import WriterPool
from mailassist.model.registry import Usage, find
from mailassist.store.database import Store
from mailassist.store.ledger import entries

LUNA = find("gpt-6-luna")
TEXT = "Dear Ann,\n\nTuesday suits us.\n\nKind regards"
SCHEMA = {
    "type": "object",
    "properties": {"needs_reply": {"type": "boolean"}},
    "required": ["needs_reply"],
    "additionalProperties": False,
}
JSON = '{"needs_reply": true}'


@pytest.fixture(params=["responses", "chat"])
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pool_for() -> Iterator[Callable[..., WriterPool]]:
    made: list[WriterPool] = []

    def make(server: ModelServer, api: str = "auto", *, model: str = "gpt-6-luna", **values: Any) -> WriterPool:
        made.append(WriterPool(Endpoint(server.base_url, api=api, retries=0), find(model), **values))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def write(pool: WriterPool, **values: Any) -> Answer:
    with pool.writer() as writer:
        return writer.write("You draft replies.", "<mail>When?</mail>", max_output=500, **values)


def test_an_answer_comes_in_one_piece_over_one_connection(api: str, pool_for: Callable[..., WriterPool]) -> None:
    pieces: list[str] = []
    with ModelServer([Reply(TEXT, usage=(1200, 1024, 40), cache_written=100)]) as server:
        pool = pool_for(server, api)
        for _ in range(3):
            answer = write(pool, on_text=pieces.append)
            assert answer == Answer(TEXT, Usage(1200, 1024, 40, 100), "gpt-6-luna", complete=True)
    assert pieces == [TEXT] * 3
    assert all("stream" not in request.body and request.body["store"] is False for request in server.requests)
    assert len(server.clients) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(TEXT, how="unfinished"), ""),
        (Reply(TEXT, how="cut"), ""),
        (Reply(TEXT, how="refused"), "ContentRefused"),
        (Reply(TEXT, how="filtered"), "ContentRefused"),
        (Reply("", how="failed"), "ServerFailed"),
        (Reply(TEXT, how="error"), "ServerFailed"),
        (Reply(TEXT, how="dropped"), "ConnectionBroke"),
        (Reply(TEXT, how="garbage"), "BrokenAnswer"),
        (Reply(TEXT, how="nonsense", message='{"output": 7, "choices": "none"}'), "BrokenAnswer"),
        (Reply(TEXT, how="nonsense", message="[]"), "BrokenAnswer"),
        (Reply(TEXT, how="page"), "BrokenAnswer"),
        (Reply(""), "BrokenAnswer"),
    ],
)  # fmt: skip
def test_only_an_answer_that_says_so_is_whole(
    reply: Reply, error: str, api: str, pool_for: Callable[..., WriterPool]
) -> None:
    with ModelServer([reply]) as server:
        pool = pool_for(server, api)
        if not error:
            assert not write(pool).complete
            return
        with pytest.raises(errors.ModelCallFailed) as raised:
            write(pool)
    assert type(raised.value).__name__ == error


def test_a_silent_server_is_left_at_once_when_nobody_waits_any_more(pool_for: Callable[..., WriterPool]) -> None:
    stop = threading.Event()
    with ModelServer([Reply(TEXT, before=60.0)]) as server:
        threading.Timer(0.3, stop.set).start()
        answer = write(pool_for(server), stopped=stop.is_set)
        assert server.hung_up.wait(10.0)
    assert (answer.text, answer.complete, answer.reason) == ("", False, "stopped")


def test_hanging_up_ends_one_call_and_no_other(pool_for: Callable[..., WriterPool]) -> None:
    stop, answers = threading.Event(), []
    with ModelServer([Reply(TEXT, before=1.5)]) as server:
        pool = pool_for(server)
        threads = [
            threading.Thread(target=lambda stopped=stopped: answers.append(write(pool, stopped=stopped)))
            for stopped in (stop.is_set, lambda: False)
        ]
        for thread in threads:
            thread.start()
        threading.Timer(0.3, stop.set).start()
        for thread in threads:
            thread.join()
    assert [answer.text for answer in answers] == ["", TEXT]


def test_what_one_writer_learns_of_the_server_the_others_know(pool_for: Callable[..., WriterPool]) -> None:
    with ModelServer([Reply(TEXT)], lacks=["responses"], gone=["gpt-4o-mini"]) as server:
        pool = pool_for(server, model="gpt-4o-mini")
        with pool.writer() as first, pool.writer() as second:
            for writer in (first, second):
                assert writer.write("Draft.", "Hello", max_output=50).model == "gpt-6-luna"
        asked = [(request.path.rpartition("/")[2], request.body["model"]) for request in server.requests]
    assert pool.info.name == "gpt-6-luna"
    assert asked.count(("completions", "gpt-6-luna")) == 2 and len(asked) <= 5
    assert asked[-1] == ("completions", "gpt-6-luna") != asked[-3]


def test_two_calls_that_find_the_same_out_at_once_say_it_once(pool_for: Callable[..., WriterPool]) -> None:
    def reply(request: Request) -> Reply:
        refused = "service_tier" in request.body
        return Reply(status=400, message="Unknown parameter: 'service_tier'.", before=0.5) if refused else Reply(TEXT)

    with ModelServer([reply]) as server, ThreadPoolExecutor(2) as threads:
        pool = pool_for(server, flex=True)
        answers = list(threads.map(lambda _: write(pool), range(2)))
    assert [answer.text for answer in answers] == [TEXT] * 2 and len(server.requests) == 4
    assert sum("service_tier" in notice for answer in answers for notice in answer.notices) == 1


def test_an_answer_by_a_schema(api: str, pool_for: Callable[..., WriterPool]) -> None:
    with ModelServer([Reply(JSON)]) as server, pool_for(server, api).writer() as writer:
        assert writer.ask("Triage.", "Hello", SCHEMA, max_output=50).text == JSON
    body = server.requests[0].body
    wanted = {"name": "answer", "strict": True, "schema": SCHEMA}
    if api == "responses":
        assert body["text"] == {"format": {"type": "json_schema", **wanted}}
    else:
        assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}


@pytest.mark.parametrize(
    "said",
    [
        "Unknown parameter: 'text'.",
        "Unsupported parameter: 'text.format' is not supported with this model.",
        "[{'type': 'extra_forbidden', 'loc': ('body', 'text'), 'msg': 'Extra inputs are not permitted'}]",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ],
)
def test_a_server_without_schemas_is_asked_in_words(said: str, pool_for: Callable[..., WriterPool]) -> None:
    replies = [Reply(status=400, message=said), Reply(f"```json\n{JSON}\n```")]
    with ModelServer(replies) as server, pool_for(server).writer() as writer:
        answers = [writer.ask("Triage.", "Hello", SCHEMA, max_output=50) for _ in range(2)]
    assert [answer.text for answer in answers] == [JSON] * 2 and not any(answer.notices[1:] for answer in answers)
    asked = server.requests[1].body
    assert '"needs_reply"' in asked["instructions"] and "text" not in asked
    assert len(server.requests) == 3  # it is remembered


def test_words_about_text_are_no_refused_schema_where_none_was_sent(pool_for: Callable[..., WriterPool]) -> None:
    with (
        ModelServer([Reply(status=400, message="Unsupported value: 'text'.")]) as server,
        pytest.raises(errors.RequestRefused),
    ):
        write(pool_for(server))
    assert len(server.requests) == 1


def pay(pool: WriterPool, store: Store, **values: Any) -> float:
    with pool.writer() as writer:
        return paid_write(
            writer, store, Payer("support", "support@example.org", 1.0), instructions="Draft.", input="Hello",
            input_tokens=2_000, messages=1, max_output=500, cache_key="k", count=len, on_text=lambda text: None,
            stopped=lambda: False, now=lambda: 1_800_000_000.0, **values,
        ).cost  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "team.sqlite")
    yield opened
    opened.close()


def test_triage_is_paid_for_like_a_draft(store: Store, pool_for: Callable[..., WriterPool]) -> None:
    with ModelServer([Reply(JSON, usage=(1000, 0, 50))]) as server:
        cost = pay(pool_for(server), store, schema=SCHEMA)
    assert cost == pytest.approx((1000 * 0.10 + 50 * 0.50) / 1e6)
    assert [(entry.state, entry.cost) for entry in entries(store)] == [("done", pytest.approx(cost))]


def flex(request: Request) -> Reply:
    return Reply(TEXT, usage=(1000, 0, 50), tier=request.body.get("service_tier", ""))


def test_flex_costs_what_the_answer_says_it_does(api: str, store: Store, pool_for: Callable[..., WriterPool]) -> None:
    full = (1000 * 0.10 + 50 * 0.50) / 1e6
    with ModelServer([flex]) as server:
        assert pay(pool_for(server, api, flex=True), store) == pytest.approx(full / 2)
        assert pay(pool_for(server, api), store) == pytest.approx(full)
    with ModelServer([Reply(TEXT, usage=(1000, 0, 50))]) as server:  # the server takes the field and does not heed it
        assert pay(pool_for(server, api, flex=True), store) == pytest.approx(full)


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(status=429, code="resource_unavailable", message="Resource unavailable"),
        Reply(status=400, message="Invalid service_tier argument, unsupported"),
    ],
)
def test_without_room_in_the_flex_tier_the_usual_one_is_asked(
    refusal: Reply, store: Store, pool_for: Callable[..., WriterPool]
) -> None:
    with ModelServer([refusal, flex]) as server:
        assert pay(pool_for(server, flex=True), store) == pytest.approx((1000 * 0.10 + 50 * 0.50) / 1e6)
    assert [request.body.get("service_tier") for request in server.requests] == ["flex", None]
    assert [entry.state for entry in entries(store)] == ["failed", "done"]
