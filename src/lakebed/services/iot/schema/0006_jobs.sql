-- Jobs and their executions. PENDING executions wait for the rollout and are told to nobody.
CREATE TABLE iot_job (
  account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, config BLOB NOT NULL, status TEXT NOT NULL,
  is_forced INTEGER NOT NULL, reason TEXT NOT NULL, comment TEXT NOT NULL,
  created REAL NOT NULL, modified REAL NOT NULL, completed REAL,
  PRIMARY KEY (account, region, id)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_job_status ON iot_job (status);

CREATE TABLE iot_job_execution (
  account TEXT NOT NULL, region TEXT NOT NULL, job TEXT NOT NULL, thing TEXT NOT NULL, number INTEGER NOT NULL,
  status TEXT NOT NULL, details BLOB NOT NULL, queued REAL NOT NULL, started REAL, modified REAL NOT NULL,
  version INTEGER NOT NULL, attempt INTEGER NOT NULL, is_forced INTEGER NOT NULL,
  total_deadline REAL, step_deadline REAL,
  PRIMARY KEY (account, region, job, thing, number)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_job_execution_thing ON iot_job_execution (account, region, thing, status);
CREATE INDEX iot_job_execution_due ON iot_job_execution (status, total_deadline, step_deadline);
