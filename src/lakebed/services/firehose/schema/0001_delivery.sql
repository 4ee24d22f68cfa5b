-- Delivery streams, how far each is delivered, and what is planned to be put next.
-- What is buffered is in the segment log firehose/<uid>/buffer; offsets here are offsets into that log.
CREATE TABLE firehose_stream (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  uid TEXT NOT NULL UNIQUE,
  created_at REAL NOT NULL,
  updated_at REAL,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  destination TEXT NOT NULL,
  tags TEXT NOT NULL,
  watermark INTEGER NOT NULL DEFAULT 0,
  positions TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (account, region, name)
) STRICT;

-- A lane's records below upto are delivered; rows exist only where that is beyond the watermark.
CREATE TABLE firehose_delivered (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES firehose_stream (uid) ON DELETE CASCADE,
  lane TEXT NOT NULL,
  upto INTEGER NOT NULL,
  PRIMARY KEY (account, region, uid, lane)
) STRICT;

-- An object that is decided on: a restart puts the same records under the same key again.
CREATE TABLE firehose_planned (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES firehose_stream (uid) ON DELETE CASCADE,
  lane TEXT NOT NULL,
  first INTEGER NOT NULL,
  plan TEXT NOT NULL,
  PRIMARY KEY (account, region, uid, lane, first)
) STRICT;
