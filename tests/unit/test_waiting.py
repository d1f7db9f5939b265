"""Who waits for an answer, and of everybody else why not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from memory_source import ANNA, DAY, ME, NOW, MemorySource, mail

from mailassist.config import Account, FolderSettings, ServerSettings, SyncSettings, WaitingSettings
from mailassist.errors import NothingWaiting
from mailassist.intake.latest import pull_latest
from mailassist.intake.sync import sync
from mailassist.intake.waiting import Waiting, waiting
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import conversations, outbox
from mailassist.store.database import Store

IMAP = ServerSettings(host="127.0.0.1", port=143, security="none")
ACCOUNT = Account(address=ME, imap=IMAP, sync=SyncSettings(keep_text="none"))
OWN = OwnAddresses.of([(ME, ["support@example.org"])])


def now() -> float:
    return NOW


class Desk:
    """A mailbox, its index, and the question who waits."""

    def __init__(self, account: Account = ACCOUNT, *, gmail: bool = False) -> None:
        self.account = account
        self.own = replace(OWN, personal=tuple(account.waiting.personal))
        self.source = MemorySource(gmail=gmail)
        self.store = Store.in_memory()

    def waiting(self, **options: bool) -> list[Waiting]:
        sync(self.source, self.store, "a", self.account, self.own, now=now)
        return waiting(self.store, "a", self.account, self.own, now=now, **options)

    def names(self) -> list[str]:
        return [one.message_id for one in self.waiting()]

    def reason(self) -> str:
        """Why the only conversation does not wait; the cold way must come to the same."""
        assert self.waiting() == []
        with pytest.raises(NothingWaiting):
            self.latest()
        (one,) = self.waiting(excluded=True)
        return one.excluded

    def latest(self) -> str:
        found = pull_latest(self.source, self.store, "a", self.account, self.own, now=now)
        return found.conversation.newest.message.message_id


def test_a_question_in_the_inbox_waits() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q"))
    (one,) = desk.waiting()
    assert (one.message_id, one.correspondent, one.count, one.excluded) == ("<q@test>", ANNA, 1, "")
    assert desk.latest() == "<q@test>"


def test_the_newest_waits_first() -> None:
    desk = Desk()
    for name, days in (("old", 5), ("new", 1), ("middle", 3)):
        desk.source.put("INBOX", mail(name, days=days, subject=name))
    assert desk.names() == ["<new@test>", "<middle@test>", "<old@test>"]
    assert desk.latest() == "<new@test>"


def test_an_own_reply_in_sent_ends_the_waiting() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", days=2))
    desk.source.put("Sent", mail("a", sender=ME, to=ANNA, answers="q"))
    assert desk.reason() == "you wrote last"


def test_what_was_marked_as_deleted_waits_no_longer() -> None:
    """Mutt, and others where the server has no MOVE, leave it in the folder until they expunge."""
    desk = Desk()
    uid = desk.source.put("INBOX", mail("q"))
    assert desk.names() == ["<q@test>"]
    box = desk.source.boxes["INBOX"]
    box[uid] = replace(box[uid], flags=frozenset({"\\Deleted"}))
    assert desk.reason() == "you deleted it (your mail program has not expunged it yet)"
    desk.source.put("Archive", mail("q"))
    assert desk.reason() == "not in the inbox any more (it lies in Archive)"


def test_a_later_question_waits_again() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", days=3))
    desk.source.put("Sent", mail("a", sender=ME, to=ANNA, answers="q", days=2))
    desk.source.put("INBOX", mail("again", answers="a"))
    (one,) = desk.waiting()
    assert (one.message_id, one.count) == ("<again@test>", 3)
    assert desk.latest() == "<again@test>"


def test_what_lies_in_sent_is_ours_whatever_its_from_says() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", days=2))
    desk.source.put("Sent", mail("a", sender="tom@old-address.example", to=ANNA, answers="q"))
    assert desk.reason() == "you wrote last"


def test_answered_from_another_program_does_not_wait() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q"), flags=["\\Answered", "\\Seen"])
    assert "another mail program" in desk.reason()


def test_a_flag_set_later_is_noticed() -> None:
    desk = Desk()
    uid = desk.source.put("INBOX", mail("q"))
    assert desk.names() == ["<q@test>"]
    desk.source.boxes["INBOX"][uid].flags = frozenset(["\\Answered"])
    assert desk.names() == []


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"List_Unsubscribe": "<mailto:off@example.net>"}, "List-Unsubscribe"),
        ({"List_Id": "<news.example.net>"}, "List-Id"),
        ({"Auto_Submitted": "auto-generated"}, "Auto-Submitted"),
        ({"Precedence": "bulk"}, "Precedence"),
        ({"sender": "no-reply@example.net"}, "no replies"),
        ({"sender": "MAILER-DAEMON@example.net"}, "bounce"),
        ({"Return_Path": "<>"}, "bounce"),
    ],
)
def test_automatic_mail_does_not_wait_and_the_reason_is_said(fields: dict[str, str], word: str) -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("n", **fields))
    assert word in desk.reason()


def test_mail_through_a_list_with_an_own_address_waits() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", to="support@example.org", List_Id="Support <support.example.org>"))
    assert desk.names() == ["<q@test>"]
    assert desk.latest() == "<q@test>"


def test_a_group_that_writes_its_own_address_into_from_hides_nobody() -> None:
    desk = Desk()
    fields = {"List_Id": "<support.example.org>", "Reply_To": ANNA}
    desk.source.put("INBOX", mail("q", sender="'Anna' via Support <support@example.org>", **fields))
    (one,) = desk.waiting()
    assert (one.correspondent, desk.latest()) == (ANNA, "<q@test>")
    desk.source.put("Sent", mail("r", sender="support@example.org", to=ANNA, answers="q"))
    assert desk.reason() == "you wrote last"


def test_a_web_form_named_by_a_rule_waits_and_its_reply_to_is_the_correspondent() -> None:
    desk = Desk(ACCOUNT.model_copy(update={"waiting": WaitingSettings(personal=["form@example.org"])}))
    form = mail("f", sender="no-reply form <form@example.org>", Reply_To=ANNA, Auto_Submitted="auto-generated")
    desk.source.put("INBOX", form)
    (one,) = desk.waiting()
    assert one.correspondent == ANNA


def test_a_web_form_that_writes_from_the_own_address_waits_and_the_answer_ends_it() -> None:
    desk = Desk(ACCOUNT.model_copy(update={"waiting": WaitingSettings(personal=[ME])}))
    desk.source.put("INBOX", mail("f", sender=ME, Reply_To=f"{ME}, {ANNA}"))
    (one,) = desk.waiting()
    assert (one.correspondent, desk.latest()) == (ANNA, "<f@test>")
    desk.source.put("Sent", mail("r", sender=ME, to=ANNA, answers="f"))
    assert desk.reason() == "you wrote last"


def test_older_than_the_limit_does_not_wait() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", days=31))
    assert desk.reason() == "older than 30 days"


def test_what_was_moved_out_of_the_inbox_does_not_wait() -> None:
    desk = Desk()
    desk.source.put("Archive", mail("q"))
    assert desk.reason().startswith("not in the inbox any more")


def test_another_folder_counts_as_inbox_where_the_configuration_says_so() -> None:
    folders = FolderSettings(inbox=["INBOX", "Projects"])
    desk = Desk(ACCOUNT.model_copy(update={"folders": folders}))
    desk.source.put("Projects", mail("q"))
    assert desk.names() == ["<q@test>"]
    assert desk.latest() == "<q@test>"


def test_drafts_never_count() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q"))
    desk.source.put("Drafts", mail("d", sender=ME, to=ANNA, answers="q", days=0))
    desk.source.put("Archive", mail("e", sender=ME, to=ANNA, answers="q", days=0), flags=["\\Draft"])
    assert desk.names() == ["<q@test>"]
    assert desk.latest() == "<q@test>"


def test_a_skipped_conversation_comes_back_with_the_next_message() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", days=2))
    (one,) = desk.waiting()
    conversations.skip(desk.store, "a", one.conversation, one.message_id)
    assert "skipped" in desk.reason()
    desk.source.put("INBOX", mail("more", answers="q"))
    assert desk.names() == ["<more@test>"]


@pytest.mark.parametrize(
    ("state", "waits", "in_hand"),
    [("approved", 0, 1), ("sending", 0, 1), ("unknown", 0, 1), ("sent", 0, 0), ("done", 0, 0), ("refused", 1, 1)],
)
def test_an_approved_reply_counts_as_the_answer(state: str, waits: int, in_hand: int) -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q"))
    number = outbox.insert(desk.store, _reply("<q@test>"), now=NOW)
    with desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state = ? WHERE id = ?", (state, number))
    assert len(desk.waiting()) == waits
    assert len(desk.waiting(in_hand=True)) == in_hand


def test_on_gmail_the_label_is_the_inbox_and_all_mail_the_only_folder() -> None:
    desk = Desk(gmail=True)
    desk.source.boxes = {"INBOX": {}, "Sent": {}, "All": {}}
    desk.source.put("INBOX", mail("q"))
    desk.source.put("All", mail("q"), labels=["\\Inbox", "\\Important"], thread_id="7")
    desk.source.put("All", mail("archived", subject="x"), labels=["Work"])
    desk.source.put("All", mail("mine", subject="y", sender="other@old.example", to=ANNA), labels=["\\Sent", "\\Inbox"])
    desk.source.put("All", mail("d", sender=ME, to=ANNA, answers="q", days=0), labels=["\\Draft"])
    (one,) = desk.waiting()
    assert (one.message_id, one.count, one.location.folder) == ("<q@test>", 1, "All")


def test_reused_references_do_not_hide_a_question() -> None:
    """A new topic begun from an old mail is a conversation of its own; the old one's answer is not its answer."""
    desk = Desk()
    desk.source.put("Archive", mail("old", subject="Summer party", days=20))
    desk.source.put("INBOX", mail("new", subject="Invoice", References="<old@test>", days=2))
    desk.source.put("Sent", mail("a", subject="Re: Summer party", sender=ME, to=ANNA, answers="old"))
    assert desk.names() == ["<new@test>"]
    assert desk.latest() == "<new@test>"


def test_of_everything_a_reason_is_given() -> None:
    desk = Desk()
    desk.source.put("INBOX", mail("q", subject="1"))
    desk.source.put("INBOX", mail("n", subject="2", List_Id="<x.example.net>", days=2))
    desk.source.put("Archive", mail("o", subject="3", days=400))
    found = {one.message_id: one.excluded for one in desk.waiting(excluded=True)}
    assert list(found) == ["<q@test>", "<n@test>", "<o@test>"]
    assert [bool(reason) for reason in found.values()] == [False, True, True]


def _reply(answers: str) -> dict[str, object]:
    names = ("conversation", "own_id", "fingerprint", "sender", "recipients", "raw_hash", "text", "subject")
    made: dict[str, object] = dict.fromkeys(names, "x")
    return made | {"account": "a", "answers": answers, "message_id": "<r@test>", "raw": b"x", "not_before": NOW + DAY}
