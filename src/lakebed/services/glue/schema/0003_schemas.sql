CREATE TABLE glue_registry (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE glue_schema (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  registry TEXT NOT NULL,
  name TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  data_format TEXT NOT NULL,
  compatibility TEXT NOT NULL,
  description TEXT NOT NULL,
  checkpoint INTEGER NOT NULL,
  next_version INTEGER NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_schema_name ON glue_schema (account, region, registry, name);
CREATE TABLE glue_schema_version (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  schema_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  definition TEXT NOT NULL,
  canonical BLOB NOT NULL,
  status TEXT NOT NULL,
  created REAL NOT NULL,
  PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX glue_schema_version_number ON glue_schema_version (schema_id, number);
CREATE INDEX glue_schema_version_canonical ON glue_schema_version (schema_id, canonical);
CREATE TABLE glue_schema_metadata (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  version_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  created REAL NOT NULL,
  PRIMARY KEY (account, region, version_id, key, value)
) STRICT, WITHOUT ROWID;
