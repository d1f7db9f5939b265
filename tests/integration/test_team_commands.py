"""The commands of whoever runs the daemon, with the team's work in SQLite and in PostgreSQL."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from servers.model_api import ModelServer
from servers.postgres import Postgres, with_tables
from team_store import add_case

from mailassist.cli import group
from mailassist.config import STORE_FILE
from mailassist.daemon.batches import Batches
from mailassist.drafting.budget import Payer
from mailassist.errors import InputError, ModelError, Stopped
from mailassist.model.batch import BatchApi
from mailassist.model.connection import Endpoint
from mailassist.model.registry import find
from mailassist.model.request import Prompt
from mailassist.store import arrivals, feedback, ledger, mailboxes, team_schema
from mailassist.store.database import Store
from mailassist.store.feedback import Feedback
from mailassist.team.audit import Trail
from mailassist.team_settings import Limits

KEY = b"k" * 64

Run = Callable[..., Any]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    """Where the daemon keeps its work; `config.toml` names it."""
    (tmp_path / "audit.key").write_bytes(KEY)
    (tmp_path / "audit.key").chmod(0o600)
    text = f'data_folder = "{tmp_path}"\n'
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.database(with_tables).url()
        text += f'[team]\ndatabase = "{url}"\n'
        opened = Store.on_postgres(url)
    else:
        opened = Store(tmp_path / STORE_FILE)
    text += '[accounts.support]\naddress = "support@team.example"\n'
    text += '[accounts.support.imap]\nhost = "127.0.0.1"\nport = 143\nsecurity = "none"\n'
    (tmp_path / "config.toml").write_text(text + "[accounts.support.team]\n")
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def asked(*words: str) -> Any:
        done = CliRunner().invoke(group, ["--config", str(tmp_path / "config.toml"), *words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return asked


def test_a_pause_reaches_the_daemon_and_the_trail(store: Store, run: Run, tmp_path: Path) -> None:
    plain = CliRunner().invoke(
        group, ["--config", str(tmp_path / "config.toml"), "team", "pause", "support", "--reason", "a holiday"]
    )
    assert plain.exit_code == 0
    assert mailboxes.get(store, "support").paused == "a holiday"
    assert run("status")["mailboxes"][0]["paused"] == "a holiday"
    again = CliRunner().invoke(group, ["--config", str(tmp_path / "config.toml"), "team", "resume", "support"])
    assert again.exit_code == 0
    Trail(store, KEY).seal_inbox()
    shown = run("audit", "show")
    assert [(one["action"], one["mailbox"]) for one in shown] == [("pause", "support"), ("resume", "support")]
    assert all(one["who"] for one in shown)
    proof = run("audit", "verify")
    assert (proof["whole"], proof["entries"]) == (True, 2)


def test_feedback_is_counted_by_what_is_asked_for(store: Store, run: Run) -> None:
    for number, (outcome, likeness, model) in enumerate(
        [("as is", 1.0, "small"), ("edited", 0.9, "small"), ("edited", 0.7, "small"), ("discarded", 0.0, "large")]
    ):
        one = Feedback("support", f"<{number}@x>", outcome, likeness, "billing", model, "v1", time.time())  # type: ignore[arg-type]
        feedback.note(store, one)
    feedback.note(
        store, Feedback("support", "<old@x>", "as is", 1.0, "billing", "small", "v0", time.time() - 99 * 86_400)
    )
    said = run("team", "feedback", "--by", "model,prompt_version")
    assert said["by"] == ["model", "prompt_version"]
    large, small = said["rows"]
    assert (large["model"], large["drafts"], large["used"], large["kept_of_edited"]) == ("large", 1, 0, None)
    assert (small["prompt_version"], small["drafts"], small["used"]) == ("v1", 3, 3)
    assert small["outcomes"] == {"as is": 1, "edited": 2, "discarded": 0, "elsewhere": 0}
    assert small["kept_of_edited"] == pytest.approx(0.8)


def test_forget_and_cost_reach_what_the_daemon_keeps(store: Store, run: Run) -> None:
    case = {"mailbox": "support", "conversation": "<1@x>", "message_id": "<1@x>", "state": "drafted", "arrived": 1.0}
    with store.write() as connection:
        connection.execute(
            team_schema.cases.insert().values(
                **case, subject="Hello", correspondent="Eve <eve@customer.example>", created_at=1.0, changed_at=1.0
            )
        )
    call = ledger.Call("support", "support@team.example", "gpt-4o-mini", "api.example.org", messages=1)
    spent = ledger.Spent("gpt-4o-mini", 1000, 0, 100, 0.25)
    ledger.settle(store, ledger.reserve(store, call, spent, now=time.time(), daily_budget=None, day=0.0), spent)
    assert run("cost")["total"]["cost"] == 0.25
    assert len(run("privacy")["calls"]) == 1
    removed = run("forget", "eve@customer.example")
    assert removed["team"]["cases"] == 1
    assert any("api.example.org" in line for line in removed["out_of_reach"])
    with store.read() as connection:
        (left,) = connection.execute(team_schema.cases.select())
    assert (left.correspondent, left.subject) == ("", "")


def test_a_reply_of_which_nobody_knows_is_shown_and_settled(store: Store, run: Run, tmp_path: Path) -> None:
    case = add_case(store, state="approved")
    with store.write() as connection:
        connection.execute(
            team_schema.approvals.insert().values(
                case_id=case, answers="<q1@customer.example>", who="dana", state="unknown", open=1,
                created_at=1.0, changed_at=time.time() - 3600,
            )
        )  # fmt: skip
    config = "--config", str(tmp_path / "config.toml")
    said = CliRunner().invoke(group, [*config, "status"]).output
    assert f"support: nobody can tell whether dana's reply in case {case} was sent (last heard of 1 h ago)" in said
    assert f"mailassist team settle {case} sent|not-sent" in said
    (shown,) = run("status")["mailboxes"][0]["unsettled"]
    assert (shown["case"], shown["who"]) == (case, "dana")
    done = CliRunner().invoke(group, [*config, "team", "settle", str(case), "not-sent"])
    assert done.exit_code == 0, done.output
    assert run("status")["mailboxes"][0]["unsettled"] == []
    assert [item["state"] for item in run("team", "list")] == ["drafted"]
    again = CliRunner().invoke(group, [*config, "team", "settle", str(case), "sent"])
    assert isinstance(again.exception, Stopped)


def test_failed_cases_are_tried_again(store: Store, run: Run, tmp_path: Path) -> None:
    failed = [add_case(store, number, state="failed", reason="no triage") for number in (1, 2, 3)]
    held, fine = (
        add_case(store, 4, state="failed", claimed_by="eli", claimed_until=time.time() + 900),
        add_case(store, 5),
    )
    config = "--config", str(tmp_path / "config.toml")
    plain = CliRunner().invoke(group, [*config, "team", "retry", str(failed[0])])
    assert (plain.exit_code, plain.output) == (0, "1 tried again, 0 held.\n")
    done = CliRunner().invoke(group, [*config, "team", "retry", str(fine), "--mailbox", "support", "--json"])
    assert done.exit_code == 18
    rows = {row["case"]: (row["retried"], row["held"]) for row in json.loads(done.stdout)}
    assert rows.keys() == {*failed[1:], held, fine}
    assert rows[failed[1]] == rows[failed[2]] == (True, "")
    assert "eli is replying" in rows[held][1] and "has not failed" in rows[fine][1]
    states = {item["case_id"]: item["state"] for item in run("team", "list")}
    assert states == {failed[0]: "open", failed[1]: "open", failed[2]: "open", held: "failed", fine: "drafted"}
    Trail(store, KEY).seal_inbox()
    assert sorted((one["action"], one["case"]) for one in run("audit", "show")) == [("retry", case) for case in failed]
    for wrong in (["retry"], ["retry", "--mailbox", "sales"]):
        assert isinstance(CliRunner().invoke(group, [*config, "team", *wrong]).exception, InputError)


@pytest.fixture
def batch(store: Store, model_server: ModelServer, tmp_path: Path) -> str:
    """A batch at the provider, with a mail from Eve and one from Bob; its id."""
    model_server.batches.ends = ""
    (tmp_path / "key").write_text("sk-test")
    (tmp_path / "key").chmod(0o600)
    with (tmp_path / "config.toml").open("a") as config:
        config.write(f'[model]\nbase_url = "{model_server.base_url}"\nretries = 0\n')
        config.write(f'[model.key]\nkeyring = false\npassword_file = "{tmp_path}/key"\n')
    now = time.time()
    with store.write() as connection:
        for name in ("eve", "bob"):
            row = {"key": name, "mailbox": "support", "message_id": f"<{name}@x>", "sender": f"{name}@customer.example"}
            times = {"received": now, "created_at": now, "changed_at": now}
            connection.execute(team_schema.arrivals.insert().values(**row, **times, state="packed"))
    api = BatchApi(Endpoint(model_server.base_url))
    ago = [360.0]
    batches = Batches(store, api, lambda *_: None, Limits(), clock=lambda: now - ago[0])
    payer = Payer("support", "support@team.example", 1.0)
    for number in (1, 2):
        info, prompt = find("gpt-4o-mini"), Prompt("You draft.", f"mail {number}", 500, "key")
        assert batches.add(number, 0, prompt, info, payer, input_tokens=100, messages=1, until=now + 1e6)
    ago[0] = 0.0
    batches.work()
    batches.close()
    [number] = model_server.batches.batches
    assert model_server.batches.files
    return number


def test_forget_takes_the_prompts_back_from_the_provider(
    store: Store, batch: str, model_server: ModelServer, run: Run
) -> None:
    said = run("forget", "eve@customer.example")
    assert not model_server.batches.files and model_server.batches.batches[batch]["status"] == "cancelled"
    assert not any(batch in line for line in said["out_of_reach"])
    assert [row.message_id for row in arrivals.due(store, now=time.time(), limit=9)] == ["<bob@x>"]


def test_forget_says_that_the_provider_is_away_and_does_it_the_next_time(
    batch: str, model_server: ModelServer, run: Run, tmp_path: Path
) -> None:
    model_server.key = "another"
    words = ["--config", str(tmp_path / "config.toml"), "forget", "eve@customer.example"]
    done = CliRunner().invoke(group, words, standalone_mode=False)
    assert done.return_value == ModelError.exit_code
    assert f"the files of the provider's batch {batch}, which the daemon deletes" in done.stdout
    [line] = done.stderr.splitlines()
    assert "could not be deleted" in line and "The daemon deletes it as soon as it can; or run this again." in line
    model_server.key = ""
    run("forget", "eve@customer.example")
    assert not model_server.batches.files
