"""CloudWatch Logs through the wire: what boto3 sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services.logs import service
from lakebed.services.logs.pattern import compile_pattern
from tests.harness import SCOPE, Harness

AT = {"logGroupName": "/app", "logStreamName": "one"}


@pytest.fixture
async def logs(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    await harness.call("logs", "CreateLogGroup", logGroupName="/app", tags={"a": "b"})
    await harness.call("logs", "CreateLogStream", **AT)
    return harness


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code
    return failure.value.message


def now(house: Harness) -> int:
    return int(house.clock.now() * 1000)


async def put(house: Harness, *events: tuple[int, str], stream: str = "one") -> dict[str, Any]:
    given = [{"timestamp": now(house) + offset, "message": message} for offset, message in events]
    return await house.call("logs", "PutLogEvents", logGroupName="/app", logStreamName=stream, logEvents=given)


async def test_groups(logs: Harness) -> None:
    await fails("ResourceAlreadyExistsException", logs.call("logs", "CreateLogGroup", logGroupName="/app"))
    await fails("NotImplemented", logs.call("logs", "CreateLogGroup", logGroupName="k", kmsKeyId="arn:aws:kms:x"))
    for number in range(4):
        await logs.call("logs", "CreateLogGroup", logGroupName=f"/other/{number}")
    first = await logs.call("logs", "DescribeLogGroups", logGroupNamePrefix="/other", limit=3)
    rest = await logs.call(
        "logs", "DescribeLogGroups", logGroupNamePrefix="/other", limit=3, nextToken=first["nextToken"]
    )
    assert [group["logGroupName"] for group in first["logGroups"] + rest["logGroups"]] == [
        f"/other/{number}" for number in range(4)
    ]
    found = (await logs.call("logs", "DescribeLogGroups", logGroupNamePattern="pp"))["logGroups"]
    assert [group["arn"] for group in found] == [SCOPE.arn("logs", "log-group:/app:*")]
    arn = SCOPE.arn("logs", "log-group:/app")
    await logs.call("logs", "TagResource", resourceArn=arn, tags={"c": "d"})
    await logs.call("logs", "UntagResource", resourceArn=arn, tagKeys=["a"])
    assert (await logs.call("logs", "ListTagsForResource", resourceArn=arn))["tags"] == {"c": "d"}
    assert (await logs.call("logs", "ListTagsLogGroup", logGroupName="/app"))["tags"] == {"c": "d"}
    await fails("ResourceNotFoundException", logs.call("logs", "DeleteLogGroup", logGroupName="none"))


async def test_streams(logs: Harness) -> None:
    for name in ("two", "three"):
        await logs.call("logs", "CreateLogStream", logGroupName="/app", logStreamName=name)
    await fails("ResourceAlreadyExistsException", logs.call("logs", "CreateLogStream", **AT))
    await put(logs, (0, "x"), stream="two")
    await put(logs, (5, "x"))

    async def names(**params: Any) -> list[str]:
        seen, token = [], {}
        while True:
            page = await logs.call("logs", "DescribeLogStreams", logGroupName="/app", limit=2, **params, **token)
            seen += [stream["logStreamName"] for stream in page["logStreams"]]
            if "nextToken" not in page:
                return seen
            token = {"nextToken": page["nextToken"]}

    assert await names() == ["one", "three", "two"]
    assert await names(descending=True) == ["two", "three", "one"]
    assert await names(logStreamNamePrefix="t") == ["three", "two"]
    assert await names(orderBy="LastEventTime", descending=True) == ["one", "two", "three"]
    await fails(
        "InvalidParameterException",
        logs.call("logs", "DescribeLogStreams", logGroupName="/app", orderBy="LastEventTime", logStreamNamePrefix="t"),
    )
    (stream,) = (await logs.call("logs", "DescribeLogStreams", logGroupName="/app", logStreamNamePrefix="two"))[
        "logStreams"
    ]
    assert stream["lastEventTimestamp"] == stream["firstEventTimestamp"] == now(logs)


async def test_put_checks_and_rejects(logs: Harness) -> None:
    await fails("InvalidParameterException", put(logs, (1, "b"), (0, "a")))
    await fails("InvalidParameterException", put(logs, (-90_000_000, "a"), (0, "b")))
    await fails("InvalidParameterException", put(logs, (0, "x" * 1_048_560)))
    await fails("ResourceNotFoundException", put(logs, (0, "x"), stream="none"))
    day = 86_400_000
    told = await put(logs, (-15 * day, "old"), (0, "good"), (3 * 3_600_000, "new"))
    assert told["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 2, "tooOldLogEventEndIndex": 1}
    await logs.call("logs", "PutRetentionPolicy", logGroupName="/app", retentionInDays=1)
    told = await put(logs, (-2 * day, "expired"), (0, "good"))
    assert told["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    events = (await logs.call("logs", "GetLogEvents", **AT))["events"]
    assert [event["message"] for event in events] == ["good", "good"]
    await fails(
        "InvalidParameterException", logs.call("logs", "PutRetentionPolicy", logGroupName="/app", retentionInDays=2)
    )


async def test_reading_a_stream_both_ways(logs: Harness) -> None:
    await put(logs, *[(number, str(number)) for number in range(7)])

    async def read(**params: Any) -> tuple[list[str], dict[str, Any]]:
        page = await logs.call("logs", "GetLogEvents", **AT, limit=3, **params)
        return [event["message"] for event in page["events"]], page

    seen, page = await read()
    assert seen == ["4", "5", "6"]
    seen, back = await read(nextToken=page["nextBackwardToken"])
    assert seen == ["1", "2", "3"]
    seen, back = await read(nextToken=back["nextBackwardToken"])
    assert seen == ["0"]
    seen, end = await read(nextToken=back["nextBackwardToken"])
    assert (seen, end["nextBackwardToken"]) == ([], back["nextBackwardToken"])
    seen, _ = await read(nextToken=end["nextForwardToken"])
    assert seen == ["0", "1", "2"]
    seen, tip = await read(nextToken=page["nextForwardToken"])
    assert (seen, tip["nextForwardToken"]) == ([], page["nextForwardToken"])
    await put(logs, (10, "late"))
    assert (await read(nextToken=tip["nextForwardToken"]))[0] == ["late"]
    assert (await read(startFromHead=True))[0] == ["0", "1", "2"]
    assert (await read(startFromHead=True, startTime=now(logs) + 2, endTime=now(logs) + 4))[0] == ["2", "3"]
    await fails("InvalidParameterException", read(nextToken="f/x/s"))


async def test_an_empty_stream_can_be_followed(logs: Harness) -> None:
    page = await logs.call("logs", "GetLogEvents", **AT)
    assert page["events"] == []
    await put(logs, (0, "first"))
    page = await logs.call("logs", "GetLogEvents", **AT, nextToken=page["nextForwardToken"])
    assert [event["message"] for event in page["events"]] == ["first"]


async def test_filtering_a_group(logs: Harness) -> None:
    await logs.call("logs", "CreateLogStream", logGroupName="/app", logStreamName="two")
    await put(logs, (0, "ERROR a"), (2, "INFO b"), (4, '{"level":"ERROR"}'))
    await put(logs, (1, "ERROR c"), (3, "ERROR d"), stream="two")

    async def search(**params: Any) -> list[str]:
        seen, token = [], {}
        while True:
            page = await logs.call("logs", "FilterLogEvents", logGroupName="/app", limit=2, **params, **token)
            seen += [event["message"] for event in page["events"]]
            if "nextToken" not in page:
                return seen
            token = {"nextToken": page["nextToken"]}

    assert await search() == ["ERROR a", "ERROR c", "INFO b", "ERROR d", '{"level":"ERROR"}']
    assert await search(startFromHead=False, filterPattern="ERROR -a -level") == ["ERROR d", "ERROR c"]
    assert await search(logStreamNames=["two"]) == ["ERROR c", "ERROR d"]
    assert await search(logStreamNamePrefix="o", filterPattern='{ $.level = "ERROR" }') == ['{"level":"ERROR"}']
    assert await search(startTime=now(logs) + 1, endTime=now(logs) + 2) == ["ERROR c", "INFO b"]
    events = (await logs.call("logs", "FilterLogEvents", logGroupName="/app"))["events"]
    ids = [event["eventId"] for event in events]
    assert ids == sorted(set(ids))
    assert len(ids[0]) == 56
    assert await search(filterPattern="[level = ERROR, which]") == ["ERROR a", "ERROR c", "ERROR d"]
    await fails("ResourceNotFoundException", search(logStreamNames=["none"]))


async def test_retention_and_deletion_remove_events(logs: Harness) -> None:
    await logs.call("logs", "PutRetentionPolicy", logGroupName="/app", retentionInDays=1)
    await put(logs, (0, "x"))
    (group,) = (await logs.call("logs", "DescribeLogGroups"))["logGroups"]
    assert (group["retentionInDays"], group["storedBytes"]) == (1, 27)
    await logs.clock.advance(86_400 + 3601)
    assert logs.kernel.db.all("SELECT * FROM log_event") == []
    (group,) = (await logs.call("logs", "DescribeLogGroups"))["logGroups"]
    assert group["storedBytes"] == 0
    await logs.call("logs", "DeleteRetentionPolicy", logGroupName="/app")
    await put(logs, (0, "x"))
    await logs.call("logs", "DeleteLogStream", **AT)
    await logs.clock.settle()
    assert logs.kernel.db.all("SELECT * FROM log_event") == []
    (group,) = (await logs.call("logs", "DescribeLogGroups"))["logGroups"]
    assert group["storedBytes"] == 0
    await logs.call("logs", "CreateLogStream", **AT)
    await put(logs, (0, "x"))
    await logs.call("logs", "DeleteLogGroup", logGroupName="/app")
    await logs.clock.settle()
    for table in ("log_group", "log_stream", "log_event", "log_discarded"):
        assert logs.kernel.db.all(f"SELECT * FROM {table}") == [], table


async def test_the_port_makes_what_is_missing_and_events_survive(tmp_path: Path) -> None:
    first = Harness(tmp_path / "house")
    first.add(service)
    at = first.clock.now()
    first.ports.logs.write(SCOPE, "/aws/lambda/f", "s", [(at, "START\n"), (at, ""), (at, "\ud800" + "é" * 700_000)])
    await first.stop()
    second = Harness(tmp_path / "house", first.clock)
    second.add(service)
    page = await second.call("logs", "GetLogEvents", logGroupName="/aws/lambda/f", logStreamName="s")
    messages = [event["message"] for event in page["events"]]
    page = await second.call(
        "logs", "GetLogEvents", logGroupName="/aws/lambda/f", logStreamName="s", nextToken=page["nextBackwardToken"]
    )
    messages = [event["message"] for event in page["events"]] + messages
    assert messages[:2] == ["START\n", " "]
    assert messages[2].startswith("?é")
    await second.stop()


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("ERROR", "an ERROR", "an error"),
        ("ERROR disk", "disk ERROR", "ERROR"),
        ('"disk full"', "the disk full", "disk is full"),
        ("?WARN ?ERROR", "WARN", "INFO"),
        ("ERROR -retry", "ERROR", "ERROR retry"),
        ('{ $.level = "ERR*" }', '{"level":"ERROR"}', '{"level":"INFO"}'),
        ("{ $.level = ERROR }", '{"level":"ERROR"}', "ERROR"),
        ("{ $.took > 5 && $.ok IS TRUE }", '{"took":6,"ok":true}', '{"took":6,"ok":false}'),
        ('{ ($.a.b[0] = 1) || ($.c != "x") }', '{"a":{"b":[1]}}', '{"a":{"b":[2]},"c":"x"}'),
        ("{ $.a NOT EXISTS }", '{"b":1}', '{"a":1}'),
        ("{ $.a IS NULL }", '{"a":null}', "{}"),
        ('{ $.list[*] = "x" }', '{"list":["y","x"]}', '{"list":["y"]}'),
    ],
)
def test_patterns(pattern: str, matching: str, other: str) -> None:
    matches = compile_pattern(pattern)
    assert matches(matching)
    assert not matches(other)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="{}$.[]\"'=<>!&|()*?-% abc1", max_size=30), st.text(max_size=10))
def test_any_pattern_is_taken_or_refused(pattern: str, message: str) -> None:
    try:
        matches = compile_pattern(pattern)
    except AwsError as refused:
        assert refused.error_code in ("InvalidParameterException", "NotImplemented")
    else:
        matches(message)
