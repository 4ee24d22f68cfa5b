CREATE TABLE log_group (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  created INTEGER NOT NULL,
  retention_days INTEGER,
  stored_bytes INTEGER NOT NULL DEFAULT 0,
  tags BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_group_name ON log_group (account, region, name);
CREATE TABLE log_stream (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  group_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  created INTEGER NOT NULL,
  first_event INTEGER,
  last_event INTEGER NOT NULL DEFAULT -1,
  last_ingestion INTEGER
) STRICT;
CREATE UNIQUE INDEX log_stream_name ON log_stream (group_id, name);
CREATE INDEX log_stream_last_event ON log_stream (group_id, last_event, name);
CREATE TABLE log_event (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  group_id INTEGER NOT NULL,
  stream_id INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ingested INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX log_event_of_stream ON log_event (stream_id, timestamp, id);
CREATE INDEX log_event_of_group ON log_event (group_id, timestamp, id);
-- Deleted streams whose events a task removes.
CREATE TABLE log_discarded (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  stream_id INTEGER NOT NULL,
  PRIMARY KEY (account, region, stream_id)
) STRICT, WITHOUT ROWID;
