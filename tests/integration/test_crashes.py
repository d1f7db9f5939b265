"""A process that ends at any moment neither loses an approved reply nor sends or stores anything twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from servers import delivery_worker
from servers.dovecot import Dovecot, Mailbox
from servers.scene import Ends, Scene, question, words
from servers.smtp import SmtpServer

from mailassist.delivery.outbox import deliver_due, listed

KILLS = 40


@pytest.fixture(scope="module")
def processes() -> Iterator[ForkServerContext]:
    """Real processes that start in milliseconds: forked from one that has the libraries loaded and nothing open."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["servers.delivery_worker"])
    with pytest.MonkeyPatch.context() as patch:
        # Before 3.13 the fork server does not look where we look, and says nothing about what it cannot load.
        patch.setenv("PYTHONPATH", str(Path(delivery_worker.__file__).parents[1]), prepend=os.pathsep)
        forkserver.ensure_running()
        yield context


def ends_of(dovecot: Dovecot, mailbox: Mailbox, smtp_server: SmtpServer, store: Path) -> Ends:
    return Ends(str(store), dovecot.port, smtp_server.port, mailbox.name)


def crash(processes: ForkServerContext, ends: Ends, step: int) -> tuple[str, str]:
    """Run all actions and die at `step`; the step's name and action, "" where there are not so many steps."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=delivery_worker.die_at, args=(ends, step, theirs))
    process.start()
    theirs.close()
    told: tuple[str, str] = ours.recv()
    process.join()
    return told


def state(scene: Scene, smtp_server: SmtpServer) -> dict[str, object]:
    """Everything that can be seen from outside, and what the store says."""
    return {
        "accepted": Counter(one.own_id for one in smtp_server.accepted),
        "drafts": sorted(words(one) for one in scene.folder("Drafts")),
        "sent": sorted(words(one) for one in scene.folder("Sent")),
        "answered": ["\\Answered" in flags for flags in scene.flags("INBOX")],
        "outbox": [(row.state, row.attempt, row.error) for row in listed(scene.store, through=True)],
    }


def go_on(scene: Scene, smtp_server: SmtpServer, from_action: str) -> dict[str, object]:
    """What happens at the next start: the unfinished is finished, then the person does what they had not done yet."""
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert len(scene.folder("Drafts")) <= 1
    actions = delivery_worker.ACTIONS
    for action in actions[actions.index(from_action) :]:
        delivery_worker.act(scene, action)
    return state(scene, smtp_server)


@pytest.mark.timeout(400)
def test_a_crash_at_every_step_ends_in_the_state_of_an_uninterrupted_run(
    processes: ForkServerContext, dovecot: Dovecot, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    """The shape of mbsync's tests: stop at each step, go on, compare; go on again, and nothing changes."""
    expected = {
        "accepted": 1, "drafts": [], "sent": ["Final."], "answered": [True], "outbox": ["done"],
    }  # fmt: skip
    steps: list[str] = []
    while True:
        smtp_server.accepted.clear()
        mailbox = dovecot.user("ada")
        mailbox.deliver(question(1), flags="S")
        ends = ends_of(dovecot, mailbox, smtp_server, tmp_path / f"{len(steps)}.db")
        step, action = crash(processes, ends, len(steps))
        scene = Scene(ends)
        if not step:
            break
        reached = go_on(scene, smtp_server, action)
        found = reached | {
            "accepted": len(smtp_server.accepted), "outbox": [row.state for row in listed(scene.store, through=True)],
        }  # fmt: skip
        if step in ("send:data-committed", "send:answered"):
            # Nobody can know: the reply is shown as unknown, not sent again, and not filed.
            sent = int(step == "send:answered")
            assert found == expected | {
                "accepted": sent, "sent": [], "answered": [False], "outbox": ["unknown"], "drafts": ["Second."],
            }, step  # fmt: skip
        else:
            assert found == expected, step
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
        assert state(scene, smtp_server) == reached, step
        scene.store.close()
        steps.append(step)
    assert state(scene, smtp_server)["sent"] == ["Final."]
    assert len(steps) >= 25
    assert len(set(steps)) >= 20


@pytest.mark.timeout(400)
def test_forty_kills_at_random_moments_lose_nothing_and_double_nothing(
    processes: ForkServerContext, dovecot: Dovecot, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    mailbox = dovecot.user("ada")
    for number in range(400):
        mailbox.deliver(question(number), flags="S")
    ends = ends_of(dovecot, mailbox, smtp_server, tmp_path / "store.db")
    chance = random.Random(20261124)
    approved: set[int] = set()
    for _ in range(KILLS):
        approved |= until_killed(processes, ends, max(approved, default=-1) + 1, chance.uniform(0.02, 0.9))
    scene = Scene(ends)
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    rows = {row.answers: row for row in listed(scene.store, through=True)}
    assert {f"<q{number}@customer.example>" for number in approved} <= set(rows)  # no approval is lost
    accepted = Counter(one.own_id for one in smtp_server.accepted)
    copies = Counter(str(one["X-Mailassist-Id"]) for one in scene.folder("Sent"))
    assert max(accepted.values()) == 1  # nothing is sent twice
    assert len(approved) > KILLS / 4
    for row in rows.values():
        assert row.state in ("done", "unknown")
        if row.state == "done":
            assert (accepted[row.own_id], copies[row.own_id]) == (1, 1)
    assert set(accepted) <= {row.own_id for row in rows.values()}  # sent or unknown, and listed
    in_drafts = Counter(str(one["In-Reply-To"]) for one in scene.folder("Drafts"))
    assert max(in_drafts.values(), default=0) <= 1
    done = {row.answers for row in rows.values() if row.state == "done"}
    assert not done & set(in_drafts)


def until_killed(processes: ForkServerContext, ends: Ends, first: int, seconds: float) -> set[int]:
    """Let a process work for `seconds`, kill it; the numbers that it said were approved."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=delivery_worker.work_until_killed, args=(ends, first, 400, theirs))
    process.start()
    theirs.close()
    time.sleep(seconds)
    process.kill()
    process.join()
    told = set()
    try:
        while ours.poll():
            told.add(ours.recv())
    except EOFError:
        pass
    return told - {-1}
