"""The daemon's socket for reviewers: who they are, what they may, what hostile ones cost. Real processes and users."""

from __future__ import annotations

import grp
import json
import logging
import multiprocessing
import os
import pwd
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from servers.review_daemon import BUG, KEY, STUCK, Scene, serve, server_of
from skipping import unavailable
from team_store import queue_of

from mailassist.cli import group
from mailassist.errors import ConfigError, ConnectionFailed, InputError, MailassistError
from mailassist.store import audit, cases
from mailassist.team.audit_proof import verify
from mailassist.team.queue import NotAllowed, Role, Stopped, Taken
from mailassist.team.socket_queue import SocketQueue
from mailassist.team.socket_server import SocketLimits, SocketServer
from mailassist.team_settings import TeamRoles

ME = pwd.getpwuid(os.geteuid()).pw_name
GROUP = "games"  # of every Debian; stands for `mailassist`
_forked = multiprocessing.get_context("fork")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where other users may go, unlike a folder of pytest."""
    made = Path(tempfile.mkdtemp(prefix="review-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def scene(folder: Path) -> Scene:
    return Scene(folder, TeamRoles(approve=[ME]))


@contextmanager
def running(scene: Scene) -> Iterator[multiprocessing.Process]:
    """A daemon in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(scene, there))
    process.start()
    there.close()
    try:
        assert here.recv() == "ready"
        yield process
    finally:
        process.terminate()
        process.join(20)
        assert process.exitcode is not None
        process.close()


@contextmanager
def asking(scene: Scene, patience: float = 10.0) -> Iterator[SocketQueue]:
    with closing(SocketQueue(scene.socket, patience=patience)) as opened:
        yield opened


# --- the queue ---


def test_everything_of_the_queue_comes_through(scene: Scene) -> None:
    with running(scene), asking(scene) as mine, closing(scene.store()) as store:
        direct = queue_of(store, ME)
        assert mine.who() == (ME, Role.APPROVE)
        items = mine.items(through=True)
        assert items == direct.items(through=True) and items[0].missing == ("a", "b") and len(items) == 5
        assert mine.claim(1).claimed_by == ME
        saved = mine.save_text(1, "Grüße 😀\n\x01" * 1000, base=1, reply_all=True)
        assert mine.texts([1, 2]) == direct.texts([1, 2]) and mine.texts([1])[1] == saved and saved.version == 2
        mine.add_note(1, "call back")
        assert mine.notes(1) == direct.notes(1) and mine.notes(1)[0].who == ME
        approval = mine.begin_approval(1, "Yours")
        assert mine.mine_open() == direct.mine_open() == [approval]
        mine.checked(approval.id)
        mine.leaving(approval.id)
        mine.close_approval(approval.id, "unknown", "the line broke")
        assert [one.state for one in mine.mine_open()] == ["unknown"]
        mine.settle(1, "sent")
        assert mine.mine_open() == [] and mine.status() == {"mailboxes": 3}
        mine.hand_over(2, "bob", "for you")
        mine.claim(3)
        mine.release(3)
        mine.discard(4, "thanks only")
        assert {item.case_id for item in mine.items()} == {2, 3, 5}
        with store.write() as connection:
            cases.change(connection, 5, now=1.0, state="failed")
        mine.retry(5)
        assert {item.state for item in mine.items() if item.case_id == 5} == {"open"}


def test_errors_are_the_same_errors_on_the_other_side(scene: Scene) -> None:
    with running(scene), asking(scene) as mine:
        mine.hand_over(2, "bob")
        with pytest.raises(Taken, match=r"bob is replying\. Ask them") as taken:
            mine.claim(2)
        assert taken.value.cure.startswith("Ask them") and taken.value.exit_code == 18
        mine.begin_approval(3, "one")
        with pytest.raises(Stopped):
            mine.begin_approval(3, "one")  # another request: another terminal of the same person
        for wrong in (lambda: mine.add_note(1, "\0"), lambda: mine.add_note(1, "\ud800"), lambda: mine.claim(-1),
                      lambda: mine.add_note(1, "x" * 600_000), lambda: mine.claim("1"),
                      lambda: mine.record("sent", details={"a": object()})):  # fmt: skip
            with pytest.raises(InputError):
                wrong()  # type: ignore[no-untyped-call]
        with pytest.raises(MailassistError, match="a bug") as bug:
            mine.discard(1, BUG)
        assert "secret" not in str(bug.value)
        assert mine.who()[0] == ME


def test_what_people_did_is_in_the_trail_under_their_name(scene: Scene) -> None:
    with running(scene), asking(scene) as mine:
        assert mine.record("sent", mailbox="support", case_id=1, sent="Yours", details={"approval": 4}) == 1
    with closing(scene.store()) as store, store.read() as connection:
        (entry,) = audit.entries(connection)
    assert (entry.who, entry.action, entry.sent) == (ME, "sent", "Yours")
    assert json.loads(entry.details) == {"approval": 4, "via": "socket"}


# --- who they are ---


def as_user(name: str, groups: list[str], do: Callable[[], object]) -> object:
    """What `do` gives in a process of another user: a value, or the error."""
    here, there = _forked.Pipe()

    def child() -> None:
        user = pwd.getpwnam(name)
        os.setgroups([grp.getgrnam(one).gr_gid for one in groups])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        try:
            there.send(do())
        except MailassistError as error:
            there.send((type(error).__name__, str(error)))
        os._exit(0)

    process = _forked.Process(target=child)
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        unavailable("only root can be other users: run these tests as root, as CI does")


def test_who_is_what_the_kernel_says_and_roles_are_by_name_or_group(scene: Scene, as_root: None) -> None:
    roles = TeamRoles(see=["man", "@no-such-group"], draft=["@mail"], approve=["@news"])
    with running(replace(scene, roles=roles, group=GROUP)):
        mode = scene.socket.stat()
        assert mode.st_mode & 0o777 == 0o660 and mode.st_gid == grp.getgrnam(GROUP).gr_gid

        def ask(name: str, groups: list[str], do: Callable[[SocketQueue], object]) -> object:
            return as_user(name, groups, lambda: do(SocketQueue(scene.socket, patience=0.0)))

        assert ask("man", [GROUP], lambda mine: mine.who()) == ("man", Role.SEE)
        assert ask("mail", [GROUP], lambda mine: mine.who()) == ("mail", Role.DRAFT)
        assert ask("news", [GROUP], lambda mine: mine.who()) == ("news", Role.APPROVE)
        # A group that only the process has gives no role: the system says who is in a group.
        for name, groups in (("lp", [GROUP]), ("lp", [GROUP, "news"]), ("nobody", [GROUP])):
            refused = ask(name, groups, lambda mine: mine.who())
            assert isinstance(refused, tuple) and refused[0] == "NotAllowed" and name in refused[1]
        refused = ask("news", [], lambda mine: mine.who())  # a role, but not in the socket's group
        assert isinstance(refused, tuple) and refused[0] == "ConnectionFailed" and "group" in refused[1]
        refused = ask("man", [GROUP], lambda mine: mine.claim(1))
        assert isinstance(refused, tuple) and refused[0] == "NotAllowed" and "man may not" in refused[1]
        refused = ask("man", [GROUP], lambda mine: mine.record("sent"))
        assert isinstance(refused, tuple) and refused[0] == "NotAllowed"
        assert ask("mail", [GROUP], lambda mine: mine.record("sent")) == 1
    with closing(scene.store()) as store, store.read() as connection:
        assert [one.who for one in audit.entries(connection)] == ["mail"]


def test_nobody_can_say_who_they_are(scene: Scene) -> None:
    with running(scene), raw(scene) as hers:
        for call in ('{"id":"1","call":"who","arguments":{"who":"bob"}}', '{"id":"1","call":"who","who":"bob"}'):
            hers.sendall(call.encode() + b"\n")
            assert b"InputError" in line_of(hers)


def test_a_role_that_is_taken_away_ends_at_once(scene: Scene, folder: Path) -> None:
    with in_process(scene) as server, asking(scene) as mine:
        assert mine.who()[1] == Role.APPROVE
        server.set_roles(TeamRoles(see=[ME]))
        assert mine.who()[1] == Role.SEE
        server.set_roles(TeamRoles())
        with pytest.raises(NotAllowed):
            mine.who()


def test_whoami_says_who_the_daemon_takes_you_for(scene: Scene) -> None:
    config = scene.folder / "config.toml"
    config.write_text(f'[team]\nsocket = "{scene.socket}"\n')
    words = ["team", "whoami", "--json", "--config", str(config)]
    with running(replace(scene, roles=TeamRoles(draft=[ME]))):
        done = CliRunner().invoke(group, words, standalone_mode=False)
    assert json.loads(done.output) == {"who": ME, "role": "draft"}


# --- hostile ones ---


@contextmanager
def in_process(scene: Scene) -> Iterator[SocketServer]:
    store = scene.store()
    server = server_of(scene, store)
    server.start()
    yield server
    server.stop()
    store.close()


@contextmanager
def raw(scene: Scene) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(20)
        opened.connect(str(scene.socket))
        assert b'"mailassist"' in line_of(opened)
        yield opened


def line_of(opened: socket.socket) -> bytes:
    """The next line, or what came before the end."""
    line = b""
    while not line.endswith(b"\n"):
        piece = opened.recv(1)
        if not piece:
            break
        line += piece
    return line


def closed(opened: socket.socket) -> bool:
    with suppress(ConnectionResetError, BrokenPipeError):
        while opened.recv(65_536):
            pass
    return True


GARBAGE = [b"\n", b"\xff\xfe\n", b"null\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n", b'{"id":"' + b"9" * 70 + b'"}\n',
           b'{"id":"1","call":"__class__"}\n', b'{"id":"1","call":"claim","arguments":{"case_id":1e999}}\n',
           b'{"id":"1","call":"claim","arguments":{"case_id":' + b"9" * 10_000 + b"}}\n",
           b'{"id":"1","call":"add_note","arguments":{"case_id":1,"text":"\\ud800"}}\n',
           b'{"id":"1","call":"record","arguments":{"action":"sent","details":{"a":NaN}}}\n',
           b'{"id":"1","call":"record","arguments":{"action":"a\\u001b[2J"}}\n']  # fmt: skip


def test_garbage_is_answered_with_an_error_and_costs_nobody_else(scene: Scene) -> None:
    with running(scene), asking(scene) as mine, raw(scene) as hers:
        for line in GARBAGE:
            hers.sendall(line)
            assert b"InputError" in line_of(hers), line[:60]
        hers.sendall(b'{"id":"1","call":"who"}\n' * 3)  # pipelined: one after the other
        assert [b'"result"' in line_of(hers) for _ in range(3)] == [True] * 3
        hers.sendall(b'{"id":"1","ca')  # and away
        hers.close()
        assert mine.who()[0] == ME


def test_slow_huge_silent_and_many_connections_end_by_themselves(scene: Scene) -> None:
    limits = SocketLimits(request_seconds=0.4, answer_seconds=0.4, idle_seconds=0.8, request_bytes=100_000,
                          of_one_person=6)  # fmt: skip
    with running(replace(scene, limits=limits)):
        with raw(scene) as dribbling, raw(scene) as huge, raw(scene) as silent, raw(scene) as half:
            huge.settimeout(20)
            with suppress(BrokenPipeError, ConnectionResetError):
                huge.sendall(b"x" * 5_000_000)
            answer = line_of(huge)
            assert b"InputError" in answer or answer == b""
            half.shutdown(socket.SHUT_WR)
            assert closed(half) and closed(silent)
            with pytest.raises(OSError):
                for _ in range(1000):
                    dribbling.sendall(b"x")
                    time.sleep(0.02)
        deaf = [stack_raw(scene) for _ in range(3)]
        for one in deaf:  # asks for much and reads nothing
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                for _ in range(2000):
                    one.sendall(b'{"id":"1","call":"items"}\n')
        with asking(scene) as mine:
            assert mine.who()[0] == ME
        many = [stack_raw(scene) for _ in range(20)]
        assert sum(b"ConnectionFailed" in one.recv(65_536) for one in many) >= 14
        with pytest.raises(ConnectionFailed, match="too many"), asking(scene, patience=0.0) as mine:
            mine.who()
        for one in (*deaf, *many):
            one.close()
        with asking(scene) as mine:
            assert mine.who()[0] == ME


def stack_raw(scene: Scene) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(20)
    opened.connect(str(scene.socket))
    return opened


def test_one_persons_slow_requests_leave_the_others_their_turn(scene: Scene, as_root: None) -> None:
    with running(replace(scene, roles=TeamRoles(see=["man", ME]), group=GROUP)):
        stuck = [stack_raw(scene) for _ in range(8)]
        for one in stuck:
            line_of(one)  # a greeting, too, is work: it would wait for the turn of whoever is stuck
        for one in stuck:
            one.sendall(b'{"id":"1","call":"notes","arguments":{"case_id":%d}}\n' % STUCK)
        who = as_user("man", [GROUP], lambda: SocketQueue(scene.socket, timeout=20.0).who())
        assert who == ("man", Role.SEE)
        for one in stuck:
            one.close()


# --- lost answers, dead daemons ---


@contextmanager
def cutting(scene: Scene) -> Iterator[Path]:
    """A proxy; two connections of three end when the daemon has answered a request, before the answer is through."""
    path = scene.folder / "cut.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def forward() -> None:
        with suppress(OSError):
            for number in range(1000):
                ours, _ = listener.accept()
                with ours, stack_raw(scene) as theirs:
                    ours.sendall(line_of(theirs))
                    while line := line_of(ours):
                        theirs.sendall(line)
                        answer = line_of(theirs)
                        if number % 3 < 2:
                            break
                        ours.sendall(answer)

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_lost_answer_is_given_again_and_nothing_is_done_twice(scene: Scene) -> None:
    with running(scene), cutting(scene) as path:
        for ask in (
            lambda mine: mine.add_note(1, "once"),
            lambda mine: mine.begin_approval(1, "Yours"),
            lambda mine: mine.hand_over(2, "bob", "twice?"),
            lambda mine: mine.record("sent"),
        ):
            with closing(SocketQueue(path)) as mine:
                ask(mine)  # type: ignore[no-untyped-call]
        assert scene.rows("SELECT text FROM case_notes") == [("once",), ("twice?",)]
        assert scene.rows("SELECT id, state FROM approvals") == [(1, "claimed")]
    with closing(scene.store()) as store:
        proof = verify(store, KEY)
        assert proof.whole and proof.entries == 4


def checked(mine: SocketQueue) -> int:
    """The number of an approval that may leave."""
    number = mine.begin_approval(1, "Yours").id
    mine.checked(number)
    return number


APPROVING = ("begin_approval", "checked", "leaving", "close_approval")
SAFE = {
    "claim": lambda mine: mine.claim(1).claimed_by == ME,
    "begin_approval": lambda mine: mine.begin_approval(1, "Yours").id == 1,
    "save_text": lambda mine: mine.claim(1) and mine.save_text(1, "Yours", base=1, reply_all=False).version == 2,
    "checked": lambda mine: mine.checked(mine.begin_approval(1, "Yours").id) is None,
    "leaving": lambda mine: mine.leaving(checked(mine)) is None,
    "close_approval": lambda mine: mine.close_approval(mine.begin_approval(1, "Yours").id, "sent", "ok") is None,
    "discard": lambda mine: mine.discard(1, "thanks only ") is None,
}


@pytest.mark.parametrize("call", SAFE)
def test_a_call_to_a_daemon_that_died_is_done_once(scene: Scene, call: str) -> None:
    with daemon_that_dies(scene, call) as mine:
        assert SAFE[call](mine)  # type: ignore[no-untyped-call]
        assert len(scene.rows("SELECT * FROM approvals")) == (call in APPROVING)
        assert mine.who()[0] == ME


@pytest.mark.parametrize("call", ["add_note", "hand_over", "record"])
def test_what_cannot_be_repeated_is_told_to_the_person(scene: Scene, call: str) -> None:
    asked = {"add_note": (1, "once"), "hand_over": (1, "bob"), "record": ("sent",)}
    with daemon_that_dies(scene, call) as mine:
        with pytest.raises(ConnectionFailed, match=f"restarted during {call}"):
            getattr(mine, call)(*asked[call])
        assert len(scene.rows("SELECT * FROM case_notes")) == (call == "add_note")
        assert mine.who()[0] == ME


@contextmanager
def daemon_that_dies(scene: Scene, call: str) -> Iterator[SocketQueue]:
    """A person's connection to a daemon that dies when it has done `call`, and is started again."""
    started = threading.Event()
    end = threading.Event()

    def restarted() -> None:
        with running(replace(scene, die_after=call)) as first:
            started.set()
            first.join()
        with running(scene):
            end.wait()

    thread = threading.Thread(target=restarted)
    thread.start()
    started.wait()
    with asking(scene, patience=30.0) as mine:
        assert mine.who()[0] == ME
        yield mine
    end.set()
    thread.join()


def refused_server(scene: Scene, group: str) -> None:
    with closing(scene.store()) as store:
        server_of(replace(scene, group=group), store)


def test_a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not(scene: Scene) -> None:
    with running(scene) as first, asking(scene) as mine:
        assert first.pid is not None
        for attempt in (scene, replace(scene, limits=SocketLimits(workers=1))):
            with pytest.raises(ConfigError, match="Another daemon"):
                refused_server(attempt, "")
        assert mine.who()[0] == ME
        os.kill(first.pid, 9)
        first.join()
        assert scene.socket.is_socket()
        with running(scene):
            assert mine.who()[0] == ME
        assert not scene.socket.exists()
    with pytest.raises(ConnectionFailed, match=r"Does it run"), asking(scene, patience=0.0) as nobody:
        nobody.who()


def test_a_file_that_is_no_socket_stays(scene: Scene) -> None:
    scene.socket.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        refused_server(scene, "")
    assert scene.socket.read_text() == "precious"


def test_a_group_that_is_not_there_is_named_with_the_cure(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="groupadd no-such-group"):
        refused_server(scene, "no-such-group")


def test_strangers_are_logged_by_number_and_not_each_time(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), in_process(replace(scene, roles=TeamRoles(approve=["nobody-else"]))):
        for _ in range(3):
            with pytest.raises(NotAllowed), asking(scene) as mine:
                mine.who()
    assert len([one for one in caplog.messages if f"user {os.geteuid()} " in one]) == 1
