"""The audit trail on PostgreSQL: writers of several processes, and people who have no key."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from servers.postgres import Database, Postgres, with_tables

from mailassist.errors import StoreError
from mailassist.store import audit
from mailassist.store.database import Store
from mailassist.store.grants import grant
from mailassist.team.audit import InboxTrail, Trail, seal_inbox
from mailassist.team.audit_proof import verify

KEY = b"k" * 32


@pytest.fixture
def database(postgres: Postgres) -> Database:
    return postgres.database(with_tables)


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with closing(Store.on_postgres(database.url())) as opened:
        yield opened


def write_many(url: str, count: int) -> None:
    with closing(Store.on_postgres(url)) as opened:
        for _ in range(count):
            Trail(opened, KEY).record("claimed", who="ann", written="\0 and \ud800", details={"a": "\0"})


def test_processes_and_threads_write_one_trail_without_gap(database: Database, store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(database.url(), 25)) for _ in range(2)]
    writers += [threading.Thread(target=write_many, args=(database.url(), 25)) for _ in range(3)]  # type: ignore[misc]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    head = Trail(store, KEY).head()
    proof = verify(store, KEY, noted=head)
    assert proof.whole and proof.entries == 125
    database.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
    database.execute("UPDATE audit SET seal = '\\x00' WHERE number = 70")
    assert verify(store, KEY).bad.number == 70  # type: ignore[union-attr]


def test_a_person_who_may_only_insert_is_recorded_and_sealed_once(
    database: Database, postgres: Postgres, store: Store
) -> None:
    ann = postgres.role("ann")
    ((begun,),) = database.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    grant(store, ann, "draft")
    with closing(Store.on_postgres(database.url(ann))) as hers:
        for number in range(250):
            InboxTrail(hers, lambda: 1.0).record(  # a clock that is wrong, or turned back
                "sent", who="bob", mailbox="support", case_id=number, sent="Yours", details={"n": number}
            )
        with pytest.raises(StoreError):
            Trail(hers, KEY).record("sent", who="ann")
    database.execute("UPDATE audit_inbox SET at = 'NaN' WHERE id = (SELECT min(id) FROM audit_inbox)")
    sealers = [threading.Thread(target=seal_inbox, args=(store, KEY)) for _ in range(3)]
    for one in sealers:
        one.start()
    for one in sealers:
        one.join()
    proof = verify(store, KEY)
    assert proof.whole and proof.entries == 250 and proof.waiting == 0
    with store.read() as connection:
        found = list(audit.entries(connection))
    assert {one.who for one in found} == {ann}
    assert min(one.at for one in found) >= begun
    assert [json.loads(one.details)["n"] for one in found] == list(range(250))
