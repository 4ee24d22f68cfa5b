-- Thing types, and the type of a thing ('' where it has none).
CREATE TABLE iot_thing_type (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, description TEXT NOT NULL,
  searchable BLOB NOT NULL, created REAL NOT NULL, deprecated REAL,
  PRIMARY KEY (account, region, name)) STRICT, WITHOUT ROWID;

ALTER TABLE iot_thing ADD COLUMN type TEXT NOT NULL DEFAULT '';
