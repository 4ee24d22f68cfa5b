-- Buses made by customers; the default bus of a place has a row once something was set on it.
CREATE TABLE events_bus (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
-- `due` is the next run of an enabled schedule.
CREATE TABLE events_rule (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  bus TEXT NOT NULL,
  name TEXT NOT NULL,
  due REAL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, bus, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_rule_by_due ON events_rule (due) WHERE due IS NOT NULL;
CREATE TABLE events_target (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  bus TEXT NOT NULL,
  rule TEXT NOT NULL,
  id TEXT NOT NULL,
  arn TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, bus, rule, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_target_by_arn ON events_target (account, region, bus, arn, rule);
-- An event on its way, once, and a row for each target it goes to.
CREATE TABLE events_event (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE events_delivery (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bus TEXT NOT NULL,
  rule TEXT NOT NULL,
  target TEXT NOT NULL,
  event INTEGER NOT NULL,
  started REAL NOT NULL,
  due REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX events_delivery_by_due ON events_delivery (due, id);
CREATE INDEX events_delivery_by_event ON events_delivery (event);
-- Ids of events that services put, so that a repeated one is dropped.
CREATE TABLE events_seen (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_seen_by_age ON events_seen (at);
CREATE TABLE events_archive (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  bus TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE events_archived (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  archive TEXT NOT NULL,
  at REAL NOT NULL,
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  event BLOB NOT NULL,
  PRIMARY KEY (account, region, archive, at, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE events_replay (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  running INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_replay_by_running ON events_replay (running) WHERE running = 1;
