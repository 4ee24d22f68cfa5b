CREATE TABLE athena_reservation (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (account, region, name)) STRICT;
CREATE INDEX athena_execution_open ON athena_execution (account, region) WHERE state IN ('QUEUED', 'RUNNING');
