-- A function is its versions ($LATEST and numbers) and what belongs to the name; bodies are msgpack of model's Structs.
CREATE TABLE lambda_version (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL, -- 0 is $LATEST
  code_sha256 TEXT NOT NULL,
  code_size INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX lambda_version_sizes ON lambda_version (account, region, code_size);
CREATE INDEX lambda_version_by_code ON lambda_version (code_sha256);
CREATE TABLE lambda_function (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  last_version INTEGER NOT NULL DEFAULT 0,
  reserved_concurrency INTEGER,
  tags BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE lambda_alias (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  function TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, function, name)
) STRICT, WITHOUT ROWID;
-- The resource policy of a function (qualifier '') or of a version or alias.
CREATE TABLE lambda_policy (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  function TEXT NOT NULL,
  qualifier TEXT NOT NULL,
  revision TEXT NOT NULL,
  statements BLOB NOT NULL,
  PRIMARY KEY (account, region, function, qualifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE lambda_later_config (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  function TEXT NOT NULL,
  qualifier TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, function, qualifier)
) STRICT, WITHOUT ROWID;
-- Asynchronous invocations that have not come to their end.
CREATE TABLE lambda_later (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  function TEXT NOT NULL,
  qualifier TEXT NOT NULL,
  queued_at REAL NOT NULL,
  due REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  throttles INTEGER NOT NULL DEFAULT 0,
  payload BLOB NOT NULL,
  client_context TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (account, region, id)
) STRICT;
CREATE INDEX lambda_later_due ON lambda_later (due);
CREATE TABLE lambda_mapping (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  uuid TEXT NOT NULL,
  source TEXT NOT NULL,
  function TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, uuid)
) STRICT, WITHOUT ROWID;
-- How far a stream mapping got in a shard. attempts counts the failures of the batch at "next_offset"; a bisected batch
-- ends before "until_offset".
CREATE TABLE lambda_checkpoint (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  mapping TEXT NOT NULL,
  shard TEXT NOT NULL,
  next_offset INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  until_offset INTEGER,
  retry_at REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (account, region, mapping, shard)
) STRICT, WITHOUT ROWID;
