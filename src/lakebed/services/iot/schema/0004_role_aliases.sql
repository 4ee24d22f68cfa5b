-- Role aliases: what devices exchange their certificate for credentials with.
CREATE TABLE iot_role_alias (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, role_arn TEXT NOT NULL, seconds INTEGER NOT NULL,
  created REAL NOT NULL, modified REAL NOT NULL,
  PRIMARY KEY (account, region, name)) STRICT, WITHOUT ROWID;
