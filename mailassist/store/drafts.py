"""The drafts table: the text of each reply being worked on, and where its revision in the Drafts folder lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from mailassist.errors import DeliveryError
from mailassist.store import schema, team_schema, versions
from mailassist.store.database import Store
from mailassist.store.dialect import is_postgres, serialise
from mailassist.store.schema import facts
from mailassist.store.statement import Statement

table = _drafts = schema.drafts
_cases = team_schema.cases
_AWAY = "draft away "


class DraftChanged(DeliveryError):
    """Another process is saving the same draft; this one stopped before there were two."""


class Decided(DraftChanged):
    """A person has decided about the conversation meanwhile; no draft of it is put into the mailbox."""

    def __init__(self, state: str) -> None:
        """`state`: of the case."""
        super().__init__()
        self.state = state


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One reply being worked on; the columns of store/schema.py."""

    id: int
    account: str
    answers: str
    conversation: str
    generation: int
    text: str
    written_by: str
    model: str
    instruction: str
    complete: bool
    version: int
    reply_all: bool
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float
    state: str
    pending: bytes
    owner: str
    message_id: str
    own_id: str
    fingerprint: str
    folder: str
    uidvalidity: int | None
    uid: int | None
    old_own_id: str
    old_fingerprint: str
    old_folder: str
    old_uidvalidity: int | None
    old_uid: int | None
    error: str
    case_id: int | None
    placed_for: str
    created_at: float
    changed_at: float

    @property
    def lies_in_mailbox(self) -> bool:
        """As `in_mailbox` of this row."""
        return bool(self.folder or self.old_folder or self.pending)


_COLUMNS = [_drafts.c[field.name] for field in fields(DraftRow)]
_OF_CASE = Statement(sa.select(*_COLUMNS).where(_drafts.c.case_id == sa.bindparam("number")))
_NEW = Statement(_drafts.insert())
_OWNER = Statement(sa.select(_drafts.c.owner).where(_drafts.c.id == sa.bindparam("number")))
_KEYED = Statement(
    sa.select(*_COLUMNS).where(
        _drafts.c.account == sa.bindparam("this_account"), _drafts.c.answers == sa.bindparam("answered")
    )
)
_of_number = _drafts.c.case_id == sa.bindparam("number")
_CURRENT = Statement(
    sa.select(*_COLUMNS)
    .where(
        _of_number
        | ((_drafts.c.account == sa.bindparam("this_account")) & (_drafts.c.answers == sa.bindparam("answered")))
    )
    .order_by(sa.case((_of_number, 0), else_=1))
    .limit(1)
)
_CASE_STATE = Statement(sa.select(_cases.c.state).where(_cases.c.id == sa.bindparam("number")).with_for_update())
_PLACED = (
    sa.select(*_COLUMNS)
    .where(
        _drafts.c.account == sa.bindparam("name"), _drafts.c.state == "appended", _drafts.c.case_id.is_not(None),
        _drafts.c.folder != "",
    )
    .order_by(_drafts.c.id)
)  # fmt: skip
_ANY_AWAY = sa.select(facts.c.name).where(facts.c.name.startswith(_AWAY)).limit(1)
_CHANGE = Statement(
    _drafts.update()
    .where(
        _drafts.c.id == sa.bindparam("number"),
        _drafts.c.generation == sa.bindparam("this_generation"),
        _drafts.c.owner == sa.bindparam("this_owner"),
    )
    .returning(*_COLUMNS)
)


def get(store: Store, account: str, answers: str) -> DraftRow | None:
    """The draft that answers the message `answers`, or None."""
    with store.read() as connection:
        return _keyed(connection, account, answers)


def rows(store: Store, account: str) -> list[DraftRow]:
    """Every draft of the account, oldest first."""
    query = sa.select(*_COLUMNS).where(_drafts.c.account == account).order_by(_drafts.c.id)
    with store.read() as connection:
        return [DraftRow(**found._mapping) for found in connection.execute(query)]


def placed(store: Store, account: str) -> list[DraftRow]:
    """The drafts of cases that lie in the mailbox as they are here, oldest first."""
    with store.read() as connection:
        return [DraftRow(*found) for found in connection.execute(_PLACED, {"name": account})]


@dataclass(frozen=True, slots=True)
class Kept:
    """What saving a text came to."""

    version: int
    overtaken: bool = False  # another process had changed the text; what it wrote is among the versions


def save_text(
    store: Store,
    account: str,
    answers: str,
    text: str,
    *,
    written_by: str,
    now: float,
    base: int | None = None,
    apart: bool = False,
    **about: Any,
) -> Kept:
    """Keep `text` as the current draft; `about`: other columns (model, complete, conversation, cost, ...).

    `base`: the version that the writer knows, 0 for none; None: whichever there is. `apart`: the text is another one,
    not the one before, edited further. A text that gives way to one by somebody else, by another process, or to one
    that is apart stays among the versions; the same text stays whose it was. What is known of a revision in the Drafts
    folder stays, but it no longer holds the current text.
    """
    values = {"text": text, "written_by": written_by, "changed_at": now, **about}
    with store.write() as connection:
        serialise(connection, "replies", account)
        found = connection.execute(sa.select(*_COLUMNS).where(*_key(account, answers)).with_for_update()).first()
        if found is None:
            fresh = {
                "account": account,
                "answers": answers,
                "created_at": now,
                "state": "kept",
                "generation": 0,
                "version": 1,
            }
            connection.execute(_drafts.insert().values(**{**fresh, **values}))
            return Kept(1)
        changed = found.text != text
        overtaken = changed and base is not None and base != found.version
        if changed and (overtaken or apart or "model" in (written_by, found.written_by)):
            before = versions.Version(found.text, found.written_by, found.complete)
            versions.add(connection, account, answers, before, at=found.changed_at)
        if not changed:
            values["written_by"] = found.written_by
        readdressed = about.get("reply_all", found.reply_all) != found.reply_all
        if found.state == "approved" or ((changed or readdressed) and found.state == "appended"):
            values["state"] = "kept"  # what lies in Drafts is no longer this
        version = found.version + changed
        connection.execute(_drafts.update().where(*_key(account, answers)).values(**values, version=version))
        return Kept(version, overtaken)


@dataclass(frozen=True, slots=True)
class NewText:
    """What a model wrote for a case of a team mailbox."""

    account: str
    answers: str  # Message-ID of the message answered
    case_id: int
    conversation: str
    text: str
    model: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


def of_case(store: Store, case_id: int) -> DraftRow | None:
    """The current draft of a case, or None."""
    with store.read() as connection:
        return _of_case(connection, case_id)


def in_mailbox() -> sa.ColumnElement[bool]:
    """Whether a revision of ours lies in the mailbox, or may have come there with an APPEND that broke off."""
    return (_drafts.c.folder != "") | (_drafts.c.old_folder != "") | (_drafts.c.pending != b"")


def lies_in_mailbox(connection: sa.Connection, case_id: int) -> bool:
    """The same of the draft of a case, in the caller's transaction."""
    query = sa.select(_drafts.c.id).where(_drafts.c.case_id == case_id, in_mailbox())
    return connection.scalar(query) is not None


def is_persons(connection: sa.Connection, case_id: int) -> bool:
    """Whether a person wrote or edited the current draft of a case, in the caller's transaction."""
    found = _of_case(connection, case_id)
    return found is not None and _is_persons(found)


class Persons(Exception):
    """The current draft is a person's: it gives way to no other."""


def put(connection: sa.Connection, new: NewText, *, now: float) -> None:
    """Make `new` the current draft of its case, in the caller's transaction. Raises Persons.

    The text that gives way stays among the versions; where its revision lies in the mailbox stays known, so that the
    next one takes its place.
    """
    about = {
        "text": new.text, "model": new.model, "conversation": new.conversation, "case_id": new.case_id,
        "written_by": "model", "complete": True, "instruction": "", "reply_all": False,
        "input_tokens": new.input_tokens, "cached_tokens": new.cached_tokens,
        "output_tokens": new.output_tokens, "cost": new.cost, "changed_at": now,
    }  # fmt: skip
    serialise(connection, "replies", new.account)
    if is_postgres(connection):
        connection.execute(sa.select(_drafts.c.id).where(_drafts.c.case_id == new.case_id).with_for_update())
    found = _current(connection, new)
    if found is None:
        fresh = {"account": new.account, "answers": new.answers, "created_at": now, "state": "kept", "generation": 0}
        _NEW.change(connection, {**fresh, **about, "version": 1})
        return
    if _is_persons(found):
        raise Persons()
    if found.text != new.text or found.answers != new.answers:
        before = versions.Version(found.text, found.written_by, found.complete)
        versions.add(connection, found.account, found.answers, before, at=found.changed_at)
    if found.state in ("gone", "approved"):
        about |= {"folder": "", "uidvalidity": None, "uid": None}
    state = found.state if found.state == "appending" else "kept"
    other = _keyed(connection, new.account, new.answers)
    if other is not None and other.id != found.id:  # of an earlier case of the same message
        versions.add(connection, other.account, other.answers, versions.Version(other.text, other.written_by), at=now)
        connection.execute(_drafts.delete().where(_drafts.c.id == other.id))
    mine = _drafts.c.id == found.id
    connection.execute(
        _drafts.update().where(mine).values(**about, answers=new.answers, state=state, version=found.version + 1)
    )


def offer(connection: sa.Connection, new: NewText, *, now: float) -> None:
    """Keep `new` among the versions of the current draft, which is a person's."""
    found = _current(connection, new)
    answers = found.answers if found is not None else new.answers
    versions.add(connection, new.account, answers, versions.Version(new.text, "model"), at=now)


def taken(store: Store, row_id: int, *, now: float) -> None:
    """A person has taken our revision out of the Drafts folder; it is not made again for the same message."""
    mine = (_drafts.c.id == row_id) & (_drafts.c.state == "appended")
    away = {"state": "gone", "folder": "", "uidvalidity": None, "uid": None, "changed_at": now}
    with store.write() as connection:
        connection.execute(_drafts.update().where(mine).values(**away))


def away(row: DraftRow) -> str:
    """The name of the fact that says since when a revision is not in the Drafts folder any more."""
    return f"{_AWAY}{row.id} {row.generation}"


def forget_away(store: Store) -> int:
    """Drop these facts of conversations that came to an end, and of revisions that gave way; how many."""
    with store.read() as connection:
        if connection.scalar(_ANY_AWAY) is None:
            return 0
    names, number, generation = facts.c.name, sa.cast(_drafts.c.id, sa.String), sa.cast(_drafts.c.generation, sa.String)
    missed = (_drafts.c.state == "appended") & (_drafts.c.folder != "") & _cases.c.state.in_(("drafted", "open"))
    still = sa.select(sa.literal(_AWAY) + number + " " + generation).join(_cases, _cases.c.id == _drafts.c.case_id)
    over = names.startswith(_AWAY) & names.not_in(still.where(missed))
    with store.write() as connection:
        return connection.execute(facts.delete().where(over)).rowcount


def _is_persons(row: DraftRow) -> bool:
    return row.state == "person" or (row.written_by == "person" and bool(row.text.strip()) and row.state != "approved")


def _of_case(connection: sa.Connection, case_id: int) -> DraftRow | None:
    found = _OF_CASE.first(connection, {"number": case_id})
    return DraftRow(*found) if found else None


def _current(connection: sa.Connection, new: NewText) -> DraftRow | None:
    """The draft of the case, else one of the same message that is of no case or of an earlier one."""
    asked = {"number": new.case_id, "this_account": new.account, "answered": new.answers}
    found = _CURRENT.first(connection, asked)
    return DraftRow(*found) if found else None


def _keyed(connection: sa.Connection, account: str, answers: str) -> DraftRow | None:
    found = _KEYED.first(connection, {"this_account": account, "answered": answers})
    return DraftRow(*found) if found else None


def change(store: Store, row: DraftRow, *, now: float, **changes: Any) -> DraftRow:
    """Change the row if generation and owner are still those of `row`; the row as it is now. Raises DraftChanged."""
    with store.write() as connection:
        return _changed(connection, row, now, changes)


def intend(store: Store, row: DraftRow, *, now: float, **changes: Any) -> DraftRow:
    """The same for an APPEND, unless a person has decided about the case meanwhile. Raises Decided, DraftChanged.

    Whoever approves holds the case's row, too, and stops where an APPEND is under way: one of both comes first.
    """
    with store.write() as connection:
        if row.case_id is not None:
            state = _CASE_STATE.scalar(connection, {"number": row.case_id})
            if state in ("approved", "answered", "none"):
                raise Decided(state)
        return _changed(connection, row, now, changes)


def _changed(connection: sa.Connection, row: DraftRow, now: float, changes: Mapping[str, Any]) -> DraftRow:
    same = {"number": row.id, "this_generation": row.generation, "this_owner": row.owner}
    changed = _CHANGE.first(connection, {**same, "changed_at": now, **changes})
    if changed is None:
        raise DraftChanged()
    return DraftRow(*changed)


def unfinished(store: Store, account: str) -> list[DraftRow]:
    """Drafts whose revision is on its way into the mailbox, or has come there beside the one it replaces."""
    query = sa.select(*_COLUMNS).where(
        _drafts.c.account == account,
        sa.or_(
            _drafts.c.state == "appending",
            sa.and_(_drafts.c.state.in_(("appended", "kept")), _drafts.c.old_folder != ""),
        ),
    )
    with store.read() as connection:
        return [DraftRow(**found._mapping) for found in connection.execute(query.order_by(_drafts.c.id))]


def claim(store: Store, row: DraftRow, owner: str, *, now: float) -> DraftRow:
    """Make `owner` the one that goes on with `row`, if nothing has touched it meanwhile. Raises DraftChanged."""
    with store.write() as connection:
        same = (
            _drafts.c.id == row.id, _drafts.c.generation == row.generation,
            _drafts.c.owner == row.owner, _drafts.c.changed_at == row.changed_at,
        )  # fmt: skip
        done = connection.execute(_drafts.update().where(*same).values(owner=owner, changed_at=now))
        if done.rowcount != 1:
            raise DraftChanged()
        found = connection.execute(sa.select(*_COLUMNS).where(_drafts.c.id == row.id)).one()
        return DraftRow(**found._mapping)


def release(store: Store, row_id: int, owner: str) -> None:
    """`owner` no longer works on the row: any process may go on."""
    with store.read() as connection:
        if _OWNER.scalar(connection, {"number": row_id}) != owner:
            return  # given back with the last step
    with store.write() as connection:
        connection.execute(_drafts.update().where(_drafts.c.id == row_id, _drafts.c.owner == owner).values(owner=""))


def note(store: Store, row_id: int, error: str, *, now: float) -> None:
    """Keep why the draft is not in the mailbox yet."""
    with store.write() as connection:
        connection.execute(_drafts.update().where(_drafts.c.id == row_id).values(error=error, changed_at=now))


def _key(account: str, answers: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _drafts.c.account == account, _drafts.c.answers == answers
