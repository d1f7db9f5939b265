"""Bringing the header index up to date: by UID cursors, newest first, in batches that each stand on their own.

For every folder: EXAMINE; another UIDVALIDITY starts it anew; UIDs above the cursor are new mail; below it the backfill
goes down to the age limit; a difference in the count of messages says that something was expunged; flags of recent mail
are looked at again. A batch and the cursor that covers it are one transaction, so that a crash at any point loses no
more than a batch, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from mailassist.config import Account
from mailassist.errors import MailboxError
from mailassist.intake import batches
from mailassist.intake.batches import Batch
from mailassist.intake.folders import conversation_folders, unknown_folders
from mailassist.intake.keeping import keep_texts
from mailassist.intake.prefetch import prefetched
from mailassist.intake.records import flags_and_labels, index_row, is_draft
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import index
from mailassist.store.database import Store
from mailassist.store.forgotten import Forgotten
from mailassist.store.index import Cursor, IndexRow
from mailassist.transport.source import Folder, FolderState, MailSource, Role

DAY = 86_400.0
FIRST = 2000  # messages of each folder before any folder is read further down: who waits is soon known
FLAGS = 500  # recent messages of a folder whose flags are looked at again


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a sync has come, for a line on the screen."""

    folder: str
    done: int  # messages of this folder that this run has stored
    total: int  # messages in the folder


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did."""

    new: int = 0  # messages that came into the index
    removed: int = 0  # messages that left it
    folders: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()  # folders whose UIDVALIDITY had changed
    complete: bool = True  # False: it was stopped; the next run goes on
    texts: int = 0  # messages whose text was fetched and kept
    flags: int = 0  # messages whose flags or labels had changed
    unread: tuple[str, ...] = ()  # why a folder or some of its messages were left out, one line each
    unknown: tuple[str, ...] = ()  # names of the configuration that no folder has, one line each

    @property
    def changed(self) -> bool:
        """Whether the list of who waits may be different now."""
        return bool(self.new or self.removed or self.flags or self.restarted)


def never() -> bool:
    """A `stopped` that nobody pulls."""
    return False


def sync(
    source: MailSource,
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    *,
    now: Callable[[], float],
    progress: Callable[[SyncProgress], None] | None = None,
    stopped: Callable[[], bool] = never,
) -> SyncResult:
    """Bring the index of account `name` up to date, then the kept texts. Goes on where an earlier run ended.

    `progress` hears of every batch; once `stopped()` is true the run ends after the batch at hand. Raises
    MailboxError, ConnectionFailed, StoreError; what was stored before stays.
    """
    run = _Run(source, store, name, account, now, progress or _silent, stopped)
    folders = conversation_folders(source, account.folders)
    index.drop_folders(store, name, {folder.name for folder in folders})
    for step in (run.look_at_anew, run.finish):
        for folder in folders:
            if not stopped():
                run.attempt(step, folder)
    kept = 0
    if not stopped():
        kept = keep_texts(source, store, name, account, own, now=now, stopped=stopped)
    return SyncResult(
        run.new,
        run.removed,
        tuple(folder.name for folder in folders),
        tuple(run.restarted),
        not stopped(),
        kept,
        run.flags,
        (*run.unread.values(), *_unreadable(source)),
        tuple(str(error) for error in unknown_folders(source, account.folders)),
    )


def _unreadable(source: MailSource) -> Iterator[str]:
    """A line for each folder with messages that the server fails at."""
    uids: dict[str, list[int]] = {}
    for place in source.take_unreadable():
        uids.setdefault(place.folder, []).append(place.uid)
    for folder, found in uids.items():
        messages = "1 message" if len(found) == 1 else f"{len(found)} messages"
        yield f"{messages} of {folder} could not be read (UID {', '.join(map(str, sorted(found)))})"


def _silent(progress: SyncProgress) -> None:
    """For a caller that wants no progress."""


def catch_up(
    source: MailSource,
    store: Store,
    name: str,
    account: Account,
    *,
    now: Callable[[], float],
    only: Collection[str] = (),
    stopped: Callable[[], bool] = never,
) -> SyncResult:
    """Take in what is new, and no more: no flags, no texts, of a new folder its newest messages.

    `only`: these folders, else all that hold conversations; on Gmail always All Mail. The folders of the result are
    those that could be read. Raises as `sync`.
    """
    run = _Run(source, store, name, account, now, _silent, stopped, flags_too=False)
    every = conversation_folders(source, account.folders)
    folders = [folder for folder in every if not only or folder.name in only or folder.role is Role.ALL]
    if not only:
        index.drop_folders(store, name, {folder.name for folder in folders})
    known = index.cursors(store, name)
    for folder in folders:
        if not stopped():
            run.attempt(partial(run.look_at, cursor=known.get(folder.name)), folder)
    unread = (*run.unread.values(), *_unreadable(source))
    names = tuple(folder.name for folder in folders if folder.name not in run.unread)
    return SyncResult(run.new, run.removed, names, tuple(run.restarted), not stopped(), unread=unread)


def backfill(
    source: MailSource,
    store: Store,
    name: str,
    account: Account,
    *,
    now: Callable[[], float],
    stopped: Callable[[], bool] = never,
) -> bool:
    """Read on below the cursors, down to the age limit; whether all folders are through. Raises as `sync`."""
    run = _Run(source, store, name, account, now, _silent, stopped, flags_too=False)
    known = index.cursors(store, name)
    for folder in conversation_folders(source, account.folders):
        if folder.name in known and not known[folder.name].complete and not stopped():
            run.attempt(run.finish, folder)
    return all(cursor.complete for cursor in index.cursors(store, name).values())


@dataclass
class _Run:
    """One sync of one account."""

    source: MailSource
    store: Store
    name: str
    account: Account
    now: Callable[[], float]
    progress: Callable[[SyncProgress], None]
    stopped: Callable[[], bool]
    flags_too: bool = True
    new: int = 0
    removed: int = 0
    flags: int = 0
    restarted: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)  # folder -> why it cannot be read

    def attempt(self, step: Callable[[Folder], None], folder: Folder) -> None:
        """One step of one folder. A folder that the server does not open costs that folder only, but the inbox."""
        if folder.name in self.unread:
            return
        try:
            step(folder)
        except MailboxError as error:
            if folder.role == Role.INBOX:
                raise
            self.unread[folder.name] = str(error)

    def look_at(self, folder: Folder, cursor: Cursor | None) -> None:
        """New mail, expunged mail, changed flags; of a new folder (no `cursor`) its newest messages."""
        state = self.source.examine(folder.name)
        before = cursor
        if cursor is None or cursor.uidvalidity != state.uidvalidity:
            if cursor is not None:
                self.restarted.append(folder.name)
            cursor = self._start(folder, state)
        else:
            if cursor.highest < state.uidnext - 1:  # else no thread is begun for it
                cursor = self._store(state, batches.above(self.source, cursor, state), cursor)
            cursor = self._expunge(cursor, state)
            if self.flags_too:
                self._refresh_flags(folder)
        cursor = self._backfill(cursor, state, FIRST)
        if self.flags_too or cursor != before:  # a look that found nothing writes nothing
            index.save(self.store, self.name, replace(cursor, synced_at=self.now()))

    def look_at_anew(self, folder: Folder) -> None:
        """The same with the cursor as it is now: a sync may have been at other folders for long."""
        self.look_at(folder, index.cursors(self.store, self.name).get(folder.name))

    def finish(self, folder: Folder) -> None:
        """Everything below the cursor, down to the age limit."""
        cursor = index.cursors(self.store, self.name)[folder.name]
        if cursor.complete:
            return
        state = self.source.examine(folder.name)
        if state.uidvalidity == cursor.uidvalidity:
            self._backfill(cursor, state, None)

    def _start(self, folder: Folder, state: FolderState) -> Cursor:
        empty = state.exists == 0
        cursor = Cursor(
            folder.name, folder.role, state.uidvalidity, state.uidnext - 1, state.uidnext, empty, state.exists
        )
        index.start_folder(self.store, self.name, cursor)
        return cursor

    def _backfill(self, cursor: Cursor, state: FolderState, most: int | None) -> Cursor:
        if cursor.complete or self.stopped():
            return cursor
        return self._store(state, batches.below(self.source, cursor, self._oldest, most), cursor)

    def _store(self, state: FolderState, found: Iterable[Batch], cursor: Cursor) -> Cursor:
        """Store each batch with its cursor while the next one is being fetched; the last cursor."""
        done = 0
        with closing(prefetched(found)) as ready:
            for batch in ready:
                rows = self._rows(state, batch)
                cursor = batch.cursor
                index.save(self.store, self.name, cursor, rows)
                self.new += len(rows)
                done += len(batch.records)
                self.progress(SyncProgress(cursor.folder, done, state.exists))
                if self.stopped():
                    break
        return cursor

    def _rows(self, state: FolderState, batch: Batch) -> list[IndexRow]:
        rows = [
            index_row(self.name, record)
            for record in batch.records
            if record.location.uidvalidity == state.uidvalidity and not is_draft(record.flags, record.labels)
        ]
        return [row for row in rows if row.received >= self._oldest and not self.forgotten.covers(row)]

    def _expunge(self, cursor: Cursor, state: FolderState) -> Cursor:
        """Forget what is gone. EXISTS tells how many are: only then are the UIDs compared (any server can do that)."""
        missing = cursor.message_count - state.exists
        if missing > 0 and not self.stopped():
            for gone in batches.expunged(self.source, self.store, self.name, cursor, missing):
                self.removed += index.remove(self.store, self.name, cursor.folder, gone)
        return replace(cursor, message_count=state.exists)

    def _refresh_flags(self, folder: Folder) -> None:
        """\\Answered, and on Gmail the labels, of recent messages in folders whose mail is answered."""
        if folder.role not in (Role.INBOX, Role.ALL) and folder.name not in self.account.folders.inbox:
            return
        since = self.now() - self.account.waiting.max_age_days * DAY
        known = index.recent_flags(self.store, self.name, folder.name, since, FLAGS)
        records = list(self.source.flags(folder.name, sorted(known))) if known else []
        current = {record.location.uid: flags_and_labels(record) for record in records}
        drafts = [record.location.uid for record in records if is_draft(record.flags, record.labels)]
        gone = known.keys() - current.keys() | set(drafts)
        changed = {uid: both for uid, both in current.items() if known[uid] != both and uid not in gone}
        self.flags += len(changed)
        index.change_flags(self.store, self.name, folder.name, changed)
        self.removed += index.remove(self.store, self.name, folder.name, gone)

    @property
    def _oldest(self) -> float:
        return self.now() - self.account.sync.days * DAY

    @cached_property
    def forgotten(self) -> Forgotten:
        """Whose mail is not to come back."""
        return Forgotten.of(self.store)
