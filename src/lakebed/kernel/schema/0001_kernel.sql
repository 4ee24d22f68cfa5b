CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  body BLOB NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL
) STRICT;
CREATE INDEX outbox_by_topic ON outbox (topic, id);
CREATE TABLE outbox_dead (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  body BLOB NOT NULL,
  failed_at REAL NOT NULL,
  error TEXT NOT NULL
) STRICT;
-- A run is anything with a start and an end; only the owner of the lease may write the end.
CREATE TABLE run (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'ENDED')),
  owner TEXT NOT NULL DEFAULT '',
  lease_until REAL NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  queued_at REAL NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_open ON run (kind, queued_at) WHERE state <> 'ENDED';
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  request_id TEXT NOT NULL,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  principal TEXT NOT NULL,
  service TEXT NOT NULL,
  operation TEXT NOT NULL,
  resource TEXT NOT NULL,
  status INTEGER NOT NULL,
  error TEXT NOT NULL,
  duration_ms REAL NOT NULL,
  bytes_in INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  user_agent TEXT NOT NULL
) STRICT;
CREATE TABLE house (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
