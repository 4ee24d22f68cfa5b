CREATE TABLE sns_topic (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  attributes BLOB NOT NULL,
  tags BLOB NOT NULL,
  deleted_subscriptions INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE sns_subscription (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  topic TEXT NOT NULL,
  owner TEXT NOT NULL,
  protocol TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  attributes BLOB NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (account, region, topic, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sns_subscription_endpoint ON sns_subscription (account, region, topic, protocol, endpoint);
CREATE INDEX sns_subscription_token ON sns_subscription (token) WHERE token != '';
-- A published message lies once, with a row for each subscription it is still on its way to.
CREATE TABLE sns_message (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE sns_delivery (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  subscription TEXT NOT NULL,
  message INTEGER NOT NULL,
  due REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sns_delivery_due ON sns_delivery (due, id);
CREATE INDEX sns_delivery_message ON sns_delivery (message);
CREATE INDEX sns_delivery_subscription ON sns_delivery (account, region, topic, subscription, id);
-- FIFO topics: what was published within the last five minutes. ``within`` is the group or empty.
CREATE TABLE sns_deduplication (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  topic TEXT NOT NULL,
  within TEXT NOT NULL,
  deduplication TEXT NOT NULL,
  message_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  sent REAL NOT NULL,
  PRIMARY KEY (account, region, topic, within, deduplication)
) STRICT, WITHOUT ROWID;
CREATE INDEX sns_deduplication_sent ON sns_deduplication (sent);
