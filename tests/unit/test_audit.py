"""The audit trail: what tampering with the real table shows, what writers at once make of it, and where its key is."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mailassist.cli import group
from mailassist.config import Config
from mailassist.errors import AuditBroken, InputError, SecretError
from mailassist.store import audit, forgotten
from mailassist.store.database import Store
from mailassist.store.team_schema import audit_inbox, cases
from mailassist.team import audit_key
from mailassist.team.audit import DAY, InboxTrail, Trail, seal_inbox
from mailassist.team.audit_proof import Proof, noted_head, verify

KEY = b"k" * 32
NOW = 1_800_000_000.0
WRITTEN, SENT = "Dear Maria, the model wrote this.", "Dear Maria, this was sent."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def trail(store: Store, key: bytes = KEY) -> Trail:
    return Trail(store, key, lambda: NOW, retention_days={"support": 10})


def filled(store: Store, count: int = 6) -> tuple[int, str]:
    """A trail of `count` entries; its head."""
    made = trail(store)
    for number in range(1, count + 1):
        details = {"note": number}
        assert number == made.record(
            "approved", who="ann", mailbox="support", case_id=number, written=WRITTEN, sent=SENT, details=details
        )
    return made.head()


def by_hand(store: Store, *statements: str) -> None:
    """What somebody with the file and without the key can do."""
    assert store.path is not None
    with closing(sqlite3.connect(store.path)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)


def bad(proof: Proof) -> tuple[int, str] | None:
    return (proof.bad.number, proof.bad.problem) if proof.bad else None


def test_a_trail_that_nobody_touched_is_whole(store: Store) -> None:
    head = filled(store)
    proof = verify(store, KEY, noted=head)
    assert proof.whole and proof.entries == 6 and (proof.number, proof.seal) == head


SWAP = (
    "UPDATE audit SET number = 0 WHERE number = {0}",
    "UPDATE audit SET number = {0} WHERE number = {1}",
    "UPDATE audit SET number = {1} WHERE number = 0",
)


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit SET who = 'bob' WHERE number = 3"], (3, "changed")),
        (["UPDATE audit SET at = at + 1e-6 WHERE number = 1"], (1, "changed")),
        (["UPDATE audit SET case_id = NULL WHERE number = 6"], (6, "changed")),
        (["UPDATE audit SET details = '' WHERE number = 4"], (4, "changed")),
        (["UPDATE audit SET sent_hash = written_hash WHERE number = 2"], (2, "changed")),
        (["UPDATE audit SET seal = 99 WHERE number = 5"], (5, "changed")),
        (["UPDATE audit SET at = 'noon', mailbox = x'00ff' WHERE number = 5"], (5, "changed")),
        (["DELETE FROM audit WHERE number = 3"], (3, "missing")),
        (["DELETE FROM audit WHERE number <= 4"], (1, "missing")),
        (["DELETE FROM audit WHERE number = 3", "UPDATE audit SET number = number - 1 WHERE number > 3"],
         (3, "changed")),
        ([one.format(2, 5) for one in SWAP], (2, "out of order")),
        ([one.format(3, 4) for one in SWAP], (3, "out of order")),
        (["INSERT INTO audit SELECT 7, at, who, action, mailbox, case_id, written_hash, sent_hash, details, seal "
          "FROM audit WHERE number = 6"], (7, "out of order")),
        (["INSERT INTO audit SELECT 0, at, who, action, mailbox, case_id, written_hash, sent_hash, details, seal "
          "FROM audit WHERE number = 6"], (0, "changed")),
        (["UPDATE audit_texts SET sent = 'another' WHERE number = 2"], (2, "text changed")),
        (["UPDATE audit SET written_hash = '' WHERE number = 2", "DELETE FROM audit_texts"], (2, "changed")),
        (["DELETE FROM audit WHERE number = 6"], (6, "cut off")),
        (["DELETE FROM audit"], (1, "cut off")),
    ],
)  # fmt: skip
def test_tampering_is_found_and_named(store: Store, statements: list[str], found: tuple[int, str]) -> None:
    head = filled(store)
    by_hand(store, *statements)
    assert bad(verify(store, KEY, noted=head)) == found


def test_a_tail_cut_off_shows_against_a_noted_head_only(store: Store) -> None:
    early = filled(store, 4)
    late = filled_further(store)
    by_hand(store, "DELETE FROM audit WHERE number > 4")
    assert verify(store, KEY).whole and verify(store, KEY, noted=early).whole
    assert bad(verify(store, KEY, noted=late)) == (5, "cut off")


def filled_further(store: Store) -> tuple[int, str]:
    trail(store).record("released", who="ann")
    trail(store).record("claimed", who="bob")
    return trail(store).head()


def test_a_trail_written_anew_without_the_key_or_with_it_is_found(store: Store, tmp_path: Path) -> None:
    head = filled(store)
    assert bad(verify(store, b"another key of 32 bytes or more!", noted=head)) == (1, "wrong key")
    for key, found in ((b"x" * 32, (1, "wrong key")), (KEY, (6, "changed"))):
        other = Store(tmp_path / f"{key[:1].hex()}.sqlite")
        made = trail(other, key)
        for _ in range(6):
            made.record("approved", who="eve")
        assert bad(verify(other, KEY, noted=head)) == found
        other.close()


VALUES = st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()


@given(st.lists(VALUES), st.lists(VALUES))
def test_different_values_have_different_bytes(one: list[audit.Value], other: list[audit.Value]) -> None:
    same = [(type(value), repr(value)) for value in one] == [(type(value), repr(value)) for value in other]
    assert (audit.encoded(one) == audit.encoded(other)) == same


@given(st.lists(st.text(alphabet="a\0s1", max_size=4), min_size=9, max_size=9), st.data())
def test_no_text_moves_unseen_from_one_field_to_the_next(fields: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len("".join(fields))))
    place = data.draw(st.integers(0, 7))
    joined = fields[place] + fields[place + 1]
    moved = [*fields[:place], joined[:cut], joined[cut:], *fields[place + 2 :]]
    assert (audit.encoded(fields) == audit.encoded(moved)) == (fields == moved)


@settings(deadline=None)
@given(who=st.text(), action=st.text(), written=st.text(), details=st.dictionaries(st.text(), st.text()))
def test_whatever_is_recorded_verifies(who: str, action: str, written: str, details: dict[str, str]) -> None:
    with closing(Store.in_memory()) as memory:
        Trail(memory, KEY).record(action, who=who, written=written, sent="\ud800\0", details=details)
        assert verify(memory, KEY).whole


def write_many(path: Path, count: int) -> None:
    with closing(Store(path)) as opened:
        for _ in range(count):
            trail(opened).record("claimed", who="ann")


def test_threads_and_processes_write_one_trail_without_gap(store: Store) -> None:
    assert store.path is not None
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=write_many, args=(store.path, 25)) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda: [trail(store).record("claimed", who="bob") for _ in range(25)])
        for _ in range(3)
    ]
    for one in (*processes, *threads):
        one.start()
    for one in (*processes, *threads):
        one.join()
    proof = verify(store, KEY)
    assert proof.whole and proof.entries == 125


def test_an_entry_is_there_when_its_change_is(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        trail(store).record_in(connection, "claimed", who="ann")
        raise ZeroDivisionError
    assert trail(store).head() == (0, audit.NO_SEAL.hex())


def test_what_waits_in_the_inbox_is_sealed_once_and_in_order(store: Store) -> None:
    inbox = InboxTrail(store, lambda: NOW - 5)
    with store.write() as connection:
        for number in range(450):
            said = {"case_id": number, "sent": SENT, "details": {"n": number}}
            inbox.record_in(connection, "sent", mailbox="support", **said)
    with store.write() as connection:  # what a client may write that does not use ours
        for details in ("[" * 100_000, '{"a": NaN}', "no json", '{"inbox": 1}'):
            row = {"at": 1e300, "who": "eve", "action": "sent", "details": details}
            connection.execute(audit_inbox.insert().values(row))
    assert verify(store, KEY).waiting == 454
    sealers = [threading.Thread(target=seal_inbox, args=(store, KEY, lambda: NOW)) for _ in range(3)]
    for one in sealers:
        one.start()
    for one in sealers:
        one.join()
    proof = verify(store, KEY)
    assert proof.whole and proof.entries == 454 and proof.waiting == 0
    with store.read() as connection:
        found = list(audit.entries(connection))
    assert [json.loads(one.details)["n"] for one in found[:450]] == list(range(450))
    assert found[0].at == NOW - 5 and found[0].sent == SENT and found[453].at == NOW
    assert json.loads(found[453].details) == {"inbox": 454}


class Crash(Exception):
    pass


def test_a_crash_while_sealing_loses_and_doubles_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        InboxTrail(store, lambda: NOW).record("sent")
    real, calls = audit.append, 0

    def crashing(*args: object, **kwargs: object) -> audit.Entry:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Crash
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(audit, "append", crashing)
    with pytest.raises(Crash):
        seal_inbox(store, KEY)
    assert verify(store, KEY).waiting == 3 and verify(store, KEY).entries == 0
    assert seal_inbox(store, KEY) == 3 and seal_inbox(store, KEY) == 0
    assert verify(store, KEY).entries == 3


def test_retention_and_forget_empty_the_texts_and_the_trail_stays_proven(store: Store) -> None:
    made = trail(store)
    made.record("approved", who="ann", mailbox="support", written=WRITTEN, sent=SENT)
    made.record("approved", who="ann", mailbox="sales", written="of sales", sent="of sales")
    made.record("approved", who="ann", mailbox="sales", sent="Ask maria@example.net about it")
    made.record("approved", who="ann", mailbox="sales", case_id=1, sent="nothing that names her")
    with store.write() as connection:
        row = {"id": 1, "mailbox": "sales", "conversation": "c", "message_id": "m", "arrived": NOW}
        times = {"created_at": NOW, "changed_at": NOW, "correspondent": "Maria <maria@example.net>"}
        connection.execute(cases.insert().values(**row, **times))
        assert audit.remove_old_texts(connection, now=NOW + 10 * DAY) == 1
    forgotten.forget(store, "maria@example.net", now=NOW)
    assert verify(store, KEY, noted=made.head()).whole
    with store.read() as connection:
        left = [(one.written, one.sent) for one in audit.entries(connection)]
    assert left == [("", ""), ("of sales", "of sales"), ("", ""), ("", "")]
    assert store.path is not None
    assert all(b"names her" not in path.read_bytes() for path in store.path.parent.glob("store.sqlite*"))


# --- the key ---


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


Places = dict[str, Path]


@pytest.fixture
def places(tmp_path: Path, no_keyring: None) -> Places:
    (tmp_path / "etc").mkdir()
    return {"config_path": tmp_path / "etc" / "config.toml", "data_folder": tmp_path}


def test_the_daemon_makes_a_key_once_and_warns_that_it_lies_beside_the_store(store: Store, places: Places) -> None:
    first = audit_key.for_daemon(Config(), **places, store=store)
    assert "beside the store" in first.warning and len(first.key) >= 32
    path = places["data_folder"] / audit_key.KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert audit_key.for_daemon(Config(), **places, store=store) == first
    Trail(store, first.key).record("started", who="daemon")
    path.unlink()
    with pytest.raises(SecretError, match="gone"):  # never another key for a trail that has begun
        audit_key.for_daemon(Config(), **places, store=store)


def test_several_machines_never_make_a_key_each(store: Store, places: Places) -> None:
    config = Config.model_validate({"team": {"database": "postgresql://a@db/a"}})
    with pytest.raises(SecretError, match="mailassist audit key"):
        audit_key.for_daemon(config, **places, store=store)


def test_a_key_that_others_can_read_or_that_is_short_is_refused(places: Places) -> None:
    path = places["config_path"].parent / "my.key"
    config = Config.model_validate({"team": {"audit_key_file": path}})
    path.write_bytes(bytes(range(200, 232)))
    path.chmod(0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        audit_key.needed(config, **places)
    path.chmod(0o600)
    assert audit_key.needed(config, **places).key == bytes(range(200, 232))
    path.write_text("short\n" + "x" * 40)
    with pytest.raises(SecretError, match="only 5 bytes"):
        audit_key.needed(config, **places)


def test_systemd_hands_the_key_over_as_a_credential(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    audit_key.create(places["config_path"].parent / audit_key.KEY_FILE)
    as_file = audit_key.needed(Config(), **places)
    credentials = places["data_folder"] / "credentials"
    credentials.mkdir()
    (credentials / "mailassist.audit").write_bytes((places["config_path"].parent / audit_key.KEY_FILE).read_bytes())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    found = audit_key.needed(Config(), **places)
    assert found.key == as_file.key and found.origin == str(credentials / "mailassist.audit")
    assert not found.warning and found.key.decode() not in repr(found)


# --- the commands ---


@pytest.fixture
def run(tmp_path: Path, no_keyring: None) -> Callable[..., str]:
    config = tmp_path / "etc" / "config.toml"
    config.parent.mkdir()
    config.write_text(f'data_folder = "{tmp_path}"\n')

    def call(*words: str) -> str:
        done = CliRunner().invoke(group, ["audit", *words, "--config", str(config)], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    return call


def test_the_commands_make_a_key_prove_the_trail_and_name_what_is_wrong(
    run: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(SecretError, match="mailassist audit key"):
        run("verify")
    assert "new key" in run("key") and str(tmp_path / "etc" / "audit.key") in run("key")
    key = audit_key.needed(Config(), config_path=tmp_path / "etc" / "config.toml", data_folder=tmp_path).key
    with closing(Store(tmp_path / "mailassist.sqlite")) as opened:
        for case in (7, 8):
            Trail(opened, key).record("approved\x1b[2J", who="ann", mailbox="support", case_id=case, sent=SENT)
        number, seal = Trail(opened, key).head()
        InboxTrail(opened).record("sent")
        said = json.loads(run("verify", "--head", f"{number}:{seal}", "--json"))
        assert said == {
            "whole": True, "entries": 2, "head": {"number": 2, "seal": seal}, "waiting": 1, "bad": None
        }  # fmt: skip
        shown = json.loads(run("show", "--case", "8", "--json"))
        assert [(one["number"], one["who"], one["sent"]) for one in shown] == [(2, "ann", SENT)]
        assert "\x1b" not in run("show") and "no such entry" in run("show", "--since", "2999-01-01")
        by_hand(opened, "UPDATE audit SET who = 'bob', at = 1e300 WHERE number = 2")
        with pytest.raises(AuditBroken, match="Entry 2 was changed") as raised:
            run("verify")
        assert raised.value.exit_code == 19 and "bob" in run("show")


@pytest.mark.parametrize("text", ["", "5", "5:", "5:abc", "x:" + "0" * 64, "-1:" + "0" * 64, "٣:" + "0" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        noted_head(text)
