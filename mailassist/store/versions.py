"""The versions table: texts of replies that gave way to others, so that none is lost and each can be had again."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from mailassist.store import schema
from mailassist.store.database import Store

_versions = schema.versions
_drafts = schema.drafts
_UNANSWERED = (_drafts.c.conversation != "", _drafts.c.text != "", _drafts.c.state != "approved")


@dataclass(frozen=True, slots=True)
class Version:
    """A text that was once the current one."""

    text: str
    written_by: str  # model | person
    complete: bool = True  # False: the model was cut off or stopped


def add(connection: sa.Connection, account: str, answers: str, version: Version, *, at: float) -> None:
    """Keep `version` beside the current text, in the caller's transaction; once, however often it gives way."""
    about = {"text": version.text, "written_by": version.written_by, "complete": version.complete}
    row = {"account": account, "answers": answers, **about}
    same = (_versions.c[name] == value for name, value in row.items())
    if version.text.strip() and connection.execute(sa.select(_versions.c.id).where(*same)).first() is None:
        connection.execute(_versions.insert().values(**row, at=at))


def others(store: Store, account: str, answers: str, conversation: str) -> list[Version]:
    """Every text besides the current one, oldest first.

    It was written for the message `answers`, or for an earlier one of `conversation` that was never answered.
    """
    mine = (
        _drafts.c.account == account, _drafts.c.answers != answers, _drafts.c.conversation == conversation, *_UNANSWERED
    )  # fmt: skip
    earlier = sa.select(_drafts.c.text, _drafts.c.written_by, _drafts.c.complete, _drafts.c.changed_at).where(*mine)
    about = (_versions.c.answers == answers) | _versions.c.answers.in_(sa.select(_drafts.c.answers).where(*mine))
    replaced = sa.select(_versions.c.text, _versions.c.written_by, _versions.c.complete, _versions.c.at)
    with store.read() as connection:
        rows = [
            *connection.execute(replaced.where(_versions.c.account == account, about)),
            *connection.execute(earlier),
        ]
    return list(dict.fromkeys(Version(*version) for *version, _ in sorted(rows, key=lambda row: row[-1])))


def known(store: Store, account: str) -> frozenset[str]:
    """The messages and conversations for which there are texts besides the current ones."""
    several = (
        sa.select(_drafts.c.conversation)
        .where(_drafts.c.account == account, *_UNANSWERED)
        .group_by(_drafts.c.conversation)
        .having(sa.func.count() > 1)
    )
    replaced = sa.select(_versions.c.answers).where(_versions.c.account == account).distinct()
    with store.read() as connection:
        return frozenset([*connection.scalars(replaced), *connection.scalars(several)])
