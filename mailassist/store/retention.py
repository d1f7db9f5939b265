"""Emptying what is past its time: texts go, rows stay where counts, the trail, or telling mail twice apart need them.

In small transactions, so that work goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from mailassist.store import schema, team_schema
from mailassist.store.database import Store

PART = 500  # rows of one transaction
_AT_AN_END = ("answered", "none", "theirs")  # of cases
_THROUGH = ("delivered", "none", "person", "missing", "superseded", "answered", "theirs", "failed")  # of arrivals

Statement = sa.Update | sa.Delete
Step = tuple[str, sa.Column[object], sa.ColumnElement[bool], Statement]  # what, which rows (key, where), what is done


def empty_mailbox(
    store: Store, mailbox: str, *, before: float, now: float, stopped: Callable[[], bool] = lambda: False
) -> dict[str, int]:
    """Remove the texts of a mailbox that are from before `before` (seconds since 1970); how many rows, by table.

    Bodies, drafts and what they replaced, replies that are through, approvals, notes of ended cases and whom these were
    about. Work under way is left alone: a draft that is being saved, a reply on its way, an open approval.
    """
    done: dict[str, int] = {}
    for what, key, where, change in _steps(mailbox, before, now):
        if stopped():
            break
        done[what] = _in_parts(store, key, where, change, stopped)
    return {what: count for what, count in done.items() if count}


def remove_expired(store: Store, *, now: float, stopped: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Delete prompts and texts of the trail whose own time is up; how many rows, by table."""
    done = {}
    for table, key in (
        (team_schema.prompts, team_schema.prompts.c.arrival_id),
        (team_schema.audit_texts, team_schema.audit_texts.c.number),
    ):
        done[table.name] = _in_parts(store, key, table.c.until <= now, table.delete(), stopped)
    return {what: count for what, count in done.items() if count}


def known_mailboxes(store: Store) -> set[str]:
    """Every team mailbox that was ever watched, whether or not it is configured still."""
    with store.read() as connection:
        return set(connection.scalars(sa.select(team_schema.mailboxes.c.mailbox)))


def secure_deletion(connection: sa.Connection) -> None:
    """Let SQLite overwrite what is deleted or emptied from here on with zeros."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _steps(mailbox: str, before: float, now: float) -> Iterator[Step]:
    texts, messages, drafts, versions, outbox = (
        schema.texts, schema.messages, schema.drafts, schema.versions, schema.outbox,
    )  # fmt: skip
    cases, arrivals, approvals, notes = (
        team_schema.cases, team_schema.arrivals, team_schema.approvals, team_schema.case_notes,
    )  # fmt: skip
    notices = team_schema.people_notices
    old = sa.select(messages.c.message_id).where(messages.c.account == mailbox, messages.c.received < before)
    mine = texts.c.account == mailbox
    yield (
        "texts",
        texts.c.message_id,
        mine & ((texts.c.until <= now) | texts.c.message_id.in_(old)),
        (texts.delete().where(mine)),
    )
    unsaved = drafts.c.state.in_(("appending", "approved"))
    there = (drafts.c.text != "") | (drafts.c.instruction != "")
    yield (
        "drafts",
        drafts.c.id,
        (drafts.c.account == mailbox) & (drafts.c.changed_at < before) & ~unsaved & there,
        (drafts.update().values(text="", instruction="")),
    )
    yield "versions", versions.c.id, (versions.c.account == mailbox) & (versions.c.at < before), versions.delete()
    through = outbox.c.state.in_(("done", "cancelled")) & (outbox.c.changed_at < before)
    kept = (outbox.c.text != "") | (outbox.c.subject != "") | (sa.func.length(outbox.c.raw) > 0)
    yield (
        "outbox",
        outbox.c.id,
        (outbox.c.account == mailbox) & through & kept,
        (outbox.update().values(text="", subject="", raw=b"")),
    )
    of_mailbox = sa.select(cases.c.id).where(cases.c.mailbox == mailbox)
    closed = approvals.c.open.is_(None) & (approvals.c.changed_at < before) & (approvals.c.text != "")
    yield "approvals", approvals.c.id, closed & approvals.c.case_id.in_(of_mailbox), approvals.update().values(text="")
    ended = cases.c.state.in_(_AT_AN_END) & (cases.c.changed_at < before)
    yield "case_notes", notes.c.id, (notes.c.at < before) & notes.c.case_id.in_(of_mailbox.where(ended)), notes.delete()
    about = (cases.c.subject != "") | (cases.c.correspondent != "") | (cases.c.missing != "")
    yield (
        "cases",
        cases.c.id,
        (cases.c.mailbox == mailbox) & ended & about,
        (cases.update().values(subject="", correspondent="", missing="")),
    )
    gone_by = arrivals.c.state.in_(_THROUGH) & (arrivals.c.changed_at < before)
    known = (arrivals.c.sender != "") | (arrivals.c.error != "")
    yield (
        "arrivals",
        arrivals.c.id,
        (arrivals.c.mailbox == mailbox) & gone_by & known,
        (arrivals.update().values(sender="", error="")),
    )
    yield (
        "people_notices",
        notices.c.id,
        (notices.c.mailbox == mailbox) & (notices.c.created_at < before),
        (notices.delete()),
    )


def _in_parts(
    store: Store,
    key: sa.Column[object],
    where: sa.ColumnElement[bool],
    change: Statement,
    stopped: Callable[[], bool],
) -> int:
    done = 0
    while not stopped():
        with store.write() as connection:
            secure_deletion(connection)
            found = list(connection.scalars(sa.select(key).where(where).limit(PART)))
            if found:
                connection.execute(change.where(key.in_(found), where))
        done += len(found)
        if len(found) < PART:
            break
    return done
