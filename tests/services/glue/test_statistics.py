"""Column statistics: stored as given, and counted for real by Athena's engine as the role that was given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.engines import sql_duckdb
from lakebed.kernel.errors import AwsError
from lakebed.services import athena, glue, s3
from tests.harness import Harness

ROLE = "arn:aws:iam::000000000000:role/counter"
AT = {"DatabaseName": "lake", "TableName": "people"}
COLUMNS = [("id", "bigint"), ("name", "string"), ("born", "date"), ("paid", "decimal(10,2)"), ("tall", "double"),
           ("ok", "boolean"), ("tags", "array<string>")]  # fmt: skip
ROWS = b"""{"id": 3, "name": "ann", "born": "1970-01-02", "paid": "12.50", "tall": 1.5, "ok": true}
{"id": -7, "name": "bo", "born": "1980-05-01", "paid": "-0.25", "tall": 2.25, "ok": false}
{"id": 3, "name": null, "born": null, "paid": null, "tall": null, "ok": true}
"""


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[Harness]:
    running = sql_duckdb.engine(harness.kernel, harness.ports)
    harness.add(s3.service, glue.service, athena.service)
    await harness.start()
    await harness.call("s3", "CreateBucket", Bucket="lake")
    await harness.call("s3", "PutObject", Bucket="lake", Key="people/day=1/a.json", Body=ROWS)
    storage = {
        "Columns": [{"Name": name, "Type": kind} for name, kind in COLUMNS], "Location": "s3://lake/people/",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
    }  # fmt: skip
    await harness.call("glue", "CreateDatabase", DatabaseInput={"Name": "lake"})
    table = {"Name": "people", "StorageDescriptor": storage, "PartitionKeys": [{"Name": "day", "Type": "string"}]}
    await harness.call("glue", "CreateTable", DatabaseName="lake", TableInput=table)
    part = {"Values": ["1"], "StorageDescriptor": {**storage, "Location": "s3://lake/people/day=1/"}}
    await harness.call("glue", "CreatePartition", **AT, PartitionInput=part)
    yield harness
    await running.stop()


async def fails(code: str, call: Any) -> None:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code


async def counted(house: Harness, *names: str) -> dict[str, Any]:
    found = await house.call("glue", "GetColumnStatisticsForTable", **AT, ColumnNames=list(names))
    told = {}
    for one in found["ColumnStatisticsList"]:
        data = dict(one["StatisticsData"])
        kind = data.pop("Type")
        assert list(data) == [f"{kind.capitalize()}ColumnStatisticsData"]
        told[one["ColumnName"]] = next(iter(data.values()))
    return told


async def run_of(house: Harness, run_id: str) -> dict[str, Any]:
    found = await house.call("glue", "GetColumnStatisticsTaskRun", ColumnStatisticsTaskRunId=run_id)
    return found["ColumnStatisticsTaskRun"]


async def test_a_run_counts_what_is_there(house: Harness) -> None:
    made = await house.call("glue", "StartColumnStatisticsTaskRun", **AT, Role=ROLE)
    await fails(
        "ColumnStatisticsTaskRunningException", house.call("glue", "StartColumnStatisticsTaskRun", **AT, Role=ROLE)
    )
    await house.clock.settle()
    run = await run_of(house, made["ColumnStatisticsTaskRunId"])
    assert run["Status"] == "SUCCEEDED", run
    assert await counted(house, *(name for name, _ in COLUMNS)) == {
        "id": {"MinimumValue": -7, "MaximumValue": 3, "NumberOfNulls": 0, "NumberOfDistinctValues": 2},
        "name": {"MaximumLength": 3, "AverageLength": 2.5, "NumberOfNulls": 1, "NumberOfDistinctValues": 2},
        "born": {"MinimumValue": 86400.0, "MaximumValue": 325987200.0, "NumberOfNulls": 1, "NumberOfDistinctValues": 2},
        "paid": {
            "MinimumValue": {"UnscaledValue": b"\xe7", "Scale": 2}, "NumberOfNulls": 1,
            "MaximumValue": {"UnscaledValue": b"\x04\xe2", "Scale": 2}, "NumberOfDistinctValues": 2,
        },
        "tall": {"MinimumValue": 1.5, "MaximumValue": 2.25, "NumberOfNulls": 1, "NumberOfDistinctValues": 2},
        "ok": {"NumberOfTrues": 2, "NumberOfFalses": 1, "NumberOfNulls": 0},
    }  # fmt: skip
    runs = await house.call("glue", "GetColumnStatisticsTaskRuns", **AT)
    assert [one["Status"] for one in runs["ColumnStatisticsTaskRuns"]] == ["SUCCEEDED"]


async def test_columns_sample_and_failure(house: Harness) -> None:
    wanted = {"ColumnNameList": ["ID", "day"], "SampleSize": 50.0, "Role": "counter"}
    made = await house.call("glue", "StartColumnStatisticsTaskRun", **AT, **wanted)
    await house.clock.settle()
    run = await run_of(house, made["ColumnStatisticsTaskRunId"])
    assert (run["Status"], run["Role"]) == ("SUCCEEDED", ROLE), run
    assert set(await counted(house, "id", "name", "day")) == {"id", "day"}
    start = house.call("glue", "StartColumnStatisticsTaskRun", **AT, Role=ROLE, ColumnNameList=["tags"])
    await fails("InvalidInputException", start)
    await house.call("s3", "PutObject", Bucket="lake", Key="people/day=1/b.json", Body=b"{nonsense")
    made = await house.call("glue", "StartColumnStatisticsTaskRun", **AT, Role=ROLE)
    await house.clock.settle()
    run = await run_of(house, made["ColumnStatisticsTaskRunId"])
    assert run["Status"] == "FAILED"
    assert run["ErrorMessage"]
    listed = await house.call("glue", "ListColumnStatisticsTaskRuns", MaxResults=1)
    assert listed["ColumnStatisticsTaskRunIds"] == [made["ColumnStatisticsTaskRunId"]]
    more = await house.call("glue", "ListColumnStatisticsTaskRuns", NextToken=listed["NextToken"])
    assert len(more["ColumnStatisticsTaskRunIds"]) == 1
    assert "NextToken" not in more


async def test_stopping(house: Harness) -> None:
    made = await house.call("glue", "StartColumnStatisticsTaskRun", **AT, Role=ROLE)
    await house.call("glue", "StopColumnStatisticsTaskRun", **AT)
    await house.clock.settle()
    assert (await run_of(house, made["ColumnStatisticsTaskRunId"]))["Status"] == "STOPPED"
    assert await counted(house, "id") == {}
    await fails("ColumnStatisticsTaskNotRunningException", house.call("glue", "StopColumnStatisticsTaskRun", **AT))


async def test_schedule(house: Harness) -> None:
    settings = {**AT, "Role": ROLE, "Schedule": "cron(0 12 * * ? *)", "ColumnNameList": ["id"]}
    await house.call("glue", "CreateColumnStatisticsTaskSettings", **settings)
    await fails("AlreadyExistsException", house.call("glue", "CreateColumnStatisticsTaskSettings", **settings))
    await house.clock.advance(86_400)
    told = (await house.call("glue", "GetColumnStatisticsTaskSettings", **AT))["ColumnStatisticsTaskSettings"]
    assert told["LastExecutionAttempt"]["Status"] == "STARTED"
    assert told["Schedule"] == {"ScheduleExpression": "cron(0 12 * * ? *)", "State": "SCHEDULED"}
    assert set(await counted(house, "id", "name")) == {"id"}
    await house.call("glue", "StopColumnStatisticsTaskRunSchedule", **AT)
    await house.clock.advance(2 * 86_400)
    runs = await house.call("glue", "GetColumnStatisticsTaskRuns", **AT)
    assert len(runs["ColumnStatisticsTaskRuns"]) == 1
    await house.call("glue", "StartColumnStatisticsTaskRunSchedule", **AT)
    await house.call("glue", "UpdateColumnStatisticsTaskSettings", **AT, SampleSize=10.0)
    await fails(
        "InvalidInputException", house.call("glue", "UpdateColumnStatisticsTaskSettings", **AT, Schedule="soon")
    )
    await house.call("glue", "DeleteColumnStatisticsTaskSettings", **AT)
    await fails("EntityNotFoundException", house.call("glue", "GetColumnStatisticsTaskSettings", **AT))


async def test_given_statistics_of_a_partition(house: Harness) -> None:
    data = {"Type": "LONG", "LongColumnStatisticsData": {"NumberOfNulls": 1, "NumberOfDistinctValues": 2}}
    one = {"ColumnName": "id", "ColumnType": "bigint", "AnalyzedTime": 5.0, "StatisticsData": data}
    at = {**AT, "PartitionValues": ["1"]}
    other = {**one, "ColumnName": "none"}
    made = await house.call("glue", "UpdateColumnStatisticsForPartition", **at, ColumnStatisticsList=[one, other])
    assert [error["ColumnStatistics"]["ColumnName"] for error in made["Errors"]] == ["none"]
    found = await house.call("glue", "GetColumnStatisticsForPartition", **at, ColumnNames=["id", "name"])
    assert (found["ColumnStatisticsList"], [error["ColumnName"] for error in found["Errors"]]) == ([one], ["name"])
    wrong = {**one, "StatisticsData": {**data, "Type": "STRING"}}
    await fails(
        "InvalidInputException",
        house.call("glue", "UpdateColumnStatisticsForTable", **AT, ColumnStatisticsList=[wrong]),
    )
    await house.call("glue", "UpdatePartition", **AT, PartitionValueList=["1"], PartitionInput={"Values": ["1"]})
    await house.call("glue", "DeleteColumnStatisticsForPartition", **at, ColumnName="id")
    await fails(
        "EntityNotFoundException", house.call("glue", "DeleteColumnStatisticsForPartition", **at, ColumnName="id")
    )
    await house.call("glue", "UpdateColumnStatisticsForPartition", **at, ColumnStatisticsList=[one])
    await house.call("glue", "DeletePartition", **AT, PartitionValues=["1"])
    await house.call("glue", "CreatePartition", **AT, PartitionInput={"Values": ["1"]})
    found = await house.call("glue", "GetColumnStatisticsForPartition", **at, ColumnNames=["id"])
    assert found["ColumnStatisticsList"] == []
    await house.call("glue", "UpdateColumnStatisticsForTable", **AT, ColumnStatisticsList=[one])
    await house.call("glue", "DeleteTable", DatabaseName="lake", Name="people")
    await house.clock.settle()
    assert house.kernel.db.all("SELECT 1 FROM glue_column_statistics") == []
