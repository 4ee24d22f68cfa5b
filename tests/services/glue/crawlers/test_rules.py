"""Parity rules: a layout of folders, and the tables, partitions, columns and formats a crawl makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.glue.crawlers.conftest import Lake, columns

A = "id,name\n1,x\n2,y\n"
B = "when;amount;place;unit\nmon;1;2;3\ntue;2;3;4\n"
J = '{"a": 1, "b": "x"}\n'
RULES: list[tuple[str, dict[str, str], dict[str, Any], dict[str, tuple[list[str], list[list[str]], list[str]]]]] = [
    ("key=value folders", {"t/y=1/m=1/a.csv": A, "t/y=1/m=2/a.csv": A}, {},
     {"t": (["y", "m"], [["1", "1"], ["1", "2"]], ["id", "name"])}),
    ("plain folders", {"t/2025/a.csv": A, "t/2026/a.csv": A}, {},
     {"t": (["partition_0"], [["2025"], ["2026"]], ["id", "name"])}),
    ("folders that differ", {"t/x/a.csv": A, "t/y/b.csv": B}, {},
     {"x": ([], [], ["id", "name"]), "y": ([], [], ["when", "amount", "place", "unit"])}),
    ("hive folders that differ", {"t/k=1/a.csv": A, "t/k=2/b.csv": B}, {},
     {"k_1": ([], [], ["id", "name"]), "k_2": ([], [], ["when", "amount", "place", "unit"])}),
    ("files that differ", {"t/a.csv": A, "t/b.json": J}, {},
     {"a_csv": ([], [], ["id", "name"]), "b_json": ([], [], ["a", "b"])}),
    ("one plain folder is path", {"t/only/a.csv": A}, {}, {"only": ([], [], ["id", "name"])}),
    ("exclusions", {"t/x/a.csv": A, "t/x/b.json": J, "t/old/c.json": J}, {"Target": {"Exclusions": ["**.json"]}},
     {"x": ([], [], ["id", "name"])}),
    ("table level", {"t/x/1/a.csv": A, "t/x/2/a.csv": A, "t/y/1/a.csv": A},
     {"Configuration": '{"Version": 1.0, "Grouping": {"TableLevelConfiguration": 3}}'},
     {"x": (["partition_0"], [["1"], ["2"]], ["id", "name"]), "y": (["partition_0"], [["1"]], ["id", "name"])}),
    ("combined", {"t/x/a.json": J, "t/y/a.json": '{"a": 1, "c": 2.5, "d": true}\n'},
     {"Configuration": '{"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}}'},
     {"t": (["partition_0"], [["x"], ["y"]], ["a", "b", "c", "d"])}),
    ("no header", {"t/d/a.csv": "1,x\n2,y\n"}, {}, {"d": ([], [], ["col0", "col1"])}),
    ("an array of objects", {"t/d/a.json": '[{"a": 1}]'}, {}, {"d": ([], [], ["array"])}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "objects", "params", "expected"), RULES, ids=[rule[0] for rule in RULES])
async def test_layout(
    lake: Lake, name: str, objects: dict[str, str], params: dict[str, Any], expected: dict[str, Any]
) -> None:
    await lake.put(objects)
    await lake.create(path="s3://lake/t/", **params)
    await lake.succeed()
    tables = await lake.tables()
    made = {
        table: ([key["Name"] for key in one["PartitionKeys"]], sorted(await lake.partitions(table)), list(columns(one)))
        for table, one in tables.items()
    }
    assert made == expected


async def test_changes_follow_the_policy(lake: Lake) -> None:
    await lake.put({"t/x/a.json": J, "t/y/b.csv": A})
    await lake.create(path="s3://lake/t/", SchemaChangePolicy={"DeleteBehavior": "DELETE_FROM_DATABASE"})
    await lake.succeed()
    await lake.put({"t/x/a.json": '{"a": 1, "b": "x", "c": 2}\n'})
    await lake.delete("t/y/b.csv")
    await lake.succeed()
    tables = await lake.tables()
    assert list(tables) == ["x"]
    assert list(columns(tables["x"])) == ["a", "b", "c"]
    metrics = (await lake.call("GetCrawlerMetrics", CrawlerNameList=["c"]))["CrawlerMetricsList"][0]
    assert (metrics["TablesCreated"], metrics["TablesUpdated"], metrics["TablesDeleted"]) == (0, 1, 1)
    assert [one["State"] for one in (await lake.call("ListCrawls", CrawlerName="c"))["Crawls"]] == ["COMPLETED"] * 2


async def test_new_folders_and_events(lake: Lake) -> None:
    policy = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    queue = await lake.harness.call("sqs", "CreateQueue", QueueName="q")
    await lake.put({"t/d=1/a.csv": A})
    target = {"EventQueueArn": "arn:aws:sqs:us-east-1:000000000000:q"}
    for name, behaviour in (("n", "CRAWL_NEW_FOLDERS_ONLY"), ("e", "CRAWL_EVENT_MODE")):
        await lake.create(
            name, "s3://lake/t/", SchemaChangePolicy=policy, RecrawlPolicy={"RecrawlBehavior": behaviour}, Target=target
        )
        await lake.succeed(name)
    await lake.put({"t/d=2/a.csv": A, "t/d=3/a.csv": A})
    body = '{"Records": [{"s3": {"bucket": {"name": "lake"}, "object": {"key": "t/d%3D2/a.csv"}}}]}'
    await lake.harness.call("sqs", "SendMessage", QueueUrl=queue["QueueUrl"], MessageBody=body)
    await lake.succeed("e")
    assert await lake.partitions("t") == [["1"], ["2"]]
    await lake.succeed("n")
    assert await lake.partitions("t") == [["1"], ["2"], ["3"]]


async def test_schedule_and_errors(lake: Lake) -> None:
    await lake.put({"t/a.csv": A})
    await lake.create(path="s3://lake/t/", Schedule="cron(0 * * * ? *)")
    await lake.harness.clock.advance(3700)
    await lake.harness.clock.settle()
    assert list(await lake.tables()) == ["t"]
    await lake.call("StopCrawlerSchedule", CrawlerName="c")
    for operation, code in (("StopCrawlerSchedule", "SchedulerNotRunningException"), ("GetCrawler", "")):
        if code:
            with pytest.raises(AwsError) as raised:
                await lake.call(operation, CrawlerName="c")
            assert raised.value.error_code == code
    assert (await lake.call("GetCrawler", Name="c"))["Crawler"]["Schedule"]["State"] == "NOT_SCHEDULED"
    await lake.create("gone", "s3://nowhere-at-all/")
    assert (await lake.crawl("gone"))["Status"] == "FAILED"
    with pytest.raises(AwsError) as raised:
        await lake.call("StopCrawler", Name="c")
    assert raised.value.error_code == "CrawlerNotRunningException"


async def test_custom_classifiers(lake: Lake) -> None:
    await lake.call("CreateClassifier", JsonClassifier={"Name": "j", "JsonPath": "$[*]"})
    await lake.call("CreateClassifier", XMLClassifier={"Name": "x", "Classification": "items", "RowTag": "item"})
    await lake.call(
        "CreateClassifier",
        GrokClassifier={"Name": "g", "Classification": "mine", "GrokPattern": "%{INT:n:int} %{WORD:w}"},
    )
    await lake.put(
        {"t/j/a.json": '[{"a": 1}]', "t/x/a.xml": '<r><item id="1"><n>x</n></item></r>', "t/g/a": "1 a\n2 b\n"}
    )
    await lake.create(path="s3://lake/t/", Classifiers=["j", "x", "g"])
    await lake.succeed()
    tables = await lake.tables()
    assert {name: columns(one) for name, one in tables.items()} == {
        "j": {"a": "int"}, "x": {"_id": "int", "n": "string"}, "g": {"n": "int", "w": "string"},
    }  # fmt: skip
    assert tables["x"]["Parameters"]["classification"] == "items"
    assert (await lake.query("SELECT w FROM g WHERE n = 2"))[1:] == [["b"]]
