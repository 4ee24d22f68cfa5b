CREATE TABLE athena_workgroup (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, created_at REAL NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (account, region, name)) STRICT;
CREATE TABLE athena_execution (
  account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, workgroup TEXT NOT NULL, token TEXT NOT NULL,
  state TEXT NOT NULL, submitted_at REAL NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (account, region, id)) STRICT;
CREATE INDEX athena_execution_by_time ON athena_execution (account, region, workgroup, submitted_at DESC, id);
CREATE UNIQUE INDEX athena_execution_by_token ON athena_execution (account, region, token);
CREATE TABLE athena_named (
  account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, workgroup TEXT NOT NULL, token TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (account, region, id)) STRICT;
CREATE TABLE athena_prepared (
  account TEXT NOT NULL, region TEXT NOT NULL, workgroup TEXT NOT NULL, name TEXT NOT NULL, modified_at REAL NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (account, region, workgroup, name)) STRICT;
CREATE TABLE athena_tag (
  account TEXT NOT NULL, region TEXT NOT NULL, arn TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (account, region, arn, name)) STRICT;
