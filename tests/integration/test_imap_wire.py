"""The IMAP source against a server that says exactly what a test wants: hostile, throttling, broken, odd."""

from __future__ import annotations

import base64
import itertools
import re
import socket
import threading
import time

import pytest
from pydantic import SecretStr
from servers.scripted_imap import ScriptedServer, mailbox, scripted

from mailassist.config import Account, FolderSettings, LoginMethod, ServerSettings, SyncSettings
from mailassist.desk.watching import watch
from mailassist.errors import ConnectionFailed, LoginError, MailboxError
from mailassist.intake.sync import SyncResult, sync
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import index
from mailassist.store.database import Store
from mailassist.transport import idle
from mailassist.transport.arguments import UnsafeArgument
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.network import proxy_for
from mailassist.transport.session import Session
from mailassist.transport.source import HeaderRecord, Location, Role
from mailassist.transport.throttling import LONGEST, Patience

INJECTED = "<a@b>\r\nX1 DELETE INBOX"


def reach(
    server: ScriptedServer,
    pauses: list[float] | None = None,
    *,
    secret: str = "secret",
    said: list[str] | None = None,
    **settings: object,
) -> ImapSource:
    waited, told = pauses if pauses is not None else [], said if said is not None else []
    values = {"host": server.host, "port": server.port, "security": "none", "login": "me", "read_timeout": 20.0}
    return connect(
        ServerSettings.model_validate(values | settings),
        "me@here.example",
        lambda: SecretStr(secret),
        FolderSettings(),
        patience=Patience(sleep=waited.append, random=lambda: 0.5, warn=told.append),
    )


def record(message_id: str, references: str = "") -> HeaderRecord:
    headers = f"Message-ID: {message_id}\r\nReferences: {references}\r\nSubject: x\r\n\r\n"
    return HeaderRecord(Location("INBOX", 5, 1), headers.encode("utf-8", "surrogateescape"))


def lines_outside_literals(server: ScriptedServer) -> list[bytes]:
    return bytes(server.received).split(b"\r\n")


def test_nothing_of_a_hostile_message_becomes_a_command() -> None:
    hostile = "=?utf-8?q?<a=40b>=0d=0aX1_DELETE_INBOX?="
    with scripted(mailbox) as server, reach(server) as source:
        source.thread(record(hostile, f'{hostile} <ok@x> <a{{5}}@b> <q"\\@b>'), [INJECTED, "<x\0@y>", hostile])
        for refused in (INJECTED, "a\nb", "a\0"):
            with pytest.raises(UnsafeArgument):
                source.search_header("INBOX", "Message-ID", refused)
            with pytest.raises(UnsafeArgument):
                source.examine(refused)
    for line in lines_outside_literals(server):
        assert line == b"" or line.split(b" ")[1] in (b"LOGIN", b"LIST", b"EXAMINE", b"UID", b"LOGOUT", b"CAPABILITY")
    assert b"DELETE INBOX" not in server.received
    assert b'"<q\\"\\\\@b>"' in server.received


def test_text_beyond_ascii_goes_out_as_a_literal() -> None:
    with scripted(mailbox) as server, reach(server) as source:
        source.search_header("INBOX", "Subject", "Größe {7}")
    assert b"UID SEARCH CHARSET UTF-8 HEADER Subject {11+}\r\nGr\xc3\xb6\xc3\x9fe {7}\r\n" in server.received


def test_a_literal_waits_for_the_servers_go_ahead_where_it_must() -> None:
    def answer(command: str) -> list[str] | None:
        return mailbox(command, {"APPEND": ["OK [APPENDUID 5 31] done"]})

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1] ready") as server, reach(server) as source:
        assert source.append("Drafts", b"a: b\r\n\r\nc\r\n", ["\\Draft", "\\Seen"]) == Location("Drafts", 5, 31)
    assert b'APPEND "Drafts" (\\Draft \\Seen) {11}\r\na: b\r\n\r\nc\r\n\r\n' in server.received


def test_a_server_that_asks_to_wait_is_obeyed_up_to_five_minutes() -> None:
    answers = iter(["BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
                    "NO [UNAVAILABLE] Suggested Backoff Time: 9924150 milliseconds"])  # fmt: skip

    def answer(command: str) -> list[str] | None:
        if command.startswith("UID SEARCH") and (throttled := next(answers, None)):
            return [throttled]
        return mailbox(command, {"UID SEARCH": ["* SEARCH 7 9", "OK done"]})

    pauses: list[float] = []
    said: list[str] = []
    with scripted(answer) as server, reach(server, pauses, said=said) as source:
        assert source.uids("INBOX", 1, 29) == [7, 9]
    assert pauses == [92.415, LONGEST] and server.connections == 1
    assert said == ["The server asks to wait 93 s", "The server asks to wait 300 s"]


@pytest.mark.parametrize(
    "said",
    [
        "[ALERT] Too many simultaneous connections. (Failure)",
        "[LIMIT] LOGIN Rate limit hit.",
        "[UNAVAILABLE] Try it later",
    ],
)
def test_a_login_that_is_too_much_for_the_server_is_waited_for_and_then_told(said: str) -> None:
    def full(command: str) -> list[str] | None:
        return [f"NO {said}"] if command.startswith("LOGIN") else []

    pauses: list[float] = []
    with scripted(full) as server, pytest.raises(ConnectionFailed, match="asks to wait"):
        reach(server, pauses)
    assert len(pauses) == 3 and all(pause >= 5 for pause in pauses)


def test_a_broken_connection_is_opened_again_with_growing_pauses() -> None:
    drops = iter([True, True])

    def answer(command: str) -> list[str] | None:
        if command.startswith("UID SEARCH") and next(drops, False):
            return None
        return mailbox(command, {"UID SEARCH": ["* SEARCH 3", "OK done"]})

    pauses: list[float] = []
    said: list[str] = []
    with scripted(answer) as server, reach(server, pauses, said=said) as source:
        assert source.uids("INBOX", 1, 29) == [3]
    assert server.connections == 3 and pauses == [1.0, 2.0] and said == []


def test_a_renumbered_folder_after_a_reconnect_is_not_mixed_up() -> None:
    epochs = iter(["5", "6"])
    drops = iter([True])

    def answer(command: str) -> list[str] | None:
        if command.startswith("EXAMINE"):
            return ["* 2 EXISTS", f"* OK [UIDVALIDITY {next(epochs)}] .", "* OK [UIDNEXT 30] .", "OK done"]
        return None if command.startswith("UID FETCH") and next(drops, False) else mailbox(command)

    with scripted(answer) as server, reach(server) as source:
        source.examine("INBOX")
        with pytest.raises(MailboxError, match="renumbered"):
            list(source.headers("INBOX", [1, 2]))


def test_bye_is_told_in_the_servers_words() -> None:
    def answer(command: str) -> list[str] | None:
        return ["* BYE Session expired, please login again", "OK x"] if command.startswith("EXAMINE") else []

    with scripted(answer) as server, pytest.raises(ConnectionFailed, match="Session expired"), reach(server) as source:
        source.examine("INBOX")


@pytest.mark.parametrize(
    ("method", "greeting", "sent"),
    [
        ("xoauth2", "* OK ready", b"AUTHENTICATE XOAUTH2\r\n"),
        ("xoauth2", "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGINDISABLED AUTH=XOAUTH2] x", b"AUTHENTICATE XOAUTH2 dXNlcj"),
        ("oauthbearer", "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] x", b"AUTHENTICATE OAUTHBEARER bixhP"),
        ("password", "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] x", b"AUTHENTICATE PLAIN\r\n"),
        ("password", "* OK ready", b'LOGIN "me" "secret"\r\n'),
    ],
)
def test_each_way_to_log_in_needs_no_needless_command(method: LoginMethod, greeting: str, sent: bytes) -> None:
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(greeting.encode() + b"\r\n")
                line = lines.readline()
                received.extend(line)
                if line.count(b" ") == 2 and b"AUTHENTICATE" in line:
                    connection.sendall(b"+ \r\n")
                    received.extend(lines.readline())
                connection.sendall(line.split()[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n")
                lines.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        server = ScriptedServer(port=listening.getsockname()[1])
        reach(server, method=method).close()
        thread.join()
    assert received.split(b" ", 1)[1].startswith(sent)


def test_the_servers_oauth_reason_is_told_and_not_the_token() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] x\r\n")
                tag = lines.readline().split()[0]
                connection.sendall(b"+ eyJzdGF0dXMiOiI0MDEiLCJzY29wZSI6Im1haWwifQ==\r\n")
                assert lines.readline() == b"\r\n"
                connection.sendall(tag + b" NO AUTHENTICATE failed.\r\n")

        threading.Thread(target=serve, daemon=True).start()
        server = ScriptedServer(port=listening.getsockname()[1])
        with pytest.raises(LoginError, match="invalid or expired token") as raised:
            reach(server, method="xoauth2")
    assert "secret" not in str(raised.value)


def test_a_login_that_the_server_switched_off_is_explained() -> None:
    greeting = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] x"
    with scripted(lambda command: [], greeting) as server, pytest.raises(LoginError, match="use TLS"):
        reach(server)
    assert b"secret" not in server.received


@pytest.mark.parametrize("method", ["password", "xoauth2"])
def test_a_server_that_repeats_the_command_does_not_give_the_secret_away(method: LoginMethod) -> None:
    greeting = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] x"
    with (
        scripted(lambda command: [f"BAD cannot parse: {command}"], greeting) as server,
        pytest.raises(LoginError, match=r"cannot parse: .*\*\*\*") as raised,
    ):
        reach(server, secret='hunter"2', method=method)
    assert "hunter" not in str(raised.value)
    assert server.commands[0].split()[-1].strip('"') not in str(raised.value)


@pytest.mark.parametrize("secret", ["hunter2\n", "hunter\x002", "hunter2\udce4"])
def test_a_secret_that_no_server_can_be_sent_is_named_and_not_shown(secret: str) -> None:
    with scripted(mailbox) as server, pytest.raises(LoginError, match="one line of text") as raised:
        reach(server, secret=secret)
    assert "hunter" not in str(raised.value) and b"hunter" not in server.received


@pytest.mark.parametrize("command", ["LIST", "EXAMINE"])
def test_exchange_says_only_after_the_login_whose_mailbox_it_is_not(command: str) -> None:
    def answer(sent: str) -> list[str] | None:
        return mailbox(sent, {command: ["BAD User is authenticated but not connected."]})

    with scripted(answer) as server, reach(server) as source, pytest.raises(MailboxError, match="Full Access"):
        source.folders()
        source.examine("INBOX")


def test_starttls_is_never_skipped_and_nothing_before_it_counts() -> None:
    with (
        scripted(lambda command: [], "* OK [CAPABILITY IMAP4rev1] x") as server,
        pytest.raises(ConnectionFailed, match="no STARTTLS"),
    ):
        reach(server, security="starttls")
    assert b"secret" not in server.received
    with (
        scripted(lambda command: [], "* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] x") as server,
        pytest.raises(ConnectionFailed, match="before TLS"),
    ):
        reach(server, security="starttls")


@pytest.mark.parametrize("refusal", ["NO unknown header", "NO [UNAVAILABLE] Unexpected exception"])
def test_a_server_that_refuses_a_header_search_is_read_instead(refusal: str) -> None:
    def answer(command: str) -> list[str] | None:
        header = "X-Mailassist-Id: 77\r\n\r\n"
        fetched = f"* 2 FETCH (UID 29 BODY[HEADER.FIELDS (X-MAILASSIST-ID)] {{{len(header)}}}\r\n{header})"
        return mailbox(command, {"UID SEARCH": [refusal], "FETCH": [fetched, "OK done"]})

    with scripted(answer) as server, reach(server) as source:
        assert source.search_header("INBOX", "X-Mailassist-Id", "77") == [29]


@pytest.mark.parametrize("refusal", ["NO [UNAVAILABLE] Unexpected exception", "BAD unknown header"])
def test_a_conversation_is_found_by_the_headers_that_the_server_can_search(refusal: str) -> None:
    def answer(command: str) -> list[str] | None:
        header = "Message-ID: <old@x>\r\n\r\n"
        fetched = f"* 2 FETCH (UID 29 BODY[HEADER.FIELDS (X)] {{{len(header)}}}\r\n{header})"
        if command.startswith("UID SEARCH") and "HEADER REFERENCES" in command:
            return [refusal]
        return mailbox(command, {"UID SEARCH": ["* SEARCH 29", "OK done"], "UID FETCH": [fetched, "OK done"]})

    pauses: list[float] = []
    with scripted(answer) as server, reach(server, pauses) as source:
        assert b"<old@x>" in source.thread(record("<new@x>", "<old@x>"), [])[0].headers
    assert pauses == []
    assert len([one for one in server.commands if "HEADER REFERENCES" in one]) == 2  # once with the others, once alone


def test_answers_that_nobody_asked_for_are_not_taken_for_messages() -> None:
    def answer(command: str) -> list[str] | None:
        fetched = ["* 1 FETCH (FLAGS (\\Seen))", "* 9 FETCH (UID 99 FLAGS ())", "* 3 EXISTS", "OK done"]
        return mailbox(command, {"UID FETCH": fetched})

    with scripted(answer) as server, reach(server) as source:
        assert list(source.headers("INBOX", [1, 2])) == []
        assert list(source.raw("INBOX", [1, 2])) == []


class Six:
    """An INBOX of the messages 1 to 6, in which the server fails at some; asked with `answer`."""

    def __init__(self, bad: set[int], failing: list[str] | None) -> None:
        self.bad, self.failing, self.failures = bad, failing, 0

    def answer(self, command: str) -> list[str] | None:
        if command.startswith("EXAMINE"):
            return ["* 6 EXISTS", "* OK [UIDVALIDITY 5] .", "* OK [UIDNEXT 7] .", "OK done"]
        if one := re.fullmatch(r"UID SEARCH (\d):\1", command):  # by sequence number
            return [f"* SEARCH {one[1]}", "OK done"]
        if command.startswith("UID SEARCH"):
            return ["* SEARCH 1 2 3 4 5 6", "OK done"]
        if (asked := re.match(r"(?:UID )?FETCH (\S+)", command)) is None:
            return mailbox(command, {"LIST": ['* LIST () "/" INBOX', "OK done"]})
        ranges = [list(map(int, part.split(":"))) for part in asked[1].split(",")]
        numbers = [number for one in ranges for number in range(one[0], one[-1] + 1)]
        if self.bad.intersection(numbers):
            self.failures += 1
            return self.failing and [*self.failing[:-1], *map(self._message, numbers[1:]), self.failing[-1]]
        return [*map(self._message, numbers), "OK done"]

    @staticmethod
    def _message(number: int) -> str:
        date = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime())
        header = f"Message-ID: <{number}@x>\r\n\r\n"
        fields = f'INTERNALDATE "{date}" BODY[HEADER.FIELDS (X)] {{{len(header)}}}'
        return f"* {number} FETCH (UID {number} FLAGS () {fields}\r\n{header})"


def synced(source: ImapSource, store: Store, server: ScriptedServer) -> SyncResult:
    settings = ServerSettings(host=server.host, port=server.port, security="none")
    account = Account(address="me@here.example", imap=settings, sync=SyncSettings(keep_text="none"))
    return sync(source, store, "a", account, OwnAddresses.of([("me@here.example", [])]), now=time.time)


@pytest.mark.parametrize("bad", [{4}, {6}, {1, 6}])
@pytest.mark.parametrize(
    "failing", [None, ["NO [SERVERBUG] x"], ["BAD x"], ["* 4 FETCH (UID 4 FLAGS (", "OK done"]],
    ids=["hangs up", "no", "bad", "unreadable"],
)  # fmt: skip
def test_a_message_that_the_server_fails_at_is_told_once_and_costs_that_message_only(
    failing: list[str] | None, bad: set[int]
) -> None:
    store = Store.in_memory()
    there = Six(bad, failing)
    with scripted(there.answer) as server, reach(server) as source:
        first = synced(source, store, server)
        failures = there.failures
        second = synced(source, store, server)
    assert there.failures == failures
    assert set(index.uids(store, "a", "INBOX", 1, 9)) == {1, 2, 3, 4, 5, 6} - bad
    uids = ", ".join(map(str, sorted(bad)))
    assert first.unread == (
        f"{'1 message' if len(bad) == 1 else '2 messages'} of INBOX could not be read (UID {uids})",
    )
    assert second.unread == () and second.complete


def test_an_outage_in_the_middle_of_a_message_is_not_taken_for_the_messages_fault() -> None:
    there, store = Six({4}, None), Store.in_memory()
    broken = threading.Event()

    def answer(command: str) -> list[str] | None:
        lines = None if broken.is_set() else there.answer(command)
        if lines is None:
            broken.set()
        return lines

    with scripted(answer) as server:
        with reach(server) as source, pytest.raises(ConnectionFailed):
            synced(source, store, server)
        there.bad.clear()
        broken.clear()
        with reach(server) as source:
            assert synced(source, store, server).unread == ()
    assert index.uids(store, "a", "INBOX", 1, 9) == [1, 2, 3, 4, 5, 6]


def test_a_server_that_refuses_every_message_for_now_loses_none() -> None:
    there, store = Six({1, 2, 3, 4, 5, 6}, ["NO [SERVERBUG] The disk is away"]), Store.in_memory()
    with scripted(there.answer) as server, reach(server) as source:
        with pytest.raises(MailboxError, match="The disk is away"):
            synced(source, store, server)
        there.bad.clear()
        assert synced(source, store, server).unread == ()
    assert index.uids(store, "a", "INBOX", 1, 9) == [1, 2, 3, 4, 5, 6]


def test_a_folder_whose_next_uid_is_not_told_is_read_all_the_same() -> None:
    there, store = Six(set(), None), Store.in_memory()

    def answer(command: str) -> list[str] | None:
        if command == "UID SEARCH 6:6":
            return ["* SEARCH 6", "OK done"]
        return [line for line in there.answer(command) or [] if "UIDNEXT" not in line]

    with scripted(answer) as server, reach(server) as source:
        assert source.examine("INBOX").uidnext == 7
        assert synced(source, store, server).new == 6
        assert synced(source, store, server).new == 0
    assert index.uids(store, "a", "INBOX", 1, 9) == [1, 2, 3, 4, 5, 6]


def test_long_lists_of_uids_are_cut_into_commands_that_every_server_takes() -> None:
    with scripted(mailbox) as server, reach(server) as source:
        list(source.headers("INBOX", range(1, 200_000, 2)[:3000]))
    assert max(len(line) for line in lines_outside_literals(server)) < 8000


def test_xlist_and_names_are_used_where_nothing_better_is_told() -> None:
    def answer(command: str) -> list[str] | None:
        named = ["* LIST () NIL INBOX", '* LIST () "." "INBOX.Gesendet"', '* LIST (\\Noselect) "." 12', "OK done"]
        extended = ['* XLIST (\\Inbox) "/" Posteingang', '* XLIST (\\Sent) "/" "A/B"', "OK done"]
        return mailbox(command, {"LIST": named, "XLIST": extended})

    with scripted(answer) as server, reach(server) as source:
        assert {folder.role: folder.name for folder in source.folders() if folder.role is not Role.OTHER} == {
            Role.INBOX: "INBOX", Role.SENT: "INBOX.Gesendet",
        }  # fmt: skip
    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 XLIST] x") as server, reach(server) as source:
        assert {folder.name: folder.role for folder in source.folders()} == {
            "Posteingang": Role.INBOX, "A/B": Role.SENT,
        }  # fmt: skip


def test_the_inbox_is_found_however_the_server_writes_it() -> None:
    listed = ['* LIST () "/" Inbox', '* LIST () "/" Inbox/Old', "OK done"]
    there, store = Six(set(), None), Store.in_memory()

    def answer(command: str) -> list[str] | None:
        return listed if command.startswith("LIST") else there.answer(command)

    with scripted(answer) as server, reach(server) as source:
        assert {one.name: one.role for one in source.folders()} == {"INBOX": Role.INBOX, "Inbox/Old": Role.OTHER}
        assert synced(source, store, server).unknown == ()


def test_a_folder_whose_name_is_no_modified_utf7_is_opened_by_the_bytes_that_the_server_sent() -> None:
    sent = ["R&D", "R&-D", "Größe", "Entw\udcfcrfe"]  # the last in ISO 8859-1

    def answer(command: str) -> list[str] | None:
        if command.startswith("EXAMINE") and command.split(" ", 1)[1].strip('"<>') not in sent:
            return ["NO [NONEXISTENT] no such folder"]
        listed = [f'* LIST () "/" "{name}"' for name in sent]
        return mailbox(command, {"LIST": [*listed, '* LIST () "/" {3}\r\na\nb', "OK done"]})

    with scripted(answer) as server, reach(server) as source:
        found = [folder.name for folder in source.folders() if folder.selectable]
    assert found == ["R&D (2)", "R&D", "Größe", "Entw\ufffdrfe"]
    for name, wanted in zip(found, ["R&D", "R&-D", "<Größe>", "<Entw\udcfcrfe>"], strict=True):
        with scripted(answer) as server, reach(server) as source:  # one that has not listed them
            assert source.examine(name).exists == 2
        assert [command for command in server.commands if command.startswith("EXAMINE")][-1][8:].strip('"') == wanted


def test_a_missing_thread_id_leads_to_a_search_by_ids() -> None:
    def answer(command: str) -> list[str] | None:
        fetched = (
            "* 1 FETCH (UID 7 THREADID (NIL) EMAILID (M1) BODY[HEADER.FIELDS (X)] {20}\r\nMessage-ID: <a@b>\r\n\r\n)"
        )
        return mailbox(command, {"FETCH": [fetched.replace("{20}", "{21}"), "OK done"]})

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 OBJECTID+] x") as server, reach(server) as source:
        (newest,) = source.newest_headers("INBOX", 1)
        assert (newest.thread_id, newest.server_id) == ("", "M1")
        source.thread(newest, [])
    assert any("HEADER MESSAGE-ID" in command for command in server.commands)


def test_without_uidplus_a_removed_message_stays_marked_and_nothing_is_expunged() -> None:
    def answer(command: str) -> list[str] | None:
        return mailbox(
            command, {"UID SEARCH": ["* SEARCH 7", "OK done"], "LIST": ['* LIST (\\Trash) "/" T', "OK done"]}
        )

    with scripted(answer) as server, reach(server) as source:
        assert source.remove(Location("Drafts", 5, 7))
    sent = [
        command for command in server.commands if command.startswith(("UID COPY", "UID STORE", "UID EXPUNGE", "EX"))
    ]
    assert sent == ['UID COPY 7 "T"', "UID STORE 7 +FLAGS (\\Deleted)"]


def test_without_move_one_uid_is_expunged_and_never_the_whole_folder() -> None:
    def answer(command: str) -> list[str] | None:
        there = {"UID SEARCH": ["* SEARCH 7", "OK done"], "LIST": ['* LIST (\\Trash) "/" T', "OK done"]}
        return mailbox(command, there)

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 UIDPLUS] x") as server, reach(server) as source:
        assert source.remove(Location("Drafts", 5, 7))
    assert [command for command in server.commands if "EXPUNGE" in command] == ["UID EXPUNGE 7"]


def test_a_server_that_wants_a_name_first_gets_one() -> None:
    named = threading.Event()

    def answer(command: str) -> list[str] | None:
        if command.startswith("ID "):
            named.set()
        if command.startswith("EXAMINE") and not named.is_set():
            return ["NO EXAMINE Unsafe Login. Please contact kefu@188.com for help"]
        return mailbox(command)

    with scripted(answer) as server, reach(server) as source:
        assert source.examine("INBOX").exists == 2


def test_a_notice_that_exchange_puts_in_place_of_a_message_is_no_message() -> None:
    notice = "Subject: Retrieval\r\n\r\nRetrieval using the IMAP4 protocol failed for the following message: 7\r\n"

    def answer(command: str) -> list[str] | None:
        fetched = f"* 1 FETCH (UID 7 RFC822.SIZE 9 BODY[]<0> {{{len(notice)}}}\r\n{notice})"
        return mailbox(command, {"UID FETCH": [fetched, "OK done"]})

    with scripted(answer) as server, reach(server) as source:
        assert list(source.raw("INBOX", [7])) == []


def test_an_answer_that_makes_no_sense_is_an_error_with_a_name() -> None:
    for odd in (["* LIST (() nonsense", "OK x"], ["* LIST (" + "(" * 5000, "OK x"]):

        def answer(command: str, odd: list[str] = odd) -> list[str] | None:
            return mailbox(command, {"LIST": odd})

        with scripted(answer) as server, reach(server) as source, pytest.raises(MailboxError, match="cannot be read"):
            source.folders()


@pytest.mark.parametrize("told", [True, False], ids=["with its UID", "without"])
def test_a_search_of_which_the_server_did_a_part_goes_on_below_it(told: bool) -> None:
    """RFC 9738: Yahoo and AOL look at the newest thousand messages and say so."""
    there, most = list(range(3, 43)), 10

    def answer(command: str) -> list[str] | None:
        state = ["* 40 EXISTS", "* OK [UIDVALIDITY 5] .", "* OK [UIDNEXT 43] .", "OK done"]
        if not command.startswith("UID SEARCH"):
            return mailbox(command, {"EXAMINE": state})
        first, last = map(int, next(iter(re.findall(r"UID (\d+):(\d+)", command)), (1, 99)))
        asked = [uid for uid in there if first <= uid <= last]
        lowest = f" {asked[-most]}" if told and len(asked) > most else ""
        done = f"OK [MESSAGELIMIT {most}{lowest}] done" if len(asked) > most else "OK done"
        return [f"* SEARCH {' '.join(map(str, asked[-most:]))}", done]

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 MESSAGELIMIT=10] x") as server, reach(server) as source:
        assert source.uids("INBOX", 1, 42) == there
        searches = [command for command in server.commands if "SEARCH" in command]
        assert list(source.headers("INBOX", range(3, 43))) == []
        assert not told or len(searches) == 4
        assert source.search_header("INBOX", "Message-ID", "<a@b>") == there
    fetched = [command.split()[2] for command in server.commands if command.startswith("UID FETCH")]
    assert fetched == ["3:12", "13:22", "23:32", "33:42"]


def test_a_header_that_icloud_does_not_know_is_looked_for_in_the_newest_messages() -> None:
    def answer(command: str) -> list[str] | None:
        if command.startswith("UID SEARCH") and "HEADER" in command:
            return ["NO [UNAVAILABLE] Unexpected exception"]
        return mailbox(command)

    with scripted(answer) as server, reach(server) as source:
        source.search_header("INBOX", "X-Mailassist-Id", "abc")
        assert any("FETCH" in command for command in server.commands)


def test_a_connection_that_never_lasts_is_not_opened_again_at_once() -> None:
    paused: list[float] = []
    state: list[bool] = []

    def answer(command: str) -> list[str] | None:
        return None if command == "IDLE" else mailbox(command)

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE] x") as server:
        watch(
            lambda: reach(server), "INBOX", lambda: None, changed=lambda: None,
            connected=lambda up, why: state.append(up), stopped=lambda: state.count(False) > 3, sleep=paused.append,
        )  # fmt: skip
    assert server.commands.count("IDLE") == 4 and state == [True, False] * 4


def test_a_dead_connection_ends_the_wait_instead_of_spinning() -> None:
    def answer(command: str) -> list[str] | None:
        return None if command == "IDLE" else mailbox(command)

    with scripted(answer, "* OK [CAPABILITY IMAP4rev1 IDLE] x") as server, reach(server) as source:
        with pytest.raises(ConnectionFailed):
            source.wait("INBOX", 60, lambda: False)
        assert server.commands.count("IDLE") == 1


def test_lines_before_the_go_ahead_and_split_lines_are_no_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] x\r\n")
                for line in lines:
                    tag, _, command = line.partition(b" ")
                    if command.startswith(b"IDLE"):
                        connection.sendall(b"* OK noise\r\n+ idling\r\n* OK Still")
                        time.sleep(0.1)
                        connection.sendall(b" here\r\n* 3 EX")
                        time.sleep(0.1)
                        connection.sendall(b"ISTS\r\n")
                        assert lines.readline() == b"DONE\r\n"
                    connection.sendall(
                        b"* CAPABILITY IMAP4rev1 IDLE\r\n* OK [UIDVALIDITY 5] .\r\n" + tag + b" OK x\r\n"
                    )

        threading.Thread(target=serve, daemon=True).start()
        with reach(ScriptedServer(port=listening.getsockname()[1])) as source:
            assert source.wait("INBOX", 60, lambda: False)


def idle_against(answer_to_idle: bytes, seconds: float) -> tuple[bool | Exception, list[bytes]]:
    """One `idle.wait` with a clock that runs 50 s at each look; its result or error, and the commands that came."""
    clock = itertools.count(0, 50)
    commands: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] x\r\n")
                for line in lines:
                    tag, _, command = line.strip().partition(b" ")
                    commands.append(command or tag)
                    if command == b"IDLE":
                        connection.sendall(b"+ idling\r\n" + answer_to_idle)
                        commands.append(lines.readline().strip())
                    connection.sendall(b"* CAPABILITY IMAP4rev1 IDLE\r\n" + tag + b" OK done\r\n")

        threading.Thread(target=serve, daemon=True).start()
        port = listening.getsockname()[1]
        session = Session(ServerSettings(host="127.0.0.1", port=port, security="none"))
        try:
            return idle.wait(session, seconds, lambda: False, now=lambda: float(next(clock))), commands
        except ConnectionFailed as error:
            return error, commands
        finally:
            session.close()


def test_idle_is_renewed_before_anybody_forgets_the_connection() -> None:
    found, commands = idle_against(b"", 1200)
    assert found is False
    assert commands[1:5] == [b"IDLE", b"DONE", b"IDLE", b"DONE"]


def test_a_server_whose_signs_of_life_stop_is_taken_for_deaf() -> None:
    found, _ = idle_against(b"* OK Still here\r\n", 100_000)
    assert isinstance(found, ConnectionFailed)


def test_where_idle_is_missing_noop_is_asked_now_and_then() -> None:
    answers = iter([["OK done"], ["* 4 EXISTS", "OK done"]])
    clock = iter(range(0, 10_000, 10))

    def answer(command: str) -> list[str] | None:
        return next(answers) if command == "NOOP" else mailbox(command)

    with scripted(answer) as server:
        settings = ServerSettings(host=server.host, port=server.port, security="none")
        session = Session(settings)
        assert idle.wait(session, 600, lambda: False, now=lambda: next(clock), sleep=lambda seconds: None)
        session.close()


def test_the_environments_proxy_is_for_other_machines_only() -> None:
    environment = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "intern.example, .lan"}

    def chosen(host: str, **settings: str) -> str:
        server = ServerSettings.model_validate({"host": host, "port": 993, **settings})
        return proxy_for(server, environment)

    assert chosen("imap.mail.example") == "http://proxy.example:3128"
    assert chosen("127.0.0.1") == chosen("mail.intern.example") == chosen("box.lan") == ""
    assert chosen("imap.mail.example", proxy="none") == ""
    assert chosen("imap.mail.example", proxy="socks5://other.example:1080") == "socks5://other.example:1080"


def test_a_connection_goes_through_the_proxy_and_the_proxy_looks_up_the_name() -> None:
    asked = bytearray()

    def relay(listening: socket.socket, target: tuple[str, int]) -> None:
        client, _ = listening.accept()
        while not asked.endswith(b"\r\n\r\n"):
            asked.extend(client.recv(1000))
        server = socket.create_connection(target)
        greeting = server.recv(1000)  # goes along in one packet
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n" + greeting)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    with scripted(mailbox) as server, socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=relay, args=(listening, (server.host, server.port)), daemon=True).start()
        proxy = f"http://me:p%40ss@127.0.0.1:{listening.getsockname()[1]}"
        with reach(server, host="localhost", proxy=proxy) as source:
            assert source.examine("INBOX").uidvalidity == 5
    assert asked.startswith(b"CONNECT localhost:")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss") in asked


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"", b"SSH-2.0\r\n\r\n"])
def test_a_proxy_that_refuses_is_named_with_its_words(answer: bytes) -> None:
    def refuse(listening: socket.socket) -> None:
        client, _ = listening.accept()
        client.recv(1000)
        client.sendall(answer)
        client.close()

    with scripted(mailbox) as server, socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=refuse, args=(listening,), daemon=True).start()
        proxy = f"http://me:secret@127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ConnectionFailed, match=r"through the proxy 127\.0\.0\.1: ") as caught:
            reach(server, host="localhost", proxy=proxy)
    assert "secret" not in str(caught.value)
    assert (answer.split(b"\r\n")[0].decode() or "hung up") in str(caught.value)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
