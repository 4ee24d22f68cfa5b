-- Bucket names are unique in a partition, whoever owns them, so the name alone is the key and its owner is a column.
CREATE TABLE s3_bucket (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL PRIMARY KEY,
  created_at REAL NOT NULL,
  versioning TEXT NOT NULL DEFAULT '' CHECK (versioning IN ('', 'Enabled', 'Suspended')),
  policy TEXT,
  public_access_block BLOB,
  notification BLOB,
  tags BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX s3_bucket_by_account ON s3_bucket (account, name);

-- Rises with every object version and upload of the house: orders versions and is the event's sequencer.
CREATE TABLE s3_sequence (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO s3_sequence VALUES (1, 0);

-- The newest version of a key where that is an object. Keys are UTF-8 bytes: their order is S3's listing order.
-- rank is minus the sequence, so that a key's versions lie newest first.
CREATE TABLE s3_object (
  bucket TEXT NOT NULL,
  key BLOB NOT NULL,
  rank INTEGER NOT NULL,
  version_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified REAL NOT NULL,
  storage_class TEXT NOT NULL,
  checksum_algorithm TEXT NOT NULL,
  checksum_type TEXT NOT NULL,
  blob TEXT NOT NULL,
  facts BLOB NOT NULL,
  PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

-- Every other version, and all delete markers (blob '' and marker 1).
CREATE TABLE s3_version (
  bucket TEXT NOT NULL,
  key BLOB NOT NULL,
  rank INTEGER NOT NULL,
  version_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified REAL NOT NULL,
  storage_class TEXT NOT NULL,
  checksum_algorithm TEXT NOT NULL,
  checksum_type TEXT NOT NULL,
  blob TEXT NOT NULL,
  facts BLOB NOT NULL,
  marker INTEGER NOT NULL,
  PRIMARY KEY (bucket, key, rank)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX s3_version_by_id ON s3_version (bucket, key, version_id);

CREATE TABLE s3_upload (
  bucket TEXT NOT NULL,
  key BLOB NOT NULL,
  rank INTEGER NOT NULL,
  upload_id TEXT NOT NULL UNIQUE,
  initiated REAL NOT NULL,
  initiator TEXT NOT NULL,
  storage_class TEXT NOT NULL,
  checksum_algorithm TEXT NOT NULL,
  checksum_type TEXT NOT NULL,
  facts BLOB NOT NULL,
  PRIMARY KEY (bucket, key, rank)
) STRICT, WITHOUT ROWID;

CREATE TABLE s3_part (
  upload_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified REAL NOT NULL,
  checksum TEXT NOT NULL,
  blob TEXT NOT NULL,
  PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;

-- Events whose destination vanished or refuses us for good; the newest 10,000 are kept for the operator.
CREATE TABLE s3_undelivered (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bucket TEXT NOT NULL,
  target TEXT NOT NULL,
  body TEXT NOT NULL,
  failed_at REAL NOT NULL,
  error TEXT NOT NULL
) STRICT;
