"""Filters: columns and regular expressions against oracles, metrics and subscriptions through the wire."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services import cloudwatch
from lakebed.services.logs import service
from lakebed.services.logs.pattern import compile_pattern
from lakebed.services.logs.regex import Regex
from tests.harness import SCOPE, Harness

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "[0-9]", r"\."])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{1,}"])
ROWS = st.lists(st.tuples(ATOMS, REPEATS), min_size=1, max_size=5).map(lambda row: "".join(map("".join, row)))
FUNCTION = SCOPE.arn("lambda", "function:f")
STREAM = SCOPE.arn("kinesis", "stream/s")
ROLE = "arn:aws:iam::000000000000:role/r"
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /a.gif HTTP/1.0" 404 1534'


@given(ROWS, ROWS, st.booleans(), st.booleans(), st.text("ab1.", max_size=12))
def test_regular_expressions_are_those_of_re(left: str, right: str, start: bool, end: bool, message: str) -> None:
    pattern = f"{'^' * start}{left}{'$' * end}|{right}"
    assert Regex(pattern).found_in(message) == (re.search(pattern.replace("$", r"\Z"), message) is not None)


@pytest.mark.parametrize("pattern", ["(a)", r"\1", "a{3,1}", "[", r"(?=a)", "*", "a" * 600, "a{999}"])
def test_what_no_regular_expression_is(pattern: str) -> None:
    with pytest.raises(AwsError, match="Invalid filter pattern"):
        Regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("[ip, user, name, at, request, status = 404, size > 1000]", ACCESS, True),
        ("[ip, user, name, at, request, status = 404, size > 2000]", ACCESS, False),
        ("[ip, user, name, at, request, status = 4*, size]", ACCESS, True),
        ("[ip, ..., size >= 1534]", ACCESS, True),
        ("[ip, user]", ACCESS, False),
        ("[ip=%^127\\.%, ..., request=\"*gif*\", status, size]", ACCESS, True),
        ("[..., status = 500 || status = 404, size]", ACCESS, True),
        ("[..., status != 404, size]", ACCESS, False),
        ("%err[0-9]+% -debug", "an err42", True),
        ("%err[0-9]+% -debug", "an err42 debug", False),
        ("{ $.a = %^x.z$% }", '{"a":"xyz"}', True),
        ("{ $.a != %^x.z$% }", '{"a":"xyz"}', False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, message: str, expected: bool) -> None:
    assert compile_pattern(pattern)(message) is expected


@pytest.mark.parametrize("pattern", ["[a", "[a, a]", "[..., ...]", "[a = ]", "[a > x]", "[a = 1 && b = 2]", "[, a]"])
def test_what_no_pattern_of_columns_is(pattern: str) -> None:
    with pytest.raises(AwsError, match="Invalid filter pattern"):
        compile_pattern(pattern)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 9))
def test_columns_are_counted_and_compared(values: list[int], bound: int) -> None:
    names = ", ".join(f"c{at}" for at in range(len(values) - 1))
    pattern = f"[{names + ', ' if names else ''}last > {bound}]"
    message = " ".join(map(str, values))
    assert compile_pattern(pattern)(message) == (values[-1] > bound)
    assert not compile_pattern(pattern)(message + " 10")


class Neighbours:
    """Functions, streams and delivery in one: remembers what came, refuses what it is told to."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str, Any]] = []
        self.refuse: str | None = None

    def check_destination(self, principal: Principal, function_arn: str, *, source_arn: str | None = None) -> None:
        if function_arn != FUNCTION or source_arn is None:
            raise AwsError("AccessDeniedException", "no")

    async def invoke_later(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        self.came.append((principal.arn, function_arn, json.loads(payload)))
        return "id"

    async def put(self, principal: Principal, stream_arn: str, records: Sequence[tuple[str, bytes]]) -> None:
        if self.refuse:
            raise AwsError(self.refuse, "no")
        ((key, data),) = records
        self.came.append((principal.identity_arn, key, json.loads(gzip.decompress(data))))


@pytest.fixture
async def house(harness: Harness) -> Harness:
    neighbours: Any = Neighbours()
    harness.ports.functions = harness.ports.streams = neighbours
    harness.add(service, cloudwatch.service)
    await harness.start()
    await harness.call("logs", "CreateLogGroup", logGroupName="/app")
    await harness.call("logs", "CreateLogStream", logGroupName="/app", logStreamName="one")
    return harness


async def put(house: Harness, *messages: str) -> None:
    now = int(house.clock.now() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    await house.call("logs", "PutLogEvents", logGroupName="/app", logStreamName="one", logEvents=events)
    await house.clock.advance(2)


async def fails(code: str, call: Any) -> None:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code


async def test_a_subscription_reaches_a_function(house: Harness) -> None:
    at = {"logGroupName": "/app", "filterName": "f", "filterPattern": "ERROR"}
    await fails(
        "InvalidParameterException",
        house.call("logs", "PutSubscriptionFilter", **at, destinationArn=SCOPE.arn("lambda", "function:other")),
    )
    await house.call("logs", "PutSubscriptionFilter", **at, destinationArn=FUNCTION)
    await put(house, "ERROR one", "fine", "ERROR two")
    ((caller, _, event),) = house.ports.functions.came  # type: ignore[attr-defined]
    told = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    assert caller == "logs.amazonaws.com"
    assert (told["messageType"], told["owner"], told["logGroup"], told["logStream"], told["subscriptionFilters"]) == (
        "DATA_MESSAGE", "000000000000", "/app", "one", ["f"],
    )  # fmt: skip
    found = await house.call("logs", "FilterLogEvents", logGroupName="/app", filterPattern="ERROR")
    assert [(one["id"], one["message"]) for one in told["logEvents"]] == [
        (one["eventId"], one["message"]) for one in found["events"]
    ]
    described = await house.call("logs", "DescribeSubscriptionFilters", logGroupName="/app")
    assert [one["destinationArn"] for one in described["subscriptionFilters"]] == [FUNCTION]
    await house.call("logs", "DeleteSubscriptionFilter", logGroupName="/app", filterName="f")
    await put(house, "ERROR three")
    assert len(house.ports.functions.came) == 1  # type: ignore[attr-defined]


async def test_a_subscription_reaches_a_stream_and_waits_for_it(house: Harness) -> None:
    at = {"logGroupName": "/app", "filterPattern": "", "destinationArn": STREAM}
    await fails("InvalidParameterException", house.call("logs", "PutSubscriptionFilter", **at, filterName="f"))
    neighbours: Any = house.ports.streams
    await house.call("logs", "PutSubscriptionFilter", **at, filterName="f", roleArn=ROLE)
    assert neighbours.came[0][2]["messageType"] == "CONTROL_MESSAGE"
    neighbours.refuse = "ProvisionedThroughputExceededException"
    await put(house, "a")
    assert len(neighbours.came) == 1
    neighbours.refuse = None
    await house.clock.advance(600)
    assert neighbours.came[1][:2] == (ROLE, "one")
    assert [one["message"] for one in neighbours.came[1][2]["logEvents"]] == ["a"]
    neighbours.refuse = "ResourceNotFoundException"
    await put(house, "b")
    assert "ResourceNotFoundException" in house.kernel.outbox.dead()[0][3]
    neighbours.refuse = None
    await house.call("logs", "PutSubscriptionFilter", **at, filterName="g", roleArn=ROLE)
    await fails(
        "LimitExceededException", house.call("logs", "PutSubscriptionFilter", **at, filterName="h", roleArn=ROLE)
    )


async def sums(house: Harness, name: str, *dimensions: tuple[str, str]) -> list[float]:
    found = await house.call(
        "cloudwatch", "GetMetricStatistics", Namespace="App", MetricName=name, Period=300, Statistics=["Sum"],
        StartTime=house.clock.now() - 600, EndTime=house.clock.now() + 60,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
    )  # fmt: skip
    return [point["Sum"] for point in found["Datapoints"]]


async def test_metric_filters(house: Harness) -> None:
    def transformation(name: str, value: str, **more: Any) -> list[dict[str, Any]]:
        return [{"metricName": name, "metricNamespace": "App", "metricValue": value, **more}]

    at = {"logGroupName": "/app"}
    call = house.call
    await call("logs", "PutMetricFilter", **at, filterName="n", filterPattern="ERROR",
               metricTransformations=transformation("errors", "1", defaultValue=0.0))  # fmt: skip
    await call("logs", "PutMetricFilter", **at, filterName="j", filterPattern="{ $.took > 1 }",
               metricTransformations=transformation("took", "$.took", dimensions={"op": "$.op"}))  # fmt: skip
    await call("logs", "PutMetricFilter", **at, filterName="c", filterPattern="[level, size]",
               metricTransformations=transformation("size", "$size"))  # fmt: skip
    await put(house, "ERROR 5", "ERROR 7", '{"took": 3, "op": "get"}', '{"took": 4.5, "op": "get"}', '{"took": 9}')
    assert await sums(house, "errors") == [2.0]
    assert await sums(house, "took", ("op", "get")) == [7.5]
    assert await sums(house, "size") == [12.0]
    groups = await call("logs", "DescribeLogGroups", logGroupNamePrefix="/app")
    assert groups["logGroups"][0]["metricFilterCount"] == 3
    found = await call("logs", "DescribeMetricFilters", metricName="took", metricNamespace="App")
    assert [one["filterName"] for one in found["metricFilters"]] == ["j"]
    first = await call("logs", "DescribeMetricFilters", limit=2)
    rest = await call("logs", "DescribeMetricFilters", limit=2, nextToken=first["nextToken"])
    assert [one["filterName"] for one in first["metricFilters"] + rest["metricFilters"]] == ["c", "j", "n"]
    for pattern, value in (("ERROR", "$.x"), ("[a]", "$b"), ("ERROR", "x")):
        await fails(
            "InvalidParameterException",
            call("logs", "PutMetricFilter", **at, filterName="w", filterPattern=pattern,
                 metricTransformations=transformation("w", value)),
        )  # fmt: skip
    await call("logs", "DeleteMetricFilter", **at, filterName="n")
    await fails("ResourceNotFoundException", call("logs", "DeleteMetricFilter", **at, filterName="n"))


async def test_a_pattern_is_tried(house: Harness) -> None:
    found = await house.call(
        "logs", "TestMetricFilter", filterPattern="[ip, ..., size > 1000]", logEventMessages=["x", ACCESS]
    )
    assert found["matches"] == [
        {"eventNumber": 2, "eventMessage": ACCESS, "extractedValues": {"$ip": "127.0.0.1", "$size": "1534"}}
    ]
    found = await house.call("logs", "TestMetricFilter", filterPattern="{ $.a = 1 }", logEventMessages=['{"a":1}'])
    assert found["matches"][0]["extractedValues"] == {"$.a": "1"}


async def test_resource_policies(house: Harness) -> None:
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"logs:*","Resource":"*"}]}'
    )
    await house.call("logs", "PutResourcePolicy", policyName="p", policyDocument=document)
    found = await house.call("logs", "DescribeResourcePolicies")
    assert [one["policyDocument"] for one in found["resourcePolicies"]] == [document]
    await fails(
        "InvalidParameterException", house.call("logs", "PutResourcePolicy", policyName="p", policyDocument="{}")
    )
    await house.call("logs", "DeleteResourcePolicy", policyName="p")
    await fails("ResourceNotFoundException", house.call("logs", "DeleteResourcePolicy", policyName="p"))
