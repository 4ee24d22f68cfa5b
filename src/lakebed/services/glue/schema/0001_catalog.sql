CREATE TABLE glue_database (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  created REAL NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
-- The id names the table's versions and partitions; a table made again under the same name has another one.
CREATE TABLE glue_table (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  database TEXT NOT NULL,
  name TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  created_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_table_name ON glue_table (account, region, database, name);
CREATE TABLE glue_table_version (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  updated REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_table_version_number ON glue_table_version (table_id, version);
-- key: the values in order, each ended by a byte pair that sorts below every character.
CREATE TABLE glue_partition (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  key BLOB NOT NULL,
  body BLOB NOT NULL,
  created REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_partition_key ON glue_partition (table_id, key);
CREATE TABLE glue_discarded (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  PRIMARY KEY (account, region, table_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE glue_tag (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  arn TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (account, region, arn, key)
) STRICT, WITHOUT ROWID;
