"""Metrics through the wire, and their aggregation against brute force."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services.cloudwatch import service
from lakebed.services.cloudwatch.aggregate import POINTS_MAX, merge, of_values
from tests.harness import SCOPE, Harness

VALUES = st.floats(0, 1e9, allow_nan=False)


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    return harness


@pytest.fixture
def still(harness: Harness) -> Harness:
    """Without tasks, so that weeks pass at once."""
    harness.add(service)
    return harness


async def age(house: Harness) -> None:
    (task,) = [task for task in house.services["cloudwatch"].tasks if task.name == "cloudwatch:ageing"]
    await task.activate()


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code
    return failure.value.message


async def put(house: Harness, *data: dict[str, Any], namespace: str = "App") -> None:
    await house.call("cloudwatch", "PutMetricData", Namespace=namespace, MetricData=list(data))


@given(st.lists(st.tuples(VALUES, st.integers(1, 5)), min_size=1, max_size=60), st.integers(0, 60))
def test_merged_aggregates_are_those_of_all_values(pairs: list[tuple[float, int]], cut: int) -> None:
    parts = [part for part in (pairs[:cut], pairs[cut:]) if part]
    made = [of_values([value for value, _ in part], [float(count) for _, count in part]) for part in parts]
    whole = made[0] if len(made) == 1 else merge(*made)
    every = sorted(value for value, count in pairs for _ in range(count))
    assert whole.statistic("SampleCount") == len(every)
    assert math.isclose(whole.statistic("Sum") or 0.0, math.fsum(every), rel_tol=1e-9)
    assert (whole.statistic("Minimum"), whole.statistic("Maximum")) == (every[0], every[-1])
    for percent in (0, 10, 50, 90, 99, 100):
        rank = max(math.ceil(len(every) * percent / 100 - 1e-9), 1)
        assert whole.statistic(f"p{percent}") == every[rank - 1]


@settings(max_examples=25)
@given(st.lists(st.floats(0.001, 1e6), min_size=300, max_size=600))
def test_a_histogram_is_bounded_and_near(values: list[float]) -> None:
    made = of_values(values, [1.0] * len(values))
    assert made.points is not None
    assert len(made.points) <= POINTS_MAX
    assert math.isclose(math.fsum(count for _, count in made.points), len(values))
    assert made.low <= (made.statistic("p50") or 0.0) <= made.high


async def test_statistics_by_period(house: Harness) -> None:
    now = math.floor(house.clock.now() / 300) * 300
    dimensions = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
    await put(
        house,
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": now - 600, "Value": 1.0, "Unit": "Count"},
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": now - 541, "Values": [2.0, 3.0], "Counts": [1.0, 2.0],
         "Unit": "Count"},
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": now - 300, "Unit": "Count",
         "StatisticValues": {"SampleCount": 2.0, "Sum": 10.0, "Minimum": 4.0, "Maximum": 6.0}},
    )  # fmt: skip
    asked = {"Namespace": "App", "MetricName": "M", "Dimensions": dimensions[::-1], "StartTime": now - 600,
             "EndTime": now, "Period": 300}  # fmt: skip
    found = await house.call(
        "cloudwatch", "GetMetricStatistics", **asked,
        Statistics=["Sum", "SampleCount", "Average", "Minimum", "Maximum"], ExtendedStatistics=["p50"],
    )  # fmt: skip
    assert found["Label"] == "M"
    assert found["Datapoints"] == [
        {"Timestamp": now - 600, "Sum": 9.0, "SampleCount": 4.0, "Average": 2.25, "Minimum": 1.0, "Maximum": 3.0,
         "Unit": "Count", "ExtendedStatistics": {"p50": 2.0}},
        {"Timestamp": now - 300, "Sum": 10.0, "SampleCount": 2.0, "Average": 5.0, "Minimum": 4.0, "Maximum": 6.0,
         "Unit": "Count"},
    ]  # fmt: skip
    other = await house.call("cloudwatch", "GetMetricStatistics", **asked, Statistics=["Sum"], Unit="Bytes")
    assert other["Datapoints"] == []
    await fails("NotImplemented", house.call("cloudwatch", "GetMetricStatistics", **asked, ExtendedStatistics=["tm90"]))
    message = await fails(
        "InvalidParameterCombination",
        house.call(
            "cloudwatch",
            "GetMetricStatistics",
            **{**asked, "Period": 60, "StartTime": now - 90_000},
            Statistics=["Sum"],
        ),
    )
    assert "exceeds the limit of 1,440" in message


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({"Value": 1.0, "Timestamp": -15 * 86_400}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": 8000}, "InvalidParameterValue"),
        ({"Value": float("nan")}, "InvalidParameterValue"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({}, "MissingParameter"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
        ({"Values": [1.0] * 151}, "InvalidParameterValue"),
        ({"Value": 1.0, "StorageResolution": 5}, "InvalidParameterValue"),
    ],
)  # fmt: skip
async def test_put_refuses(house: Harness, datum: dict[str, Any], code: str) -> None:
    if "Timestamp" in datum:
        datum = {**datum, "Timestamp": house.clock.now() + datum["Timestamp"]}
    await fails(code, put(house, {"MetricName": "M", **datum}))
    assert (await house.call("cloudwatch", "ListMetrics"))["Metrics"] == []


async def test_put_refuses_namespaces_and_entities(house: Harness) -> None:
    one = {"MetricName": "M", "Value": 1.0}
    await fails("InvalidParameterValue", put(house, one, namespace="AWS/Lambda"))
    await fails("NotImplemented", house.call("cloudwatch", "PutMetricData", Namespace="A", EntityMetricData=[]))
    assert (await house.call("cloudwatch", "ListMetrics"))["Metrics"] == []


async def test_list_metrics(still: Harness) -> None:
    house = still
    for number in range(3):
        await put(
            house, {"MetricName": f"m{number}", "Dimensions": [{"Name": "n", "Value": str(number)}], "Value": 1.0}
        )
    await put(
        house,
        *({"MetricName": "many", "Dimensions": [{"Name": "i", "Value": str(i)}], "Value": 1.0} for i in range(600)),
    )
    only = await house.call("cloudwatch", "ListMetrics", Namespace="App", Dimensions=[{"Name": "n", "Value": "1"}])
    assert only["Metrics"] == [{"Namespace": "App", "MetricName": "m1", "Dimensions": [{"Name": "n", "Value": "1"}]}]
    first = await house.call("cloudwatch", "ListMetrics")
    rest = await house.call("cloudwatch", "ListMetrics", NextToken=first["NextToken"])
    assert (len(first["Metrics"]), len(rest["Metrics"])) == (500, 103)
    await house.clock.advance(4 * 3600)
    assert (await house.call("cloudwatch", "ListMetrics", RecentlyActive="PT3H"))["Metrics"] == []
    await house.clock.advance(15 * 86_400)
    assert (await house.call("cloudwatch", "ListMetrics"))["Metrics"] == []


def query(name: str, stat: str = "Sum", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "App", "MetricName": name}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}


async def test_metric_data_and_mathematics(house: Harness) -> None:
    now = math.floor(house.clock.now() / 60) * 60
    for back, a, b in ((180, 1.0, 10.0), (120, 2.0, 0.0), (60, 3.0, None)):
        await put(house, {"MetricName": "a", "Timestamp": now - back, "Value": a})
        if b is not None:
            await put(house, {"MetricName": "b", "Timestamp": now - back, "Value": b})
    asked = [query("a"), query("b", ReturnData=False)]
    expressions = {
        "e1": ("a * 2 + b", [12.0, 4.0]), "e2": ("a / b", [0.1]), "e3": ("SUM(METRICS())", [11.0, 2.0, 3.0]),
        "e4": ("IF(a > 1, a, 0)", [0.0, 2.0, 3.0]), "e5": ("FILL(b, 7)", [10.0, 0.0, 7.0]),
        "e6": ("FILL(b, REPEAT) - AVG(a)", [8.0, -2.0, -2.0]), "e7": ("MAX([a, b])", [10.0, 2.0, 3.0]),
        "e8": ("-(a ^ 2)", [-1.0, -4.0, -9.0]),
    }  # fmt: skip
    found = await house.call(
        "cloudwatch", "GetMetricData", StartTime=now - 180, EndTime=now, ScanBy="TimestampAscending",
        LabelOptions={"Timezone": "+0130"},
        MetricDataQueries=[*asked, *({"Id": key, "Expression": text} for key, (text, _) in expressions.items())],
    )  # fmt: skip
    values = {one["Id"]: one["Values"] for one in found["MetricDataResults"]}
    assert values == {"a": [1.0, 2.0, 3.0], **{key: expected for key, (_, expected) in expressions.items()}}
    for text in ("SEARCH('x', 'Sum', 60)", "ANOMALY_DETECTION_BAND(a)", "SELECT AVG(x) FROM y"):
        given_queries = [query("a"), {"Id": "e", "Expression": text}]
        with pytest.raises(AwsError) as failure:
            await house.call(
                "cloudwatch", "GetMetricData", StartTime=now - 60, EndTime=now, MetricDataQueries=given_queries
            )
        assert failure.value.error_code in ("NotImplemented", "ValidationError")
    await fails(
        "ValidationError",
        house.call("cloudwatch", "GetMetricData", StartTime=now - 60, EndTime=now, MetricDataQueries=[
            query("a"), {"Id": "x", "Expression": "y + 1"}, {"Id": "y", "Expression": "x + 1"}]),
    )  # fmt: skip


async def test_metric_data_pages(house: Harness) -> None:
    now = math.floor(house.clock.now() / 60) * 60
    for back in range(1, 6):
        await put(house, *({"MetricName": name, "Timestamp": now - 60 * back, "Value": float(back)} for name in "ab"))
    token: dict[str, str] = {}
    seen: dict[str, list[float]] = {"a": [], "b": []}
    for _ in range(4):
        page = await house.call(
            "cloudwatch", "GetMetricData", StartTime=now - 600, EndTime=now, MaxDatapoints=3,
            MetricDataQueries=[query("a"), query("b")], **token,
        )  # fmt: skip
        for one in page["MetricDataResults"]:
            seen[one["Id"]] += one["Values"]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
        if not token:
            break
    assert seen == {"a": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [1.0, 2.0, 3.0, 4.0, 5.0]}


async def test_retention_rolls_up(still: Harness) -> None:
    house = still
    start = math.floor(house.clock.now() / 3600) * 3600 + 3600
    await house.clock.advance(start - house.clock.now() + 1800)
    for minute in range(10):
        await put(house, {"MetricName": "old", "Timestamp": start + 60 * minute, "Value": 1.0, "StorageResolution": 1})

    async def sums(period: int) -> list[float]:
        found = await house.call(
            "cloudwatch", "GetMetricStatistics", Namespace="App", MetricName="old", StartTime=start,
            EndTime=start + 3600, Period=period, Statistics=["Sum"],
        )  # fmt: skip
        return [point["Sum"] for point in found["Datapoints"]]

    assert await sums(60) == [1.0] * 10
    assert len(await sums(10)) == 10
    await house.clock.advance(4 * 3600)
    await age(house)
    assert await sums(10) == []
    await house.clock.advance(16 * 86_400)
    await age(house)
    assert await sums(60) == [5.0, 5.0]
    assert await sums(300) == [5.0, 5.0]
    await house.clock.advance(50 * 86_400)
    await age(house)
    assert await sums(3600) == [10.0]


async def test_services_publish_and_meters_are_vended(house: Harness) -> None:
    await house.clock.advance(60 - house.clock.now() % 60)
    minute = house.clock.now()
    house.ports.metrics.put(SCOPE, "AWS/Lambda", [("Invocations", {"FunctionName": "f"}, 1.0, "Count")] * 3)
    arn = SCOPE.arn("kinesis", "stream/s")
    house.kernel.meters.into(arn, 5, 100)
    queue, dead = SCOPE.arn("sqs", "q"), SCOPE.arn("sqs", "dead")
    house.kernel.meters.lag(queue, seconds=4.0, waiting=2)
    house.kernel.meters.into(queue, 9)
    house.kernel.meters.out(queue, 4)
    house.kernel.meters.out(queue, 3, to=dead)
    house.kernel.meters.into(dead, 3)
    await house.clock.advance(62)
    house.kernel.meters.into(arn, 2, 50)
    await house.clock.advance(60)

    async def sums(namespace: str, name: str, dimension: str, value: str) -> list[float]:
        found = await house.call(
            "cloudwatch", "GetMetricStatistics", Namespace=namespace, MetricName=name, StartTime=minute,
            EndTime=minute + 180, Period=60, Statistics=["Sum"], Dimensions=[{"Name": dimension, "Value": value}],
        )  # fmt: skip
        return [point["Sum"] for point in found["Datapoints"]]

    assert await sums("AWS/Lambda", "Invocations", "FunctionName", "f") == [3.0]
    assert await sums("AWS/Kinesis", "IncomingRecords", "StreamName", "s") == [5.0, 2.0]
    assert await sums("AWS/Kinesis", "IncomingBytes", "StreamName", "s") == [100.0, 50.0]
    assert await sums("AWS/SQS", "NumberOfMessagesSent", "QueueName", "q") == [9.0]
    assert await sums("AWS/SQS", "NumberOfMessagesDeleted", "QueueName", "q") == [4.0]
    assert await sums("AWS/SQS", "NumberOfMessagesSent", "QueueName", "dead") == []
    assert await sums("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "q") == [4.0, 4.0]


async def test_dashboards(house: Harness) -> None:
    body = '{"widgets":[{"type":"text","properties":{"markdown":"x"}}]}'
    await house.call(
        "cloudwatch", "PutDashboard", DashboardName="d", DashboardBody=body, Tags=[{"Key": "k", "Value": "v"}]
    )
    found = await house.call("cloudwatch", "GetDashboard", DashboardName="d")
    assert found == {
        "DashboardArn": "arn:aws:cloudwatch::000000000000:dashboard/d",
        "DashboardBody": body,
        "DashboardName": "d",
    }
    tags = await house.call("cloudwatch", "ListTagsForResource", ResourceARN=found["DashboardArn"])
    assert tags["Tags"] == [{"Key": "k", "Value": "v"}]
    await house.call("cloudwatch", "UntagResource", ResourceARN=found["DashboardArn"], TagKeys=["k"])
    listed = await house.call("cloudwatch", "ListDashboards", DashboardNamePrefix="d")
    assert listed["DashboardEntries"][0]["Size"] == len(body)
    for wrong in ("no", "{}", '{"widgets":[{"type":"pie","properties":{}}]}'):
        await fails(
            "InvalidParameterInput",
            house.call("cloudwatch", "PutDashboard", DashboardName="d", DashboardBody=wrong),
        )
    await house.call("cloudwatch", "DeleteDashboards", DashboardNames=["d"])
    await fails("ResourceNotFound", house.call("cloudwatch", "GetDashboard", DashboardName="d"))


async def test_what_was_put_survives(tmp_path: Path) -> None:
    first = Harness(tmp_path)
    first.add(service)
    await put(first, {"MetricName": "M", "Value": 1.0})
    first.kernel.db._connection.close()
    second = Harness(tmp_path, first.clock)
    second.add(service)
    assert len((await second.call("cloudwatch", "ListMetrics"))["Metrics"]) == 1
