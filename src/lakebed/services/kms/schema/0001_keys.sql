-- Keys. `due` is when something happens to one by itself: its deletion or its next rotation.
CREATE TABLE kms_key (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  due REAL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;
-- A ciphertext names its key by id alone.
CREATE UNIQUE INDEX kms_key_by_id ON kms_key (region, id);
CREATE INDEX kms_key_by_due ON kms_key (due) WHERE due IS NOT NULL;
-- Material of a key, newest version last, sealed by the master key. Old versions stay for what they encrypted.
CREATE TABLE kms_material (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  id TEXT NOT NULL,
  made REAL NOT NULL,
  cause TEXT NOT NULL CHECK (cause IN ('', 'AUTOMATIC', 'ON_DEMAND')),
  sealed BLOB NOT NULL,
  PRIMARY KEY (account, region, key, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE kms_alias (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  key TEXT NOT NULL,
  made REAL NOT NULL,
  changed REAL NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX kms_alias_by_key ON kms_alias (account, region, key);
CREATE TABLE kms_grant (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key TEXT NOT NULL,
  id TEXT NOT NULL,
  token TEXT NOT NULL,
  retiring TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, key, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX kms_grant_by_token ON kms_grant (token);
CREATE INDEX kms_grant_by_retiring ON kms_grant (account, region, retiring, key, id);
