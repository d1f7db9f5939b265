"""What the database itself sees to, whoever writes: the audit trail is only added to, *who* is the role and *when* the
database's clock.

Revision 2 makes these. One that changes them gets its own texts, so that each revision makes what it always made.
"""

from __future__ import annotations

import sqlalchemy as sa

from mailassist.store import team_schema
from mailassist.store.schema import metadata

_ONLY_ADDED_TO = "the audit trail is only added to"
_SQLITE = {
    "audit_update": "BEFORE UPDATE ON audit",
    "audit_delete": "BEFORE DELETE ON audit",
    "audit_replace": "BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)",
}
# Functions run with the search path of whoever calls them, who could put functions of their own before ours.
_SAFE = "SET search_path = pg_catalog, pg_temp"
_FUNCTIONS = {
    "mailassist_audit": f"RAISE EXCEPTION '{_ONLY_ADDED_TO}';",
    "mailassist_who": """
IF pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
    RETURN NEW;
ELSIF TG_OP = 'UPDATE' THEN
    NEW.who := OLD.who;
ELSE
    NEW.who := session_user;
END IF;
RETURN NEW;""",
    "mailassist_when": """
IF NOT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
    NEW.at := extract(epoch FROM clock_timestamp());
END IF;
RETURN NEW;""",
    "mailassist_claim": """
IF NEW.claimed_by <> '' AND NEW.claimed_by IS DISTINCT FROM OLD.claimed_by
    AND NOT (NEW.assigned_to = NEW.claimed_by AND (OLD.claimed_by IN ('', session_user::text) -- handed over
        OR OLD.claimed_until <= extract(epoch FROM clock_timestamp())))
    AND NOT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
    NEW.claimed_by := session_user;
END IF;
RETURN NEW;""",
}
_POSTGRES = {
    "mailassist_rows": "BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION mailassist_audit()",
    "mailassist_all": "BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION mailassist_audit()",
    "mailassist_inbox": "BEFORE INSERT OR UPDATE ON audit_inbox FOR EACH ROW EXECUTE FUNCTION mailassist_who()",
    "mailassist_inbox_at": "BEFORE INSERT ON audit_inbox FOR EACH ROW EXECUTE FUNCTION mailassist_when()",
    "mailassist_notes_at": "BEFORE INSERT ON case_notes FOR EACH ROW EXECUTE FUNCTION mailassist_when()",
    "mailassist_notes": "BEFORE INSERT OR UPDATE ON case_notes FOR EACH ROW EXECUTE FUNCTION mailassist_who()",
    "mailassist_approvals": "BEFORE INSERT OR UPDATE ON approvals FOR EACH ROW EXECUTE FUNCTION mailassist_who()",
    "mailassist_cases": "BEFORE UPDATE ON cases FOR EACH ROW EXECUTE FUNCTION mailassist_claim()",
}


def create(dialect: str) -> list[str]:
    """The statements that make them, for "sqlite" or "postgresql"."""
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED_TO}'); END"
        return [f"CREATE TRIGGER {name} {when} {refuse}" for name, when in _SQLITE.items()]
    functions = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {_SAFE} AS $body$ BEGIN {body} END $body$"
        for name, body in _FUNCTIONS.items()
    ]
    return functions + [f"CREATE TRIGGER {name} {when}" for name, when in _POSTGRES.items()]


def drop(dialect: str) -> list[str]:
    """The statements that remove what would outlive its table."""
    return [] if dialect == "sqlite" else [f"DROP FUNCTION {name}() CASCADE" for name in _FUNCTIONS]


@sa.event.listens_for(metadata, "after_create")
def _with_the_tables(_metadata: sa.MetaData, connection: sa.Connection, tables: object = None, **_: object) -> None:
    """A new file, made without revisions, has them as well."""
    if isinstance(tables, list) and team_schema.audit in tables:
        for statement in create(connection.dialect.name):
            connection.exec_driver_sql(statement)
