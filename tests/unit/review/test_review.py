"""The terminal UI against a desk without network: what a person reads, writes, and never loses."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from reviewer import LUNCH, OFFER, reviewing
from sample_desk import ANSWER, SAMPLES, SampleDesk
from textual.events import Key
from textual.widgets import Static

from mailassist.drafting.pipeline import Draft
from mailassist.errors import StoreError
from mailassist.mail.safe_text import SafeText
from mailassist.review.reply import Mark
from mailassist.review.screens.reading import ReadingScreen
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.review.widgets.thread_view import ThreadView
from mailassist.worklist import SavedDraft


async def test_the_list_is_there_before_the_network_answers() -> None:
    desk = SampleDesk()
    desk.gates["sync"] = threading.Event()
    async with reviewing(desk) as person:
        assert person.main.query_one(ConversationList).option_count == len(SAMPLES)
        assert "looking" in person.shown("#connection") or "INBOX" in person.shown("#connection")


async def test_turning_to_a_conversation_shows_it_and_costs_nothing() -> None:
    async with reviewing() as person:
        await person.press("j")
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        await person.until(lambda: len(person.desk.called("pull")) == 2)
        assert person.desk.called("draft") == []


async def test_opening_writes_a_draft_once_and_keeps_it() -> None:
    async with reviewing() as person:
        await person.drafted()
        assert person.text == ANSWER
        await person.press("escape", "j", "k", "enter")
        await person.pilot.pause(0.3)
        assert len(person.desk.called("draft")) == 1
        figures = person.shown("#figures")
        assert "gpt-4o-mini" in figures and "1,240 in (1,024 cached) 96 out" in figures and "$0.0002" in figures


async def test_a_saved_draft_is_shown_at_the_next_start_without_a_call() -> None:
    desk = SampleDesk()
    desk.save_text("work", OFFER, "Davor.")
    desk.save_text("work", OFFER, "Schon geschrieben.", apart=True)
    async with reviewing(desk) as person:
        assert person.text == "Schon geschrieben."
        await person.press("enter")
        await person.pilot.pause(0.2)
        assert desk.called("draft") == []
        await person.press("z")
        await person.until(lambda: person.text == "Davor.")


async def test_the_newest_message_is_open_and_quoted_text_folded() -> None:
    async with reviewing() as person:
        assert [view.open for view in person.thread] == [False, False, True]
        await person.until(lambda: person.thread[-1].query(".quote"))
        quote = person.thread[-1].query_one(".quote")
        assert not quote.display
        await person.press("o")
        await person.pilot.pause(0.1)
        assert all(view.open for view in person.thread) and quote.display
        await person.press("o")
        assert [view.open for view in person.thread] == [False, False, True]


@pytest.mark.parametrize("moments", range(16))
async def test_a_sentence_that_is_cut_short_leaves_the_view_whole(moments: int) -> None:
    async with reviewing() as person:
        thread = person.main.query_one(ThreadView)
        saying = asyncio.create_task(thread.say("First."))
        for _ in range(moments):
            await asyncio.sleep(0)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


async def test_typed_text_is_saved_on_a_pause_and_comes_back() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("e", *"Hallo", "escape")
        await person.until(lambda: person.desk.texts[OFFER].text.startswith("Hallo"))
        assert person.desk.texts[OFFER].written_by == "person"
        desk = person.desk
    async with reviewing(desk) as person:
        assert person.text == "Hallo" + ANSWER


async def test_keys_that_were_typed_ahead_into_an_editor_are_text_and_never_commands() -> None:
    async with reviewing() as person:
        await person.drafted()
        for key in "ea day?q":
            person.app.post_message(Key(key, key))
        await person.until(lambda: person.text.startswith("a day?q"))
        assert person.desk.called("approve") == [] and not person.app._exit


async def test_quitting_at_once_after_typing_loses_nothing() -> None:
    async with reviewing() as person:
        await person.press("j", "e", *"Yes", "escape", "q")
        await person.until(lambda: not person.app.is_running or person.app._exit)
    assert person.desk.texts[LUNCH].text == "Yes"


async def test_a_text_that_cannot_be_saved_holds_the_exit() -> None:
    desk = SampleDesk()
    desk.failures["save_text"] = StoreError("The disk is full", cure="Free some space.")
    async with reviewing(desk) as person:
        await person.press("e", "x", "escape", "q")
        await person.until(lambda: "not saved" in person.dialog)
        assert "Free some space" in person.dialog
        await person.press("n")
        await person.until(lambda: not person.dialog)
        del desk.failures["save_text"]
        await person.press("q")
        await person.until(lambda: person.app._exit)
    assert desk.texts[OFFER].text == "x"


async def test_regenerating_over_an_edit_asks_and_keeps_the_old_text_one_key_away() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("e", *"Mein ", "escape", "r")
        await person.until(lambda: "over your text" in person.dialog)
        await person.press("n")
        await person.until(lambda: not person.dialog)
        assert len(person.desk.called("draft")) == 1
        await person.press("r")
        await person.until(lambda: person.dialog)
        await person.press("y")
        await person.until(lambda: len(person.desk.called("draft")) == 2 and not person.main.reply.writing)
        assert person.text == ANSWER
        await person.press("z")
        await person.until(lambda: person.text == "Mein " + ANSWER)


async def test_what_the_person_wrote_stays_reachable_over_any_number_of_drafts() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("e", *"Mein ", "escape", "i", *"one", "enter")
        for calls in (2, 3, 4):
            await person.until(lambda calls=calls: len(person.desk.called("draft")) == calls)
            await person.until(lambda: not person.main.reply.writing)
            if calls < 4:
                await person.press("r")
        seen = []
        for number in (3, 2, 1):
            await person.press("z")
            await person.until(lambda number=number: f"Version {number} of 3" in person.notice)
            seen.append(person.text)
        assert seen == ["[one] " + ANSWER, "Mein " + ANSWER, ANSWER]
        await person.press("z", "z")
        await person.until(lambda: person.text == "Mein " + ANSWER and not person.main.reply.unsaved)
        assert person.desk.texts[OFFER].text == "Mein " + ANSWER


async def test_what_another_window_wrote_meanwhile_is_kept_and_told() -> None:
    async with reviewing() as person:
        await person.press("e", "x", "escape")
        await person.until(lambda: not person.main.reply.unsaved and OFFER in person.desk.texts)
        person.desk.save_text("work", OFFER, "From the other window.")
        await person.press("e", "y", "escape")
        await person.until(lambda: "Another window" in person.notice)
        mine = person.text
        assert person.desk.texts[OFFER].text == mine and "y" in mine
        await person.press("z")
        await person.until(lambda: person.text == "From the other window.")


async def test_what_another_window_wrote_is_shown_where_nothing_is_being_typed() -> None:
    async with reviewing() as person:
        await person.press("e", "x", "escape")
        await person.until(lambda: not person.main.reply.unsaved and OFFER in person.desk.texts)
        person.desk.save_text("work", OFFER, "From the other window.")
        person.desk.news.set()
        await person.until(lambda: person.text == "From the other window.")


async def test_the_whole_message_is_shown_before_it_leaves() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("v")
        await person.until(lambda: isinstance(person.app.screen, ReadingScreen))
        page = "\n".join(str(part.content) for part in person.app.screen.query(Static))
        assert "What would leave" in page and "-- \nMax Muster" in page and "\n> " in page
        assert person.desk.called("approve") == []


async def test_the_choice_of_recipients_outlives_the_program() -> None:
    desk = SampleDesk()
    async with reviewing(desk) as person:
        await person.press("R")
        await person.drafted()
        await person.until(lambda: OFFER in desk.texts and desk.texts[OFFER].reply_all)
    async with reviewing(desk) as person:
        assert person.main.reply.reply_all


async def test_a_newer_message_takes_a_models_text_off_and_leaves_the_persons() -> None:
    async with reviewing() as person:
        reply = person.main.reply
        reply.type("Mine.")
        newer = replace(reply.waiting, message_id="<newer@x.example>")
        person.main.session.board.merge(newer.account, [newer], {}, keep=reply.key)
        assert (reply.text, reply.overtaken) == ("Mine.", True)
        reply.text, reply.written_by = SafeText("A draft."), "model"
        newest = replace(reply.waiting, message_id="<newest@x.example>")
        person.main.session.board.merge(newest.account, [newest], {}, keep=reply.key)
        assert (reply.text, reply.others) == ("", True)
        last = replace(reply.waiting, message_id="<last@x.example>")
        elsewhere = {last.message_id: SavedDraft(last.message_id, "From another window.", version=1)}
        person.main.session.board.merge(last.account, [last], elsewhere, keep=reply.key)
        assert (reply.text, reply.version) == ("From another window.", 1)


async def test_a_draft_stopped_before_its_first_word_leaves_the_text_and_whose_it_was() -> None:
    async with reviewing() as person:
        reply = person.main.reply
        reply.type("Mine.")
        reply.begin_writing()
        reply.take(Draft("", "m", None, 0.0, None, False, ()))
        assert (reply.text, reply.edited, reply.complete) == ("Mine.", True, True)


async def test_a_call_that_brings_nothing_leaves_the_text_and_what_speaks_against_it() -> None:
    async with reviewing() as person:
        reply = person.main.reply
        reply.type("Mine.")
        reply.in_drafts = reply.overtaken = True
        reply.begin_writing()
        reply.give_up("No network.")
        assert (reply.text, reply.edited, reply.in_drafts, reply.overtaken) == ("Mine.", True, True, True)
        reply.take(Draft("Half a", "m", None, 0.0, None, False, ()))
        reply.begin_writing()
        reply.take(Draft("", "m", None, 0.0, None, False, ()))
        assert (reply.text, reply.complete) == ("Half a", False)


async def test_a_text_that_could_not_be_saved_is_tried_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailassist.review.keeping.RETRY", 0.05)
    desk = SampleDesk()
    desk.failures["save_text"] = StoreError("The disk is full", cure="Free some space.")
    async with reviewing(desk) as person:
        await person.opened()
        await person.press("e", *"Ja")
        await person.until(lambda: "not saved yet" in person.notice)
        del desk.failures["save_text"]
        await person.until(lambda: OFFER in desk.texts)
        assert desk.texts[OFFER].text == "Ja"


async def test_a_draft_that_was_cut_off_stays_so_when_it_comes_back() -> None:
    desk = SampleDesk()
    desk.texts[OFFER] = SavedDraft(OFFER, "Half a", complete=False, version=1)
    async with reviewing(desk) as person:
        await person.press("r")
        await person.until(lambda: person.text == ANSWER and not person.main.reply.writing)
        await person.press("z")
        await person.until(lambda: person.text == "Half a")
        assert person.main.reply.mark == Mark.CUT_OFF
        await person.press("a")
        await person.until(lambda: "cut off" in person.dialog)


async def test_the_same_draft_again_is_no_version_before() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("r")
        await person.until(lambda: len(person.desk.called("draft")) == 2 and not person.main.reply.writing)
        assert not person.main.reply.others


async def test_a_newer_message_while_a_draft_is_open_in_the_editor_is_told_before_it_leaves() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("e")
        reply = person.main.reply
        newer = replace(reply.waiting, message_id="<newer@x.example>")
        person.main.session.board.merge(newer.account, [newer], {}, keep=reply.key)
        assert (reply.text, reply.overtaken) == (ANSWER, True)


async def test_a_text_edited_after_it_was_saved_to_drafts_is_not_marked_as_in_drafts() -> None:
    async with reviewing() as person:
        await person.drafted()
        reply = person.main.reply
        await person.press("d")
        await person.until(lambda: reply.mark == Mark.IN_DRAFTS)
        reply.type("Changed.")
        assert reply.mark == Mark.EDITED


async def test_an_instruction_revises_the_text_there_is() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("i", *"shorter", "enter")
        await person.until(lambda: len(person.desk.called("draft")) == 2 and not person.main.reply.writing)
        _, _, instruction, previous = person.desk.called("draft")[1]
        assert (instruction, previous) == ("shorter", ANSWER)
        assert person.text.startswith("[shorter]")
