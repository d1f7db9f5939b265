"""A team's queue as people have it on the screen: the desk behind it, and two of them in two terminals."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from servers import smtp as smtp_servers
from servers.approving_worker import Place, configuration
from servers.dovecot import Dovecot
from servers.postgres import Database, Postgres, with_tables
from servers.scene import Ends, Scene, question
from team_store import add_case, queue_of
from terminal import Terminal, terminal

from mailassist.delivery.saving import save_draft
from mailassist.desk import Desk
from mailassist.errors import ConfigError, NotAllowed, Stopped, StoreError, Taken
from mailassist.store import cases, grants, schema
from mailassist.store.database import Store
from mailassist.team import connect
from mailassist.team.desk import TeamDesk
from mailassist.team.queue import Role
from mailassist.team.socket_server import SocketServer
from mailassist.team.store_queue import StoreQueue
from mailassist.team_settings import TeamMailbox, TeamRoles, TeamSettings

TEXT = "It left today and will be with you on Friday."


@pytest.fixture
def smtp() -> Iterator[smtp_servers.SmtpServer]:
    with smtp_servers.smtp_server(logins=True) as server:
        yield server


@dataclass
class Team:
    """A mailbox with questions, each a case with our draft in Drafts."""

    store: Store
    scene: Scene
    place: Place
    cases: list[int]

    @classmethod
    def of(cls, store: Store, dovecot: Dovecot, smtp: smtp_servers.SmtpServer, folder: Path, count: int) -> Team:
        box = dovecot.user("support")
        scene = Scene(Ends(str(folder / "unused.db"), dovecot.port, smtp.port, box.name))
        cases = []
        for number in range(1, count + 1):
            box.deliver(question(number), flags="S")
            case = add_case(store, number, text=None, state="drafted", arrived=time.time() - 3600 * number)
            reply = replace(scene.reply(number, text=TEXT), account="support")
            save_draft(store, replace(scene.route, account="support"), reply, written_by="model")
            with store.write() as connection:
                mine = schema.drafts.c.answers == reply.original.message_id
                connection.execute(schema.drafts.update().where(mine).values(case_id=case))
            cases.append(case)
        return cls(store, scene, Place("", str(folder), dovecot.port, smtp.port, box.name), cases)

    def desk(self, who: str, clock: Callable[[], float] = time.time, role: Role = Role.APPROVE) -> TeamDesk:
        desk = Desk(configuration(self.place, who), config_path=Path(self.place.own) / "config.toml")
        shared = TeamDesk(desk, queue_of(self.store, who, role, now=clock), undo_seconds=0.0)
        shared.look()
        return shared


@pytest.fixture
def team(dovecot: Dovecot, smtp: smtp_servers.SmtpServer, tmp_path: Path) -> Team:
    return Team.of(Store(tmp_path / "team.db"), dovecot, smtp, tmp_path, 2)


def test_the_desk_lists_writes_saves_and_sends_for_a_team(team: Team, smtp: smtp_servers.SmtpServer) -> None:
    dana = team.desk("dana")
    assert dana.account_names == ["support"] and dana.delivery_mode("support") == "send"
    # Case 2 has waited longer.
    first, second = sorted(dana.waiting("support"), key=lambda one: dana.marks("support")[one.conversation].left or 0)
    assert (first.subject, second.subject) == ("Order 2", "Order 1")
    saved = dana.saved("support", second.message_id)
    assert saved is not None and (saved.text, saved.written_by, saved.in_drafts) == (TEXT, "model", True)
    pulled = dana.pull("support", second.message_id)
    made = dana.draft("support", pulled, on_text=lambda piece: None, stopped=lambda: False)
    assert dana.saved_drafts("support")[second.message_id].text == made.text != TEXT
    kept = dana.save_text("support", second.message_id, "Mine.", base=2)
    assert kept.version == 3 and not kept.overtaken
    assert [one.text for one in dana.versions("support", second.message_id, "")] == [TEXT, made.text]
    plan = dana.plan("support", pulled, False)
    with pytest.raises(NotAllowed, match="Drafts"):
        dana.approve("support", pulled, plan, "Mine.", "drafts")
    eli = team.desk("eli")
    assert eli.marks("support")[second.conversation].held_by == "dana"
    with pytest.raises(Taken, match="dana is replying"):
        eli.save_text("support", second.message_id, "His.")
    assert dana.approve("support", pulled, plan, "Mine.", "send").outbox_id
    dana.deliver_due()
    (accepted,) = smtp.accepted
    assert b"Mine." in accepted.raw
    dana.look()
    assert [one.subject for one in dana.waiting("support")] == ["Order 2"]
    assert [entry.state for entry in dana.outbox()] == ["done"]


def test_notes_are_for_colleagues_and_never_for_a_model(team: Team) -> None:
    dana, eli = team.desk("dana"), team.desk("eli")
    item = dana.waiting("support")[0]
    dana.take("support", item.conversation)
    dana.add_note("support", item.conversation, "They never pay.")
    pulled = dana.pull("support", item.message_id)
    prompt = dana.prompt("support", pulled)
    assert "never pay" not in prompt.input + prompt.instructions
    dana.hand_over("support", item.conversation, "eli", "Please call.")
    assert [note.text for note in eli.notes("support", item.conversation)] == ["They never pay.", "Please call."]
    eli.discard("support", item.conversation, "answered by phone")
    eli.look()
    assert item.conversation not in eli.marks("support")
    with pytest.raises(Stopped, match="answered by phone"):
        dana.take("support", item.conversation)


def test_whoever_may_only_look_can_neither_write_nor_pay_a_model(team: Team) -> None:
    gina = team.desk("gina", role=Role.SEE)
    item = gina.waiting("support")[0]
    assert gina.saved("support", item.message_id) is not None
    pulled = gina.pull("support", item.message_id)
    pieces: list[str] = []
    for attempt in (
        lambda: gina.take("support", item.conversation),
        lambda: gina.draft("support", pulled, on_text=pieces.append, stopped=lambda: False),
        lambda: gina.approve("support", pulled, gina.plan("support", pulled, False), TEXT, "send"),
    ):
        with pytest.raises(NotAllowed, match="gina may not"):
            attempt()
    assert pieces == []


def test_a_queue_that_cannot_be_reached_is_told_of_a_sent_reply_later(
    team: Team, smtp: smtp_servers.SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dana = team.desk("dana")
    item = dana.waiting("support")[0]
    pulled = dana.pull("support", item.message_id)
    warnings: list[str] = []
    dana.tell(warnings.append)
    dana.approve("support", pulled, dana.plan("support", pulled, False), TEXT, "send")
    with monkeypatch.context() as patch:
        patch.setattr(dana._queue, "mine_open", lambda: (_ for _ in ()).throw(Stopped("no connection")))
        dana.deliver_due()
    assert len(smtp.accepted) == 1 and "not told: no connection" in warnings[-1]
    dana.outbox()
    dana.look()
    assert item.conversation not in dana.marks("support")


def test_a_reply_is_approved_over_the_daemons_socket(team: Team, smtp: smtp_servers.SmtpServer, tmp_path: Path) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    server = SocketServer(
        tmp_path / "review.sock", lambda who, role: queue_of(team.store, who, role, now=time.time),
        TeamRoles(approve=[me]), record=lambda action, **said: 0, status=dict, group="",
    )  # fmt: skip
    server.start()
    config = configuration(team.place, "dana")
    config = config.model_copy(update={"team": TeamSettings(socket=tmp_path / "review.sock")})
    desk = Desk(config, config_path=tmp_path / "config.toml")
    try:
        with connect.queue_of(desk) as queue:
            assert queue.who() == (me, Role.APPROVE)
            shared = TeamDesk(desk, queue, undo_seconds=0.0)
            shared.look()
            item = shared.waiting("support")[0]
            shared.take("support", item.conversation)
            assert queue_of(team.store, "eli", now=time.time).items()[0].claimed_by == me
            pulled = shared.pull("support", item.message_id)
            shared.approve("support", pulled, shared.plan("support", pulled, False), TEXT, "send")
            shared.deliver_due()
            shared.look()
            assert len(smtp.accepted) == 1 and item.conversation not in shared.marks("support")
    finally:
        server.stop(1.0)


def test_the_daemons_file_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    config = configuration(Place("", str(tmp_path), 1, 1, "support"), "daemon")
    account = config.accounts["support"].model_copy(update={"team": TeamMailbox()})
    (tmp_path / "key").write_bytes(b"k" * 32)
    (tmp_path / "key").chmod(0o600)
    team = TeamSettings(audit_key_file=tmp_path / "key")
    desk = Desk(config.model_copy(update={"accounts": {"support": account}, "team": team}), config_path=tmp_path / "c")
    case = add_case(desk.store)
    with connect.queue_of(desk) as queue:
        assert queue.who() == (pwd.getpwuid(os.geteuid()).pw_name, Role.APPROVE)
        assert queue.claim(case).claimed_by == queue.who()[0]
    if os.geteuid() == 0:
        assert desk.store.path is not None
        os.chown(desk.store.path, pwd.getpwnam("nobody").pw_uid, -1)
        with pytest.raises(ConfigError, match="Only the service user opens"), connect.queue_of(desk):
            pass
    desk.close()


# -- in terminals, over PostgreSQL


def granted(store: Store, server: Postgres, name: str, level: grants.Level = "approve") -> str:
    role = server.role(name)
    grants.grant(store, role, level)
    return role


def settings(team: Team, database: Database, role: str) -> Path:
    """The configuration of one person."""
    place, folder = team.place, Path(team.place.own)
    (folder / "password").write_text("secret")
    (folder / "password").chmod(0o600)
    server = 'host = "127.0.0.1"\nsecurity = "none"'
    path = folder / f"{role}.toml"
    path.write_text(
        f'data_folder = "{folder / role}"\n[model]\nname = "outline"\n'
        f'[team]\ndatabase = "{database.url(role)}"\nundo_seconds = 1.0\n'
        f'[accounts.support]\naddress = "ada@team.example"\n'
        f'[accounts.support.imap]\n{server}\nport = {place.imap_port}\nlogin = "{place.user}"\n'
        f"[accounts.support.smtp]\n{server}\nport = {place.smtp_port}\n"
        f'[accounts.support.secret]\npassword_file = "{folder / "password"}"\nkeyring = false\n'
    )
    return path


def sees(person: Terminal, words: str) -> None:
    person.until(lambda: words in person.screen, words)


def test_two_people_in_two_terminals_and_one_in_a_mail_program_send_one_answer(
    dovecot: Dovecot, postgres: Postgres, smtp: smtp_servers.SmtpServer, tmp_path: Path
) -> None:
    database = postgres.database(with_tables)
    store = Store.on_postgres(database.url())
    team = Team.of(store, dovecot, smtp, tmp_path, 3)
    roles = [granted(store, postgres, who) for who in ("dana", "eli")]
    command = "-m", "mailassist", "--config"
    files = [str(settings(team, database, role)) for role in roles]
    with (
        terminal(*command, files[0], "review", "--team") as dana,
        terminal(*command, files[1], "review", "--team") as eli,
    ):
        for person in (dana, eli):
            sees(person, "3 waiting")
            sees(person, "be with you on Friday")
        # Both at the same moment, the conversation that has waited longest.
        dana.press("a")
        eli.press("a")
        dana.until(lambda: (eli.read(0.05), len(smtp.accepted))[1] == 1, "one answer")
        for person in (dana, eli):
            sees(person, "2 waiting")
            if "Order 3" in person.screen.split("\n")[0]:  # whoever lost has it on the screen still, marked
                person.press("j")
            person.until(lambda person=person: "Order 2" in person.screen.split("\n")[0], "the next one")  # type: ignore[misc]
        # A claim is seen by the other.
        dana.press("\r")
        eli.until(lambda: (dana.read(0.05), f"{roles[0]} has it" in eli.screen)[1], "whose it is")
        # The third person sends the draft that both have on the screen.
        sent_by_program(team, b"Order 2")
        dana.press("a")
        sees(dana, "Not sent: somebody of yours")
        dana.press("q")
        eli.press("q")
        for person in (dana, eli):
            person.until(lambda person=person: person.process.poll() is not None, "the end")  # type: ignore[misc]
    assert len(smtp.accepted) == 1
    entries = database.execute("SELECT who, action FROM audit_inbox ORDER BY id")
    assert {who for who, _ in entries} <= set(roles)
    assert [action for _, action in entries].count("sent") == 1
    assert database.execute("SELECT count(*) FROM cases WHERE claimed_by <> ''") == [(0,)], "nobody holds anything"
    store.close()


def sent_by_program(team: Team, subject: bytes) -> None:
    with team.scene.client() as client:
        client.select_folder("Drafts")
        for uid, found in client.fetch(client.search(["ALL"]), ["BODY.PEEK[]"]).items():
            raw = found[b"BODY[]"]
            if subject in raw:
                client.append("Sent", raw.replace(b"Message-ID: <", b"Message-ID: <program-"), ["\\Seen"])
                client.delete_messages([uid])
                client.expunge([uid])


def test_the_queue_is_worked_on_without_a_screen(
    dovecot: Dovecot, postgres: Postgres, smtp: smtp_servers.SmtpServer, tmp_path: Path
) -> None:
    database = postgres.database(with_tables)
    store = Store.on_postgres(database.url())
    team = Team.of(store, dovecot, smtp, tmp_path, 2)
    role = granted(store, postgres, "dana")
    path = settings(team, database, role)

    def run(*arguments: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "mailassist", "--config", str(path), "team", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else done.stderr

    code, items = run("list", "--json")
    assert code == 0 and [item["subject"] for item in items] == ["Order 2", "Order 1"]
    first, second = (item["case_id"] for item in items)
    assert run("claim", str(first), "--json")[1]["claimed_by"] == role
    assert [one["text"] for one in run("note", str(first), "Old customer", "--json")[1]] == ["Old customer"]
    queue_of(store, "eli", now=time.time).claim(second)
    code, rows = run("approve", str(first), str(second), "--json")
    assert code == 18 and [row["approved"] for row in rows] == [True, False] and "eli is replying" in rows[1]["held"]
    assert len(smtp.accepted) == 1
    assert [item["case_id"] for item in run("list", "--json")[1]] == [second]
    assert run("claim", str(second))[0] == run("discard", str(second))[0] == 18
    queue_of(store, "eli", now=time.time).release(second)
    assert run("hand-over", str(second), "eli", "--note", "Please.")[0] == run("release", str(second))[0] == 0
    assert run("discard", str(second), "--reason", "spam")[0] == 18, "it is kept for eli"
    store.close()


@pytest.mark.parametrize(("level", "role"), [("see", Role.SEE), ("draft", Role.DRAFT), ("approve", Role.APPROVE)])
def test_what_the_database_grants_is_the_role(postgres: Postgres, level: grants.Level, role: Role) -> None:
    database = postgres.database(with_tables)
    owner = Store.on_postgres(database.url())
    name = granted(owner, postgres, "dana", level)
    store = Store.on_postgres(database.url(name))
    assert connect.database_role(store) == (name, role)
    with pytest.raises((NotAllowed, StoreError), match="mallory"):
        connect.database_role(Store.on_postgres(database.url(postgres.role("mallory"))))
    owner.close()
    store.close()


def test_a_role_of_the_database_does_what_its_part_of_the_queue_needs(postgres: Postgres) -> None:
    database = postgres.database(with_tables)
    owner = Store.on_postgres(database.url())
    case, name = add_case(owner), granted(owner, postgres, "dana")
    store = Store.on_postgres(database.url(name))
    trail = connect.AuditInbox(store)
    dana = StoreQueue(store, name, Role.APPROVE, {"support": TeamMailbox()}, trail, time.time)
    dana.claim(case)
    dana.save_text(case, "Mine.", base=1, reply_all=False)
    dana.add_note(case, "Old customer.")
    approval = dana.begin_approval(case, "Mine.")
    dana.checked(approval.id)
    dana.close_approval(approval.id, "stopped", "changed")
    dana.hand_over(case, "eli", "Please.")
    dana.release(case)
    assert [note.who for note in dana.notes(case)] == [name, name]
    backdated = StoreQueue(store, name, Role.APPROVE, {"support": TeamMailbox()}, trail, lambda: 1.0)
    backdated.add_note(case, "Yesterday.")
    assert min(note.at for note in dana.notes(case)) > 1.0
    assert (dana.items()[0].assigned_to, dana.items()[0].claimed_by) == ("eli", "eli")
    eli = queue_of(owner, "eli", now=time.time)
    eli.claim(case)
    eli.release(case)
    with owner.write() as connection:
        cases.change(connection, case, now=1.0, state="failed")
    dana.retry(case)
    dana.discard(case, "spam")
    assert dana.items() == []
    said = [action for _, action in database.execute("SELECT id, action FROM audit_inbox ORDER BY id")]
    assert said == ["claim", "edit", "note", "approve", "stopped", "hand over", "note", "retry", "discard"]
    owner.close()
    store.close()


def test_without_a_team_the_cure_is_named(team: Team) -> None:
    desk = Desk(configuration(team.place, "dana"), config_path=Path(team.place.own) / "config.toml")
    with pytest.raises(Exception, match="No team's queue is configured"), connect.queue_of(desk):
        pass
