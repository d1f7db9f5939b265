"""An approved reply's way out, against a real SMTP and a real IMAP server: never lost, never twice, always told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers.dovecot import Dovecot, Mailbox
from servers.scene import Ends, Scene, own_id, question, words
from servers.smtp import Script, SmtpServer

from mailassist.delivery.outbox import (
    Outcome,
    Surroundings,
    approve,
    cancel,
    deliver_due,
    deliver_now,
    failure,
    give_up,
    listed,
    reschedule,
    retry,
    settle_as_sent,
)
from mailassist.errors import DeliveryUnknown
from mailassist.mail.compose import Layout
from mailassist.store import drafts
from mailassist.store.outbox import AnotherReply, LeaseLost, OutboxRow, advance, get, lease


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    box = dovecot.user("ada")
    box.deliver(question(1), flags="S")
    return box


@pytest.fixture
def scene(dovecot: Dovecot, mailbox: Mailbox, smtp_server: SmtpServer, tmp_path: Path) -> Scene:
    return Scene(Ends(str(tmp_path / "store.db"), dovecot.port, smtp_server.port, mailbox.name, timeout=0.7))


def deliver(scene: Scene) -> Outcome:
    (outcome,) = deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    return outcome


def row(scene: Scene, row_id: int) -> OutboxRow:
    found = get(scene.store, row_id)
    assert found is not None
    return found


def test_an_approved_reply_is_sent_filed_once_and_the_original_marked_answered(
    scene: Scene, smtp_server: SmtpServer
) -> None:
    row_id = scene.approve()
    assert smtp_server.accepted == []  # approving sends nothing
    assert deliver(scene).state == "done"
    (accepted,) = smtp_server.accepted
    assert (accepted.sender, accepted.recipients) == ("ada@team.example", ("nora1@customer.example",))
    (copy,) = scene.folder("Sent")
    assert words(copy) == "It left today."
    assert own_id(copy) == accepted.own_id == row(scene, row_id).own_id
    assert scene.flags("Sent") == [{"\\Seen"}]
    assert "\\Answered" in scene.flags("INBOX")[0]
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []


def test_nothing_leaves_within_the_undo_time_and_an_undone_text_is_a_draft_again(
    scene: Scene, smtp_server: SmtpServer
) -> None:
    row_id = scene.approve(undo=10)
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []
    assert cancel(scene.store, row_id, now=scene.time)
    scene.time += 60
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []
    assert smtp_server.accepted == []
    draft = drafts.get(scene.store, "work", "<q1@customer.example>")
    assert draft is not None
    assert (draft.text, draft.state) == ("It left today.", "kept")
    assert not cancel(scene.store, row_id, now=scene.time)


def test_what_is_through_cannot_be_undone(scene: Scene) -> None:
    row_id = scene.approve()
    deliver(scene)
    assert not cancel(scene.store, row_id, now=scene.time)
    assert not retry(scene.store, row_id, now=scene.time)
    assert not reschedule(scene.store, row_id, 10, now=scene.time)


def test_the_same_approval_twice_is_one_reply_and_another_text_has_to_wait(
    scene: Scene, smtp_server: SmtpServer
) -> None:
    row_id = scene.approve()
    assert scene.approve() == row_id
    with pytest.raises(AnotherReply):
        scene.approve(text="Something else.")
    deliver(scene)
    assert scene.approve() == row_id
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []
    assert len(smtp_server.accepted) == 1


def test_a_temporary_refusal_is_tried_again_later(scene: Scene, smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(after_dot="451 4.3.0 later")
    row_id = scene.approve()
    outcome = deliver(scene)
    assert outcome.state == "approved"
    assert "451" in outcome.said
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []  # not before the pause is over
    smtp_server.script = Script()
    scene.time += 31
    assert deliver(scene).state == "done"
    assert row(scene, row_id).attempt == 2
    assert len(smtp_server.accepted) == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(after_dot="554 5.7.1 no"),
        Script(at_mail="550 5.1.8 no"),
        Script(at_rcpt={"nora1@customer.example": "550 5.1.1 unknown"}),
        Script(at_data="554 no"),
    ],
)
def test_a_final_refusal_stops_and_gives_the_text_back(scene: Scene, smtp_server: SmtpServer, script: Script) -> None:
    smtp_server.script = script
    row_id = scene.approve()
    outcome = deliver(scene)
    assert outcome.state == "refused"
    assert failure(outcome.row) is not None
    draft = drafts.get(scene.store, "work", "<q1@customer.example>")
    assert draft is not None
    assert draft.text == "It left today."
    scene.time += 100_000
    assert deliver_due(scene.store, {"work": scene.route}, around=scene.around) == []
    smtp_server.script = Script()
    assert retry(scene.store, row_id, now=scene.time)
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == 1


def test_a_server_that_says_250_and_drops_has_it(scene: Scene, smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(drop="answered")
    scene.approve()
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == len(scene.folder("Sent")) == 1


def test_a_late_250_counts(scene: Scene, smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(delay=1.5)
    scene.approve()
    assert deliver(scene).state == "done"


@pytest.mark.parametrize("drop", ["accepted", "unaccepted"])
def test_an_unknown_reply_is_looked_for_twice_shown_and_never_sent_by_itself(
    scene: Scene, smtp_server: SmtpServer, drop: str
) -> None:
    smtp_server.script = Script(drop=drop)
    row_id = scene.approve()
    outcome = deliver(scene)
    assert outcome.state == "unknown"
    assert isinstance(failure(outcome.row), DeliveryUnknown)
    assert f"outbox retry {row_id}" in outcome.said
    assert 5.0 in scene.paused
    before = len(smtp_server.accepted)
    smtp_server.script = Script()
    for _ in range(20):
        scene.time += 7200
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert [one.state for one in listed(scene.store)] == ["unknown"]
    assert len(smtp_server.accepted) == before


def test_the_same_words_to_somebody_else_prove_nothing(scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox) -> None:
    mailbox.deliver(question(2), flags="S")
    plain = Layout(quote="none")
    approve(scene.store, replace(scene.reply(1), layout=plain), undo_seconds=0, now=scene.time)
    assert deliver(scene).state == "done"
    smtp_server.script = Script(drop="unaccepted")
    row_id = approve(scene.store, replace(scene.reply(2), layout=plain), undo_seconds=0, now=scene.time)
    assert deliver(scene).state == "unknown"
    assert not cancel(scene.store, row_id, now=scene.time)
    assert give_up(scene.store, row_id, now=scene.time)


def test_one_reply_can_be_sent_and_the_others_left(scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox) -> None:
    mailbox.deliver(question(2), flags="S")
    first, second = scene.approve(1), scene.approve(2)
    assert deliver_now(scene.store, scene.route, second, around=scene.around).state == "done"
    assert [row(scene, one).state for one in (first, second)] == ["approved", "done"]


def test_an_unknown_reply_that_the_server_has_filed_is_found_by_its_header_under_another_id(
    scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox
) -> None:
    smtp_server.script = Script(drop="accepted", rename_id="<new@outlook.example>")
    smtp_server.file_copy = lambda raw: mailbox.deliver(raw, "Sent", flags="S")
    scene.approve()
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == len(scene.folder("Sent")) == 1


def test_a_copy_that_comes_late_settles_an_unknown_reply(
    scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox
) -> None:
    smtp_server.script = Script(drop="accepted")
    scene.approve()
    assert deliver(scene).state == "unknown"
    mailbox.deliver(smtp_server.accepted[0].raw, "Sent")
    scene.time += 60
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == len(scene.folder("Sent")) == 1


def test_a_person_settles_an_unknown_reply_either_way(scene: Scene, smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(drop="accepted", times=1)
    row_id = scene.approve()
    deliver(scene)
    assert settle_as_sent(scene.store, row_id, now=scene.time)
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == len(scene.folder("Sent")) == 1


def test_a_person_sends_an_unknown_reply_again_with_the_same_bytes(scene: Scene, smtp_server: SmtpServer) -> None:
    smtp_server.script = Script(drop="unaccepted", times=1)
    row_id = scene.approve()
    deliver(scene)
    assert retry(scene.store, row_id, now=scene.time)
    assert deliver(scene).state == "done"
    assert [one.raw for one in smtp_server.accepted] == [row(scene, row_id).raw]


def test_outlooks_new_message_id_is_kept_and_its_own_copy_is_not_doubled(
    scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox
) -> None:
    smtp_server.script = Script(rename_id="<new@outlook.example>")
    smtp_server.file_copy = lambda raw: mailbox.deliver(raw, "Sent", flags="S")
    row_id = scene.approve()
    assert deliver(scene).state == "done"
    assert row(scene, row_id).sent_message_id == "<new@outlook.example>"
    assert len(scene.folder("Sent")) == 1


def test_a_servers_own_copy_that_comes_a_moment_later_is_not_doubled(
    scene: Scene, mailbox: Mailbox, smtp_server: SmtpServer
) -> None:
    copies = iter([lambda: mailbox.deliver(smtp_server.accepted[-1].raw, "Sent", flags="S")])

    def server_files_it(_seconds: float = 0.0) -> None:
        for file_copy in copies:
            file_copy()

    scene.approve()
    late = Surroundings(now=lambda: scene.time, pause=server_files_it)
    (outcome,) = deliver_due(scene.store, {"work": scene.route}, around=late)
    server_files_it()  # at the latest now, whoever waited for it or not
    assert outcome.state == "done" and len(scene.folder("Sent")) == 1


def test_a_server_that_files_no_copy_is_waited_for_once(scene: Scene, mailbox: Mailbox) -> None:
    mailbox.deliver(question(2), flags="S")
    for number in (1, 2):
        scene.approve(number)
        assert deliver(scene).state == "done"
    assert len(scene.folder("Sent")) == 2
    assert len(scene.paused) == 1


def test_a_full_or_read_only_sent_folder_costs_the_copy_and_never_a_second_sending(
    scene: Scene, smtp_server: SmtpServer, mailbox: Mailbox
) -> None:
    row_id = scene.approve()
    read_only(scene, mailbox, "Sent")
    for _ in range(4):
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
        scene.time += 7200
    assert row(scene, row_id).state == "done"
    assert "without a copy in Sent" in row(scene, row_id).error
    assert len(smtp_server.accepted) == 1


def read_only(scene: Scene, mailbox: Mailbox, folder: str) -> None:
    """Take the rights to write from a folder (the server runs as an ordinary user)."""
    with scene.client() as client:
        client.select_folder(folder)
    for part in ("tmp", "new", "cur"):
        path = mailbox.folder / f".{folder}" / part
        path.chmod(0o555)


def test_imap_that_is_down_delays_the_copy_and_never_sends_again(
    scene: Scene, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    row_id = scene.approve()
    imap_port = scene.ends.imap_port
    object.__setattr__(scene.ends, "imap_port", 9)
    for _ in range(3):
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
        scene.time += 7200
    assert row(scene, row_id).state == "sent"
    object.__setattr__(scene.ends, "imap_port", imap_port)
    assert deliver(scene).state == "done"
    assert len(smtp_server.accepted) == len(scene.folder("Sent")) == 1


def test_one_sender_per_row_even_after_its_lease_is_taken_over(scene: Scene, smtp_server: SmtpServer) -> None:
    row_id = scene.approve()
    original_send = scene.route.send
    assert original_send is not None

    def slow(*arguments: object, on_data: object) -> object:
        """The lease of this process ends while it talks to the server, and another process sends."""
        scene.time += 3600
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
        return original_send(*arguments, on_data=on_data)  # type: ignore[arg-type]

    deliver_due(scene.store, {"work": replace(scene.route, send=slow)}, around=scene.around)  # type: ignore[arg-type]
    assert len(smtp_server.accepted) == 1
    assert row(scene, row_id).state == "done"


def test_a_lease_is_held_by_one_and_free_when_its_process_is_dead(scene: Scene) -> None:
    scene.approve()
    first = lease(scene.store, ["work"], now=scene.time, seconds=60, owner="a:1", alive=lambda owner: True)
    assert first is not None
    again = {"now": scene.time, "seconds": 60.0, "owner": "b:2"}
    assert lease(scene.store, ["work"], alive=lambda owner: True, **again) is None  # type: ignore[arg-type]
    second = lease(scene.store, ["work"], alive=lambda owner: False, **again)  # type: ignore[arg-type]
    assert second is not None
    with pytest.raises(LeaseLost):
        advance(scene.store, first, now=scene.time, state="sending")


def test_bytes_that_changed_on_disk_are_not_sent(scene: Scene, smtp_server: SmtpServer) -> None:
    row_id = scene.approve()
    with scene.store.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET raw = ? WHERE id = ?", (b"From: x\r\n\r\nother\r\n", row_id))
    assert deliver(scene).state == "refused"
    assert smtp_server.accepted == []


def test_a_missing_smtp_server_is_said_and_the_text_comes_back(scene: Scene) -> None:
    scene.approve()
    (outcome,) = deliver_due(scene.store, {"work": replace(scene.route, send=None)}, around=scene.around)
    assert outcome.state == "refused"
    assert "no SMTP server" in outcome.said
