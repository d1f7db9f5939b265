"""`forget` removes a person from every table and from the bytes of the file, and what was there does not come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from memory_source import ME, NOW, MemorySource, mail

from mailassist.config import Account, ServerSettings, SyncSettings
from mailassist.errors import StoreError
from mailassist.intake.sync import sync
from mailassist.intake.waiting import waiting
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import conversations, drafts, forgotten, outbox, schema
from mailassist.store.database import Store

MARK = "maria.forgotten@example.net"
PERSON = f"Maria Forgettable <{MARK}>"
OTHER = "Joanna <joanna@example.net>"
OWN = OwnAddresses.of([(ME, [])])
ACCOUNT = Account(
    address=ME,
    imap=ServerSettings(host="127.0.0.1", port=143, security="none"),
    sync=SyncSettings(keep_text="all"),
)


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def source() -> MemorySource:
    made = MemorySource()
    made.put("Archive", mail("p1", sender=PERSON, days=5, body="secret words of hers"))
    made.put("Sent", mail("p2", sender=ME, to=PERSON, answers="p1", days=4, body="my words to her"))
    made.put("INBOX", mail("p3", sender=PERSON, answers="p2", days=3, body="more secret words"))
    made.put("INBOX", mail("group", sender=OTHER, to=f"{ME}, {MARK.upper()}", subject="Group"))
    made.put("INBOX", mail("told", sender=OTHER, subject="Told", body=f"Ask {MARK}, she knows."))
    made.put("INBOX", mail("stays", sender=OTHER, subject="Other"))
    made.put("INBOX", mail("near", sender=f"x{MARK}", subject="Near"))
    return made


def read(source: MemorySource, store: Store) -> list[str]:
    sync(source, store, "a", ACCOUNT, OWN, now=lambda: NOW)
    return sorted(one.message_id for one in waiting(store, "a", ACCOUNT, OWN, now=lambda: NOW))


def everything(store: Store) -> bytes:
    """All bytes of the store's files; in PostgreSQL, which keeps some for a while, all that it answers."""
    if store.path is None:
        with store.read() as connection:
            rows = [row for table in schema.metadata.sorted_tables for row in connection.execute(sa.select(table))]
        return b"\n".join(one if isinstance(one, bytes) else str(one).encode() for row in rows for one in row).lower()
    return b"".join(path.read_bytes() for path in store.path.parent.glob("store.sqlite*")).lower()


def work_on(store: Store, *, state: str) -> int:
    """A draft, a skip and a reply to her, the reply in `state`."""
    drafts.save_text(store, "a", "<p3@test>", "Dear Maria, replaced words", written_by="model", now=NOW)
    drafts.save_text(store, "a", "<p3@test>", "Dear Maria, draft words", written_by="person", now=NOW)
    conversations.skip(store, "a", "<p1@test>", "<p3@test>")
    values = dict.fromkeys(("conversation", "own_id", "fingerprint", "sender", "raw_hash"), "x")
    values |= {"account": "a", "answers": "<p3@test>", "message_id": "<r@test>", "recipients": MARK}
    number = outbox.insert(
        store,
        values | {"raw": b"reply words", "text": "reply words", "subject": "Re: Offer", "not_before": NOW},
        now=NOW,
    )
    with store.write() as connection:
        connection.execute(schema.outbox.update().values(state=state))
    return number


def test_no_trace_is_left_in_the_bytes_of_the_file(store: Store, source: MemorySource) -> None:
    read(source, store)
    work_on(store, state="done")
    assert MARK.encode() in everything(store)
    removed = forgotten.forget(store, MARK.upper(), now=NOW)
    assert (removed.messages, removed.drafts, removed.replies, removed.kept_replies) == (4, 1, 1, ())
    assert removed.texts == 5
    assert removed.conversations == 1
    left = everything(store).replace(b"x" + MARK.encode(), b"")
    for trace in (
        MARK,
        "forgettable",
        "secret words",
        "my words to her",
        "draft words",
        "replaced words",
        "reply words",
    ):
        assert trace.encode() not in left, trace


def test_others_stay(store: Store, source: MemorySource) -> None:
    read(source, store)
    forgotten.forget(store, MARK, now=NOW)
    left = sorted(one.message_id for one in waiting(store, "a", ACCOUNT, OWN, now=lambda: NOW))
    assert left == ["<near@test>", "<stays@test>", "<told@test>"]


def test_what_was_forgotten_does_not_come_back_but_later_mail_does(store: Store, source: MemorySource) -> None:
    read(source, store)
    forgotten.forget(store, MARK, now=NOW - 1)
    source.uidvalidity["INBOX"] = source.uidvalidity["Sent"] = 2
    assert read(source, store) == ["<near@test>", "<stays@test>", "<told@test>"]
    assert MARK.encode() not in everything(store).replace(b"x" + MARK.encode(), b"")
    source.put("INBOX", mail("later", sender=PERSON, subject="New", days=0))
    assert "<later@test>" in read(source, store)


def test_forgetting_can_be_taken_back(store: Store, source: MemorySource) -> None:
    before = read(source, store)
    forgotten.forget(store, MARK, now=NOW)
    assert forgotten.remember_again(store, MARK)
    assert not forgotten.remember_again(store, MARK)
    assert read(source, store) == before


def test_a_reply_on_its_way_is_kept_and_named(store: Store, source: MemorySource) -> None:
    read(source, store)
    number = work_on(store, state="approved")
    removed = forgotten.forget(store, MARK, now=NOW)
    assert removed.kept_replies == ((number, "approved", "Re: Offer"),)
    assert outbox.get(store, number) is not None


def test_another_mailassist_that_holds_the_file_is_named(tmp_path: Path, source: MemorySource) -> None:
    store, other = Store(tmp_path / "store.sqlite"), Store(tmp_path / "store.sqlite")
    read(source, store)
    with other.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one()
        with pytest.raises(StoreError, match=r"[Aa]nother mailassist"):
            forgotten.forget(store, MARK, now=NOW)
    other.close()
    forgotten.forget(store, MARK, now=NOW)
    assert b"forgettable" not in everything(store)
