"""Insights on the real engine: the language, its refusals, and the life of a query."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.engines import sql_duckdb
from lakebed.kernel.errors import AwsError
from lakebed.services.logs import service
from lakebed.services.logs.insights.query import compile_query
from tests.harness import Harness

EVENTS = [
    {"level": "INFO", "took": 5, "user": "ann", "path": {"a": ["x", "y"]}},
    {"level": "ERROR", "took": 50, "user": "bob", "note": "it's"},
    {"level": "ERROR", "took": 150, "user": "ann"},
    {"level": "WARN", "took": "none", "user": "cid"},
]
REPORT = (
    "REPORT RequestId: 1b-2c\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB"
)


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[Harness]:
    engine = sql_duckdb.engine(harness.kernel, harness.ports)
    harness.add(service)
    await harness.start()
    await harness.clock.advance(60 - harness.clock.now() % 60)
    for group in ("/app", "/other"):
        await harness.call("logs", "CreateLogGroup", logGroupName=group)
        await harness.call("logs", "CreateLogStream", logGroupName=group, logStreamName="one")
    now = int(harness.clock.now() * 1000)
    events = [{"timestamp": now + 1000 * at, "message": json.dumps(event)} for at, event in enumerate(EVENTS)]
    events += [
        {"timestamp": now + 70_000, "message": "user=dan, id=7 done"},
        {"timestamp": now + 71_000, "message": REPORT},
    ]
    await harness.call("logs", "PutLogEvents", logGroupName="/app", logStreamName="one", logEvents=events)
    yield harness
    await engine.stop()


async def ask(house: Harness, text: str, **more: Any) -> list[dict[str, str]]:
    now = int(house.clock.now())
    started = await house.call(
        "logs", "StartQuery", **{"logGroupNames": ["/app", "/other"], **more}, startTime=now - 60, endTime=now + 600,
        queryString=text,
    )  # fmt: skip
    await house.clock.settle()
    found = await house.call("logs", "GetQueryResults", queryId=started["queryId"])
    assert found["status"] == "Complete", [one.last_error for one in house.kernel.tasks.status()]
    return [{field["field"]: field["value"] for field in row if field["field"] != "@ptr"} for row in found["results"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('filter level = "ERROR" | fields user, took | sort took desc',
         [{"user": "ann", "took": "150"}, {"user": "bob", "took": "50"}]),
        ("filter took > 10 and not user = 'bob' | display user", [{"user": "ann"}]),
        ("filter level in ['WARN', 'INFO'] | fields level | sort @timestamp asc", [{"level": "INFO"}, {"level": "WARN"}]),
        ("filter level not in ['WARN', 'INFO'] and ispresent(note) | fields note", [{"note": "it's"}]),
        ("filter @message like /us.r=d/ | parse @message 'user=*, id=* done' as who, number | display who, number",
         [{"who": "dan", "number": "7"}]),
        ("parse @message /user=(?<who>\\w+), id=(?<id>\\d+)/ | filter ispresent(who) | display who, id",
         [{"who": "dan", "id": "7"}]),
        ("filter ispresent(level) | stats count(*) as n, sum(took), avg(took), max(took) as most by level | sort level",
         [{"level": "ERROR", "n": "2", "sum(took)": "200", "avg(took)": "100", "most": "150"},
          {"level": "INFO", "n": "1", "sum(took)": "5", "avg(took)": "5", "most": "5"},
          {"level": "WARN", "n": "1"}]),
        ("stats count(*) by level | sort count(*) desc, level asc | limit 2",
         [{"level": "ERROR", "count(*)": "2"}, {"count(*)": "2"}]),
        ("stats count_distinct(user), pct(took, 50) as p, earliest(user) as first, latest(level) as last",
         [{"count_distinct(user)": "3", "p": "50", "first": "ann", "last": "WARN"}]),
        ("filter took >= 5 | stats sum(took) / count(*) + 1 as x", [{"x": "69.3333"}]),
        ("stats count(*) by level | stats max(`count(*)`) as most", [{"most": "2"}]),
        ("filter ispresent(user) | dedup user | fields user, took | sort user", None),
        ("fields path.a.1 as second | filter second = 'y' | display second", [{"second": "y"}]),
        (("fields concat(user, '-', level) as both, strlen(user) as n, toupper(user) as big | filter both like 'bob' "
         "| display both, n, big"), [{"both": "bob-ERROR", "n": "3", "big": "BOB"}]),
        (("fields took * 2 - 1 as t, took / 0 as none, -took as m, took ^ 2 as p, took % 4 as r | filter user = 'bob' "
         "| display t, none, m, p, r"), [{"t": "99", "m": "-50", "p": "2500", "r": "2"}]),
        (("fields replace(level, 'ERR', 'X') as l, substr(level, 1, 2) as s, coalesce(nothing, level) as c, abs(0 - took) as a,"
         " strcontains(level, 'ROR') as k | filter user = 'bob' | display l, s, c, a, k"),
         [{"l": "XOR", "s": "RR", "c": "ERROR", "a": "50", "k": "1"}]),
        ("filter @type = 'REPORT' | display @requestId, @duration, @billedDuration, @memorySize",
         [{"@requestId": "1b-2c", "@duration": "12.50", "@billedDuration": "13", "@memorySize": "128000000"}]),
        ("# a comment\nfields user # another\n| filter user =~ /^c/ | display user", [{"user": "cid"}]),
        ("filter user = \"x' OR 1=1 --\" | fields user", []),
    ],
)  # fmt: skip
async def test_the_language(house: Harness, text: str, expected: list[dict[str, str]] | None) -> None:
    found = await ask(house, text)
    if expected is None:
        assert [row["user"] for row in found] == ["ann", "bob", "cid"]
    else:
        assert found == expected


async def test_bins_defaults_and_limits(house: Harness) -> None:
    binned = await ask(house, "stats count(*) as n by bin(1m) as minute | sort minute")
    assert [row["n"] for row in binned] == ["4", "2"]
    assert [row["minute"][-9:] for row in binned] == ["00.000", "00.000"] or all(
        row["minute"].endswith(":00.000") for row in binned
    )
    found = await ask(house, "fields @timestamp, @message | limit 2")
    assert [row["@message"] for row in found] == [REPORT, "user=dan, id=7 done"]
    assert [list(row) for row in await ask(house, "limit 1")] == [["@timestamp", "@message"]]
    assert await ask(house, "fields @log, @logStream", limit=1, logGroupNames=["/app"]) == [
        {"@log": "000000000000:/app", "@logStream": "one"}
    ]
    assert await ask(house, "fields @message", logGroupNames=["/other"]) == []


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", "fields", "fields unknownfunction(x)", "filter count(*) > 1", "stats took by level", "stats count(*",
        "limit 0", "limit 10001", "sort", "parse @message 'x' as y", "parse @message 'a*b*' as y", "parse @message /x/",
        "stats count(*) by level | filter took > 1", "fields a as", "pattern @message", "stats bin(3)", "fields 'x",
        "filter a like b", "SOURCE x", "fields `a\"b`", "filter " + "(" * 100 + "a", "stats pct(a, 101)", "fields a |",
        "fields isIpv4(a)",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    if text == "fields a |":
        assert compile_query(text, 10).shown[0].name == "a"
        return
    with pytest.raises(AwsError) as failure:
        compile_query(text, 10)
    assert failure.value.error_code == "MalformedQueryException"


async def test_the_life_of_a_query(house: Harness) -> None:
    now = int(house.clock.now())
    at = {"logGroupName": "/app", "startTime": now - 60, "endTime": now + 600}
    started = await house.call("logs", "StartQuery", **at, queryString="fields @message")
    stopped = await house.call("logs", "StopQuery", queryId=started["queryId"])
    assert stopped["success"] is True
    await house.clock.settle()
    found = await house.call("logs", "GetQueryResults", queryId=started["queryId"])
    assert (found["status"], found["results"]) == ("Cancelled", [])
    done = await house.call("logs", "StartQuery", **at, queryString="fields @message | sort @timestamp asc")
    await house.clock.settle()
    first = await house.call("logs", "GetQueryResults", queryId=done["queryId"], maxItems=4)
    rest = await house.call(
        "logs", "GetQueryResults", queryId=done["queryId"], maxItems=4, nextToken=first["nextToken"]
    )
    assert (len(first["results"]), len(rest["results"])) == (4, 2)
    assert first["statistics"]["recordsScanned"] == 6.0
    listed = await house.call("logs", "DescribeQueries", logGroupName="/app", status="Complete")
    assert [one["queryId"] for one in listed["queries"]] == [done["queryId"]]
    for code, wrong in (
        ("MalformedQueryException", {"queryString": "x"}),
        ("ResourceNotFoundException", {"logGroupName": "/none"}),
        ("InvalidParameterException", {"startTime": now + 9999}),
        ("NotImplemented", {"queryLanguage": "SQL"}),
    ):
        with pytest.raises(AwsError) as failure:
            await house.call("logs", "StartQuery", **{**at, "queryString": "fields @message", **wrong})
        assert failure.value.error_code == code


async def test_definitions(house: Harness) -> None:
    call = house.call
    made = await call("logs", "PutQueryDefinition", name="q", queryString="fields a", clientToken="t" * 36)
    again = await call("logs", "PutQueryDefinition", name="q", queryString="fields b", clientToken="t" * 36)
    assert made == again
    found = (await call("logs", "DescribeQueryDefinitions", queryDefinitionNamePrefix="q"))["queryDefinitions"]
    assert [one["queryString"] for one in found] == ["fields b"]
    await call("logs", "DeleteQueryDefinition", queryDefinitionId=made["queryDefinitionId"])
    with pytest.raises(AwsError):
        await call("logs", "DeleteQueryDefinition", queryDefinitionId=made["queryDefinitionId"])
