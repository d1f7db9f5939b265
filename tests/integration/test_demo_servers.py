"""The sample mailbox and its servers, through the clients that everybody uses: imapclient and smtplib."""

from __future__ import annotations

import smtplib
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from mailassist import config_file
from mailassist.config import ModelSettings
from mailassist.demo.mailbox import load
from mailassist.demo.sample import ACCOUNT, sample_config, sample_servers
from mailassist.demo.server import SampleServers
from mailassist.desk import Desk
from mailassist.mail.message import Message
from mailassist.mail.parse import parse_message

NOW = datetime(2031, 3, 2, 0, 4, tzinfo=UTC)  # just after midnight: "yesterday evening" is minutes ago


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[SampleServers]:
    with sample_servers(datetime.now(UTC), tmp_path / "received") as running:
        yield running


@pytest.fixture
def client(servers: SampleServers) -> Iterator[IMAPClient]:
    with IMAPClient(servers.host, servers.imap_port, ssl=False, timeout=10) as connected:
        connected.login(servers.login, servers.password)
        yield connected


@pytest.fixture
def desk(servers: SampleServers, tmp_path: Path) -> Iterator[Desk]:
    path = sample_config(servers, tmp_path, undo_seconds=0, model=ModelSettings(name="outline"))
    opened = Desk(config_file.load(path), config_path=path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return [parse_message(sample.raw) for sample in load(NOW)]


def test_every_sample_message_is_clean_on_the_wire_and_already_there() -> None:
    for sample in load(NOW):
        assert b"\n" not in sample.raw.replace(b"\r\n", b"")
        assert max(map(len, sample.raw.split(b"\r\n"))) <= 998
        assert NOW - timedelta(days=400) < sample.received <= NOW


def test_the_sample_holds_what_real_mailboxes_hold(messages: list[Message]) -> None:
    assert len({message.message_id for message in messages}) == len(messages) > 100
    types = {part.content_type for message in messages for part in message.attachments}
    assert {"application/pdf", "image/png", "text/csv", "text/calendar"} <= types
    raw = b"".join(sample.raw for sample in load(NOW)).lower()
    for charset in (b"iso-8859-1", b"iso-8859-2", b"windows-1252", b"iso-2022-jp", b"utf-8", b"format=flowed"):
        assert charset in raw
    assert any(message.hidden for message in messages)
    assert any(message.encrypted == "PGP/MIME" for message in messages)


def test_all_addresses_are_in_domains_reserved_for_examples(messages: list[Message]) -> None:
    for message in messages:
        for address in (*message.from_, *message.to, *message.cc, *message.reply_to):
            domain = address.email.partition("@")[2]
            assert domain.endswith(".example") or domain.removeprefix("lists.") in (
                "example.org",
                "example.com",
                "example.net",
            )


def test_replies_belong_to_what_they_answer(messages: list[Message]) -> None:
    """Each client's dates, prefixes and references agree, at any time of the day that the sample is loaded."""
    known = {message.message_id: message for message in messages}
    replies = [message for message in messages if message.in_reply_to]
    assert len(replies) > 60
    for reply in replies:
        original = known[reply.in_reply_to[0]]
        assert original.date and reply.date
        assert original.date < reply.date, reply.subject


def test_the_login_needs_the_password_of_this_run(servers: SampleServers) -> None:
    with IMAPClient(servers.host, servers.imap_port, ssl=False, timeout=10) as client, pytest.raises(LoginError):
        client.login(servers.login, "guessed")
    with (
        smtplib.SMTP(servers.host, servers.smtp_port, timeout=10) as smtp,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        smtp.login(servers.login, "guessed")


def test_the_imap_server_offers_no_thread_ids_of_its_own(client: IMAPClient) -> None:
    """pymap's follow the subject and would cut the German conversations at `AW:`."""
    assert b"OBJECTID" not in client.capabilities()
    assert {b"IDLE", b"MOVE", b"UIDPLUS"} <= set(client.capabilities())


def test_the_imap_server_does_what_the_main_job_asks(client: IMAPClient) -> None:
    assert {name for _, _, name in client.list_folders()} == {"INBOX", "Sent", "Archive", "Drafts", "Trash"}
    state = client.select_folder("INBOX", readonly=True)
    assert state[b"EXISTS"] > 40
    newest = max(client.search(["SINCE", datetime.now(UTC).date() - timedelta(days=2)]))
    fetched = client.fetch([newest], ["BODY.PEEK[]", "INTERNALDATE", "RFC822.SIZE", "FLAGS"])[newest]
    assert len(fetched[b"BODY[]"]) == fetched[b"RFC822.SIZE"]
    message_id = parse_message(fetched[b"BODY[]"]).message_id
    found = client.search(["OR", "HEADER", "Message-ID", message_id, "HEADER", "References", message_id])
    assert found == [newest]
    assert b"\\Seen" not in client.fetch([newest], ["FLAGS"])[newest][b"FLAGS"]


def test_drafts_are_appended_flagged_and_moved(client: IMAPClient) -> None:
    answer = client.append("Drafts", b"Subject: a draft\r\n\r\ntext\r\n", [b"\\Draft", b"\\Seen"])
    assert b"APPENDUID" in answer
    client.select_folder("Drafts")
    (uid,) = client.search(["ALL"])
    assert {b"\\Draft", b"\\Seen"} <= set(client.fetch([uid], ["FLAGS"])[uid][b"FLAGS"])
    client.add_flags([uid], [b"\\Answered"])
    client.move([uid], "Trash")
    assert client.search(["ALL"]) == []
    assert client.folder_status("Trash", ["MESSAGES"])[b"MESSAGES"] == 1


def test_new_mail_is_announced_while_the_client_idles(servers: SampleServers, client: IMAPClient) -> None:
    exists = client.select_folder("INBOX", readonly=True)[b"EXISTS"]
    client.idle()
    with IMAPClient(servers.host, servers.imap_port, ssl=False, timeout=10) as other:
        other.login(servers.login, servers.password)
        other.append("INBOX", b"Subject: new\r\n\r\ntext\r\n")
    assert (exists + 1, b"EXISTS") in client.idle_check(timeout=10)
    client.idle_done()


def test_the_servers_end_with_clients_still_connected() -> None:
    before = threading.active_count()
    with sample_servers(datetime.now(UTC)) as running:
        client = IMAPClient(running.host, running.imap_port, ssl=False, timeout=10)
        client.login(running.login, running.password)
        client.select_folder("INBOX", readonly=True)
        client.idle()
        smtp = smtplib.SMTP(running.host, running.smtp_port, timeout=10)
    client.shutdown()
    smtp.close()
    assert threading.active_count() == before


def test_the_password_lies_in_a_file_for_its_owner_only(servers: SampleServers, tmp_path: Path) -> None:
    path = sample_config(servers, tmp_path)
    assert servers.password not in path.read_text(encoding="utf-8")
    file = config_file.load(path).accounts[ACCOUNT].secret.password_file
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_people_wait_and_machines_do_not(desk: Desk) -> None:
    desk.sync(ACCOUNT)
    listed = desk.waiting(ACCOUNT, excluded=True)
    waiting = [one for one in listed if not one.excluded]
    assert len(listed) >= 34
    assert len(waiting) >= 14
    subjects = {one.subject for one in waiting}
    assert "Contact form: question about a workshop" in subjects  # by the rule personal = [...]
    for subject in (
        "Your parcel SL 4471 903 is on its way", "Order confirmation 100-88213", "Undelivered Mail Returned to Sender",
        "Invitation: Saltbridge traders' breakfast", "Re: Quick question, Robin", "Ihre Rechnung R-20871",
        "Re: [bookbinders] Wheat paste or methyl cellulose?", "Internship in the summer?", "Re: Leinenmuster",
    ):  # fmt: skip
        assert subject not in subjects
    assert sorted(Counter(one.count for one in waiting))[-2:] == [13, 27]


def test_an_approved_reply_arrives_at_the_sample_smtp_server(desk: Desk, servers: SampleServers) -> None:
    desk.sync(ACCOUNT)
    newest = desk.waiting(ACCOUNT)[0]
    pulled = desk.pull(ACCOUNT, newest.message_id)
    folders = {place.folder for places in pulled.locations.values() for place in places}
    assert folders == {"INBOX", "Sent", "Archive"}
    plan = desk.plan(ACCOUNT, pulled, reply_all=False)
    desk.approve(ACCOUNT, pulled, plan, "With pleasure.", "send")
    desk.deliver_due()
    (received,) = servers.received
    assert received.recipients == plan.recipients
    assert received.path is not None
    assert received.path.read_bytes() == received.raw
    message = parse_message(received.raw)
    assert message.reply == "With pleasure."
    assert message.in_reply_to == (newest.message_id,)
    assert message.message_id == received.message_id
