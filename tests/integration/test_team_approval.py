"""Two reviewers in processes of their own and a third person in a mail program: never two answers through us."""

from __future__ import annotations

import multiprocessing
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient
from servers import smtp as smtp_servers
from servers.approving_worker import Order, Place, act, configuration, serve
from servers.dovecot import Dovecot, Mailbox
from servers.scene import Ends, Scene, question
from team_store import add_case, queue_of

from mailassist.delivery.saving import save_draft
from mailassist.delivery.work import Surroundings
from mailassist.desk import Desk
from mailassist.store import approvals, schema
from mailassist.store.database import Store

TEXT = "It left today and will be with you on Friday."
STEPS = ["approve:begun", "approve:looked", "approve:removed", "approve:checked", "approve:looked-again",
         "approve:leaving", "approve:in-outbox"]  # fmt: skip
SENDING = ["send:leased", "send:may-leave", "send:bytes-written", "send:answered", "send:recorded", "file:recorded"]


class Reviewer:
    """A process of its own; what it is told to do it does while the test waits, or stands still at a step."""

    def __init__(self, who: str) -> None:
        self.who = who
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe: Connection[Any, Any]
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def does(self, desk: Team, verb: str, *, stop_at: str = "", later: float = 0.0) -> tuple[str, object]:
        """What came of it: ("done", ...), (name of the error, its text), or ("at", the step)."""
        self.pipe.send(Order(desk.place, self.who, verb, desk.case, TEXT, stop_at, later))
        return self.hears()

    def hears(self) -> tuple[str, object]:
        assert self.pipe.poll(60), f"{self.who} says nothing"
        found: tuple[str, object] = self.pipe.recv()
        return found

    def goes_on(self) -> tuple[str, object]:
        self.pipe.send("go")
        return self.hears()

    def dies(self) -> None:
        """Ends where it stands, without any clean-up, and starts anew."""
        self.pipe.send("die")
        self.process.join(30)
        assert self.process.exitcode == 9
        self._start()

    def ends(self) -> None:
        self.pipe.send(None)
        self.process.join(30)


class Team:
    """A case with our draft in Drafts, the team's store, and a third person with a mail program."""

    def __init__(self, dovecot: Dovecot, smtp: smtp_servers.SmtpServer, folder: Path) -> None:
        folder.mkdir()
        self.mailbox: Mailbox = dovecot.user("support")
        self.received = time.time()
        self.mailbox.deliver(question(1), flags="S", received=self.received)
        self.smtp = smtp
        smtp.accepted.clear()
        smtp.file_copy = None
        self.place = Place(str(folder / "team.db"), str(folder), dovecot.port, smtp.port, self.mailbox.name)
        self.scene = Scene(Ends(self.place.team, dovecot.port, smtp.port, self.mailbox.name))
        self.store: Store = self.scene.store
        self.case = add_case(self.store, text=None, state="drafted")
        reply = replace(self.scene.reply(text=TEXT), account="support")
        around = Surroundings(now=lambda: 1.0)
        save_draft(self.store, replace(self.scene.route, account="support"), reply, around=around, written_by="model")
        with self.store.write() as connection:
            connection.execute(schema.drafts.update().values(case_id=self.case))
        self.open_in_program = self.draft()  # the third person has it on the screen

    def draft(self) -> bytes:
        (raw,) = self.drafts()
        return raw

    def drafts(self) -> list[bytes]:
        return self._raw("Drafts")

    def sent(self) -> list[bytes]:
        return self._raw("Sent")

    def third(self, what: str) -> None:
        """A mail program: `sends` the draft, `edits` it, or `deletes` it; it had it open before."""
        with self.scene.client() as client:
            text = re.sub(rb"(?m)^(Message-ID): *[^\r\n]*", rb"\1: <%s@program.example>" % uuid.uuid4().hex.encode(),
                          self.open_in_program, count=1, flags=re.IGNORECASE)  # fmt: skip
            if what == "sends":
                client.append("Sent", text, ["\\Seen"])
            elif what == "edits":
                client.append("Drafts", text.replace(b"Friday", b"Monday"), ["\\Draft", "\\Seen"])
            self._delete_draft(client)

    def _delete_draft(self, client: IMAPClient) -> None:
        client.select_folder("Drafts")
        first = client.search(["ALL"])[:1]
        ours = [uid for uid in first if b"Friday" in client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]]
        if ours:
            client.delete_messages(ours)
            client.expunge(ours)

    def newer_message(self) -> None:
        raw = question(1).replace(b"<q1@", b"<q1b@").replace(b"Where is", b"It has come, where is")
        raw = raw.replace(b"23 Nov", b"24 Nov")
        raw = raw.replace(b"\r\n\r\n", b"\r\nIn-Reply-To: <q1@customer.example>\r\n\r\n", 1)
        self.mailbox.deliver(raw, received=self.received)  # in the same second, as servers count

    def _raw(self, folder: str) -> list[bytes]:
        with self.scene.client() as client:
            client.select_folder(folder, readonly=True)
            found = client.fetch(client.search(["UNDELETED"]), ["BODY.PEEK[]"])
        return [one[b"BODY[]"] for one in found.values()]

    @property
    def state(self) -> str:
        (item,) = queue_of(self.store, "anybody").items(through=True)
        return item.state

    @property
    def reason(self) -> str:
        (item,) = queue_of(self.store, "anybody").items(through=True)
        return item.reason


@pytest.fixture(scope="module")
def smtp() -> Iterator[smtp_servers.SmtpServer]:
    with smtp_servers.smtp_server(logins=True) as server:
        yield server


@pytest.fixture(scope="module")
def people() -> Iterator[tuple[Reviewer, Reviewer]]:
    both = Reviewer("dana"), Reviewer("eli")
    yield both
    for one in both:
        one.ends()


@pytest.fixture
def team(dovecot: Dovecot, smtp: smtp_servers.SmtpServer, tmp_path: Path) -> Team:
    return Team(dovecot, smtp, tmp_path / "team")


def test_an_approved_reply_leaves_once_and_the_draft_is_gone(team: Team, people: tuple[Reviewer, Reviewer]) -> None:
    dana, _ = people
    assert dana.does(team, "approve")[0] == "done"
    assert team.drafts() == [] and team.smtp.accepted == [] and team.state == "approved"
    assert dana.does(team, "deliver") == ("done", ["done"])
    (accepted,) = team.smtp.accepted
    assert accepted.recipients == ("nora1@customer.example",) and b"on Friday" in accepted.raw
    assert len(team.sent()) == 1 and team.state == "answered"
    assert dana.does(team, "deliver") == ("done", [])


@pytest.mark.parametrize("what", ["sends", "edits", "deletes"])
@pytest.mark.parametrize("order", list(permutations(["dana", "eli", "third"])), ids=" ".join)
def test_every_order_of_two_reviewers_and_a_mail_program(
    team: Team, people: tuple[Reviewer, Reviewer], order: tuple[str, ...], what: str
) -> None:
    reviewers = {one.who: one for one in people}
    ended = {}
    for who in order:
        if who == "third":
            team.third(what)
        else:
            ended[who] = reviewers[who].does(team, "approve")
            reviewers[who].does(team, "deliver")
    first = next(who for who in order if who != "third")
    second = "eli" if first == "dana" else "dana"
    if order[0] == "third":
        assert team.smtp.accepted == []
        assert ended[first][0] == "Stopped" and ended[second][0] == "Taken"  # the first one has it in hand still
        assert team.drafts() == [] or what == "edits"  # a person's text stays
    else:
        assert len(team.smtp.accepted) == 1
        assert ended[first][0] == "done" and ended[second][0] == "Stopped"
        assert team.state == "answered"


@pytest.mark.parametrize("what", ["sends", "edits"])
@pytest.mark.parametrize("step", [*STEPS, "send:leased"])
def test_a_mail_program_at_every_step_of_an_approval(
    team: Team, people: tuple[Reviewer, Reviewer], step: str, what: str
) -> None:
    dana, eli = people
    verb = "approve" if step in STEPS else "deliver"
    if verb == "deliver":
        assert dana.does(team, "approve")[0] == "done"
    assert dana.does(team, verb, stop_at=step) == ("at", step)
    team.third(what)
    dana.goes_on()
    dana.does(team, "deliver")
    assert team.smtp.accepted == [], "a person's answer is there, or being written"
    assert "olleague" in team.reason or "of yours" in team.reason
    assert eli.does(team, "approve")[0] in ("Stopped", "Taken")
    assert len(team.sent()) == (what == "sends")


@pytest.mark.parametrize("step", [*STEPS, *SENDING])
def test_another_reviewer_at_every_step_of_an_approval(
    team: Team, people: tuple[Reviewer, Reviewer], step: str
) -> None:
    dana, eli = people
    verb = "approve" if step in STEPS else "deliver"
    if verb == "deliver":
        assert dana.does(team, "approve")[0] == "done"
    assert dana.does(team, verb, stop_at=step) == ("at", step)
    outcome, said = eli.does(team, "approve")
    assert outcome == "Taken" and "dana" in str(said)
    eli.does(team, "deliver")
    dana.goes_on()
    dana.does(team, "deliver")
    assert len(team.smtp.accepted) == 1 and team.state == "answered"


@pytest.mark.parametrize("step", [*STEPS, *SENDING])
def test_a_reviewer_whose_process_dies_at_any_step_and_a_colleague_who_goes_on(
    team: Team, people: tuple[Reviewer, Reviewer], step: str
) -> None:
    dana, eli = people
    if step not in STEPS:
        assert dana.does(team, "approve")[0] == "done"
    assert dana.does(team, "approve" if step in STEPS else "deliver", stop_at=step) == ("at", step)
    dana.dies()
    assert eli.does(team, "approve")[0] == "Taken"
    dana.does(team, "resume")
    dana.does(team, "deliver")
    if not team.smtp.accepted:
        if step == "approve:begun":  # that process could not even write down that it had begun: the claim has to end
            assert eli.does(team, "approve")[0] == "Taken"
        later = 3600.0
        assert eli.does(team, "approve", later=later)[0] == "done"
        eli.does(team, "deliver", later=later)
    assert len(team.smtp.accepted) == 1
    unknown = step == "send:answered"  # nobody has written down what the server said
    assert team.state == ("approved" if unknown else "answered")
    assert eli.does(team, "approve", later=7200.0)[0] == ("Taken" if unknown else "Stopped")


@pytest.mark.parametrize(
    ("step", "settled"),
    [("approve:checked", False), ("approve:leaving", True), ("approve:in-outbox", True), ("approve:in-outbox", False)],
)
def test_a_reviewer_who_comes_back_late_sends_nothing_twice(
    team: Team, people: tuple[Reviewer, Reviewer], step: str, settled: bool
) -> None:
    dana, eli = people
    assert dana.does(team, "approve", stop_at=step) == ("at", step)
    dana.dies()
    late = time.time() + 3600.0
    known: list[str] = []
    approvals.give_up(
        team.store, ["support"], now=late, seconds=1800.0, noted=lambda _, row, mailbox: known.append(row.state)
    )
    assert known == ["unknown" if step in ("approve:leaving", "approve:in-outbox") else "stopped"]
    if known == ["unknown"] and settled:
        assert "dana" in team.reason
        queue_of(team.store, "eli", now=time.time).settle(team.case, "stopped")
    if known == ["stopped"] or settled:
        assert eli.does(team, "approve", later=3600.0)[0] == "done"
    dana.does(team, "resume")
    dana.does(team, "deliver")
    eli.does(team, "deliver", later=3600.0)
    assert len(team.smtp.accepted) == 1  # where nobody has decided meanwhile: what dana approved
    assert team.state == "answered"


def test_a_process_that_cannot_ask_the_queue_sends_no_reply_of_long_ago(
    team: Team, people: tuple[Reviewer, Reviewer]
) -> None:
    dana, _ = people
    assert dana.does(team, "approve")[0] == "done"
    later = time.time() + 3600.0
    alone = Desk(configuration(team.place, "dana"), config_path=Path(team.place.own) / "c", now=lambda: later)
    try:
        (outcome,) = alone.deliver_due()
        assert outcome.state == "approved" and "queue has to be asked" in outcome.said
    finally:
        alone.close()
    assert team.smtp.accepted == []


def test_a_newer_message_stops_an_approval_before_and_after_the_undo_time(
    team: Team, people: tuple[Reviewer, Reviewer]
) -> None:
    dana, _ = people
    assert dana.does(team, "approve")[0] == "done"
    team.newer_message()
    assert dana.does(team, "deliver") == ("done", ["refused"])
    assert team.smtp.accepted == [] and team.state == "drafted"
    assert "a newer message has come in from nora1@customer.example" in team.reason
    outcome, said = dana.does(team, "approve")
    assert (outcome, "newer message" in str(said)) == ("Stopped", True)


def test_a_reply_that_was_taken_back_is_open_for_everybody(team: Team, people: tuple[Reviewer, Reviewer]) -> None:
    dana, eli = people
    dana.does(team, "approve")
    assert dana.does(team, "undo") == ("done", ([True], None))
    assert dana.does(team, "deliver") == ("done", []) and team.state == "drafted"
    assert eli.does(team, "approve", later=3600.0)[0] == "done"
    assert eli.does(team, "deliver", later=3600.0) == ("done", ["done"])
    assert len(team.smtp.accepted) == 1


def test_an_answer_that_no_id_joins_to_the_conversation_is_seen(team: Team, people: tuple[Reviewer, Reviewer]) -> None:
    dana, _ = people
    raw = team.draft()
    unjoined = re.sub(rb"(?mi)^(In-Reply-To|References):[^\r\n]*\r\n", b"", raw)
    other = unjoined.replace(b"Re: Order 1", b"Your order")
    for text in (unjoined, other):
        with team.scene.client() as client:
            client.append("Sent", text, ["\\Seen"])
        outcome, said = dana.does(team, "approve")
        assert outcome == "Stopped" and ("same subject" in str(said) or "this text" in str(said)), said
        with team.scene.client() as client:
            client.select_folder("Sent")
            client.delete_messages(client.search(["ALL"]))
            client.expunge()
    assert dana.does(team, "approve")[0] == "done"


def test_an_unknown_reply_keeps_the_case_until_its_sender_settles_it(
    team: Team, people: tuple[Reviewer, Reviewer]
) -> None:
    dana, eli = people
    team.smtp.script = smtp_servers.Script(drop="unaccepted", times=1)
    dana.does(team, "approve")
    assert dana.does(team, "deliver") == ("done", ["unknown"])
    team.smtp.script = smtp_servers.Script()
    outcome, said = eli.does(team, "approve", later=1e6)
    assert outcome == "Taken" and "Nobody can tell" in str(said)
    assert team.state == "approved"


def test_the_worker_is_what_the_tests_say(team: Team) -> None:
    """The same in this process, so that a failure shows its trace."""
    order = Order(team.place, "dana", "approve", team.case, TEXT)
    assert act(order, lambda step: None) is not None
