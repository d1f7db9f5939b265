-- What mailassist made of a new store with schema 2.
CREATE TABLE facts (
  name VARCHAR NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE folders (
  account VARCHAR NOT NULL,
  folder VARCHAR NOT NULL,
  role VARCHAR NOT NULL,
  uidvalidity INTEGER NOT NULL,
  highest_uid INTEGER NOT NULL,
  lowest_uid INTEGER NOT NULL,
  complete BOOLEAN NOT NULL,
  message_count INTEGER NOT NULL,
  synced_at FLOAT,
  PRIMARY KEY (account, folder)
);
CREATE TABLE messages (
  id INTEGER NOT NULL,
  account VARCHAR NOT NULL,
  folder VARCHAR NOT NULL,
  uidvalidity INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  message_id VARCHAR NOT NULL,
  in_reply_to TEXT NOT NULL,
  reference_ids TEXT NOT NULL,
  thread_id VARCHAR NOT NULL,
  conversation INTEGER NOT NULL,
  subject TEXT NOT NULL,
  sender_name TEXT NOT NULL,
  sender_address TEXT NOT NULL,
  recipients TEXT NOT NULL,
  date FLOAT NOT NULL,
  received FLOAT NOT NULL,
  size INTEGER NOT NULL,
  flags VARCHAR NOT NULL,
  labels TEXT NOT NULL,
  headers BLOB NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (account, folder, uidvalidity, uid)
);
CREATE INDEX messages_by_id ON messages (account, message_id);
CREATE INDEX messages_by_conversation ON messages (conversation);
CREATE INDEX messages_by_arrival ON messages (account, received);
CREATE TABLE links (
  link INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  PRIMARY KEY (link)
);
CREATE TABLE forgotten (
  address_hash BLOB NOT NULL,
  until FLOAT NOT NULL,
  PRIMARY KEY (address_hash)
);
CREATE TABLE texts (
  account VARCHAR NOT NULL,
  message_id VARCHAR NOT NULL,
  raw BLOB NOT NULL,
  until FLOAT NOT NULL,
  PRIMARY KEY (account, message_id)
);
CREATE TABLE conversations (
  account VARCHAR NOT NULL,
  conversation VARCHAR NOT NULL,
  delimiter VARCHAR NOT NULL,
  skipped_at_message VARCHAR NOT NULL,
  PRIMARY KEY (account, conversation)
);
CREATE TABLE drafts (
  id INTEGER NOT NULL,
  account VARCHAR NOT NULL,
  answers VARCHAR NOT NULL,
  conversation VARCHAR NOT NULL,
  generation INTEGER NOT NULL,
  text TEXT NOT NULL,
  written_by VARCHAR NOT NULL,
  model VARCHAR NOT NULL,
  instruction TEXT NOT NULL,
  complete BOOLEAN NOT NULL,
  version INTEGER NOT NULL,
  reply_all BOOLEAN NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost FLOAT NOT NULL,
  state VARCHAR NOT NULL,
  pending BLOB NOT NULL,
  owner VARCHAR NOT NULL,
  message_id VARCHAR NOT NULL,
  own_id VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL,
  folder VARCHAR NOT NULL,
  uidvalidity INTEGER,
  uid INTEGER,
  old_own_id VARCHAR NOT NULL,
  old_fingerprint VARCHAR NOT NULL,
  old_folder VARCHAR NOT NULL,
  old_uidvalidity INTEGER,
  old_uid INTEGER,
  error TEXT NOT NULL,
  created_at FLOAT NOT NULL,
  changed_at FLOAT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (account, answers)
);
CREATE TABLE versions (
  id INTEGER NOT NULL,
  account VARCHAR NOT NULL,
  answers VARCHAR NOT NULL,
  text TEXT NOT NULL,
  written_by VARCHAR NOT NULL,
  complete BOOLEAN NOT NULL,
  at FLOAT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX versions_by_message ON versions (account, answers);
CREATE TABLE outbox (
  id INTEGER NOT NULL,
  account VARCHAR NOT NULL,
  answers VARCHAR NOT NULL,
  conversation VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  leased_until FLOAT NOT NULL,
  owner VARCHAR NOT NULL,
  not_before FLOAT NOT NULL,
  message_id VARCHAR NOT NULL,
  sent_message_id VARCHAR NOT NULL,
  own_id VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL,
  sender VARCHAR NOT NULL,
  recipients TEXT NOT NULL,
  raw BLOB NOT NULL,
  raw_hash VARCHAR NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  error TEXT NOT NULL,
  server_answer TEXT NOT NULL,
  data_started BOOLEAN NOT NULL,
  filing_started BOOLEAN NOT NULL,
  answered_folder VARCHAR NOT NULL,
  answered_uidvalidity INTEGER,
  answered_uid INTEGER,
  created_at FLOAT NOT NULL,
  changed_at FLOAT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE ledger (
  id INTEGER NOT NULL,
  at FLOAT NOT NULL,
  account VARCHAR NOT NULL,
  mailbox VARCHAR NOT NULL,
  purpose VARCHAR NOT NULL,
  model VARCHAR NOT NULL,
  host VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  sent BOOLEAN NOT NULL,
  messages INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  estimated BOOLEAN NOT NULL,
  cost FLOAT NOT NULL,
  error VARCHAR NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ledger_by_time ON ledger (at);
PRAGMA user_version = 2;
