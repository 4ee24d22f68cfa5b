CREATE TABLE metric_series (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  dimensions TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  last_put REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX metric_series_key ON metric_series (account, region, namespace, name, dimensions);
-- One row per series, span and unit. Tier 1 holds high resolution beside tier 60; 300 and 3600 replace what is older.
CREATE TABLE metric_span (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  series_id INTEGER NOT NULL,
  tier INTEGER NOT NULL,
  start INTEGER NOT NULL,
  unit TEXT NOT NULL,
  count REAL NOT NULL,
  total REAL NOT NULL,
  low REAL NOT NULL,
  high REAL NOT NULL,
  histogram BLOB,
  PRIMARY KEY (series_id, tier, start, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_span_age ON metric_span (tier, start);
CREATE TABLE alarm (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  tags BLOB NOT NULL,
  evaluate_at REAL NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarm_due ON alarm (evaluate_at);
CREATE TABLE alarm_history (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  type TEXT NOT NULL,
  summary TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX alarm_history_of ON alarm_history (account, region, name, at);
CREATE TABLE dashboard (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  modified REAL NOT NULL,
  tags BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
