"""Older stores become what a new one is, with what they hold; nobody changes the tables under a daemon."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from servers import postgres as postgres_server

from mailassist.errors import StoreError
from mailassist.store import drafts, revisions, schema, upgrading, versions
from mailassist.store.database import Store
from mailassist.store.sqlite_file import SqliteFile

SCHEMAS = Path(__file__).with_name("schemas")
HELD = "import sys, time; from pathlib import Path; from mailassist.store.database import Store\n"
HELD += "store = Store(Path(sys.argv[1]))\nwith store.hold_schema():\n    print('held', flush=True)\n    time.sleep(60)"


def older(path: Path, version: int) -> Path:
    """A file as the mailassist of then made it, with a draft."""
    with sqlite3.connect(path) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())
        about = {
            row[1]: "" if row[2] in ("VARCHAR", "TEXT") else 1
            for row in connection.execute("PRAGMA table_info(drafts)")
            if row[3] and row[1] != "id"
        }
        about |= {"account": "a", "answers": "<q@test>", "text": "Now", "folder": "Drafts", "generation": 3}
        about |= {"previous": "Before"} if version == 1 else {}
        marks = ", ".join("?" * len(about))
        connection.execute(f"INSERT INTO drafts ({', '.join(about)}) VALUES ({marks})", [*about.values()])
    connection.close()
    return path


def shape(path: Path) -> dict[str, object]:
    """Everything that a file's tables are, but for the order of columns."""
    inspector = sa.inspect(sa.create_engine(f"sqlite:///{path}"))
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        found[table] = (
            sorted((one["name"], str(one["type"]), one["nullable"]) for one in inspector.get_columns(table)),
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((one["name"] or "", one["column_names"], one["unique"]) for one in inspector.get_indexes(table)),
            sorted(one["column_names"] for one in inspector.get_unique_constraints(table)),
            sorted(one["constrained_columns"] for one in inspector.get_foreign_keys(table)),
        )  # fmt: skip
    with sqlite3.connect(path) as connection:
        found["triggers"] = sorted(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        found["version"] = (
            *connection.execute("PRAGMA user_version"),
            *connection.execute("SELECT * FROM alembic_version"),
        )
    return found


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_file_becomes_what_a_new_one_is_and_keeps_its_drafts(tmp_path: Path, version: int) -> None:
    store = Store(older(tmp_path / "old.sqlite", version))
    found = drafts.get(store, "a", "<q@test>")
    assert found is not None
    assert (found.text, found.folder, found.generation, found.version) == ("Now", "Drafts", 3, 1)
    if version == 1:
        assert versions.others(store, "a", "<q@test>", "") == [versions.Version("Before", "person")]
    store.close()
    Store(tmp_path / "new.sqlite").close()
    assert shape(tmp_path / "old.sqlite") == shape(tmp_path / "new.sqlite")


def test_one_step_back_and_forward_again_keeps_what_the_older_knows(tmp_path: Path) -> None:
    path = older(tmp_path / "old.sqlite", 2)
    before = {name: columns for name, columns in shape_without_stamp(path).items() if name != "version"}
    Store(path).close()
    file = SqliteFile(path)
    assert file.downgrade() == (2, 1)
    file.engine.dispose()
    after = {name: columns for name, columns in shape_without_stamp(path).items() if name != "version"}
    assert after == before
    store = Store(path)
    assert [row.text for row in drafts.rows(store, "a")] == ["Now"]
    store.close()


def shape_without_stamp(path: Path) -> dict[str, object]:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num)")
    found = shape(path)
    found.pop("alembic_version")
    return found


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "new.sqlite").close()
    with sqlite3.connect(tmp_path / "new.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {schema.REVISION + 2}")
    with pytest.raises(StoreError, match=r"newer mailassist.*Upgrade mailassist"):
        Store(tmp_path / "new.sqlite")


def test_a_file_is_not_upgraded_under_a_daemon(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    daemon = subprocess.Popen([sys.executable, "-c", HELD, str(path)], stdout=subprocess.PIPE)
    try:
        assert daemon.stdout is not None and daemon.stdout.readline() == b"held\n"
        Store(path).close()  # nothing has to change
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(StoreError, match=r"A daemon works with .*Stop it"):
            Store(path)
    finally:
        daemon.kill()
        daemon.wait()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.REVISION + 1}")
    Store(path).close()


def test_starting_with_a_store_loads_no_alembic(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from mailassist.store.database import Store\n"
    code += "Store(Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules or 'psycopg' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "new.sqlite")], check=True)


def test_the_revisions_make_what_the_tables_are_in_postgres(postgres: postgres_server.Postgres) -> None:
    database = postgres.database()
    before, now = upgrading.upgrade(database.url(), None)
    assert (before.store, now.store, now.queue) == (0, schema.REVISION, upgrading.queue_wanted())
    with sa.create_engine(database.url().replace("://", "+psycopg://")).connect() as connection:
        assert revisions.recorded(connection) == schema.REVISION
        options = {"include_object": lambda _thing, name, *_: not name.startswith("procrastinate")}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **options})
        assert compare_metadata(context, schema.metadata) == []
        connection.rollback()
    assert upgrading.upgrade(database.url(), None) == (now, now)
    assert upgrading.downgrade(database.url(), None) == (2, 1)
    with pytest.raises(StoreError, match="Run `mailassist db upgrade`"):
        Store.on_postgres(database.url())
    with pytest.raises(StoreError, match="first revision"):
        upgrading.downgrade(database.url(), None)
    assert upgrading.upgrade(database.url(), None)[0].store == 1
    Store.on_postgres(database.url()).close()


def test_a_database_without_tables_or_of_a_newer_mailassist_is_refused(postgres: postgres_server.Postgres) -> None:
    with pytest.raises(StoreError, match=r"no tables of mailassist\. Run `mailassist db upgrade`"):
        Store.on_postgres(postgres.database().url())
    database = postgres.database(postgres_server.with_tables)
    database.execute("UPDATE alembic_version SET version_num = '99'")
    with pytest.raises(StoreError, match=r"newer mailassist\. Upgrade mailassist"):
        Store.on_postgres(database.url())
    for change in (upgrading.upgrade, upgrading.downgrade):
        with pytest.raises(StoreError, match="newer mailassist"):
            change(database.url(), None)


def test_several_machines_upgrade_at_once(postgres: postgres_server.Postgres) -> None:
    url = postgres.database().url()
    code = "import sys; from mailassist.store.upgrading import upgrade; print(upgrade(sys.argv[1], None)[0].store)"
    all_at_once = [subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE) for _ in range(3)]
    assert sorted(one.communicate(timeout=60)[0] for one in all_at_once) == [b"0\n", b"2\n", b"2\n"]


def test_tables_stay_while_somebody_is_connected_and_who_it_is_is_named(
    postgres: postgres_server.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "_WAIT", "100ms")
    database = postgres.database(postgres_server.with_tables)
    store = Store.on_postgres(database.url())
    with pytest.raises(StoreError, match=r"in use.*owner mailassist .*Stop the daemons"):
        upgrading.downgrade(database.url(), None)
    store.learn("x", b"1")  # it goes on
    upgrading.upgrade(database.url(), None)  # nothing has to change
    store.close()
    assert upgrading.downgrade(database.url(), None) == (2, 1)


def test_a_daemon_that_lost_its_connections_finds_no_way_back_after_an_upgrade(
    postgres: postgres_server.Postgres,
) -> None:
    database = postgres.database(postgres_server.with_tables)
    store = Store.on_postgres(database.url())
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'owner'")
    upgrading.downgrade(database.url(), None)
    with pytest.raises(StoreError, match="Run `mailassist db upgrade`"):
        store.learn("x", b"1")
    store.close()


def test_another_ones_queue_is_left_alone(postgres: postgres_server.Postgres) -> None:
    database = postgres.database()
    database.execute("CREATE TABLE procrastinate_jobs (id int)")
    with pytest.raises(StoreError, match="a database of its own"):
        upgrading.upgrade(database.url(), None)
