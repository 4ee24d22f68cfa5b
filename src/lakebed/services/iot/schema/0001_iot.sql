-- Things, certificates, policies with versions, what is attached to what, topic rules and tags.
CREATE TABLE iot_thing (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
  attributes BLOB NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (account, region, name)) STRICT, WITHOUT ROWID;

CREATE TABLE iot_certificate (
  account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, pem TEXT NOT NULL, status TEXT NOT NULL,
  mode TEXT NOT NULL, created REAL NOT NULL, modified REAL NOT NULL, not_before REAL NOT NULL, not_after REAL NOT NULL,
  common_name TEXT NOT NULL, serial_number TEXT NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (account, region, id)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_certificate_id ON iot_certificate (id);

CREATE TABLE iot_policy (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
  is_default INTEGER NOT NULL, created REAL NOT NULL, generation TEXT NOT NULL,
  PRIMARY KEY (account, region, name, version)) STRICT, WITHOUT ROWID;

CREATE TABLE iot_policy_attachment (
  account TEXT NOT NULL, region TEXT NOT NULL, target TEXT NOT NULL, policy TEXT NOT NULL,
  PRIMARY KEY (account, region, target, policy)) STRICT, WITHOUT ROWID;

CREATE TABLE iot_thing_principal (
  account TEXT NOT NULL, region TEXT NOT NULL, thing TEXT NOT NULL, principal TEXT NOT NULL, kind TEXT NOT NULL,
  PRIMARY KEY (account, region, thing, principal)) STRICT, WITHOUT ROWID;

CREATE TABLE iot_rule (
  account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, payload BLOB NOT NULL, topic_filter TEXT NOT NULL,
  is_disabled INTEGER NOT NULL, created REAL NOT NULL,
  PRIMARY KEY (account, region, name)) STRICT, WITHOUT ROWID;

CREATE TABLE iot_tag (
  account TEXT NOT NULL, region TEXT NOT NULL, arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (account, region, arn, key)) STRICT, WITHOUT ROWID;
