"""The header index follows the mailbox: new, moved, expunged, renumbered, interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import ANNA, ME, NOW, MemorySource, mail

from mailassist.config import Account, FolderSettings, ServerSettings, SyncSettings
from mailassist.errors import ConnectionFailed, MailboxError
from mailassist.intake import batches
from mailassist.intake import sync as syncing
from mailassist.intake.grouping import conversations
from mailassist.intake.pull import pull
from mailassist.intake.sync import SyncResult, sync
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.parse import parse_headers
from mailassist.mail.threads import thread
from mailassist.store import index, texts
from mailassist.store.database import Store
from mailassist.transport.source import FolderState, HeaderRecord

IMAP = ServerSettings(host="127.0.0.1", port=143, security="none")
OWN = OwnAddresses.of([(ME, [])])


def now() -> float:
    return NOW


def account(**options: object) -> Account:
    return Account(address=ME, imap=IMAP, sync=SyncSettings(**({"keep_text": "none"} | options)))  # type: ignore[arg-type]


def run(source: MemorySource, store: Store, wanted: Account | None = None) -> SyncResult:
    return sync(source, store, "a", wanted or account(), OWN, now=now)


def indexed(store: Store) -> set[tuple[str, int, str]]:
    """What the index holds: folder, UID, Message-ID."""
    found = index.active_conversations(store, "a", 0.0)
    return {(row.folder, row.uid, row.message_id) for rows in found.values() for row in rows}


def there(source: MemorySource, *folders: str) -> set[tuple[str, int, str]]:
    """What lies in the folders that are indexed."""
    return {
        (folder, uid, parse_headers(one.raw).message_id)
        for folder in folders or ("INBOX", "Sent", "Archive")
        for uid, one in source.boxes[folder].items()
    }


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few messages are many batches."""
    monkeypatch.setattr(batches, "BATCH", 3)
    monkeypatch.setattr(batches, "WINDOW", 7)
    monkeypatch.setattr(syncing, "FIRST", 4)


def filled(count: int = 20) -> MemorySource:
    source = MemorySource()
    for number in range(count):
        source.put(("INBOX", "Sent", "Archive")[number % 3], mail(f"m{number}", days=count - number))
    return source


def test_everything_is_indexed_and_a_second_run_fetches_nothing(small_batches: None) -> None:
    source, store = filled(), Store.in_memory()
    assert run(source, store).new == 20
    assert indexed(store) == there(source)
    source.asked.clear()
    assert not run(source, store, account(days=700)).changed
    assert not [call for call in source.asked if call.startswith("uids")]


def test_the_newest_are_indexed_first(small_batches: None) -> None:
    source, store = filled(60), Store.in_memory()
    seen: list[int] = []
    sync(source, store, "a", account(), OWN, now=now, progress=lambda _: seen.append(len(indexed(store))))
    first = MemorySource(boxes=source.boxes, nexts=source.nexts)
    half = Store.in_memory()
    rounds = iter([False] * 8)
    sync(first, half, "a", account(), OWN, now=now, stopped=lambda: next(rounds, True))
    uids = sorted(uid for folder, uid, _ in indexed(half) if folder == "INBOX")
    assert uids == list(range(21 - len(uids), 21))
    assert seen == sorted(seen)


def test_new_mail_comes_in_above_the_cursor() -> None:
    source, store = filled(), Store.in_memory()
    run(source, store)
    source.put("INBOX", mail("new", days=0))
    result = run(source, store)
    assert (result.new, result.changed) == (1, True)
    assert indexed(store) == there(source)


def test_expunged_messages_leave_the_index() -> None:
    source, store = filled(), Store.in_memory()
    run(source, store)
    del source.boxes["Archive"][2], source.boxes["Sent"][5]
    source.put("Archive", mail("new", days=0))
    assert run(source, store).removed == 2
    assert indexed(store) == there(source)


def test_a_changed_uidvalidity_starts_the_folder_anew_and_keeps_the_texts() -> None:
    source, store = filled(6), Store.in_memory()
    run(source, store)
    texts.put(store, "a", {"<m0@test>": b"kept"}, until=NOW + 9)
    source.uidvalidity["INBOX"] = 2
    source.boxes["INBOX"] = {uid + 50: one for uid, one in source.boxes["INBOX"].items()}
    source.nexts["INBOX"] = 60
    assert run(source, store, account(keep_text="all")).restarted == ("INBOX",)
    assert indexed(store) == there(source)
    assert texts.get(store, "a", ["<m0@test>"], now=NOW) == {"<m0@test>": b"kept"}


def test_drafts_junk_trash_and_skipped_folders_are_left_out() -> None:
    source, store = filled(3), Store.in_memory()
    for folder in ("Drafts", "Junk", "Trash", "Projects", "Secret"):
        source.put(folder, mail(folder))
    run(source, store, account().model_copy(update={"folders": FolderSettings(skip=["Secret"])}))
    assert {folder for folder, _, _ in indexed(store)} == {"INBOX", "Sent", "Archive", "Projects"}


def test_a_folder_that_is_gone_leaves_the_index() -> None:
    source, store = filled(3), Store.in_memory()
    source.put("Projects", mail("p"))
    run(source, store)
    del source.boxes["Projects"]
    run(source, store)
    assert indexed(store) == there(source)


def test_what_is_older_than_the_limit_stays_out_even_below_moved_old_mail(small_batches: None) -> None:
    source, store = MemorySource(), Store.in_memory()
    for number in range(4):
        source.put("INBOX", mail(f"recent{number}", days=5 - number))
    for number in range(30):
        source.put("INBOX", mail(f"moved{number}", days=1000))
    source.put("INBOX", mail("last", days=1))
    run(source, store, account(days=730))
    assert {name for _, _, name in indexed(store)} == {f"<recent{n}@test>" for n in range(4)} | {"<last@test>"}


def test_far_apart_uids_need_few_searches() -> None:
    source, store = MemorySource(), Store.in_memory()
    source.put("INBOX", mail("first", days=9))
    source.nexts["INBOX"] = 2_000_000_000
    source.put("INBOX", mail("last"))
    run(source, store)
    assert len(indexed(store)) == 2
    assert source.asked.count("uids INBOX") < 20


class Breaking(MemorySource):
    """The connection breaks at the given call of `headers`."""

    left = 0

    def headers(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        Breaking.left -= 1
        if Breaking.left < 0:
            raise ConnectionFailed("cut")
        return super().headers(folder, uids)


def test_a_break_at_any_fetch_loses_nothing(small_batches: None) -> None:
    whole = filled(30)
    for broken in range(12):
        source = Breaking(boxes=whole.boxes, nexts=whole.nexts)
        store = Store.in_memory()
        Breaking.left = broken
        with pytest.raises(ConnectionFailed):
            run(source, store)
        assert len(indexed(store)) >= min(broken, 10) * 2
        Breaking.left = 999
        run(source, store)
        assert indexed(store) == there(source)


def test_a_folder_that_does_not_open_costs_that_folder_only() -> None:
    class Closed(MemorySource):
        def examine(self, folder: str) -> FolderState:
            if folder == "Archive":
                raise MailboxError("NOPERM")
            return super().examine(folder)

    source, store = Closed(), Store.in_memory()
    conversation(source)
    result = run(source, store)
    assert indexed(store) == there(source, "INBOX", "Sent")
    assert result.unread == ("NOPERM",) and result.complete


def test_names_that_no_folder_has_are_told_and_the_others_are_read() -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    folders = FolderSettings(inbox=["inbox", "Archve"], sent="Snt", also=["Archive", "Xyz"])
    result = run(source, store, account().model_copy(update={"folders": folders}))
    assert indexed(store) == there(source)
    assert [line.partition(", ")[0] for line in result.unknown] == [
        "There is no folder 'Archve'", "There is no folder 'Snt'", "There is no folder 'Xyz'",
    ]  # fmt: skip
    assert "folders.inbox names. Did you mean 'Archive'?" in result.unknown[0]
    assert "Did you mean 'Sent'?" in result.unknown[1] and "The folders are: INBOX, " in result.unknown[2]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_index_finds_what_the_thread_rules_put_together(data: st.DataObject) -> None:
    """In whatever order and batches messages come, each conversation is found whole, and is the same."""
    count = data.draw(st.integers(1, 25))
    names = st.integers(0, count + 4).map("<{}@x>".format)
    records = []
    source = MemorySource()
    for number in range(count):
        references = data.draw(st.lists(names, max_size=3))
        answers = references[-1] if references and data.draw(st.booleans()) else ""
        fields = {"References": " ".join(references)} | ({"In_Reply_To": answers} if answers else {})
        subject = data.draw(st.sampled_from(["a", "Re: a", "b"]))
        raw = mail("x", subject=subject, days=count - number, **fields).replace(b"<x@test>", f"<{number}@x>".encode())
        source.put("INBOX", raw)
        records.append(parse_headers(raw))
    expected = {frozenset(entry.message.message_id for entry in one.entries) for one in thread(records, OWN)}
    store = Store.in_memory()
    order = data.draw(st.permutations(sorted(source.boxes["INBOX"])))
    everything = dict(source.boxes["INBOX"].items())
    source.boxes["INBOX"], source.nexts["INBOX"] = {}, 1
    while order:
        size = data.draw(st.integers(1, len(order)))
        for uid in order[:size]:
            source.put("INBOX", everything[uid].raw)
        order = order[size:]
        run(source, store)
    for group in expected:
        rows = index.conversation_of(store, "a", min(group))
        found = [{entry.message.message_id for entry in one.entries} for one, _ in conversations(rows, OWN)]
        assert group in found


def conversation(source: MemorySource) -> None:
    source.put("Archive", mail("one", days=9))
    source.put("Sent", mail("two", sender=ME, to=ANNA, answers="one", days=8))
    source.put("INBOX", mail("three", answers="two", days=1))
    source.put("Archive", mail("three", answers="two", days=1))


def test_a_warm_pull_searches_nothing_and_opens_each_folder_once() -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    run(source, store)
    source.asked.clear()
    pulled = pull(source, store, "a", account(), OWN, "<three@test>", now=now)
    assert [entry.message.message_id for entry in pulled.conversation.entries] == [
        "<one@test>",
        "<two@test>",
        "<three@test>",
    ]
    assert source.asked == ["raw Archive", "raw Sent"]
    assert {place.folder for place in pulled.locations["<three@test>"]} == {"INBOX", "Archive"}
    assert pulled.conversation.newest.message.text.strip() == "This is three."


def test_a_stale_index_leads_to_one_look_up() -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    run(source, store)
    moved = source.boxes["Sent"].pop(1)
    source.put("Projects", moved.raw)
    pulled = pull(source, store, "a", account(), OWN, "<three@test>", now=now)
    assert len(pulled.conversation.entries) == 3
    assert source.asked.count("thread") == 1


def test_a_message_that_names_the_id_of_another_takes_its_place_neither_warm_nor_cold() -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    forged = mail("one", sender="eve@evil.example", answers="zero", days=2, body="Longer than what Anna wrote. " * 9)
    source.put("INBOX", forged, days=2)
    cold = pull(source, store, "a", account(), OWN, "<three@test>", now=now)
    run(source, store)
    for pulled in (cold, pull(source, store, "a", account(), OWN, "<three@test>", now=now)):
        assert pulled.conversation.entries[0].message.text.strip() == "This is one."


@pytest.mark.parametrize("policy", ["needed", "all", "none"])
def test_texts_are_kept_as_the_configuration_says(policy: str) -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    source.put("Archive", mail("other", subject="Other", days=3))
    source.put("Sent", mail("mine", subject="Other", sender=ME, to=ANNA, answers="other", days=2))
    wanted = account(keep_text=policy)
    run(source, store, wanted)
    kept = texts.kept(store, "a")
    talk = {"<one@test>", "<two@test>", "<three@test>"}
    assert kept == {"needed": talk, "all": talk | {"<other@test>", "<mine@test>"}, "none": set()}[policy]
    source.asked.clear()
    pulled = pull(source, store, "a", wanted, OWN, "<three@test>", now=now)
    assert len(pulled.raw) == 3
    assert ("raw Archive" in source.asked) == (policy == "none")


def test_sent_replies_are_kept_only_when_the_user_agreed_to_learning() -> None:
    source, store = MemorySource(), Store.in_memory()
    source.put("Sent", mail("mine", sender=ME, to=ANNA, answers="q", days=2))
    run(source, store, account(keep_text="needed"))
    assert texts.kept(store, "a") == set()
    run(source, store, account(keep_text="needed", learn_from_sent=True))
    assert texts.kept(store, "a") == {"<mine@test>"}


def test_a_text_goes_when_its_conversation_waits_no_longer_and_when_its_time_is_up() -> None:
    source, store = MemorySource(), Store.in_memory()
    conversation(source)
    wanted = account(keep_text="needed", retention_days=5)
    run(source, store, wanted)
    assert texts.kept(store, "a")
    assert texts.get(store, "a", ["<one@test>"], now=NOW + 6 * 86_400) == {}
    source.put("Sent", mail("answer", sender=ME, to=ANNA, answers="three", days=0))
    run(source, store, wanted)
    assert texts.kept(store, "a") == set()
