"""What a connection of the daemon sends, seen on the wire: it reads, and writes drafts of its own; nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from servers.dovecot import Dovecot, Mailbox
from servers.exchange import ExchangeServer
from servers.proxy import CutProxy
from servers.scene import Ends, Scene, question, words

from mailassist.config import FolderSettings, ServerSettings
from mailassist.delivery.drafts import remove_untouched
from mailassist.delivery.saving import save_draft
from mailassist.delivery.work import Route, Work
from mailassist.errors import MailboxError
from mailassist.mail.parse import parse_message
from mailassist.store import drafts
from mailassist.transport.arguments import flags, folder, items, keyword, number, span
from mailassist.transport.imap import ImapSource, connect
from mailassist.transport.permitted import DraftsOnly, NotPermitted, ReadOnly
from mailassist.transport.source import Location
from mailassist.transport.throttling import Patience

READING = re.compile(
    r"(?:CAPABILITY|LOGIN|AUTHENTICATE|LIST|STATUS|EXAMINE|NOOP|IDLE|DONE|LOGOUT|ID|UID SEARCH)\b"
    r"|(?:UID )?FETCH (?!.*(?:BODY\[|RFC822(?!\.SIZE)))"
)
WITHOUT = {"all": b"", "no-move": b" MOVE", "no-uidplus": b" UIDPLUS", "neither": b" MOVE| UIDPLUS"}


def reach(port: int, user: str, permitted: ReadOnly | None, **names: str) -> ImapSource:
    settings = ServerSettings(host="127.0.0.1", port=port, security="none", login=user)
    secret, patience = (lambda: SecretStr("secret")), Patience(tries=1)
    return connect(settings, user, secret, FolderSettings(**names), patience=patience, permitted=permitted)


def hiding(names: bytes) -> Callable[[bytes], bytes]:
    """A server that does not tell of some capabilities, and does not know them."""

    def change(data: bytes) -> bytes:
        if b"UIDPLUS" in names:
            data = re.sub(rb"\[APPENDUID \d+ \d+\] ", b"", data)
        return re.sub(names, b"", data) if names and b"CAPABILITY" in data else data

    return change


@pytest.fixture(params=WITHOUT)
def proxy(request: pytest.FixtureRequest, dovecot: Dovecot) -> Iterator[CutProxy]:
    with CutProxy(dovecot.host, dovecot.port, change=hiding(WITHOUT[request.param])) as one:
        yield one


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    box = dovecot.user("team")
    box.deliver(question(1))
    return box


def test_on_the_wire_the_daemon_writes_nothing_but_its_drafts(
    proxy: CutProxy, dovecot: Dovecot, mailbox: Mailbox, tmp_path: Path
) -> None:
    scene = Scene(Ends(str(tmp_path / "store.db"), dovecot.port, 0, mailbox.name))
    route = Route("work", lambda: reach(proxy.port, mailbox.name, DraftsOnly()))
    for text in ("First.", "Second.", "Third."):
        save_draft(scene.store, route, scene.reply(text=text), around=scene.around)
    assert [words(one) for one in scene.folder("Drafts")] == ["Third."]
    row = drafts.get(scene.store, "work", "<q1@customer.example>")
    assert row is not None
    with route.open_source() as source:
        remove_untouched(Work(scene.store, route, scene.around), source, row)
    assert scene.folder("Drafts") == [] and sorted(map(words, scene.folder("Trash"))) == ["First.", "Second.", "Third."]
    assert scene.flags("INBOX") == [set()]

    appended = {str(uid) for uid in range(1, 4)}
    written = [line for line in proxy.commands() if line and not READING.match(line)]
    for line in written:
        done = re.fullmatch(
            r'SELECT "Drafts"|APPEND "Drafts" \(\\Draft \\Seen\) \{\d+\+\}'
            r'|UID (?:MOVE|COPY) (\d+) "Trash"|UID STORE (\d+) \+FLAGS \(\\Deleted\)|UID EXPUNGE (\d+)',
            line,
        )
        assert done, line
        assert {uid for uid in done.groups() if uid} <= appended
    assert len([line for line in written if line.startswith("APPEND")]) == 3


def test_a_draft_on_exchange_is_replaced_and_then_sent_by_a_colleague(
    exchange_server: ExchangeServer, tmp_path: Path
) -> None:
    exchange_server.deliver(question(1))
    scene = Scene(Ends(str(tmp_path / "store.db"), exchange_server.port, 0, exchange_server.user))
    route = Route("work", lambda: reach(exchange_server.port, exchange_server.user, DraftsOnly()))
    for text in ("First.", "Second."):
        save_draft(scene.store, route, scene.reply(text=text), around=scene.around)
    (draft,) = exchange_server.folders["Drafts"]
    assert b"Second." in draft.raw and draft.flags == {"\\Draft", "\\Seen"}
    assert [b"First." in one.raw for one in exchange_server.folders["Deleted Items"]] == [True]

    sent = parse_message(exchange_server.send(draft))
    assert sent.message_id != draft.message_id and sent.in_reply_to == ("<q1@customer.example>",)
    (filed,) = exchange_server.folders["Sent Items"]
    assert filed.message_id == sent.message_id
    assert save_draft(scene.store, route, scene.reply(text="Third."), around=scene.around).state == "gone"
    assert exchange_server.folders["Drafts"] == []
    exchange_server.keeps_sent = False
    exchange_server.send(exchange_server.deliver(draft.raw, "Drafts"))
    assert len(exchange_server.folders["Sent Items"]) == 1


def test_what_is_not_a_draft_of_ours_is_not_written_to(dovecot: Dovecot, mailbox: Mailbox) -> None:
    mailbox.deliver(question(2), "Drafts", flags="D")  # a person's
    with (
        CutProxy(dovecot.host, dovecot.port) as proxy,
        reach(proxy.port, mailbox.name, DraftsOnly()) as source,
    ):
        source.folders()
        person = Location("Drafts", source.examine("Drafts").uidvalidity, 1)
        place = source.append("Drafts", question(3), ["\\Draft"])
        assert place is not None
        inbox = Location("INBOX", source.examine("INBOX").uidvalidity, 1)
        before = len(proxy.lines)
        for forbidden in (
            lambda: source.add_flags(inbox, ["\\Answered"]),
            lambda: source.add_flags(place, ["\\Flagged"]),
            lambda: source.append("INBOX", question(4), []),
            lambda: source.append("Sent", question(4), []),
            lambda: source.remove(inbox),
            lambda: source.remove(person),
        ):
            with pytest.raises(NotPermitted):
                forbidden()
        assert not source.remove(replace(place, uidvalidity=place.uidvalidity + 1))
        source.vouch(inbox)  # a mistake of the caller's: Drafts is all there is
        with pytest.raises(NotPermitted):
            source.remove(inbox)
        sent = [line.partition(" ")[2] for line in proxy.lines[before:]]
        assert all(READING.match(line) or line == 'SELECT "Drafts"' for line in sent)
        assert source.remove(place)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("CREATE", [folder("Drafts")]),
        ("DELETE", [folder("Drafts")]),
        ("RENAME", [folder("Drafts"), folder("Old")]),
        ("SELECT", [folder("INBOX")]),
        ("EXPUNGE", []),
        ("CLOSE", []),
        ("STORE", [span(1, 1), keyword("+FLAGS"), flags(["\\Deleted"])]),
        ("UID", [keyword("STORE"), number(1), keyword("+FLAGS"), flags(["\\Deleted"])]),
        ("UID", [keyword("MOVE"), number(1), folder("Trash")]),
        ("UID", [keyword("EXPUNGE"), number(1)]),
        ("UID", [keyword("FETCH"), number(1), keyword("BODY[]")]),
        ("UID", [keyword("FETCH"), number(1), items(["UID", "BODY[TEXT]"])]),
        ("FETCH", [span(1, 1), items(["RFC822"])]),
        ("FETCH", [span(1, 1), items(["BINARY[1]"])]),
        ("SETACL", [folder("INBOX")]),
    ],
)
def test_a_command_that_is_not_on_the_list_never_leaves(
    dovecot: Dovecot, mailbox: Mailbox, name: str, parts: list[object]
) -> None:
    for permit in (ReadOnly(), DraftsOnly()):
        with (
            CutProxy(dovecot.host, dovecot.port) as proxy,
            reach(proxy.port, mailbox.name, permit) as source,
        ):
            source.examine("INBOX")
            session = source._session
            assert session is not None
            before = len(proxy.lines)
            with pytest.raises(NotPermitted):
                session.run(name, *parts)
            assert len(proxy.lines) == before
            assert source.examine("INBOX").exists == 1  # and the connection is as good as before


def test_a_missing_drafts_folder_is_said_and_not_made(dovecot: Dovecot, mailbox: Mailbox) -> None:
    with (
        CutProxy(dovecot.host, dovecot.port) as proxy,
        reach(proxy.port, mailbox.name, DraftsOnly(), drafts="Entwürfe") as source,
        pytest.raises(MailboxError, match="has no folder 'Entwürfe'"),
    ):
        source.append("Entwürfe", question(3), ["\\Draft"])
    assert not any("CREATE" in line for line in proxy.lines)
