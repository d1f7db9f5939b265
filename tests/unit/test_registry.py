"""What is known of models: figures, successors, prices, servers."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.errors import ConfigError
from mailassist.model.registry import (
    Usage,
    cost,
    find,
    image_tokens,
    in_force,
    is_loopback,
    models,
    server_kind,
    with_prices,
)

LAST_DAY = date(2027, 1, 14)


def test_the_default_model_has_its_published_figures() -> None:
    mini = find("gpt-4o-mini")
    assert (mini.window, mini.max_output, mini.default_budget) == (128_000, 16_384, 16_000)
    assert (mini.input_price, mini.cached_price, mini.output_price) == (0.15, 0.075, 0.60)
    assert (mini.shutdown, mini.successor) == (LAST_DAY, "gpt-6-luna")


def test_its_successor_has_its_published_figures() -> None:
    luna = find("gpt-6-luna")
    assert (luna.window, luna.max_output, luna.default_budget) == (1_050_000, 128_000, 16_000)
    assert (luna.input_price, luna.cached_price, luna.output_price) == (0.10, 0.01, 0.50)
    assert (luna.api, luna.reasoning_effort) == ("responses", "none")
    assert "fine-tuning" not in luna.capabilities


@pytest.mark.parametrize("days_before", [400, 31])
def test_long_before_the_end_nothing_is_said(days_before: int) -> None:
    assert in_force("gpt-4o-mini", LAST_DAY - timedelta(days=days_before)) == (find("gpt-4o-mini"), "")


@pytest.mark.parametrize("days_before", [30, 1])
def test_from_thirty_days_before_the_end_the_user_is_told(days_before: int) -> None:
    info, notice = in_force("gpt-4o-mini", LAST_DAY - timedelta(days=days_before))
    assert info.name == "gpt-4o-mini"
    assert "2027-01-14" in notice and "gpt-6-luna" in notice


@pytest.mark.parametrize("days_after", [0, 1, 3000])
def test_from_its_last_day_on_the_successor_writes_and_it_is_said(days_after: int) -> None:
    info, notice = in_force("gpt-4o-mini", LAST_DAY + timedelta(days=days_after))
    assert info.name == "gpt-6-luna"
    assert "gpt-4o-mini" in notice and "gpt-6-luna" in notice


def test_a_pinned_version_shares_prices_and_end_of_its_model() -> None:
    pinned = find("gpt-4o-mini-2024-07-18")
    assert (pinned.name, pinned.output_price, pinned.known) == ("gpt-4o-mini-2024-07-18", 0.60, True)
    assert in_force(pinned, LAST_DAY)[0].name == "gpt-6-luna"
    assert not find("gpt-4o-minimal").known


def test_an_unknown_model_takes_its_prices_from_the_configuration() -> None:
    info = find("some-model", base_url="https://models.example/v1")
    assert (info.known, info.priced, info.tokenizer, info.default_budget) == (False, False, "estimate", 16_000)
    priced = with_prices(info, input_price=1.0, cached_price=None, output_price=4.0)
    assert cost(priced, Usage(1_000_000, 500_000, 250_000)) == pytest.approx(2.0)


def test_an_unknown_model_on_this_machine_costs_nothing_and_gets_a_small_budget() -> None:
    for info in (find("llama3.2", base_url="http://localhost:11434/v1"), find("/models/x.gguf")):
        assert (info.local, info.default_budget, cost(info, Usage(1000, 0, 1000))) == (True, 1_000, 0.0)


def test_cached_tokens_cost_their_own_price() -> None:
    assert cost(find("gpt-4o-mini"), Usage(2_000_000, 1_000_000, 1_000_000)) == pytest.approx(0.15 + 0.075 + 0.60)


def test_what_is_written_to_the_cache_costs_its_own_price() -> None:
    luna, usage = find("gpt-6-luna"), Usage(3_000_000, 1_000_000, 0, written=1_000_000)
    assert cost(luna, usage) == pytest.approx(0.10 + 0.01 + 0.125)
    assert cost(find("gpt-4o-mini"), usage) == pytest.approx(2 * 0.15 + 0.075)


@given(st.integers(0, 10**7), st.integers(-5, 10**8), st.integers(0, 10**6))
def test_no_count_of_a_server_makes_a_cost_negative_or_larger_than_uncached(sent: int, cached: int, out: int) -> None:
    for info in models():
        assert 0 <= cost(info, Usage(sent, cached, out)) <= cost(info, Usage(sent, 0, out))


@pytest.mark.parametrize(
    ("width", "height", "high_detail", "tokens"),
    [
        (1024, 1024, False, 2_833),
        (512, 512, True, 2_833 + 5_667),
        (1024, 1024, True, 2_833 + 4 * 5_667),  # 768 x 768
        (2048, 4096, True, 2_833 + 6 * 5_667),  # 1024 x 2048, then 768 x 1536
        (100, 10_000, True, 2_833 + 4 * 5_667),
        (0, 10, True, 0),
    ],
)
def test_pictures_are_counted_in_tiles(width: int, height: int, high_detail: bool, tokens: int) -> None:
    assert image_tokens(find("gpt-4o-mini"), width, height, high_detail=high_detail) == tokens
    assert image_tokens(find("local"), width, height, high_detail=high_detail) == 0


@pytest.mark.parametrize(
    ("base_url", "name", "api", "needs_key"),
    [
        ("", "OpenAI", "responses", True),
        ("https://eu.api.openai.com/v1", "OpenAI", "responses", True),
        ("https://mine.openai.azure.com/openai/v1", "Azure", "responses", True),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "Gemini", "chat", True),
        ("https://api.anthropic.com/v1/", "Claude", "chat", True),
        ("http://localhost:11434/v1", "Ollama", "chat", False),
        ("http://127.0.0.1:1234/v1", "LM Studio", "chat", False),
        ("http://127.0.0.1:8000/v1", "vLLM", "chat", False),
        ("http://127.0.0.1:8080/v1", "llama.cpp", "chat", False),
        ("https://api.openai.com.evil.example/v1", "", "responses", False),
    ],
)
def test_servers_are_known_by_their_address(base_url: str, name: str, api: str, needs_key: bool) -> None:
    kind = server_kind(base_url)
    assert (kind.name, kind.api, kind.needs_key) == (name, api, needs_key)


def test_only_loopback_addresses_are_this_machine() -> None:
    assert all(is_loopback(url) for url in ("http://localhost:1/", "http://127.0.0.9/v1", "http://[::1]:8080/v1"))
    assert not any(is_loopback(url) for url in ("", "http://localhost.example/", "http://192.168.1.5:11434"))


@pytest.mark.parametrize("base_url", ["http://[", "localhost:11434/v1", "ftp://models.example/", "http://h:port/"])
def test_a_base_url_that_is_no_address_is_refused_with_the_cure(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.base_url") as caught:
        server_kind(base_url)
    assert caught.value.cure
