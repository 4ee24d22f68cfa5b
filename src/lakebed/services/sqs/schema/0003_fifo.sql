-- FIFO queues: a message has a group, a group a row that says from when on the next of it may be received.
ALTER TABLE sqs_message ADD COLUMN message_group TEXT;
CREATE INDEX sqs_message_group ON sqs_message (queue_id, message_group, seq) WHERE message_group IS NOT NULL;
CREATE INDEX sqs_message_group_received ON sqs_message (queue_id, message_group, visible_at)
  WHERE message_group IS NOT NULL AND receives > 0;
CREATE TABLE sqs_group (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  queue_id INTEGER NOT NULL,
  message_group TEXT NOT NULL,
  free_at REAL NOT NULL,
  PRIMARY KEY (queue_id, message_group)
) STRICT, WITHOUT ROWID;
CREATE INDEX sqs_group_free ON sqs_group (queue_id, free_at, message_group);
-- What was sent within the last five minutes, and what its sender was told. ``within`` is the group or empty.
CREATE TABLE sqs_deduplication (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  queue_id INTEGER NOT NULL,
  within TEXT NOT NULL,
  deduplication TEXT NOT NULL,
  message_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  sent REAL NOT NULL,
  PRIMARY KEY (queue_id, within, deduplication)
) STRICT, WITHOUT ROWID;
CREATE INDEX sqs_deduplication_sent ON sqs_deduplication (sent);
-- What a ReceiveMessage with a ReceiveRequestAttemptId handed out.
CREATE TABLE sqs_attempt (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  queue_id INTEGER NOT NULL,
  attempt TEXT NOT NULL,
  seqs BLOB NOT NULL,
  received REAL NOT NULL,
  visible_at REAL NOT NULL,
  PRIMARY KEY (queue_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX sqs_attempt_received ON sqs_attempt (received);
