"""Types, Hive's DDL and statements: read, written again, refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.lake import formats, location
from lakebed.lake.statements import classify
from lakebed.lake.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    UnknownTypeError,
    array,
    decimal,
    hive_text,
    map_of,
    parse_hive,
    row,
)
from lakebed.ports.sql import SqlFailure

simple = st.sampled_from([BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, TIMESTAMP, VARCHAR, VARBINARY, decimal(12, 3)])
names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
kinds = st.recursive(
    simple,
    lambda inner: st.one_of(
        inner.map(array),
        st.tuples(simple, inner).map(lambda pair: map_of(*pair)),
        st.lists(st.tuples(names, inner), min_size=1, max_size=4).map(lambda fields: row(*fields)),
    ),
    max_leaves=8,
)


@given(kinds)
def test_hive_types_round_trip(kind) -> None:
    assert parse_hive(hive_text(kind)) == kind


@given(st.text(max_size=60))
def test_any_type_text_is_read_or_refused(text: str) -> None:
    with suppress(UnknownTypeError):
        assert hive_text(parse_hive(text))


@given(st.text(max_size=200))
def test_any_statement_is_read_or_refused(text: str) -> None:
    with suppress(SqlFailure):
        assert classify(text).kind


def test_create_table() -> None:
    made = classify(
        "CREATE EXTERNAL TABLE IF NOT EXISTS db.`t` (`a` int COMMENT 'it''s', b struct<x:int, y:array<string>>) -- c\n"
        "COMMENT 'c' PARTITIONED BY (d date) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' "
        "LINES TERMINATED BY '\\n' STORED AS TEXTFILE LOCATION 's3://bucket/x/' TBLPROPERTIES ('skip.header.line.count'='1');"
    )
    assert (made.kind, made.database, made.name) == ("create_table", "db", "t")
    assert made.facts["columns"][0] == {"Name": "a", "Type": "int", "Comment": "it's"}
    assert made.facts["columns"][1]["Type"] == "struct<x:int,y:array<string>>"
    assert made.facts["serde"]["field.delim"] == "\t"
    stored = formats.storage(made.facts)
    assert stored["SerdeInfo"]["SerializationLibrary"] == formats.LAZY


@pytest.mark.parametrize(
    ("sql", "kind"),
    [("SELECT 1", "query"), ("with x as (select 1) select * from x", "query"), ("(SELECT 1)", "query"),
     ("CREATE TABLE t WITH (format='JSON') AS SELECT 1 a WITH NO DATA", "ctas"), ("INSERT INTO t (a) VALUES (1)", "insert"),
     ("UNLOAD (SELECT 1) TO 's3://bucket/x' WITH (format='PARQUET')", "unload"), ("SHOW TABLES IN db", "show_tables"),
     ("ALTER TABLE t DROP PARTITION (a='1')", "alter_table_drop_partition"), ("DESCRIBE FORMATTED t", "describe_table"),
     ("EXECUTE q USING 1, 'a,b'", "execute"), ("DROP VIEW IF EXISTS v", "drop_view")],
)  # fmt: skip
def test_kinds(sql: str, kind: str) -> None:
    assert classify(sql).kind == kind


def test_no_data_is_cut_off() -> None:
    made = classify("CREATE TABLE t AS SELECT 1 a WITH NO DATA")
    assert (made.sql.strip(), made.facts["data"]) == ("SELECT 1 a", False)


@pytest.mark.parametrize(
    "sql",
    ["ALTER TABLE t RENAME TO u",
     "CREATE EXTERNAL TABLE t (a int) STORED AS ION LOCATION 's3://bucket/'"],
)  # fmt: skip
def test_refused_by_name(sql: str) -> None:
    with pytest.raises(SqlFailure, match="NOT_SUPPORTED"):
        formats.storage(classify(sql).facts)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8), min_size=1, max_size=3
    )
)
def test_partition_paths_round_trip(values: list[str]) -> None:
    keys = [f"k{at}" for at in range(len(values))]
    assert location.partition_values(location.partition_path(keys, list(values)), keys) == values
