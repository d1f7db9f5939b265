"""Retention and `forget` in a team's work: texts are gone from the bytes of the file, what counts and proves stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from mailassist.cli import group
from mailassist.daemon.retention import Retention
from mailassist.desk import STORE_FILE
from mailassist.store import forgotten, mailboxes, schema, team_schema
from mailassist.store.database import Store
from mailassist.team_settings import TeamMailbox

NOW = 1_795_600_000.0
DAY = 86_400.0
PERSON = "eve.forgotten@example.net"
CONFIG = """
data_folder = "{folder}"
[accounts.support]
address = "support@example.org"
[accounts.support.imap]
host = "127.0.0.1"
port = 143
security = "none"
[accounts.support.team]
"""


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """In SQLite, and in PostgreSQL."""
    return open_store()


def insert(store: Store, table: sa.Table, **values: Any) -> int:
    with store.write() as connection:
        key = connection.execute(table.insert().values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0]) if isinstance(key[0], int) else 0


def rows(store: Store, table: sa.Table) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(sa.select(table)))


def put(
    store: Store,
    name: str,
    *,
    mailbox: str = "support",
    at: float = NOW,
    state: str = "answered",
    arrival_state: str = "delivered",
    sender: str = "",
    open_approval: bool = False,
    days: int = 90,
) -> int:
    """A case with everything that a team's work leaves about it; `name` stands in every text. The case's number."""
    sender = sender or f"{name}@example.net"
    told = f"words of {name}"
    message_id = f"<{name}@mail>"
    times = {"created_at": at, "changed_at": at}
    case = insert(
        store, team_schema.cases,
        mailbox=mailbox, conversation=message_id, message_id=message_id, arrived=at, subject=told,
        correspondent=f"{name} <{sender}>", state=state, **times,
    )  # fmt: skip
    arrival = insert(
        store, team_schema.arrivals,
        key=f"key {len(rows(store, team_schema.arrivals))}", mailbox=mailbox, message_id=message_id, case_id=case,
        sender=sender, received=at, state=arrival_state, batch=f"batch_{name}", **times,
    )  # fmt: skip
    insert(store, team_schema.prompts, arrival_id=arrival, body=json.dumps(told), until=at + days * DAY)
    insert(store, team_schema.case_notes, case_id=case, at=at, who="ada", text=f"note, {told}")
    closed = {"state": "claimed", "open": 1} if open_approval else {"state": "sent", "open": None}
    insert(
        store, team_schema.approvals,
        case_id=case, answers=message_id, who="ada", text=f"approved, {told}", **closed, **times,
    )  # fmt: skip
    insert(store, team_schema.feedback, mailbox=mailbox, answers=message_id, outcome="as is", at=at)
    number = len(rows(store, team_schema.audit)) + 1
    insert(store, team_schema.audit, number=number, at=at, who="ada", action="approve", case_id=case, seal=b"seal")
    insert(store, team_schema.audit_texts, number=number, written=told, sent=told, until=at + days * DAY)
    insert(store, team_schema.people_notices, mailbox=mailbox, case_id=case, kind="daily", reason="r", created_at=at)
    insert(
        store, schema.drafts,
        account=mailbox, answers=message_id, text=f"draft, {told}", instruction=told, case_id=case, **times,
    )  # fmt: skip
    insert(store, schema.versions, account=mailbox, answers=message_id, text=told, written_by="model", at=at)
    insert(
        store, schema.texts, account=mailbox, message_id=message_id, raw=f"raw, {told}".encode(), until=at + days * DAY
    )
    outbox = dict.fromkeys(("own_id", "fingerprint", "sender", "raw_hash"), "x")
    insert(
        store, schema.outbox,
        account=mailbox, answers=message_id, state="done", not_before=at, message_id="<r@x>", recipients=sender,
        raw=told.encode(), text=told, subject=told, **outbox, **times,
    )  # fmt: skip
    return case


def everything(store: Store) -> bytes:
    """All bytes of the store's files, after what was written has reached the file; of a server, all rows."""
    if store.path is None:
        return b"".join(
            str(row).encode() for table in schema.metadata.sorted_tables for row in rows(store, table)
        ).lower()
    with store.read() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    return b"".join(path.read_bytes() for path in store.path.parent.glob(f"{store.path.name}*")).lower()


def counts(store: Store) -> dict[str, int]:
    tables = ("cases", "arrivals", "approvals", "feedback", "audit")
    return {name: len(rows(store, getattr(team_schema, name))) for name in tables}


def test_texts_past_the_mailboxs_time_are_gone_from_the_file_and_the_rows_that_count_stay(store: Store) -> None:
    for number in range(3):
        put(store, f"oldest{number}", at=NOW - 91 * DAY)
        put(store, f"recent{number}", at=NOW - 89 * DAY)
        put(store, f"brief{number}", mailbox="sales", at=NOW - 91 * DAY, days=365)
    before = counts(store)
    teams = {"support": TeamMailbox(retention_days=90), "sales": TeamMailbox(retention_days=365)}
    retention = Retention(store, teams, now=lambda: NOW)
    assert retention.due
    done = retention.run()
    assert (done["drafts"], done["approvals"], done["texts"]) == (3, 3, 3)
    left = everything(store)
    assert b"words of oldest" not in left
    assert b"oldest0 <" not in left
    assert left.count(b"note, words of recent") >= 3
    assert left.count(b"note, words of brief") >= 3
    assert counts(store) == before
    assert not retention.due
    assert retention.run() == {}
    assert Retention(store, teams, now=lambda: NOW + DAY).due


def test_work_under_way_keeps_its_texts_but_no_prompt_outlives_its_time(store: Store) -> None:
    old = NOW - 400 * DAY
    put(store, "waits", at=old, state="person", arrival_state="seen", open_approval=True)
    with store.write() as connection:
        connection.execute(schema.drafts.update().values(state="appending", pending=b"bytes"))
        connection.execute(schema.outbox.update().values(state="unknown"))
    Retention(store, {"support": TeamMailbox()}, now=lambda: NOW).run()
    (case,), (approval,), (draft,), (reply,) = (
        rows(store, table) for table in (team_schema.cases, team_schema.approvals, schema.drafts, schema.outbox)
    )
    assert case.subject == "words of waits"
    assert approval.text == "approved, words of waits"
    assert (draft.text, draft.pending) == ("draft, words of waits", b"bytes")
    assert (reply.raw, reply.text) == (b"words of waits", "words of waits")
    assert len(rows(store, team_schema.case_notes)) == 1
    assert rows(store, team_schema.prompts) == rows(store, team_schema.audit_texts) == []


def test_a_mailbox_that_left_the_configuration_is_not_kept_for_ever(store: Store) -> None:
    put(store, "gone", mailbox="closed", at=NOW - 400 * DAY)
    mailboxes.looked(store, "closed", now=NOW - 400 * DAY)
    Retention(store, {"support": TeamMailbox()}, now=lambda: NOW).run()
    assert b"words of gone" not in everything(store)


def test_it_stops_when_it_is_told_to_and_goes_on_the_next_time(store: Store) -> None:
    for number in range(3):
        put(store, f"old{number}", at=NOW - 400 * DAY)
    retention = Retention(store, {"support": TeamMailbox()}, now=lambda: NOW)
    assert retention.run(stopped=lambda: True) == {}
    assert retention.due
    retention.run()
    assert b"words of old" not in everything(store)


def test_a_person_is_forgotten_in_all_that_a_team_wrote_and_others_stay(store: Store) -> None:
    put(store, "eve", sender=PERSON)
    put(store, "near", sender=f"x{PERSON}")
    other = put(store, "other")
    insert(store, team_schema.case_notes, case_id=other, at=NOW, who="bob", text=f"{PERSON.upper()} asked the same")
    before = counts(store)
    removed = forgotten.forget(store, PERSON, now=NOW)
    team = removed.team
    assert (team.arrivals, team.cases, team.notes, team.approvals) == (1, 1, 2, 1)
    assert (team.texts_of_the_trail, team.prompts, team.feedback, team.notices) == (1, 1, 1, 1)
    assert (team.kept_cases, team.batches, removed.drafts) == ((), ("batch_eve",), 1)
    left = everything(store).replace(f"x{PERSON}".encode(), b"")
    assert PERSON.encode() not in left
    assert b"words of eve" not in left
    assert b"<eve@mail>" not in left
    assert b"words of near" in left and b"words of other" in left
    assert counts(store) == before
    keys = {row.key for row in rows(store, team_schema.arrivals)}
    assert "key 0" in keys  # so that the old mail is not taken for new
    assert forgotten.forget(store, PERSON, now=NOW).team.arrivals == 0


def test_a_worker_that_has_their_mail_in_hand_loses_it(store: Store) -> None:
    put(store, "eve", sender=PERSON, state="open", arrival_state="packed")
    with store.write() as connection:
        connection.execute(team_schema.arrivals.update().values(fence=7, owner="host:1:2", leased_until=NOW + 60))
    forgotten.forget(store, PERSON, now=NOW)
    (arrival,), (case,) = rows(store, team_schema.arrivals), rows(store, team_schema.cases)
    assert (arrival.state, arrival.fence, arrival.owner) == ("none", 8, "")
    assert (case.state, case.subject, case.correspondent) == ("none", "", "")


def test_a_case_whose_reply_is_on_its_way_is_kept_and_named(store: Store) -> None:
    case = put(store, "eve", sender=PERSON, open_approval=True)
    assert forgotten.forget(store, PERSON, now=NOW).team.kept_cases == (case,)
    (row,) = rows(store, team_schema.cases)
    assert row.subject == "words of eve"


def test_the_command_says_what_it_removed_and_what_it_cannot_reach(tmp_path: Path) -> None:
    store = Store(tmp_path / STORE_FILE)
    (tmp_path / "config.toml").write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    put(store, "eve", sender=PERSON)
    words = ["--config", str(tmp_path / "config.toml"), "forget", PERSON]
    said = CliRunner().invoke(group, words).output
    for part in ("cases: 1", "texts of the trail: 1", "cannot reach", "the mailbox on the server"):
        assert part in said, part
    record = json.loads(CliRunner().invoke(group, [*words, "--json"]).output)
    assert record["team"]["cases"] == 0
    assert record["out_of_reach"]
    store.close()
