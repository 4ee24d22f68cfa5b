-- Streams and their shards; records are in segment logs named kinesis/<uid>/<shard>.
CREATE TABLE kinesis_stream (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  uid TEXT NOT NULL UNIQUE,
  secret BLOB NOT NULL,
  mode TEXT NOT NULL,
  created_at REAL NOT NULL,
  retention_hours INTEGER NOT NULL,
  record_kib_max INTEGER NOT NULL,
  tags TEXT NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE kinesis_shard (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES kinesis_stream (uid) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  hash_start TEXT NOT NULL,
  hash_end TEXT NOT NULL,
  parent INTEGER,
  adjacent_parent INTEGER,
  opened_at REAL NOT NULL,
  closed_at REAL,
  end_offset INTEGER,
  PRIMARY KEY (account, region, uid, number)
) STRICT;
