"""`mailassist db`: a store that is saved and put back, rights of real roles, and what the database itself forbids."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from servers import postgres as postgres_server

from mailassist.errors import StoreError
from mailassist.store import drafts, grants, outbox, schema, team_schema
from mailassist.store.database import Store
from mailassist.team import connect
from mailassist.team.queue import Role
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamMailbox

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[], Store], Run]:
    """Opens the store of a configuration, and runs `mailassist db` with it."""
    lines = [f"data_folder = {json.dumps(str(tmp_path / 'data'))}"]
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").database().url()
        lines += ["[team]", f"database = {json.dumps(url)}"]
    config = tmp_path / "config.toml"
    config.write_text("\n".join(lines))
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mailassist", "--config", str(config), "db", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)

    def opened() -> Store:
        return Store.on_postgres(url) if request.param == "postgres" else Store(tmp_path / "data" / "mailassist.sqlite")

    return opened, run


def case(store: Store, **more: object) -> int:
    about = {"mailbox": "support", "conversation": "<c@test>", "message_id": "<q@test>", "arrived": 1.0}
    times = {"created_at": 1.0, "changed_at": 1.0}
    with store.write() as connection:
        done = connection.execute(team_schema.cases.insert().values({**about, **times, **more}))
        return int(done.inserted_primary_key[0])  # type: ignore[index]


def approval(store: Store, case_id: int, **more: object) -> None:
    about = {"case_id": case_id, "answers": "<q@test>", "who": "anna", "state": "checked"}
    with store.write() as connection:
        connection.execute(
            team_schema.approvals.insert().values({**about, "created_at": 1.0, "changed_at": 1.0, **more})
        )


def audited(connection: sa.Connection, number: int = 1) -> None:
    entry = {"number": number, "at": 1.0, "who": "daemon", "action": "drafted", "seal": b"s"}
    connection.execute(team_schema.audit.insert().values(entry))


def test_what_was_saved_comes_back_and_nothing_of_it_leaves_by_itself(
    place: tuple[Callable[[], Store], Run], tmp_path: Path
) -> None:
    opened, run = place
    first = json.loads(run("upgrade", "--json").stdout)
    assert (first["before"], first["now"]) == (0, schema.REVISION)
    store = opened()
    drafts.save_text(store, "a", "<q@test>", "Dear\0 Anna", written_by="person", now=1.0)
    values = dict.fromkeys(("conversation", "own_id", "fingerprint", "sender", "raw_hash", "text", "subject"), "x")
    values |= {"account": "a", "answers": "<q@test>", "message_id": "<r@test>", "recipients": "b@test"}
    number = outbox.insert(store, {**values, "raw": b"\0\xff", "not_before": 0.0}, now=1.0)
    approval(store, case(store, state="approved"))
    with store.write() as connection:
        audited(connection)
    key = store.key()
    saved = run("backup", str(tmp_path / "saved"))  # while a store is open
    assert saved.returncode == 0, saved.stderr
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600
    assert "cannot be made" in run("backup", str(tmp_path / "saved")).stderr
    drafts.save_text(store, "a", "<q@test>", "Later", written_by="person", now=2.0)
    store.close()
    refused = run("restore", str(tmp_path / "saved"))
    assert refused.returncode == 11 and "is not empty" in refused.stderr and "--replace" in refused.stderr
    done = run("restore", str(tmp_path / "saved"), "--replace")
    assert done.returncode == 0, done.stderr
    store = opened()
    assert [row.text for row in drafts.rows(store, "a")] == ["Dear\0 Anna"] and store.key() == key
    row = outbox.get(store, number)
    assert row is not None and (row.state, row.raw) == ("unknown", b"\0\xff") and "backup of 20" in row.error
    with store.read() as connection:
        assert connection.scalars(sa.select(team_schema.approvals.c.state)).all() == ["unknown"]
        assert connection.scalars(sa.select(team_schema.audit.c.action)).all() == ["drafted"]
    case(store, conversation="<another@test>")  # numbers go on where they were
    store.close()
    again = json.loads(run("upgrade", "--json").stdout)
    assert again["before"] == again["now"] == schema.REVISION


def test_what_is_no_backup_is_refused(place: tuple[Callable[[], Store], Run], tmp_path: Path) -> None:
    opened, run = place
    run("upgrade")
    (tmp_path / "other").write_bytes(b"no backup at all" * 100)
    for name in ("other", "missing"):
        done = run("restore", str(tmp_path / name), "--replace")
        assert done.returncode == 11 and done.stderr.count("\n") == 1, done.stderr
    opened().close()


def test_one_step_back_is_asked_for(place: tuple[Callable[[], Store], Run]) -> None:
    _, run = place
    run("upgrade")
    assert run("downgrade").returncode != 0  # nobody answers
    back = run("downgrade", "--yes")
    assert back.returncode == 0 and f"at revision {schema.REVISION - 1} now" in back.stdout, back.stderr
    assert json.loads(run("upgrade", "--json").stdout)["before"] == schema.REVISION - 1


def test_the_trail_is_only_added_to(open_store: Callable[[], Store]) -> None:
    store = open_store()
    with store.write() as connection:
        audited(connection)
    for change in (
        team_schema.audit.update().values(who="nobody"),
        team_schema.audit.delete(),
        sa.text("INSERT OR REPLACE INTO audit VALUES (1, 1, 'x', 'x', '', NULL, '', '', '', x'00')")
        if store.path
        else sa.text("TRUNCATE audit"),
    ):
        with pytest.raises(StoreError, match="only added to"), store.write() as connection:
            connection.execute(change)


def test_an_older_program_is_named(postgres: postgres_server.Postgres, tmp_path: Path) -> None:
    from mailassist.store import dumps

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dumps, "_program", lambda name: str(tmp_path / name))
        with pytest.raises(StoreError, match=r"pg_dump cannot be run.*postgresql-client"):
            dumps.save_postgres(postgres.database().url(), None, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_roles_do_what_they_were_granted_and_sign_with_their_name(postgres: postgres_server.Postgres) -> None:
    database = postgres.database(postgres_server.with_tables)
    owner = Store.on_postgres(database.url())
    number = case(owner)
    owner.key()
    roles = {level: postgres.role(level) for level in ("see", "draft", "approve")}
    stranger = Store.on_postgres(database.url(roles["see"]))
    with pytest.raises(StoreError, match="db grant"):
        stranger.key()
    stranger.close()
    for level, role in roles.items():
        grants.grant(owner, role, level)  # type: ignore[arg-type]

    def tried(level: str, statement: str) -> list[tuple[object, ...]] | None:
        try:
            return database.execute(statement, role=roles[level])
        except psycopg.errors.InsufficientPrivilege:
            return None

    note = f"INSERT INTO case_notes (case_id, at, who, text) VALUES ({number}, 1, 'the boss', 'x') RETURNING who"
    acted = (
        "INSERT INTO audit_inbox (at, who, action, mailbox, written, sent, details) VALUES (1, '', '', '', '', '', '')"
    )
    approved = (
        "INSERT INTO approvals (case_id, answers, who, text, fingerprint, state, open, said, created_at, changed_at) "
        f"VALUES ({number}, '', 'the boss', '', '', 'claimed', 1, '', 1, 1) RETURNING who"
    )
    claimed = f"UPDATE cases SET claimed_by = 'the boss', claimed_until = 9e9 WHERE id = {number} RETURNING claimed_by"
    for level in roles:
        assert tried(level, "SELECT id FROM cases") == [(number,)]
        for secret in ("facts", "audit", "audit_texts", "audit_inbox", "messages", "texts", "ledger"):
            assert tried(level, f"SELECT * FROM {secret}") is None, (level, secret)
        for forbidden in (
            "UPDATE cases SET subject = 'x'", "DELETE FROM cases", "UPDATE case_notes SET text = 'x'",
            "DELETE FROM audit_inbox", "INSERT INTO audit (number, at, who, action) VALUES (1, 1, '', '')",
        ):  # fmt: skip
            assert tried(level, forbidden) is None, (level, forbidden)
    assert [tried("see", statement) for statement in (note, acted, approved, claimed)] == [None] * 4
    assert tried("draft", approved) is None
    for level in ("draft", "approve"):
        assert tried(level, claimed) == [(roles[level],)]
        handed = f"UPDATE cases SET claimed_by = 'ben', assigned_to = 'ben' WHERE id = {number} RETURNING claimed_by"
        assert tried(level, handed) == [("ben",)]  # by whoever has it
        assert tried(level, handed.replace("ben", "eve")) == [(roles[level],)]
        assert tried(level, note) == [(roles[level],)]
        assert tried(level, acted) == []
    assert tried("approve", approved) == [(roles["approve"],)]
    assert tried("approve", "UPDATE approvals SET who = 'the boss' RETURNING who") == [(roles["approve"],)]
    assert database.execute("SELECT who FROM audit_inbox ORDER BY id") == [(roles["draft"],), (roles["approve"],)]
    evil = "CREATE FUNCTION pg_temp.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    with psycopg.connect(database.url(roles["draft"])) as connection:
        connection.execute(evil)
        connection.execute("SET search_path = pg_temp, public, pg_catalog")
        assert connection.execute(note).fetchall() == [(roles["draft"],)]  # type: ignore[arg-type]
    reviewer = Store.on_postgres(database.url(roles["draft"]))
    assert drafts.save_text(reviewer, "support", "<q@test>", "Dear Anna", written_by="person", now=1.0).version == 1
    reviewer.close()
    grants.grant(owner, roles["draft"], "nothing")
    assert tried("draft", "SELECT id FROM cases") is None
    with pytest.raises(StoreError, match="CREATE ROLE"):
        grants.grant(owner, "nobody_at_all", "see")
    with owner.write() as connection:  # the owner, which is the daemon, says who did it
        connection.exec_driver_sql(f"UPDATE cases SET claimed_by = 'ben' WHERE id = {number}")
        assert connection.scalar(sa.select(team_schema.cases.c.claimed_by)) == "ben"
    owner.close()


def test_a_backup_of_the_first_revision_is_upgraded(tmp_path: Path) -> None:
    from mailassist.store import dumps

    schemas = Path(__file__).parents[1] / "unit" / "schemas"
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript((schemas / "2.sql").read_text())
    dumps.save_sqlite(tmp_path / "old.sqlite", tmp_path / "saved")
    dumps.restore_sqlite(tmp_path / "new" / "store.sqlite", tmp_path / "saved", replace=False)
    store = Store(tmp_path / "new" / "store.sqlite")
    case(store)
    store.close()


def test_what_is_granted_is_enough_for_the_queue(postgres: postgres_server.Postgres) -> None:
    database = postgres.database(postgres_server.with_tables)
    owner = Store.on_postgres(database.url())
    first, second = case(owner, state="drafted"), case(owner, conversation="<d@test>", message_id="<d@test>")
    people = {}
    for level in ("see", "draft", "approve"):
        role = postgres.role(level)
        grants.grant(owner, role, level)  # type: ignore[arg-type]
        store = Store.on_postgres(database.url(role))
        who, may = connect.database_role(store)
        assert (who, may) == (role, Role[level.upper()])
        policies = {"support": TeamMailbox(only_claimant_approves=True)}
        queue = StoreQueue(store, who, may, policies, connect.AuditInbox(store), time.time)
        people[level] = queue, who, store
    for queue, _, _ in people.values():
        assert {item.case_id for item in queue.items()} == {first, second}
        assert not queue.notes(first) and not queue.texts([first])
    queue, drafter, _ = people["draft"]
    queue.claim(first)
    queue.add_note(first, "a note")
    queue.save_text(first, "Dear Anna", base=0, reply_all=False)
    queue.hand_over(first, people["approve"][1], "yours")
    queue, sender, _ = people["approve"]
    assert queue.claim(first).claimed_by == sender
    given = queue.begin_approval(first, "Dear Anna!")
    queue.checked(given.id)
    queue.close_approval(given.id, "sent", "")
    queue.claim(second)
    queue.discard(second, "spam")
    assert [item.state for item in queue.items(through=True)] == ["answered", "none"]
    assert {note.who for note in queue.notes(first)} == {drafter}
    assert {who for (who,) in database.execute("SELECT DISTINCT who FROM audit_inbox")} == {drafter, sender}
    for store in (owner, *(store for _, _, store in people.values())):
        store.close()
