"""What a reviewer's role of PostgreSQL may read and write: as little as its part of the queue needs.

Never the store's key (`facts`) nor the texts of the audit trail; what a role writes carries its name, by triggers.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

from mailassist.errors import StoreError
from mailassist.store.database import Store

Level = Literal["see", "draft", "approve", "nothing"]
_READ = "alembic_version, cases, case_notes, drafts, versions, approvals, mailboxes"
_SEE = (
    f"SELECT ON {_READ}",
    "SELECT (key, case_id, message_id) ON arrivals",
    "SELECT (key, mailbox) ON arrival_copies",
)
_DRAFT = (
    "UPDATE (claimed_by, claimed_until, assigned_to, state, reason, changed_at) ON cases",
    "INSERT, UPDATE ON drafts",
    "INSERT ON versions, case_notes, audit_inbox",
    "SELECT (id) ON audit_inbox",
    "USAGE ON SEQUENCE drafts_id_seq, versions_id_seq, case_notes_id_seq, audit_inbox_id_seq",
)
_APPROVE = ("INSERT, UPDATE ON approvals", "USAGE ON SEQUENCE approvals_id_seq")
_LEVELS: dict[Level, tuple[str, ...]] = {
    "nothing": (),
    "see": _SEE,
    "draft": (*_SEE, *_DRAFT),
    "approve": (*_SEE, *_DRAFT, *_APPROVE),
}


def grant(store: Store, role: str, level: Level) -> None:
    """Give `role` the rights of `level`, and take what it had beyond; only the owner of the tables can.

    Raises StoreError.
    """
    with store.write() as connection:
        if connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
            raise StoreError(f"There is no role {role!r}", cure=f"As an administrator: CREATE ROLE {role} LOGIN.")
        if connection.scalar(sa.text("SELECT pg_has_role(:role, tableowner, 'MEMBER') FROM pg_tables "
                                     "WHERE tablename = 'cases'"), {"role": role}):  # fmt: skip
            raise StoreError(
                f"{role!r} owns the tables and may do everything", cure="Give reviewers roles of their own."
            )
        quoted = connection.dialect.identifier_preparer.quote_identifier(role).replace("%", "%%")
        for kind in ("TABLES", "SEQUENCES"):
            connection.exec_driver_sql(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {quoted}")
        for right in _LEVELS[level]:
            connection.exec_driver_sql(f"GRANT {right} TO {quoted}")
