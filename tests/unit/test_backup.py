"""What no mailbox has survives a damaged store, and nothing is sent twice for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailassist.errors import StoreError
from mailassist.store import backup, drafts, forgotten, ledger, outbox, versions
from mailassist.store.database import Store

NOW = 1_800_000_000.0
DAY = 86_400.0
STATES = ("approved", "sending", "sent", "filed", "done", "unknown", "refused", "cancelled")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def approved(store: Store, name: str, state: str = "approved") -> int:
    values = dict.fromkeys(("conversation", "own_id", "fingerprint", "sender", "raw_hash", "text", "subject"), name)
    values |= {"account": "a", "answers": f"<{name}@test>", "message_id": f"<r-{name}@test>", "recipients": "b@test"}
    number = outbox.insert(store, values | {"raw": b"bytes", "not_before": NOW}, now=NOW)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state = ? WHERE id = ?", (state, number))
    return number


def damage(file: Path) -> None:
    """Overwrite all but the first page's header."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\xff" * (size - 100))


def anew(store: Store) -> Store:
    """The store that is made after the damaged one was moved away, as its error says."""
    assert store.path is not None
    store.close()
    damage(store.path)
    with pytest.raises(StoreError, match=r"move this file elsewhere and start again.*come back from the backup of 20"):
        Store(store.path)
    store.path.rename(store.path.with_name("damaged"))
    return Store(store.path)


def texts(store: Store) -> list[str]:
    return [row.text for row in drafts.rows(store, "a")]


def test_drafts_replies_and_costs_come_back(store: Store) -> None:
    key = store.key()
    drafts.save_text(store, "a", "<q@test>", "A draft", written_by="model", now=NOW)
    drafts.save_text(store, "a", "<q@test>", "My own words", written_by="person", now=NOW)
    call, spent = ledger.Call("a", "m", "x", "h", 1), ledger.Spent("x", 1, 0, 1, 0.25)
    ledger.reserve(store, call, spent, now=NOW, daily_budget=None, day=0.0)
    store.back_up(now=NOW)
    again = anew(store)
    assert texts(again) == ["My own words"] and again.key() == key
    assert versions.others(again, "a", "<q@test>", "") == [versions.Version("A draft", "model")]
    assert [entry.cost for entry in ledger.entries(again, since=0.0)] == [0.25]
    assert again.restored_from is not None and again.damage() == ""
    again.close()
    assert Store(again.path).restored_from is None


def test_a_backup_of_an_older_mailassist_gives_what_it_has(store: Store, path: Path) -> None:
    drafts.save_text(store, "a", "<q@test>", "My own words", written_by="person", now=NOW)
    store.back_up(now=NOW)
    (saved,) = backup.files(path)
    with sqlite3.connect(saved) as older:
        older.execute("DROP TABLE versions")
        older.execute("ALTER TABLE drafts DROP COLUMN reply_all")
    assert texts(anew(store)) == ["My own words"]


def test_a_reply_that_may_have_been_sent_since_is_left_to_the_person(store: Store) -> None:
    for state in STATES:
        approved(store, state, state)
    store.back_up(now=NOW)
    found = {row.text: row for row in outbox.rows(anew(store), through=True)}
    left = {state: found[state].state for state in STATES}
    assert left == {state: state for state in STATES} | {"approved": "unknown", "sending": "unknown"}
    assert "backup of 20" in found["approved"].error
    assert found["approved"].raw == b"bytes" and found["done"].raw == b""


def test_without_a_backup_the_error_says_what_is_lost(store: Store, path: Path) -> None:
    drafts.save_text(store, "a", "<q@test>", "My own words", written_by="person", now=NOW)
    store.close()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"store\.sqlite: file is not a database.*are lost: there is no backup yet"):
        Store(path)


def test_one_backup_a_day_two_are_kept_and_nobody_else_can_read_them(store: Store, path: Path) -> None:
    store.back_up(now=NOW)
    assert [file.name for file in path.parent.glob("*backup*")] == []  # nothing to lose yet
    for hours, text in ((0, "first"), (23, "not yet"), (24, "second"), (48, "third")):
        drafts.save_text(store, "a", "<q@test>", text, written_by="person", now=NOW)
        store.back_up(now=NOW + hours * 3600)
    kept = sorted(path.parent.glob("*backup*"))
    assert [file.name for file in kept] == ["store.sqlite.backup", "store.sqlite.backup-older"]
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
    damage(kept[0])
    assert texts(anew(store)) == ["second"]


def test_a_store_is_not_begun_anew_beside_backups_that_cannot_be_read(store: Store, path: Path) -> None:
    drafts.save_text(store, "a", "<q@test>", "My own words", written_by="person", now=NOW)
    store.back_up(now=NOW)
    (backup,) = path.parent.glob("*backup*")
    backup.write_bytes(b"no database")
    with pytest.raises(StoreError, match=r"cannot be read either: .*store\.sqlite\.backup\. Move it away"):
        anew(store)


def test_who_is_forgotten_is_in_no_backup(store: Store, path: Path) -> None:
    for day, text in enumerate(("Dear anna@example.net", "Dear anna@example.net, again")):
        drafts.save_text(store, "a", "<q@test>", text, written_by="person", now=NOW)
        store.back_up(now=NOW + day * DAY)
    forgotten.forget(store, "anna@example.net", now=NOW + 2 * DAY)
    store.back_up(now=NOW + 2 * DAY)
    assert b"anna" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_backup_that_cannot_be_put_in_its_place_is_named_and_leaves_nothing(store: Store, path: Path) -> None:
    drafts.save_text(store, "a", "<q@test>", "My own words", written_by="person", now=NOW)
    store.back_up(now=NOW)
    (path.parent / "store.sqlite.backup-older").mkdir()
    with pytest.raises(StoreError, match="No backup can be made"):
        store.back_up(now=NOW + DAY)
    assert len(list(path.parent.glob("*backup*"))) == 2
