"""From a message in a team mailbox to a draft where the team works, against a real IMAP server."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers.daemon import eventually
from servers.dovecot import Dovecot
from servers.model_api import ModelServer, Reply
from servers.team import DRAFT, Team, answering, client, id_of, in_folder, is_triage, mail, team

from mailassist.daemon.arrivals import look
from mailassist.daemon.drafts_folder import look_after
from mailassist.daemon.queue_local import LocalQueue
from mailassist.daemon.steps import Steps, placing
from mailassist.daemon.steps.run import Run
from mailassist.daemon.upkeep import settle
from mailassist.errors import ConnectionFailed, Stopped, StoreError
from mailassist.store import arrivals, audit, drafts, feedback, index, mailboxes, schema
from mailassist.team import status
from mailassist.team.queue import Role
from mailassist.team.report import report as report_of
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamMailbox


@pytest.fixture
def scene(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path):
    made: list[Team] = []

    def make(*names: str, policy: str = "", more: str = "") -> Team:
        made.append(team(dovecot, model_server, tmp_path, *names, policy=policy, more=more))
        return made[-1]

    model_server.answers = [answering()]
    yield make
    for one in made:
        one.close()


def queue_of(team: Team, who: str = "dana", role: Role = Role.APPROVE) -> StoreQueue:
    policies = {name: box.policy for name, box in team.parts.mailboxes.items()}
    return StoreQueue(team.store, who, role, policies, team.parts.trail, team.now)


def throw_drafts_away(team: Team) -> None:
    """As somebody does in a mail program."""
    with client(team.dovecot, team.boxes["support"]) as program:
        program.select_folder("Drafts")
        program.delete_messages(program.search())
        program.expunge()


def test_a_question_gets_one_draft_in_its_conversation(scene) -> None:
    support = scene()
    asked = mail(subject="[#123] Where is it?")
    support.boxes["support"].deliver(asked)
    assert support.work() == ["delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(asked)
    assert draft["References"] == id_of(asked)
    assert draft["Subject"] == "Re: [#123] Where is it?"
    assert draft["From"] == "Team support <support@team.example>"
    assert draft["To"] == "Carla Customer <carla@customer.example>"
    assert "left our warehouse today" in draft.get_content()
    assert "Team support" in draft.get_content()
    assert support.case().state == "drafted"
    with client(support.dovecot, support.boxes["support"]) as program:
        program.select_folder("INBOX", readonly=True)
        assert program.get_flags(program.search()) == {1: (b"\\Recent",)}  # never \\Seen
        program.select_folder("Drafts", readonly=True)
        assert b"\\Draft" in program.get_flags(program.search())[1]
    assert support.work() == ["delivered"]
    assert len(support.drafts()) == 1
    assert len([one for one in support.model.requests if one.method == "POST"]) == 2  # triage and draft, once each


def test_mail_from_before_the_first_start_is_never_drafted(
    dovecot: Dovecot, model_server: ModelServer, tmp_path
) -> None:
    box = dovecot.user("support")
    box.deliver(mail(), received=time.time() - 3600)
    from servers.team import configuration

    from mailassist.config_file import parse

    support = Team(
        dovecot, model_server, {"support": box}, tmp_path,
        parse(configuration(dovecot, model_server, {"support": box}, tmp_path), "c"),
    )  # fmt: skip
    assert support.work() == []
    support.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "auto-replied"},
        {"List-Id": "<news.customer.example>"},
        {"Return-Path": "<>"},
        {"Precedence": "bulk"},
    ],
)
def test_what_no_person_wrote_is_never_drafted(scene, headers) -> None:
    support = scene()
    support.boxes["support"].deliver(mail(headers=headers))
    assert support.work() == ["none"]
    assert support.drafts() == []
    assert support.model.requests == []


def test_mailboxes_of_the_team_do_not_answer_each_other(scene) -> None:
    support = scene("support", "sales")
    support.boxes["support"].deliver(mail(sender="Sales <sales@team.example>"))
    assert support.work() == ["none"]


def test_triage_decides_who_answers(scene) -> None:
    support = scene()
    support.model.answers = [answering(category="complaint", urgency="high")]
    support.boxes["support"].deliver(mail())
    assert support.work() == ["person"]
    assert (support.case().state, support.case().category) == ("person", "complaint")
    assert support.told == [("at once", "complaint: this mailbox leaves it to a person")]
    support.model.answers = [answering(needs_reply=False, reason="thanks only")]
    support.boxes["support"].deliver(mail(text="Thank you!"))
    assert support.work() == ["person", "none"]
    assert support.drafts() == []
    assert all(is_triage(one) for one in support.model.requests)


def test_a_gap_is_missing_information_not_a_draft(scene) -> None:
    support = scene()
    support.model.answers = [answering("Dear Carla,\n\nyour order arrives on [delivery date?].\n\nRegards")]
    support.boxes["support"].deliver(mail(subject="[Ticket 7] order"))
    assert support.work() == ["missing"]
    assert support.case().missing == "delivery date"
    assert support.drafts() == []
    kept = drafts.of_case(support.store, 1)
    assert kept is not None
    assert "[delivery date?]" in kept.text


def test_a_newer_message_renews_the_draft(scene) -> None:
    support = scene()
    first = mail()
    support.boxes["support"].deliver(first)
    support.work()
    second = mail(text="And what does it cost?", answers=id_of(first), subject="Re: Order")
    support.model.answers = [answering("It costs 5 euros.")]
    support.boxes["support"].deliver(second)
    assert support.work() == ["superseded", "delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(second)
    assert "5 euros" in draft.get_content()
    assert len(in_folder(support.dovecot, support.boxes["support"], "Trash")) == 1
    assert support.case().message_id == id_of(second)


def _two(support: Team) -> tuple[bytes, bytes]:
    """Two conversations with a draft each, and the message that makes one of them, which has not come yet."""
    first, second = mail(subject="Order 7"), mail(subject="Order 7", text="And what does it cost?")
    for asked in (first, second):
        support.boxes["support"].deliver(asked)
    assert support.work() == ["delivered", "delivered"]
    assert len(support.drafts()) == 2
    both = f"{id_of(second)} {id_of(first)}"
    return second, mail(subject="Re: Order 7", answers=id_of(first), references=both, text="I asked twice, sorry.")


def test_two_conversations_that_a_message_joins_have_one_draft(scene) -> None:
    support = scene()
    _, joining = _two(support)
    queue_of(support).add_note(2, "Old customer.")
    support.boxes["support"].deliver(joining)
    assert support.work() == ["superseded", "superseded", "delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(joining)
    (item,) = queue_of(support).items()
    assert (item.case_id, item.state) == (1, "drafted")
    assert (support.case(2).state, support.case(2).reason) == ("none", "the conversation goes on in case 1")
    assert [note.text for note in queue_of(support).notes(1)] == ["Old customer."]
    assert feedback.latest(support.store, "support", 5) == []  # nobody has thrown it away
    assert support.told == []
    settle(support.parts)
    assert support.work() == ["superseded", "superseded", "delivered"]


@pytest.mark.parametrize("how", ["claimed", "edited"])
def test_a_joined_conversation_that_a_person_has_in_hand_is_left_alone_and_told(scene, how: str) -> None:
    support = scene()
    second, joining = _two(support)
    queue = queue_of(support)
    queue.claim(2)
    if how == "edited":
        queue.save_text(2, "My own words.", base=1, reply_all=False)
        queue.release(2)
    support.boxes["support"].deliver(joining)
    assert support.work() == ["superseded", "delivered", "delivered"]
    assert [draft["In-Reply-To"] for draft in support.drafts()] == [id_of(second), id_of(joining)]
    assert queue.texts([2])[2].text == ("My own words." if how == "edited" else DRAFT)
    reasons = {item.case_id: item.reason for item in queue.items()}
    assert reasons == {1: "", 2: "the conversation goes on in case 1; a person has this one in hand"}
    assert support.told == [("daily", "case 2 is of the same conversation, and a person has it in hand")]
    if how == "claimed":
        queue.release(2)
    again = mail(subject="Re: Order 7", answers=id_of(joining), text="Hello?")
    support.boxes["support"].deliver(again)
    support.work()
    assert len(support.told) == 1
    assert support.case(2).state == ("none" if how == "claimed" else "drafted")
    assert len(support.drafts()) == (1 if how == "claimed" else 2)


def test_a_joined_conversation_whose_draft_was_edited_in_a_program_is_told(scene) -> None:
    support = scene()
    second, joining = _two(support)
    (old,) = [draft for draft in support.drafts() if draft["In-Reply-To"] == id_of(second)]
    old.set_content("My own words.")
    with client(support.dovecot, support.boxes["support"]) as program:
        program.select_folder("Drafts")
        program.append("Drafts", old.as_bytes(), flags=["\\Draft"])
        program.delete_messages(program.search(["HEADER", "In-Reply-To", id_of(second)])[:1])
        program.expunge()
    support.boxes["support"].deliver(joining)
    assert support.work() == ["superseded", "superseded", "delivered"]
    assert sorted(draft["In-Reply-To"] for draft in support.drafts()) == sorted([id_of(second), id_of(joining)])
    assert any("My own words." in draft.get_content() for draft in support.drafts())
    assert [(kind, "edited or taken the draft" in reason) for kind, reason in support.told] == [("at once", True)]


def test_a_joined_draft_whose_append_broke_off_is_withdrawn_too(scene) -> None:
    support = scene()
    second, joining = _two(support)
    (raw,) = [one.as_bytes() for one in support.drafts() if one["In-Reply-To"] == id_of(second)]
    with support.store.write() as connection:  # killed after the server took the draft, before that was recorded
        of_second = drafts.table.c.case_id == 2
        lost = {"state": "appending", "pending": raw, "folder": "", "uidvalidity": None, "uid": None}
        connection.execute(drafts.table.update().where(of_second).values(**lost))
    support.boxes["support"].deliver(joining)
    assert support.work() == ["superseded", "superseded", "delivered"]
    assert [draft["In-Reply-To"] for draft in support.drafts()] == [id_of(joining)]
    settle(support.parts)
    assert support.work() == ["superseded", "superseded", "delivered"]
    kept = drafts.of_case(support.store, 2)
    assert kept is not None and not kept.pending
    assert support.told == []


def test_a_message_that_joins_late_takes_nothing_from_a_newer_one(scene) -> None:
    support = scene()
    box, now = support.boxes["support"], support.parts.now()
    first = mail(subject="Order 7")
    late = mail(subject="Re: Order 7", answers=id_of(first), text="From the spam folder.")
    newest = mail(subject="Re: Order 7", answers=id_of(late), text="And what does it cost?")
    box.deliver(first, received=now + 1)
    box.deliver(newest, received=now + 20)
    assert support.work() == ["delivered", "delivered"]
    box.deliver(late, received=now + 10)
    assert support.work() == ["superseded", "delivered", "superseded"]
    assert [draft["In-Reply-To"] for draft in support.drafts()] == [id_of(newest)]
    assert [(support.case(number).state, support.case(number).message_id) for number in (1, 2)] == [
        ("none", id_of(first)),
        ("drafted", id_of(newest)),
    ]


def test_one_answer_to_two_conversations_withdraws_both_drafts(scene) -> None:
    support = scene()
    second, _ = _two(support)
    first = support.case(1).message_id
    answer = mail(sender="support@team.example", to="carla@customer.example", subject="Re: Order 7",
                  answers=id_of(second), references=f"{first} {id_of(second)}", text="It left today.")  # fmt: skip
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered", "answered"]
    assert support.drafts() == []
    assert [support.case(number).state for number in (1, 2)] == ["answered", "answered"]


def test_a_burst_is_waited_out(scene) -> None:
    support = scene(policy="burst_seconds = 60.0")
    first = mail()
    support.boxes["support"].deliver(first)
    support.boxes["support"].deliver(mail(answers=id_of(first), text="One more thing: is it blue?"))
    assert support.work() == ["superseded", "seen"]
    support.ahead = 61.0
    assert support.work() == ["superseded", "delivered"]
    assert len(support.drafts()) == 1


def test_an_answer_of_a_colleague_withdraws_the_draft(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    answer = mail(sender="Team support <support@team.example>", to="carla@customer.example", answers=id_of(asked),
                  text=f"{DRAFT}\n\n-- \nTeam support")  # fmt: skip
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered"]
    assert support.drafts() == []
    assert support.case().state == "answered"
    (noted,) = feedback.latest(support.store, "support", 5)
    assert (noted.outcome, noted.likeness) == ("as is", 1.0)


def test_a_colleagues_out_of_office_is_no_answer(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    away = mail(sender="support-en@team.example", to="carla@customer.example", answers=id_of(asked),
                headers={"Auto-Submitted": "auto-replied"}, text="I am away.")  # fmt: skip
    support.boxes["support"].deliver(away, "Sent")
    assert support.work() == ["delivered"]


def test_an_edited_draft_is_a_persons(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    (draft,) = support.drafts()
    draft.set_content("My own words.")
    with client(support.dovecot, support.boxes["support"]) as program:
        program.select_folder("Drafts")
        program.append("Drafts", draft.as_bytes(), flags=["\\Draft"])
        program.delete_messages(program.search()[:1])
        program.expunge()
    support.boxes["support"].deliver(mail(answers=id_of(asked), text="And in red?"))
    assert support.work() == ["superseded", "theirs"]
    (left,) = support.drafts()
    assert "My own words." in left.get_content()
    assert support.case().state == "theirs"


def test_a_deleted_draft_is_not_made_again_for_the_same_message(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    throw_drafts_away(support)
    assert support.work() == ["delivered"]
    assert support.drafts() == []
    support.boxes["support"].deliver(mail(answers=id_of(asked), text="And in red?"))
    assert support.work() == ["superseded", "delivered"]
    assert len(support.drafts()) == 1  # another message may have another


def test_a_draft_that_stays_away_from_its_folder_is_a_persons(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    support.work()

    def look() -> int:
        with support.connections.borrowed("support") as source:
            return look_after(support.parts, support.parts.mailboxes["support"], source)

    assert look() == 0
    throw_drafts_away(support)
    assert look() == 0  # it may be on its way to Sent
    assert support.case().state == "drafted"
    support.ahead = 700.0
    assert look() == 1
    assert (support.case().state, support.states()) == ("theirs", ["theirs"])
    assert [one.outcome for one in feedback.latest(support.store, "support", 5)] == ["discarded"]
    assert look() == 0


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ('senders = ["*@partner.example"]', "names other senders"),
        ('never_senders = ["customer.example"]', "leaves this sender out"),
        ('never_subjects = ["[BUILD]"]', "leaves this subject out"),
    ],
)
def test_the_policy_says_whose_mail_is_worked_on(scene, policy: str, why: str) -> None:
    support = scene(policy=policy)
    support.boxes["support"].deliver(mail(subject="Re: [build] 7 failed"))
    (number,) = [1] if support.work() == ["none"] else []
    row = arrivals.get(support.store, number)
    assert row is not None and why in row.reason
    assert support.model.requests == []


def test_the_language_and_the_budget_of_the_mailbox_hold(scene) -> None:
    support = scene(policy='language = "de"\ndaily_budget = 0.00001\ntriage = "rules"')
    support.boxes["support"].deliver(mail())
    assert support.work() == ["packed"]  # until tomorrow
    assert support.model.requests == []
    row = arrivals.get(support.store, 1)
    assert row is not None and "for support" in row.error and row.not_before > support.now()
    policies = support.parts.mailboxes["support"].policy.model_copy(update={"daily_budget": None})
    support.parts.mailboxes["support"] = replace(support.parts.mailboxes["support"], policy=policies)
    support.ahead = 90_000.0
    assert support.work() == ["delivered"]
    (asked,) = [one for one in support.model.requests if one.method == "POST"]
    assert "German" in asked.prompt


def test_one_message_at_two_team_addresses_is_one_conversation(scene) -> None:
    support = scene("support", "sales")
    asked = mail(to="sales@team.example, support@team.example")
    support.boxes["sales"].deliver(asked)
    support.look("sales")
    support.boxes["support"].deliver(asked)
    support.look("support")
    assert support.work("sales") == ["delivered"]
    assert len(support.drafts("support")) == 1
    assert support.drafts("sales") == []
    (item,) = queue_of(support).items()
    assert (item.mailbox, item.also_in) == ("support", ("sales",))
    found = status.look(support.store, support.config, now=support.now())
    assert {one.name: one.elsewhere for one in found.mailboxes} == {"support": {}, "sales": {"support": 1}}


def test_the_mode_says_where_drafts_go(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> None:
    model_server.answers = [answering()]
    for mode, in_drafts, in_queue in (("drafts", 1, 0), ("queue", 0, 1), ("both", 1, 1)):
        (tmp_path / mode).mkdir()
        support = team(dovecot, model_server, tmp_path / mode, policy=f'draft_mode = "{mode}"')
        support.boxes["support"].deliver(mail())
        assert support.work() == ["delivered"]
        assert (len(support.drafts()), len(queue_of(support).items())) == (in_drafts, in_queue), mode
        support.close()


def test_the_same_message_id_hides_nobodys_mail(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail(message_id="<same@evil.example>"))
    support.boxes["support"].deliver(mail(message_id="<same@evil.example>", sender="Dora <dora@other.example>"))
    assert support.work() == ["delivered", "person"]
    assert support.told == [("daily", "another message has the same Message-ID")]
    assert support.drafts()[0]["To"] == "Carla Customer <carla@customer.example>"
    support.boxes["support"].deliver(mail(answers="<same@evil.example>", text="And in red?"))
    assert support.work() == ["superseded", "person", "delivered"]
    assert (support.case(1).state, support.case(2).state) == ("drafted", "person")


def test_the_reply_leaves_from_the_address_written_to(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail(to="support-en+order7@team.example"))
    support.work()
    (draft,) = support.drafts()
    assert draft["From"] == "Team support <support-en+order7@team.example>"


def test_many_messages_of_one_sender_end_with_a_person(scene) -> None:
    support = scene(policy="drafts_per_sender_per_hour = 2")
    for _ in range(4):
        support.boxes["support"].deliver(mail())
    assert sorted(support.work()) == ["person"] * 4
    assert support.model.requests == []


def test_the_limit_of_an_hour_counts_drafts_that_were_made_in_it(scene) -> None:
    support = scene(policy="drafts_per_hour = 2\ndrafts_per_sender_per_hour = 9")
    asked = [mail() for _ in range(3)]
    for one in asked:
        support.boxes["support"].deliver(one)
    assert sorted(support.work()) == ["delivered", "delivered", "seen"]
    support.ahead = 3700.0
    support.work()
    assert support.states() == ["delivered"] * 3
    for one in asked:  # what becomes of a draft later makes none
        answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(one), text=DRAFT)
        support.boxes["support"].deliver(answer, "Sent")
    support.boxes["support"].deliver(mail())
    assert support.work() == ["answered", "answered", "answered", "delivered"]


def test_a_cheaper_model_may_triage(scene) -> None:
    support = scene(policy='triage_model = "gpt-4.1-nano"')
    support.boxes["support"].deliver(mail())
    assert support.work() == ["delivered"]
    asked = [one for one in support.model.requests if one.method == "POST"]
    assert [(is_triage(one), one.body["model"]) for one in asked] == [(True, "gpt-4.1-nano"), (False, "gpt-4o-mini")]


def test_what_fails_for_good_is_told_at_once(scene) -> None:
    support = scene()
    support.model.answers = [lambda _: Reply("no triage at all", pieces=1)]
    support.boxes["support"].deliver(mail())
    for support.ahead in range(0, 60_000, 10_000):
        support.work()
    assert support.case().state == "failed"
    assert [kind for kind, _ in support.told] == ["at once"]
    assert "triage" in support.case().reason


def test_what_failed_for_good_is_tried_again_when_a_person_says_so(scene) -> None:
    support = scene()
    support.model.answers = [lambda _: Reply("no triage at all", pieces=1)]
    first = mail()
    support.boxes["support"].deliver(first)
    for support.ahead in range(0, 60_000, 10_000):
        support.work()
    assert support.states() == ["failed"]
    support.model.answers = [answering()]
    settle(support.parts)
    assert support.work() == ["failed"]
    queue_of(support, role=Role.DRAFT).retry(1)
    settle(support.parts)
    assert support.work() == ["delivered"]
    assert len(support.drafts()) == 1
    assert (support.case().state, support.case().reason) == ("drafted", "")
    with support.store.read() as connection:
        assert [one.who for one in audit.entries(connection) if one.action == "retry"] == ["dana"]
    with pytest.raises(Stopped, match="has not failed"):
        queue_of(support).retry(1)


def test_what_failed_is_not_tried_again_after_a_newer_message(scene) -> None:
    support = scene()
    support.model.answers = [lambda _: Reply("no triage at all", pieces=1)]
    first = mail()
    support.boxes["support"].deliver(first)
    for support.ahead in range(0, 60_000, 10_000):
        support.work()
    support.model.answers = [answering()]
    support.policy(burst_seconds=3600.0)
    support.boxes["support"].deliver(mail(answers=id_of(first), text="And in red?"), received=support.now())
    assert support.work() == ["failed", "seen"]
    settle(support.parts)
    assert support.work() == ["failed", "seen"]


def test_the_model_failing_loses_nothing(scene) -> None:
    support = scene()
    support.model.answers = [Reply(status=500, message="down"), Reply(status=500, message="down"), answering()]
    support.boxes["support"].deliver(mail())
    assert support.work() == ["seen"]
    assert support.failures
    support.ahead = 30.0
    support.work()
    support.ahead = 300.0
    assert support.work() == ["delivered"]


def test_a_drafts_folder_that_takes_nothing_is_waited_for_and_named(scene) -> None:
    support = scene("support", "sales")

    def troubled() -> list[status.MailboxStatus]:
        found = status.look(support.store, support.config, now=support.now())
        return [one for one in found.mailboxes if one.trouble]

    for box in support.boxes.values():
        box.deliver(mail())
    drafts_folder = support.boxes["support"].folder / ".Drafts"
    with client(support.dovecot, support.boxes["support"]) as program:
        program.select_folder("Drafts")  # it is made now
    for part in ("tmp", "new", "cur"):
        (drafts_folder / part).chmod(0o500)
    try:
        support.look("sales")
        assert sorted(support.work()) == ["delivered", "drafted"]
        for support.ahead in (1e4, 2e4, 3e4, 4e4, 5e4, 6e4):  # seconds; more tries than a message gets
            support.work()
        (named,) = troubled()
        assert named.name == "support"
        assert "does not store the message in 'Drafts'" in named.trouble
    finally:
        for part in ("tmp", "new", "cur"):
            (drafts_folder / part).chmod(0o700)
    assert len(support.drafts("sales")) == 1
    support.ahead = 7e4
    assert support.work() == ["delivered", "delivered"]
    assert len(support.drafts("support")) == 1
    assert troubled() == []


def test_a_mailbox_whose_drafts_nobody_uses_pauses_itself(scene) -> None:
    support = scene(policy="pause_after_unused = 2")
    for _ in range(2):
        asked = mail()
        support.boxes["support"].deliver(asked)
        support.work()
        other = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked),
                     text="Something else entirely was said here by a colleague of ours.")  # fmt: skip
        support.boxes["support"].deliver(other, "Sent")
        support.work()
    assert mailboxes.get(support.store, "support").paused == "nobody used the last 2 drafts"
    with support.store.read() as connection:
        assert [one.who for one in audit.entries(connection) if one.action == "pause"] == ["daemon"]
    support.boxes["support"].deliver(mail())
    assert support.work()[-1] == "seen"


def test_shadow_puts_nothing_into_the_mailbox(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> None:
    from mailassist.daemon.steps import Steps

    model_server.answers = [answering()]
    support = team(dovecot, model_server, tmp_path, policy="pause_after_unused = 1")
    support.parts = replace(support.parts, shadow=True)
    support.steps = Steps(support.parts)
    support.boxes["support"].deliver(mail())
    assert support.work() == ["delivered"]
    assert support.drafts() == []
    assert drafts.of_case(support.store, 1) is not None
    support.boxes["support"].deliver(
        mail(sender="support@team.example", to="carla@customer.example", answers=support.case().message_id, text=DRAFT),
        "Sent",
    )
    assert support.work() == ["answered"]
    (report,) = report_of(support.store, ["support"])
    assert (report.cases, report.outcomes) == ({"answered": 1}, {"as is": 1})
    support.boxes["support"].deliver(mail())
    support.work()
    answer = mail(
        sender="support@team.example", to="carla@customer.example", answers=support.case(2).message_id, text="No"
    )
    support.boxes["support"].deliver(answer, "Sent")
    support.work()
    assert mailboxes.get(support.store, "support").paused == ""  # nobody could have used it
    support.close()


def test_two_workers_never_have_the_same_row(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    (number,) = support.look()
    first = arrivals.lease(support.store, number, "a:1:x", now=support.now(), seconds=60.0)
    assert first is not None
    assert arrivals.lease(support.store, number, "b:2:y", now=support.now(), seconds=60.0) is None
    later = arrivals.lease(support.store, number, "b:2:y", now=support.now() + 61, seconds=60.0)
    assert later is not None
    with pytest.raises(arrivals.LeaseLost):
        arrivals.advance(support.store, first, now=support.now(), state="triaged")


def _moved(support: Team, folder: str, to: str) -> None:
    """A colleague moves all messages of a folder."""
    with client(support.dovecot, support.boxes["support"]) as program:
        if not program.folder_exists(to):
            program.create_folder(to)
        program.select_folder(folder)
        program.move(program.search(), to)


def _taken_out(support: Team) -> bytes:
    """A message that a colleague has moved away before it was drafted."""
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.look()
    _moved(support, "INBOX", "Later")
    assert support.work() == ["none"]
    assert (support.case().state, support.case().reason) == ("none", "a colleague has taken it out of the inbox")
    return asked


def test_a_message_that_comes_back_into_the_inbox_is_drafted(scene) -> None:
    support = scene()
    asked = _taken_out(support)
    assert support.model.requests == []
    _moved(support, "Later", "INBOX")
    assert support.work() == ["delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(asked)
    assert support.case().state == "drafted"


@pytest.mark.parametrize("before", [True, False])
def test_a_message_that_comes_back_answered_is_not_drafted(scene, before: bool) -> None:
    support = scene()
    asked = _taken_out(support)
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked), text="Friday.")
    support.boxes["support"].deliver(answer, "Sent")
    if before:
        support.work()
    _moved(support, "Later", "INBOX")
    assert support.work() == ["none" if before else "answered"]
    assert support.case().state == "answered"
    assert support.drafts() == [] and support.model.requests == []


def test_a_message_that_comes_back_after_a_newer_one_leaves_that_ones_draft(scene) -> None:
    support = scene()
    asked = _taken_out(support)
    newer = mail(answers=id_of(asked), text="And in red?")
    support.boxes["support"].deliver(newer)
    assert support.work() == ["none", "delivered"]
    _moved(support, "Later", "INBOX")
    assert support.work() == ["none", "delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(newer)


def test_a_draft_that_a_person_discards_leaves_the_drafts_folder(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    support.work()
    queue = StoreQueue(support.store, "dana", Role.DRAFT, {"support": TeamMailbox()}, support.parts.trail, support.now)
    queue.claim(1)
    queue.discard(1, "phoned")
    settle(support.parts)
    assert support.work() == ["none"]
    assert support.drafts() == []
    assert [one.outcome for one in feedback.latest(support.store, "support", 5)] == ["discarded"]


def test_an_answer_from_a_delegates_mailbox_shows_in_what_the_customer_quotes(scene) -> None:
    support = scene()
    asked = mail(subject="Order 7")
    support.boxes["support"].deliver(asked)
    support.work()
    quoted = "\n".join(f"> {line}" for line in DRAFT.splitlines())
    again = mail(
        subject="Re: Order 7",
        answers="<unknown@exchange.example>", references=f"{id_of(asked)} <unknown@exchange.example>",
        text=f"Thank you! Which parcel service?\n\nOn Monday Dana wrote:\n{quoted}\n",
    )  # fmt: skip
    support.boxes["support"].deliver(again)
    assert support.work() == ["superseded", "delivered"]
    (noted,) = feedback.latest(support.store, "support", 5)
    assert (noted.answers, noted.outcome) == (id_of(asked), "as is")
    assert "an answer may exist elsewhere" in queue_of(support).items()[0].reason


def test_nothing_is_drafted_while_an_approved_reply_is_on_its_way(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    queue.claim(1)
    approval = queue.begin_approval(1, DRAFT)
    support.boxes["support"].deliver(mail(answers=id_of(asked), text="And in red?"))
    assert support.work() == ["superseded", "seen"]
    queue.close_approval(approval.id, "stopped", "a newer message came")
    support.ahead = 20.0
    assert support.work() == ["superseded", "delivered"]


def _then_no_draft(support: Team, **answer) -> tuple[str, str]:
    """A draft lies in Drafts; the customer's next message comes to an end without one; the two ids."""
    first = mail()
    support.boxes["support"].deliver(first)
    assert support.work() == ["delivered"]
    support.model.answers = [answering(**answer)]
    second = mail(answers=id_of(first), text="Never mind, it came. Thank you!")
    support.boxes["support"].deliver(second)
    return id_of(first), id_of(second)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"needs_reply": False}, "none"),
        ({"category": "complaint"}, "person"),
        ({"text": "It comes on [date?]."}, "missing"),
    ],
)
def test_a_newer_message_that_gets_no_draft_takes_the_old_one_away(scene, answer, state) -> None:
    support = scene()
    _then_no_draft(support, **answer)
    support.work()
    assert support.drafts() == []
    assert support.case().state == state
    assert state in support.states()
    assert feedback.latest(support.store, "support", 5) == []  # nobody has thrown it away


def test_an_answer_to_both_messages_withdraws_the_draft_for_the_first(scene) -> None:
    support = scene()
    _, second = _then_no_draft(support)
    support.look()  # the second waits for its turn, and a colleague is quicker
    answer = mail(sender="Team support <support@team.example>", to="carla@customer.example", answers=second, text=DRAFT)
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered", "answered"]
    assert support.drafts() == []
    assert support.case().state == "answered"


def test_a_draft_that_came_while_a_colleague_answered_is_withdrawn(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)

    def answered(step: str) -> None:
        if step == "draft:appending":
            support.boxes["support"].deliver(
                mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked)), "Sent"
            )
            support.look()
            (row,) = arrivals.due(support.store, now=support.now(), limit=9)
            support.steps.advance(row.id)  # another thread sees to the withdrawal before the APPEND is through

    support.use(mark=answered)
    support.work()
    support.use(mark=lambda step: None)
    settle(support.parts)
    assert support.work() == ["answered"]
    assert support.drafts() == []


def test_the_queue_alone_leaves_no_old_draft_in_the_mailbox(scene) -> None:
    support = scene()
    _then_no_draft(support)
    support.policy(draft_mode="queue")
    assert support.work() == ["superseded", "delivered"]
    assert support.drafts() == []


class Killed(BaseException):
    """The process ends here."""


def test_an_append_that_a_crash_cut_off_is_not_gone_on_with_after_an_answer(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)

    def killed(step: str) -> None:
        if step == "draft:appending":
            raise Killed

    support.use(mark=killed)
    with pytest.raises(Killed):
        support.work()
    support.use(mark=lambda step: None)
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked), text="Tomorrow.")
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered"]
    again = mail(answers=id_of(answer), references=f"{id_of(asked)} {id_of(answer)}", text="And in red?")
    support.boxes["support"].deliver(again)
    assert support.work() == ["answered", "delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(again)
    assert "left our warehouse today" in draft.get_content()


@pytest.mark.parametrize("together", [True, False])
def test_an_answer_counts_whatever_the_clocks_say(scene, together) -> None:
    support = scene(more="[daemon]\nfirst_start_days = 1.0")
    asked = mail()
    support.boxes["support"].deliver(asked)
    if not together:
        assert support.work() == ["delivered"]
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked), text="Tomorrow.")
    support.boxes["support"].deliver(answer, "Sent", received=time.time() - 120)  # the colleague's clock is late
    assert support.work() == ["answered"]
    assert support.drafts() == []
    assert support.case().state == "answered"


def test_a_clock_that_is_ahead_delays_nothing(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail(), received=time.time() + 7200)
    assert support.work() == ["delivered"]


def test_what_a_person_discards_meanwhile_is_not_drafted(scene) -> None:
    support = scene(policy="burst_seconds = 60.0")
    support.boxes["support"].deliver(mail())
    assert support.work() == ["seen"]
    queue = StoreQueue(support.store, "dana", Role.DRAFT, {"support": TeamMailbox()}, support.parts.trail, support.now)
    queue.discard(1, "phoned")
    support.ahead = 61.0
    assert support.work() == ["none"]
    assert support.model.requests == []
    assert (support.case().state, support.case().reason) == ("none", "phoned")


def test_what_a_person_discards_while_the_model_writes_is_not_put_into_drafts(scene) -> None:
    support = scene()
    queue = StoreQueue(support.store, "dana", Role.DRAFT, {"support": TeamMailbox()}, support.parts.trail, support.now)
    support.boxes["support"].deliver(mail())
    support.use(mark=lambda step: queue.discard(1, "phoned") if step == "draft:asked" else None)
    assert support.work() == ["none"]
    assert support.drafts() == []
    assert support.case().state == "none"


def test_an_approval_that_begins_while_the_model_writes_is_waited_for(scene) -> None:
    support = scene()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    first = mail()
    support.boxes["support"].deliver(first)
    support.work()
    support.model.answers = [answering("It costs 5 euros.")]
    support.boxes["support"].deliver(mail(answers=id_of(first), text="And what does it cost?"))
    support.use(mark=lambda step: queue.begin_approval(1, DRAFT) if step == "draft:asked" else None)
    assert support.work() == ["superseded", "drafted"]
    assert support.case().state == "approved"


def test_no_draft_comes_into_the_mailbox_once_an_approval_has_begun(scene) -> None:
    support = scene()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    support.boxes["support"].deliver(mail())
    support.use(mark=lambda step: queue.begin_approval(1, "My words.") if step == "draft:checked" else None)
    support.work()
    assert support.drafts() == []
    assert support.case().state == "approved"


def test_an_append_that_broke_off_is_not_gone_on_with_once_an_approval_has_begun(scene, monkeypatch) -> None:
    support = scene()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )

    def broken(step: str) -> None:
        if step == "draft:appending":
            raise ConnectionFailed("cut")

    support.boxes["support"].deliver(mail())
    support.use(mark=broken)
    assert support.work() == ["drafted"]
    support.use(mark=lambda step: None)
    support.ahead = 4000.0  # after the pause, and after the time for which an approval waits for the APPEND
    fresh = placing.freshness.check

    def approved_meanwhile(run: Run) -> bool:
        queue.begin_approval(1, DRAFT)
        return fresh(run)

    monkeypatch.setattr(placing.freshness, "check", approved_meanwhile)
    assert support.work() == ["drafted"]
    assert support.drafts() == []
    assert support.case().state == "approved"


def test_an_approval_that_nobody_goes_on_with_does_not_hold_up_the_conversation(scene) -> None:
    support = scene()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    first = mail()
    support.boxes["support"].deliver(first)
    support.work()
    approval = queue.begin_approval(1, DRAFT)  # and then the reviewer's machine is gone
    support.boxes["support"].deliver(mail(answers=id_of(first), text="And in red?"))
    assert support.work() == ["superseded", "seen"]
    support.ahead = 600.0
    settle(support.parts)
    assert support.work() == ["superseded", "seen"]
    support.ahead = 2400.0
    settle(support.parts)
    assert support.work() == ["superseded", "delivered"]
    with pytest.raises(Stopped):
        queue.checked(approval.id)


def test_an_approval_whose_person_is_gone_after_the_check_is_released(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    support.work()
    queue = queue_of(support)
    approval = queue.begin_approval(1, DRAFT)
    throw_drafts_away(support)  # the reviewer's process takes our copy away
    queue.checked(approval.id)  # and then the reviewer's machine is gone
    support.ahead = 2400.0
    settle(support.parts)
    assert support.case().state == "drafted"
    assert "dana gave no sign of life; nothing was sent" in support.case().reason
    settle(support.parts)
    assert support.work() == ["delivered"]
    assert len(support.drafts()) == 1
    with pytest.raises(Stopped):
        queue.leaving(approval.id)


def test_an_approval_whose_person_is_gone_with_the_reply_in_the_outbox_is_told_and_settled(scene) -> None:
    support = scene()
    first = mail()
    support.boxes["support"].deliver(first)
    support.work()
    queue = queue_of(support)
    approval = queue.begin_approval(1, DRAFT)
    queue.checked(approval.id)
    queue.leaving(approval.id)  # and then the reviewer's machine is gone
    support.boxes["support"].deliver(mail(answers=id_of(first), text="And in red?"))
    support.ahead = 2400.0
    for _ in range(2):
        settle(support.parts)
        assert support.work() == ["superseded", "seen"]
    (told,) = support.told
    assert told[0] == "at once" and "nobody can tell" in told[1]
    (shown,) = status.look(support.store, support.config, now=support.now()).mailboxes
    (unsettled,) = shown.unsettled
    assert (unsettled.case_id, unsettled.who) == (1, "dana")
    assert support.now() - unsettled.since == pytest.approx(2400.0, abs=60.0)
    queue_of(support, "eli").settle(1, "stopped")
    support.ahead = 2500.0
    assert support.work() == ["superseded", "delivered"]
    with support.store.read() as connection:
        said = [(one.who, one.action) for one in audit.entries(connection)]
    assert ("daemon", "unknown") in said and ("eli", "stopped") in said


def test_an_answer_that_stops_an_approval_leaves_nothing_open(scene) -> None:
    support = scene()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    approval = queue.begin_approval(1, DRAFT)
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked), text="Tomorrow.")
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered"]
    queue.close_approval(approval.id, "stopped", "a colleague has answered")
    settle(support.parts)
    assert support.case().state == "answered"


def test_a_draft_that_was_edited_for_long_and_then_sent_was_used(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    throw_drafts_away(support)
    for support.ahead in (0.0, 700.0):
        with support.connections.borrowed("support") as source:
            look_after(support.parts, support.parts.mailboxes["support"], source)
    assert support.states() == ["theirs"]
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked),
                  text=DRAFT.replace("today", "yesterday"))  # fmt: skip
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered"]
    assert [one.outcome for one in feedback.latest(support.store, "support", 5)] == ["edited"]


def test_since_when_a_draft_is_away_is_forgotten_once_the_conversation_is_answered(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    throw_drafts_away(support)

    def facts() -> list[str]:
        with support.store.read() as connection:
            return list(
                connection.scalars(sa.select(schema.facts.c.name).where(schema.facts.c.name.like("draft away%")))
            )

    with support.connections.borrowed("support") as source:
        look_after(support.parts, support.parts.mailboxes["support"], source)
    settle(support.parts)
    assert len(facts()) == 1
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(asked), text=DRAFT)
    support.boxes["support"].deliver(answer, "Sent")
    assert support.work() == ["answered"]
    settle(support.parts)
    assert facts() == []


@pytest.mark.parametrize("first_look", ["sales", "support"])
def test_what_comes_to_both_mailboxes_goes_on_where_the_conversation_is(scene, first_look) -> None:
    support = scene("support", "sales")
    first = mail(to="sales@team.example")
    support.boxes["sales"].deliver(first)
    assert support.work("sales") == ["delivered"]
    both = mail(to="sales@team.example, support@team.example", answers=id_of(first), text="And in red?")
    for name in ("support", "sales"):
        support.boxes[name].deliver(both)
    support.look(first_look)
    assert support.work("sales" if first_look == "support" else "support") == ["superseded", "delivered"]
    assert support.drafts("support") == []
    (draft,) = support.drafts("sales")
    assert draft["In-Reply-To"] == id_of(both)


def test_an_answer_from_the_other_mailbox_withdraws_the_draft(scene) -> None:
    support = scene("support", "sales")
    asked = mail(to="sales@team.example, support@team.example")
    for name in ("support", "sales"):
        support.boxes[name].deliver(asked)
        support.look(name)
    assert support.work("support") == ["delivered"]
    answer = mail(sender="sales@team.example", to="carla@customer.example", answers=id_of(asked), text="Tomorrow.")
    support.boxes["sales"].deliver(answer, "Sent")
    assert support.work("sales") == ["answered"]
    assert support.drafts("support") == []


@pytest.mark.parametrize("first_look", ["sales", "support"])
def test_one_mailbox_that_leaves_a_sender_out_does_not_speak_for_the_other(scene, first_look) -> None:
    support = scene("support", "sales")
    support.policy("support", never_senders=["customer.example"])
    asked = mail(to="sales@team.example, support@team.example")
    for name in ("support", "sales"):
        support.boxes[name].deliver(asked)
    support.look(first_look)
    assert support.work("sales" if first_look == "support" else "support") == ["delivered"]
    assert len(support.drafts("sales")) == 1


def test_a_lease_lasts_as_long_as_there_is_progress(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    taken = []

    def slow(step: str) -> None:
        if step in ("seen:done", "triaged:done"):
            support.ahead += 200.0
            taken.append(arrivals.lease(support.store, 1, "b:2:y", now=support.now(), seconds=60.0))

    support.use(mark=slow)
    assert support.work() == ["delivered"]
    assert taken == [None, None]


def test_a_folder_that_another_look_has_only_begun_is_left_to_it(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    begun = index.cursors(support.store, "support")["INBOX"]
    with support.connections.borrowed("support") as source:
        uidnext = source.examine("INBOX").uidnext
        index.start_folder(
            support.store, "support", replace(begun, highest=uidnext - 1, lowest=uidnext, complete=False)
        )
        look(support.parts, "support", source, ("Sent",))
    assert support.work() == ["delivered"]


def test_what_a_shadow_run_drafted_comes_into_the_mailbox_afterwards(scene) -> None:
    support = scene()
    support.use(shadow=True)
    first, second = mail(), mail(sender="Dora <dora@other.example>")
    for asked in (first, second):
        support.boxes["support"].deliver(asked)
    assert support.work() == ["delivered", "delivered"]
    answer = mail(sender="support@team.example", to="carla@customer.example", answers=id_of(first), text="Tomorrow.")
    support.boxes["support"].deliver(answer, "Sent")
    settle(support.parts)
    assert support.work() == ["answered", "delivered"]
    assert support.drafts() == []
    support.use(shadow=False)
    settle(support.parts)
    assert support.work() == ["answered", "delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(second)
    settle(support.parts)
    assert support.work() == ["answered", "delivered"]
    assert len(support.drafts()) == 1


def test_an_approval_that_is_taken_back_leaves_the_draft_where_the_team_works(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    support.work()
    queue = StoreQueue(
        support.store, "dana", Role.APPROVE, {"support": TeamMailbox()}, support.parts.trail, support.now
    )
    approval = queue.begin_approval(1, DRAFT)
    throw_drafts_away(support)  # the reviewer's process takes our copy away
    queue.checked(approval.id)
    queue.close_approval(approval.id, "stopped", "taken back")
    settle(support.parts)
    assert support.work() == ["delivered"]
    assert support.drafts() == []  # the reviewer has it in hand
    queue.release(1)
    settle(support.parts)
    assert support.work() == ["delivered"]
    assert len(support.drafts()) == 1


def test_a_row_whose_work_ended_with_the_store_away_is_worked_on_again_at_once(scene) -> None:
    support = scene()
    support.boxes["support"].deliver(mail())
    (number,) = support.look()
    troubles: list[StoreError] = []

    class Once(Steps):
        """The store goes away in the middle of the first message, with its lease taken."""

        def advance(self, arrival_id: int, worker: str = "") -> float | None:
            if troubles:
                return super().advance(arrival_id, worker)
            arrivals.lease(support.store, arrival_id, f"{self.parts.owner}:{worker}", now=support.now(), seconds=300.0)
            raise StoreError("away")

    queue = LocalQueue(Once(support.parts), 1, troubled=troubles.append)
    queue.start()
    eventually(lambda: support.states() == ["delivered"], 30)
    assert queue.stop(10)
    assert len(troubles) == 1
    assert number == 1


def test_a_look_without_news_asks_the_store_twice_and_writes_nothing(scene) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    support.work()
    said: list[str] = []

    def heard(_connection, _cursor, statement: str, *_: object) -> None:
        said.append(statement.split()[0])

    with support.connections.borrowed("support") as source:
        folders = [folder.name for folder in source.folders()]
        look(support.parts, "support", source, folders)
        sa.event.listen(sa.Engine, "before_cursor_execute", heard)
        try:
            assert look(support.parts, "support", source, folders) == []
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", heard)
    assert said.count("SELECT") <= 2 and set(said) <= {"SELECT", "BEGIN"}
