"""Pictures of the main screens; `pytest --snapshot-update` renews them after a look at what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC

import pytest
import reviewer  # noqa: F401  (a patient pilot)
from sample_desk import SampleDesk, SampleTeam, hostile_conversation
from textual.pilot import Pilot

from mailassist.review.app import ReviewApp
from mailassist.worklist import SavedDraft

Compare = Callable[..., bool]
SIZES = [(80, 24), (120, 40), (200, 50)]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORFGBG", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)


async def settle(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    for _ in range(400):
        await pilot.pause(0.02)
        if condition():
            break
    await pilot.pause(0.2)


async def drafted(pilot: Pilot[None]) -> None:
    main = pilot.app.main  # type: ignore[attr-defined]
    await settle(pilot, lambda: main._shown)
    await pilot.press("enter")
    await settle(pilot, lambda: main.reply.text and not main.reply.writing)


async def listed(pilot: Pilot[None]) -> None:
    main = pilot.app.main  # type: ignore[attr-defined]
    await settle(pilot, lambda: main._shown or main.query(".empty"))


async def turned_to_page(pilot: Pilot[None], key: str) -> None:
    await pilot.press(key)
    await settle(pilot, lambda: pilot.app.screen is not pilot.app.main)  # type: ignore[attr-defined]


def app(desk: SampleDesk, theme: str = "") -> ReviewApp:
    return ReviewApp(desk, now=desk.now, zone=UTC, theme=theme)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_list_thread_and_draft(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(app(SampleDesk()), terminal_size=size, run_before=drafted)


def test_the_list_of_a_narrow_terminal(snap_compare: Compare) -> None:
    desk = SampleDesk()
    desk.texts["<lunch-0@example.org>"] = SavedDraft("<lunch-0@example.org>", "Yes!", written_by="person")
    assert snap_compare(app(desk), terminal_size=(80, 24), run_before=listed)


def test_light_colours(snap_compare: Compare) -> None:
    assert snap_compare(app(SampleDesk(), "mailassist-light"), terminal_size=(120, 40), run_before=drafted)


def test_a_draft_that_streams_in(snap_compare: Compare) -> None:
    desk = SampleDesk()
    desk.gates["draft"] = threading.Event()

    async def streaming(pilot: Pilot[None]) -> None:
        main = pilot.app.main  # type: ignore[attr-defined]
        await listed(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: len(main.reply.pieces) == 4)

    assert snap_compare(app(desk), terminal_size=(120, 40), run_before=streaming)


def test_an_approved_reply_and_the_question_when_leaving(snap_compare: Compare) -> None:
    async def leaving(pilot: Pilot[None]) -> None:
        main = pilot.app.main  # type: ignore[attr-defined]
        await drafted(pilot)
        await pilot.press("a")
        await settle(pilot, lambda: main.outgoing.pending and main.reply.waiting.subject.startswith("Lunch"))
        await turned_to_page(pilot, "q")

    assert snap_compare(app(SampleDesk()), terminal_size=(120, 40), run_before=leaving)


def test_hostile_mail_is_text(snap_compare: Compare) -> None:
    assert snap_compare(app(SampleDesk(hostile_conversation())), terminal_size=(120, 40), run_before=listed)


def test_nothing_waits(snap_compare: Compare) -> None:
    desk = SampleDesk()
    desk.samples.clear()
    assert snap_compare(app(desk), terminal_size=(120, 40), run_before=listed)


def test_what_would_leave(snap_compare: Compare) -> None:
    async def viewed(pilot: Pilot[None]) -> None:
        await drafted(pilot)
        await turned_to_page(pilot, "v")

    assert snap_compare(app(SampleDesk()), terminal_size=(120, 40), run_before=viewed)


@pytest.mark.parametrize("size", [(40, 15), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_what_the_model_would_see(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def viewed(pilot: Pilot[None]) -> None:
        await drafted(pilot)
        await turned_to_page(pilot, "p")

    assert snap_compare(app(SampleDesk()), terminal_size=size, run_before=viewed)


def team_desk() -> SampleDesk:
    """A queue with everything that a row can say."""
    desk = SampleDesk()
    team = SampleTeam(desk)
    for key in ("offer", "meeting", "invoice", "garden"):
        message_id = desk.samples[key].newest.message.message_id
        desk.texts[message_id] = SavedDraft(message_id, f"A draft for {key}.", version=1)
    team.change("lunch", held_by="dana")
    team.change("meeting", assigned_to="eli", notes=2)
    team.change("invoice", reason="A colleague has edited the draft in a mail program")
    team.change("garden", left=-7300.0)
    team.change("thesis", state="person", reason="complaint", notes=1)
    return desk


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_teams_queue(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def selected(pilot: Pilot[None]) -> None:
        main = pilot.app.main  # type: ignore[attr-defined]
        await listed(pilot)
        await pilot.press("x")
        await settle(pilot, lambda: main.reply.waiting.conversation == "offer" and main._shown)

    assert snap_compare(app(team_desk()), terminal_size=size, run_before=selected)


def test_what_failed_or_is_held(snap_compare: Compare) -> None:
    async def held(pilot: Pilot[None]) -> None:
        main = pilot.app.main  # type: ignore[attr-defined]
        await listed(pilot)
        await pilot.press("F")
        await settle(pilot, lambda: main.reply.waiting.conversation == "thesis" and main._shown)

    assert snap_compare(app(team_desk()), terminal_size=(120, 40), run_before=held)


def test_the_keys_of_a_team(snap_compare: Compare) -> None:
    async def helped(pilot: Pilot[None]) -> None:
        await listed(pilot)
        await turned_to_page(pilot, "question_mark")

    assert snap_compare(app(team_desk()), terminal_size=(120, 40), run_before=helped)


def test_the_keys(snap_compare: Compare) -> None:
    async def helped(pilot: Pilot[None]) -> None:
        await listed(pilot)
        await turned_to_page(pilot, "question_mark")

    assert snap_compare(app(SampleDesk()), terminal_size=(120, 40), run_before=helped)
