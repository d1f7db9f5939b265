"""Sync, who waits, and whole conversations against real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from imapclient import IMAPClient
from pydantic import SecretStr
from servers.counting import CountingProxy
from servers.dovecot import Dovecot, Mailbox
from servers.gmail import GmailServer
from servers.pymap_server import PymapServer

from mailassist.config import Account, ServerSettings, SyncSettings
from mailassist.errors import MailboxError
from mailassist.intake.latest import pull_latest
from mailassist.intake.pull import Pulled, pull
from mailassist.intake.sync import SyncResult, sync
from mailassist.intake.waiting import waiting
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import index
from mailassist.store.database import Store
from mailassist.transport import conversation
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.throttling import Patience

ME = "me@here.example"
ADA = "Ada <ada@there.example>"
OWN = OwnAddresses.of([(ME, [])])
NOW = time.time()
DAY = 86_400.0
IN_ORDER = ["<1@x>", "<2@x>", "<3@x>"]


def raw(
    message_id: str, *references: str, sender: str = ADA, to: str = ME, days: float = 1.0, body: str = "Hello"
) -> bytes:
    chain = f"References: {' '.join(references)}\r\nIn-Reply-To: {references[-1]}\r\n" if references else ""
    date = format_datetime(datetime.fromtimestamp(NOW - days * DAY, UTC))
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: Offer\r\nDate: {date}\r\nMessage-ID: {message_id}\r\n{chain}"
    return f"{head}\r\n{body}\r\n".encode()


class Place:
    """One account: a server, a store, and the verbs."""

    def __init__(self, host: str, port: int, user: str, password: str, store: Store, *, keep: str = "none") -> None:
        self.settings = ServerSettings(host=host, port=port, security="none", login=user, read_timeout=20)
        syncing = SyncSettings.model_validate({"keep_text": keep})
        self.account = Account(address=ME, imap=self.settings, sync=syncing)
        self.password = password
        self.store = store

    def source(self) -> ImapSource:
        patience = Patience(sleep=lambda seconds: None)
        return connect(self.settings, ME, lambda: SecretStr(self.password), self.account.folders, patience=patience)

    def sync(self) -> SyncResult:
        with self.source() as source:
            return sync(source, self.store, "a", self.account, OWN, now=lambda: NOW)

    def names(self) -> list[str]:
        return [one.message_id for one in waiting(self.store, "a", self.account, OWN, now=lambda: NOW)]

    def latest(self) -> Pulled:
        with self.source() as source:
            return pull_latest(source, self.store, "a", self.account, OWN, now=lambda: NOW)

    def pull(self, message_id: str) -> Pulled:
        with self.source() as source:
            return pull(source, self.store, "a", self.account, OWN, message_id, now=lambda: NOW)

    def uids(self) -> dict[str, list[int]]:
        return _indexed(self.store)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    """A conversation in Inbox, Sent and Archive among other mail."""
    made = dovecot.user("intake")
    made.deliver(raw("<0@x>", days=40), received=NOW - 40 * DAY)
    made.deliver(raw("<1@x>", days=9), "Archive", flags="S", received=NOW - 9 * DAY)
    made.deliver(raw("<2@x>", "<1@x>", sender=ME, to=ADA, days=8), "Sent", flags="S", received=NOW - 8 * DAY)
    made.deliver(raw("<3@x>", "<1@x>", "<2@x>", days=1), received=NOW - DAY)
    return made


@pytest.fixture
def wire(dovecot: Dovecot) -> Iterator[CountingProxy]:
    with CountingProxy(dovecot.host, dovecot.port) as proxy:
        yield proxy


@pytest.fixture
def place(wire: CountingProxy, mailbox: Mailbox, store: Store) -> Place:
    return Place("127.0.0.1", wire.port, mailbox.name, "secret", store)


def ids(pulled: Pulled) -> list[str]:
    return [entry.message.message_id for entry in pulled.conversation.entries]


def admin(dovecot: Dovecot, mailbox: Mailbox) -> IMAPClient:
    client = IMAPClient(dovecot.host, dovecot.port, ssl=False)
    client.login(mailbox.name, "secret")
    return client


def test_cold_the_newest_conversation_takes_at_most_16_commands(place: Place, wire: CountingProxy) -> None:
    pulled = place.latest()
    assert ids(pulled) == IN_ORDER
    assert sorted(pulled.raw) == IN_ORDER
    assert len(wire.commands) <= 16, wire.words()
    assert not {"SELECT", "UID STORE", "STORE"} & set(wire.words())


def test_cold_a_beginning_far_below_the_newest_messages_is_found(
    dovecot: Dovecot, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds as small as the mailbox: what is left out by them in a large one."""
    monkeypatch.setattr(conversation, "NEAR", conversation.Bound(days=180, uids=3))
    monkeypatch.setattr(conversation, "FAR", conversation.Bound(days=730, uids=5))
    mailbox = dovecot.user("busy")
    mailbox.deliver(raw("<1@x>", days=400), "Archive", received=NOW - 400 * DAY)
    mailbox.deliver(raw("<2@x>", "<1@x>", sender=ME, to=ADA, days=390), "Archive", received=NOW - 390 * DAY)
    for number in range(10):
        mailbox.deliver(raw(f"<a{number}@x>", days=9), "Archive", received=NOW - 9 * DAY)
    mailbox.deliver(raw("<3@x>", "<1@x>", "<2@x>", days=1), received=NOW - DAY)
    with CountingProxy(dovecot.host, dovecot.port) as wire:
        pulled = Place("127.0.0.1", wire.port, mailbox.name, "secret", store).latest()
    assert (ids(pulled), pulled.unknown) == (IN_ORDER, 0)
    assert len(wire.commands) <= 16 + 6 + 6, wire.words()


def test_earlier_messages_that_are_nowhere_are_counted_unless_they_are_quoted(
    place: Place, mailbox: Mailbox, store: Store
) -> None:
    mailbox.deliver(raw("<6@x>", "<4@x>", "<5@x>", days=0.5), received=NOW - DAY / 2)
    cold = place.latest()
    assert (ids(cold), cold.unknown) == (["<6@x>"], 2)
    quoting = raw("<7@x>", "<4@x>", "<5@x>", days=0.4, body="Yes.\r\n\r\nOn Monday, Ada wrote:\r\n> Shall we go?")
    mailbox.deliver(quoting, received=NOW - DAY / 3)
    place.sync()
    assert [place.pull(one).unknown for one in ("<6@x>", "<3@x>")] == [1, 0]


def unreadable(mailbox: Mailbox, message_id: str) -> None:
    """From now on Dovecot hangs up where it has to read the file of that message."""
    for file in (mailbox.folder / "cur").iterdir():
        if f"Message-ID: {message_id}".encode() in file.read_bytes():
            file.chmod(0)


def test_cold_a_message_that_the_server_fails_at_costs_that_message_only(
    place: Place, mailbox: Mailbox, wire: CountingProxy
) -> None:
    mailbox.deliver(raw("<8@x>", days=0.9), received=NOW - 0.9 * DAY)
    mailbox.deliver(raw("<9@x>", "<3@x>", days=0.8), received=NOW - 0.8 * DAY)
    unreadable(mailbox, "<8@x>")
    assert ids(place.latest()) == [*IN_ORDER, "<9@x>"]
    with pytest.raises(MailboxError, match="no message <8@x>"):
        place.pull("<8@x>")


@pytest.mark.parametrize("newest", [2_500, 1], ids=["near", "far below"])
def test_cold_a_text_that_the_server_fails_at_is_told_with_the_rest_of_its_conversation(
    place: Place, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    monkeypatch.setattr(conversation, "NEAR", conversation.Bound(days=180, uids=newest))
    monkeypatch.setattr(conversation, "FAR", conversation.Bound(days=730, uids=newest))
    mailbox.deliver(raw("<8@x>", days=0.9), received=NOW - 0.9 * DAY)
    mailbox.deliver(raw("<9@x>", "<8@x>", days=0.8), received=NOW - 0.8 * DAY)
    place.sync()  # Dovecot remembers the headers
    unreadable(mailbox, "<8@x>")
    pulled = place.latest()
    assert (ids(pulled), pulled.unknown) == (["<9@x>"], 1)


def test_a_text_that_the_server_fails_at_is_told_and_not_asked_for_with_every_sync(
    place: Place, mailbox: Mailbox, store: Store, wire: CountingProxy
) -> None:
    mailbox.deliver(raw("<8@x>", days=0.9), received=NOW - 0.9 * DAY)
    mailbox.deliver(raw("<9@x>", "<8@x>", days=0.8), received=NOW - 0.8 * DAY)
    place.sync()
    unreadable(mailbox, "<8@x>")
    place = Place("127.0.0.1", wire.port, mailbox.name, "secret", store, keep="needed")
    first = place.sync()
    uid = len(list((mailbox.folder / "cur").iterdir())) - 1
    assert first.complete and first.texts == 4
    assert first.unread == (f"1 message of INBOX could not be read (UID {uid})",)
    wire.commands.clear()
    assert place.sync().unread == ()
    assert wire.words().count("LOGIN") == 1
    pulled = place.pull("<9@x>")
    assert (ids(pulled), pulled.unknown) == (["<9@x>"], 1)
    with pytest.raises(MailboxError, match=f"fails at the message <8@x> .INBOX, UID {uid}"):
        place.pull("<8@x>")


def test_a_message_that_the_server_fails_at_later_stays_in_the_list(place: Place, mailbox: Mailbox) -> None:
    place.sync()
    unreadable(mailbox, "<3@x>")
    for remembered in mailbox.folder.glob("dovecot.index.cache*"):
        remembered.unlink()
    assert place.sync().unread == ()
    assert place.names() == ["<3@x>"]


def test_warm_the_same_conversation_takes_no_search(place: Place, wire: CountingProxy) -> None:
    place.sync()
    assert place.names() == ["<3@x>"]
    wire.commands.clear()
    pulled = place.pull("<3@x>")
    assert ids(pulled) == IN_ORDER
    assert "UID SEARCH" not in wire.words()
    assert wire.words().count("EXAMINE") == wire.words().count("UID FETCH") == 3
    assert "LIST" not in wire.words()


def test_nothing_is_ever_marked_as_seen(place: Place, mailbox: Mailbox, dovecot: Dovecot) -> None:
    place.account = place.account.model_copy(update={"sync": SyncSettings(keep_text="all", learn_from_sent=True)})
    place.sync()
    place.pull("<3@x>")
    place.latest()
    with admin(dovecot, mailbox) as client:
        client.select_folder("INBOX", readonly=True)
        assert not client.search("SEEN")
        assert len(client.search("UNSEEN")) == 2


def test_what_another_program_does_is_noticed(place: Place, mailbox: Mailbox, dovecot: Dovecot) -> None:
    place.sync()
    with admin(dovecot, mailbox) as client:
        client.select_folder("INBOX")
        client.add_flags([2], ["\\Answered"])
    assert place.sync().changed
    assert place.names() == []
    with admin(dovecot, mailbox) as client:
        client.select_folder("INBOX")
        client.delete_messages([1])
        client.uid_expunge([1])
    assert place.sync().removed == 1
    assert place.uids()["INBOX"] == [2]


def test_a_renumbered_folder_is_read_anew(place: Place, mailbox: Mailbox, dovecot: Dovecot) -> None:
    place.sync()
    with admin(dovecot, mailbox) as client:
        before = client.folder_status("Archive", ["UIDVALIDITY"])
        client.rename_folder("Archive", "Old")
        client.create_folder("Archive")
        client.append("Archive", raw("<5@x>", "<3@x>", days=0.5), msg_time=datetime.fromtimestamp(NOW - DAY / 2))
        assert client.folder_status("Archive", ["UIDVALIDITY"]) != before
    result = place.sync()
    assert "Archive" in result.restarted
    assert len(ids(place.pull("<3@x>"))) == 4


_SYNC = """
import os, sys, time
from pathlib import Path
from pydantic import SecretStr
from mailassist.config import Account, ServerSettings, SyncSettings
from mailassist.errors import MailboxError
from mailassist.intake import batches
from mailassist.intake import sync as syncing
from mailassist.mail.addresses import OwnAddresses
from mailassist.store.database import Store
from mailassist.transport.imap import connect
path, port, user, now = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
batches.BATCH, syncing.FIRST = 10, 20
settings = ServerSettings(host="127.0.0.1", port=port, security="none", login=user)
account = Account(address="me@here.example", imap=settings, sync=SyncSettings(keep_text="none"))
def progress(state):
    print(state.done, flush=True)
with connect(settings, account.address, lambda: SecretStr("secret"), account.folders) as source:
    syncing.sync(source, Store(path), "a", account, OwnAddresses.of([]), now=lambda: now, progress=progress)
print("done", flush=True)
"""


def test_a_killed_sync_goes_on_where_it_was(dovecot: Dovecot, tmp_path: Path) -> None:
    mailbox = dovecot.user("killed")
    for number in range(150):
        where = ("INBOX", "Sent", "Archive")[number % 3]
        mailbox.deliver(raw(f"<{number}@x>", days=150 - number), where, received=NOW - (150 - number) * DAY)
    path = tmp_path / "store.sqlite"
    command = [sys.executable, "-c", _SYNC, str(path), str(dovecot.port), mailbox.name, str(NOW)]
    counts = [0]
    for batch in (1, 3, 5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(batch):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        store = Store(path)
        counts.append(sum(len(uids) for uids in _indexed(store).values()))
        store.close()
    assert counts == sorted(set(counts))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.endswith("done\n")
    store = Store(path)
    place = Place(dovecot.host, dovecot.port, mailbox.name, "secret", store)
    assert {name: len(uids) for name, uids in place.uids().items()} == {"INBOX": 50, "Sent": 50, "Archive": 50}
    assert place.sync().new == 0
    assert store.damage() == ""
    store.close()


def test_a_line_that_breaks_leaves_a_right_cursor(dovecot: Dovecot, mailbox: Mailbox, store: Store) -> None:
    for number in range(10, 60):
        mailbox.deliver(raw(f"<{number}@x>", days=2), received=NOW - 2 * DAY)
    place = Place(dovecot.host, dovecot.port, mailbox.name, "secret", store)
    with place.source() as source:
        sync(source, store, "a", place.account, OWN, now=lambda: NOW, stopped=iter([False] * 2 + [True] * 99).__next__)
    place.sync()
    assert len(place.uids()["INBOX"]) == 52


def test_gmail_is_read_through_all_mail_and_cold_takes_at_most_8_commands(
    gmail_server: GmailServer, store: Store
) -> None:
    gmail_server.deliver(raw("<1@x>", days=3), "\\Important")
    gmail_server.file_sent(raw("<2@x>", "<1@x>", sender=ME, to=ADA, days=2))
    gmail_server.deliver(raw("<3@x>", "<1@x>", "<2@x>"))
    place = Place(gmail_server.host, gmail_server.port, gmail_server.user, gmail_server.password, store)
    assert ids(place.latest()) == IN_ORDER
    assert len(gmail_server.commands) <= 8, gmail_server.commands
    place.sync()
    assert place.names() == ["<3@x>"]
    assert {name for name, uids in place.uids().items() if uids} == {"[Gmail]/Alle Nachrichten"}
    assert ids(place.pull("<3@x>")) == IN_ORDER
    again = place.sync()  # flags and labels, fetched alone, are those that came with the headers
    assert (again.flags, again.removed, place.names()) == (0, 0, ["<3@x>"])


def test_pymap_is_synced_too(pymap_server: PymapServer, store: Store) -> None:
    place = Place(pymap_server.host, pymap_server.port, pymap_server.user, pymap_server.password, store)
    with place.source() as source:
        source.append("INBOX", raw("<1@x>"), [])
        source.append("INBOX", raw("<2@x>", "<1@x>", days=0.5), [])
    assert place.sync().new >= 2
    assert "<2@x>" in [
        one.message_id for one in waiting(store, "a", place.account, OWN, now=lambda: NOW, excluded=True)
    ]
    assert ids(place.pull("<2@x>")) == ["<1@x>", "<2@x>"]
    assert not place.sync().new


def _indexed(store: Store) -> dict[str, list[int]]:
    """The indexed UIDs of each folder."""
    return {name: index.uids(store, "a", name, 1, 2**32) for name in index.cursors(store, "a")}
