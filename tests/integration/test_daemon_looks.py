"""What a look takes in, and what it leaves: against a real IMAP server, and one with Gmail's ways."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from servers.dovecot import Dovecot, Mailbox
from servers.gmail import JUNK, GmailServer, Stored
from servers.model_api import ModelServer
from servers.team import Team, answering, configuration, id_of, mail, team

from mailassist.config_file import parse
from mailassist.daemon import arrivals as daemon_arrivals
from mailassist.daemon.upkeep import settle
from mailassist.intake import batches
from mailassist.intake import sync as syncing
from mailassist.intake.sync import backfill
from mailassist.store import arrivals, retrying
from mailassist.team import status
from mailassist.transport.throttling import Patience

Scene = Callable[..., Team]
DAY = 86_400.0


@pytest.fixture
def scene(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> Iterator[Scene]:
    made: list[Team] = []

    def make(*names: str, policy: str = "", more: str = "") -> Team:
        made.append(team(dovecot, model_server, tmp_path, *names, policy=policy, more=more))
        made[-1].patience = Patience(sleep=lambda seconds: None)
        made[-1].connections.close_unused(all_of_them=True)
        return made[-1]

    model_server.answers = [answering()]
    yield make
    for one in made:
        one.close()


def unreadable(box: Mailbox, raw: bytes, folder: str = "") -> Path:
    """From now on Dovecot hangs up where it has to read the file of that message."""
    (file,) = [one for one in (box.folder / folder / "cur").iterdir() if one.read_bytes() == raw]
    file.chmod(0)
    return file


def from_us(answers: str, **more: Any) -> bytes:
    return mail(sender="Team support <support@team.example>", answers=answers, text="We have answered.", **more)


def trouble(support: Team) -> str:
    (shown,) = status.look(support.store, support.config, now=support.now()).mailboxes
    return shown.trouble


def test_a_message_that_the_server_does_not_give_is_tried_again_and_stops_no_other(scene: Scene) -> None:
    support = scene()
    bad, good = mail(sender="Dora <dora@other.example>"), mail()
    for one in (bad, good):
        support.boxes["support"].deliver(one)
    file = unreadable(support.boxes["support"], bad)
    assert sorted(support.work()) == ["delivered", "unread"]
    assert "does not give the headers of a message (INBOX, UID 1)" in trouble(support)
    assert support.told == []
    file.chmod(0o600)
    support.ahead = 60.0
    assert sorted(support.work()) == ["delivered", "delivered", "none"]
    assert {one["In-Reply-To"] for one in support.drafts()} == {id_of(bad), id_of(good)}
    assert trouble(support) == ""


@pytest.mark.parametrize("folder", ["INBOX", "Sent"])
def test_people_are_told_of_a_message_that_the_server_never_gives(scene: Scene, folder: str) -> None:
    support = scene()
    bad = mail(subject="My secret")
    support.boxes["support"].deliver(bad, folder)
    unreadable(support.boxes["support"], bad, ".Sent" if folder == "Sent" else "")
    for support.ahead in range(0, 60_000, 10_000):
        support.work()
    assert support.states() == ["failed"]
    assert support.told == [("at once", support.case().reason)]
    assert f"does not give the headers of a message ({folder}, UID 1)" in support.case().reason


def test_what_the_server_did_not_give_in_five_tries_is_read_when_a_person_says_so(scene: Scene) -> None:
    support = scene()
    bad = mail()
    support.boxes["support"].deliver(bad)
    file = unreadable(support.boxes["support"], bad)
    for support.ahead in range(0, 60_000, 10_000):
        support.work()
    assert support.states() == ["failed"]
    file.chmod(0o600)
    retrying.ask(support.store, 1, "dana", now=support.now(), noted=lambda _: None)
    settle(support.parts)
    assert sorted(support.work()) == ["delivered", "none"]
    assert [one["In-Reply-To"] for one in support.drafts()] == [id_of(bad)]


def test_a_message_that_the_server_did_not_give_and_that_is_gone_is_nobodys(scene: Scene) -> None:
    support = scene()
    bad = mail()
    support.boxes["support"].deliver(bad)
    file = unreadable(support.boxes["support"], bad)
    assert support.work() == ["unread"]
    file.unlink()
    support.ahead = 60.0
    assert support.work() == ["none"]
    assert (support.case().state, support.told) == ("none", [])


@pytest.mark.parametrize("first", ["question", "forged", "draft"])
def test_what_comes_into_the_inbox_from_our_own_address_is_nobodys_answer(scene: Scene, first: str) -> None:
    support = scene()
    asked = mail()
    forged = from_us(id_of(asked))
    for one in (forged, asked) if first == "forged" else (asked, forged):
        support.boxes["support"].deliver(one)
        if first == "draft":
            support.work()
    assert sorted(support.work()) == ["delivered", "none"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(asked)
    assert support.case().state == "drafted"


@pytest.mark.parametrize("copy_first", [True, False])
def test_an_answer_in_sent_counts_with_its_copy_in_the_inbox(scene: Scene, copy_first: bool) -> None:
    support = scene()
    asked = mail()
    support.boxes["support"].deliver(asked)
    assert support.work() == ["delivered"]
    answer = from_us(id_of(asked), to="carla@customer.example", headers={"Cc": "support@team.example"})
    for folder in ("INBOX", "Sent") if copy_first else ("Sent", "INBOX"):
        support.boxes["support"].deliver(answer, folder)
        support.work()
    assert sorted(support.states()) == ["answered", "none"]
    assert support.drafts() == []


def test_of_a_mailbox_that_nobody_watched_for_months_only_what_may_still_wait_is_drafted(scene: Scene) -> None:
    support = scene()
    old, asked = mail(), mail()
    support.boxes["support"].deliver(asked)
    assert support.work() == ["delivered"]
    support.ahead = 90 * DAY
    support.boxes["support"].deliver(old, received=support.now() - 31 * DAY)
    recent = mail()
    support.boxes["support"].deliver(recent, received=support.now() - 29 * DAY)
    answer = from_us(id_of(asked), to="carla@customer.example")
    support.boxes["support"].deliver(answer, "Sent", received=support.now() - 60 * DAY)
    assert support.work() == ["answered", "delivered"]  # an answer counts however old it is
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(recent)


@pytest.mark.parametrize("filed_by", ["looks", "upkeep"])
def test_what_one_look_cannot_take_in_at_a_first_start_comes_with_the_next_ones_newest_first(
    dovecot: Dovecot, model_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filed_by: str
) -> None:
    for place, name, value in ((syncing, "FIRST", 3), (batches, "BATCH", 3), (daemon_arrivals, "OLDER", 2)):
        monkeypatch.setattr(place, name, value)
    box = dovecot.user("support")
    for hours in range(9, 0, -1):
        box.deliver(mail(), received=time.time() - hours * 3600)
    box.deliver(mail(), received=time.time() - 3 * DAY)
    text = configuration(dovecot, model_server, {"support": box}, tmp_path, more="[daemon]\nfirst_start_days = 1.0")
    support = Team(dovecot, model_server, {"support": box}, tmp_path, parse(text, "c"))
    found = [support.look()]
    if filed_by == "upkeep":
        with support.connections.borrowed("support") as source:
            backfill(source, support.store, "support", support.config.accounts["support"], now=support.now)
    box.deliver(mail(), received=time.time())
    found += [support.look() for _ in range(5)]
    ages = [[round((time.time() - received_of(support, one)) / 3600) for one in look] for look in found]
    assert ages == [[2, 1], [4, 3, 0], [6, 5], [8, 7], [9], []]
    support.close()


def received_of(support: Team, number: int) -> float:
    row = arrivals.get(support.store, number)
    assert row is not None
    return row.received


def test_on_gmail_what_is_put_into_the_inbox_later_arrives_then(
    gmail_server: GmailServer, model_server: ModelServer, tmp_path: Path
) -> None:
    def deliver(*labels: str, **more: Any) -> Stored:
        return gmail_server.deliver(mail().replace(b"\n", b"\r\n"), *labels, **more)

    model_server.answers = [answering()]
    server = Dovecot("127.0.0.1", gmail_server.port, 0, None, tmp_path, (0, 0), password=gmail_server.password)
    boxes = {"support": Mailbox(gmail_server.user, tmp_path, (0, 0))}
    before = deliver("Filed", received=datetime.now(UTC) - timedelta(days=2))
    support = Team(
        server, model_server, boxes, tmp_path, parse(configuration(server, model_server, boxes, tmp_path), "c")
    )
    assert support.work() == []
    filed, spam = deliver("Filed"), deliver(JUNK)
    assert support.work() == []
    gmail_server.relabel(filed, add="\\Inbox")
    assert support.work() == ["delivered"]
    gmail_server.relabel(spam, add="\\Inbox", drop=JUNK)
    assert support.work() == ["delivered"] * 2
    gmail_server.relabel(filed, drop="\\Inbox")  # snoozed
    assert support.work() == ["delivered"] * 2
    gmail_server.relabel(filed, add="\\Inbox")
    gmail_server.relabel(before, add="\\Inbox")  # it came before the first start
    deliver()
    assert support.work() == ["delivered"] * 3
    assert len(gmail_server.in_folder("[Gmail]/Entw&APw-rfe")) == 3
    support.close()
