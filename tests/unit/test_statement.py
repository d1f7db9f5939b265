"""Statements that the driver runs give what SQLAlchemy gives, and a transaction that failed leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store.database import Store
from mailassist.store.schema import facts, ledger
from mailassist.store.statement import Statement

ROW = {"at": 5.0, "account": "work", "model": "m", "host": "h", "state": "reserved", "estimated": True}
NEW = ledger.insert()
CHOSEN = sa.select(ledger).where(ledger.c.account == sa.bindparam("name"), ledger.c.state != "failed")
SETTLED = ledger.update().where(ledger.c.account == sa.bindparam("name")).returning(ledger.c.id, ledger.c.sent)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def test_rows_are_as_sqlalchemy_gives_them(store: Store) -> None:
    with store.write() as connection:
        assert Statement(NEW).change(connection, ROW) == 1
        assert Statement(NEW.returning(ledger.c.id)).scalar(connection, {**ROW, "cost": 0.5, "sent": False}) == 2
        connection.execute(NEW, {**ROW, "state": "failed"})
        expected = [tuple(row) for row in connection.execute(CHOSEN, {"name": "work"})]
        found = Statement(CHOSEN).rows(connection, {"name": "work"})
    assert found == expected and len(found) == 2
    # True and 1 are equal: their types are not.
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in expected]
    assert found[0][ledger.c.keys().index("purpose")] == "draft"  # a default


def test_an_update_changes_what_it_is_given_and_tells_it(store: Store) -> None:
    settle = Statement(SETTLED)
    with store.write() as connection:
        for _ in range(2):
            connection.execute(NEW, ROW)
        assert settle.first(connection, {"name": "work", "sent": False}) == (1, False)
        assert settle.rows(connection, {"name": "work", "state": "done", "cost": 0.25}) == [(1, False), (2, False)]
        assert settle.first(connection, {"name": "other", "state": "done"}) is None
        query = sa.select(ledger.c.state, ledger.c.cost, ledger.c.sent)
        assert connection.execute(query).all() == [("done", 0.25, False)] * 2


def test_a_list_is_refused(store: Store) -> None:
    with store.read() as connection, pytest.raises(AssertionError, match="list"):
        Statement(sa.select(ledger.c.id).where(ledger.c.id.in_([1, 2]))).rows(connection)


def test_after_an_error_of_the_database_the_next_transaction_works(store: Store) -> None:
    fact = Statement(facts.insert())
    with pytest.raises(StoreError), store.write() as connection:
        fact.change(connection, {"name": "one", "value": b"1"})
        fact.change(connection, {"name": "one", "value": b"2"})
    assert store.fact("one") is None
    store.learn("one", b"3")
    assert store.fact("one") == b"3"


def test_after_any_other_error_too(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        Statement(facts.insert()).change(connection, {"name": "one", "value": b"1"})
        raise ZeroDivisionError()
    assert store.fact("one") is None
    store.learn("one", b"2")
    assert store.fact("one") == b"2"


def test_many_threads_write_and_read_at_once(store: Store) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for step in range(20):
            store.learn(f"fact {number}", str(step).encode())
            if store.fact(f"fact {number}") != str(step).encode():
                wrong.append((number, step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
