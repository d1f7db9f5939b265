"""The store does the same in SQLite and in PostgreSQL, whoever else writes at the same time and whatever mail holds."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import postgres as postgres_server

from mailassist.errors import StoreError
from mailassist.store import conversations, drafts, index, ledger, outbox, texts, versions
from mailassist.store.database import Store

Open = Callable[[], Store]
BIG = 2**32 - 1  # IMAP numbers have 32 bits and no sign
ODD = "a\x00b \ufdd0 \ufdd00041 ünï 😀"


def row(number: int, *, answers: str = "", folder: str = "INBOX", account: str = "a", **more: object) -> index.IndexRow:
    values = {
        "account": account, "folder": folder, "uidvalidity": BIG, "uid": number, "message_id": f"<{number}@test>",
        "in_reply_to": answers, "reference_ids": "", "thread_id": "", "conversation": 0, "subject": "Hello",
        "sender_name": "Anna", "sender_address": "anna@test", "recipients": "ben@test", "date": 1.5, "received": 2.5,
        "size": 2**33, "flags": "", "labels": "", "headers": b"\x00\xff",
    }  # fmt: skip
    return index.IndexRow(**{**values, **more})  # type: ignore[arg-type]


def cursor(highest: int, folder: str = "INBOX") -> index.Cursor:
    return index.Cursor(folder, "inbox", BIG, highest, 1, message_count=highest)


def approved(store: Store, name: str, **more: object) -> int:
    values = dict.fromkeys(("conversation", "own_id", "fingerprint", "sender", "raw_hash", "text", "subject"), name)
    values |= {"account": "a", "answers": "<q@test>", "message_id": f"<r-{name}@test>", "recipients": "b@test"}
    return outbox.insert(store, {**values, "raw": b"bytes", "not_before": 0.0, **more}, now=1.0)


def test_the_index_keeps_cursors_flags_and_conversations(open_store: Open) -> None:
    store = open_store()
    index.save(store, "a", cursor(BIG), [row(1), row(BIG, answers="<1@test>"), row(3)])
    index.save(store, "a", cursor(BIG), [row(1, subject="Again")])  # a copy that is there gives way
    assert index.cursors(store, "a") == {"INBOX": cursor(BIG)}
    assert {(one.uid, one.subject, one.size) for one in index.conversation_of(store, "a", "<1@test>")} == {
        (1, "Again", 2**33), (BIG, "Hello", 2**33),
    }  # fmt: skip
    index.save(store, "a", cursor(4), [row(4, answers="<3@test> <1@test>")])  # both conversations are one
    assert len(index.conversation_of(store, "a", "<3@test>")) == 4
    index.change_flags(store, "a", "INBOX", {1: (r"\Seen", "")})
    assert index.recent_flags(store, "a", "INBOX", 0.0, 2) == {BIG: ("", ""), 4: ("", "")}
    assert index.headers_of(store, "a", ["<1@test>", "<none@test>"]) == {"<1@test>": b"\x00\xff"}
    assert index.remove(store, "a", "INBOX", [1, 3]) == 2
    assert index.uids(store, "a", "INBOX", 1, BIG) == [4, BIG]
    index.drop_folders(store, "a", [])
    assert index.arrived_since(store, "a", 0.0) == [] and index.cursors(store, "a") == {}


def test_texts_stay_until_their_time(open_store: Open) -> None:
    store = open_store()
    texts.put(store, "a", {"<1@test>": b"one", "<2@test>": b"", "<3@test>": b"three"}, until=10.0)
    texts.put(store, "a", {"<1@test>": b"\x00\xffnew"}, until=20.0)
    assert texts.get(store, "a", ["<1@test>", "<2@test>", "<3@test>"], now=5.0) == {
        "<1@test>": b"\x00\xffnew",
        "<3@test>": b"three",
    }
    assert texts.kept(store, "a") == {"<1@test>", "<2@test>", "<3@test>"}
    assert texts.expire(store, "a", now=5.0, needed=["<1@test>", "<2@test>"]) == 1
    assert texts.expire(store, "a", now=15.0, needed=None) == 1
    assert texts.kept(store, "a") == {"<1@test>"}


def test_what_is_learnt_replaces_what_was_known(open_store: Open) -> None:
    store = open_store()
    store.learn("x", b"1")
    store.learn("x", b"\x00\xff")
    assert open_store().fact("x") == b"\x00\xff" and store.fact("y") is None
    conversations.skip(store, "a", "<c@test>", "<m@test>")
    marked = conversations.delimiter(store, "a", "<c@test>")
    assert conversations.delimiter(store, "a", "<c@test>") == marked
    assert conversations.skipped(store, "a") == {"<c@test>": "<m@test>"}


def test_any_text_comes_back_as_it_was(open_store: Open) -> None:
    store = open_store()
    drafts.save_text(store, "a", ODD, ODD, written_by="person", now=1.0)
    found = drafts.get(store, "a", ODD)
    assert found is not None and found.text == ODD
    assert drafts.save_text(store, "a", ODD, ODD, written_by="person", now=1.0).version == 1
    index.save(store, "a", cursor(1), [row(1, message_id=ODD, subject=ODD)])
    assert [one.subject for one in index.conversation_of(store, "a", ODD)] == [ODD]
    assert index.headers_of(store, "a", [ODD]) == {ODD: b"\x00\xff"}


def test_half_a_surrogate_pair_breaks_nothing_in_postgres(postgres: postgres_server.Postgres) -> None:
    store = Store.on_postgres(postgres.database(postgres_server.with_tables).url())
    drafts.save_text(store, "a", "<q@test>", "\ud83d half", written_by="person", now=1.0)
    found = drafts.get(store, "a", "<q@test>")
    assert found is not None and found.text == "\ud83d half"
    store.close()


def test_messages_that_come_in_together_are_joined_all_the_same(open_store: Open) -> None:
    """Each batch links conversations of others; whatever the order, one is left."""
    stores = [open_store() for _ in range(4)]

    def saved(number: int) -> None:
        folder = f"folder{number}"
        chain = [row(one, folder=folder, answers=f"<{one - 1}@test>") for one in range(number, 200, 4)]
        for start in range(0, len(chain), 7):
            index.save(stores[number], "a", cursor(1, folder), chain[start : start + 7])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(saved, range(4)))
    assert len(index.conversation_of(stores[0], "a", "<5@test>")) == 200


def test_accounts_share_no_conversation(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]

    def saved(number: int) -> None:
        for one in range(20):
            index.save(stores[number], f"a{number}", cursor(one), [row(one, account=f"a{number}")])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(saved, range(4)))
    numbers = [one.conversation for number in range(4) for one in index.arrived_since(stores[0], f"a{number}", 0.0)]
    assert len(numbers) == len(set(numbers)) == 80


def test_a_text_saved_by_many_at_once_is_counted_and_none_is_lost(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]

    def saved(number: int) -> None:
        for one in range(10):
            drafts.save_text(stores[number], "a", "<q@test>", f"{number} {one}", written_by="model", now=1.0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(saved, range(4)))
    found = drafts.get(stores[0], "a", "<q@test>")
    assert found is not None and found.version == 40
    assert len(versions.others(stores[0], "a", "<q@test>", "x")) == 39


def test_one_reply_is_approved_and_one_process_gets_it(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]

    def approve(number: int) -> int | None:
        try:
            return approved(stores[number], str(number))
        except outbox.AnotherReply:
            return None

    def lease(number: int) -> list[int]:
        taken = []
        while found := outbox.lease(
            stores[number], ["a"], now=1.0, seconds=60, owner=f"p{number}", alive=lambda owner: True
        ):
            taken.append(found.id)
        return taken

    with ThreadPoolExecutor(4) as threads:
        (first,) = filter(None, threads.map(approve, range(4)))
        more = [approved(stores[0], f"m{one}", answers=f"<{one}@test>") for one in range(20)]
        leased = sorted(one for taken in threads.map(lease, range(4)) for one in taken)
    assert leased == sorted([first, *more])


def test_of_two_replies_that_are_retried_at_once_one_stays(open_store: Open) -> None:
    stores = [open_store() for _ in range(2)]
    for turn in range(5):
        numbers = []
        for name in ("one", "two"):
            numbers.append(approved(stores[0], name, answers=f"<{turn}@test>"))
            assert outbox.decide(stores[0], numbers[-1], ("approved",), now=2.0, give_back=False, state="refused")

        def retry(which: int, numbers: list[int] = numbers) -> bool:
            try:
                return outbox.decide(
                    stores[which], numbers[which], ("refused",), now=2.0, give_back=False, state="approved"
                )
            except outbox.AnotherReply:
                return False

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(retry, range(2))) == [False, True]


def test_the_key_is_drawn_once(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(Store.key, stores))) == 1


def test_postgres_may_go_away_and_come_back() -> None:
    with postgres_server.running() as server:
        store = Store.on_postgres(server.database(postgres_server.with_tables).url(), "a-secret")
        store.learn("x", b"1")
        with pytest.raises(StoreError) as cut, store.write() as connection:
            ledger_row = {"at": 1.0, "model": "m", "host": "h", "state": "done"}
            connection.execute(ledger.ledger.insert().values(ledger_row))
            server.restart(signal.SIGQUIT)
            connection.execute(ledger.ledger.insert().values(ledger_row))
        assert "Check that PostgreSQL runs" in cut.value.cure and "\n" not in str(cut.value)
        assert store.fact("x") == b"1" and ledger.entries(store) == []  # no error: the connections are made again
        server.stop()
        with pytest.raises(StoreError, match=r"127\.0\.0\.1/team0: .*refused") as gone:
            store.fact("x")
        assert "\n" not in str(gone.value) and "a-secret" not in str(gone.value)
        server.start()
        assert store.fact("x") == b"1"
        store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://a@b/c", "postgresql://user@host/name"),
        ("nonsense", "postgresql://user@host/name"),
        ("{server}/none", "Create the database"),
    ],
)
def test_a_wrong_address_is_told_with_the_cure(postgres: postgres_server.Postgres, url: str, says: str) -> None:
    with pytest.raises(StoreError) as told:
        Store.on_postgres(url.format(server=f"postgresql://owner@127.0.0.1:{postgres.port}")).key()
    assert says in told.value.cure
