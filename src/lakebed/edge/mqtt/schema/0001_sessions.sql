-- Persistent sessions, their subscriptions, their undelivered QoS 1 messages, and retained messages.
CREATE TABLE mqtt_session (
  account TEXT NOT NULL, region TEXT NOT NULL, client_id TEXT NOT NULL,
  expiry_seconds INTEGER NOT NULL, disconnected_at REAL,
  PRIMARY KEY (account, region, client_id)) STRICT, WITHOUT ROWID;

CREATE TABLE mqtt_subscription (
  account TEXT NOT NULL, region TEXT NOT NULL, client_id TEXT NOT NULL, topic_filter TEXT NOT NULL,
  qos INTEGER NOT NULL, no_local INTEGER NOT NULL, retain_as_published INTEGER NOT NULL, identifier INTEGER NOT NULL,
  PRIMARY KEY (account, region, client_id, topic_filter)) STRICT, WITHOUT ROWID;

CREATE TABLE mqtt_queued (
  account TEXT NOT NULL, region TEXT NOT NULL, client_id TEXT NOT NULL, sequence INTEGER NOT NULL,
  topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL, received_at REAL NOT NULL,
  properties BLOB NOT NULL, identifiers BLOB NOT NULL,
  PRIMARY KEY (account, region, client_id, sequence)) STRICT;

CREATE TABLE mqtt_retained (
  account TEXT NOT NULL, region TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
  qos INTEGER NOT NULL, stored_at REAL NOT NULL, properties BLOB NOT NULL,
  PRIMARY KEY (account, region, topic)) STRICT;
