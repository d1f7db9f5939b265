"""The review queue: one person a case, one approval a case, roles, order, notes, and what the trail hears."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from team_store import NOW, POLICY, Clock, RememberedTrail, add_case, queue_of

from mailassist.errors import NotAllowed, Stopped, Taken
from mailassist.store import approvals, review, schema, team_schema, versions
from mailassist.store.database import Store
from mailassist.team.queue import Role, TeamQueue
from mailassist.team_settings import TeamMailbox


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def reason(attempt: Callable[[], object]) -> str:
    with pytest.raises((Taken, Stopped)) as caught:
        attempt()
    return str(caught.value)


def test_the_case_with_the_least_office_time_left_comes_first_and_overdue_ones_are_negative(store: Store) -> None:
    late = add_case(store, 1, arrived=NOW - 30 * 3600)
    fresh = add_case(store, 2, arrived=NOW - 60)
    soon = add_case(store, 3, arrived=NOW - 20 * 3600)
    add_case(store, 4, state="answered")
    add_case(store, 5, mailbox="elsewhere")
    queue: TeamQueue = queue_of(store, "dana")
    items = queue.items()
    assert [item.case_id for item in items] == [late, soon, fresh]
    assert items[0].left is not None and items[0].left < 0 < (items[1].left or 0)
    assert items[2].left == pytest.approx(8 * 3600 - 60)
    assert len(queue.items(through=True)) == 4


def test_a_case_is_claimed_by_one_kept_by_a_sign_of_life_and_free_when_the_claim_ends(store: Store) -> None:
    case, clock, trail = add_case(store), Clock(), RememberedTrail()
    dana, eli = (queue_of(store, who, now=clock, trail=trail) for who in ("dana", "eli"))
    assert dana.claim(case).claimed_by == "dana"
    assert "dana is replying" in reason(lambda: eli.claim(case))
    assert eli.items()[0].claimed_by == "dana"
    clock.now += 800
    dana.claim(case)
    clock.now += 800
    assert "dana is replying" in reason(lambda: eli.claim(case))
    clock.now += 200
    assert eli.items()[0].claimed_by == ""
    eli.claim(case)
    assert "eli is replying" in reason(lambda: dana.claim(case))
    dana.release(case)
    assert dana.items()[0].claimed_by == "eli"
    eli.release(case)
    assert dana.claim(case).claimed_by == "dana"
    assert trail.actions == [("dana", "claim"), ("eli", "claim"), ("eli", "release"), ("dana", "claim")]


def test_a_case_is_handed_to_a_colleague_with_a_note(store: Store) -> None:
    case = add_case(store)
    dana, eli = queue_of(store, "dana"), queue_of(store, "eli")
    assert "You have not claimed" in reason(lambda: dana.save_text(case, "Mine.", base=1, reply_all=False))
    dana.claim(case)
    dana.hand_over(case, "eli", "You know this customer.")
    assert "eli is replying" in reason(lambda: dana.claim(case))
    item = eli.claim(case)
    assert (item.assigned_to, item.notes) == ("eli", 1)
    assert [(note.who, note.text) for note in eli.notes(case)] == [("dana", "You know this customer.")]


def test_a_text_is_kept_with_the_one_before_among_the_versions(store: Store) -> None:
    case = add_case(store)
    dana = queue_of(store, "dana")
    dana.claim(case)
    kept = dana.save_text(case, "Mine.", base=1, reply_all=True)
    assert (kept.version, kept.written_by, kept.reply_all) == (2, "person", True)
    assert dana.texts([case])[case] == kept
    stale = dana.save_text(case, "From another window.", base=1, reply_all=True)
    assert stale.version == 3
    before = versions.others(store, "support", "<q1@customer.example>", "")
    assert [one.text for one in before] == ["It left today.", "Mine."]


def test_a_case_without_a_draft_gets_one_and_a_discarded_one_is_withdrawn(store: Store) -> None:
    case = add_case(store, text=None)
    dana = queue_of(store, "dana")
    dana.claim(case)
    assert not dana.items()[0].drafted
    dana.save_text(case, "Mine.", base=0, reply_all=False)
    assert (dana.items()[0].state, dana.items()[0].drafted) == ("drafted", True)
    with store.write() as connection:
        connection.execute(schema.drafts.update().values(folder="Drafts"))
    assert review.to_withdraw(store, ["support"]) == []
    dana.discard(case, "spam")
    assert dana.items() == [] and len(review.to_withdraw(store, ["support"])) == 1
    assert "needs no reply: spam" in reason(lambda: dana.claim(case))


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.SEE, set()), (Role.DRAFT, {"claim", "note", "save", "discard"}), (Role.APPROVE, {"claim", "note", "save"})],
)
def test_roles_are_enforced(store: Store, role: Role, may: set[str]) -> None:
    case = add_case(store)
    queue = queue_of(store, "dana", role)
    assert queue.items() and queue.texts([case]) and queue.notes(case) == []
    attempts: dict[str, Callable[[], object]] = {
        "claim": lambda: queue.claim(case),
        "note": lambda: queue.add_note(case, "x"),
        "save": lambda: queue.save_text(case, "x", base=1, reply_all=False),
        "approve": lambda: queue.begin_approval(case, "x"),
        "discard": lambda: queue.discard(case, "x"),
    }
    for name, attempt in attempts.items():
        if name in may or (role == Role.APPROVE and name == "approve"):
            attempt()
        elif role == Role.APPROVE:
            reason(attempt)  # on its way by now
        else:
            with pytest.raises(NotAllowed, match="dana may not"):
                attempt()


def test_one_approval_a_case_until_it_is_closed(store: Store) -> None:
    case, trail = add_case(store), RememberedTrail()
    dana, eli = (queue_of(store, who, trail=trail) for who in ("dana", "eli"))
    approval = dana.begin_approval(case, "It left today.")
    assert approval.answers == "<q1@customer.example>"
    assert "dana is" in reason(lambda: eli.begin_approval(case, "Other."))
    assert "already" in reason(lambda: dana.begin_approval(case, "Other."))
    assert "dana is" in reason(lambda: eli.claim(case))
    assert "on its way" in reason(lambda: dana.discard(case, ""))
    assert [one.id for one in dana.mine_open()] == [approval.id] and eli.mine_open() == []
    dana.checked(approval.id)
    dana.close_approval(approval.id, "stopped", "A colleague has answered")
    dana.close_approval(approval.id, "sent", "too late")
    assert (dana.items()[0].state, dana.items()[0].reason) == ("drafted", "A colleague has answered")
    dana.release(case)
    again = eli.begin_approval(case, "It left today.")
    eli.checked(again.id)
    eli.close_approval(again.id, "sent", "")
    assert eli.items() == [] and "is answered" in reason(lambda: dana.begin_approval(case, "Late."))
    approve = next(entry for entry in trail.entries if entry["action"] == "approve")
    assert (approve["written"], approve["sent"]) == ("It left today.", "It left today.")
    assert trail.actions[-2:] == [("eli", "approve"), ("eli", "sent")]


def test_a_reply_of_which_nobody_knows_keeps_others_from_sending_one(store: Store) -> None:
    case, clock = add_case(store), Clock()
    dana, eli = queue_of(store, "dana", now=clock), queue_of(store, "eli", now=clock)
    approval = dana.begin_approval(case, "x")
    dana.checked(approval.id)
    dana.close_approval(approval.id, "unknown", "the line broke")
    clock.now += 1_000_000
    assert "Nobody can tell" in reason(lambda: eli.begin_approval(case, "Other."))
    assert [one.state for one in dana.mine_open()] == ["unknown"]
    dana.close_approval(approval.id, "sent", "")
    assert dana.items() == []


def test_an_approval_given_up_before_anything_left_gives_way_and_can_send_nothing_afterwards(store: Store) -> None:
    case, clock = add_case(store), Clock()
    dana, eli = queue_of(store, "dana", now=clock), queue_of(store, "eli", now=clock)
    first = dana.begin_approval(case, "x")
    clock.now += 1000
    second = eli.begin_approval(case, "y")
    assert "ended meanwhile" in reason(lambda: dana.checked(first.id))
    eli.checked(second.id)
    clock.now += 1000
    third = dana.begin_approval(case, "z")
    assert "ended meanwhile" in reason(lambda: eli.leaving(second.id))
    assert "ended meanwhile" in reason(lambda: dana.leaving(third.id))  # before it looked and took the copies away
    dana.checked(third.id)
    dana.leaving(third.id)
    clock.now += 1_000_000
    assert "dana is sending" in reason(lambda: eli.begin_approval(case, "x"))  # it may have left: it never gives way


def given_up(store: Store, now: float) -> list[tuple[int, str]]:
    """Which approvals were given up for want of a sign of life, and as what."""
    found: list[tuple[int, str]] = []
    approvals.give_up(
        store, ["support"], now=now, seconds=1800, noted=lambda _, row, mailbox: found.append((row.id, row.state))
    )
    return found


@pytest.mark.parametrize("verdict", ["sent", "stopped"])
def test_a_reply_in_the_outbox_of_somebody_who_is_gone_is_settled_by_a_colleague(store: Store, verdict: str) -> None:
    case, clock, trail = add_case(store), Clock(), RememberedTrail()
    dana, eli = (queue_of(store, who, now=clock, trail=trail) for who in ("dana", "eli"))
    approval = dana.begin_approval(case, "x")
    dana.checked(approval.id)
    dana.leaving(approval.id)
    clock.now += 1700
    dana.leaving(approval.id)  # a sign of life
    clock.now += 1700
    assert given_up(store, clock.now) == []
    assert "has to be settled" in reason(lambda: eli.settle(case, "stopped"))
    clock.now += 200
    assert given_up(store, clock.now) == [(approval.id, "unknown")]
    assert given_up(store, clock.now) == []
    (item,) = eli.items()
    assert item.state == "approved" and "nobody can tell" in item.reason and "dana" in item.reason
    assert "Nobody can tell" in reason(lambda: eli.begin_approval(case, "Other."))
    with pytest.raises(NotAllowed):
        queue_of(store, "finn", Role.DRAFT).settle(case, "stopped")
    eli.settle(case, verdict)  # type: ignore[arg-type]
    assert "ended meanwhile" in reason(lambda: dana.leaving(approval.id))  # whose machine comes back after all
    dana.close_approval(approval.id, "sent", "")
    (item,) = eli.items(through=True)
    assert item.state == ("answered" if verdict == "sent" else "drafted")
    assert (trail.actions[-1], trail.entries[-1]["details"]["of"]) == (("eli", verdict), "dana")
    assert "has to be settled" in reason(lambda: eli.settle(case, "sent"))


def test_somebody_who_comes_back_before_it_is_settled_sends_what_was_approved(store: Store) -> None:
    case, clock = add_case(store), Clock()
    dana, eli = queue_of(store, "dana", now=clock), queue_of(store, "eli", now=clock)
    approval = dana.begin_approval(case, "x")
    dana.checked(approval.id)
    dana.leaving(approval.id)
    clock.now += 4000
    given_up(store, clock.now)
    dana.leaving(approval.id)
    assert "has to be settled" in reason(lambda: eli.settle(case, "stopped"))
    assert eli.items()[0].reason == ""
    dana.close_approval(approval.id, "sent", "")
    assert eli.items() == []


@pytest.mark.parametrize("only", [True, False])
def test_only_whoever_has_it_in_hand_approves_where_the_policy_says_so(store: Store, only: bool) -> None:
    case = add_case(store)
    policy = POLICY.model_copy(update={"only_claimant_approves": only})
    dana, eli = queue_of(store, "dana", policy=policy), queue_of(store, "eli", policy=policy)
    dana.claim(case)
    if only:
        assert "dana is replying" in reason(lambda: eli.begin_approval(case, "x"))
    else:
        assert eli.begin_approval(case, "x")


def test_what_a_person_has_taken_up_in_a_mail_program_is_approved_only_after_an_edit(store: Store) -> None:
    case = add_case(store, state="theirs", reason="edited in Drafts")
    dana = queue_of(store, "dana")
    assert "edited in Drafts" in reason(lambda: dana.begin_approval(case, "It left today."))
    dana.claim(case)
    dana.save_text(case, "Mine.", base=1, reply_all=False)
    assert dana.begin_approval(case, "Mine.").text == "Mine."


def test_the_copies_in_drafts_are_named_and_forgotten_once_they_are_removed(store: Store) -> None:
    case = add_case(store)
    places = {"folder": "Drafts", "uidvalidity": 7, "uid": 9, "own_id": "a", "fingerprint": "f", "state": "appended"}
    old = {"old_folder": "Drafts", "old_uidvalidity": 7, "old_uid": 8, "old_own_id": "b", "old_fingerprint": "g"}
    with store.write() as connection:
        connection.execute(schema.drafts.update().values(**places, **old))
    dana = queue_of(store, "dana")
    approval = dana.begin_approval(case, "It left today.")
    assert [(one.uid, one.own_id, one.fingerprint) for one in approval.drafts] == [(9, "a", "f"), (8, "b", "g")]
    dana.checked(approval.id)
    assert dana.mine_open()[0].drafts == () and not dana.items()[0].in_drafts


def test_a_draft_on_its_way_into_the_mailbox_is_waited_for(store: Store) -> None:
    case, clock = add_case(store), Clock()
    with store.write() as connection:
        connection.execute(schema.drafts.update().values(state="appending", own_id="a", pending=b"x", changed_at=NOW))
    dana = queue_of(store, "dana", now=clock)
    assert "right now" in reason(lambda: dana.begin_approval(case, "x"))
    clock.now += 200
    assert dana.begin_approval(case, "x").drafts[0].folder == ""


def test_of_people_who_approve_at_the_same_moment_one_gets_it(open_store: Callable[[], Store]) -> None:
    people = ["dana", "eli", "finn", "gina"]
    queues = {who: queue_of(open_store(), who) for who in people}
    store = open_store()
    case = add_case(store)
    for queue in queues.values():
        assert queue.items()  # the connection is there
    barrier = threading.Barrier(len(people))

    def approve(who: str) -> int | None:
        barrier.wait(30)
        try:
            return queues[who].begin_approval(case, f"By {who}").id
        except Taken:
            return None

    with ThreadPoolExecutor(len(people)) as pool:
        for _ in range(20):
            outcomes = dict(zip(people, pool.map(approve, people), strict=True))
            winners = {who: number for who, number in outcomes.items() if number is not None}
            assert len(winners) == 1, outcomes
            ((who, number),) = winners.items()
            assert queues[who].mine_open()[0].text == f"By {who}"
            queues[who].close_approval(number, "stopped", "")
            queues[who].release(case)
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(team_schema.approvals)) == 20


def test_office_hours_of_each_mailbox_count(store: Store) -> None:
    add_case(store, arrived=NOW)
    quick = queue_of(store, "dana", policy=TeamMailbox(reply_target_hours=1)).items()[0]
    slow = queue_of(store, "dana", policy=TeamMailbox(reply_target_hours=16)).items()[0]
    assert (quick.due or 0) < (slow.due or 0)
