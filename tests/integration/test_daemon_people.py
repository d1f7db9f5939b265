"""People are told by a real program and by a real https server: what is due, once, and nothing of the mail."""

from __future__ import annotations

import http.server
import json
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from servers.dovecot import make_certificates
from skipping import unavailable

from mailassist.daemon import people as people_module
from mailassist.daemon.people import People, last_digest
from mailassist.errors import ConfigError
from mailassist.store import mailboxes, notices
from mailassist.store.database import Store
from mailassist.store.team_schema import cases
from mailassist.team_settings import Notices, TeamMailbox

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
TEAMS = {"support": TeamMailbox(), "tokyo": TeamMailbox(time_zone="Asia/Tokyo")}
SENDMAIL = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
if (folder / "broken").exists():
    sys.exit("the queue is full")
number = len(list(folder.glob("*.eml")))
(folder / f"{{number}}.eml").write_bytes(sys.stdin.buffer.read())
(folder / f"{{number}}.json").write_text(json.dumps(sys.argv[1:]))
"""


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Post:
    """A sendmail program that keeps what it was given."""

    folder: Path
    program: Path = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.folder / "sendmail"
        self.program.write_text(SENDMAIL.format(python=sys.executable, folder=str(self.folder)), encoding="utf-8")
        self.program.chmod(stat.S_IRWXU)

    def breaks(self, broken: bool = True) -> None:
        (self.folder / "broken").touch() if broken else (self.folder / "broken").unlink()

    @property
    def mails(self) -> list[EmailMessage]:
        files = sorted(self.folder.glob("*.eml"), key=lambda file: int(file.stem))
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

    def arguments(self, number: int) -> list[str]:
        found: list[str] = json.loads((self.folder / f"{number}.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture
def post(tmp_path: Path) -> Post:
    folder = tmp_path / "post"
    folder.mkdir()
    return Post(folder)


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """In SQLite, and in PostgreSQL."""
    return open_store()


def by_mail(post: Post) -> Notices:
    return Notices(
        sendmail=str(post.program), to=["team@example.org", "boss@example.org"], sender="mailassist@example.org"
    )


def put_case(people: People, store: Store, number: int, mailbox: str = "support", **about: Any) -> None:
    """A case whose subject and correspondent must not be told, and the notice of it."""
    with store.write() as connection:
        values = {"id": number, "mailbox": mailbox, "conversation": f"<c{number}@x>", "message_id": f"<c{number}@x>"}
        values |= {"arrived": NOON, "subject": "CANARY subject", "correspondent": "CANARY <canary@example.net>"}
        known = {name: about[name] for name in ("category", "urgency") if name in about}
        state = {"state": "person", "created_at": NOON, "changed_at": NOON}
        connection.execute(cases.insert().values(values | known | state))
        people.case(connection, mailbox, number, about.pop("reason", "no source was found"), **about)


def test_urgent_and_blocked_cases_are_told_at_once_and_together_in_a_storm(store: Store, post: Post) -> None:
    clock = Clock()
    people = People(store, TEAMS, by_mail(post), now=clock)
    put_case(people, store, 1, category="complaint")
    put_case(people, store, 2, category="question")
    assert people.tell() == 1
    assert people.tell() == 0
    for number in range(3, 60):
        put_case(people, store, number, urgency="high", reason="urgent, from canary@example.net")
    clock.now += 30
    assert people.tell() == 0
    clock.now += 31
    assert people.tell() == 57
    first, storm = post.mails
    assert post.arguments(0) == ["-i", "-f", "mailassist@example.org", "--", "team@example.org", "boss@example.org"]
    assert (first["To"], first["From"]) == ("team@example.org, boss@example.org", "mailassist@example.org")
    assert (first["Auto-Submitted"], first["Subject"]) == ("auto-generated", "mailassist: 1 needs a person (support)")
    assert "case 1, complaint: no source was found" in first.get_content()
    assert "and 27 more" in storm.get_content()
    assert storm["Message-ID"] != first["Message-ID"]
    for file in post.folder.glob("*.eml"):
        assert b"canary" not in file.read_bytes().lower()


def test_the_rest_is_told_once_a_day_in_the_morning_of_the_mailbox(store: Store, post: Post) -> None:
    clock = Clock()  # noon in Greenwich: 21:00 in Tokyo
    people = People(store, TEAMS, by_mail(post), now=clock)
    for number in (1, 2):
        put_case(people, store, number, category="question", reason="information is missing")
    put_case(people, store, 3, mailbox="tokyo")
    put_case(people, store, 4, reason="seen to meanwhile")
    with store.write() as connection:
        connection.execute(cases.update().where(cases.c.id == 4).values(state="answered"))
    clock.now = datetime(2026, 11, 24, 7, 59, tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()
    assert people.tell() == 0
    clock.now += 60
    assert people.tell() == 1
    clock.now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC).timestamp()
    assert people.tell() == 2
    clock.now += 7 * DAY
    assert people.tell() == 0
    tokyo, support = post.mails
    assert "tokyo: 1 in the queue" in tokyo.get_content()
    assert "2 x question: information is missing (cases 1, 2)" in support.get_content()
    assert "meanwhile" not in support.get_content()


@pytest.mark.parametrize("month", [3, 10])
def test_the_daily_mail_is_at_its_time_whatever_the_clocks_do(month: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for hour in range(24 * 31):
        now = datetime(2026, month, 1, tzinfo=UTC).timestamp() + hour * 3600.0
        moment = datetime.fromtimestamp(last_digest("08:00", berlin, now), berlin)
        assert (moment.hour, moment.minute) == (8, 0)
        assert 0 <= now - moment.timestamp() < 25.1 * 3600


def test_a_mailbox_that_pauses_itself_is_told_once(store: Store, post: Post) -> None:
    people = People(store, TEAMS, by_mail(post), now=Clock())
    assert people.pause("support", "20 drafts in a row were not used")
    assert not people.pause("support", "20 drafts in a row were not used")
    assert people.tell() == 1
    assert "no drafts are made any more: 20 drafts in a row were not used" in post.mails[0].get_content()
    assert mailboxes.get(store, "support").paused == "20 drafts in a row were not used"


def test_what_fails_is_tried_again_later_and_shown_and_nothing_is_lost(store: Store, post: Post) -> None:
    clock = Clock()
    people = People(store, TEAMS, by_mail(post), now=clock)
    put_case(people, store, 1, urgency="high")
    post.breaks()
    for tries in range(1, 5):
        assert people.tell() == 0
        state = notices.channel_states(store)["sendmail"]
        assert state.tries == tries
        assert "the queue is full" in state.error
        assert people.tell() == 0
        assert notices.state_of(store, "sendmail") == state
        clock.now = state.not_before
    assert notices.waiting(store) == (1, NOON)
    post.breaks(False)
    assert people.tell() == 1
    assert notices.waiting(store) == (0, None)
    assert notices.channel_states(store)["sendmail"].error == ""


def test_a_crash_after_the_mail_tells_it_again_under_the_same_message_id(
    store: Store, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    people = People(store, TEAMS, by_mail(post), now=clock)
    put_case(people, store, 1, urgency="high")

    def crash(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(people_module.notices, "told", crash)
        with pytest.raises(KeyboardInterrupt):
            people.tell()
    clock.now += 1
    assert people.tell() == 0  # another process might be at it
    clock.now += people_module.HELD
    assert people.tell() == 1
    first, second = post.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_the_same_is_not_told_twice_a_day(store: Store, post: Post) -> None:
    clock = Clock()
    people = People(store, TEAMS, by_mail(post), now=clock)
    for _ in range(3):
        with store.write() as connection:
            people.mailbox(connection, "support", "the login is refused")
        people.tell()
        clock.now += 61
    assert len(post.mails) == 1
    clock.now += DAY
    with store.write() as connection:
        people.mailbox(connection, "support", "the login is refused")
    assert people.tell() == 1


@dataclass
class Hook:
    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    folder = tmp_path / "tls"
    cafile = make_certificates(folder)
    if cafile is None:
        unavailable("openssl is needed: apt install openssl")
    made = Hook("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(made.answers.pop(0) if made.answers else 200)
            self.send_header("Location", "https://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "good.pem", folder / "good.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(cafile))
    made.url = f"https://127.0.0.1:{server.server_address[1]}/hook?token=CANARY"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_the_same_as_json_and_is_never_followed_elsewhere(store: Store, hook: Hook) -> None:
    clock = Clock()
    hook.answers = [302, 500, 200]
    people = People(store, TEAMS, Notices(webhook=hook.url), now=clock)
    put_case(people, store, 7, category="legal", urgency="high", reason="legal matters are not drafted")
    for status in (302, 500):
        assert people.tell() == 0
        state = notices.channel_states(store)["webhook"]
        assert str(status) in state.error
        assert "CANARY" not in state.error
        clock.now = state.not_before
    assert people.tell() == 1
    path, head, body = hook.got[-1]
    assert (path, len(hook.got)) == ("/hook?token=CANARY", 3)
    assert {got["Idempotency-Key"] for _, got, _ in hook.got} == {body["id"]}
    assert head["Content-Type"] == "application/json"
    assert body["urgent"]
    assert "case 7, legal, urgency high: legal matters are not drafted" in body["text"]
    assert body["notices"][0]["case_id"] == 7
    assert "canary" not in json.dumps(body).lower()


def test_one_way_that_fails_does_not_make_the_other_tell_twice(store: Store, hook: Hook, post: Post) -> None:
    clock = Clock()
    both = by_mail(post).model_copy(update={"webhook": hook.url})
    people = People(store, TEAMS, both, now=clock)
    put_case(people, store, 1, urgency="high")
    post.breaks()
    assert people.tell() == 1
    assert notices.waiting(store)[0] == 1
    post.breaks(False)
    clock.now += 200
    assert people.tell() == 1
    assert notices.waiting(store)[0] == 0
    assert (len(hook.got), len(post.mails)) == (1, 1)


def test_a_webhook_that_cannot_be_reached_is_named_by_its_host(store: Store, hook: Hook) -> None:
    people = People(store, TEAMS, Notices(webhook="https://127.0.0.1:1/CANARY"), now=Clock())
    put_case(people, store, 1, urgency="high")
    assert people.tell() == 0
    error = notices.channel_states(store)["webhook"].error
    assert "127.0.0.1" in error
    assert "CANARY" not in error


def test_other_settings_hold_for_what_is_not_told_yet_and_wrong_ones_not_at_all(store: Store, post: Post) -> None:
    people = People(store, TEAMS, Notices(), now=Clock())
    put_case(people, store, 1, urgency="high")
    assert people.tell() == 0
    people.take_over(TEAMS, by_mail(post))
    with pytest.raises(ConfigError):
        people.take_over({}, Notices(webhook="http://chat.example.org"))
    assert people.tell() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "http://chat.example.org/hook"},
        {"webhook": "https://me:secret@chat.example.org/hook"},
        {"webhook": "https:///hook"},
        {"webhook": "https://chat.example.org/hook\r\nX: y"},
        {"sendmail": "/no/such/sendmail", "to": ["team@example.org"]},
        {"sendmail": sys.executable, "to": []},
        {"sendmail": sys.executable, "to": ["-oQ/tmp@example.org"]},
        {"sendmail": sys.executable, "to": ["a@example.org\nBcc: b@example.org"]},
    ],
)
def test_a_way_that_cannot_work_or_is_not_safe_is_refused_at_the_start(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        People(store, TEAMS, Notices(**wrong))
    assert "secret" not in str(refused.value)
