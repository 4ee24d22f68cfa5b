"""What is measured of each server. Every function returns figures by name; one that a server cannot do says why instead."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.load import LARGE_BYTES, RECORD_SIZES, Call, client, json_call, measure, put_records, queue_cycle, signed
from bench.queries import begin, finish
from bench.servers import WORK, Running
from bench.services import calls

Measured = dict[str, float | str]
LIST_QUEUES = json_call("sqs", "AmazonSQS.ListQueues", version="1.0")


def trivial(server: Running) -> Measured:
    """ListQueues over a kept connection, then over eight."""
    client(server.port, "sqs").list_queues()
    request = signed(server.port, LIST_QUEUES)
    one = measure(server.port, request)
    eight = measure(server.port, request, connections=8)
    return {
        "ListQueues p50, ms": one.p50,
        "ListQueues p99, ms": one.p99,
        "ListQueues, 8 connections, requests/s": _clean(eight.per_second, eight.failures),
    }


def queue(server: Running) -> Measured:
    """A message's life: sent, received, deleted."""
    url = client(server.port, "sqs").create_queue(QueueName="bench")["QueueUrl"]
    return {"SQS send + receive + delete p50, ms": queue_cycle(server.port, url)}


def kinesis(server: Running) -> Measured:
    """PutRecords of 500, by raw client (server bound) over two connections."""
    kinesis = client(server.port, "kinesis")
    kinesis.create_stream(StreamName="bench", ShardCount=4)
    _until(
        lambda: (
            kinesis.describe_stream_summary(StreamName="bench")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        )
    )
    found: Measured = {}
    for size in RECORD_SIZES:
        got = measure(server.port, put_records(server.port, size), connections=2, seconds=3.0)
        found[f"PutRecords 500 × {size} B, records/s"] = _clean(got.per_second * 500, got.failures)
        found[f"PutRecords 500 × {size} B, MB/s"] = _clean(got.per_second * 500 * size / 1e6, got.failures)
    return found


def objects(server: Running) -> Measured:
    """S3 through boto3 for 64 MB, raw for the small and ranged ones."""
    s3 = client(server.port, "s3")
    s3.create_bucket(Bucket="bench")
    small = b"x" * 1024
    put = measure(server.port, signed(server.port, Call("s3", small, method="PUT", path="/bench/small")))
    get = measure(server.port, signed(server.port, Call("s3", method="GET", path="/bench/small")))
    large = bytes(LARGE_BYTES)
    puts, gets = [], []
    for _ in range(3):
        began = time.perf_counter()
        s3.put_object(Bucket="bench", Key="large", Body=large)
        puts.append(time.perf_counter() - began)
        began = time.perf_counter()
        size = len(s3.get_object(Bucket="bench", Key="large")["Body"].read())
        gets.append(time.perf_counter() - began)
        if size != len(large):
            return {"S3": f"returned {size} bytes of {len(large)}"}
    ranged = []
    for number in range(60):
        began = time.perf_counter()
        s3.get_object(Bucket="bench", Key="large", Range=f"bytes={number << 20}-{(number << 20) + 4095}")["Body"].read()
        ranged.append((time.perf_counter() - began) * 1000)
    whole = measure(server.port, signed(server.port, Call("s3", method="GET", path="/bench/large")), seconds=3.0)
    return {
        "S3 put 1 KB p50, ms": put.p50,
        "S3 get 1 KB p50, ms": get.p50,
        "S3 get 64 MB, MB/s": _clean(whole.per_second * LARGE_BYTES / 1e6, whole.failures),
        "S3 put 64 MB by boto3, MB/s": 67.1 / min(puts),
        "S3 get 64 MB by boto3, MB/s": 67.1 / min(gets),
        "S3 get 4 KB of 64 MB by boto3 p50, ms": statistics.median(ranged),
    }


def firehose(server: Running) -> Measured:
    """One record with a 1 s buffer: time beyond that second until its object is listed."""
    role = _role(server, "bench-firehose", "firehose.amazonaws.com")
    s3, firehose = client(server.port, "s3"), client(server.port, "firehose")
    s3.create_bucket(Bucket="bench-firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="bench",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::bench-firehose",
            "RoleARN": role,
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
        },
    )
    delays = []
    for number in range(1, 4):
        began = time.perf_counter()
        firehose.put_record(DeliveryStreamName="bench", Record={"Data": b"x\n"})
        _until(lambda count=number: s3.list_objects_v2(Bucket="bench-firehose").get("KeyCount", 0) >= count)  # type: ignore[misc]
        delays.append(time.perf_counter() - began)
    return {"Firehose, 1 s buffer: seconds until the object": statistics.median(delays)}


def athena(server: Running) -> Measured:
    """SELECT 1 end to end, and a group-by over a million rows of Parquet beside bare DuckDB on the same file."""
    s3, athena, glue = (client(server.port, name) for name in ("s3", "athena", "glue"))
    s3.create_bucket(Bucket="bench-athena")
    parquet = million_rows()
    s3.upload_file(str(parquet), "bench-athena", "t/data.parquet")
    glue.create_database(DatabaseInput={"Name": "bench"})
    glue.create_table(DatabaseName="bench", TableInput=_table())

    def run(sql: str) -> tuple[float, list[list[str]]]:
        began = time.perf_counter()
        rows = finish(athena, begin(athena, sql), poll_seconds=0.001)
        return (time.perf_counter() - began) * 1000, rows

    if run("SELECT 1")[1] != [["1"]]:
        return {"Athena SELECT 1 p50, ms": "wrong rows"}
    ones = [run("SELECT 1")[0] for _ in range(15)]
    sql = "SELECT k, count(*) AS n, sum(v) AS s FROM t GROUP BY k ORDER BY k"
    run(sql)
    groups = [run(sql) for _ in range(7)]
    bare = [bare_duckdb(parquet) for _ in range(7)]
    expected = bare[0][1]
    if [[row[0], row[1]] for row in groups[0][1]] != [[str(row[0]), str(row[1])] for row in expected]:
        return {"Athena SELECT 1 p50, ms": statistics.median(ones), "Athena group by, 1M rows": "wrong rows"}
    mine, limit = statistics.median(group[0] for group in groups), statistics.median(one[0] for one in bare)
    worst = _unrelated_call_during(server, sql)
    return {
        "Athena SELECT 1 p50, ms": statistics.median(ones),
        "Athena group by, 1M Parquet rows p50, ms": mine,
        "the same in bare DuckDB p50, ms": limit,
        "over bare DuckDB, ms": mine - limit,
        "worst unrelated ListQueues while 8 queries run, ms": worst,
    }


def _unrelated_call_during(server: Running, sql: str) -> float:
    """Slowest of the calls made while eight queries run; those are polled by a process of their own."""
    queries = subprocess.Popen([sys.executable, "-m", "bench.queries", str(server.port), sql], stdout=subprocess.PIPE)
    assert queries.stdout is not None
    queries.stdout.readline()  # all are started
    request = signed(server.port, LIST_QUEUES)
    worst = 0.0
    while queries.poll() is None:
        worst = max(worst, measure(server.port, request, seconds=0.05).worst)
    if queries.returncode:
        raise RuntimeError("a query failed")
    return worst


def million_rows() -> Path:
    """A Parquet file of a million rows in 100 groups."""
    import duckdb

    path = WORK / "million.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(
            "COPY (SELECT i % 100 AS k, i AS v, md5(i::VARCHAR) AS s FROM range(1000000) t(i)) "
            f"TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 100000)"
        )
    return path


def bare_duckdb(parquet: Path) -> tuple[float, list[tuple[Any, ...]]]:
    """The group-by in a fresh connection on the same file: what no server can beat."""
    import duckdb

    began = time.perf_counter()
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT k, count(*) AS n, sum(v) AS s FROM read_parquet('{parquet}') GROUP BY k ORDER BY k"
        ).fetchall()
    return (time.perf_counter() - began) * 1000, rows


def _table() -> dict[str, Any]:
    return {
        "Name": "t",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "StorageDescriptor": {
            "Columns": [
                {"Name": "k", "Type": "bigint"},
                {"Name": "v", "Type": "bigint"},
                {"Name": "s", "Type": "string"},
            ],
            "Location": "s3://bench-athena/t/",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
        },
    }


def _role(server: Running, name: str, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam = client(server.port, "iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    return arn


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"nothing after {seconds} s")
        time.sleep(0.005)


def _clean(value: float, failures: int) -> float | str:
    return value if not failures else f"{failures} requests failed"


ALL: tuple[Callable[[Running], Measured], ...] = (trivial, calls, queue, kinesis, objects, firehose, athena)
