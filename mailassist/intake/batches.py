"""What a sync fetches, cut into batches: each with the cursor that is right once it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mailassist.store import index
from mailassist.store.database import Store
from mailassist.store.index import Cursor
from mailassist.transport.source import FolderState, HeaderRecord, MailSource

BATCH = 2000  # messages in one transaction
WINDOW = 20_000  # UIDs asked for in one SEARCH: an answer of a million bytes breaks imapclient
_WIDEST = 2**31


@dataclass(frozen=True, slots=True)
class Batch:
    """Fetched headers, and how far the folder is indexed with them."""

    cursor: Cursor
    records: Sequence[HeaderRecord]


def above(source: MailSource, cursor: Cursor, state: FolderState) -> Iterator[Batch]:
    """New mail: what lies above the cursor, upwards, so that the cursor never leaves a gap behind."""
    width = WINDOW
    while cursor.highest < state.uidnext - 1:
        first, last = cursor.highest + 1, min(state.uidnext - 1, cursor.highest + width)
        there = source.uids(cursor.folder, first, last)
        width = _next_width(width, len(there))
        for chunk in _chunks(there):
            reached = last if chunk[-1] == there[-1] else chunk[-1]
            cursor = replace(cursor, highest=reached, message_count=cursor.message_count + len(chunk))
            yield Batch(cursor, list(source.headers(cursor.folder, chunk)))
        if not there:
            cursor = replace(cursor, highest=last)
            yield Batch(cursor, [])


def below(source: MailSource, cursor: Cursor, oldest: float, most: int | None) -> Iterator[Batch]:
    """The backfill: what lies below the cursor, newest first, at most about `most` messages.

    Mail that arrived before `oldest` is left to lie: it is searched by date, since old mail that was moved here has
    high UIDs.
    """
    width, fetched = WINDOW, 0
    since = datetime.fromtimestamp(oldest, UTC).date() - timedelta(days=1)  # SEARCH knows days of any time zone
    while cursor.lowest > 1 and not cursor.complete and (most is None or fetched < most):
        first, last = max(1, cursor.lowest - width), cursor.lowest - 1
        there = source.uids(cursor.folder, first, last, since)[::-1]
        width = _next_width(width, len(there))
        for chunk in _chunks(there):
            records = list(source.headers(cursor.folder, chunk))
            reached = first if chunk[-1] == there[-1] else chunk[-1]
            cursor = replace(cursor, lowest=reached, complete=reached <= 1)
            yield Batch(cursor, records)
            fetched += len(chunk)
            if cursor.complete or (most is not None and fetched >= most):
                return
        if not there:
            cursor = replace(cursor, lowest=first, complete=first <= 1)
            yield Batch(cursor, [])
    if cursor.lowest <= 1 and not cursor.complete:
        yield Batch(replace(cursor, complete=True), [])


def expunged(source: MailSource, store: Store, account: str, cursor: Cursor, missing: int) -> Iterator[list[int]]:
    """Indexed UIDs of the folder that are not there any more, newest first, until `missing` are found."""
    ours = index.uids(store, account, cursor.folder, cursor.lowest, cursor.highest)[::-1]
    for start in range(0, len(ours), WINDOW):
        window = ours[start : start + WINDOW]
        there = set(source.uids(cursor.folder, window[-1], window[0]))
        gone = [uid for uid in window if uid not in there]
        missing -= len(gone)
        yield gone
        if missing <= 0:
            return


def _next_width(width: int, found: int) -> int:
    """UIDs can be sparse: a window that is nearly empty makes the next one wider, a full one narrower."""
    if found < WINDOW // 4:
        return min(_WIDEST, width * 4)
    return max(WINDOW, width // 4) if found > WINDOW else width


def _chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), BATCH):
        yield uids[start : start + BATCH]
