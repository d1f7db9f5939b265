"""The tables of a team's work, beside those of `schema.py`; SQLite on one machine, PostgreSQL on several.

Times are seconds since 1970 (UTC, float). What the constraints say holds whatever happens: one arrival for each
message, however many team addresses it came to; one case for each conversation of a mailbox; one current draft and one
open approval for each case.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mailassist.store.schema import Number, metadata

# One row a team mailbox: what the watcher last saw, and why nothing is drafted, where that is so.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("mailbox", String, primary_key=True),  # the account's name
    Column("cutoff", Float, nullable=False, default=0.0),  # mail that arrived before is never drafted by itself
    Column("paused", Text, nullable=False, default=""),  # why no drafts are made; "" while they are
    Column("paused_at", Float),
    Column("resumed_at", Float, nullable=False, default=0.0),  # drafts from before say nothing any more
    Column("watcher", String, nullable=False, default=""),  # host:pid that holds the lease
    Column("connection", String, nullable=False, default=""),  # idle | notify | poll | offline | refused
    Column("connected_at", Float),
    Column("looked_at", Float),  # the last look with the cursor that came through: what watchdog and status go by
    Column("error", Text, nullable=False, default=""),  # of the last look that did not
    Column("error_at", Float),
)

# How far each folder of a team mailbox has been looked through for arrivals and answers: from `lowest` up to `uid`.
looked = Table(
    "looked",
    metadata,
    Column("mailbox", String, primary_key=True),
    Column("folder", String, primary_key=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("lowest", BigInteger, nullable=False),
)

# A conversation of a team mailbox, as the team works on it.
cases = Table(
    "cases",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("conversation", String, nullable=False),  # the key of `mail.threads.Conversation` when the case was opened
    Column("message_id", String, nullable=False),  # the newest message from the other side: what is to be answered
    Column("arrived", Float, nullable=False),  # its arrival
    Column("subject", Text, nullable=False, default=""),
    Column("correspondent", Text, nullable=False, default=""),  # `Name <address>`
    # open (being worked on) | drafted | person (no draft: a person is wanted) | missing (information) | approved (on
    # its way out) | answered | none (no reply needed) | theirs (a person edited or deleted our draft) | failed
    Column("state", String, nullable=False, default="open"),
    Column("reason", Text, nullable=False, default=""),  # of the state, in plain words
    Column("missing", Text, nullable=False, default=""),  # what information is missing, one a line
    Column("category", String, nullable=False, default=""),
    Column("urgency", String, nullable=False, default=""),  # low | normal | high
    Column("language", String, nullable=False, default=""),
    Column("due", Float),  # the reply target, in office hours
    Column("assigned_to", String, nullable=False, default=""),
    Column("claimed_by", String, nullable=False, default=""),
    Column("claimed_until", Float, nullable=False, default=0.0),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("mailbox", "conversation"),
    Index("cases_by_state", "state"),
    Index("cases_by_message", "mailbox", "message_id"),
)

# One row for each message that arrived, however many team addresses it came to: its way through the steps.
arrivals = Table(
    "arrivals",
    metadata,
    Column("id", Number, primary_key=True),
    Column("key", String, nullable=False, unique=True),  # a hash of Message-ID, From, Date, and Subject
    Column("mailbox", String, nullable=False),  # the account that works on it
    Column("message_id", String, nullable=False),
    Column("case_id", Number, ForeignKey("cases.id")),
    Column("sender", String, nullable=False, default=""),  # bare address, lower case
    Column("received", Float, nullable=False),
    # On the way: unread (the server does not give its headers) | seen | triaged | packed | drafted | withdrawing (our
    # draft leaves the Drafts folder). At an end:
    # delivered | none (no reply needed) | person | missing | superseded (a newer message of the conversation is worked
    # on) | answered | theirs | failed
    Column("state", String, nullable=False, default="seen"),
    Column("reason", Text, nullable=False, default=""),
    Column("backlog", Boolean, nullable=False, default=False),  # it came while nobody watched
    Column("attempts", Integer, nullable=False, default=0),  # failures of the present step
    Column("not_before", Float, nullable=False, default=0.0),
    Column("error", Text, nullable=False, default=""),
    Column(
        "fence", Integer, nullable=False, default=0
    ),  # grows with each lease; a change names the one it was made under
    Column("owner", String, nullable=False, default=""),  # host:pid:thread that works on it
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("prompt_tokens", Integer, nullable=False, default=0),
    Column("prompt_hash", String, nullable=False, default=""),
    Column("prompt_version", String, nullable=False, default=""),  # of templates and instructions
    # The row of `batches` in which its draft waits, "waiting" until there is one: nobody else works on it meanwhile.
    Column("batch", String, nullable=False, default=""),
    Column("batched", Boolean, nullable=False, default=False),  # it waited once: from then on it is asked directly
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("arrivals_by_state", "state", "not_before"),
    Index("arrivals_by_case", "case_id"),
    Index("arrivals_by_sender", "mailbox", "sender", "received"),
)

# Where the copies of an arrival lie, by mailbox: support@ and sales@ each have one.
arrival_copies = Table(
    "arrival_copies",
    metadata,
    Column("key", String, primary_key=True),
    Column("mailbox", String, primary_key=True),
    Column("folder", String, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
)

# What colleagues tell each other about a case. Never part of a prompt.
case_notes = Table(
    "case_notes",
    metadata,
    Column("id", Number, primary_key=True),
    Column("case_id", Number, ForeignKey("cases.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("text", Text, nullable=False),
    Index("case_notes_by_case", "case_id"),
)

# An approval: one open one for each case, whoever gave it. The reply itself leaves through the outbox of that person.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Number, primary_key=True),
    Column("case_id", Number, ForeignKey("cases.id"), nullable=False),
    Column("answers", String, nullable=False),  # Message-ID of the message answered
    Column("who", String, nullable=False),
    Column("text", Text, nullable=False, default=""),  # what was approved; emptied with the retention
    Column("fingerprint", String, nullable=False, default=""),
    Column("state", String, nullable=False),  # claimed | checked | sending | sent | stopped | refused | unknown
    Column("open", Integer, nullable=True, default=1),  # 1 while it may still leave, else NULL
    Column("said", Text, nullable=False, default=""),  # what stopped it, or how it ended
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("case_id", "open"),
)

# What became of a draft, from what really left: never from a model's opinion of itself.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("answers", String, nullable=False),
    Column("outcome", String, nullable=False),  # as is | edited | discarded | elsewhere
    Column("likeness", Float, nullable=False, default=0.0),  # of the draft and what was sent, 0 to 1
    Column("category", String, nullable=False, default=""),
    Column("model", String, nullable=False, default=""),
    Column("prompt_version", String, nullable=False, default=""),
    Column("at", Float, nullable=False),
    UniqueConstraint("mailbox", "answers"),
    Index("feedback_by_outcome", "mailbox", "outcome", "at"),
)

# The audit trail: only added to. `seal` is a keyed hash over the entry and the seal before it; its key is not here.
audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # 1, 2, 3, ...: no gap
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),  # a database role, a user of this machine, or "daemon"
    Column("action", String, nullable=False),
    Column("mailbox", String, nullable=False, default=""),
    Column("case_id", Number),
    Column("written_hash", String, nullable=False, default=""),  # keyed, of what the model wrote
    Column("sent_hash", String, nullable=False, default=""),  # keyed, of what was approved or sent
    Column("details", Text, nullable=False, default=""),  # JSON without content
    Column("seal", LargeBinary, nullable=False),
)

# What people of PostgreSQL did: the daemon, which alone has the key, seals these into `audit`, in this order.
audit_inbox = Table(
    "audit_inbox",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Float, nullable=False),  # by the database's clock, whatever the client says
    Column("who", String, nullable=False),  # set by the database from the role, whatever the client says
    Column("action", String, nullable=False),
    Column("mailbox", String, nullable=False, default=""),
    Column("case_id", Number),
    Column("written", Text, nullable=False, default=""),  # hashed when it is sealed
    Column("sent", Text, nullable=False, default=""),
    Column("details", Text, nullable=False, default=""),
)

# The texts that an entry of the trail is about; retention and `forget` empty this table, the trail stays whole.
audit_texts = Table(
    "audit_texts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("written", Text, nullable=False, default=""),
    Column("sent", Text, nullable=False, default=""),
    Column("until", Float, nullable=False),
)

# Prompts that are kept: for a batch, or on the operator's wish, until `until`.
prompts = Table(
    "prompts",
    metadata,
    Column("arrival_id", Number, ForeignKey("arrivals.id"), primary_key=True),
    Column("body", Text, nullable=False),  # JSON
    Column("until", Float, nullable=False),
    Column("ledger_id", Integer),  # the call that is reserved for it, while it waits for a batch
)

# Jobs at the provider's Batch API.
batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),  # the provider's; `new-` and our key until it is known
    Column("key", String, nullable=False, default=""),  # ours, by which it is found at the provider
    Column("model", String, nullable=False),
    # submitting (perhaps the provider has it) | submitted | cancelling | done | expired | failed | cancelled
    Column("state", String, nullable=False),
    Column("input_file", String, nullable=False, default=""),
    Column("output_file", String, nullable=False, default=""),
    Column("error_file", String, nullable=False, default=""),
    Column("files_deleted", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

# How much of the model's account was used, all processes together (PostgreSQL), and when it may be used again.
model_use = Table(
    "model_use",
    metadata,
    Column("name", String, primary_key=True),  # host and model
    Column("requests", Float, nullable=False, default=0.0),  # left in the bucket
    Column("tokens", Float, nullable=False, default=0.0),
    Column("at", Float, nullable=False, default=0.0),  # when the buckets were last filled
    Column("not_before", Float, nullable=False, default=0.0),  # Retry-After, or an open circuit breaker
    Column("failures", Integer, nullable=False, default=0),  # in a row
)

# What people are to hear: urgent and blocked cases at once, the rest once a day.
people_notices = Table(
    "people_notices",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox", String, nullable=False),
    Column("case_id", Number),
    Column("kind", String, nullable=False),  # at once | daily
    Column("reason", Text, nullable=False),  # without content of the mail
    Column("channels", String, nullable=False, default=""),  # that took it, one space between
    Column("created_at", Float, nullable=False),
    Column("told_at", Float),  # when the last of the channels took it
    Index("people_notices_untold", "told_at", "created_at"),
)
