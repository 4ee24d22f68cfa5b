"""Tables as weapons: hostile definitions, hostile files, and other people's data reached through a table of one's own."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.security.stage import MARK, Enemy, Stage, allow, deny

ODD = "'\"`;)}]\\\n\x01|"


def run(stage: Stage, enemy: Enemy | None, sql: str, bucket: str) -> tuple[str, str]:
    """State and reason of a statement by somebody."""
    import time

    athena = stage.client("athena", enemy)
    try:
        query = athena.start_query_execution(
            QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{bucket}/athena/"}
        )["QueryExecutionId"]
    except ClientError as refused:
        return "FAILED", str(refused)
    deadline = time.monotonic() + 20
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return status["State"], status.get("StateChangeReason", "")
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def beta_home(stage: Stage) -> str:
    """A bucket and a database of BETA's."""
    stage.client("s3", stage.beta).create_bucket(Bucket="beta-home")
    stage.client("glue", stage.beta).create_database(DatabaseInput={"Name": "beta_db"})
    return "beta-home"


def table(stage: Stage, enemy: Enemy | None, database: str, name: str, location: str, **more: Any) -> None:
    descriptor = {**stage.names["descriptor"], "Location": location, **more.pop("descriptor", {})}
    stage.client("glue", enemy).create_table(
        DatabaseName=database,
        TableInput={"Name": name, "StorageDescriptor": descriptor, "TableType": "EXTERNAL_TABLE"} | more,
    )


def test_another_accounts_bucket_through_a_table(stage: Stage, beta_home: str) -> None:
    bucket = stage.names["bucket"]
    table(stage, stage.beta, "beta_db", "stolen", f"s3://{bucket}/table/day=1/")
    state, reason = run(stage, stage.beta, "SELECT * FROM beta_db.stolen", beta_home)
    assert state == "FAILED"
    assert "denied" in reason.lower() or "not authorized" in reason
    for sql in (
        f"CREATE TABLE beta_db.planted WITH (external_location = 's3://{bucket}/planted/') AS SELECT 1 a",
        f"UNLOAD (SELECT 1 a) TO 's3://{bucket}/planted/' WITH (format = 'PARQUET')",
        "INSERT INTO beta_db.stolen VALUES ('planted')",
        f"SELECT * FROM {MARK}_db.{MARK}_table",
        f'SELECT * FROM "lambda:x"."{MARK}_db"."{MARK}_table"',
    ):
        assert run(stage, stage.beta, sql, beta_home)[0] == "FAILED", sql
    assert run(stage, stage.beta, "SELECT 1", bucket)[0] == "FAILED", "results into another's bucket"
    assert not stage.client("s3").list_objects_v2(Bucket=bucket, Prefix="planted/")["KeyCount"]


def test_listing_is_not_reading(stage: Stage) -> None:
    """The engine reads files itself; the caller needs s3:GetObject for them all the same."""
    bucket = stage.names["bucket"]
    mine = [f"arn:aws:s3:::{bucket}/athena/*"]
    lister = stage.user(
        "lister", allow("athena:*", "glue:*", "s3:ListBucket", "s3:GetBucketLocation"),
        allow("s3:PutObject", "s3:GetObject", resource=mine),
    )  # fmt: skip
    reader = stage.user(
        "denied-reader", allow("*"), deny("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/table/day=1/*")
    )
    for enemy in (lister, reader):
        state, reason = run(stage, enemy, f"SELECT * FROM {MARK}_db.{MARK}_table", bucket)
        assert state == "FAILED", "read without s3:GetObject"
        assert "GetObject" in reason or "denied" in reason.lower(), reason
    assert run(stage, None, f"SELECT * FROM {MARK}_db.{MARK}_table", bucket)[0] == "SUCCEEDED"


def test_results_belong_to_who_may_read_them(stage: Stage) -> None:
    """GetQueryResults reads the object as the caller."""
    peeper = stage.user("peeper", allow("athena:*"))
    with pytest.raises(ClientError) as refused:
        stage.client("athena", peeper).get_query_results(QueryExecutionId=stage.names["execution"])
    assert "ccess" in str(refused.value)


VIEWS = [
    {"originalSql": 5}, {"originalSql": None}, {"originalSql": ["SELECT 1"]},
    {"originalSql": "SELECT * FROM alphamark_db.evil_view"},
    {"originalSql": "COPY (SELECT 1) TO '/tmp/lakebed-evil'"}, {"originalSql": "SELECT 1", "schema": 7}, [], "x", 5,
    {"originalSql": "SELECT 1; SELECT 2", "schema": "default"}, {"originalSql": "SELECT * FROM read_text('/etc/passwd')"},
    {"originalSql": "SELECT 1) q; COPY (SELECT 1) TO '/tmp/lakebed-evil' --"}, {"originalSql": "(" * 5000},
]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_views(stage: Stage, view: Any) -> None:
    text = base64.b64encode(json.dumps(view).encode()).decode()
    glue = stage.client("glue")
    with contextlib.suppress(ClientError):
        glue.delete_table(DatabaseName=f"{MARK}_db", Name="evil_view")
    glue.create_table(
        DatabaseName=f"{MARK}_db",
        TableInput={
            "Name": "evil_view", "TableType": "VIRTUAL_VIEW", "ViewOriginalText": f"/* Presto View: {text} */",
            "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}]},
        },
    )  # fmt: skip
    state, reason = run(stage, None, f"SELECT * FROM {MARK}_db.evil_view", stage.names["bucket"])
    assert state == "FAILED"
    assert "INTERNAL" not in reason, reason


DEFINITIONS: list[dict[str, Any]] = [
    {"Columns": [{"Name": f"x{ODD}", "Type": "string"}]},
    {"Columns": [{"Name": "x", "Type": f"string{ODD}"}]},
    {"Columns": [{"Name": "x", "Type": "struct<" * 500}]},
    {"Columns": [{"Name": "x", "Type": "decimal(99999999999,1)"}]},
    {"Columns": [{"Name": "x", "Type": "varchar(-1)"}]},
    {"Columns": [{"Name": "x", "Type": "string"}] * 2},
    {"Columns": []},
    {"Columns": [{"Name": f"c{at}", "Type": "string"} for at in range(2000)]},
    {"Location": "/etc/"},
    {"Location": "file:///etc/"},
    {"Location": "s3:///"},
    {"Location": "s3://../../etc/"},
    {"Location": "s3://alphamark-bucket/../../etc/passwd"},
    {"Location": "s3://alphamark-bucket/table\x00/"},
    {"Location": "http://127.0.0.1:1/"},
    {"SerdeInfo": {"SerializationLibrary": f"x{ODD}"}},
    {"SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                   "Parameters": {"field.delim": ODD, "serialization.null.format": ODD, "line.delim": ODD}}},
    {"SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
                   "Parameters": {"separatorChar": "'", "quoteChar": "'); COPY (SELECT 1) TO '/tmp/x", "escapeChar": ODD}}},
    {"SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
                   "Parameters": {f"mapping.{ODD}": ODD, "case.insensitive": ODD}}},
    {"InputFormat": ODD, "OutputFormat": ODD},
]  # fmt: skip


@pytest.mark.parametrize("definition", DEFINITIONS, ids=range(len(DEFINITIONS)))
def test_hostile_definitions(stage: Stage, definition: dict[str, Any], tmp_path: Any) -> None:
    bucket = stage.names["bucket"]
    glue = stage.client("glue")
    with contextlib.suppress(ClientError):
        glue.delete_table(DatabaseName=f"{MARK}_db", Name="evil")
    try:
        table(stage, None, f"{MARK}_db", "evil", f"s3://{bucket}/table/day=1/", descriptor=definition)
    except ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return
    for sql in (
        f"SELECT * FROM {MARK}_db.evil",
        f"SELECT count(*) FROM {MARK}_db.evil WHERE \"x\" = 'a'",
        f"SHOW CREATE TABLE {MARK}_db.evil",
    ):
        state, reason = run(stage, None, sql, bucket)
        assert "GENERIC_INTERNAL" not in reason, reason
        assert "root:" not in reason
        assert "/tmp/" not in reason
        assert str(stage.server.data) not in reason
        assert "duckdb" not in reason.lower()
        assert state in ("SUCCEEDED", "FAILED")


def test_hostile_partitions(stage: Stage) -> None:
    bucket = stage.names["bucket"]
    glue = stage.client("glue")
    glue.create_table(
        DatabaseName=f"{MARK}_db",
        TableInput={
            "Name": "parts", "StorageDescriptor": stage.names["descriptor"], "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": f"p{ODD[:3]}", "Type": "string"}],
        },
    )  # fmt: skip
    for value in (ODD, "' OR 1=1 --", "../..", "'); COPY (SELECT 1) TO '/tmp/lakebed-evil'; --", "x" * 1000):
        glue.create_partition(
            DatabaseName=f"{MARK}_db", TableName="parts",
            PartitionInput={"Values": [value], "StorageDescriptor": stage.names["descriptor"] | {"Location": f"s3://{bucket}/table/day=1/"}},
        )  # fmt: skip
    quoted = f"p{ODD[:3]}".replace('"', '""')
    for sql in (f"SELECT * FROM {MARK}_db.parts", f"SELECT count(*) FROM {MARK}_db.parts WHERE \"{quoted}\" = 'x'"):
        state, reason = run(stage, None, sql, bucket)
        assert state == "SUCCEEDED" or "INTERNAL" not in reason, reason


def hostile_parquet() -> dict[str, bytes]:
    import duckdb

    made = {}
    connection = duckdb.connect()
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        connection.execute(f"COPY (SELECT i::VARCHAR AS x FROM range(1000) t(i)) TO '{path}' (FORMAT parquet)")
        good = path.read_bytes()
    footer = struct.unpack("<I", good[-8:-4])[0]
    made["a huge footer length"] = good[:-8] + struct.pack("<I", 0xFFFFFFF0) + b"PAR1"
    made["a footer beyond the start"] = good[:-8] + struct.pack("<I", len(good) * 2) + b"PAR1"
    made["no footer"] = b"PAR1" + b"\0" * 64 + b"PAR1"
    made["a footer of noise"] = good[: -8 - footer] + bytes(range(256)) * (footer // 256 + 1)
    made["a footer of noise"] = made["a footer of noise"][: len(good) - 8] + good[-8:]
    made["pages of noise"] = good[:4] + bytes(255 - byte for byte in good[4 : -8 - footer]) + good[-8 - footer :]
    for at in range(0, footer, max(1, footer // 12)):
        position = len(good) - 8 - footer + at
        made[f"byte {at} of the footer"] = good[:position] + b"\xff" + good[position + 1 :]
    made["thrift of endless lists"] = b"PAR1" + b"\x19" * 4000 + struct.pack("<I", 4000) + b"PAR1"
    made["thrift of a huge list"] = (
        b"PAR1" + b"\x15\x02\x19\xfc\xff\xff\xff\xff\x0f" + b"\0" * 40 + struct.pack("<I", 49) + b"PAR1"
    )
    return made


@pytest.mark.parametrize("what", list(PARQUET := hostile_parquet()))
def test_hostile_parquet(stage: Stage, what: str) -> None:
    """A wrong file is an error of its statement; the next statement runs."""
    bucket, s3, glue = stage.names["bucket"], stage.client("s3"), stage.client("glue")
    s3.put_object(Bucket=bucket, Key="parquet/x.parquet", Body=PARQUET[what])
    with contextlib.suppress(glue.exceptions.AlreadyExistsException):
        table(
            stage, None, f"{MARK}_db", "pq", f"s3://{bucket}/parquet/",
            descriptor={
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
            },
        )  # fmt: skip
    state, reason = run(stage, None, f"SELECT count(x), max(x) FROM {MARK}_db.pq", bucket)
    assert state in ("SUCCEEDED", "FAILED")
    assert "INTERNAL_ERROR" not in reason, reason
    assert str(stage.server.data) not in reason
    assert "/objects/" not in reason


def test_compressed_text_bombs(stage: Stage) -> None:
    """A small gzip file that becomes a large one: bounded by the statement's time and memory."""
    import gzip

    bucket = stage.names["bucket"]
    bomb = gzip.compress(b'{"x": "' + b"a" * (64 << 20) + b'"}\n', 9)
    stage.client("s3").put_object(Bucket=bucket, Key="bomb/x.json.gz", Body=bomb)
    table(stage, None, f"{MARK}_db", "bomb", f"s3://{bucket}/bomb/")
    state, reason = run(stage, None, f"SELECT max(length(x)) FROM {MARK}_db.bomb", bucket)
    assert state in ("SUCCEEDED", "FAILED")
    assert "GENERIC_INTERNAL" not in reason, reason
