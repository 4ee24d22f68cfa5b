"""The middle of the flow for real: Kinesis, a Python function, Parquet by DuckDB and Glue, S3, with IAM deciding."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakebed.engines import sql_duckdb
from lakebed.engines.run_python import PythonRuntime
from lakebed.kernel.errors import AwsError
from lakebed.services import firehose, glue, iam, kinesis, lambda_, s3
from tests.harness import ACCOUNT, Harness
from tests.services.firehose.neighbours import Logs
from tests.services.lambda_.fakes import zipped

ROLE = f"arn:aws:iam::{ACCOUNT}:role/delivery"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"
DELIVERY = f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/d"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:fn"
CODE = """
import base64, json
def handler(event, context):
    answer = []
    for record in event["records"]:
        value = json.loads(base64.b64decode(record["data"]))
        if value["n"] % 10 == 9:
            answer.append({"recordId": record["recordId"], "result": "Dropped"})
            continue
        value["twice"] = 2 * value["n"]
        answer.append({
            "recordId": record["recordId"], "result": "Ok",
            "data": base64.b64encode(json.dumps(value).encode()).decode(),
            "metadata": {"partitionKeys": {"site": value["site"]}},
        })
    return {"records": answer}
"""


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(*statements: tuple[str, str]) -> str:
    listed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": listed})


class Flow:
    def __init__(self, directory: Path) -> None:
        self.harness = Harness(directory)
        ports: Any = self.harness.ports
        ports.logs = Logs()
        self.runtime = ports.runtime = PythonRuntime(self.harness.kernel, lambda: "http://127.0.0.1:4566")
        self.engine = sql_duckdb.engine(self.harness.kernel, self.harness.ports)
        self.harness.add(iam.service, s3.service, lambda_.service, kinesis.service, firehose.service, glue.service)

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call(service, operation, **params)

    async def prepare(self, *statements: tuple[str, str]) -> None:
        await self.call(
            "iam", "CreateRole", RoleName="delivery", AssumeRolePolicyDocument=trust("firehose.amazonaws.com")
        )
        await self.call("iam", "PutRolePolicy", RoleName="delivery", PolicyName="p", PolicyDocument=policy(*statements))
        await self.call("iam", "CreateRole", RoleName="fn", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
        await self.call(
            "lambda", "CreateFunction", FunctionName="fn", Runtime="python3.11", Handler="app.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/fn", Code={"ZipFile": zipped(CODE)},
        )  # fmt: skip
        await self.call("s3", "CreateBucket", Bucket="lake")
        await self.call("glue", "CreateDatabase", DatabaseInput={"Name": "db"})
        columns = [{"Name": "n", "Type": "bigint"}, {"Name": "twice", "Type": "int"}]
        await self.call(
            "glue", "CreateTable", DatabaseName="db",
            TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns, "Location": "s3://lake/t/"}},
        )  # fmt: skip
        await self.call("kinesis", "CreateStream", StreamName="s", ShardCount=2)
        await self.harness.clock.advance(10)

    async def create(self) -> None:
        parameters = [
            {"ParameterName": "LambdaArn", "ParameterValue": FUNCTION},
            {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "10"},
        ]
        await self.call(
            "firehose",
            "CreateDeliveryStream",
            DeliveryStreamName="d",
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": STREAM, "RoleARN": ROLE},
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE,
                "BucketARN": "arn:aws:s3:::lake",
                "Prefix": "t/site=!{partitionKeyFromLambda:site}/",
                "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
                "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
                "DynamicPartitioningConfiguration": {"Enabled": True},
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [{"Type": "Lambda", "Parameters": parameters}],
                },
                "DataFormatConversionConfiguration": {
                    "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "db", "TableName": "t"},
                    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
                },
            },
        )

    async def keys(self) -> list[str]:
        listed = await self.call("s3", "ListObjectsV2", Bucket="lake")
        return [entry["Key"] for entry in listed.get("Contents", [])]


@pytest.fixture
async def flow(tmp_path: Path) -> AsyncIterator[Flow]:
    made = Flow(tmp_path / "data")
    await made.harness.start()
    yield made
    await made.harness.stop()
    await made.runtime.stop()
    await made.engine.stop()


ALLOWED = (
    ("kinesis:GetRecords", STREAM),
    ("lambda:InvokeFunction", f"{FUNCTION}*"),
    ("s3:PutObject", "arn:aws:s3:::lake/*"),
    ("glue:GetTable", "*"),
)


async def test_from_stream_to_partitioned_parquet(flow: Flow, tmp_path: Path) -> None:
    await flow.prepare(*ALLOWED)
    await flow.create()
    records = [
        {"PartitionKey": f"k{n}", "Data": json.dumps({"n": n, "site": "east" if n % 2 else "west"}).encode()}
        for n in range(100)
    ]
    await flow.call("kinesis", "PutRecords", StreamName="s", Records=records)
    await flow.harness.clock.advance(80)
    keys = await flow.keys()
    assert [key.split("/")[1] for key in keys] == ["site=east", "site=west"]
    found: list[tuple[Any, ...]] = []
    for number, key in enumerate(keys):
        assert key.endswith(".parquet")
        body = (await flow.call("s3", "GetObject", Bucket="lake", Key=key))["Body"].read()
        file = tmp_path / f"{number}.parquet"
        file.write_bytes(body)
        with duckdb.connect() as connection:
            found += connection.execute(f"SELECT n, twice FROM '{file}'").fetchall()
    assert sorted(found) == [(n, 2 * n) for n in range(100) if n % 10 != 9]
    meters: Any = flow.harness.kernel.meters.snapshot()["resources"]
    meter = meters[DELIVERY]
    assert (meter["recordsIn"], meter["recordsOut"], meter["dropped"], meter["waiting"]) == (100, 90, 10, 0)
    assert meters[STREAM]["recordsOut"] == 100


async def test_a_role_that_may_not_write_keeps_everything_waiting_until_it_may(flow: Flow) -> None:
    await flow.prepare(*ALLOWED[:2], ALLOWED[3])
    await flow.create()
    await flow.call(
        "kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=json.dumps({"n": 1, "site": "x"}).encode()
    )
    await flow.harness.clock.advance(200)
    assert await flow.keys() == []
    await flow.call("iam", "PutRolePolicy", RoleName="delivery", PolicyName="p", PolicyDocument=policy(*ALLOWED))
    await flow.harness.clock.advance(300)
    assert len(await flow.keys()) == 1


async def test_a_role_that_firehose_may_not_assume_is_refused(flow: Flow) -> None:
    await flow.prepare(*ALLOWED)
    await flow.call("iam", "UpdateAssumeRolePolicy", RoleName="delivery", PolicyDocument=trust("glue.amazonaws.com"))
    with pytest.raises(AwsError):
        await flow.create()
