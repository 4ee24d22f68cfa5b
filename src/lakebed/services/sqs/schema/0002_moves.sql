-- Message move tasks (dead-letter queue redrive). At most ten of a source are kept.
CREATE TABLE sqs_move (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  source TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  handle TEXT NOT NULL UNIQUE,
  destination TEXT,
  rate INTEGER,
  status TEXT NOT NULL CHECK (status IN ('RUNNING', 'COMPLETED', 'CANCELLED', 'FAILED')),
  failure TEXT NOT NULL DEFAULT '',
  to_move INTEGER NOT NULL,
  moved INTEGER NOT NULL DEFAULT 0,
  started REAL NOT NULL
) STRICT;
CREATE INDEX sqs_move_source ON sqs_move (source, id);
CREATE INDEX sqs_move_running ON sqs_move (id) WHERE status = 'RUNNING';
