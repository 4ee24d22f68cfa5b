CREATE TABLE s3_access_point (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  bucket TEXT NOT NULL,
  alias TEXT NOT NULL UNIQUE,
  created_at REAL NOT NULL,
  public_access_block BLOB NOT NULL,
  vpc_id TEXT NOT NULL,
  policy TEXT,
  tags BLOB,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX s3_access_point_by_bucket ON s3_access_point (bucket);

-- The public access block of a whole account; it has no region.
CREATE TABLE s3_account_block (
  account TEXT NOT NULL PRIMARY KEY,
  public_access_block BLOB NOT NULL
) STRICT, WITHOUT ROWID;
