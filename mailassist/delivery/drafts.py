"""A reply into the Drafts folder, once: intent, APPEND, read back, old revision away; each a commit of its own.

`kept -> appending -> appended`, and `kept` again when the text changes. The bytes of the revision on its way are in the
store, so that any process can go on after a crash: it looks for them in a new session before it appends again. A draft
that the person edited or deleted in the mailbox is theirs: never overwritten, never recreated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mailassist.delivery.lookup import Wanted, find, fingerprint_at, folder_of, holds
from mailassist.delivery.reply import Built
from mailassist.delivery.work import LOOK_AGAIN, Route, Surroundings, Work
from mailassist.errors import ConnectionFailed, DeliveryError, MailassistError, MailboxError, StoreError
from mailassist.store import drafts as table
from mailassist.store.database import Store
from mailassist.store.drafts import DraftRow
from mailassist.transport.source import Location, MailSource, Role

RETRY_AFTER = 60.0  # seconds
FLAGS = ("\\Draft", "\\Seen")
_NO_COPY = {"folder": "", "uidvalidity": None, "uid": None}
_NO_OLD = {"old_own_id": "", "old_fingerprint": "", "old_folder": "", "old_uidvalidity": None, "old_uid": None}


class DraftNotKept(DeliveryError):
    """The server said OK to the draft but does not have it; the text is kept here."""


@dataclass(frozen=True, slots=True)
class DraftOutcome:
    """What became of a draft."""

    state: str  # appended | unchanged | person (edited in the mailbox) | gone (deleted there)
    said: str  # one line for the person
    location: Location | None = None
    released: bool = False  # the row was given back with the last step


def append_revision(work: Work, row: DraftRow, build: Callable[[int], Built], *, anew: bool = False) -> DraftOutcome:
    """Put a revision of `row` into Drafts in place of the one that lies there.

    `build` makes the revision of a generation, each with its own Message-ID. `anew`: the person wants a new draft
    whatever they did to the old one. Raises MailboxError (over quota, read-only; the text is kept),
    ConnectionFailed (gone on with by `finish_pending`), DraftNotKept, DraftChanged, LoginError.
    """
    if row.state == "appending":
        row = _claimed(work, row)
        _as_ours(work, row, finish_pending)
        row = _again(work, row)
    revision = build(row.generation + 1)
    with work.route.open_source() as source:
        row, theirs = _look_after_old(work, source, row)
        if theirs and not anew:
            return theirs
        if row.folder and row.fingerprint == revision.fingerprint:
            table.change(work.store, row, now=work.now(), state="appended")
            return DraftOutcome("unchanged", f"The same draft lies in {row.folder} already", location_of(row))
    work.mark("draft:checked")
    row = _intend(work, row, revision)
    work.mark("draft:intent")
    return _as_ours(work, row, _append)


def finish_pending(work: Work, row: DraftRow) -> DraftOutcome:
    """Go on with a revision whose APPEND may or may not have happened: look first, in a new session."""
    found = _seek(work, row) or _seek_again(work, row)
    if found:
        return _settle(work, row, found)
    return _append(work, row)


def resume_drafts(store: Store, route: Route, *, around: Surroundings | None = None) -> list[DraftOutcome]:
    """Finish every draft of the account that a crash left half way; nothing where there is none.

    What another living process is at work on is left to it; what cannot be finished now says why in its row and is
    tried again a minute later. Raises StoreError.
    """
    work = Work(store, route, around or Surroundings())
    due = [row for row in table.unfinished(store, route.account) if not _held(work, row)]
    done = [_finished(work, row) for row in due if not (row.error and row.changed_at + RETRY_AFTER > work.now())]
    return [outcome for outcome in done if outcome is not None]


def _finished(work: Work, row: DraftRow) -> DraftOutcome | None:
    """Go on with one draft; None where that is not possible now."""
    try:
        row = _claimed(work, row)
        return _as_ours(work, row, finish_pending if row.state == "appending" else _retire_old)
    except StoreError:
        raise
    except MailassistError as error:
        table.note(work.store, row.id, str(error), now=work.now())
        return None


def _held(work: Work, row: DraftRow) -> bool:
    """Whether another process is at work on the row: it lives, and has done something in the last minutes."""
    return bool(row.owner) and row.changed_at + work.around.held > work.now() and work.around.alive(row.owner)


def _claimed(work: Work, row: DraftRow) -> DraftRow:
    """The row as ours to finish; of two processes that try, one gets it. Raises DraftChanged."""
    if _held(work, row):
        raise table.DraftChanged()
    return table.claim(work.store, row, work.around.owner, now=work.now())


def _as_ours(work: Work, row: DraftRow, step: Callable[[Work, DraftRow], DraftOutcome]) -> DraftOutcome:
    """While this lasts no other process goes on with the row; afterwards, also after an error, any may."""
    outcome: DraftOutcome | None = None
    try:
        outcome = step(work, row)
    finally:
        if outcome is None or not outcome.released:
            table.release(work.store, row.id, work.around.owner)
    return outcome


def remove_untouched(work: Work, source: MailSource, row: DraftRow) -> bool:
    """Take our own revisions of a draft out of Drafts (to Trash) where they are as we put them there.

    Whether any was.
    """
    removed = False
    for own_id, text, folder in _revisions(source, row):
        wanted = Wanted(own_id, (), text)
        found = find(source, folder, wanted, only_marked=True)
        if not found and row.pending:  # its APPEND broke off: the server may still be busy with it
            work.around.pause(LOOK_AGAIN)
            found = find(source, folder, wanted, only_marked=True)
        for place in found:
            if fingerprint_at(source, place) == text:
                work.mark("draft:untouched")
                source.vouch(place)
                source.remove(place)
                removed = True
                work.mark("draft:removed")
    state = "kept" if row.state == "appending" else row.state  # its bytes are gone: nobody may go on with the APPEND
    table.change(work.store, row, now=work.now(), state=state, pending=b"", **_NO_COPY, **_NO_OLD)
    return removed


def _revisions(source: MailSource, row: DraftRow) -> list[tuple[str, str, str]]:
    """Own header, text and folder of every revision that may lie in Drafts, one on its way included."""
    found = [(row.own_id, row.fingerprint, row.folder or (folder_of(source, Role.DRAFTS) if row.pending else ""))]
    found.append((row.old_own_id, row.old_fingerprint, row.old_folder))
    return [(own_id, text, folder) for own_id, text, folder in found if own_id and folder]


def location_of(row: DraftRow) -> Location | None:
    """Where the revision lies, as far as we know."""
    if not row.folder or row.uidvalidity is None or row.uid is None:
        return None
    return Location(row.folder, row.uidvalidity, row.uid)


def _look_after_old(work: Work, source: MailSource, row: DraftRow) -> tuple[DraftRow, DraftOutcome | None]:
    """The row with its revision's present place; an outcome where the person has made it theirs."""
    if row.state in ("person", "gone"):
        return row, _theirs(row.state, row)
    if not row.folder:
        return row, None
    place = _where(source, row)
    if place is None:
        state = "gone"
    elif fingerprint_at(source, place) != row.fingerprint:
        state = "person"
    else:
        changes = {"folder": place.folder, "uidvalidity": place.uidvalidity, "uid": place.uid}
        return table.change(work.store, row, now=work.now(), **changes), None
    row = table.change(work.store, row, now=work.now(), state=state, **_NO_COPY)
    return row, _theirs(state, row)


def _where(source: MailSource, row: DraftRow) -> Location | None:
    """Where our revision lies now: where we put it, else (new UIDVALIDITY, edited elsewhere) by its own header."""
    place = location_of(row)
    if place and fingerprint_at(source, place):
        return place
    found = find(source, row.folder, _wanted(row), only_marked=True)
    return found[-1] if found else None


def _theirs(state: str, row: DraftRow) -> DraftOutcome:
    done = "edited" if state == "person" else "deleted or moved"
    return DraftOutcome(state, f"You have {done} the draft in your mailbox; it is left as it is, the text is kept here")


def _intend(work: Work, row: DraftRow, revision: Built) -> DraftRow:
    """Commit what is about to happen, before it happens."""
    old = {
        "old_own_id": row.own_id, "old_fingerprint": row.fingerprint, "old_folder": row.folder,
        "old_uidvalidity": row.uidvalidity, "old_uid": row.uid,
    } if row.folder else _NO_OLD  # fmt: skip
    new = {
        "generation": row.generation + 1, "message_id": revision.message_id, "own_id": revision.own_id,
        "fingerprint": revision.fingerprint, "pending": revision.raw, "owner": work.around.owner,
    }  # fmt: skip
    return table.intend(work.store, row, now=work.now(), state="appending", error="", **new, **_NO_COPY, **old)


def _append(work: Work, row: DraftRow) -> DraftOutcome:
    """APPEND; after a lost connection look in a new session, now and after five seconds, before the one retry."""
    try:
        place = _append_once(work, row)
    except ConnectionFailed:
        found = _seek(work, row) or _seek_again(work, row)
        place = found[-1] if found else _append_once(work, row)
    except MailboxError as error:
        _give_up(work, row, error)
        raise
    found = [place] if place else _seek(work, row) or _seek_again(work, row)
    return _settle(work, row, found)


def _append_once(work: Work, row: DraftRow) -> Location | None:
    """One APPEND, and where the server says it went; None where it does not say or does not really have it."""
    with work.route.open_source() as source:
        folder = folder_of(source, Role.DRAFTS)
        work.mark("draft:appending")
        place = source.append(folder, row.pending, FLAGS)
        work.mark("draft:appended")
        if place is not None and holds(source, place, row.pending, row.fingerprint):
            work.mark("draft:read-back")
            return place
    return None


def _seek(work: Work, row: DraftRow) -> list[Location]:
    """Our revision in Drafts, in a new session."""
    with work.route.open_source() as source:
        found = find(source, folder_of(source, Role.DRAFTS), _wanted(row))
        return [place for place in found if fingerprint_at(source, place) == row.fingerprint]


def _seek_again(work: Work, row: DraftRow) -> list[Location]:
    work.around.pause(LOOK_AGAIN)
    return _seek(work, row)


def _settle(work: Work, row: DraftRow, found: list[Location]) -> DraftOutcome:
    """Commit where the revision lies; then the old one, and copies that a retry made, go."""
    if not found:
        error = DraftNotKept(cure="Save it again; if that fails too, look whether the folder is full.")
        _give_up(work, row, error)
        raise error
    place = found[-1]
    through = not row.old_folder and len(found) == 1  # nothing is left to be removed
    row = table.change(
        work.store, row, now=work.now(), state="appended", pending=b"", error="", placed_for=row.answers,
        folder=place.folder, uidvalidity=place.uidvalidity, uid=place.uid, **({"owner": ""} if through else {}),
    )  # fmt: skip
    work.mark("draft:recorded")
    return replace(_retire_old(work, row, found[:-1]), released=through)


def _retire_old(work: Work, row: DraftRow, doubles: list[Location] | None = None) -> DraftOutcome:
    """Remove the replaced revision if it is untouched; resumable: it goes by what the row says is old."""
    if row.old_folder or doubles:
        with work.route.open_source() as source:
            for place in [*_marked(source, row, doubles or []), *_old_places(source, row)]:
                source.vouch(place)
                source.remove(place)
        work.mark("draft:old-removed")
        row = table.change(work.store, row, now=work.now(), **_NO_OLD)
        work.mark("draft:old-recorded")
    return DraftOutcome("appended", f"Saved in {row.folder}", location_of(row))


def _marked(source: MailSource, row: DraftRow, doubles: list[Location]) -> list[Location]:
    """Of the copies of the revision, those that carry our header: a person may have written the same."""
    if not doubles:
        return []
    ours = find(source, row.folder, _wanted(row), only_marked=True)
    return [place for place in doubles if place in ours]


def _old_places(source: MailSource, row: DraftRow) -> list[Location]:
    """The replaced revision, where it still lies and still holds our text."""
    if not row.old_folder:
        return []
    wanted = Wanted(row.old_own_id, (), row.old_fingerprint)
    found = find(source, row.old_folder, wanted, only_marked=True)
    if not found and row.old_uid is not None and row.old_uidvalidity is not None:
        found = [Location(row.old_folder, row.old_uidvalidity, row.old_uid)]
    return [
        place for place in found if place != location_of(row) and fingerprint_at(source, place) == row.old_fingerprint
    ]


def _give_up(work: Work, row: DraftRow, error: MailassistError) -> None:
    """The server said no: the text stays here, the old revision stays there."""
    old = {
        "own_id": row.old_own_id, "fingerprint": row.old_fingerprint, "folder": row.old_folder,
        "uidvalidity": row.old_uidvalidity, "uid": row.old_uid,
    }  # fmt: skip
    table.change(work.store, row, now=work.now(), state="kept", pending=b"", error=str(error), **old, **_NO_OLD)


def _wanted(row: DraftRow) -> Wanted:
    return Wanted(row.own_id, [row.message_id] if row.message_id else [], row.fingerprint)


def _again(work: Work, row: DraftRow) -> DraftRow:
    found = table.get(work.store, row.account, row.answers)
    assert found is not None
    return found
