-- Users and roles; inline policies, attachments and keys belong to an entity's id, so that a renamed user keeps them.
CREATE TABLE iam_entity (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('user', 'role')),
  key TEXT NOT NULL, -- the name in lower case: names are unique without regard to case
  path TEXT NOT NULL,
  id TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, kind, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE iam_policy (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key TEXT NOT NULL,
  arn TEXT NOT NULL,
  path TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX iam_policy_by_arn ON iam_policy (arn);
CREATE TABLE iam_policy_version (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  arn TEXT NOT NULL,
  version INTEGER NOT NULL,
  created REAL NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (account, region, arn, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE iam_inline (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (account, region, owner, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE iam_attached (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  owner TEXT NOT NULL,
  policy_arn TEXT NOT NULL,
  PRIMARY KEY (account, region, owner, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX iam_attached_by_policy ON iam_attached (account, region, policy_arn);
-- Long-lived keys. `sealed` is the secret under the master key, which lies outside this database.
CREATE TABLE iam_access_key (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT NOT NULL, -- a user's id, or the account id for its root
  status TEXT NOT NULL CHECK (status IN ('Active', 'Inactive')),
  created REAL NOT NULL,
  sealed BLOB NOT NULL,
  last_used REAL,
  last_service TEXT NOT NULL DEFAULT 'N/A',
  last_region TEXT NOT NULL DEFAULT 'N/A',
  PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX iam_access_key_by_owner ON iam_access_key (account, region, owner);
-- Temporary credentials of STS and of services that hand credentials to code.
CREATE TABLE iam_session (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  sealed BLOB NOT NULL,
  expires_at REAL NOT NULL,
  principal BLOB NOT NULL,
  PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX iam_session_by_expiry ON iam_session (expires_at);
