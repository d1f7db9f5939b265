"""Maildirs and mbox files as sources; no server, but real files."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailassist.config import FolderSettings
from mailassist.errors import MailboxError
from mailassist.transport.folders import find
from mailassist.transport.maildir import MaildirSource
from mailassist.transport.mbox import MboxSource
from mailassist.transport.source import Location, Role

NONE = FolderSettings()


def raw(message_id: str, *references: str, more: str = "") -> bytes:
    chain = f"References: {' '.join(references)}\n" if references else ""
    return f"From: a@b.example\nSubject: a\n folded one\nMessage-ID: {message_id}\n{chain}{more}\nHello\n".encode()


def deliver(folder: Path, name: str, content: bytes, part: str = "cur") -> Path:
    for inner in ("cur", "new", "tmp"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    path = folder / part / name
    path.write_bytes(content)
    return path


def test_maildir_plus_plus_and_nested_layouts_are_read(tmp_path: Path) -> None:
    deliver(tmp_path / "plus", "1.a:2,S", raw("<1@x>"))
    deliver(tmp_path / "plus/.Sent", "2.b:2,S", raw("<2@x>"))
    deliver(tmp_path / "plus/.Archive.2025", "3.c:2,S", raw("<3@x>"))
    plus = MaildirSource(tmp_path / "plus", NONE, tmp_path / "data")
    assert [(folder.name, folder.role) for folder in plus.folders()] == [
        ("INBOX", Role.INBOX), ("Archive/2025", Role.OTHER), ("Sent", Role.SENT),
    ]  # fmt: skip
    deliver(tmp_path / "nested/Inbox", "1.a:2,S", raw("<1@x>"))
    deliver(tmp_path / "nested/[Gmail]/Sent Mail", "2.b:2,S", raw("<2@x>"))
    nested = MaildirSource(tmp_path / "nested", NONE, tmp_path / "data")
    assert find(nested.folders(), Role.INBOX) == "INBOX" and find(nested.folders(), Role.SENT) == "[Gmail]/Sent Mail"


def test_uids_stay_when_flags_change_and_are_never_given_twice(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "100.a", raw("<1@x>"), "new")
    second = deliver(tmp_path / "m", "200.b:2,", raw("<2@x>"))
    before = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    state = before.examine("INBOX")
    assert before.uids("INBOX", 1, 99) == [1, 2] and state.uidnext == 3
    assert before.add_flags(Location("INBOX", state.uidvalidity, 1), ["\\Answered", "\\Seen"])
    second.unlink()
    deliver(tmp_path / "m", "050.late:2,", raw("<3@x>"))
    after = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    assert after.examine("INBOX").uidvalidity == state.uidvalidity
    records = {record.location.uid: record for record in after.headers("INBOX", [1, 2, 3])}
    assert records.keys() == {1, 3}
    assert records[1].flags == {"\\Answered", "\\Seen"} and b"<3@x>" in records[3].headers


def test_headers_are_those_of_the_index_and_the_file_time_is_the_arrival(tmp_path: Path) -> None:
    path = deliver(tmp_path / "m", "1.a:2,RS", raw("<1@x>", more="X-Private: no\n"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    (record,) = source.newest_headers("INBOX", 5)
    assert record.headers == b"From: a@b.example\r\nSubject: a\r\n folded one\r\nMessage-ID: <1@x>\r\n\r\n"
    assert record.received == datetime.fromtimestamp(1_700_000_000, UTC)
    assert [content for _, content in source.raw("INBOX", [1, 7])] == [path.read_bytes()]


def test_a_conversation_is_found_in_all_folders_but_drafts_and_trash(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "1.a:2,S", raw("<1@x>"))
    deliver(tmp_path / "m/.Sent", "2.b:2,S", raw("<2@x>", "<1@x>"))
    deliver(tmp_path / "m/.Projects", "3.c:2,S", raw("<3@x>", "<2@x>"))
    deliver(tmp_path / "m/.Drafts", "4.d:2,S", raw("<4@x>", "<3@x>"))
    deliver(tmp_path / "m", "5.e:2,S", raw("<5@x>"))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    start = next(one for one in source.newest_headers("INBOX", 9) if b"<1@x>" in one.headers)
    found = source.thread(start, [])
    assert sorted(one.location.folder for one in found) == ["INBOX", "Projects", "Sent"]


def test_a_draft_is_appended_seen_and_as_a_draft_and_moved_to_trash(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "1.a:2,S", raw("<1@x>"))
    deliver(tmp_path / "m/.Drafts", "2.b:2,DS", raw("<2@x>"))
    deliver(tmp_path / "m/.Trash", "3.c:2,S", raw("<3@x>"))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    place = source.append("Drafts", raw("<new@x>").replace(b"\n", b"\r\n"), ["\\Draft", "\\Seen"])
    assert place is not None and source.search_header("Drafts", "message-id", "<new@x>") == [place.uid]
    (record,) = source.headers("Drafts", [place.uid])
    assert record.flags == {"\\Draft", "\\Seen"}
    assert not list((tmp_path / "m/.Drafts/tmp").iterdir())
    assert source.remove(place) and not source.remove(place)
    assert len(source.uids("Trash", 1, 99)) == 2


def test_a_new_delivery_ends_the_wait(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "1.a:2,S", raw("<1@x>"))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    threading.Timer(0.2, lambda: deliver(tmp_path / "m", "2.b", raw("<2@x>"), "new")).start()
    assert source.wait("INBOX", 30, lambda: False)
    assert not source.wait("INBOX", 0.1, lambda: False)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MailboxError, match="no Maildir"):
        MaildirSource(tmp_path, NONE, tmp_path / "data")
    with pytest.raises(MailboxError, match=r"mail\.mbox"):
        MboxSource(tmp_path / "mail.mbox", tmp_path / "data")
    deliver(tmp_path / "m", "1.a:2,S", raw("<1@x>"))
    with pytest.raises(MailboxError, match="'Nowhere'"):
        MaildirSource(tmp_path / "m", NONE, tmp_path / "data").examine("Nowhere")


def mbox(*messages: bytes) -> bytes:
    return b"".join(b"From a@b.example Tue Nov 24 00:10:00 2026\n" + message + b"\n" for message in messages)


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08packed", raw("<1@x>")], ids=["packed", "one message"])
def test_a_file_that_is_no_mbox_is_not_taken_for_an_empty_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "box"
    path.write_bytes(content)
    with pytest.raises(MailboxError, match="is no mbox file"):
        MboxSource(path, tmp_path / "data").examine("INBOX")
    path.write_bytes(b"\n\n")
    assert MboxSource(path, tmp_path / "data").examine("INBOX").exists == 0


def test_an_mbox_is_one_inbox_that_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(mbox(raw("<1@x>", more="Status: RO\nX-Status: A\n"), raw("<2@x>") + b"\n>From here on\n"))
    source = MboxSource(path, tmp_path / "data")
    records = source.newest_headers("INBOX", 9)
    assert [record.location.uid for record in records] == [2, 1]
    assert records[1].flags == {"\\Seen", "\\Answered"}
    assert records[0].received == datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
    ((_, content),) = source.raw("INBOX", [2])
    assert content.startswith(b"From: a@b.example") and b"\nFrom here on\n" in content
    for refused in (
        lambda: source.append("INBOX", b"", []),
        lambda: source.remove(records[0].location),
        lambda: source.add_flags(records[0].location, ["\\Answered"]),
    ):
        with pytest.raises(MailboxError, match="only read"):
            refused()


def test_thunderbirds_flags_are_read_and_what_it_expunged_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "Inbox"
    values = ("0000", "0001", "0003", "1005", "0009")
    path.write_bytes(
        mbox(
            *(
                raw(f"<{value}@x>", more=f"X-Mozilla-Status: {value}\nX-Mozilla-Status2: 00000008\n")
                for value in values
            ),
            raw("<a@x>", more="Status: RO\nX-Mozilla-Status: 000a\n"),
            raw("<b@x>") + b"X-Mozilla-Status: 0008\n",
        )
    )
    source = MboxSource(path, tmp_path / "data")
    assert {record.location.uid: set(record.flags) for record in source.newest_headers("INBOX", 9)} == {
        1: set(),
        2: {"\\Seen"},
        3: {"\\Seen", "\\Answered"},
        4: {"\\Seen", "\\Flagged"},
        7: set(),
    }
    state = source.examine("INBOX")
    assert (state.exists, state.uidnext) == (5, 8)
    assert list(source.raw("INBOX", [5])) == []
    path.write_bytes(path.read_bytes().replace(b"X-Mozilla-Status: 0000", b"X-Mozilla-Status: 0001"))
    marked = MboxSource(path, tmp_path / "data")
    assert marked.examine("INBOX") == state
    assert "\\Seen" in next(marked.headers("INBOX", [1])).flags


def test_an_mbox_that_grows_keeps_its_epoch_and_a_rewritten_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(mbox(raw("<1@x>"), raw("<2@x>")))
    first = MboxSource(path, tmp_path / "data").examine("INBOX")
    path.write_bytes(mbox(raw("<1@x>"), raw("<2@x>"), raw("<3@x>")))
    grown = MboxSource(path, tmp_path / "data").examine("INBOX")
    assert grown.uidvalidity == first.uidvalidity and grown.exists == 3
    path.write_bytes(mbox(raw("<2@x>"), raw("<3@x>"), raw("<4@x>")))
    assert MboxSource(path, tmp_path / "data").examine("INBOX").uidvalidity != first.uidvalidity


def received(path: Path, content: bytes) -> datetime | None:
    """When the only message of an mbox counts as arrived; the file was written on 24 November 2026."""
    path.write_bytes(content)
    os.utime(path, (1_795_500_000, 1_795_500_000))
    (record,) = MboxSource(path, path.with_suffix(".data")).newest_headers("INBOX", 9)
    return record.received


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        (b"From 1234567890@xxx Tue Nov 03 10:00:00 +0100 2026\n", datetime(2026, 11, 3, 9, tzinfo=UTC)),
        (b"From a@b.example Tue Nov  3 10:00:00 EST 2026\n", datetime(2026, 11, 3, 15, tzinfo=UTC)),
        (b"From a@b.example Tue Nov  3 10:00:00 2026 -0500\r\n", datetime(2026, 11, 3, 15, tzinfo=UTC)),
        (b"From - Tue Nov  3 10:00:00 2026\n", datetime(2026, 11, 3, 10, tzinfo=UTC)),
        (b"From a@b.example\n", datetime.fromtimestamp(1_795_500_000, UTC)),
    ],
)
def test_every_form_of_from_line_tells_when_a_message_came(tmp_path: Path, line: bytes, moment: datetime) -> None:
    assert received(tmp_path / "mail.mbox", line + raw("<1@x>")) == moment


def test_a_from_line_without_a_date_leaves_it_to_the_header(tmp_path: Path) -> None:
    content = b"From a@b.example\n" + raw("<1@x>", more="Date: Tue, 3 Nov 2026 10:00:00 +0000\n")
    assert received(tmp_path / "mail.mbox", content) == datetime(2026, 11, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "more", "moment"),
    [
        # mbsync writes the whole mailbox today: name and file tell the time of the download
        (
            "1795400000.7_1.host,U=1:2,S",
            "Date: Tue, 3 Nov 2026 10:00:00 +0000\n",
            datetime(2026, 11, 3, 10, tzinfo=UTC),
        ),
        # written long before it was sent: the server's stamp is the arrival, not the writer's clock
        (
            "1795400000.7_2.host:2,",
            "Received: from a by b; Wed, 4 Nov 2026\n 10:00:00 +0000\nReceived: by a; Tue, 3 Nov 2026 09:00:00 +0000\n"
            "Date: Mon, 1 Jan 2001 00:00:00 +0000\n",
            datetime(2026, 11, 4, 10, tzinfo=UTC),
        ),
        # a restored backup: the name is as old as the delivery
        ("1793700000.M1P2.host:2,S", "", datetime.fromtimestamp(1_793_700_000, UTC)),
        # a clock that was never set, and one that runs ahead
        (
            "1795400000.7_3.host:2,",
            "Date: Thu, 1 Jan 1970 00:00:00 +0000\n",
            datetime.fromtimestamp(1_795_400_000, UTC),
        ),
        (
            "1795400000.7_4.host:2,",
            "Date: Fri, 1 Jan 2038 00:00:00 +0000\n",
            datetime.fromtimestamp(1_795_400_000, UTC),
        ),
    ],
)
def test_mail_that_was_downloaded_today_did_not_arrive_today(
    tmp_path: Path, name: str, more: str, moment: datetime
) -> None:
    path = deliver(tmp_path / "m", name, raw("<1@x>", more=more))
    os.utime(path, (1_795_500_000, 1_795_500_000))
    (record,) = MaildirSource(tmp_path / "m", NONE, tmp_path / "data").newest_headers("INBOX", 9)
    assert record.received == moment


def test_folder_names_on_disk_are_read_from_modified_utf_7(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "1.a:2,S", raw("<1@x>"))
    deliver(tmp_path / "m/.Entw&APw-rfe", "2.b:2,DS", raw("<2@x>"))
    deliver(tmp_path / "m/.R&D", "3.c:2,S", raw("<3@x>"))  # nobody wrote that in modified UTF-7
    deliver(tmp_path / "m/.Gelöscht", "4.d:2,S", raw("<4@x>"))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    assert {(folder.name, folder.role) for folder in source.folders()} == {
        ("INBOX", Role.INBOX), ("Entwürfe", Role.DRAFTS), ("R&D", Role.OTHER), ("Gelöscht", Role.TRASH),
    }  # fmt: skip
    assert [content for _, content in source.raw("Entwürfe", [1])] == [raw("<2@x>")]


def test_what_cannot_be_read_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "100.a:2,", raw("<1@x>"))
    deliver(tmp_path / "m/.Sent", "100.a:2,", raw("<2@x>"))
    (tmp_path / "m/cur/200.folder:2,").mkdir()
    os.mkfifo(tmp_path / "m/cur/300.pipe:2,")
    (tmp_path / "m/cur/400.failing:2,").symlink_to("/proc/self/mem")  # a file whose first byte is an I/O error
    (tmp_path / "m/cur/500.gone:2,").symlink_to(tmp_path / "nowhere")
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    failing = Location("INBOX", source.examine("INBOX").uidvalidity, 4)
    (first,) = source.newest_headers("INBOX", 9)
    assert (first.location.uid, source.take_unreadable()) == (1, [failing])
    assert [record.location.uid for record in source.headers("INBOX", range(1, 9))] == [1]
    assert [place.uid for place, _ in source.raw("INBOX", range(1, 9))] == [1]
    assert set(source.take_unreadable()) == {failing} and source.take_unreadable() == []
    assert source.search_header("INBOX", "Message-ID", "<1@x>") == [1]
    assert [record.location.folder for record in source.thread(first, ["<2@x>"])] == ["INBOX", "Sent"]
    (tmp_path / "m/.Sent/cur").rename(tmp_path / "away")
    (tmp_path / "m/.Sent/cur").write_text("no folder")
    with pytest.raises(MailboxError, match="Sent/cur cannot be read"):
        source.examine("Sent")


def test_a_folder_called_inbox_does_not_take_the_place_of_the_inbox(tmp_path: Path) -> None:
    deliver(tmp_path / "m", "100.a:2,", raw("<1@x>"))
    deliver(tmp_path / "m/.Inbox", "100.b:2,", raw("<2@x>"))
    source = MaildirSource(tmp_path / "m", NONE, tmp_path / "data")
    assert {folder.name: folder.role for folder in source.folders()} == {"INBOX": Role.INBOX, "INBOX (2)": Role.OTHER}
    assert b"<1@x>" in source.newest_headers("INBOX", 1)[0].headers
