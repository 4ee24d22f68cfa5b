SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_csv_auto('/etc/passwd')
SELECT * FROM read_json('/etc/passwd')
SELECT * FROM read_parquet('/etc/passwd')
SELECT * FROM read_blob('/etc/passwd')
SELECT * FROM read_ndjson_objects('/etc/passwd')
SELECT * FROM parquet_metadata('/etc/passwd')
SELECT * FROM parquet_scan('/etc/passwd')
SELECT * FROM glob('/etc/*')
SELECT * FROM '/etc/passwd'
SELECT * FROM "/etc/passwd"
SELECT * FROM "file.csv"
SELECT * FROM sniff_csv('/etc/passwd')
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_functions()
SELECT * FROM duckdb_extensions()
SELECT * FROM pragma_table_info('x')
SELECT * FROM pragma_version()
SELECT * FROM information_schema.tables
SELECT * FROM sqlite_master
SELECT * FROM pg_catalog.pg_tables
SELECT * FROM rel_0
SELECT * FROM lb_out
SELECT getenv('HOME')
SELECT current_setting('home_directory')
SELECT current_setting('secret_directory')
SELECT set_config('a','b')
SELECT version()
SELECT getvariable('x')
SELECT current_database()
SELECT current_schema()
SELECT current_user
SELECT session_user
SELECT read_text('/etc/passwd')
SELECT lb_java(1e0)
SELECT error('x')
SELECT write_log('x')
SELECT query('SELECT 1')
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('x')
SELECT * FROM sql_auto_complete('s')
SELECT * FROM repeat_row(1, num_rows=100000000)
SELECT * FROM generate_series(1, 10)
SELECT * FROM range(10)
SELECT eval('1')
SELECT system('id')
SELECT pg_read_file('/etc/passwd')
SELECT load_extension('x')
SELECT 1; SELECT 2
SELECT 1; COPY (SELECT 1) TO '/tmp/lakebed_hostile'
SELECT 1; ATTACH '/tmp/lakebed_hostile.db'
COPY (SELECT 1) TO '/tmp/lakebed_hostile'
COPY t FROM '/etc/passwd'
ATTACH '/tmp/lakebed_hostile.db' AS x
DETACH x
INSTALL httpfs
LOAD httpfs
PRAGMA database_list
PRAGMA version
SET enable_external_access=true
SET lock_configuration=false
RESET ALL
USE x
CALL pragma_version()
CHECKPOINT
VACUUM
BEGIN
COMMIT
EXPORT DATABASE '/tmp/lakebed_hostile'
IMPORT DATABASE '/tmp/lakebed_hostile'
CREATE SECRET (TYPE s3)
CREATE MACRO f(x) AS x
CREATE FUNCTION f(x) AS x
CREATE TEMP TABLE x AS SELECT 1
CREATE TYPE x AS ENUM ('a')
CREATE INDEX i ON t(x)
CREATE SEQUENCE s
DROP MACRO lb_java
DELETE FROM t
UPDATE t SET a = 1
MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE
EXPLAIN ANALYZE SELECT 1
DESCRIBE SELECT 1
SUMMARIZE SELECT 1
FROM '/etc/passwd'
FROM read_text('/etc/passwd')
PIVOT t ON x
SELECT * FROM (FROM read_text('/etc/passwd'))
WITH x AS (COPY (SELECT 1) TO '/tmp/lakebed_hostile') SELECT * FROM x
WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x
SELECT (SELECT content FROM read_text('/etc/passwd'))
SELECT 1 WHERE EXISTS (SELECT 1 FROM read_text('/etc/passwd'))
SELECT 1 UNION ALL SELECT content FROM read_text('/etc/passwd')
SELECT x FROM (VALUES 1) t(x) ORDER BY (SELECT content FROM read_text('/etc/passwd'))
SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM glob('/*')))
SELECT transform(ARRAY[1], x -> getenv('HOME'))
SELECT CASE WHEN true THEN getenv('HOME') END
SELECT TRY(getenv('HOME'))
SELECT "getenv"('HOME')
SELECT main.getenv('HOME')
SELECT system.main.getenv('HOME')
SELECT $$a$$
SELECT COLUMNS(*) FROM (VALUES 1) t(x)
SELECT * EXCLUDE (x) FROM (VALUES 1) t(x)
SELECT * REPLACE (getenv('HOME') AS x) FROM (VALUES 1) t(x)
SELECT x FROM (VALUES 1) t(x) QUALIFY row_number() OVER () = 1
SELECT [x for x in [1,2]]
SELECT {'a': getenv('HOME')}
SELECT DISTINCT ON (1) 1
SELECT * FROM (VALUES 1) t(x) USING SAMPLE 1
SELECT * FROM t AT (VERSION => 1)
SELECT nextval('s')
SELECT txid_current()
SELECT CAST('x' AS "getenv")
SELECT date_format(now(), (SELECT content FROM read_text('/etc/passwd')))
