-- Thing groups (static, with a parent), billing groups, and who is in which.
CREATE TABLE iot_group (
  account TEXT NOT NULL, region TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, description TEXT NOT NULL, attributes BLOB NOT NULL, version INTEGER NOT NULL,
  created REAL NOT NULL, PRIMARY KEY (account, region, kind, name)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_group_parent ON iot_group (account, region, kind, parent, name);

CREATE TABLE iot_group_member (
  account TEXT NOT NULL, region TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, thing TEXT NOT NULL,
  PRIMARY KEY (account, region, kind, name, thing)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_group_of_thing ON iot_group_member (account, region, thing, kind, name);
