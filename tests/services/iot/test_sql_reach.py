"""The parts of IoT SQL that reach further: patterns, times, variables, nested queries, functions, shadows, things."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.ids import CountingIds
from lakebed.ports.functions import Invocation
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.parser import parse, parse_expression
from lakebed.services.iot.sql.values import UNDEFINED, Env
from tests.edge.mqtt.world import World
from tests.harness import SCOPE
from tests.services.iot.test_operations import Sinks, rule, send, sinks

__all__ = ["sinks"]
ROLE = "arn:aws:iam::000000000000:role/r"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path / "data").start()
    yield made
    await made.stop()


def env(payload: Any) -> Env:
    return Env("a/b", json.dumps(payload).encode(), SCOPE, "c", "p", 1_750_000_000.0, CountingIds())


def value(expression: str, payload: Any = None) -> Any:
    return parse_expression(expression)(env(payload or {}))


def run(sql: str, payload: Any) -> Any:
    statement, message = parse(sql), env(payload)
    if not statement.accepts(message):
        return None
    result = statement.result(message)
    return None if result is None else json.loads(result)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("regexp_matches('aaaa', 'a{2,}')", True),
        ("regexp_matches('aaaa', 'b')", False),
        ("regexp_replace('abcd', 'b(.)', 'x$1')", "axcd"),
        ("regexp_replace('abcd', 'b', 'x$1')", UNDEFINED),
        ("regexp_substr('hihihello', '(hi)*')", "hihi"),
        ("regexp_substr('x', 'y')", UNDEFINED),
        ("regexp_matches(a, concat('(', ''))", UNDEFINED),
        ("parse_time(\"yyyy-MM-dd'T'HH:mm:ss.SSS Z\", 1557813000000)", "2019-05-14T05:50:00.000 +0000"),
        ("parse_time(\"yyyy.MM.dd G 'at' HH:mm:ss z\", 0, 'America/New_York')", "1969.12.31 AD at 19:00:00 EST"),
        ("parse_time(\"EEEE, MMMM d yy, h:mm a\", 1557813000000)", "Tuesday, May 14 19, 5:50 AM"),
        ("parse_time('q', 0)", UNDEFINED),
        ("parse_time('yyyy', 0, 'Nowhere/At_All')", UNDEFINED),
        ("time_to_epoch('2018-01-01 10:15:30', 'yyyy-MM-dd HH:mm:ss')", 1514801730000),
        ("time_to_epoch('2018-01-01T10:15:30+02:00', \"yyyy-MM-dd'T'HH:mm:ssXXX\")", 1514794530000),
        ("time_to_epoch('x', 'yyyy')", UNDEFINED),
        ("transform('enrichArray', {'d': 1}, [{'a': 2}, {'a': 3}])", [{"a": 2, "d": 1}, {"a": 3, "d": 1}]),
        ("get_or_default(nothing, 7)", 7),
        ("atan2(1, 1) > 0.78", True),
        ("CASE 3 WHEN 3 THEN 'three' ELSE 'other' END", "three"),
    ],
)  # fmt: skip
def test_functions(expression: str, expected: Any) -> None:
    assert value(expression, {"a": "x"}) == expected


def test_nested_queries_exists_and_in() -> None:
    payload = {"e": [{"n": "t", "v": 27}, {"n": "h", "v": 28}], "two": 2}
    assert run("SELECT (SELECT v FROM e WHERE n = 't') AS t FROM 'x'", payload) == {"t": [{"v": 27}]}
    assert run("SELECT (SELECT VALUE v FROM e) AS t FROM 'x'", payload) == {"t": [27, 28]}
    assert run("SELECT get((SELECT VALUE v FROM e WHERE n = 'h'), 0) AS t FROM 'x'", payload) == {"t": 28}
    assert run("SELECT two FROM 'x' WHERE EXISTS (SELECT * FROM e WHERE v > 27)", payload) == {"two": 2}
    assert run("SELECT two FROM 'x' WHERE EXISTS (SELECT * FROM e WHERE v > 28)", payload) is None
    assert run("SELECT two FROM 'x' WHERE 27 IN (SELECT VALUE v FROM e)", payload) == {"two": 2}


def test_variables() -> None:
    sql = "SET @c = (f - 32) * 5 / 9, @half = @c / 2 SELECT @c AS c, @half AS h FROM 'x' WHERE @c > 20"
    assert run(sql, {"f": 77}) == {"c": 25, "h": 12}
    assert run(sql, {"f": 50}) is None
    for wrong in ("SELECT @a FROM 'x'", "SET @a = 1, @a = 2 SELECT @a FROM 'x'"):
        with pytest.raises(SqlError):
            parse(wrong)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT decode(a, 'proto', 'b', 'k', 'f', 't') FROM 'x'",
        "SELECT get_secret('a', 'b', 'c') FROM 'x'",
        "SELECT regexp_matches(a, '(') FROM 'x'",
        "SELECT regexp_matches(a, '(?=a)') FROM 'x'",
        "SELECT get_thing_shadow('t', role) FROM 'x'",
    ],
)
def test_what_can_not_be_is_said_when_the_rule_is_made(sql: str) -> None:
    with pytest.raises(SqlError):
        parse(sql)


async def test_shadows_things_and_functions(world: World, sinks: Sinks) -> None:
    call = world.harness.call

    async def invoke(_principal: Any, arn: str, payload: bytes, *, source_arn: str | None = None) -> Invocation:
        sinks.note("invoked", arn, payload, source_arn)
        return Invocation(200, json.dumps({"doubled": json.loads(payload) * 2}).encode(), None, "id")

    world.ports.functions.invoke = invoke  # type: ignore[method-assign]
    await call("iot", "CreateThing", thingName="t1", attributePayload={"attributes": {"room": "k"}})
    await call("iot-data", "UpdateThingShadow", thingName="t1", payload=b'{"state":{"reported":{"temp":7}}}')
    await rule(
        world,
        {"sqs": {"roleArn": ROLE, "queueUrl": "q"}},
        sql=f"SELECT get_thing_shadow(thing, '{ROLE}').state.reported.temp AS temp,"
        f" get_registry_data('DescribeThing', thing, '{ROLE}').attributes.room AS room,"
        " aws_lambda('arn:aws:lambda:us-east-1:000000000000:function:f', n).doubled AS d FROM 't/#'",
    )
    await send(world, ("t/x", b'{"thing":"t1","n":4}'), ("t/x", b'{"thing":"t2","n":5}'))
    assert [json.loads(body) for _, body in sinks.named("sqs")] == [
        {"temp": 7, "room": "k", "d": 8}, {"d": 10}]  # fmt: skip
    assert sinks.named("invoked")[0][1:] == (b"4", "arn:aws:iot:us-east-1:000000000000:rule/r")


async def test_alerting_actions(world: World, sinks: Sinks) -> None:
    points: list[Any] = []

    class Metrics:
        def put(self, _scope: Any, space: str, given: Any, *, at: float | None = None) -> None:
            points.extend((space, name, dict(dimensions), number) for name, dimensions, number, _ in given)

        def set_alarm_state(self, _scope: Any, name: str, state: str, reason: str) -> None:
            sinks.note("alarm", name, state, reason)

    class Topics:
        async def publish(self, _principal: Any, arn: str, message: str, **more: Any) -> str:
            sinks.note("sns", arn, message, more["structure"])
            return "id"

    world.ports.metrics, world.ports.topics = Metrics(), Topics()  # type: ignore[assignment]
    await rule(
        world,
        {"sns": {"roleArn": ROLE, "targetArn": "arn:aws:sns:us-east-1:000000000000:t", "messageFormat": "JSON"}},
        {"cloudwatchMetric": {"roleArn": ROLE, "metricName": "${m}", "metricNamespace": "N", "metricValue": "${v}",
                              "metricUnit": "Count"}},
        {"cloudwatchAlarm": {"roleArn": ROLE, "alarmName": "a", "stateReason": "v ${v}", "stateValue": "ALARM"}},
        {"firehose": {"roleArn": ROLE, "deliveryStreamName": "h", "batchMode": True, "separator": "\n"}},
        sql="SELECT VALUE list FROM 't/#'",
    )  # fmt: skip
    await send(world, ("t/x", b'{"m":"x","v":2.5,"list":[1,{"a":2}]}'))
    assert sinks.named("sns") == [("arn:aws:sns:us-east-1:000000000000:t", '[1,{"a":2}]', "json")]
    assert sinks.named("alarm") == [("a", "ALARM", "v 2.5")]
    assert sinks.named("firehose")[0][1] == [b"1\n", b'{"a":2}\n']
    assert ("N", "x", {}, 2.5) in points
    assert ("AWS/IoT", "Success", {"RuleName": "r", "ActionType": "Sns"}, 1.0) in points
    with pytest.raises(AwsError) as refused:
        await rule(
            world,
            {"elasticsearch": {"roleArn": ROLE, "endpoint": "https://x", "index": "i", "type": "t", "id": "1"}},
            name="x",
        )
    assert refused.value.http_status == 501
