"""Which texts are kept on this machine: fetched at the end of a sync, deleted when they are needed no longer."""

from __future__ import annotations

from collections.abc import Callable

from mailassist.config import Account
from mailassist.intake.pull import DAY, fetch, places_of
from mailassist.intake.waiting import judge_all
from mailassist.mail.addresses import OwnAddresses
from mailassist.store import index, texts
from mailassist.store.database import Store
from mailassist.store.forgotten import Forgotten
from mailassist.store.index import IndexRow
from mailassist.transport.source import MailSource, Role

AHEAD = 200  # waiting conversations whose texts are fetched before anybody opens them, newest first
SENT = 500  # own sent replies whose text is fetched in one sync
PART = 50  # messages fetched and stored at a time
AGAIN = DAY  # after which a text that was not to be had is asked for once more


def keep_texts(
    source: MailSource,
    store: Store,
    name: str,
    account: Account,
    own: OwnAddresses,
    *,
    now: Callable[[], float],
    stopped: Callable[[], bool],
) -> int:
    """Fetch the texts that `keep_text` asks for and that are missing; delete the others. How many came."""
    policy = account.sync.keep_text
    moment = now()
    if policy == "none":
        texts.expire(store, name, now=moment, needed=())
        return 0
    rows = _wanted(store, name, account, own, now)
    texts.expire(store, name, now=moment, needed=None if policy == "all" else {row.message_id for row in rows})
    known = texts.kept(store, name)
    until = moment + account.sync.retention_days * DAY
    missing = places_of(row for row in rows if row.message_id not in known)
    received = {row.message_id: row.received for row in rows}
    forgotten = Forgotten.of(store)
    fetched = 0
    ids = list(missing)
    for start in range(0, len(ids), PART):
        if stopped():
            break
        part = ids[start : start + PART]
        raw = fetch(source, {message_id: missing[message_id] for message_id in part})
        kept = forgotten.without_mentions(raw, received)
        texts.put(store, name, kept, until=until)
        texts.put(store, name, {one: b"" for one in part if one not in kept}, until=moment + AGAIN)
        fetched += len(kept)
    return fetched


def _wanted(store: Store, name: str, account: Account, own: OwnAddresses, now: Callable[[], float]) -> list[IndexRow]:
    """The rows of the messages whose text is to be kept, the most urgent first."""
    judged = [pair for pair in judge_all(store, name, account, own, now=now) if not pair[0].excluded]
    judged.sort(key=lambda pair: pair[0].date, reverse=True)
    rows = [row for _, copies in judged[:AHEAD] for row in copies]
    if account.sync.learn_from_sent:
        rows += _own_replies(store, name, account, own, now())
    if account.sync.keep_text == "all":
        since = now() - account.sync.retention_days * DAY
        rows += index.arrived_since(store, name, since)
    return rows


def _own_replies(store: Store, name: str, account: Account, own: OwnAddresses, now: float) -> list[IndexRow]:
    """The user's newest replies in Sent, within the retention time."""
    oldest = now - account.sync.retention_days * DAY
    sent = [cursor for cursor in index.cursors(store, name).values() if cursor.role in (Role.SENT, Role.ALL)]
    rows = [row for cursor in sent for row in index.newest_in(store, name, cursor.folder, SENT)]
    return [row for row in rows if row.in_reply_to and row.received >= oldest and own.owns(row.sender_address)]
