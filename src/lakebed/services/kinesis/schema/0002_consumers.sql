-- Registered consumers (enhanced fan-out).
CREATE TABLE kinesis_consumer (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uid TEXT NOT NULL REFERENCES kinesis_stream (uid) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at REAL NOT NULL,
  PRIMARY KEY (account, region, uid, name)
) STRICT;
