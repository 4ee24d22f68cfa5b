-- Encryption, sharing, monitoring and on-demand scaling of streams; tags and policies of consumers.
ALTER TABLE kinesis_stream ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE kinesis_stream ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE kinesis_stream ADD COLUMN metrics TEXT NOT NULL DEFAULT '[]';
ALTER TABLE kinesis_stream ADD COLUMN distribution TEXT NOT NULL DEFAULT 'USER_PARTITION_KEY';
ALTER TABLE kinesis_stream ADD COLUMN warm_mibps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE kinesis_consumer ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
ALTER TABLE kinesis_consumer ADD COLUMN policy TEXT NOT NULL DEFAULT '';

-- Data keys that records are sealed with, wrapped by KMS. A record names its key by number.
CREATE TABLE kinesis_data_key (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES kinesis_stream (uid) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  key_arn TEXT NOT NULL,
  ciphertext BLOB NOT NULL,
  made_at REAL NOT NULL,
  PRIMARY KEY (account, region, uid, number)
) STRICT;

-- The busiest minute of each hour of an on-demand stream, in bytes and records a second.
CREATE TABLE kinesis_peak (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES kinesis_stream (uid) ON DELETE CASCADE,
  hour INTEGER NOT NULL,
  bytes REAL NOT NULL,
  records REAL NOT NULL,
  PRIMARY KEY (account, region, uid, hour)
) STRICT;

-- An account's commitment to a minimum throughput, which unlocks warm throughput.
CREATE TABLE kinesis_commitment (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  started_at REAL NOT NULL,
  ending INTEGER NOT NULL,
  ended_at REAL,
  PRIMARY KEY (account, region)
) STRICT;
