-- A purge gives the queue a new id: the messages of the old one are discarded by a task, a bounded number at a time.
CREATE TABLE sqs_queue (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  id INTEGER NOT NULL UNIQUE,
  attributes BLOB NOT NULL,
  tags BLOB NOT NULL,
  created REAL NOT NULL,
  modified REAL NOT NULL,
  purged REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE sqs_message (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  queue_id INTEGER NOT NULL,
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL,
  body TEXT NOT NULL,
  md5 TEXT NOT NULL,
  extra BLOB NOT NULL,
  sender TEXT NOT NULL,
  sent REAL NOT NULL,
  visible_at REAL NOT NULL,
  receives INTEGER NOT NULL DEFAULT 0,
  first_received REAL,
  received REAL
) STRICT;
-- In the order of receiving: equal times by seq, which every index ends with.
CREATE INDEX sqs_message_visible ON sqs_message (queue_id, visible_at);
CREATE INDEX sqs_message_in_flight ON sqs_message (queue_id, visible_at) WHERE receives > 0;
CREATE INDEX sqs_message_sent ON sqs_message (queue_id, sent);
CREATE TABLE sqs_discarded (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  queue_id INTEGER NOT NULL,
  PRIMARY KEY (account, region, queue_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE sqs_sequence (one INTEGER PRIMARY KEY CHECK (one = 1), next_id INTEGER NOT NULL) STRICT;
INSERT INTO sqs_sequence VALUES (1, 1);
