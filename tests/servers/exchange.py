"""A small IMAP server with Exchange's ways, as far as they matter here (reported by other clients; see its quirks).

No custom keywords, BAD to SEARCH KEYWORD and to a CHARSET, SEARCH HEADER REFERENCES finds nothing; throttling in words.
A moved message has a new UID; a draft that is sent is a new item with another Message-ID, and what a delegate sends may
lie in nobody's Sent here. No CONDSTORE, SPECIAL-USE, ESEARCH, NOTIFY, LIST-STATUS.
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes

from servers import gmail

BEFORE_LOGIN = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
)
CAPABILITIES = "IMAP4 IMAP4rev1 UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+ SASL-IR"
# Attributes come unasked; names are those of the mailbox's language.
FOLDERS = {
    "INBOX": "", "Drafts": "\\Drafts", "Sent Items": "\\Sent", "Deleted Items": "\\Trash", "Junk Email": "\\Junk",
    "Archive": "",
}  # fmt: skip
DRAFTS, SENT, TRASH = "Drafts", "Sent Items", "Deleted Items"
_EPOCH = 14
_SYSTEM_FLAGS = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent"
_KEYWORD = re.compile(r"\$?[A-Za-z]")  # system flags begin with a backslash


@dataclass(eq=False)
class Stored:
    """One message in one folder."""

    raw: bytes
    flags: set[str]
    received: datetime
    uid: int

    @property
    def message_id(self) -> str:
        return (message_from_bytes(self.raw)["Message-ID"] or "").strip()


@dataclass
class ExchangeServer:
    """One mailbox: any login with the password `secret` or the token `token`."""

    host: str = "127.0.0.1"
    port: int = 0
    user: str = "team@exchange.example"
    password: str = "secret"
    keeps_sent: bool = True  # False: what a delegate sends goes to the delegate's own Sent
    commands: list[str] = field(default_factory=list)  # every command line that came, without its tag
    tokens: list[bytes] = field(default_factory=list)  # what came with AUTHENTICATE
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    folders: dict[str, list[Stored]] = field(default_factory=lambda: {name: [] for name in FOLDERS})
    _next_uid: dict[str, int] = field(default_factory=dict)
    _throttled: list[int] = field(default_factory=list)  # milliseconds, one for each command that is refused

    def deliver(
        self, raw: bytes, folder: str = "INBOX", *, flags: str = "", received: datetime | None = None
    ) -> Stored:
        """A message arrives."""
        with self.changed:
            stored = Stored(raw, set(flags.split()), received or datetime.now(UTC), self.take_uid(folder))
            self.folders[folder].append(stored)
            self.changed.notify_all()
            return stored

    def send(self, draft: Stored) -> bytes:
        """A colleague opens the draft in Outlook and sends it; the message as it left."""
        with self.changed:
            self.folders[DRAFTS].remove(draft)
            number = self.take_uid("")
            head, _, body = draft.raw.partition(b"\r\n\r\n")
            lines = [line for line in re.split(rb"\r\n(?![ \t])", head) if not _is_lost(line)]
            lines.append(b"Message-ID: <DB9P%06d@EUR.PROD.exchange.example>" % number)
            sent = b"\r\n".join(lines) + b"\r\n\r\n" + body
            if self.keeps_sent:
                self.deliver(sent, SENT, flags="\\Seen")
            self.changed.notify_all()
            return sent

    def throttle(self, milliseconds: int, times: int = 1) -> None:
        """Refuse the next commands after the login."""
        self._throttled += [milliseconds] * times

    def next_throttle(self) -> int | None:
        return self._throttled.pop(0) if self._throttled else None

    def in_folder(self, folder: str) -> list[Stored]:
        return sorted(self.folders[folder], key=lambda one: one.uid)

    def next_uid(self, folder: str) -> int:
        return self._next_uid.get(folder, 1)

    def take_uid(self, folder: str) -> int:
        uid = self.next_uid(folder)
        self._next_uid[folder] = uid + 1
        return uid


def _is_lost(line: bytes) -> bool:
    return line.lower().startswith((b"message-id:", b"x-mailassist-"))


class _Connection(gmail._Connection):
    """One client; how words are read and lines written is the Gmail-like server's."""

    server: ExchangeServer
    greeting = "The Microsoft Exchange IMAP4 service is ready."

    def obey(self, tag: str, name: str, words: list[bytes]) -> bool:
        if self.logged_in and name not in ("LOGOUT", "NOOP") and (pause := self.server.next_throttle()) is not None:
            self.say(f"{tag} BAD Request is throttled. Suggested Backoff Time: {pause} milliseconds")
            return True
        return super().obey(tag, name, words)

    def do_capability(self, words: list[bytes]) -> str:
        self.say(f"* CAPABILITY {CAPABILITIES if self.logged_in else BEFORE_LOGIN}")
        return "OK CAPABILITY completed."

    def let_in(self, right: bool) -> str:
        self.logged_in = right
        return "OK LOGIN completed." if right else "NO LOGIN failed."

    def do_id(self, words: list[bytes]) -> str:
        self.say('* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")')
        return "OK ID completed"

    def do_namespace(self, words: list[bytes]) -> str:
        self.say('* NAMESPACE (("" "/")) NIL NIL')
        return "OK NAMESPACE completed."

    def do_unselect(self, words: list[bytes]) -> str:
        self.folder = ""
        return "OK UNSELECT completed."

    def do_list(self, words: list[bytes]) -> str:
        if len(words) != 2:
            return "BAD Command Argument Error. 12"
        for folder in self.server.folders:
            use = FOLDERS.get(folder, "")
            self.say(f'* LIST (\\HasNoChildren{" " + use if use else ""}) "/" "{folder}"')
        return "OK LIST completed."

    def do_status(self, words: list[bytes]) -> str:
        folder = words[0].decode()
        if folder not in self.server.folders:
            return f"NO {folder} doesn't exist."
        count, following = len(self.server.folders[folder]), self.server.next_uid(folder)
        self.say(f'* STATUS "{folder}" (MESSAGES {count} UIDNEXT {following} UIDVALIDITY {_EPOCH}) ')
        return "OK STATUS completed."

    def do_create(self, words: list[bytes]) -> str:
        self.server.folders.setdefault(words[0].decode(), [])
        return "OK CREATE completed."

    def do_select(self, words: list[bytes], how: str = "READ-WRITE") -> str:
        folder = words[0].decode()
        if folder not in self.server.folders:
            return f"NO {folder} doesn't exist."
        self.folder = folder
        self.say(f"* {len(self.server.folders[folder])} EXISTS")
        self.say("* 0 RECENT")
        self.say(f"* FLAGS ({_SYSTEM_FLAGS})")
        self.say(f"* OK [PERMANENTFLAGS ({_SYSTEM_FLAGS if how == 'READ-WRITE' else ''})] Permanent flags")
        self.say(f"* OK [UIDVALIDITY {_EPOCH}] UIDVALIDITY value")
        self.say(f"* OK [UIDNEXT {self.server.next_uid(folder)}] The next unique identifier value")
        return f"OK [{how}] SELECT completed."

    def do_uid_search(self, words: list[bytes]) -> str:
        if any(word.upper() in (b"CHARSET", b"KEYWORD", b"UNKEYWORD") for word in words):
            return "BAD Command Argument Error. 11"
        rest = list(words)
        tests = []
        while rest:
            tests.append(self.criterion(rest))
        there = self.server.in_folder(self.folder)
        self.say("* SEARCH" + "".join(f" {one.uid}" for one in there if all(test(one) for test in tests)))
        return "OK SEARCH completed."

    def criterion(self, rest: list[bytes]) -> Callable[[Stored], bool]:
        if rest[0].upper() == b"UID":
            value = rest[1].decode()
            del rest[:2]
            return lambda stored: gmail._within(stored.uid, value)
        if rest[0][:1].isdigit():
            numbers = rest.pop(0).decode()
            there = self.server.in_folder(self.folder)
            return lambda stored: gmail._within(there.index(stored) + 1, numbers)
        return super().criterion(rest)

    def do_uid_fetch(self, words: list[bytes]) -> str:
        return self.fetch(words, lambda stored, number: gmail._within(stored.uid, words[0].decode()))

    def values(self, stored: Stored, items: str) -> Iterator[bytes]:
        shown = gmail.Stored(0, 0, stored.raw, set(), stored.flags, stored.received, {self.folder: stored.uid})
        return (part for part in super().values(shown, items.replace("X-GM-", "")) if not part.startswith(b"X-GM-"))

    def do_uid_store(self, words: list[bytes]) -> str:
        flags = {word.decode() for word in words[2:] if word not in (b"(", b")")}
        for stored in self.chosen(words[0]):
            stored.flags |= {flag for flag in flags if not _KEYWORD.match(flag)}
        return "OK STORE completed."

    def chosen(self, numbers: bytes) -> list[Stored]:
        return [one for one in self.server.in_folder(self.folder) if gmail._within(one.uid, numbers.decode())]

    def do_uid_move(self, words: list[bytes]) -> str:
        return self.copied(words, away=True)

    def do_uid_copy(self, words: list[bytes]) -> str:
        return self.copied(words, away=False)

    def copied(self, words: list[bytes], *, away: bool) -> str:
        target = words[1].decode()
        if target not in self.server.folders:
            return "NO [TRYCREATE] The destination mailbox doesn't exist."
        pairs = []
        for stored in self.chosen(words[0]):
            flags = " ".join(stored.flags)
            pairs.append((stored.uid, self.server.deliver(stored.raw, target, flags=flags).uid))
            if away:
                self.expunge(stored)
        code = f"[COPYUID {_EPOCH} {','.join(str(a) for a, _ in pairs)} {','.join(str(b) for _, b in pairs)}] "
        return f"OK {code if pairs else ''}{'MOVE' if away else 'COPY'} completed."

    def do_uid_expunge(self, words: list[bytes]) -> str:
        for stored in self.chosen(words[0]):
            if "\\Deleted" in stored.flags:
                self.expunge(stored)
        return "OK EXPUNGE completed."

    def expunge(self, stored: Stored) -> None:
        number = self.server.in_folder(self.folder).index(stored) + 1
        self.server.folders[self.folder].remove(stored)
        self.say(f"* {number} EXPUNGE")
        self.server.changed.notify_all()

    def do_append(self, words: list[bytes]) -> str:
        folder, raw = words[0].decode(), words[-1]
        if folder not in self.server.folders:
            return "NO [TRYCREATE] The destination mailbox doesn't exist."
        flags = " ".join(word.decode() for word in words[1:-1] if word.startswith(b"\\"))
        return f"OK [APPENDUID {_EPOCH} {self.server.deliver(raw, folder, flags=flags).uid}] APPEND completed."


@contextmanager
def running() -> Iterator[ExchangeServer]:
    """The server, stopped at the end."""
    server = ExchangeServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _Connection(server, self.rfile.readline, self.rfile.read, self.wfile.write).serve()

    with socketserver.ThreadingTCPServer((server.host, 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        server.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
