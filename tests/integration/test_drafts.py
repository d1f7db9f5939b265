"""A draft in the Drafts folder: there once, replaced and never doubled, and the person's as soon as they touch it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers.dovecot import Dovecot, Mailbox
from servers.proxy import CutProxy
from servers.scene import Ends, Scene, own_id, question, words
from servers.smtp import SmtpServer

from mailassist.delivery.drafts import DraftNotKept, DraftOutcome, resume_drafts
from mailassist.delivery.outbox import deliver_due
from mailassist.delivery.saving import save_draft
from mailassist.errors import ConnectionFailed, MailboxError
from mailassist.mail.parse import parse_message
from mailassist.store import drafts
from mailassist.store.drafts import DraftRow
from mailassist.transport.imap import ImapSource
from mailassist.transport.source import Location, MailSource


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    box = dovecot.user("ada")
    box.deliver(question(1), flags="S")
    return box


@pytest.fixture
def scene(dovecot: Dovecot, mailbox: Mailbox, smtp_server: SmtpServer, tmp_path: Path) -> Scene:
    return Scene(Ends(str(tmp_path / "store.db"), dovecot.port, smtp_server.port, mailbox.name, timeout=0.7))


def save(scene: Scene, text: str, **options: bool) -> DraftOutcome:
    return save_draft(scene.store, scene.route, scene.reply(text=text), around=scene.around, **options)


def row(scene: Scene) -> DraftRow:
    found = drafts.get(scene.store, "work", "<q1@customer.example>")
    assert found is not None
    return found


def texts(scene: Scene, folder: str = "Drafts") -> list[str]:
    return sorted(words(one) for one in scene.folder(folder))


def test_a_draft_is_appended_with_its_flags_and_is_known_again(scene: Scene) -> None:
    assert save(scene, "First.").state == "appended"
    assert texts(scene) == ["First."]
    assert scene.flags("Drafts") == [{"\\Draft", "\\Seen"}]
    (draft,) = scene.folder("Drafts")
    assert own_id(draft) == row(scene).own_id
    assert draft["Message-ID"] == row(scene).message_id
    assert draft["In-Reply-To"] == "<q1@customer.example>"


def test_a_new_text_replaces_the_draft_under_a_new_message_id(scene: Scene) -> None:
    save(scene, "First.")
    before = row(scene).message_id
    assert save(scene, "Second.").state == "appended"
    assert texts(scene) == ["Second."]
    assert row(scene).message_id != before
    assert texts(scene, "Trash") == ["First."]


def test_the_same_text_again_changes_nothing(scene: Scene) -> None:
    save(scene, "First.")
    before = row(scene).uid
    assert save(scene, "First.").state == "unchanged"
    assert row(scene).uid == before
    assert texts(scene) == ["First."]


def edit(scene: Scene, *, keep_header: bool) -> None:
    """What a mail client does: APPEND the changed text, remove the old message."""
    (draft,) = scene.folder("Drafts")
    if not keep_header:
        del draft["X-Mailassist-Id"]
        del draft["Message-ID"]
    draft.set_content("Mine now.")
    with scene.client() as client:
        client.append("Drafts", draft.as_bytes(), ["\\Draft"])
        client.select_folder("Drafts")
        client.delete_messages([min(client.search())])
        client.expunge()


@pytest.mark.parametrize(("keep_header", "state"), [(True, "person"), (False, "gone")])
def test_a_draft_that_the_person_edited_is_theirs(scene: Scene, keep_header: bool, state: str) -> None:
    save(scene, "First.")
    edit(scene, keep_header=keep_header)
    for text in ("Second.", "Third."):
        assert save(scene, text).state == state
    assert texts(scene) == ["Mine now."]
    assert row(scene).text == "Third."  # what was written here is kept here


def test_a_draft_that_the_person_added_something_to_is_theirs(scene: Scene) -> None:
    save(scene, "First.")
    (draft,) = scene.folder("Drafts")
    draft["Cc"] = "boss@team.example"
    draft.make_mixed()
    draft.add_attachment(b"PDF" * 100, maintype="application", subtype="pdf", filename="offer.pdf")
    with scene.client() as client:
        client.append("Drafts", draft.as_bytes(), ["\\Draft"])
        client.select_folder("Drafts")
        client.delete_messages([min(client.search())])
        client.expunge()
    assert save(scene, "First.").state == "person"
    scene.approve(text="First.")
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert [one["Cc"] for one in scene.folder("Drafts")] == ["boss@team.example"] and scene.folder("Trash") == []


def test_a_draft_with_the_same_text_that_is_not_ours_stays(scene: Scene) -> None:
    save(scene, "First.")
    (draft,) = scene.folder("Drafts")
    del draft["X-Mailassist-Id"], draft["Message-ID"]
    with scene.client() as client:
        client.append("Drafts", draft.as_bytes(), ["\\Draft"])
    scene.approve(text="First.")
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert ["X-Mailassist-Id" in one for one in scene.folder("Drafts")] == [False]


def test_a_draft_that_the_person_deleted_is_not_made_again_unless_they_want_it(scene: Scene) -> None:
    save(scene, "First.")
    with scene.client() as client:
        client.select_folder("Drafts")
        client.delete_messages(client.search())
        client.expunge()
    assert save(scene, "Second.").state == "gone"
    assert texts(scene) == []
    assert save(scene, "Second.", anew=True).state == "appended"
    assert texts(scene) == ["Second."]


def test_a_draft_is_found_again_after_the_folders_uids_changed(scene: Scene, mailbox: Mailbox) -> None:
    save(scene, "First.")
    before = row(scene).uidvalidity
    for file in (mailbox.folder / ".Drafts").glob("dovecot*"):
        file.unlink()
    uidlist = mailbox.folder / ".Drafts" / "dovecot-uidlist"
    assert not uidlist.exists()
    assert save(scene, "Second.").state == "appended"
    assert texts(scene) == ["Second."]
    assert row(scene).uidvalidity != before


def test_without_uidplus_the_draft_is_found_by_its_header_and_the_old_one_leaves(scene: Scene) -> None:
    def hide(data: bytes) -> bytes:
        import re

        data = re.sub(rb" (UIDPLUS|MOVE)(?=[ \]\r])", b"", data)
        return re.sub(rb"\[APPENDUID [^\]]*\] ", b"", data)

    with CutProxy("127.0.0.1", scene.ends.imap_port, change=hide) as proxy:
        object.__setattr__(scene.ends, "imap_port", proxy.port)
        save(scene, "First.")
        save(scene, "Second.")
        assert save(scene, "Second.").state == "unchanged"
        assert texts(scene) == ["Second."]


@pytest.mark.parametrize("rights", ["read-only", "over quota"])
def test_a_folder_that_takes_no_draft_keeps_the_text_here_and_the_old_draft_there(
    scene: Scene, mailbox: Mailbox, rights: str
) -> None:
    save(scene, "First.")

    class Full(ImapSource):
        def append(self, folder: str, raw: bytes, flags: object) -> Location | None:
            raise MailboxError("[OVERQUOTA] Quota exceeded", cure="Make room.")

    def full() -> MailSource:
        source = scene.open_source()
        source.__class__ = Full
        return source

    route = replace(scene.route, open_source=full) if rights == "over quota" else scene.route
    paths = [mailbox.folder / ".Drafts" / part for part in ("tmp", "new", "cur")]
    for path in paths if rights == "read-only" else []:
        path.chmod(0o555)
    with pytest.raises(MailboxError):
        save_draft(scene.store, route, scene.reply(text="Second."), around=scene.around)
    for path in paths:
        path.chmod(0o755)
    assert texts(scene) == ["First."]
    assert row(scene).text == "Second."
    assert save(scene, "Second.").state == "appended"
    assert texts(scene) == ["Second."]


def test_a_lost_connection_during_append_leaves_one_draft(scene: Scene, dovecot: Dovecot) -> None:
    with CutProxy("127.0.0.1", dovecot.port) as proxy:
        object.__setattr__(scene.ends, "imap_port", proxy.port)
        save(scene, "Text 0.")
        appended = 0
        for number in range(1, 7):
            marks = iter(("draft:appending",))
            expected = next(marks)

            def mark(step: str, expected: str = expected, number: int = number) -> None:
                if step == expected and number % 2:
                    proxy.cut_now(after_up=400 * number)

            scene.around = replace(scene.around, mark=mark)
            try:
                appended += save(scene, f"Text {number}.").state == "appended"
            except ConnectionFailed:
                resume_drafts(scene.store, scene.route, around=replace(scene.around, mark=lambda step: None))
            assert texts(scene) == [f"Text {number}."]
        assert appended >= 3


def test_a_draft_that_the_server_drops_is_not_believed(scene: Scene) -> None:
    class Forgetful(ImapSource):
        def append(self, folder: str, raw: bytes, flags: object) -> Location | None:
            return Location(folder, 1, 4711)

    def forgetful() -> MailSource:
        source = scene.open_source()
        source.__class__ = Forgetful
        return source

    with pytest.raises(DraftNotKept):
        save_draft(
            scene.store, replace(scene.route, open_source=forgetful), scene.reply(text="First."), around=scene.around
        )
    assert row(scene).text == "First."


def test_our_draft_leaves_when_the_reply_is_sent_and_an_edited_one_stays(scene: Scene, smtp_server: SmtpServer) -> None:
    save(scene, "First.")
    scene.approve(text="Final.")
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert texts(scene) == []
    assert texts(scene, "Sent") == ["Final."]
    assert parse_message(smtp_server.accepted[0].raw).text.startswith("Final.")


def test_an_edited_draft_stays_when_the_reply_is_sent(scene: Scene) -> None:
    save(scene, "First.")
    edit(scene, keep_header=True)
    scene.approve(text="Final.")
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    assert texts(scene) == ["Mine now."]
