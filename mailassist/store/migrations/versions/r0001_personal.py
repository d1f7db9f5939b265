"""The tables of one person's store, as SQLite's user_version 2 had them; a file of user_version 1 becomes one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)

revision = "1"
down_revision = None

metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")
Sequence("conversation_numbers", metadata=metadata)

Table("facts", metadata, Column("name", String, primary_key=True), Column("value", LargeBinary, nullable=False))

Table(
    "folders",
    metadata,
    Column("account", String, primary_key=True),
    Column("folder", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("uidvalidity", Number, nullable=False),
    Column("highest_uid", Number, nullable=False, default=0),
    Column("lowest_uid", Number, nullable=False, default=0),
    Column("complete", Boolean, nullable=False, default=False),
    Column("message_count", Number, nullable=False, default=0),
    Column("synced_at", Float),
)

Table(
    "messages",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("uidvalidity", Number, nullable=False),
    Column("uid", Number, nullable=False),
    Column("message_id", String, nullable=False),
    Column("in_reply_to", Text, nullable=False, default=""),
    Column("reference_ids", Text, nullable=False, default=""),
    Column("thread_id", String, nullable=False, default=""),
    Column("conversation", Number, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("sender_name", Text, nullable=False, default=""),
    Column("sender_address", Text, nullable=False, default=""),
    Column("recipients", Text, nullable=False, default=""),
    Column("date", Float, nullable=False),
    Column("received", Float, nullable=False),
    Column("size", Number, nullable=False, default=0),
    Column("flags", String, nullable=False, default=""),
    Column("labels", Text, nullable=False, default=""),
    Column("headers", LargeBinary, nullable=False, default=b""),
    UniqueConstraint("account", "folder", "uidvalidity", "uid"),
    Index("messages_by_id", "account", "message_id"),
    Index("messages_by_conversation", "conversation"),
    Index("messages_by_arrival", "account", "received"),
)

Table(
    "links",
    metadata,
    Column("link", Number, primary_key=True, autoincrement=False),
    Column("conversation", Number, nullable=False),
)

Table(
    "forgotten",
    metadata,
    Column("address_hash", LargeBinary, primary_key=True),
    Column("until", Float, nullable=False),
)

Table(
    "texts",
    metadata,
    Column("account", String, primary_key=True),
    Column("message_id", String, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("until", Float, nullable=False),
)

Table(
    "conversations",
    metadata,
    Column("account", String, primary_key=True),
    Column("conversation", String, primary_key=True),
    Column("delimiter", String, nullable=False, default=""),
    Column("skipped_at_message", String, nullable=False, default=""),
)

Table(
    "drafts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("conversation", String, nullable=False, default=""),
    Column("generation", Integer, nullable=False, default=1),
    Column("text", Text, nullable=False, default=""),
    Column("written_by", String, nullable=False, default="model"),
    Column("model", String, nullable=False, default=""),
    Column("instruction", Text, nullable=False, default=""),
    Column("complete", Boolean, nullable=False, default=True),
    Column("version", Integer, nullable=False, default=0),
    Column("reply_all", Boolean, nullable=False, default=False),
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("cost", Float, nullable=False, default=0.0),
    Column("state", String, nullable=False, default="kept"),
    Column("pending", LargeBinary, nullable=False, default=b""),
    Column("owner", String, nullable=False, default=""),
    Column("message_id", String, nullable=False, default=""),
    Column("own_id", String, nullable=False, default=""),
    Column("fingerprint", String, nullable=False, default=""),
    Column("folder", String, nullable=False, default=""),
    Column("uidvalidity", Number),
    Column("uid", Number),
    Column("old_own_id", String, nullable=False, default=""),
    Column("old_fingerprint", String, nullable=False, default=""),
    Column("old_folder", String, nullable=False, default=""),
    Column("old_uidvalidity", Number),
    Column("old_uid", Number),
    Column("error", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("account", "answers"),
)

Table(
    "versions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("written_by", String, nullable=False),
    Column("complete", Boolean, nullable=False, default=True),
    Column("at", Float, nullable=False),
    Index("versions_by_message", "account", "answers"),
)

Table(
    "outbox",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("conversation", String, nullable=False, default=""),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("fence", Integer, nullable=False, default=0),
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("owner", String, nullable=False, default=""),
    Column("not_before", Float, nullable=False),
    Column("message_id", String, nullable=False),
    Column("sent_message_id", String, nullable=False, default=""),
    Column("own_id", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("raw_hash", String, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("text", Text, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("server_answer", Text, nullable=False, default=""),
    Column("data_started", Boolean, nullable=False, default=False),
    Column("filing_started", Boolean, nullable=False, default=False),
    Column("answered_folder", String, nullable=False, default=""),
    Column("answered_uidvalidity", Number),
    Column("answered_uid", Number),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)

Table(
    "ledger",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Float, nullable=False),
    Column("account", String, nullable=False, default=""),
    Column("mailbox", String, nullable=False, default=""),
    Column("purpose", String, nullable=False, default="draft"),
    Column("model", String, nullable=False),
    Column("host", String, nullable=False),
    Column("state", String, nullable=False),
    Column("sent", Boolean, nullable=False, default=True),
    Column("messages", Integer, nullable=False, default=0),
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("estimated", Boolean, nullable=False, default=False),
    Column("cost", Float, nullable=False, default=0.0),
    Column("error", String, nullable=False, default=""),
    Index("ledger_by_time", "at"),
)


def upgrade() -> None:
    """Make the tables; of a file of user_version 1, keep each text and the one before it."""
    connection = op.get_bind()
    old = {column["name"] for column in _columns(connection, "drafts")}
    if old:
        op.rename_table("drafts", "drafts_1")
    metadata.create_all(connection)
    if old:
        names = ", ".join(column.name for column in metadata.tables["drafts"].columns if column.name in old)
        op.execute(f"INSERT INTO drafts ({names}, version, reply_all) SELECT {names}, 1, 0 FROM drafts_1")
        op.execute(
            "INSERT INTO versions (account, answers, text, written_by, complete, at) "
            "SELECT account, answers, previous, 'person', 1, changed_at FROM drafts_1 WHERE previous != ''"
        )
        op.drop_table("drafts_1")


def _columns(connection: sa.Connection, table: str) -> list[sa.engine.interfaces.ReflectedColumn]:
    inspector = sa.inspect(connection)
    return inspector.get_columns(table) if inspector.has_table(table) else []


def downgrade() -> None:
    """There is nothing before."""
    raise NotImplementedError
