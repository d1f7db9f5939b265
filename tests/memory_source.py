"""A mailbox in memory behind the same interface as a server's, for tests of what is done with mail that has come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from mailassist.mail.parse import parse_headers
from mailassist.transport.source import Folder, FolderState, HeaderRecord, Location, Role

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()
DAY = 86_400.0
ME = "tom@example.org"
ANNA = "Anna Meyer <anna@example.net>"
ROLES = {
    "INBOX": Role.INBOX,
    "Sent": Role.SENT,
    "Archive": Role.ARCHIVE,
    "Drafts": Role.DRAFTS,
    "Junk": Role.JUNK,
    "Trash": Role.TRASH,
    "Projects": Role.OTHER,
    "All": Role.ALL,
}


def mail(name: str, *, sender: str = ANNA, to: str = ME, answers: str = "", days: float = 1.0, **more: str) -> bytes:
    """A message `<name@test>` that is `days` old; `more`: header fields, `_` for `-`, and `body`."""
    date = datetime.fromtimestamp(NOW - days * DAY, UTC)
    body = more.pop("body", f"This is {name}.")
    head = {
        "Message-ID": f"<{name}@test>",
        "Date": f"{date:%a, %d %b %Y %H:%M:%S} +0000",
        "From": sender,
        "To": to,
        "Subject": more.pop("subject", "Offer"),
    }
    if answers:
        head |= {"In-Reply-To": f"<{answers}@test>", "References": f"<{answers}@test>"}
    head |= {key.replace("_", "-"): value for key, value in more.items()}
    return ("".join(f"{key}: {value}\r\n" for key, value in head.items()) + f"\r\n{body}\r\n").encode()


@dataclass
class Stored:
    """One message of a folder."""

    raw: bytes
    received: float
    flags: frozenset[str]
    labels: frozenset[str]
    thread_id: str


@dataclass
class MemorySource:
    """Folders of messages; `asked` counts the calls by name."""

    gmail: bool = False
    boxes: dict[str, dict[int, Stored]] = field(
        default_factory=lambda: {name: {} for name in ("INBOX", "Sent", "Archive")}
    )
    uidvalidity: dict[str, int] = field(default_factory=dict)
    nexts: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(
        self,
        folder: str,
        raw: bytes,
        *,
        flags: Sequence[str] = (),
        labels: Sequence[str] = (),
        thread_id: str = "",
        days: float | None = None,
    ) -> int:
        """Deliver; INTERNALDATE is the message's Date unless `days` says how old it is. Its UID."""
        date = parse_headers(raw).date
        received = NOW - days * DAY if days is not None else date.timestamp() if date else NOW
        uid = self.nexts.get(folder, 1)
        self.nexts[folder] = uid + 1
        box = self.boxes.setdefault(folder, {})
        box[uid] = Stored(raw, received, frozenset(flags), frozenset(labels), thread_id)
        return uid

    def folders(self) -> Sequence[Folder]:
        return [Folder(name, ROLES.get(name, Role.OTHER)) for name in self.boxes]

    def examine(self, folder: str) -> FolderState:
        self.asked.append(f"examine {folder}")
        return FolderState(folder, self._epoch(folder), self.nexts.get(folder, 1), len(self.boxes[folder]))

    def state(self, folder: str) -> FolderState:
        return self.examine(folder)

    def standing(self, location: Location) -> bytes | None:
        self.asked.append(f"standing {location.folder}")
        found = self.boxes[location.folder].get(location.uid)
        return found.raw if found and location.uidvalidity == self._epoch(location.folder) else None

    def uids(self, folder: str, first: int, last: int, since: date | None = None) -> list[int]:
        self.asked.append(f"uids {folder}")
        oldest = datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp() if since else 0.0
        box = self.boxes[folder]
        return sorted(uid for uid in box if first <= uid <= last and box[uid].received >= oldest)

    def headers(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        self.asked.append(f"headers {folder}")
        return (self._record(folder, uid) for uid in list(uids) if uid in self.boxes[folder])

    def flags(self, folder: str, uids: Sequence[int]) -> Iterator[HeaderRecord]:
        self.asked.append(f"flags {folder}")
        return (self._record(folder, uid) for uid in uids if uid in self.boxes[folder])

    def take_unreadable(self) -> list[Location]:
        return []

    def newest_headers(self, folder: str, count: int) -> list[HeaderRecord]:
        self.asked.append(f"newest {folder}")
        return [self._record(folder, uid) for uid in sorted(self.boxes[folder], reverse=True)[:count]]

    def raw(self, folder: str, uids: Sequence[int], *, limit: int = 0) -> Iterator[tuple[Location, bytes]]:
        self.asked.append(f"raw {folder}")
        box = self.boxes[folder]
        return ((Location(folder, self._epoch(folder), uid), box[uid].raw) for uid in uids if uid in box)

    def thread(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        self.asked.append("thread")
        wanted, found = set(ids), dict[Location, HeaderRecord]()
        left_out = ("Drafts", "Junk", "Trash")
        everything = [
            self._record(name, uid) for name, box in self.boxes.items() if name not in left_out for uid in box
        ]
        while True:
            new = [one for one in everything if one.location not in found and wanted & self._ids(one)]
            if not new:
                return list(found.values())
            found |= {one.location: one for one in new}
            wanted |= set().union(*map(self._ids, new))

    def earlier(self, record: HeaderRecord, ids: Sequence[str]) -> list[HeaderRecord]:
        self.asked.append("earlier")
        return []

    def search_header(self, folder: str, name: str, value: str) -> list[int]:
        self.asked.append(f"search {folder}")
        return [
            uid for uid in self.boxes[folder] if value in self._record(folder, uid).headers.decode("utf-8", "replace")
        ]

    def append(self, folder: str, raw: bytes, flags: Sequence[str]) -> Location | None:
        return Location(folder, self._epoch(folder), self.put(folder, raw, flags=flags))

    def remove(self, location: Location) -> bool:
        return self.boxes[location.folder].pop(location.uid, None) is not None

    def vouch(self, location: Location) -> None:
        pass

    def add_flags(self, location: Location, flags: Sequence[str]) -> bool:
        return location.uid in self.boxes[location.folder]

    def wait(self, folder: str, seconds: float, stopped: object) -> bool:
        return True

    def close(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> MemorySource:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do."""

    def _epoch(self, folder: str) -> int:
        return self.uidvalidity.get(folder, 1)

    def _record(self, folder: str, uid: int) -> HeaderRecord:
        one = self.boxes[folder][uid]
        head = one.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        received = datetime.fromtimestamp(one.received, UTC)
        place = Location(folder, self._epoch(folder), uid)
        return HeaderRecord(place, head, one.flags, received, len(one.raw), one.thread_id, "", one.labels)

    def _ids(self, record: HeaderRecord) -> set[str]:
        message = parse_headers(record.headers)
        return {message.message_id, *message.in_reply_to, *message.references}
