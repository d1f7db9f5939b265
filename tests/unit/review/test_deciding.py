"""The terminal UI against a desk without network: what a person decides, and how they leave."""

from __future__ import annotations

import contextlib
import re
import threading
from datetime import UTC

import pytest
from reviewer import LUNCH, OFFER, Reviewer, reviewing
from sample_desk import ANSWER, ME, NOW, SAMPLES, SampleDesk, conversation, hostile_conversation
from textual.widgets import Button, Input, Static

from mailassist.errors import ConnectionFailed, ModelError
from mailassist.intake.sync import SyncResult
from mailassist.mail.message import Address
from mailassist.mail.recipients import ReplyPlan
from mailassist.review.app import ReviewApp
from mailassist.review.messages import Noticed
from mailassist.review.screens import questions
from mailassist.review.screens.reading import ReadingScreen
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.review.widgets.draft_pane import DraftPane
from mailassist.review.widgets.outgoing_bar import OutgoingBar
from mailassist.worklist import ModelStatus, OutboxEntry, SavedDraft


async def test_approving_sends_exactly_what_was_shown_after_the_undo_time() -> None:
    time = [NOW.timestamp()]
    async with reviewing(SampleDesk(now=lambda: time[0])) as person:
        await person.drafted()
        line = person.shown("#recipients")
        assert "max@muster.example" in line and "anna.keller@keller-holzbau.example" in line and "buero@" not in line
        await person.press("R")
        assert "buero@keller-holzbau.example" in person.shown("#recipients")
        await person.press("a")
        await person.until(lambda: person.subject == "Lunch on Thursday?", "on to the next")
        _, plan, text, mode = person.desk.called("approve")[0]
        assert (text, mode, plan.reply_all) == (ANSWER, "send", True)
        await person.until(lambda: "in 10 s" in str(person.main.query_one(OutgoingBar).content))
        assert person.desk.sent == []
        time[0] += 10.5
        await person.until(lambda: person.desk.sent == [OFFER])
        await person.until(lambda: "Sent to anna.keller@" in person.notice)
        assert person.main.query_one(ConversationList).option_count == len(SAMPLES) - 1


def approved_elsewhere(desk: SampleDesk, answers: str, state: str = "approved") -> None:
    """Another window on the same store has approved a reply, and perhaps sent it."""
    desk.entries[9] = OutboxEntry(9, "work", answers, state, desk.now() + 10.0, "Lunch", ("tom@okafor.example",))


async def test_what_another_window_approved_and_left_behind_is_shown_and_sent() -> None:
    time = [NOW.timestamp()]
    async with reviewing(SampleDesk(now=lambda: time[0])) as person:
        await person.opened()
        approved_elsewhere(person.desk, LUNCH)
        time[0] += 20.0
        await person.until(lambda: person.desk.sent == [LUNCH])
        await person.until(lambda: "Sent to tom@okafor.example" in person.notice)
        assert person.main.query_one(ConversationList).option_count == len(SAMPLES) - 1


async def test_what_a_crash_left_half_done_is_finished_at_the_start_also_with_an_empty_outbox() -> None:
    async with reviewing() as person:
        await person.until(lambda: person.desk.called("deliver_due"))
        assert person.desk.entries == {}


async def test_a_text_that_another_window_has_replaced_does_not_leave() -> None:
    async with reviewing() as person:
        await person.drafted()
        person.desk.save_text("work", OFFER, "Changed in another window.")
        await person.press("a")
        await person.until(lambda: person.text == "Changed in another window.")
        assert "Another window has changed this reply" in person.notice
        assert person.desk.called("approve") == []
        await person.press("a")
        await person.until(lambda: person.desk.called("approve"))
        assert person.desk.called("approve")[0][2] == "Changed in another window."


async def test_typing_goes_on_where_another_window_sends_the_reply() -> None:
    time = [NOW.timestamp()]
    async with reviewing(SampleDesk(now=lambda: time[0])) as person:
        await person.opened()
        await person.press("e", *"dear")
        approved_elsewhere(person.desk, OFFER, "done")
        time[0] += 20.0
        await person.until(lambda: "Sent to" in person.notice)
        await person.press(*"asdq")
        assert person.text == "dearasdq"
        await person.press("escape", "a")
        await person.until(lambda: "has been sent" in person.notice)
        await person.until(lambda: OFFER in person.desk.texts and person.desk.texts[OFFER].text == "dearasdq", "saved")
        assert person.desk.called("approve") == []


async def test_undo_takes_an_approved_reply_back() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("a")
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        await person.press("u")
        await person.until(lambda: "nothing was sent" in person.notice)
        assert person.desk.entries[1].state == "cancelled"
        assert person.subject.endswith("Angebot Dachstuhl Lindenweg 4") and person.text == ANSWER


async def test_a_key_held_too_long_does_not_approve_the_next_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailassist.review.screens.room.HURRY", 3600.0)
    desk = SampleDesk()
    desk.texts[LUNCH] = SavedDraft(LUNCH, "Yes!")
    async with reviewing(desk) as person:
        await person.drafted()
        await person.press("a")
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        await person.press("a", "a", "a")
        await person.pilot.pause(0.2)
        assert len(desk.called("approve")) == 1


async def test_a_draft_that_the_person_removed_from_the_mailbox_is_made_anew_only_when_they_say_so() -> None:
    desk = SampleDesk()
    desk.removed_drafts = True
    async with reviewing(desk) as person:
        await person.drafted()
        reply = person.main.reply
        await person.press("d")
        await person.until(lambda: "You have deleted the draft" in person.dialog)
        await person.press("n")
        await person.until(lambda: not person.dialog)
        assert not reply.in_drafts and person.main.reply is reply
        await person.press("d")
        await person.until(lambda: person.dialog)
        await person.press("y")
        await person.until(lambda: reply.in_drafts)


async def test_a_draft_that_is_still_being_written_cannot_be_approved() -> None:
    desk = SampleDesk()
    desk.gates["draft"] = threading.Event()
    async with reviewing(desk) as person:
        await person.press("enter")
        await person.until(lambda: person.main.reply.pieces)
        await person.press("a")
        await person.until(lambda: "still being written" in person.notice)
        assert desk.called("approve") == []


async def test_a_stopped_draft_is_marked_and_needs_a_second_key() -> None:
    async with reviewing(SampleDesk(delay=0.05)) as person:
        await person.press("enter")
        await person.until(lambda: len(person.main.reply.pieces) > 4)
        await person.press("escape")
        await person.until(lambda: not person.main.reply.writing)
        assert ANSWER.startswith(person.text) and person.text != ANSWER
        assert "cut off" in person.shown("#draft-title")
        await person.press("a")
        await person.until(lambda: "not a whole reply" in person.dialog)
        await person.press("enter")  # the harmless choice has the focus
        await person.until(lambda: not person.dialog)
        assert person.desk.called("approve") == []
        await person.press("a")
        await person.until(lambda: person.dialog)
        await person.press("y")
        await person.until(lambda: person.desk.called("approve"))


async def test_gaps_of_an_outline_are_asked_about() -> None:
    desk = SampleDesk()
    desk.answer = "Hello Tom,\n\nlunch: [...]\n\nMax"
    async with reviewing(desk) as person:
        await person.drafted()
        await person.press("a")
        await person.until(lambda: "1 gap" in person.dialog)


async def test_doubtful_recipients_are_asked_about_once_and_shown_bare() -> None:
    desk = SampleDesk()
    reason = "the domain mixes alphabets"
    odd = Address("Anna Keller", "anna@keller-һolzbau.example")
    desk.plans["offer"] = ReplyPlan(ME, (odd,), needs_confirmation=(reason,), notes=("Reply-To differs",))
    async with reviewing(desk) as person:
        await person.drafted()
        assert "xn--" in person.shown("#recipients") and "Reply-To differs" in person.shown("#recipients")
        assert "Anna Keller" not in person.shown("#recipients")
        await person.press("a")
        await person.until(lambda: reason in person.dialog)
        await person.press("y")
        await person.until(lambda: desk.called("approve"))
        assert desk.called("approve")[0][1].to == (odd,)


async def test_the_person_chooses_where_nobody_else_can() -> None:
    desk = SampleDesk()
    people = (Address("", "one@a.example"), Address("", "two@b.example"))
    desk.plans["offer"] = ReplyPlan(ME, (), candidates=people, needs_confirmation=("multiple From",))
    async with reviewing(desk) as person:
        await person.drafted()
        await person.press("a")
        await person.until(lambda: "Who is this reply for?" in person.dialog)
        await person.press("2")
        await person.until(lambda: desk.called("approve"))
        assert desk.called("approve")[0][1].to == people[1:]


async def test_approving_to_drafts_sends_nothing() -> None:
    async with reviewing() as person:
        await person.drafted()
        await person.press("d")
        await person.until(lambda: person.desk.called("approve"))
        assert person.desk.called("approve")[0][3] == "drafts" and person.desk.entries == {}


async def test_skipping_takes_a_conversation_off_the_list_and_undo_brings_it_back() -> None:
    async with reviewing() as person:
        await person.press("s")
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        assert person.desk.skipped == {OFFER}
        await person.press("u")
        await person.until(lambda: person.desk.skipped == set() and "Angebot" in person.subject)


async def test_search_narrows_the_list_while_typing_and_escape_shows_all() -> None:
    async with reviewing() as person:
        listed = person.main.query_one(ConversationList)
        await person.press("slash", *"fernández")
        await person.until(lambda: listed.option_count == 1 and "Presupuesto" in person.subject)
        await person.press("escape")
        await person.until(lambda: listed.option_count == len(SAMPLES))


async def test_new_mail_appears_without_moving_the_cursor() -> None:
    async with reviewing() as person:
        await person.press("j")
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        person.desk.arrive(conversation("fresh", Address("Zoë", "zoe@z.example"), "Now?", "Quick one?", hours=0.1))
        await person.until(lambda: person.main.query_one(ConversationList).option_count == len(SAMPLES) + 1)
        await person.until(lambda: "New: Zoë" in person.notice)
        await person.pilot.pause(0.2)
        assert person.subject == "Lunch on Thursday?"
        assert person.main.query_one(ConversationList).cursor == ("work", "lunch")


async def test_a_newer_message_keeps_what_was_typed_and_is_asked_about() -> None:
    async with reviewing() as person:
        await person.press("j", "e", *"Yes", "escape")
        await person.until(lambda: person.desk.called("save_text"))
        who = Address("Tom Okafor", "tom@okafor.example")
        person.desk.arrive(conversation("lunch", who, "Lunch on Thursday?", "Hi?", "Yes", "Make it 13:00", hours=0.1))
        await person.until(lambda: person.main.reply.waiting.message_id == "<lunch-2@example.org>")
        assert person.text == "Yes"
        await person.until(lambda: person.desk.texts.get("<lunch-2@example.org>"), "saved for the newer message")
        await person.until(lambda: len(person.thread) == 3)
        await person.press("a")
        await person.until(lambda: "newer message" in person.dialog)


async def test_an_error_is_one_line_with_the_cure_and_the_saved_drafts_stay_usable() -> None:
    desk = SampleDesk()
    desk.failures["sync"] = ConnectionFailed("imap.example.org does not answer", cure="Check the network.")
    desk.failures["draft"] = ModelError("No key for api.openai.com", cure="Run `mailassist setup`.")
    desk.texts[LUNCH] = SavedDraft(LUNCH, "Yes!")
    async with reviewing(desk) as person:
        await person.until(lambda: "Check the network." in person.notice)
        assert "offline" in person.shown("#connection")
        await person.press("enter")
        await person.until(lambda: "Run `mailassist setup`." in person.notice)
        await person.press("j")
        await person.until(lambda: person.text == "Yes!")
        await person.press("a")
        await person.until(lambda: desk.called("approve"))


async def test_a_bug_in_the_desk_is_told_in_one_line_and_the_program_goes_on() -> None:
    desk = SampleDesk()
    desk.failures["pull"] = KeyError("folder\x1b[31m")  # type: ignore[assignment]
    app = ReviewApp(desk, now=desk.now, zone=UTC)
    async with app.run_test(size=(120, 40)) as pilot:
        person = Reviewer(app, pilot, desk)
        await person.until(lambda: "unexpected" in person.notice)
        assert "\x1b" not in person.notice and app.is_running


async def test_quitting_while_a_reply_waits_out_its_undo_time_asks() -> None:
    for key, state in (("k", "approved"), ("u", "cancelled"), ("s", "done")):
        async with reviewing() as person:
            await person.drafted()
            await person.press("a")
            await person.until(lambda: person.main.outgoing.pending)
            await person.press("q")
            await person.until(lambda: "not sent yet" in person.dialog)
            await person.press(key)
            await person.until(lambda: person.app._exit)
        assert person.desk.entries[1].state == state


async def test_a_reply_kept_from_last_time_gets_its_undo_time_again() -> None:
    desk = SampleDesk()
    early = NOW.timestamp() - 5000
    desk.entries[7] = OutboxEntry(7, "work", OFFER, "approved", early, "Re: Angebot", ("anna@x.example",))
    async with reviewing(desk) as person:
        await person.until(lambda: desk.called("reschedule"))
        assert desk.called("reschedule") == [("reschedule", 7, 10.0)] and desk.sent == []
        await person.until(lambda: "in 10 s" in str(person.main.query_one(OutgoingBar).content))


async def test_a_reply_approved_before_the_restart_can_be_taken_back() -> None:
    desk = SampleDesk()
    later = NOW.timestamp() + 60
    desk.entries[7] = OutboxEntry(7, "work", OFFER, "approved", later, "Re: Angebot", ("anna@x.example",))
    async with reviewing(desk) as person:
        await person.until(lambda: person.main.outgoing.pending)
        await person.press("u")
        await person.until(lambda: desk.entries[7].state == "cancelled")
        await person.until(lambda: "nothing was sent" in person.notice)


@pytest.mark.parametrize(("key", "state"), [("y", "done"), ("s", "done"), ("g", "cancelled"), ("n", "unknown")])
async def test_a_reply_that_was_perhaps_sent_is_settled_by_the_person_only(key: str, state: str) -> None:
    desk = SampleDesk()
    never = float("inf")
    desk.entries[7] = OutboxEntry(7, "work", OFFER, "unknown", never, "Re: Angebot", ("anna@x.example",))
    async with reviewing(desk) as person:
        await person.until(lambda: person.main.reply and person.main.reply.unknown)
        assert "Did it arrive?" in person.shown("#keys")
        await person.press("a")
        await person.until(lambda: "u says whether it arrived" in person.notice)
        await person.press("u")
        await person.until(lambda: "Did this reply arrive?" in person.dialog)
        await person.press(key)
        await person.until(lambda: not person.dialog)
        await person.until(lambda: desk.entries[7].state == state)
        assert "nothing was sent" not in person.notice and not desk.called("undo")
        assert desk.sent == ([OFFER] if key == "s" else [])


async def test_a_refused_reply_says_why_and_can_be_approved_again() -> None:
    desk = SampleDesk()
    desk.texts[OFFER] = SavedDraft(OFFER, "Ja.", written_by="person")
    refused = OutboxEntry(3, "work", OFFER, "refused", 0, "Re:", ("anna@x.example",), "550 no such user. Check it.")
    desk.entries[3] = refused
    async with reviewing(desk) as person:
        await person.until(lambda: "550 no such user" in person.notice)
        await person.press("a")
        await person.until(lambda: desk.called("approve"))


async def test_quitting_during_a_call_that_never_answers_is_quick_and_clean() -> None:
    desk = SampleDesk()
    desk.gates["draft"] = threading.Event()
    async with reviewing(desk) as person:
        await person.press("enter")
        await person.until(lambda: person.main.reply.pieces)
        await person.press("q")
        await person.until(lambda: person.app._exit)
        assert not person.main.session.calls.end(0.0), "the call is left behind, not waited for"


async def test_nothing_waiting_no_account_and_no_model_are_said_kindly() -> None:
    desk = SampleDesk()
    desk.samples.clear()
    async with reviewing(desk) as person:
        await person.until(lambda: "Nothing waits" in person.shown(".empty"))
        assert "3 minutes ago" in person.shown(".empty")
    desk.account_names = []
    async with reviewing(desk) as person:
        await person.until(lambda: "mailassist setup you@example.org" in person.shown(".empty"))
    desk = SampleDesk()
    desk.model = ModelStatus("gpt-4o-mini", "api.openai.com", problem="No key is configured; run setup.")
    async with reviewing(desk) as person:
        await person.until(lambda: "outline, without a model" in person.shown("#draft-text"))
        assert "No key is configured" in person.shown("#draft-text")


async def test_a_narrow_terminal_shows_list_and_conversation_in_turns() -> None:
    async with reviewing(size=(80, 24)) as person:
        left, right = person.main.query_one("#left"), person.main.query_one("#right")
        assert left.display and not right.display
        await person.drafted()
        assert right.display and not left.display
        assert person.main.query_one(DraftPane).size.height >= 7
        await person.press("escape")
        assert left.display and not right.display


async def test_the_mouse_opens_conversations_and_presses_keys() -> None:
    async with reviewing() as person:
        await person.pilot.click(ConversationList, offset=(5, 2))
        await person.until(lambda: person.subject == "Lunch on Thursday?" and person.thread)
        assert not person.desk.called("draft")  # looking costs nothing
        await person.pilot.click(ConversationList, offset=(5, 2), times=2)
        await person.until(lambda: person.text and not person.main.reply.writing)
        await person.pilot.click("#keys", offset=(3, 0))
        await person.until(lambda: person.desk.called("approve"))


def page_text(person: Reviewer) -> str:
    """What stands on the page, of the view that is seen."""
    seen = (part for part in person.app.screen.query(Static) if part.parent is not None and part.parent.display)
    return "\n".join(str(part.content) for part in seen)


async def test_the_prompt_page_tells_what_the_model_sees_and_what_not_and_has_the_exact_prompt_behind_a_key() -> None:
    async with reviewing() as person:
        await person.press("p")
        await person.until(
            lambda: isinstance(person.app.screen, ReadingScreen) and "over the token" in page_text(person)
        )
        page = page_text(person)
        for words in (
            "1,240 tokens, exact: instructions 310, mail 719 (17 of attachments), the rest 211",
            "$0.0002 for the input",
            "to api.openai.com",
            "in German",
            "2-3 sentences",
            "Fri 20 Nov Anna Keller  104 tokens  whole\nGuten Tag Herr Muster",
            "Thu 19 Nov me  21 tokens  in short\n",
            "Wed 18 Nov Anna Keller, Preise.pdf  17 tokens  excerpt\nGerüst: 480 €",
            "Anna Keller, Fri 20 Nov: Brauchen Sie das Gerüst auch",
            "Preise.pdf: 17 of 388 tokens",
            "Left out: over the token budget\n· Anna Keller, Wed 18 Nov: “Guten Tag Herr Muster, anbei das Angebot",
        ):
            assert words in page, words
        assert "You write replies" not in page and "@example.org>" not in page
        await person.press("x")
        await person.until(lambda: "You write replies" in page_text(person) and "die Dämmung" in page_text(person))
        assert "Left out" not in page_text(person)
        await person.press("x")
        assert "Left out" in page_text(person)
        await person.press("escape", "question_mark")
        await person.until(lambda: isinstance(person.app.screen, ReadingScreen))


async def test_nothing_on_the_prompt_page_is_obeyed_by_a_terminal() -> None:
    async with reviewing(SampleDesk(hostile_conversation())) as person:
        await person.press("p")
        await person.until(lambda: isinstance(person.app.screen, ReadingScreen) and "Hidden text" in page_text(person))
        for key, words in (("x", "You write replies"), ("x", "hidden ␛]52")):
            await person.press(key)
            await person.until(lambda words=words: words in page_text(person))
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page_text(person))
            assert "[@click=app.quit]" in page_text(person)


async def test_a_very_long_prompt_is_shown_whole() -> None:
    long = "\n".join(f"line {number} of a long letter" for number in range(2_000))
    async with reviewing(SampleDesk(conversation("long", ME, "Long", long))) as person:
        await person.press("p")
        await person.until(lambda: isinstance(person.app.screen, ReadingScreen))
        await person.press("x")
        await person.until(lambda: "line 1999 of" in page_text(person))
        text = page_text(person)
        assert [f"line {number} of" in text for number in range(2_000)] == [True] * 2_000
        await person.press("end", "escape")
        await person.until(lambda: person.app.screen is person.main)


async def test_what_is_pasted_is_made_safe_before_it_reaches_the_screen() -> None:
    from textual.events import Paste

    async with reviewing() as person:
        await person.press("e")
        editor = person.main.query_one(DraftPane).editor
        person.app.post_message(Paste("a\x1b]52;c;x\x07b\u202ec\rand\r\non"))  # terminals paste CR for a line end
        await person.until(lambda: editor.text)
        assert editor.text == "a␛]52;c;x␇b⟨202E⟩c\nand\non"
        await person.press("escape", "slash")
        field = person.main.query_one("#ask-input", Input)
        field.value = "x\x9b31m\x1b"
        assert field.value == "x⟨9B⟩31m␛"


@pytest.mark.parametrize(("text", "kept"), [("From the editor.\n", "From the editor."), ("\n \n", ANSWER)])
async def test_the_external_editor_gives_its_text_back_and_an_empty_file_cancels(
    text: str, kept: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    script = tmp_path / "editor.sh"  # type: ignore[operator]
    script.write_text(f"#!/bin/sh\nprintf '%s' '{text}' > \"$1\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    async with reviewing() as person:
        await person.drafted()
        monkeypatch.setattr(type(person.app), "suspend", lambda self: contextlib.nullcontext())
        await person.press("E")
        await person.until(lambda: person.text == kept)
        assert ("as it was" in person.notice) == (kept == ANSWER)


async def test_ctrl_c_in_the_editor_copies_and_does_not_leave() -> None:
    async with reviewing() as person:
        await person.press("e", *"Hello", "ctrl+c")
        assert not person.app._exit and person.main.query_one(DraftPane).editing
        await person.press("ctrl+a", "ctrl+shift+right", "ctrl+c")
        assert person.app.clipboard == "Hello"


async def test_every_choice_of_a_question_is_seen_in_a_small_terminal() -> None:
    async with reviewing(size=(40, 15)) as person:
        entry = OutboxEntry(1, "work", OFFER, "unknown", 0.0, "A subject of some length", ("anna.keller@example.org",))
        person.app.push_screen(questions.ask_whether_it_arrived(entry))
        await person.until(lambda: person.dialog)
        await person.pilot.pause(0.2)
        screen = person.app.screen
        assert len(screen.query(Button)) == 4
        for button in screen.query(Button):
            assert screen.region.contains_region(button.region) and button.region.height == 1


async def test_without_colours_the_row_in_hand_is_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with reviewing() as person:
        row = person.main.query_one(ConversationList)
        assert row.get_component_rich_style("option-list--option-highlighted").reverse


async def test_a_folder_that_is_not_there_is_told_once() -> None:
    desk = SampleDesk()
    desk.synced = SyncResult(unknown=("There is no folder 'Verschickt'",))
    async with reviewing(desk) as person:
        await person.until(lambda: "Verschickt" in person.notice)
        await person.press("escape", "ctrl+r")
        await person.until(lambda: len(desk.called("sync")) == 2)
        person.main.post_message(Noticed("Something else"))
        await person.until(lambda: person.notice == "Something else")
        await person.pilot.pause(0.2)
        assert person.notice == "Something else"


async def test_what_the_desk_warns_of_is_seen() -> None:
    async with reviewing() as person:
        threading.Thread(target=person.desk.warn, args=("work: The server asks to wait 30 s",)).start()
        await person.until(lambda: person.notice == "work: The server asks to wait 30 s")
