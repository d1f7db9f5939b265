"""The terminal UI on a team's queue: order, claims, notes, handing over, many replies at once, what failed."""

from __future__ import annotations

from reviewer import Reviewer, reviewing
from sample_desk import ANSWER, SampleDesk, SampleTeam
from textual.widgets import Static

from mailassist.errors import Stopped, Taken
from mailassist.review.screens.reading import ReadingScreen
from mailassist.review.screens.team import TeamScreen
from mailassist.review.widgets.ask_line import AskLine
from mailassist.review.widgets.conversation_list import ConversationList
from mailassist.worklist import SavedDraft


def shared() -> tuple[SampleDesk, SampleTeam]:
    """A queue in which every conversation has a draft; the offer, listed first, is overdue."""
    desk = SampleDesk()
    for key, sample in desk.samples.items():
        message_id = sample.newest.message.message_id
        desk.texts[message_id] = SavedDraft(message_id, f"Draft for {key}.", version=1)
    return desk, SampleTeam(desk)


def page(person: Reviewer) -> str:
    if not isinstance(person.app.screen, ReadingScreen):
        return ""
    return "\n".join(str(part.content) for part in person.app.screen.query(Static))


def rows(person: Reviewer) -> list[str]:
    """What the list says, two lines a conversation."""
    found = person.main.query_one(ConversationList)
    return ["".join(segment.text for segment in found.render_line(y)) for y in range(len(person.desk.samples) * 2)]


async def looked_again(person: Reviewer) -> None:
    person.desk.news.set()
    before = len(person.desk.called("waiting"))
    await person.until(lambda: len(person.desk.called("waiting")) > before)
    await person.pilot.pause(0.05)


async def test_the_list_is_sorted_by_office_time_left_and_says_what_is_overdue_and_who_has_what() -> None:
    desk, team = shared()
    team.change("garden", left=-7300.0)
    team.change("lunch", held_by="eli")
    team.change("thesis", assigned_to="eli", notes=2)
    async with reviewing(desk) as person:
        assert isinstance(person.main, TeamScreen)
        order = [reply.waiting.conversation for reply in person.main.session.board.shown()]
        assert order[:2] == ["garden", "offer"] and order[-1] == "thesis"
        assert "2 overdue" in person.shown("#list-title")
        text = "\n".join(rows(person))
        assert "! 2h over" in text and "! 1h over" in text and "10m left" in text
        assert "eli has it" in text and "eli: draft +2" in text


async def test_opening_claims_and_turning_away_gives_it_up() -> None:
    desk, team = shared()
    async with reviewing(desk) as person:
        assert team.held == set()
        await person.press("enter")
        await person.until(lambda: team.held == {"offer"})
        await person.press("j")
        await person.until(lambda: team.held == set())
        await person.press("e", *"Hm ", "escape")
        await person.until(lambda: team.held == {"lunch"} and not person.main.reply.unsaved)
        await person.press("q")
        await person.until(lambda: person.app._exit)
        assert team.held == set()


async def test_what_a_colleague_has_in_hand_can_be_read_and_nothing_else() -> None:
    desk, team = shared()
    team.change("offer", held_by="eli")
    async with reviewing(desk) as person:
        for key in ("e", "a", "i", "r", "s", "h"):
            await person.press(key)
            await person.until(lambda: "eli has this conversation in hand" in person.notice)
        assert not person.main.query_one(AskLine).asking
        assert desk.called("approve") == [] and desk.called("draft") == [] and desk.called("take") == []
        assert "eli has it in hand" in person.shown("#draft-title")


async def test_a_claim_lost_to_a_colleague_ends_the_editing_and_is_told() -> None:
    desk, team = shared()
    async with reviewing(desk) as person:
        desk.failures["take"] = Taken("eli is replying")
        team.change("offer", held_by="eli")
        await person.press("e")
        await person.until(lambda: "eli is replying" in person.notice)
        await person.until(lambda: person.main.reply.held_by == "eli" and not person.main.reply.editing)


async def test_notes_are_read_and_written_and_a_conversation_is_handed_over() -> None:
    desk, _ = shared()
    async with reviewing(desk) as person:
        await person.press("N", *"Old customer", "enter")
        await person.until(lambda: "The note is kept" in person.notice)
        await person.until(lambda: "1 note: n" in person.shown("#draft-title"))
        await person.press("n")
        await person.until(lambda: "Old customer" in page(person))
        await person.press("escape", "h", *"eli: please call", "enter")
        await person.until(lambda: desk.called("hand_over"))
        assert desk.called("hand_over") == [("hand_over", "offer", "eli", "please call")]
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        assert "eli has it" in "\n".join(rows(person))
        assert desk.called("draft") == [], "neither a note nor a name is an instruction"


async def test_no_reply_needs_a_reason_and_takes_it_off_the_list() -> None:
    desk, _ = shared()
    async with reviewing(desk) as person:
        await person.press("s", "enter")
        assert desk.called("discard") == []
        await person.press("s", *"spam", "enter")
        await person.until(lambda: desk.called("discard") == [("discard", "offer", "spam")])
        await person.until(lambda: person.subject == "Lunch on Thursday?")
        assert desk.called("skip") == []


async def test_a_teams_reply_does_not_go_to_drafts() -> None:
    desk, _ = shared()
    async with reviewing(desk) as person:
        await person.press("d")
        await person.until(lambda: "kept in Drafts by the daemon" in person.notice)
        assert desk.called("approve") == []


async def test_many_are_approved_at_once_each_is_reported_and_the_limit_holds() -> None:
    desk, team = shared()
    desk.failures["approve meeting"] = Stopped("Not sent: a newer message has come in")
    async with reviewing(desk) as person:
        await person.press("x", "x", "x", "x")
        await person.until(lambda: "No more than 3" in person.notice)
        team.change("lunch", held_by="dana")
        await looked_again(person)
        await person.press("A")
        await person.until(lambda: "Send 3 replies?" in person.dialog)
        await person.press("y")
        await person.until(lambda: "1 approved, 2 held" in page(person))
        said = page(person)
        assert "Tom Okafor: Lunch on Thursday?  held: dana is replying" in said
        assert "held: Not sent: a newer message has come in" in said
        assert [entry.state for entry in desk.entries.values()] == ["approved"]
        await person.press("escape", "F")
        await person.until(lambda: "failed or held" in person.notice)
        held = [reply.waiting.conversation for reply in person.main.session.board.shown()]
        assert held == ["lunch", "meeting"]
        assert "held: dana" not in "".join(rows(person)) and "dana is replying" in "".join(rows(person))
        await person.press("F")
        await person.until(lambda: len(person.main.session.board.shown()) == len(desk.samples))


async def test_what_is_in_doubt_is_held_from_a_bulk_approval() -> None:
    desk, _ = shared()
    offer = desk.samples["offer"].newest.message.message_id
    desk.texts[offer] = SavedDraft(offer, "Dear [name], yes.", version=1)
    async with reviewing(desk) as person:
        await person.press("x", "A")
        await person.until(lambda: "Send 1 replies?" in person.dialog or "Send this" in person.dialog)
        await person.press("y")
        await person.until(lambda: "0 approved, 1 held" in page(person))
        assert "gap" in page(person) and desk.called("approve") == []


async def test_why_a_person_is_wanted_and_what_is_missing_is_said() -> None:
    desk, team = shared()
    team.change("offer", state="person", reason="complaint")
    team.change("lunch", state="missing", missing=("the date of delivery", "the price"))
    async with reviewing(desk) as person:
        assert "a person is wanted: complaint" in person.shown("#draft-title")
        await person.press("j")
        await person.until(lambda: "missing information: the date of" in person.shown("#draft-title"))


async def test_the_model_writes_again_on_request_without_what_colleagues_wrote() -> None:
    desk, team = shared()
    team.add_note("work", "offer", "They never pay.")
    async with reviewing(desk) as person:
        await person.press("i", *"shorter", "enter")
        await person.until(lambda: desk.called("draft") and not person.main.reply.writing)
        assert person.text == "[shorter] " + ANSWER
        assert "never pay" not in str(desk.called("draft"))


async def test_the_page_of_keys_knows_the_teams() -> None:
    desk, _ = shared()
    async with reviewing(desk) as person:
        await person.press("question_mark")
        await person.until(lambda: "hand over" in page(person))
        assert "skip: off the list" not in page(person)
