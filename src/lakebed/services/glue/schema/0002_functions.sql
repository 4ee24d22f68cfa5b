CREATE TABLE glue_function (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  database TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  created REAL NOT NULL,
  PRIMARY KEY (account, region, database, name)
) STRICT, WITHOUT ROWID;
