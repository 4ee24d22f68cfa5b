"""EventBridge through boto3's serialiser, with real queues, topics and streams around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.functions import Invocation
from lakebed.services import events, kinesis, kms, logs, sns, sqs
from tests.harness import SCOPE, Harness

ROLE = "arn:aws:iam::000000000000:role/events"


class Functions:
    """Takes invocations, or fails them."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any], str | None]] = []
        self.failure: AwsError | None = None

    async def invoke(self, *_: Any, **__: Any) -> Invocation:
        raise AssertionError("events are asynchronous")

    async def invoke_later(
        self, _: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        if self.failure is not None:
            raise self.failure
        self.taken.append((function_arn, json.loads(payload), source_arn))
        return "request"

    def check_destination(self, *_: Any, **__: Any) -> None:
        return None


FUNCTION = SCOPE.arn("lambda", "function:f")


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.add(kms.service, logs.service, sqs.service, sns.service, kinesis.service, events.service)
    harness.ports.functions = Functions()
    await harness.start()
    return harness


def functions(house: Harness) -> Functions:
    found = house.ports.functions
    assert isinstance(found, Functions)
    return found


async def call(house: Harness, operation: str, **params: Any) -> dict[str, Any]:
    return await house.call("events", operation, **params)


async def refused(house: Harness, code: str, operation: str, **params: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await call(house, operation, **params)
    assert caught.value.error_code == code, caught.value
    return caught.value


async def rule(house: Harness, name: str, pattern: Any, targets: Sequence[dict[str, Any]], **more: Any) -> str:
    bus = {"EventBusName": more["EventBusName"]} if "EventBusName" in more else {}
    made = await call(house, "PutRule", Name=name, EventPattern=json.dumps(pattern), **more)
    told = await call(house, "PutTargets", Rule=name, Targets=list(targets), **bus)
    assert told["FailedEntryCount"] == 0
    return str(made["RuleArn"])


async def put(house: Harness, **entry: Any) -> dict[str, Any]:
    whole = {"Source": "my.app", "DetailType": "t", "Detail": '{"n": 1}'} | entry
    told = await call(house, "PutEvents", Entries=[whole])
    await house.clock.settle()
    return dict(told["Entries"][0])


async def queue(house: Harness, name: str, **attributes: str) -> str:
    await house.call("sqs", "CreateQueue", QueueName=name, Attributes=attributes)
    return SCOPE.arn("sqs", name)


async def received(house: Harness, name: str) -> list[dict[str, Any]]:
    found = await house.call(
        "sqs", "ReceiveMessage", QueueUrl=f"http://127.0.0.1:4566/000000000000/{name}", MaxNumberOfMessages=10,
        MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
    )  # fmt: skip
    return list(found.get("Messages", []))


async def test_an_event_goes_to_the_targets_of_rules_that_match(house: Harness) -> None:
    one, two = (
        await queue(house, "one"),
        await queue(house, "two.fifo", FifoQueue="true", ContentBasedDeduplication="true"),
    )
    arn = await rule(house, "r", {"source": ["my.app"], "detail": {"n": [{"numeric": [">", 0]}]}}, [
        {"Id": "1", "Arn": one},
        {"Id": "2", "Arn": two, "SqsParameters": {"MessageGroupId": "g"}, "InputPath": "$.detail"},
        {"Id": "3", "Arn": FUNCTION},
    ])  # fmt: skip
    told = await put(house, Resources=["x"])
    await put(house, Detail='{"n": 0}')
    (message,) = await received(house, "one")
    event = json.loads(message["Body"])
    assert event["id"] == told["EventId"]
    assert (event["account"], event["region"], event["resources"]) == ("000000000000", "us-east-1", ["x"])
    (grouped,) = await received(house, "two.fifo")
    assert (grouped["Body"], grouped["Attributes"]["MessageGroupId"]) == ('{"n":1}', "g")
    assert functions(house).taken == [(FUNCTION, event, arn)]
    await call(house, "DisableRule", Name="r")
    await put(house)
    assert await received(house, "one") == []
    await call(house, "EnableRule", Name="r")
    await put(house)
    assert len(await received(house, "one")) == 1


async def test_topics_streams_logs_and_other_buses(house: Harness) -> None:
    target, end = await queue(house, "from-topic"), await queue(house, "end")
    topic = (await house.call("sns", "CreateTopic", Name="t"))["TopicArn"]
    await house.call(
        "sns", "Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=target, Attributes={"RawMessageDelivery": "true"}
    )
    await house.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.clock.advance(5)
    bus = (await call(house, "CreateEventBus", Name="other"))["EventBusArn"]
    await house.call("logs", "CreateLogGroup", logGroupName="/aws/events/g")
    await rule(house, "r", {"source": ["my.app"]}, [
        {"Id": "1", "Arn": topic},
        {"Id": "2", "Arn": SCOPE.arn("kinesis", "stream/s"), "RoleArn": ROLE,
         "KinesisParameters": {"PartitionKeyPath": "$.source"}},
        {"Id": "3", "Arn": bus, "RoleArn": ROLE},
        {"Id": "4", "Arn": SCOPE.arn("logs", "log-group:/aws/events/g:*")},
    ])  # fmt: skip
    await rule(house, "r", {"source": ["my.app"]}, [{"Id": "1", "Arn": end}], EventBusName="other")
    told = await put(house)
    await house.clock.settle()
    (message,) = await received(house, "from-topic")
    assert json.loads(message["Body"])["id"] == told["EventId"]
    (forwarded,) = await received(house, "end")
    assert json.loads(forwarded["Body"])["id"] == told["EventId"]
    iterator = await house.call(
        "kinesis", "GetShardIterator", StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    (record,) = (await house.call("kinesis", "GetRecords", **iterator))["Records"]
    assert record["PartitionKey"] == "my.app"
    (line,) = (await house.call("logs", "FilterLogEvents", logGroupName="/aws/events/g"))["events"]
    assert json.loads(line["message"])["id"] == told["EventId"]


async def test_wrong_entries_fail_alone(house: Harness) -> None:
    await queue(house, "q")
    good = {"Source": "my.app", "DetailType": "t", "Detail": "{}"}
    told = await call(house, "PutEvents", Entries=[
        good, good | {"Detail": "x"}, good | {"Source": "aws.s3"}, {"Source": "a", "Detail": "{}"},
        good | {"EventBusName": "none"}, good | {"Detail": "[]"},
    ])  # fmt: skip
    assert told["FailedEntryCount"] == 5
    codes = [entry.get("ErrorCode", "") for entry in told["Entries"]]
    assert codes == [
        "", "MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument", "InvalidArgument", "MalformedDetail",
    ]  # fmt: skip
    big = {"Entries": [good | {"Detail": json.dumps({"x": "y" * 600_000})}] * 2}
    await refused(house, "ValidationException", "PutEvents", **big)


async def test_a_failing_target_is_retried_and_ends_as_a_dead_letter(house: Harness) -> None:
    await queue(house, "dead")
    functions(house).failure = AwsError("ServiceException", "down", status=500)
    arn = await rule(house, "r", {"source": ["my.app"]}, [
        {"Id": "1", "Arn": FUNCTION, "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
         "DeadLetterConfig": {"Arn": SCOPE.arn("sqs", "dead")}},
    ])  # fmt: skip
    await put(house)
    functions(house).failure = None
    await house.clock.advance(2)
    assert len(functions(house).taken) == 1
    functions(house).failure = AwsError("ServiceException", "down", status=500)
    told = await put(house)
    await house.clock.advance(60)
    (letter,) = await received(house, "dead")
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"])["id"] == told["EventId"]
    assert attributes == {
        "RULE_ARN": arn, "TARGET_ARN": FUNCTION, "ERROR_CODE": "ServiceException", "ERROR_MESSAGE": "down",
        "RETRY_ATTEMPTS": "3", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
    }  # fmt: skip
    functions(house).failure = AwsError("ResourceNotFoundException", "gone", status=404)
    await put(house)
    (letter,) = await received(house, "dead")
    assert "EXHAUSTED_RETRY_CONDITION" not in letter["MessageAttributes"]


async def test_what_was_confirmed_survives_a_restart(house: Harness) -> None:
    await queue(house, "q")
    await rule(house, "r", {"source": ["my.app"]}, [{"Id": "1", "Arn": SCOPE.arn("sqs", "q")}])
    await house.kernel.tasks.stop()
    told = await put(house)
    assert await received(house, "q") == []
    again = Harness(house.kernel.data, house.clock)
    again.add(kms.service, sqs.service, events.service)
    await again.start()
    await house.clock.settle()
    (message,) = await received(again, "q")
    assert json.loads(message["Body"])["id"] == told["EventId"]
    await again.stop()


async def test_schedules_fire_on_the_clock(house: Harness) -> None:
    made = await call(house, "PutRule", Name="every", ScheduleExpression="rate(5 minutes)")
    await call(house, "PutTargets", Rule="every", Targets=[{"Id": "1", "Arn": FUNCTION}])
    await house.clock.advance(899)
    assert len(functions(house).taken) == 2
    await house.clock.advance(2)
    (_, event, source) = functions(house).taken[-1]
    assert len(functions(house).taken) == 3
    assert (event["source"], event["detail-type"], event["resources"]) == (
        "aws.events", "Scheduled Event", [made["RuleArn"]],
    )  # fmt: skip
    assert source == made["RuleArn"]
    await call(house, "DisableRule", Name="every")
    await house.clock.advance(3600)
    assert len(functions(house).taken) == 3
    await refused(house, "ValidationException", "PutRule", Name="x", ScheduleExpression="rate(5 minute)")
    await call(house, "CreateEventBus", Name="b")
    await refused(
        house, "ValidationException", "PutRule", Name="x", EventBusName="b", ScheduleExpression="rate(5 minutes)"
    )


async def test_archives_replay(house: Harness) -> None:
    await queue(house, "q")
    bus = SCOPE.arn("events", "event-bus/default")
    await call(
        house,
        "CreateArchive",
        ArchiveName="a",
        EventSourceArn=bus,
        EventPattern='{"source": ["my.app"]}',
        RetentionDays=1,
    )
    begin = house.clock.now()
    for number in range(3):
        await put(house, Detail=json.dumps({"n": number}))
        await house.clock.advance(10)
    await put(house, Source="other")
    told = await call(house, "DescribeArchive", ArchiveName="a")
    assert (told["EventCount"], told["State"]) == (3, "ENABLED")
    arn = await rule(house, "r", {"replay-name": [{"exists": True}]}, [{"Id": "1", "Arn": SCOPE.arn("sqs", "q")}])
    await rule(house, "not", {"source": ["my.app"]}, [{"Id": "1", "Arn": FUNCTION}])
    asked = {
        "EventSourceArn": told["ArchiveArn"], "EventStartTime": begin, "EventEndTime": begin + 20,
        "Destination": {"Arn": bus, "FilterArns": [arn]},
    }  # fmt: skip
    await call(house, "StartReplay", ReplayName="p", **asked)
    await house.clock.advance(1)
    bodies = [json.loads(message["Body"]) for message in await received(house, "q")]
    assert [body["detail"]["n"] for body in bodies] == [0, 1]
    assert {body["replay-name"] for body in bodies} == {"p"}
    assert functions(house).taken == []
    replay = await call(house, "DescribeReplay", ReplayName="p")
    assert (replay["State"], replay["Destination"]) == ("COMPLETED", {"Arn": bus, "FilterArns": [arn]})
    assert (await call(house, "DescribeArchive", ArchiveName="a"))["EventCount"] == 3
    await refused(house, "ResourceAlreadyExistsException", "StartReplay", ReplayName="p", **asked)
    await refused(house, "IllegalStatusException", "CancelReplay", ReplayName="p")
    await house.clock.advance(2 * 86_400)
    assert (await call(house, "DescribeArchive", ArchiveName="a"))["EventCount"] == 0


async def test_buses_have_policies(house: Harness) -> None:
    await call(house, "PutPermission", Action="events:PutEvents", Principal="111111111111", StatementId="s")
    policy = json.loads((await call(house, "DescribeEventBus"))["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    await call(house, "RemovePermission", StatementId="s")
    await refused(house, "ResourceNotFoundException", "RemovePermission", StatementId="s")
    assert "Policy" not in await call(house, "DescribeEventBus")
    await refused(house, "ValidationException", "DeleteEventBus", Name="default")
    await call(house, "CreateEventBus", Name="b", Tags=[{"Key": "k", "Value": "v"}])
    await refused(house, "ResourceAlreadyExistsException", "CreateEventBus", Name="b")
    arn = SCOPE.arn("events", "event-bus/b")
    assert (await call(house, "ListTagsForResource", ResourceARN=arn))["Tags"] == [{"Key": "k", "Value": "v"}]
    listed = await call(house, "ListEventBuses", Limit=1)
    assert [bus["Name"] for bus in listed["EventBuses"]] == ["b"]
    more = await call(house, "ListEventBuses", NextToken=listed["NextToken"])
    assert [bus["Name"] for bus in more["EventBuses"]] == ["default"]
    await call(house, "DeleteEventBus", Name="b")
    await refused(house, "ResourceNotFoundException", "DescribeEventBus", Name="b")


async def test_rules_are_checked_and_listed(house: Harness) -> None:
    told = await refused(house, "InvalidEventPatternException", "PutRule", Name="r", EventPattern='{"a": [{"x": 1}]}')
    assert told.message == "Event pattern is not valid. Reason: Unrecognized match type x"
    await refused(house, "ValidationException", "PutRule", Name="r")
    await refused(house, "ResourceNotFoundException", "DescribeRule", Name="r")
    await rule(house, "r", {"source": ["a"]}, [{"Id": "1", "Arn": FUNCTION}])
    assert (await call(house, "ListRuleNamesByTarget", TargetArn=FUNCTION))["RuleNames"] == ["r"]
    assert (await call(house, "ListTargetsByRule", Rule="r"))["Targets"] == [{"Id": "1", "Arn": FUNCTION}]
    assert [one["Name"] for one in (await call(house, "ListRules", NamePrefix="r"))["Rules"]] == ["r"]
    await refused(house, "ValidationException", "DeleteRule", Name="r")
    for target in (
        {"Id": "2", "Arn": SCOPE.arn("kinesis", "stream/s")},
        {"Id": "2", "Arn": FUNCTION, "Input": "{"},
        {"Id": "2", "Arn": FUNCTION, "InputPath": "detail"},
        {"Id": "2", "Arn": SCOPE.arn("sqs", "q.fifo")},
        {"Id": "2", "Arn": "x"},
    ):
        await refused(house, "ValidationException", "PutTargets", Rule="r", Targets=[target])
    machine = {"Id": "2", "Arn": SCOPE.arn("states", "stateMachine:m"), "RoleArn": ROLE}
    await refused(house, "NotImplemented", "PutTargets", Rule="r", Targets=[machine])
    many = [{"Id": str(n), "Arn": FUNCTION} for n in range(2, 7)]
    await refused(house, "LimitExceededException", "PutTargets", Rule="r", Targets=many)
    await call(house, "RemoveTargets", Rule="r", Ids=["1"])
    await call(house, "DeleteRule", Name="r")
    event = {"id": "1", "detail-type": "d", "source": "a", "account": "1", "time": "t", "region": "r", "resources": []}
    asked = {"EventPattern": '{"source": ["a"]}', "Event": json.dumps(event)}
    assert (await call(house, "TestEventPattern", **asked))["Result"] is True


async def test_services_put_events_and_a_repeated_one_is_dropped(house: Harness) -> None:
    await rule(house, "r", {"source": ["aws.s3"]}, [{"Id": "1", "Arn": FUNCTION}])
    for _ in range(2):
        await house.ports.events.put(SCOPE, "aws.s3", "Object Created", {"a": 1}, resources=["b"], event_id="e1")
    await house.ports.events.put(Scope("111111111111", "us-east-1"), "aws.s3", "Object Created", {"a": 1})
    await house.clock.settle()
    ((_, event, _),) = functions(house).taken
    assert (event["id"], event["detail-type"], event["detail"]) == ("e1", "Object Created", {"a": 1})


async def test_services_put_events_on_a_bus_that_exists(house: Harness) -> None:
    with pytest.raises(AwsError, match="mine does not exist"):
        await house.ports.events.put(SCOPE, "lambda", "x", {}, bus="mine")
    await house.call("events", "CreateEventBus", Name="mine")
    await house.call("sqs", "CreateQueue", QueueName="bussed")
    queue = SCOPE.arn("sqs", "bussed")
    await house.call("events", "PutRule", Name="r", EventBusName="mine", EventPattern='{"source": ["lambda"]}')
    await house.call("events", "PutTargets", Rule="r", EventBusName="mine", Targets=[{"Id": "q", "Arn": queue}])
    await house.ports.events.put(SCOPE, "lambda", "x", {"a": 1}, bus="mine")
    await house.clock.settle()
    got = await house.call("sqs", "ReceiveMessage", QueueUrl="http://h/000000000000/bussed")
    assert json.loads(got["Messages"][0]["Body"])["detail"] == {"a": 1}


async def test_a_log_group_needs_a_resource_policy(tmp_path: Path) -> None:
    from lakebed.services import iam

    house = Harness(tmp_path / "strict")
    house.add(iam.service, logs.service, events.service)
    await house.start()
    await house.call("logs", "CreateLogGroup", logGroupName="g")
    await rule(house, "r", {"source": ["my.app"]}, [{"Id": "1", "Arn": SCOPE.arn("logs", "log-group:g")}])
    await put(house)
    assert (await house.call("logs", "FilterLogEvents", logGroupName="g"))["events"] == []
    statement = {
        "Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": SCOPE.arn("logs", "log-group:g:*"),
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await house.call("logs", "PutResourcePolicy", policyName="p", policyDocument=document)
    await put(house)
    assert len((await house.call("logs", "FilterLogEvents", logGroupName="g"))["events"]) == 1
    await house.stop()
