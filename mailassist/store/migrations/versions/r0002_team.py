"""The tables of a team's work, and the one current draft of each of its cases."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mailassist.store import triggers

revision = "2"
down_revision = "1"

metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")

Table(
    "mailboxes",
    metadata,
    Column("mailbox", String, primary_key=True),
    Column("cutoff", Float, nullable=False, default=0.0),
    Column("paused", Text, nullable=False, default=""),
    Column("paused_at", Float),
    Column("resumed_at", Float, nullable=False, default=0.0),
    Column("watcher", String, nullable=False, default=""),
    Column("connection", String, nullable=False, default=""),
    Column("connected_at", Float),
    Column("looked_at", Float),
    Column("error", Text, nullable=False, default=""),
    Column("error_at", Float),
)

Table(
    "looked",
    metadata,
    Column("mailbox", String, primary_key=True),
    Column("folder", String, primary_key=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("lowest", BigInteger, nullable=False),
)

Table(
    "cases",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("conversation", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("arrived", Float, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("correspondent", Text, nullable=False, default=""),
    Column("state", String, nullable=False, default="open"),
    Column("reason", Text, nullable=False, default=""),
    Column("missing", Text, nullable=False, default=""),
    Column("category", String, nullable=False, default=""),
    Column("urgency", String, nullable=False, default=""),
    Column("language", String, nullable=False, default=""),
    Column("due", Float),
    Column("assigned_to", String, nullable=False, default=""),
    Column("claimed_by", String, nullable=False, default=""),
    Column("claimed_until", Float, nullable=False, default=0.0),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("mailbox", "conversation"),
    Index("cases_by_state", "state"),
    Index("cases_by_message", "mailbox", "message_id"),
)

Table(
    "arrivals",
    metadata,
    Column("id", Number, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("mailbox", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("case_id", Number, ForeignKey("cases.id")),
    Column("sender", String, nullable=False, default=""),
    Column("received", Float, nullable=False),
    Column("state", String, nullable=False, default="seen"),
    Column("reason", Text, nullable=False, default=""),
    Column("backlog", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("error", Text, nullable=False, default=""),
    Column("fence", Integer, nullable=False, default=0),
    Column("owner", String, nullable=False, default=""),
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("prompt_tokens", Integer, nullable=False, default=0),
    Column("prompt_hash", String, nullable=False, default=""),
    Column("prompt_version", String, nullable=False, default=""),
    Column("batch", String, nullable=False, default=""),
    Column("batched", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("arrivals_by_state", "state", "not_before"),
    Index("arrivals_by_case", "case_id"),
    Index("arrivals_by_sender", "mailbox", "sender", "received"),
)

Table(
    "arrival_copies",
    metadata,
    Column("key", String, primary_key=True),
    Column("mailbox", String, primary_key=True),
    Column("folder", String, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
)

Table(
    "case_notes",
    metadata,
    Column("id", Number, primary_key=True),
    Column("case_id", Number, ForeignKey("cases.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("text", Text, nullable=False),
    Index("case_notes_by_case", "case_id"),
)

Table(
    "approvals",
    metadata,
    Column("id", Number, primary_key=True),
    Column("case_id", Number, ForeignKey("cases.id"), nullable=False),
    Column("answers", String, nullable=False),
    Column("who", String, nullable=False),
    Column("text", Text, nullable=False, default=""),
    Column("fingerprint", String, nullable=False, default=""),
    Column("state", String, nullable=False),
    Column("open", Integer, nullable=True, default=1),
    Column("said", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("case_id", "open"),
)

Table(
    "feedback",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("likeness", Float, nullable=False, default=0.0),
    Column("category", String, nullable=False, default=""),
    Column("model", String, nullable=False, default=""),
    Column("prompt_version", String, nullable=False, default=""),
    Column("at", Float, nullable=False),
    UniqueConstraint("mailbox", "answers"),
    Index("feedback_by_outcome", "mailbox", "outcome", "at"),
)

Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("mailbox", String, nullable=False, default=""),
    Column("case_id", Number),
    Column("written_hash", String, nullable=False, default=""),
    Column("sent_hash", String, nullable=False, default=""),
    Column("details", Text, nullable=False, default=""),
    Column("seal", LargeBinary, nullable=False),
)

Table(
    "audit_inbox",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("mailbox", String, nullable=False, default=""),
    Column("case_id", Number),
    Column("written", Text, nullable=False, default=""),
    Column("sent", Text, nullable=False, default=""),
    Column("details", Text, nullable=False, default=""),
)

Table(
    "audit_texts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("written", Text, nullable=False, default=""),
    Column("sent", Text, nullable=False, default=""),
    Column("until", Float, nullable=False),
)

Table(
    "prompts",
    metadata,
    Column("arrival_id", Number, ForeignKey("arrivals.id"), primary_key=True),
    Column("body", Text, nullable=False),
    Column("until", Float, nullable=False),
    Column("ledger_id", Integer),
)

Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False, default=""),
    Column("model", String, nullable=False),
    Column("state", String, nullable=False),
    Column("input_file", String, nullable=False, default=""),
    Column("output_file", String, nullable=False, default=""),
    Column("error_file", String, nullable=False, default=""),
    Column("files_deleted", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

Table(
    "model_use",
    metadata,
    Column("name", String, primary_key=True),
    Column("requests", Float, nullable=False, default=0.0),
    Column("tokens", Float, nullable=False, default=0.0),
    Column("at", Float, nullable=False, default=0.0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("failures", Integer, nullable=False, default=0),
)

Table(
    "people_notices",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("case_id", Number),
    Column("kind", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("channels", String, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("told_at", Float),
    Index("people_notices_untold", "told_at", "created_at"),
)


def upgrade() -> None:
    """Make the tables and what guards them."""
    op.add_column("drafts", Column("case_id", Number))
    op.add_column("drafts", Column("placed_for", String, nullable=False, server_default=""))
    op.create_index("drafts_case", "drafts", ["case_id"], unique=True)
    op.drop_column("conversations", "delimiter")  # it follows from the store's key
    op.drop_index("ledger_by_time", "ledger")
    op.create_index("ledger_by_time", "ledger", ["at", "account", "purpose", "state", "cost"])
    metadata.create_all(op.get_bind(), checkfirst=False)
    for statement in triggers.create(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Remove the tables with all that is in them."""
    for statement in triggers.drop(op.get_bind().dialect.name):
        op.execute(statement)
    metadata.drop_all(op.get_bind(), checkfirst=False)
    op.drop_index("ledger_by_time", "ledger")
    op.create_index("ledger_by_time", "ledger", ["at"])
    op.add_column("conversations", Column("delimiter", String, nullable=False, server_default=""))
    op.drop_index("drafts_case", "drafts")
    op.drop_column("drafts", "placed_for")
    op.drop_column("drafts", "case_id")
