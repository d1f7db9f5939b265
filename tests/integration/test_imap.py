"""The IMAP source against a real Dovecot."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from pydantic import SecretStr
from servers.dovecot import Dovecot, Mailbox
from servers.proxy import CutProxy

from mailassist.config import FolderSettings, LoginMethod, Security, ServerSettings
from mailassist.desk.attachments import Attachments
from mailassist.errors import CertificateError, ConfigError, ConnectionFailed, LoginError, MailboxError
from mailassist.intake.pull import Pulled
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import thread
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.source import Location, Role
from mailassist.transport.throttling import Patience

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
IMPATIENT = Patience(sleep=lambda seconds: None)


def reach(
    server: Dovecot,
    mailbox: Mailbox,
    *,
    port: int | None = None,
    security: Security = "none",
    secret: str = "secret",
    method: LoginMethod = "password",
    trusting: bool = True,
    **settings: object,
) -> ImapSource:
    reached = ServerSettings(
        host="127.0.0.1",
        port=port or server.port,
        security=security,
        login=mailbox.name,
        method=method,
        cafile=server.cafile if trusting else None,
        read_timeout=10,
    )
    folders = FolderSettings.model_validate(settings)
    return connect(reached, "me@here.example", lambda: SecretStr(secret), folders, patience=IMPATIENT)


def raw(
    message_id: str, *references: str, subject: str = "Offer", body: str = "Hello\r\n", parent: bool = True
) -> bytes:
    chain = f"References: {' '.join(references)}\r\n" if references else ""
    chain += f"In-Reply-To: {references[-1]}\r\n" if references else ""
    head = f"From: Ada <ada@there.example>\r\nTo: me@here.example\r\nSubject: {subject}\r\n"
    return f"{head}Date: {format_datetime(NOW)}\r\nMessage-ID: {message_id}\r\n{chain}\r\n{body}".encode()


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    return dovecot.user()


@pytest.fixture
def source(dovecot: Dovecot, mailbox: Mailbox) -> Iterator[ImapSource]:
    with reach(dovecot, mailbox) as opened:
        yield opened


def test_folders_have_their_roles_and_unicode_names(dovecot: Dovecot, mailbox: Mailbox) -> None:
    mailbox.deliver(raw("<1@x>"), "Entw&APw-rfe")
    with reach(dovecot, mailbox) as source:
        found = {folder.name: folder.role for folder in source.folders()}
        assert found["Entwürfe"] is Role.OTHER  # Dovecot names another one by attribute
        assert {role.value for role in found.values()} >= {"inbox", "sent", "drafts", "archive", "trash", "junk"}
        assert source.examine("Entwürfe").exists == 1


def test_reading_marks_nothing_as_seen(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<1@x>"))
    state = source.examine("INBOX")
    assert source.uids("INBOX", 1, 2**32 - 1) == [1]
    (record,) = source.headers("INBOX", [1])
    ((place, content),) = source.raw("INBOX", [1])
    source.thread(record, [])
    assert place == Location("INBOX", state.uidvalidity, 1) and content == raw("<1@x>")
    assert record.size == len(content) and b"Message-ID: <1@x>" in record.headers and b"Hello" not in record.headers
    (again,) = source.newest_headers("INBOX", 5)
    assert "\\Seen" not in again.flags


def test_newest_headers_come_newest_first_and_gone_uids_are_left_out(mailbox: Mailbox, source: ImapSource) -> None:
    for number in range(5):
        mailbox.deliver(raw(f"<{number}@x>"), received=(NOW - (9 - number) * DAY).timestamp())
    assert [record.location.uid for record in source.newest_headers("INBOX", 3)] == [5, 4, 3]
    assert [record.received for record in source.headers("INBOX", [2])] == [NOW - 8 * DAY]
    assert [record.location.uid for record in source.headers("INBOX", [4, 77, 1])] == [1, 4]
    assert list(source.raw("INBOX", [77])) == []


def test_a_conversation_is_followed_through_all_its_folders(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<root@x>"), "Archive", received=(NOW - 40 * DAY).timestamp())
    mailbox.deliver(raw("<ours@x>", "<root@x>"), "Sent", received=(NOW - 39 * DAY).timestamp())
    mailbox.deliver(raw("<newest@x>", "<root@x>", "<ours@x>"))
    mailbox.deliver(raw("<side@x>", "<root@x>"))
    mailbox.deliver(raw("<below@x>", "<side@x>"), "Archive")
    mailbox.deliver(raw("<below@x>", "<side@x>"), "Drafts")
    mailbox.deliver(raw("<stranger@x>"))
    newest = next(one for one in source.newest_headers("INBOX", 9) if b"<newest@x>" in one.headers)
    found = source.thread(newest, [])
    ids = sorted(parse_message(record.headers).message_id for record in found)
    assert ids == ["<below@x>", "<newest@x>", "<ours@x>", "<root@x>", "<side@x>"]
    assert {record.location.folder for record in found} == {"INBOX", "Sent", "Archive"}


def test_a_named_message_far_back_is_found_too(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<old@x>"), "Archive", received=(NOW - 500 * DAY).timestamp())
    mailbox.deliver(raw("<newest@x>", "<old@x>"))
    (newest,) = source.newest_headers("INBOX", 1)
    assert len(source.thread(newest, [])) == 2


def test_an_old_conversation_is_found_around_its_own_time(mailbox: Mailbox, source: ImapSource) -> None:
    for number, age in enumerate((400, 399, 398)):
        ids = [f"<{one}@x>" for one in range(number)]
        mailbox.deliver(raw(f"<{number}@x>", *ids), received=(NOW - age * DAY).timestamp())
    (old,) = source.headers("INBOX", [2])
    assert len(source.thread(old, [])) == 3


def counted(dovecot: Dovecot, mailbox: Mailbox) -> tuple[int, int]:
    """Commands of a cold look-up (newest of Inbox and Sent, conversation, bodies, logout), messages found."""
    said = bytearray()

    def keep(piece: bytes) -> bytes:
        said.extend(piece)
        return piece

    proxy = CutProxy("127.0.0.1", dovecot.port, change=keep)
    with proxy, reach(dovecot, mailbox, port=proxy.port) as source:
        source.folders()
        (newest, *_) = source.newest_headers("INBOX", 200)
        source.newest_headers("Sent", 200)
        found = source.thread(newest, [])
        for folder in {record.location.folder for record in found}:
            uids = [one.location.uid for one in found if one.location.folder == folder]
            assert len(list(source.raw(folder, uids))) == len(uids)
    completed = re.findall(rb"^[A-Z]{4}\d+ (OK|NO|BAD)", bytes(said), re.MULTILINE)
    return len(completed), len(found)


def test_a_cold_conversation_in_three_folders_needs_at_most_16_commands(dovecot: Dovecot, mailbox: Mailbox) -> None:
    mailbox.deliver(raw("<1@x>"), "Archive")
    mailbox.deliver(raw("<2@x>", "<1@x>"), "Sent")
    mailbox.deliver(raw("<3@x>", "<1@x>", "<2@x>"))
    commands, found = counted(dovecot, mailbox)
    assert found == 3 and commands <= 16


def test_each_further_pass_of_the_chain_needs_at_most_6_commands(dovecot: Dovecot, mailbox: Mailbox) -> None:
    # Every message names its parent alone, so that each pass finds one more: 5, 4, then 3, 2, 1.
    folders = ["Archive", "Sent", "Archive", "Sent", "INBOX"]
    for number, folder in enumerate(folders, 1):
        mailbox.deliver(raw(f"<{number}@x>", *([f"<{number - 1}@x>"] if number > 1 else [])), folder)
    commands, found = counted(dovecot, mailbox)
    assert found == 5 and commands <= 16 + 6 * 4


def test_a_draft_is_appended_with_its_flags_found_by_header_and_moved_to_trash(source: ImapSource) -> None:
    place = source.append("Drafts", raw("<draft@x>"), ["\\Draft", "\\Seen"])
    assert place is not None
    (record,) = source.headers("Drafts", [place.uid])
    assert record.flags >= {"\\Draft", "\\Seen"}
    assert source.search_header("Drafts", "Message-ID", "<draft@x>") == [place.uid]
    assert source.remove(place) and not source.remove(place)
    assert source.uids("Drafts", 1, 99) == [] and source.uids("Trash", 1, 99) == [1]


def test_removing_touches_no_other_message_marked_as_deleted(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<theirs@x>"), "Drafts", flags="T")
    place = source.append("Drafts", raw("<ours@x>"), ["\\Draft"])
    assert place is not None and source.remove(place)
    assert len(source.uids("Drafts", 1, 99)) == 1


def test_a_flag_is_added_only_to_the_message_that_was_meant(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<1@x>"))
    (record,) = source.newest_headers("INBOX", 1)
    stale = Location("INBOX", record.location.uidvalidity + 1, 1)
    assert not source.add_flags(stale, ["\\Answered"])
    assert source.add_flags(record.location, ["\\Answered"])
    list(source.raw("INBOX", [1]))  # the folder is open for writing now
    flags = source.newest_headers("INBOX", 1)[0].flags
    assert "\\Answered" in flags and "\\Seen" not in flags


def test_a_folder_that_is_not_there_is_named(source: ImapSource) -> None:
    with pytest.raises(MailboxError, match="'Nowhere'"):
        source.examine("Nowhere")


def test_hostile_folder_names_and_ids_leave_the_mailbox_as_it_was(mailbox: Mailbox, source: ImapSource) -> None:
    mailbox.deliver(raw("<1@x>"), "Keep")
    with pytest.raises(MailboxError):
        source.examine('"\\ x" DELETE Keep')
    (record,) = [*source.headers("Keep", [1])]
    source.thread(record, ["<a@b>\r\nX1 DELETE Keep", '<"\\@b>', "", "no id"])
    assert source.examine("Keep").exists == 1


def test_of_a_large_message_attachments_stay_on_the_server(mailbox: Mailbox, source: ImapSource) -> None:
    message = EmailMessage()
    message["Message-ID"], message["Subject"], message["From"] = "<big@x>", "Plans", "ada@there.example"
    message.set_content("The plans are attached.\n" + "line of text\n" * 50)
    message.add_alternative("<p>The plans are attached.</p>", subtype="html")
    message.add_attachment(b"x" * 3_000_000, maintype="application", subtype="pdf", filename="plans.pdf")
    mailbox.deliver(message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    ((_, content),) = source.raw("INBOX", [1], limit=1_000_000)
    assert len(content) < 20_000
    parsed = parse_message(content)
    assert parsed.message_id == "<big@x>" and "The plans are attached." in parsed.text
    assert [attachment.name for attachment in parsed.attachments] == ["plans.pdf"]
    ((_, whole),) = source.raw("INBOX", [1], limit=10_000_000)
    assert len(whole) > 3_000_000


def test_what_a_large_message_left_on_the_server_is_fetched_for_a_draft(mailbox: Mailbox, source: ImapSource) -> None:
    def large(message_id: str, size: int) -> bytes:
        message = EmailMessage()
        message["Message-ID"], message["From"] = message_id, "ada@there.example"
        message.set_content("The plans are attached.")
        message.add_attachment(b"words " + b"x" * size, maintype="text", subtype="plain", filename="plans.txt")
        return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    mailbox.deliver(large("<big@x>", 3_000_000))
    mailbox.deliver(large("<huge@x>", 20_000_000))
    opened = []

    @contextmanager
    def opening(account: str) -> Iterator[ImapSource]:
        opened.append(account)
        yield source

    attachments, asked = Attachments(opening), []
    for place, content in source.raw("INBOX", [1, 2]):
        message = parse_message(content)
        assert len(content) < 20_000 and message.attachments[0].left > 2_900_000
        (conversation,) = thread([message], OwnAddresses.of([("me@here.example", [])]))
        asked.append(Pulled(conversation, {message.message_id: (place,)}, {message.message_id: content}))
    for _ in range(2):
        ((document,),) = attachments.documents("work", asked[0]).values()
        assert document.text.startswith("words xxx") and "only the first 200,000 characters" in document.note
    ((document,),) = attachments.documents("work", asked[1]).values()
    assert (document.name, document.text, document.note) == ("plans.txt", "", "left on the server: 19 MB")
    assert opened == ["work"]


def test_a_large_message_of_absurd_structure_gives_its_beginning(mailbox: Mailbox, source: ImapSource) -> None:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(2000))
    mailbox.deliver(b"Message-ID: <nested@x>\r\nMIME-Version: 1.0\r\n" + opened.encode() + b"x" * 600_000 + b"\r\n")
    ((_, content),) = source.raw("INBOX", [1], limit=400_000)
    assert content.startswith(b"Message-ID: <nested@x>")
    assert len(content) <= 400_000
    assert source.examine("INBOX").exists == 1


def test_new_mail_ends_the_wait(mailbox: Mailbox, source: ImapSource) -> None:
    source.examine("INBOX")
    threading.Timer(0.3, lambda: mailbox.deliver(raw("<new@x>"))).start()
    assert source.wait("INBOX", 30, lambda: False)
    assert source.examine("INBOX").exists == 1


def test_waiting_ends_when_it_is_stopped_and_commands_work_after_it(source: ImapSource) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert not source.wait("INBOX", 30, stop.is_set)
    assert source.uids("INBOX", 1, 9) == []


def test_a_read_goes_on_after_the_connection_broke(dovecot: Dovecot, mailbox: Mailbox) -> None:
    for number in range(50):
        mailbox.deliver(raw(f"<{number}@x>"))
    with CutProxy("127.0.0.1", dovecot.port) as proxy:
        source = reach(dovecot, mailbox, port=proxy.port)
        source.close()
        for offset in range(1000, 12_000, 1500):
            proxy.cut("down", offset)
            with reach(dovecot, mailbox, port=proxy.port) as source:
                assert len(list(source.headers("INBOX", range(1, 51)))) == 50


def test_an_append_is_never_repeated(dovecot: Dovecot, mailbox: Mailbox) -> None:
    with CutProxy("127.0.0.1", dovecot.port) as proxy:
        proxy.cut("up", 130)
        with reach(dovecot, mailbox, port=proxy.port) as source, pytest.raises(ConnectionFailed):
            source.append("Drafts", raw("<once@x>", body="x" * 5000), ["\\Draft"])
    with reach(dovecot, mailbox) as source:
        assert source.uids("Drafts", 1, 99) == []


def test_tls_is_verified_and_every_failure_says_what_to_do(dovecot: Dovecot, mailbox: Mailbox) -> None:
    for security, port in (("tls", dovecot.tls_port), ("starttls", dovecot.port)):
        with reach(dovecot, mailbox, port=port, security=security) as source:  # type: ignore[arg-type]
            assert source.examine("INBOX").exists == 0
        with pytest.raises(CertificateError, match=r"127\.0\.0\.1.*cafile"):
            reach(dovecot, mailbox, port=port, security=security, trusting=False)  # type: ignore[arg-type]
    with pytest.raises(ConnectionFailed, match="starttls"):
        reach(dovecot, mailbox, security="tls")


def test_a_wrong_password_is_a_login_error_that_does_not_show_it(dovecot: Dovecot, mailbox: Mailbox) -> None:
    with pytest.raises(LoginError, match=mailbox.name) as raised:
        reach(dovecot, mailbox, secret="hunter2-wrong")
    assert "hunter2" not in str(raised.value)


def test_a_port_where_nobody_listens_is_named(dovecot: Dovecot, mailbox: Mailbox) -> None:
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1 refused"):
        reach(dovecot, mailbox, port=1)


def test_a_cafile_that_is_not_there_is_a_configuration_error(dovecot: Dovecot) -> None:
    settings = ServerSettings.model_validate({"host": "127.0.0.1", "port": dovecot.tls_port, "cafile": "/no/such.pem"})
    with pytest.raises(ConfigError, match=r"/no/such\.pem"):
        connect(settings, "x@y.example", lambda: SecretStr("x"), FolderSettings())
