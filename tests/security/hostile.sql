-- One statement a line: expectation | statement. {canary} is a file outside, {new} one that must not come to be, {port} a
-- loopback port that must stay silent, {data} the data directory. "refused": an error that tells nothing. "runs": harmless
-- although it looks hostile; its answer is a plain row. "bound": may run or fail, but ends within the limits.
-- files read
refused | SELECT * FROM read_text('{canary}')
refused | SELECT content FROM read_text(['{canary}'])
refused | SELECT * FROM read_blob('{canary}')
refused | SELECT * FROM read_csv('{canary}')
refused | SELECT * FROM read_csv_auto('{canary}')
refused | SELECT * FROM read_csv('{canary}', columns={'a': 'VARCHAR'})
refused | SELECT * FROM read_json('{canary}')
refused | SELECT * FROM read_json_auto('{canary}')
refused | SELECT * FROM read_json_objects('{canary}')
refused | SELECT * FROM read_ndjson('{canary}')
refused | SELECT * FROM read_ndjson_auto('{canary}')
refused | SELECT * FROM read_ndjson_objects('{canary}')
refused | SELECT * FROM read_parquet('{canary}')
refused | SELECT * FROM parquet_scan('{canary}')
refused | SELECT * FROM parquet_metadata('{canary}')
refused | SELECT * FROM parquet_schema('{canary}')
refused | SELECT * FROM parquet_file_metadata('{canary}')
refused | SELECT * FROM parquet_kv_metadata('{canary}')
refused | SELECT * FROM parquet_bloom_probe('{canary}', 'a', 1)
refused | SELECT * FROM sniff_csv('{canary}')
refused | SELECT * FROM glob('{data}/*')
refused | SELECT * FROM glob('/etc/*')
refused | SELECT * FROM read_xlsx('{canary}')
refused | SELECT * FROM st_read('{canary}')
refused | SELECT * FROM sqlite_scan('{data}/state.db', 'iam_key')
refused | SELECT * FROM iceberg_scan('{data}')
refused | SELECT * FROM delta_scan('{data}')
refused | SELECT * FROM postgres_scan('host=127.0.0.1 port={port}', 'public', 't')
refused | SELECT * FROM arrow_scan(1, 2, 3)
refused | SELECT * FROM pandas_scan(1)
refused | SELECT * FROM python_map_function()
refused | SELECT * FROM seq_scan('t')
refused | SELECT * FROM '{canary}'
refused | SELECT * FROM "{canary}"
refused | SELECT * FROM `{canary}`
refused | SELECT * FROM "{data}/state.db"
refused | SELECT * FROM "main"."{canary}"
refused | SELECT * FROM "awsdatacatalog"."default"."{canary}"
refused | SELECT * FROM "../../../../etc/passwd"
refused | SELECT * FROM "file:///etc/passwd"
refused | SELECT * FROM "default".".."
refused | SELECT * FROM "x.csv"
refused | SELECT * FROM "x.parquet"
refused | SELECT * FROM "x.json.gz"
refused | SELECT * FROM '/dev/stdin'
refused | SELECT * FROM "/proc/self/environ"
refused | SELECT * FROM read_text('/proc/self/environ')
refused | SELECT * FROM read_blob('/proc/self/mem')
refused | FROM '{canary}'
refused | FROM read_text('{canary}') SELECT content
refused | TABLE "{canary}"
refused | SELECT (SELECT content FROM read_text('{canary}'))
refused | SELECT * FROM (SELECT * FROM (SELECT * FROM read_text('{canary}')))
refused | WITH a AS (SELECT * FROM read_text('{canary}')) SELECT * FROM a
refused | WITH a AS MATERIALIZED (SELECT * FROM read_text('{canary}')) SELECT * FROM a
refused | WITH RECURSIVE a(x) AS (SELECT content FROM read_text('{canary}') UNION ALL SELECT x FROM a) SELECT * FROM a
refused | SELECT * FROM (VALUES 1) t(x) WHERE EXISTS (SELECT 1 FROM glob('{data}/*'))
refused | SELECT * FROM (VALUES 1) t(x), LATERAL (SELECT * FROM read_text('{canary}'))
refused | SELECT * FROM (VALUES 1) t(x) CROSS JOIN read_text('{canary}')
refused | SELECT 1 UNION ALL SELECT content FROM read_text('{canary}')
refused | SELECT 1 ORDER BY (SELECT content FROM read_text('{canary}'))
refused | SELECT max(x) OVER (ORDER BY (SELECT content FROM read_text('{canary}'))) FROM (VALUES 1) t(x)
refused | SELECT transform(ARRAY[1], x -> (SELECT content FROM read_text('{canary}')))
refused | SELECT reduce(ARRAY[1], 0, (s, x) -> getenv('HOME'), s -> s)
refused | SELECT format('%s', getenv('HOME'))
refused | SELECT IF(true, (SELECT content FROM read_text('{canary}')), 'x')
refused | SELECT * FROM UNNEST((SELECT array_agg(content) FROM read_text('{canary}')))
refused | SELECT * FROM TABLE(read_text('{canary}'))
refused | SELECT * FROM TABLE(exclude_columns(input => TABLE("{canary}"), columns => DESCRIPTOR(a)))
refused | SELECT /* ; */ * FROM read_text(/**/'{canary}')
refused | SELECT * FROM read_text -- comment
refused | SELECT * FROM reаd_text('{canary}')
refused | SELECT * FROM READ_TEXT('{canary}')
refused | SELECT * FROM ｒｅａｄ＿ｔｅｘｔ('{canary}')
refused | SELECT * FROM read_text(U&'\002Fetc\002Fpasswd')
refused | SELECT * FROM read_text(E'\x2fetc\x2fpasswd')
refused | SELECT * FROM read_text($${canary}$$)
refused | SELECT * FROM "read_text"('{canary}')
refused | SELECT * FROM main.read_text('{canary}')
refused | SELECT * FROM system.main.read_text('{canary}')
-- files written
refused | COPY (SELECT 1) TO '{new}'
refused | COPY (SELECT 1) TO '{new}' (FORMAT parquet)
refused | COPY t TO '{new}'
refused | COPY t FROM '{canary}'
refused | COPY FROM DATABASE memory TO x
refused | SELECT 1; COPY (SELECT 1) TO '{new}'
refused | WITH a AS (COPY (SELECT 1) TO '{new}') SELECT * FROM a
refused | EXPORT DATABASE '{new}'
refused | IMPORT DATABASE '{data}'
refused | ATTACH '{new}' AS x
refused | ATTACH '{data}/state.db' AS x (TYPE sqlite)
refused | ATTACH DATABASE ':memory:' AS x
refused | ATTACH IF NOT EXISTS '{new}'
refused | DETACH memory
refused | CREATE TABLE x AS SELECT * FROM read_text('{canary}')
refused | CREATE TABLE x WITH (external_location = 'file://{new}') AS SELECT 1 a
refused | CREATE TABLE x WITH (external_location = '{new}') AS SELECT 1 a
refused | CREATE TABLE x WITH (external_location = 's3://../../{new}') AS SELECT 1 a
refused | CREATE EXTERNAL TABLE x (a string) LOCATION '{data}'
refused | CREATE EXTERNAL TABLE x (a string) LOCATION 'file://{data}/'
refused | CREATE EXTERNAL TABLE x (a string) LOCATION 'http://127.0.0.1:{port}/'
refused | UNLOAD (SELECT 1 a) TO '{new}' WITH (format='PARQUET')
refused | UNLOAD (SELECT 1 a) TO 'file://{new}' WITH (format='PARQUET')
refused | UNLOAD (SELECT * FROM read_text('{canary}')) TO 's3://alphamark-bucket/unloaded/' WITH (format='PARQUET')
refused | INSERT INTO x SELECT * FROM read_text('{canary}')
refused | SELECT * INTO OUTFILE '{new}' FROM t
refused | SELECT 1 INTO x
refused | CREATE TEMP TABLE x AS SELECT 1
refused | CREATE TABLE x (a int)
refused | CREATE OR REPLACE TABLE x AS SELECT 1
refused | CREATE VIEW v AS SELECT * FROM read_text('{canary}')
refused | CREATE VIEW v AS SELECT 1; COPY (SELECT 1) TO '{new}'
refused | CREATE OR REPLACE TEMP VIEW v AS SELECT 1
-- network
refused | SELECT * FROM read_csv('http://127.0.0.1:{port}/x.csv')
refused | SELECT * FROM 'http://127.0.0.1:{port}/x.parquet'
refused | SELECT * FROM "s3://127.0.0.1:{port}/x.parquet"
refused | SELECT * FROM read_parquet('s3://bucket/x?s3_endpoint=127.0.0.1:{port}')
refused | SELECT * FROM read_text('https://127.0.0.1:{port}/')
refused | SELECT http_get('http://127.0.0.1:{port}/')
refused | ATTACH 'http://127.0.0.1:{port}/x.db' AS x
refused | ATTACH 'host=127.0.0.1 port={port}' AS x (TYPE postgres)
refused | INSTALL httpfs
refused | FORCE INSTALL httpfs FROM 'http://127.0.0.1:{port}'
refused | INSTALL '{new}'
refused | LOAD httpfs
refused | LOAD '{canary}'
refused | UPDATE EXTENSIONS
refused | CREATE SECRET x (TYPE s3, PROVIDER credential_chain)
refused | CREATE PERSISTENT SECRET x (TYPE http, BEARER_TOKEN 'x')
refused | DROP SECRET x
-- settings, transactions and the engine itself
refused | SET enable_external_access=true
refused | SET GLOBAL enable_external_access=true
refused | SET SESSION memory_limit='100GB'
refused | SET VARIABLE x = 1
refused | SET TimeZone='Asia/Tokyo'
refused | SET schema='information_schema'
refused | SET lock_configuration=false
refused | SET allowed_directories=['/']
refused | SET temp_directory='{new}'
refused | SET log_query_path='{new}'
refused | SET python_enable_replacements=true
refused | RESET memory_limit
refused | RESET ALL
refused | PRAGMA enable_profiling
refused | PRAGMA database_list
refused | PRAGMA memory_limit='1TB'
refused | PRAGMA profiling_output='{new}'
refused | CALL pragma_version()
refused | CALL enable_logging()
refused | CALL force_checkpoint()
refused | CALL dbgen(sf=1)
refused | CHECKPOINT
refused | FORCE CHECKPOINT
refused | VACUUM ANALYZE
refused | ANALYZE
refused | BEGIN TRANSACTION
refused | COMMIT
refused | ROLLBACK
refused | USE memory
refused | SHOW ALL TABLES
refused | SHOW SETTINGS
refused | SUMMARIZE SELECT 1
runs | EXPLAIN ANALYZE SELECT 1
refused | PREPARE p AS SELECT 1
runs | PREPARE p FROM COPY (SELECT 1) TO '{new}'
refused | EXECUTE IMMEDIATE 'COPY (SELECT 1) TO ''{new}'''
refused | EXECUTE nothing USING 1); COPY (SELECT 1) TO '{new}'; --
refused | DEALLOCATE ALL
refused | CREATE MACRO f() AS 1
refused | CREATE FUNCTION f() RETURNS TABLE AS SELECT 1
refused | CREATE TYPE x AS ENUM ('a')
refused | CREATE SCHEMA x; DROP SCHEMA main CASCADE
refused | DROP SCHEMA main CASCADE
refused | COMMENT ON TABLE x IS 'y'
refused | GRANT ALL ON x TO y
refused | KILL 1
-- internals
refused | SELECT * FROM duckdb_settings()
refused | SELECT * FROM duckdb_secrets()
refused | SELECT * FROM duckdb_functions()
refused | SELECT * FROM duckdb_tables()
refused | SELECT * FROM duckdb_views()
refused | SELECT * FROM duckdb_databases()
refused | SELECT * FROM duckdb_memory()
refused | SELECT * FROM duckdb_temporary_files()
refused | SELECT * FROM duckdb_extensions()
refused | SELECT * FROM duckdb_logs()
refused | SELECT * FROM duckdb_variables()
refused | SELECT * FROM duckdb_external_file_cache()
refused | SELECT * FROM pragma_database_size()
refused | SELECT * FROM pragma_storage_info('x')
refused | SELECT * FROM pragma_user_agent()
refused | SELECT * FROM pragma_platform()
refused | SELECT * FROM sqlite_master
refused | SELECT * FROM sqlite_temp_master
refused | SELECT * FROM pg_catalog.pg_settings
refused | SELECT * FROM pg_settings
runs | SELECT * FROM information_schema.schemata
refused | SELECT * FROM system.information_schema.tables
refused | SELECT * FROM memory.main.rel_0
refused | SELECT * FROM temp.main.lb_out
refused | SELECT * FROM rel_0
refused | SELECT getenv('HOME')
refused | SELECT getenv('PATH') || current_setting('temp_directory')
refused | SELECT current_setting('allowed_directories')
refused | SELECT getvariable('x')
refused | SELECT version()
refused | SELECT pg_typeof(1)
refused | SELECT current_database(), current_schemas(true)
refused | SELECT current_query()
refused | SELECT txid_current()
refused | SELECT in_search_path('memory', 'main')
refused | SELECT query('COPY (SELECT 1) TO ''{new}''')
refused | SELECT * FROM query('SELECT * FROM read_text(''{canary}'')')
refused | SELECT * FROM query_table(['{canary}'])
refused | SELECT json_execute_serialized_sql('x')
refused | SELECT * FROM json_execute_serialized_sql('{}')
refused | SELECT json_serialize_sql('SELECT 1')
refused | SELECT write_log('x')
refused | SELECT error('x')
refused | SELECT nextval('x')
refused | SELECT lb_java(1e0)
refused | SELECT file_row_number FROM (VALUES 1) t(x)
refused | SELECT "$path" FROM (VALUES 1) t(x)
refused | SELECT rowid FROM (VALUES 1) t(x)
refused | SELECT COLUMNS('.*') FROM (VALUES 1) t(x)
refused | SELECT * FROM test_all_types()
refused | SELECT * FROM summary((SELECT 1))
refused | SELECT * FROM which_secret('s3://x', 's3')
refused | SELECT * FROM checkpoint('x')
refused | SELECT * FROM sql_auto_complete('SEL')
-- several statements, comments, text tricks
refused | SELECT 1; SELECT 2
refused | SELECT 1;; SELECT 2
refused | SELECT 1; DROP TABLE x
refused | SELECT 1 /* unclosed
refused | SELECT 'unclosed
refused | SELECT "unclosed
refused | SELECT 1) TO '{new}' --
refused | SELECT 1) q) TO '{new}' (FORMAT csv); --
refused | SELECT 1 AS "a) TO '{new}' (FORMAT csv); --", nope
runs | SELECT 1 AS "a) TO '{new}' (FORMAT csv); --"
runs | SELECT 1 AS "a"";COPY (SELECT 1) TO '{new}';--"
runs | SELECT ''';COPY (SELECT 1) TO ''{new}'';--'
runs | SELECT '{canary}' -- read_text
runs | SELECT 'a' /* ; COPY (SELECT 1) TO '{new}' */
runs | SELECT ';' AS ";"
runs | SELECT 1;
runs | SELECT x FROM (VALUES '{canary}') "{new}"(x)
runs | WITH "{canary}" AS (SELECT 1 AS a) SELECT a FROM "{canary}"
runs | SELECT U&'\0041'
runs | SELECT '‮𝔰𝔢𝔩𝔢𝔠𝔱 ﷽'
refused | SELECT $1
refused | SELECT ?
refused | SELECT ${canary}
refused | SELECT @x
refused | SELECT :x
refused | SELECT @@version
refused | .read {canary}
refused | \copy x from '{canary}'
refused | !id
refused | {% include '{canary}' %}
-- Iceberg, plans, catalogue views, serdes, hidden columns, UNLOAD
refused | SELECT "$path" FROM (VALUES 1) t(a)
refused | SELECT "$file_size" FROM read_csv('{canary}')
refused | EXPLAIN SELECT * FROM read_text('{canary}')
refused | EXPLAIN ANALYZE SELECT * FROM read_text('{canary}')
refused | EXPLAIN (TYPE IO) SELECT * FROM '{canary}'
refused | EXPLAIN (TYPE VALIDATE) SELECT * FROM glob('/etc/*')
refused | EXPLAIN ANALYZE COPY (SELECT 1) TO '{new}'
refused | SELECT * FROM information_schema.settings
refused | SELECT * FROM information_schema."{canary}"
refused | SELECT * FROM "{canary}$partitions"
refused | SELECT * FROM "nobody$files"
refused | SELECT * FROM "nobody$snapshots" FOR VERSION AS OF 1
refused | OPTIMIZE "{canary}" REWRITE DATA USING BIN_PACK
refused | VACUUM "{canary}"
refused | VACUUM FULL
refused | MERGE INTO nobody USING read_text('{canary}') s ON true WHEN MATCHED THEN DELETE
refused | UPDATE nobody SET a = (SELECT content FROM read_text('{canary}'))
refused | DELETE FROM nobody WHERE a IN (SELECT content FROM read_text('{canary}'))
refused | CREATE TABLE escapes (a string) LOCATION '{data}' TBLPROPERTIES ('table_type' = 'ICEBERG')
refused | CREATE TABLE escapes WITH (table_type = 'ICEBERG', location = 'file://{new}', is_external = false) AS SELECT 1 AS a
refused | UNLOAD (SELECT * FROM read_text('{canary}')) TO 's3://nobody/x/' WITH (format = 'PARQUET')
refused | UNLOAD (SELECT 1) TO 'file://{new}' WITH (format = 'PARQUET')
refused | UNLOAD (SELECT 1) TO '{new}' WITH (format = 'CSV')
-- bombs
bound | SELECT count(*) FROM UNNEST(sequence(1, 100000000)) t(x) CROSS JOIN UNNEST(sequence(1, 100000)) u(y)
bound | SELECT cardinality(sequence(1, 9223372036854775807))
bound | SELECT length(repeat('x', 2000000000))
bound | SELECT length(rpad('x', 2147483647, 'y'))
bound | SELECT array_join(repeat('x', 100000000), ',')
bound | SELECT max(x) FROM UNNEST(sequence(1, 10000000)) t(x) GROUP BY x ORDER BY 1 DESC LIMIT 1
bound | WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t
bound | WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t
bound | SELECT regexp_like(repeat_x, '(a+)+$') FROM (SELECT rpad('a', 100000, 'a') || '!' AS repeat_x)
bound | SELECT regexp_replace(rpad('a', 100000, 'a'), '(a|aa)+b', '')
bound | SELECT regexp_like('x', '((((((((((x{1,1000}){1,1000}){1,1000}){1,1000})))))))')
bound | SELECT json_extract(rpad('[', 100000, '['), '$.a')
bound | SELECT json_parse(rpad('[', 1000000, '['))
bound | SELECT count(*) FROM UNNEST(split(rpad('a', 10000000, 'a,'), ',')) t(x)
bound | SELECT approx_distinct(x) FROM UNNEST(sequence(1, 50000000)) t(x)
bound | SELECT array_agg(x) FROM UNNEST(sequence(1, 20000000)) t(x)
bound | SELECT map_agg(x, x) FROM UNNEST(sequence(1, 5000000)) t(x)
bound | SELECT power(1e308, 1e308), factorial(1000000)
bound | SELECT CAST(rpad('9', 100000, '9') AS decimal(38,0))
bound | SELECT date_add('year', 2147483647, current_date)
bound | SELECT combinations(sequence(1, 60), 5)
bound | SELECT levenshtein_distance(rpad('a', 100000, 'a'), rpad('b', 100000, 'b'))
