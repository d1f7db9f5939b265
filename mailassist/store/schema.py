"""The tables. Times are seconds since 1970 (UTC, float); ids of mail are msg-ids with angle brackets.

What changes here is a new revision in `migrations/`; a database at an older one is upgraded, at a newer one refused.
"""

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

REVISION = 2  # the newest in migrations/; SQLite's user_version is one more: schema 1 had none

metadata = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")  # 64 bits; only INTEGER counts up by itself in SQLite

# Numbers of conversations on PostgreSQL; on SQLite a fact counts them.
conversation_numbers = Sequence("conversation_numbers", metadata=metadata)

# Small facts of this store: the HMAC key, what was learnt of a server.
facts = Table("facts", metadata, Column("name", String, primary_key=True), Column("value", LargeBinary, nullable=False))

# One row a folder: all messages with UIDs in [lowest_uid, highest_uid] within the age limit are indexed. New mail moves
# highest_uid up, the backfill (newest first) moves lowest_uid down.
folders = Table(
    "folders",
    metadata,
    Column("account", String, primary_key=True),
    Column("folder", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("uidvalidity", Number, nullable=False),
    Column("highest_uid", Number, nullable=False, default=0),
    Column("lowest_uid", Number, nullable=False, default=0),
    Column("complete", Boolean, nullable=False, default=False),  # the backfill has reached the age limit
    Column("message_count", Number, nullable=False, default=0),  # EXISTS then: tells whether something was expunged
    Column("synced_at", Float),
)

# The header index: one row a copy of a message.
messages = Table(
    "messages",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("uidvalidity", Number, nullable=False),
    Column("uid", Number, nullable=False),
    Column("message_id", String, nullable=False),
    Column("in_reply_to", Text, nullable=False, default=""),  # msg-ids, one space between
    Column("reference_ids", Text, nullable=False, default=""),
    Column("thread_id", String, nullable=False, default=""),  # the server's: X-GM-THRID, THREADID
    Column("conversation", Number, nullable=False),  # ours: equal for all that may belong together (see store/links.py)
    Column("subject", Text, nullable=False, default=""),
    Column("sender_name", Text, nullable=False, default=""),  # From, decoded
    Column("sender_address", Text, nullable=False, default=""),
    Column("recipients", Text, nullable=False, default=""),  # addresses of To and Cc, lower case, one space between
    Column("date", Float, nullable=False),  # Date, else INTERNALDATE
    Column("received", Float, nullable=False),  # INTERNALDATE, else Date
    Column("size", Number, nullable=False, default=0),
    Column("flags", String, nullable=False, default=""),  # IMAP flags, sorted, one space between
    Column("labels", Text, nullable=False, default=""),  # Gmail's, one a line
    Column("headers", LargeBinary, nullable=False, default=b""),  # as sent, for the decision who waits
    UniqueConstraint("account", "folder", "uidvalidity", "uid"),
    Index("messages_by_id", "account", "message_id"),
    Index("messages_by_conversation", "conversation"),
    Index("messages_by_arrival", "account", "received"),
)

# Which conversation a msg-id belongs to, whether or not its message is here; see store/links.py.
links = Table(
    "links",
    metadata,
    Column("link", Number, primary_key=True, autoincrement=False),  # a 63-bit hash
    Column("conversation", Number, nullable=False),
)

# People whose mail up to a moment is not to be indexed again: a keyed hash of the address (`mailassist forget`).
forgotten = Table(
    "forgotten",
    metadata,
    Column("address_hash", LargeBinary, primary_key=True),
    Column("until", Float, nullable=False),
)

# Whole raw messages, where they are kept (keep_text), each until `until`.
texts = Table(
    "texts",
    metadata,
    Column("account", String, primary_key=True),
    Column("message_id", String, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("until", Float, nullable=False),
)

# What belongs to a conversation as a whole.
conversations = Table(
    "conversations",
    metadata,
    Column("account", String, primary_key=True),
    Column("conversation", String, primary_key=True),
    Column("skipped_at_message", String, nullable=False, default=""),  # the newest message when the person skipped it
)

# Replies being worked on. One current row for each message answered.
drafts = Table(
    "drafts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),  # Message-ID of the message answered
    Column("conversation", String, nullable=False, default=""),
    Column("generation", Integer, nullable=False, default=1),  # each revision that is appended has a new Message-ID
    Column("text", Text, nullable=False, default=""),
    Column("written_by", String, nullable=False, default="model"),  # model | person
    Column("model", String, nullable=False, default=""),
    Column("instruction", Text, nullable=False, default=""),
    Column("complete", Boolean, nullable=False, default=True),  # False: the model was cut off or stopped
    Column("version", Integer, nullable=False, default=0),  # grows with each change of the text, by whichever process
    Column("reply_all", Boolean, nullable=False, default=False),  # the person's choice of recipients
    Column("input_tokens", Integer, nullable=False, default=0),  # of the call that wrote it
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("cost", Float, nullable=False, default=0.0),
    # kept | appending | appended (the text as it is now) | person (edited in the mailbox) | gone (deleted there) |
    # approved (in the outbox)
    Column("state", String, nullable=False, default="kept"),
    Column("pending", LargeBinary, nullable=False, default=b""),  # the bytes being appended, so that anyone can go on
    Column("owner", String, nullable=False, default=""),  # the process that appends them
    Column("message_id", String, nullable=False, default=""),  # of the revision in Drafts, or on its way there
    Column("own_id", String, nullable=False, default=""),  # its own header
    Column("fingerprint", String, nullable=False, default=""),  # of its text
    Column("folder", String, nullable=False, default=""),
    Column("uidvalidity", Number),
    Column("uid", Number),
    Column("old_own_id", String, nullable=False, default=""),  # the revision that the one on its way replaces
    Column("old_fingerprint", String, nullable=False, default=""),
    Column("old_folder", String, nullable=False, default=""),
    Column("old_uidvalidity", Number),
    Column("old_uid", Number),
    Column("error", Text, nullable=False, default=""),
    Column("case_id", Number),  # of a team mailbox: its one current draft; see team_schema.py
    Column("placed_for", String, nullable=False, default="", server_default=""),  # what its revision in Drafts answers
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("account", "answers"),
    Index("drafts_case", "case_id", unique=True),
)

# Texts of replies that gave way to others: to a model's, to another window's, to a second thought. Never overwritten.
versions = Table(
    "versions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("written_by", String, nullable=False),  # model | person
    Column("complete", Boolean, nullable=False, default=True),  # False: as in drafts
    Column("at", Float, nullable=False),  # when it gave way
    Index("versions_by_message", "account", "answers"),
)

# Approved replies on their way out; a row is never deleted before it is done and past its retention.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("conversation", String, nullable=False, default=""),
    Column("state", String, nullable=False),  # approved | sending | sent | filed | done | unknown | refused | cancelled
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),  # failures of the present step, for the backoff
    Column("fence", Integer, nullable=False, default=0),  # who may act: a lease with a number that only grows
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("owner", String, nullable=False, default=""),  # the process that holds the lease
    Column("not_before", Float, nullable=False),  # the undo time, then the backoff
    Column("message_id", String, nullable=False),
    Column("sent_message_id", String, nullable=False, default=""),  # what the server made of it (Outlook)
    Column("own_id", String, nullable=False),  # our own header, to find the copy again
    Column("fingerprint", String, nullable=False),
    Column("sender", String, nullable=False),  # MAIL FROM
    Column("recipients", Text, nullable=False),  # RCPT TO, one a line
    Column("raw", LargeBinary, nullable=False),  # the bytes that go over the wire
    Column("raw_hash", String, nullable=False),  # SHA-256 of them, compared before they leave
    Column("subject", Text, nullable=False, default=""),
    Column("text", Text, nullable=False, default=""),  # what the person approved, to be given back
    Column("error", Text, nullable=False, default=""),
    Column("server_answer", Text, nullable=False, default=""),  # text of the final 250
    Column("data_started", Boolean, nullable=False, default=False),
    Column("filing_started", Boolean, nullable=False, default=False),  # an APPEND to Sent may have happened
    Column("answered_folder", String, nullable=False, default=""),
    Column("answered_uidvalidity", Number),
    Column("answered_uid", Number),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)

# Every call to a model: what it cost and what left this machine.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Float, nullable=False),
    Column("account", String, nullable=False, default=""),
    Column("mailbox", String, nullable=False, default=""),
    Column("purpose", String, nullable=False, default="draft"),
    Column("model", String, nullable=False),
    Column("host", String, nullable=False),  # where the text went; "this machine" for a local model
    Column("state", String, nullable=False),  # reserved | done | failed
    Column("sent", Boolean, nullable=False, default=True),  # whether the prompt can have left
    Column("messages", Integer, nullable=False, default=0),  # how many messages' text was in the prompt
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("estimated", Boolean, nullable=False, default=False),  # no usage came back; counted here
    Column("cost", Float, nullable=False, default=0.0),  # US dollars
    Column("error", String, nullable=False, default=""),
    # All that is asked before each call lies in the index: what a day cost, how many calls an hour had.
    Index("ledger_by_time", "at", "account", "purpose", "state", "cost"),
)
