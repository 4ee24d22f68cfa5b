CREATE TABLE glue_crawler (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  state TEXT NOT NULL,
  crawl_id TEXT NOT NULL,
  started REAL,
  next_run REAL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX glue_crawler_next_run ON glue_crawler (next_run) WHERE next_run IS NOT NULL;
CREATE TABLE glue_crawl (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  crawler TEXT NOT NULL,
  started REAL NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  ended REAL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, crawler, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX glue_crawl_started ON glue_crawl (account, region, crawler, started);
CREATE TABLE glue_crawled_folder (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  crawler TEXT NOT NULL,
  folder TEXT NOT NULL,
  PRIMARY KEY (account, region, crawler, folder)
) STRICT, WITHOUT ROWID;
CREATE TABLE glue_classifier (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE glue_connection (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  sealed BLOB,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
