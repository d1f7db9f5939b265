"""Our drafts in the Drafts folder, looked after: which are there as we put them, and which a person took."""

from __future__ import annotations

from mailassist.daemon import feedback
from mailassist.daemon.parts import Mailbox, Parts
from mailassist.errors import MailboxError
from mailassist.store import arrivals, cases, drafts
from mailassist.store.drafts import DraftRow
from mailassist.transport.source import MailSource

GRACE = 600.0  # seconds that a draft may be away before it counts as thrown away: it may be on its way to Sent


def look_after(parts: Parts, mailbox: Mailbox, source: MailSource) -> int:
    """Note the drafts of this mailbox that are not where we put them any more; how many.

    One that was sent shows in Sent, and its case is answered by then; one that is away for longer was thrown away, or
    edited: from then on the conversation is a person's. Raises MailboxError, ConnectionFailed.
    """
    by_folder: dict[str, list[DraftRow]] = {}
    for row in drafts.placed(parts.store, mailbox.name):
        by_folder.setdefault(row.folder, []).append(row)
    return sum(_look_in(parts, source, folder, rows) for folder, rows in by_folder.items())


def _look_in(parts: Parts, source: MailSource, folder: str, rows: list[DraftRow]) -> int:
    try:
        state = source.examine(folder)
    except MailboxError:
        return 0  # the folder is away: nothing is known of the drafts in it
    known = [row for row in rows if row.uidvalidity == state.uidvalidity and row.uid]
    if not known:
        return 0
    uids = [row.uid or 0 for row in known]
    there = {
        record.location.uid
        for record in source.flags(folder, sorted(uids))
        if "\\deleted" not in {flag.lower() for flag in record.flags}
    }
    gone = [row for row in known if row.uid not in there]
    return sum(_gone(parts, row) for row in gone)


def _gone(parts: Parts, row: DraftRow) -> bool:
    """Count how long it is away; after the grace it is a person's."""
    now = parts.now()
    case = cases.get(parts.store, row.case_id or 0)
    if case is None or case.state not in ("drafted", "open"):
        return False
    since = parts.store.fact(drafts.away(row))
    if since is None:
        parts.store.learn(drafts.away(row), str(now).encode())
        return False
    if now - float(since) < GRACE:
        return False
    arrivals.end_case(
        parts.store, case.id, now=now, states=("delivered",), state="theirs",
        reason="a person has taken the draft out of the Drafts folder",
    )  # fmt: skip
    drafts.taken(parts.store, row.id, now=now)
    parts.store.unlearn(drafts.away(row))
    feedback.note_gone(parts, row)
    return True
