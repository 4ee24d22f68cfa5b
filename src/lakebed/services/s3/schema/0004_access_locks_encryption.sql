ALTER TABLE s3_bucket ADD COLUMN ownership TEXT NOT NULL DEFAULT 'BucketOwnerEnforced';
ALTER TABLE s3_bucket ADD COLUMN acl BLOB;
ALTER TABLE s3_bucket ADD COLUMN cors BLOB;
ALTER TABLE s3_bucket ADD COLUMN object_lock BLOB;
ALTER TABLE s3_bucket ADD COLUMN encryption BLOB;

-- Where the part's AES counter began; empty for a part that is not encrypted.
ALTER TABLE s3_part ADD COLUMN nonce BLOB NOT NULL DEFAULT x'';

-- Restored copies of archived versions: first the moment when the copy is there, then the moment when it goes.
CREATE TABLE s3_restore (
  bucket TEXT NOT NULL,
  key BLOB NOT NULL,
  version_id TEXT NOT NULL,
  due REAL NOT NULL,
  PRIMARY KEY (bucket, key, version_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX s3_restore_by_due ON s3_restore (due);
