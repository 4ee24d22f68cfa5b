-- What kind of destination a delivery stream has, and with which KMS key what waits in its logs is sealed.
ALTER TABLE firehose_stream ADD COLUMN kind TEXT NOT NULL DEFAULT 's3';
ALTER TABLE firehose_stream ADD COLUMN encryption TEXT NOT NULL DEFAULT '{}';

-- Data keys that waiting records are sealed with, wrapped by KMS. A record names its key by number.
CREATE TABLE firehose_data_key (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES firehose_stream (uid) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  key_arn TEXT NOT NULL,
  ciphertext BLOB NOT NULL,
  made_at REAL NOT NULL,
  PRIMARY KEY (account, region, uid, number)
) STRICT;
