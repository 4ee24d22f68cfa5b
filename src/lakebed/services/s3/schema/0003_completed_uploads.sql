-- Uploads completed lately: a client whose answer got lost may complete again and is told the same. The newest 10,000.
CREATE TABLE s3_completed (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bucket TEXT NOT NULL,
  key BLOB NOT NULL,
  upload_id TEXT NOT NULL UNIQUE,
  version_id TEXT NOT NULL,
  etag TEXT NOT NULL
) STRICT;
