-- key: that of the partition, empty for the table's own statistics.
CREATE TABLE glue_column_statistics (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  key BLOB NOT NULL,
  column_name TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_column_statistics_column ON glue_column_statistics (table_id, key, column_name);
CREATE TABLE glue_statistics_run (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_statistics_run_id ON glue_statistics_run (account, region, id);
CREATE INDEX glue_statistics_run_table ON glue_statistics_run (table_id, number);
-- due: when the next run begins, NULL while the schedule rests.
CREATE TABLE glue_statistics_settings (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  table_id INTEGER NOT NULL,
  due REAL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX glue_statistics_settings_table ON glue_statistics_settings (table_id);
CREATE INDEX glue_statistics_settings_due ON glue_statistics_settings (due) WHERE due IS NOT NULL;
