"""The limits of a model's account: shared by threads and processes, obeyed when a server says no."""

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from servers import model_load
from servers.model_api import ModelServer, Reply

from mailassist.daemon.model_use import InMemory, InStore, ModelBusy, ModelUse, State
from mailassist.model import errors
from mailassist.model.client import Endpoint
from mailassist.model.pool import WriterPool
from mailassist.model.registry import Usage, find
from mailassist.store.database import Store
from mailassist.team_settings import Limits

MINI = find("gpt-4o-mini")
START = 1_800_000_000.0


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = START

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def never() -> bool:
    return False


@pytest.fixture
def state(open_store: Callable[[], Store]) -> State:
    return InStore(open_store(), "api.example gpt")


def model_use(state: State, time: Time, **limits: int) -> ModelUse:
    return ModelUse("gpt", Limits(**limits), state, clock=lambda: time.now, sleep=time.sleep, jitter=lambda: 0.0)  # type: ignore[arg-type]


def fail(use: ModelUse, error: errors.ModelCallFailed) -> None:
    with pytest.raises(type(error)), use.call(100, never):
        raise error


def calls_within(use: ModelUse, time: Time, seconds: float, tokens: int, used: int) -> int:
    """How many calls get through; whoever is told to come back later does."""
    made = 0
    while True:
        try:
            with use.call(tokens, never) as slot:
                if time.now > START + seconds:
                    return made
                slot.used(Usage(used, 0, 0))
                made += 1
        except ModelBusy as busy:
            assert busy.until > time.now
            time.now = busy.until


def test_requests_a_minute_hold_for_all_processes_together(state: State) -> None:
    time = Time()
    uses = [model_use(state, time, requests_per_minute=60) for _ in range(2)]
    made = sum(calls_within(use, time, 120.0 * number, 10, 10) for number, use in enumerate(uses, 1))
    assert 230 <= made <= 252  # four minutes' worth, and what may be used at once


def test_tokens_a_minute_count_what_was_used_not_what_was_feared(state: State) -> None:
    time = Time()
    made = calls_within(model_use(state, time, tokens_per_minute=6000), time, 600.0, tokens=900, used=300)
    assert 195 <= made <= 210  # 60,000 tokens, 300 each


def test_a_call_larger_than_what_may_be_used_at_once_is_made_all_the_same(state: State) -> None:
    time = Time()
    made = calls_within(model_use(state, time, tokens_per_minute=600), time, 600.0, tokens=500, used=500)
    assert 11 <= made <= 13


def test_no_change_is_lost_where_many_make_one_at_the_same_time(open_store: Callable[[], Store]) -> None:
    states = [InStore(store, "api.example gpt") for store in (open_store(), open_store())]

    def change(number: int) -> None:
        states[number % 2].change(lambda use: replace(use, failures=use.failures + 1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(100)))
    assert states[0].change(lambda use: use).failures == 100


def test_when_the_server_asks_one_to_wait_all_wait(state: State) -> None:
    time = Time()
    one, other = model_use(state, time), model_use(state, time)
    fail(one, errors.RateLimited("busy", wait=90.0))
    with pytest.raises(ModelBusy) as busy, other.call(100, never):
        raise AssertionError("a call was made")
    assert busy.value.until == START + 90.0
    time.now += 87.0
    with other.call(100, never) as slot:  # a few seconds are waited for in the thread
        assert time.now >= START + 90.0
        slot.used(None)


def test_a_model_that_fails_is_left_alone_longer_each_time_and_tried_by_one_call(state: State) -> None:
    time = Time()
    use, other = (model_use(state, time, failures_until_pause=3) for _ in range(2))
    pauses = []
    for failures in (3, 1, 1):
        for _ in range(failures):
            fail(use, errors.ServerFailed("down"))
        with pytest.raises(ModelBusy) as busy, other.call(100, never):
            raise AssertionError("a call was made")
        assert use.standing().paused
        pauses.append(busy.value.until - time.now)
        time.now = busy.value.until
    assert pauses == sorted(set(pauses)) and pauses[0] >= 5.0
    with other.call(100, never) as slot:
        with pytest.raises(ModelBusy), use.call(100, never):
            raise AssertionError("two calls tried")
        slot.used(None)
    with use.call(100, never) as slot:
        slot.used(None)
    assert not use.standing().paused


def test_calls_under_way_when_the_pause_begins_do_not_make_it_longer() -> None:
    time = Time()
    use = model_use(InMemory(), time, failures_until_pause=2, calls_at_once=50)
    calls = [use.call(100, never) for _ in range(40)]
    slots = [call.__enter__() for call in calls]
    for slot, call in zip(slots, calls, strict=True):
        slot.failed(errors.ServerFailed("down"))
        call.__exit__(None, None, None)
    assert use.standing().not_before - time.now < 30.0


@pytest.mark.parametrize("error", [errors.ContentRefused(), errors.PromptTooLong(), errors.OutputCutOff()])
def test_what_one_prompt_brings_about_does_not_count_against_the_model(error: errors.ModelCallFailed) -> None:
    use = model_use(InMemory(), Time(), failures_until_pause=2)
    for _ in range(5):
        fail(use, error)
    assert not use.standing().paused


def test_where_only_a_person_can_help_one_failure_is_enough() -> None:
    use = model_use(InMemory(), Time(), failures_until_pause=20)
    fail(use, errors.NoCredit("empty"))
    assert use.standing().paused


def test_who_waits_can_be_stopped_and_takes_nothing() -> None:
    time = Time()
    use = model_use(InMemory(), time, requests_per_minute=12)
    for _ in range(2):
        with use.call(1, never) as slot:
            slot.used(None)
    with pytest.raises(errors.Stopped), use.call(1, lambda: time.now > START + 1.0):
        raise AssertionError("a call was made")
    with use.call(1, never) as slot:
        slot.used(None)
    assert time.now <= START + 5.5


def test_a_call_that_was_never_made_costs_nothing() -> None:
    use = model_use(InMemory(), Time(), requests_per_minute=1)
    for _ in range(20):
        with pytest.raises(ValueError), use.call(1, never):
            raise ValueError


def test_mail_waits_while_the_api_is_down_and_goes_on_when_it_is_back() -> None:
    time = Time()
    use = model_use(InMemory(), time, failures_until_pause=3)
    with ModelServer([Reply(status=500)]) as server:
        pool = WriterPool(Endpoint(server.base_url, retries=0), MINI)
        waiting = list(range(10))
        for looked in range(200):
            if looked == 40:
                server.answers = [Reply("Dear Ann")]
            try:
                with use.call(100, never) as slot, pool.writer() as writer:
                    slot.used(writer.write("Draft.", "Hello", max_output=10).usage)
                    waiting.pop()
            except (ModelBusy, errors.ServerFailed):
                time.now += 5.0
            if not waiting:
                break
        pool.close()
        assert not waiting
        assert len(server.requests) - 10 <= 8  # 200 s of failure cost three calls and a few trials


def test_no_more_calls_at_once_than_allowed_and_no_fewer() -> None:
    with model_load.running("--latency", "0.1", "--at-once", "4") as url:
        pool, use = WriterPool(Endpoint(url, retries=0), MINI), ModelUse("gpt", Limits(calls_at_once=4), patience=60.0)

        def call(_: int) -> str:
            with use.call(100, never) as slot, pool.writer() as writer:
                answer = writer.write("Draft.", "Hello", max_output=10)
                slot.used(answer.usage)
                return answer.text

        with ThreadPoolExecutor(12) as threads:
            texts = list(threads.map(call, range(40)))
        pool.close()
        with urllib.request.urlopen(url.replace("/v1", "/stats")) as answer:
            stats = json.load(answer)
    assert texts == [model_load.TEXT] * 40
    assert stats["most"] == 4 and stats["refused"] == 0
