"""A small IMAP server with Gmail's ways, as far as they matter here (see Google's IMAP extensions and its quirks).

One message lies once in \\All; folders are labels. X-GM-MSGID, X-GM-THRID, X-GM-LABELS. APPEND of a Message-ID that is
known answers APPENDUID and keeps nothing. Mail sent through Gmail's SMTP files its own copy (`file_sent`). EXPUNGE in a
folder only takes its label; moving to Trash deletes. No special answer to CAPABILITY before the login, none in the
greeting. SEARCH HEADER REFERENCES finds nothing.
"""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

CAPABILITIES = (
    "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE "
    "CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"
)
# As a German account shows them: names are localised, attributes are not.
FOLDERS = {
    "INBOX": "\\Inbox", "[Gmail]/Alle Nachrichten": "\\All", "[Gmail]/Gesendet": "\\Sent",
    "[Gmail]/Entw&APw-rfe": "\\Drafts", "[Gmail]/Papierkorb": "\\Trash", "[Gmail]/Spam": "\\Junk",
}  # fmt: skip
ALL, TRASH, JUNK = "\\All", "\\Trash", "\\Junk"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_TOKEN = re.compile(rb'\s*(?:"((?:[^"\\]|\\.)*)"|([()])|([^\s()"\[]+(?:\[[^\]]*\])?[^\s()"]*))')


@dataclass
class Stored:
    """One message, once."""

    msgid: int
    thrid: int
    raw: bytes
    labels: set[str]
    flags: set[str]
    received: datetime
    uids: dict[str, int] = field(default_factory=dict)  # folder -> UID there

    @property
    def message_id(self) -> str:
        return (message_from_bytes(self.raw)["Message-ID"] or "").strip()


class GmailServer:
    """One account: any login with the password `secret` or the token `token`."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.user = "robin@gmail.example"
        self.password = "secret"
        self.messages: list[Stored] = []
        self.commands: list[str] = []  # every command line that came, without its tag
        self.tokens: list[bytes] = []  # what came with AUTHENTICATE
        self.labels: dict[str, str] = dict(FOLDERS)  # folder -> label
        self.changed = threading.Condition(threading.RLock())
        self._next_uid: dict[str, int] = {}
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                _Connection(server, self.rfile.readline, self.rfile.read, self.wfile.write).serve()

        self._listening = socketserver.ThreadingTCPServer((self.host, 0), Handler, bind_and_activate=False)
        self._listening.allow_reuse_address = True
        self._listening.daemon_threads = True
        self._listening.block_on_close = False
        self._listening.server_bind()
        self._listening.server_activate()
        self.port: int = self._listening.server_address[1]
        threading.Thread(target=self._listening.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._listening.shutdown()
        self._listening.server_close()

    def deliver(self, raw: bytes, *labels: str, flags: str = "", received: datetime | None = None) -> Stored:
        """A message arrives; `labels`: "\\Inbox" unless given."""
        with self.changed:
            stored = Stored(
                2**60 + len(self.messages) * 7919,
                self._thread_of(message_from_bytes(raw)),
                raw,
                set(labels or ["\\Inbox"]),
                set(flags.split()),
                received or datetime.now(UTC),
            )
            self.messages.append(stored)
            self._place(stored)
            self.changed.notify_all()
            return stored

    def file_sent(self, raw: bytes) -> Stored | None:
        """What Gmail's SMTP does with a message it sends: its own copy, unless the Message-ID is known."""
        if self.known(raw):
            return None
        return self.deliver(raw, "\\Sent", flags="\\Seen")

    def known(self, raw: bytes) -> Stored | None:
        wanted = (message_from_bytes(raw)["Message-ID"] or "").strip()
        return next((one for one in self.messages if wanted and one.message_id == wanted), None)

    def in_folder(self, folder: str) -> list[Stored]:
        """By UID; \\All lacks Trash and Spam."""
        label = self.labels[folder]
        there = [one for one in self.messages if _shows(one, label)]
        return sorted(there, key=lambda one: one.uids[folder])

    def relabel(self, stored: Stored, *, add: str = "", drop: str = "") -> None:
        with self.changed:
            stored.labels.discard(drop)
            if add:
                stored.labels = {add} if add in (TRASH, JUNK) else stored.labels | {add}
            self._place(stored)
            self.changed.notify_all()

    def next_uid(self, folder: str) -> int:
        return self._next_uid.get(folder, 1)

    def take_uid(self, folder: str) -> int:
        uid = self.next_uid(folder)
        self._next_uid[folder] = uid + 1
        return uid

    def _place(self, stored: Stored) -> None:
        for folder, label in self.labels.items():
            if not _shows(stored, label):
                stored.uids.pop(folder, None)
            elif folder not in stored.uids:
                stored.uids[folder] = self.take_uid(folder)

    def _thread_of(self, message: Message) -> int:
        named = set(re.findall(r"<[^<>\s]+>", f"{message['References'] or ''} {message['In-Reply-To'] or ''}"))
        for one in self.messages:
            if one.message_id in named and _base(message_from_bytes(one.raw)["Subject"]) == _base(message["Subject"]):
                return one.thrid
        return 2**60 + 11 + len(self.messages)


def _base(subject: str | None) -> str:
    return re.sub(r"^((re|aw|fwd?|wg):\s*)+", "", (subject or "").strip(), flags=re.IGNORECASE).casefold()


def _shows(stored: Stored, label: str) -> bool:
    away = stored.labels & {TRASH, JUNK}
    return not away if label == ALL else label in stored.labels and (not away or label in away)


class _Connection:
    """One client."""

    greeting = "Gimap ready for requests from 127.0.0.1"

    def __init__(
        self,
        server: GmailServer,
        line: Callable[[], bytes],
        read: Callable[[int], bytes],
        write: Callable[[bytes], object],
    ) -> None:
        self.server, self.line, self.read, self.write = server, line, read, write
        self.folder = ""
        self.logged_in = False

    def serve(self) -> None:
        try:
            self.say(f"* OK {self.greeting}")
            while (words := self.command()) is not None:
                tag, name, *arguments = words
                self.server.commands.append(b" ".join(words[1:]).decode("utf-8", "replace"))
                if not self.obey(tag.decode(), name.decode().upper(), arguments):
                    return
        except (BrokenPipeError, ConnectionResetError):
            return

    def say(self, text: str | bytes) -> None:
        self.write((text.encode() if isinstance(text, str) else text) + b"\r\n")

    def command(self) -> list[bytes] | None:
        """The words of one command, strings without their quotes, parentheses as words of their own."""
        words: list[bytes] = []
        line = self.line()
        while True:
            if not line:
                return None
            text = line.rstrip(b"\r\n")
            literal = re.search(rb"\{(\d+)(\+)?\}$", text)
            head = text[: literal.start()] if literal else text
            for quoted, bracket, atom in _TOKEN.findall(head):
                words.append(bracket or atom or re.sub(rb"\\(.)", rb"\1", quoted))
            if literal is None:
                return words if len(words) > 1 else [*words, b"BAD"]
            if not literal[2]:
                self.say("+ go ahead")
            words.append(self.read(int(literal[1])))
            line = self.line()
            if not line.strip():
                return words

    def obey(self, tag: str, name: str, words: list[bytes]) -> bool:
        if name == "UID":
            name = f"UID_{words.pop(0).decode().upper()}"
        if not self.logged_in and name not in ("LOGIN", "AUTHENTICATE", "CAPABILITY", "LOGOUT", "ID", "NOOP"):
            self.say(f"{tag} BAD not logged in")
            return True
        method = getattr(self, f"do_{name.lower()}", None)
        if method is None:
            self.say(f"{tag} BAD Unknown command {name}")
            return True
        with self.server.changed:
            answer = method(words)
        if name in ("IDLE",):
            answer = self.idle()
        self.say(f"{tag} {answer}")
        return name != "LOGOUT"

    def do_capability(self, words: list[bytes]) -> str:
        self.say(
            "* CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 AUTH=XOAUTH2 SASL-IR"
        )
        return "OK Thats all she wrote!"

    def do_login(self, words: list[bytes]) -> str:
        return self.let_in(words[1].decode() == self.server.password)

    def do_authenticate(self, words: list[bytes]) -> str:
        if len(words) < 2:
            self.say("+ ")
            words.append(self.line().strip())
        self.server.tokens.append(base64.b64decode(words[1]))
        if b"auth=Bearer token\1" in base64.b64decode(words[1]):
            return self.let_in(True)
        self.say(
            "+ " + base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}').decode()
        )
        self.line()
        return "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"

    def let_in(self, right: bool) -> str:
        if not right:
            return (
                "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833"
            )
        self.logged_in = True
        self.say(f"* CAPABILITY {CAPABILITIES}")
        return f"OK {self.server.user} authenticated (Success)"

    def do_id(self, words: list[bytes]) -> str:
        self.say('* ID ("name" "GImap" "vendor" "Google, Inc.")')
        return "OK Success"

    def do_noop(self, words: list[bytes]) -> str:
        if self.folder:
            self.say(f"* {len(self.server.in_folder(self.folder))} EXISTS")
        return "OK Success"

    def do_logout(self, words: list[bytes]) -> str:
        self.say("* BYE LOGOUT Requested")
        return "OK 73 good day (Success)"

    def do_list(self, words: list[bytes]) -> str:
        asked = [word.decode() for word in words]
        if "RETURN" in asked and "STATUS" in asked:
            for folder in self.server.labels:
                if folder in asked[: asked.index("RETURN")]:
                    self.say(f'* LIST (\\HasNoChildren) "/" "{folder}"')
                    self.tell_status(folder)
            return "OK Success"
        self.say('* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"')
        for folder, label in self.server.labels.items():
            use = f" {label}" if label.startswith("\\") and label != "\\Inbox" else ""
            self.say(f'* LIST (\\HasNoChildren{use}) "/" "{folder}"')
        return "OK Success"

    def do_status(self, words: list[bytes]) -> str:
        folder = words[0].decode()
        if folder not in self.server.labels:
            return "NO [NONEXISTENT] Unknown Mailbox: " + folder + " (Failure)"
        self.tell_status(folder)
        return "OK Success"

    def tell_status(self, folder: str) -> None:
        count, following = len(self.server.in_folder(folder)), self.server.next_uid(folder)
        self.say(f'* STATUS "{folder}" (MESSAGES {count} UIDNEXT {following} UIDVALIDITY 7)')

    def do_create(self, words: list[bytes]) -> str:
        self.server.labels[words[0].decode()] = words[0].decode()
        return "OK Success"

    def do_select(self, words: list[bytes], how: str = "READ-WRITE") -> str:
        folder = words[0].decode()
        if folder not in self.server.labels:
            return "NO [NONEXISTENT] Unknown Mailbox: " + folder + " (Failure)"
        self.folder = folder
        self.say("* FLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen)")
        self.say("* OK [UIDVALIDITY 7] UIDs valid.")
        self.say(f"* {len(self.server.in_folder(folder))} EXISTS")
        self.say("* 0 RECENT")
        self.say(f"* OK [UIDNEXT {self.server.next_uid(folder)}] Predicted next UID.")
        return f"OK [{how}] {folder} selected. (Success)"

    def do_examine(self, words: list[bytes]) -> str:
        return self.do_select(words, "READ-ONLY")

    def do_uid_search(self, words: list[bytes]) -> str:
        if words[0].upper() == b"CHARSET":
            words = words[2:]
        rest = list(words)
        tests = []
        while rest:
            tests.append(self.criterion(rest))
        found = [
            one.uids[self.folder] for one in self.server.in_folder(self.folder) if all(test(one) for test in tests)
        ]
        self.say("* SEARCH" + "".join(f" {uid}" for uid in found))
        return "OK SEARCH completed (Success)"

    def criterion(self, rest: list[bytes]) -> Callable[[Stored], bool]:
        key = rest.pop(0).decode().upper()
        if key == "OR":
            one, other = self.criterion(rest), self.criterion(rest)
            return lambda stored: one(stored) or other(stored)
        if key == "ALL":
            return lambda stored: True
        value = rest.pop(0).decode()
        if key == "HEADER":
            wanted = rest.pop(0).decode().casefold()
            return lambda stored: (
                value.upper() != "REFERENCES"
                and wanted in (str(message_from_bytes(stored.raw)[value] or "").casefold())
            )
        if key == "UID":
            return lambda stored: _within(stored.uids[self.folder], value)
        if key in ("SINCE", "BEFORE"):
            day = datetime.strptime(value, "%d-%b-%Y").replace(tzinfo=UTC)
            return lambda stored: (stored.received >= day) == (key == "SINCE")
        if key == "X-GM-THRID":
            return lambda stored: stored.thrid == int(value)
        if key == "X-GM-MSGID":
            return lambda stored: stored.msgid == int(value)
        raise AssertionError(f"the test server knows no {key}")

    def do_uid_fetch(self, words: list[bytes]) -> str:
        return self.fetch(words, lambda stored, number: _within(stored.uids[self.folder], words[0].decode()))

    def do_fetch(self, words: list[bytes]) -> str:
        return self.fetch(words, lambda stored, number: _within(number, words[0].decode()))

    def fetch(self, words: list[bytes], wanted: Callable[[Stored, int], bool]) -> str:
        items = b" ".join(words[1:]).decode()
        for number, stored in enumerate(self.server.in_folder(self.folder), 1):
            if wanted(stored, number):
                self.say(b"* %d FETCH (" % number + b" ".join(self.values(stored, items)) + b")")
        return "OK Success"

    def values(self, stored: Stored, items: str) -> Iterator[bytes]:
        """In an order of our own, as servers do."""
        yield b"X-GM-THRID %d" % stored.thrid
        yield b"X-GM-MSGID %d" % stored.msgid
        if "X-GM-LABELS" in items:
            own = self.server.labels[self.folder]
            shown = sorted(stored.labels - {own})
            yield b"X-GM-LABELS (%s)" % b" ".join(b'"%s"' % label.replace("\\", "\\\\").encode() for label in shown)
        yield b"UID %d" % stored.uids[self.folder]
        yield b"RFC822.SIZE %d" % len(stored.raw)
        date = stored.received
        shown_date = f"{date.day:2d}-{_MONTHS[date.month - 1]}-{date:%Y %H:%M:%S} +0000"
        yield f'INTERNALDATE "{shown_date}"'.encode()
        yield b"FLAGS (%s)" % " ".join(sorted(stored.flags)).encode()
        fields = re.search(r"BODY\.PEEK\[HEADER\.FIELDS \( ?([^)]*)\)\]", items)
        if fields:
            part = _fields(stored.raw, set(fields[1].upper().split()))
            yield b"BODY[HEADER.FIELDS (%s)] {%d}\r\n" % (fields[1].strip().encode(), len(part)) + part
        partial = re.search(r"BODY\.PEEK\[\](?:<0\.(\d+)>)?", items)
        if partial:
            part = stored.raw[: int(partial[1])] if partial[1] else stored.raw
            yield b"BODY[]%s {%d}\r\n" % (b"<0>" if partial[1] else b"", len(part)) + part

    def do_uid_store(self, words: list[bytes]) -> str:
        flags = {word.decode() for word in words[2:] if word not in (b"(", b")")}
        for stored in self.chosen(words[0]):
            stored.flags |= flags
        return "OK Success"

    def do_uid_move(self, words: list[bytes]) -> str:
        return self.relabelled(words, self.server.labels[self.folder])

    def do_uid_copy(self, words: list[bytes]) -> str:
        return self.relabelled(words, "")

    def relabelled(self, words: list[bytes], drop: str) -> str:
        target = words[1].decode()
        if target not in self.server.labels:
            return "NO [TRYCREATE] No folder " + target
        for stored in self.chosen(words[0]):
            stored.flags.discard("\\Draft" if self.server.labels[target] == TRASH else "")
            self.server.relabel(stored, add=self.server.labels[target], drop=drop)
        return "OK Success"

    def do_uid_expunge(self, words: list[bytes]) -> str:
        for stored in self.chosen(words[0]):
            if self.server.labels[self.folder] in (TRASH, JUNK):
                self.server.messages.remove(stored)
            else:
                self.server.relabel(stored, drop=self.server.labels[self.folder])
        return "OK Success"

    def chosen(self, numbers: bytes) -> list[Stored]:
        there = self.server.in_folder(self.folder)
        return [one for one in there if _within(one.uids[self.folder], numbers.decode())]

    def do_append(self, words: list[bytes]) -> str:
        folder, raw = words[0].decode(), words[-1]
        if folder not in self.server.labels:
            return "NO [TRYCREATE] Folder doesn't exist. (Failure)"
        label = self.server.labels[folder]
        known = self.server.known(raw)
        if known is not None:
            # Accepted, given a UID, thrown away; a trashed original comes back with its old content.
            if TRASH in known.labels:
                self.server.relabel(known, add=label, drop=TRASH)
            return f"OK [APPENDUID 7 {self.server.take_uid(folder)}] (Success)"
        flags = b" ".join(word for word in words[1:-1] if word.startswith(b"\\")).decode()
        stored = self.server.deliver(raw, label, flags=flags)
        return f"OK [APPENDUID 7 {stored.uids[folder]}] (Success)"

    def do_idle(self, words: list[bytes]) -> str:
        self.say("+ idling")
        return ""

    def idle(self) -> str:
        before = len(self.server.in_folder(self.folder))
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                with self.server.changed:
                    self.server.changed.wait(0.1)
                    now = len(self.server.in_folder(self.folder))
                if now != before and not over.is_set():
                    self.say(f"* {now} EXISTS")
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        self.line()
        over.set()
        watcher.join()
        return "OK IDLE terminated (Success)"


def _within(number: int, numbers: str) -> bool:
    for part in numbers.split(","):
        first, _, last = part.partition(":")
        low, high = (2**62 if end == "*" else int(end) for end in (first, last or first))
        if min(low, high) <= number <= max(low, high):
            return True
    return False


def _fields(raw: bytes, wanted: set[str]) -> bytes:
    message = message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    lines = [f"{name}: {value}\r\n" for name, value in message.items() if name.upper() in wanted]
    return "".join(lines).encode("utf-8", "surrogateescape") + b"\r\n"


@contextmanager
def running() -> Iterator[GmailServer]:
    """The server, stopped at the end."""
    server = GmailServer()
    try:
        yield server
    finally:
        server.stop()
