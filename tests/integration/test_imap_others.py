"""The IMAP source against servers that differ from Dovecot: one with Gmail's ways, and pymap."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from servers.gmail import GmailServer
from servers.pymap_server import PymapServer

from mailassist.config import FolderSettings, ServerSettings
from mailassist.errors import LoginError
from mailassist.transport.folders import find
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.source import Location, Role


def reach(server: GmailServer | PymapServer, secret: str = "", method: str = "password") -> ImapSource:
    settings = ServerSettings.model_validate(
        {"host": server.host, "port": server.port, "security": "none", "login": server.user, "method": method}
    )
    return connect(settings, server.user, lambda: SecretStr(secret or server.password), FolderSettings())


def raw(message_id: str, *references: str, subject: str = "Offer") -> bytes:
    chain = f"References: {' '.join(references)}\r\nIn-Reply-To: {references[-1]}\r\n" if references else ""
    return f"From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n{chain}\r\nHello\r\n".encode()


@pytest.fixture
def gmail(gmail_server: GmailServer) -> Iterator[ImapSource]:
    with reach(gmail_server) as source:
        yield source


def test_gmail_folders_are_found_by_attribute_whatever_their_names(gmail: ImapSource) -> None:
    roles = (Role.ALL, Role.SENT, Role.DRAFTS, Role.TRASH)
    assert [find(gmail.folders(), role) for role in roles] == [
        "[Gmail]/Alle Nachrichten", "[Gmail]/Gesendet", "[Gmail]/Entwürfe", "[Gmail]/Papierkorb",
    ]  # fmt: skip
    assert gmail.gmail


def test_gmail_needs_at_most_8_commands_for_a_cold_conversation(gmail_server: GmailServer) -> None:
    gmail_server.deliver(raw("<1@x>"), "\\Important")
    gmail_server.file_sent(raw("<2@x>", "<1@x>"))
    gmail_server.deliver(raw("<3@x>", "<1@x>", "<2@x>"))
    gmail_server.deliver(raw("<4@x>"))
    with reach(gmail_server) as source:
        everything = find(source.folders(), Role.ALL)
        newest = next(one for one in source.newest_headers(everything, 200) if b"<3@x>" in one.headers)
        found = source.thread(newest, [])
        assert len(list(source.raw(everything, [one.location.uid for one in found]))) == 3
    assert len(gmail_server.commands) <= 8
    assert {one.labels for one in found} == {frozenset({label}) for label in ("\\Inbox", "\\Sent", "\\Important")}
    assert len({one.thread_id for one in found}) == 1


def test_gmail_drops_a_known_message_id_though_it_answers_a_uid(gmail: ImapSource, gmail_server: GmailServer) -> None:
    drafts = find(gmail.folders(), Role.DRAFTS)
    first = gmail.append(drafts, raw("<draft@x>"), ["\\Draft", "\\Seen"])
    second = gmail.append(drafts, raw("<draft@x>", subject="Changed"), ["\\Draft", "\\Seen"])
    assert first is not None and second is not None and first != second
    assert list(gmail.raw(drafts, [second.uid])) == []
    assert [content for _, content in gmail.raw(drafts, [first.uid])] == [raw("<draft@x>")]


def test_removing_on_gmail_moves_to_trash(gmail: ImapSource, gmail_server: GmailServer) -> None:
    place = gmail.append(find(gmail.folders(), Role.DRAFTS), raw("<draft@x>"), ["\\Draft"])
    assert place is not None and gmail.remove(place)
    assert gmail_server.messages[0].labels == {"\\Trash"}


def test_new_mail_on_gmail_ends_the_wait(gmail: ImapSource, gmail_server: GmailServer) -> None:
    threading.Timer(0.3, lambda: gmail_server.deliver(raw("<new@x>"))).start()
    assert gmail.wait("INBOX", 30, lambda: False)


def test_gmail_takes_a_token_and_tells_why_it_refuses_one(gmail_server: GmailServer) -> None:
    with reach(gmail_server, "token", "xoauth2") as source:
        assert source.gmail
    with pytest.raises(LoginError, match=r"scope wanted: https://mail\.google\.com/"):
        reach(gmail_server, "stale", "xoauth2")


def test_pymap_finds_a_conversation_by_its_thread_id(pymap_server: PymapServer) -> None:
    with reach(pymap_server) as source:
        source.append("INBOX", raw("<1@x>"), [])
        source.append("Sent", raw("<2@x>", "<1@x>"), ["\\Seen"])  # makes the folder
        source.append("INBOX", raw("<3@x>", "<1@x>", "<2@x>"), [])
        source.append("INBOX", raw("<4@x>", subject="Another"), [])
        newest = source.newest_headers("INBOX", 3)[1]
        found = source.thread(newest, [])
        assert newest.thread_id
        assert sorted(one.location.folder for one in found) == ["INBOX", "INBOX", "Sent"]


def test_pymap_reads_flags_and_removes(pymap_server: PymapServer) -> None:
    with reach(pymap_server) as source:
        place = source.append("INBOX", raw("<1@x>"), ["\\Flagged"])
        assert place is not None
        state = source.examine("INBOX")
        (record,) = source.headers("INBOX", source.uids("INBOX", 1, 2**32 - 1))
        assert record.location == place and "\\Flagged" in record.flags and place.uidvalidity == state.uidvalidity
        assert record.received is not None and datetime.now(UTC) - record.received < timedelta(hours=1)
        assert [content for _, content in source.raw("INBOX", [place.uid])] == [raw("<1@x>")]
        assert source.add_flags(place, ["\\Answered"])
        assert source.remove(place)
        assert not source.remove(Location("INBOX", place.uidvalidity, place.uid))
