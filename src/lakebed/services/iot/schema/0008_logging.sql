-- Logging options of an account and region.
CREATE TABLE iot_logging (
  account TEXT NOT NULL, region TEXT NOT NULL, role_arn TEXT NOT NULL, level TEXT NOT NULL, is_disabled INTEGER NOT NULL,
  PRIMARY KEY (account, region)) STRICT, WITHOUT ROWID;
