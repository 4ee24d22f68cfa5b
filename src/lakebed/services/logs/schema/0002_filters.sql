CREATE TABLE log_filter (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  group_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (group_id, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_filter_of ON log_filter (account, region, kind, name);
CREATE TABLE log_policy (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_query (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  created INTEGER NOT NULL,
  status TEXT NOT NULL,
  body BLOB NOT NULL,
  results BLOB,
  PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_query_created ON log_query (created);
CREATE TABLE log_query_definition (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;
