"""Calls that are paid for: ledger, budget, and what the commands show of them."""

import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from servers.model_api import ModelServer, Reply, Request, Script

from mailassist.cli import group
from mailassist.drafting.budget import Paid, Payer, paid_write, upper_bound
from mailassist.errors import BudgetReached
from mailassist.model import errors
from mailassist.model.client import Endpoint, Writer
from mailassist.model.registry import ModelInfo, Usage, find
from mailassist.store.database import Store
from mailassist.store.ledger import Entry, entries

MINI = find("gpt-4o-mini")
PRIVATE = "the merger with Umbrella"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data" / "mailassist.sqlite")
    yield opened
    opened.close()


def pay(
    store: Store,
    writer: Writer,
    *,
    budget: float | None = 1.0,
    input: str = PRIVATE,
    stopped: Callable[[], bool] = lambda: False,
) -> Paid:
    return paid_write(
        writer, store, Payer("work", "ann@example.org", budget), instructions="You draft.", input=input,
        input_tokens=1000, messages=4, max_output=500, cache_key="k", count=len, on_text=lambda text: None,
        stopped=stopped, now=lambda: 1_800_000_000.0,
    )  # fmt: skip


def impatient(server: ModelServer, info: ModelInfo = MINI) -> Writer:
    """A writer that does not wait between two tries."""
    return Writer(Endpoint(server.base_url), info, sleep=lambda seconds: None, clock=itertools.count().__next__)


def called(store: Store, answer: Reply, **values: object) -> Entry:
    """One call that gets `answer`, as the ledger has it."""
    with ModelServer([answer]) as server:
        writer = Writer(Endpoint(server.base_url, retries=0), MINI)
        try:
            pay(store, writer, **values)  # type: ignore[arg-type]
        except errors.ModelCallFailed:
            pass
        finally:
            writer.close()
    return entries(store)[-1]


def test_what_the_server_counts_is_what_is_booked(store: Store) -> None:
    entry = called(store, Reply("Yes.", usage=(900, 512, 20)))
    assert (entry.state, entry.input_tokens, entry.cached_tokens, entry.output_tokens) == ("done", 900, 512, 20)
    assert entry.cost == pytest.approx((388 * 0.15 + 512 * 0.075 + 20 * 0.60) / 1e6)
    assert (entry.estimated, entry.messages, entry.mailbox) == (False, 4, "ann@example.org")


def test_an_answer_without_usage_is_counted_here(store: Store) -> None:
    entry = called(store, Reply("Yes.", usage=None))
    assert (entry.state, entry.estimated, entry.input_tokens, entry.output_tokens) == ("done", True, 1000, 4)
    assert entry.cost == pytest.approx((1000 * 0.15 + 4 * 0.60) / 1e6)


def test_a_stopped_or_broken_answer_is_paid_for_as_far_as_it_came(store: Store) -> None:
    entry = called(store, Reply("Yes, but", "dropped"))
    assert (entry.state, entry.output_tokens, entry.estimated) == ("done", 8, True)
    assert entry.cost > 0 and entry.error


def test_a_refusal_is_booked_with_what_the_server_counted(store: Store) -> None:
    entry = called(store, Reply("No.", "refused", usage=(900, 0, 5)))
    assert (entry.state, entry.input_tokens, entry.output_tokens, entry.error) == ("failed", 900, 5, "ContentRefused")


def test_a_call_that_the_server_rejects_costs_nothing_but_has_left(store: Store) -> None:
    entry = called(store, Reply(status=401))
    assert (entry.state, entry.cost, entry.input_tokens, entry.sent) == ("failed", 0.0, 1000, True)


def test_a_call_that_never_left_is_booked_as_such(store: Store) -> None:
    with pytest.raises(errors.Unreachable):
        pay(store, Writer(Endpoint("http://127.0.0.1:9/v1"), MINI))
    (entry,) = entries(store)
    assert (entry.state, entry.sent, entry.input_tokens, entry.cost) == ("failed", False, 0, 0.0)


def test_the_successors_prices_are_booked_when_it_wrote(store: Store) -> None:
    with ModelServer([Reply("Yes.", usage=(1000, 0, 100))], gone=["gpt-4o-mini"]) as server:
        paid = pay(store, Writer(Endpoint(server.base_url), MINI))
    refused, written = entries(store)
    assert (refused.model, refused.error, refused.cost, refused.sent) == ("gpt-4o-mini", "ModelMissing", 0.0, True)
    assert written.model == paid.answer.model == "gpt-6-luna"
    assert written.cost == paid.cost == pytest.approx((1000 * 0.10 + 100 * 0.50) / 1e6)


def test_a_try_that_the_server_rejects_is_a_call_that_costs_nothing(store: Store) -> None:
    with ModelServer([Reply(status=429), Reply("Yes.", usage=(900, 0, 20))]) as server:
        paid = pay(store, impatient(server))
    rejected, written = entries(store)
    assert (rejected.state, rejected.error, rejected.cost, rejected.sent) == ("failed", "RateLimited", 0.0, True)
    assert (written.state, written.estimated, written.input_tokens) == ("done", False, 900)
    assert (paid.usage, paid.cost, paid.estimated) == (Usage(900, 0, 20), written.cost, False)


def _hang_up(request: Request) -> Reply:
    raise ConnectionAbortedError


@pytest.mark.parametrize("broken", [Reply("", "dropped"), Reply("", "failed", usage=None), _hang_up])
def test_a_try_that_the_server_took_is_paid_for_although_it_gave_nothing(store: Store, broken: Script) -> None:
    with ModelServer([broken, Reply("Yes.", usage=(900, 0, 20))]) as server:
        paid = pay(store, impatient(server))
    lost, written = entries(store)
    assert (lost.state, lost.estimated, lost.input_tokens, lost.output_tokens) == ("failed", True, 1000, 0)
    assert lost.cost == pytest.approx(1000 * 0.15 / 1e6)
    assert (written.state, written.estimated) == ("done", False)
    assert paid.cost == pytest.approx(lost.cost + written.cost)
    assert (paid.usage, paid.estimated) == (Usage(1900, 0, 20), True)


def test_a_silent_server_is_paid_for_as_an_estimate(store: Store) -> None:
    with ModelServer([Reply(before=30)]) as server, pytest.raises(errors.NoAnswerInTime):
        pay(store, Writer(Endpoint(server.base_url, timeout=0.3), MINI))
    (entry,) = entries(store)
    assert (entry.state, entry.estimated, entry.cost) == ("failed", True, pytest.approx(1000 * 0.15 / 1e6))


def test_a_request_that_did_not_leave_whole_costs_nothing(store: Store) -> None:
    def read_a_little() -> None:
        with listening.accept()[0] as connection:
            connection.recv(1024)  # with the rest unread, closing resets the connection

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=read_a_little, daemon=True).start()
        writer = Writer(Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", retries=0), MINI)
        with pytest.raises(errors.ConnectionBroke):
            pay(store, writer, input=PRIVATE * 1_000_000)
    (entry,) = entries(store)
    assert (entry.cost, entry.sent, entry.state) == (0.0, True, "failed")


def test_stopping_before_anything_was_sent_costs_nothing(store: Store) -> None:
    with ModelServer() as server:
        paid = pay(store, Writer(Endpoint(server.base_url), MINI), stopped=lambda: True)
    (entry,) = entries(store)
    assert (paid.answer.reason, paid.cost, paid.usage) == ("stopped", 0.0, Usage(0, 0, 0))
    assert (entry.cost, entry.sent, entry.error) == (0.0, False, "Stopped")


def test_stopping_while_the_server_thinks_is_paid_for(store: Store) -> None:
    with ModelServer([Reply(before=60)]) as server:
        paid = pay(store, Writer(Endpoint(server.base_url), MINI), stopped=lambda: bool(server.requests))
    (entry,) = entries(store)
    assert paid.answer.reason == "stopped" and entry.estimated
    assert paid.cost == entry.cost == pytest.approx(1000 * 0.15 / 1e6)


def test_stopping_between_two_tries_costs_nothing(store: Store) -> None:
    waiting = threading.Event()
    with ModelServer([Reply(status=503)]) as server:
        writer = Writer(Endpoint(server.base_url), MINI, sleep=lambda seconds: waiting.set())
        paid = pay(store, writer, stopped=waiting.is_set)
    assert (paid.answer.reason, paid.cost, [entry.cost for entry in entries(store)]) == ("stopped", 0.0, [0.0])


def test_a_budget_for_one_try_stops_the_next_one_and_says_how_the_first_failed(store: Store) -> None:
    bound = upper_bound(MINI, 1000, 500)
    with ModelServer([Reply("", "dropped"), Reply("Yes.")]) as server:
        with pytest.raises(BudgetReached, match=r"broke; it was not tried again.*budget of \$") as caught:
            pay(store, impatient(server), budget=bound)
        assert len(server.requests) == len(entries(store)) == 1
    assert "model.daily_budget" in caught.value.cure


def test_the_successor_is_reserved_with_its_own_price(store: Store) -> None:
    followed = replace(MINI, successor="gpt-4o")
    with ModelServer(gone=[MINI.name]) as server:
        with pytest.raises(BudgetReached, match=r"does not offer the model gpt-4o-mini.*budget of \$"):
            pay(store, impatient(server, followed), budget=upper_bound(MINI, 1000, 500))
        assert [request.body["model"] for request in server.requests] == [MINI.name]


def test_a_spent_budget_stops_the_call_before_it_is_made(store: Store) -> None:
    bound = upper_bound(MINI, 1000, 500)
    assert bound == pytest.approx((1000 * 0.15 + 500 * 0.60) / 1e6)
    with ModelServer() as server:
        writer = Writer(Endpoint(server.base_url), MINI)
        with pytest.raises(BudgetReached):
            pay(store, writer, budget=bound * 0.99)
        assert not server.requests and not entries(store)
        assert pay(store, writer, budget=bound).usage == Usage(1000, 0, 50)


def test_an_unknown_price_is_said_where_a_budget_was_set(store: Store) -> None:
    with ModelServer() as server:
        writer = Writer(Endpoint(server.base_url), find("some-model", base_url="https://models.example/v1"))
        assert "model.input_price" in pay(store, writer).answer.notices[0]
        assert not pay(store, writer, budget=None).answer.notices


def test_a_store_that_fails_after_the_call_does_not_lose_the_answer(store: Store, tmp_path: Path) -> None:
    def break_store(request: object) -> Reply:
        with store.write() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        return Reply("Yes.")

    with ModelServer([break_store]) as server:
        paid = pay(store, Writer(Endpoint(server.base_url), MINI))
    assert paid.answer.text == "Yes." and "could not be recorded" in paid.answer.notices[0]
    assert [entry.state for entry in entries(store)] == ["reserved"]


_SPENDER = """
import sys
from pathlib import Path
from mailassist.errors import BudgetReached
from mailassist.store.database import Store
from mailassist.store.ledger import Call, Spent, reserve
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
taken = 0
for _ in range(30):
    try:
        reserve(store, Call("a", "m", "x", "h", 1), Spent("x", 1, 0, 1, 0.1), now=100.0, daily_budget=2.0, day=0.0)
        taken += 1
    except BudgetReached:
        pass
print(taken)
"""


def test_two_processes_never_spend_more_than_the_budget_together(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "data" / "mailassist.sqlite")
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([sys.executable, "-c", _SPENDER, path], stdin=pipe, stdout=pipe, text=True) for _ in range(2)
    ]
    for process in both:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=60)[0]) for process in both) in (19, 20)  # 20 * 0.1 may be over 2.0
    assert sum(entry.cost for entry in entries(store)) <= 2.0


def test_neither_the_ledger_nor_its_commands_hold_any_text(store: Store, tmp_path: Path) -> None:
    called(store, Reply("Umbrella agrees."))
    store.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"Umbrella" not in stored and b"ann@example.org" in stored


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Callable[..., Result]:
    """A command of a person whose mail lies in a Maildir, with the store of this test."""
    (tmp_path / "mail").mkdir()
    config = tmp_path / "config.toml"
    config.write_text(
        f"data_folder = {json.dumps(str(tmp_path / 'data'))}\n"
        f'[accounts.work]\naddress = "ann@example.org"\nmaildir = {json.dumps(str(tmp_path / "mail"))}\n'
    )
    return lambda *words: CliRunner().invoke(group, [*words, "--config", str(config)], catch_exceptions=False)


@pytest.fixture
def todays_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_100.0)
    called(store, Reply("Yes.", usage=(1000, 400, 100)))
    called(store, Reply(status=500))
    hosted = Writer(Endpoint("https://models.invalid/v1", timeout=1), MINI)
    with pytest.raises(errors.Unreachable):
        pay(store, hosted)


@pytest.mark.usefixtures("todays_calls")
def test_cost_shows_each_day_account_and_model(run: Callable[..., Result]) -> None:
    shown = run("cost")
    assert shown.exit_code == 0
    for word in ("work", "gpt-4o-mini", "$0.0002", "40%", "of $1.00"):
        assert word in shown.output
    told = json.loads(run("cost", "--json", "--days", "1").output)
    (row,) = told["rows"]
    assert (row["account"], row["model"], row["calls"], row["cached_tokens"]) == ("work", "gpt-4o-mini", 3, 400)
    assert told["cache_hit_rate"] == pytest.approx(0.4)
    assert told["today"]["cost"] == told["total"]["cost"] == pytest.approx((600 * 0.15 + 400 * 0.075 + 60) / 1e6)


def test_cost_without_any_call_says_so(run: Callable[..., Result]) -> None:
    assert "$0.0000; calls: 0" in run("cost").output


@pytest.mark.usefixtures("todays_calls")
def test_privacy_shows_what_left_and_what_is_kept(run: Callable[..., Result], store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE ledger SET host = 'api.openai.com' WHERE state = 'done'")
    told = json.loads(run("privacy", "--json").output)
    (line,) = told["left"]
    assert (line["mailbox"], line["host"], line["messages"], line["tokens"]) == (
        "ann@example.org", "api.openai.com", 4, 1000,
    )  # fmt: skip
    assert told["stayed_calls"] == 2  # one to a server on this machine, one that never left
    assert told["servers"] == {"work": [str(tmp_path / "mail")]}
    shown = run("privacy").output
    assert "api.openai.com" in shown and "365 days" in shown and str(tmp_path / "data") in shown
    (call,) = told["calls"]
    assert (call["messages"], call["tokens"], call["host"]) == (4, 1000, "api.openai.com")
    assert call["at"][:10] in run("privacy", "--each").output


def test_privacy_says_that_nothing_left(run: Callable[..., Result]) -> None:
    assert "No text of mail left this machine" in run("privacy").output


def test_models_shows_figures_and_ends(run: Callable[..., Result]) -> None:
    shown = run("models").output
    for word in ("gpt-4o-mini", "128,000", "0.150", "2027-01-14", "gpt-6-luna", "1,050,000", "local"):
        assert word in shown
    told = {model["name"]: model for model in json.loads(run("models", "--json").output)}
    assert told["gpt-4o-mini"]["shutdown_date"] == "2027-01-14"
    assert told["gpt-6-luna"]["cached_price"] == 0.01


def test_models_asks_the_server_and_shows_last_days(run: Callable[..., Result], tmp_path: Path) -> None:
    with ModelServer() as server, (tmp_path / "config.toml").open("a") as config:
        config.write(f'[model]\nbase_url = "{server.base_url}"\nkey = {{ keyring = false }}\n')
        config.flush()
        shown = run("models", "--remote").output
        told = json.loads(run("models", "--remote", "--json").output)
    assert "gpt-4o-mini" in shown and "2027-01-14" in shown
    assert told == [{"name": "gpt-4o", "shutdown_date": None}, {"name": "gpt-4o-mini", "shutdown_date": "2027-01-14"}]


def test_models_of_no_server_are_an_empty_list(run: Callable[..., Result], tmp_path: Path) -> None:
    with (tmp_path / "config.toml").open("a") as config:
        config.write('[model]\nname = "outline"\n')
    assert "no server to ask" in run("models", "--remote").output
    assert json.loads(run("models", "--remote", "--json").output) == []


def test_privacy_names_a_server_once(run: Callable[..., Result], tmp_path: Path) -> None:
    with (tmp_path / "config.toml").open("a") as config:
        server = '{host = "mail.example.org", port = 993}'
        config.write(f'[accounts.home]\naddress = "ann@home.example"\nimap = {server}\nsmtp = {server}\n')
    assert json.loads(run("privacy", "--json").output)["servers"]["home"] == ["mail.example.org"]
