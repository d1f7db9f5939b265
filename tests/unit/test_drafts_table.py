"""Texts of replies in the store: none gives way to another for good."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailassist.store import drafts, outbox, versions
from mailassist.store.database import Store

TO = "<question@test>"


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def save(store: Store, text: str, by: str = "person", **more: object) -> drafts.Kept:
    answers = str(more.pop("answers", TO))
    about = {"conversation": "<root@test>", **more}
    return drafts.save_text(store, "a", answers, text, written_by=by, now=1.0, **about)


def replaced(store: Store, answers: str = TO) -> list[tuple[str, str]]:
    return [(one.text, one.written_by) for one in versions.others(store, "a", answers, "<root@test>")]


def test_typing_on_makes_no_versions_and_a_model_over_a_person_does(store: Store) -> None:
    for text in ("D", "De", "Dear Anna"):
        save(store, text)
    assert replaced(store) == []
    save(store, "Hello", "model")
    save(store, "Hello Anna")
    assert replaced(store) == [("Dear Anna", "person"), ("Hello", "model")]


def test_of_two_windows_neither_loses_what_it_wrote(open_store: Callable[[], Store]) -> None:
    one, two = open_store(), open_store()
    first = save(one, "Mine.", base=0)
    assert not first.overtaken
    theirs = save(two, "Theirs.", base=0)
    assert theirs.overtaken
    assert save(one, "Mine, longer.", base=first.version).overtaken
    assert not save(one, "Mine, longer still.", base=first.version + 2).overtaken
    assert replaced(one) == [("Mine.", "person"), ("Theirs.", "person")]


def test_a_text_that_was_cut_off_is_not_whole_among_the_versions_either(store: Store) -> None:
    save(store, "Half a", "model", complete=False)
    save(store, "A whole one.", "model", complete=True)
    assert versions.others(store, "a", TO, "<root@test>") == [versions.Version("Half a", "model", complete=False)]


def test_what_lies_in_drafts_is_no_longer_the_reply_once_it_goes_to_others(store: Store) -> None:
    save(store, "Yes.")
    row = drafts.get(store, "a", TO)
    assert row is not None
    drafts.change(store, row, now=1.0, state="appended", folder="Drafts")
    for reply_all, state in ((False, "appended"), (True, "kept")):
        save(store, "Yes.", reply_all=reply_all)
        found = drafts.get(store, "a", TO)
        assert found is not None and (found.state, found.folder) == (state, "Drafts")


def test_the_same_text_from_both_is_no_conflict(store: Store) -> None:
    save(store, "Yes.")
    assert save(store, "Yes.", base=0) == drafts.Kept(1, overtaken=False)
    assert replaced(store) == []


def test_a_text_changed_since_it_was_saved_to_drafts_is_not_in_drafts(store: Store) -> None:
    save(store, "First.", "model", state="appended", folder="Drafts", uid=7)
    save(store, "First.")  # by whomever it is saved again, it is the model's
    found = drafts.get(store, "a", TO)
    assert found is not None and (found.state, found.written_by) == ("appended", "model")
    save(store, "Second.")
    found = drafts.get(store, "a", TO)
    assert found is not None and (found.state, found.folder, found.uid) == ("kept", "Drafts", 7)
    assert replaced(store) == [("First.", "model")]


def test_an_unanswered_message_before_lends_its_texts_and_an_answered_one_does_not(store: Store) -> None:
    save(store, "Old draft", "model", answers="<before@test>")
    save(store, "Old answer", answers="<before@test>")
    assert replaced(store) == [("Old draft", "model"), ("Old answer", "person")]
    approve(store, "<before@test>", "Old answer")
    assert replaced(store) == []


def test_a_reply_taken_back_stands_beside_what_was_written_since(store: Store) -> None:
    save(store, "Approved.")
    number = approve(store, TO, "Approved.")
    save(store, "Second thought.")
    assert outbox.decide(store, number, ("approved",), now=2.0, give_back=True, state="cancelled")
    found = drafts.get(store, "a", TO)
    assert found is not None and found.text == "Second thought."
    assert ("Approved.", "person") in replaced(store)


def test_what_another_window_saved_before_an_approval_outlives_its_taking_back(store: Store) -> None:
    save(store, "Mine.", base=0)
    theirs = save(store, "Theirs.", base=0)
    number = approve(store, TO, "Mine.")
    assert outbox.decide(store, number, ("approved",), now=2.0, give_back=True, state="cancelled")
    found = drafts.get(store, "a", TO)
    assert found is not None
    assert (found.text, found.version) == ("Mine.", theirs.version + 1)
    assert ("Theirs.", "person") in replaced(store)


def approve(store: Store, answers: str, text: str) -> int:
    values = dict.fromkeys(("conversation", "own_id", "fingerprint", "sender", "raw_hash", "message_id"), "x")
    values |= {"account": "a", "answers": answers, "recipients": "anna@test", "raw": b"", "text": text}
    return outbox.insert(store, values | {"not_before": 0.0}, now=1.0)
