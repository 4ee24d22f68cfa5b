-- Device shadows, classic (name '') and named. A deleted one leaves its version behind, so that the next does not begin at 1.
CREATE TABLE iot_shadow (
  account TEXT NOT NULL, region TEXT NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL,
  document BLOB, version INTEGER NOT NULL, modified INTEGER NOT NULL,
  PRIMARY KEY (account, region, thing, name)) STRICT, WITHOUT ROWID;
CREATE INDEX iot_shadow_deleted ON iot_shadow (modified) WHERE document IS NULL;
