-- Layer versions; a deleted one stays (hidden) while functions use it. "next_version" counts on after deletions.
CREATE TABLE lambda_layer (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  code_hex TEXT NOT NULL,
  code_size INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX lambda_layer_by_code ON lambda_layer (code_hex);
-- Which function versions use a layer's package: it is kept for them.
CREATE TABLE lambda_used_layer (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  place INTEGER NOT NULL,
  code_hex TEXT NOT NULL,
  PRIMARY KEY (account, region, name, version, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX lambda_used_layer_by_code ON lambda_used_layer (code_hex);
-- Function URLs, by function and alias ('' for the function itself). "id" is the first label of the host.
CREATE TABLE lambda_url (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  function TEXT NOT NULL,
  qualifier TEXT NOT NULL,
  id TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, function, qualifier)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX lambda_url_by_id ON lambda_url (id);
-- Workers that are kept warm for a version or an alias.
CREATE TABLE lambda_provisioned (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  function TEXT NOT NULL,
  qualifier TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, function, qualifier)
) STRICT, WITHOUT ROWID;
ALTER TABLE lambda_function ADD COLUMN recursive_loop TEXT NOT NULL DEFAULT 'Terminate';
ALTER TABLE lambda_function ADD COLUMN runtime_update TEXT NOT NULL DEFAULT 'Auto';
ALTER TABLE lambda_later ADD COLUMN trace TEXT NOT NULL DEFAULT '';
-- State of a tumbling window, and the substreams of a shard that several batches run in.
ALTER TABLE lambda_checkpoint ADD COLUMN window BLOB;
