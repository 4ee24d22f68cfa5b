-- Registered certificate authorities, the registration code of an account, and by which authority a certificate was signed.
CREATE TABLE iot_authority (
  account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, pem TEXT NOT NULL, status TEXT NOT NULL,
  auto_registration TEXT NOT NULL, mode TEXT NOT NULL, created REAL NOT NULL, modified REAL NOT NULL,
  not_before REAL NOT NULL, not_after REAL NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (account, region, id)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_authority_id ON iot_authority (id);

CREATE TABLE iot_registration_code (
  account TEXT NOT NULL, region TEXT NOT NULL, code TEXT NOT NULL,
  PRIMARY KEY (account, region)) STRICT, WITHOUT ROWID;

ALTER TABLE iot_certificate ADD COLUMN authority TEXT NOT NULL DEFAULT '';
CREATE INDEX iot_certificate_authority ON iot_certificate (account, region, authority, id);
