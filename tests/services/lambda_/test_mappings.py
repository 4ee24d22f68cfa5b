"""Event source mappings on a queue and on a stream."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.sources import events
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.store import Checkpoint
from lakebed.services.lambda_.sources.stream_poller import after_failure
from tests.harness import SCOPE
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import DEAD, QUEUE, STREAM

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"


async def mapped(lab: Lab, source: str, **changes: Any) -> dict[str, Any]:
    await lab.create()
    if source == STREAM:
        changes = {"StartingPosition": "TRIM_HORIZON", **changes}
    return await lab.call("CreateEventSourceMapping", EventSourceArn=source, FunctionName="fn", **changes)


def bodies(event: Any) -> list[str]:
    return [record["body"] for record in event["Records"]]


def datas(event: Any) -> list[str]:
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]


async def test_queue_messages_reach_the_function_and_are_deleted(lab: Lab) -> None:
    made = await mapped(lab, QUEUE)
    assert (made["State"], made["BatchSize"], made["FunctionArn"]) == ("Enabled", 10, ARN)
    lab.queues.put(QUEUE, "a", "b")
    await lab.clock.advance(0)
    [event] = lab.runtime.events
    assert bodies(event) == ["a", "b"]
    assert event["Records"][0] == {
        "messageId": "m0",
        "receiptHandle": "r-m0",
        "body": "a",
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "k": {"stringValue": "v", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": "0cc175b9c0f1b6a831c399e269772661",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "us-east-1",
    }
    assert lab.queues.bodies(QUEUE) == []
    assert (await lab.call("GetEventSourceMapping", UUID=made["UUID"]))["LastProcessingResult"] == "OK"


async def test_failed_messages_come_back_after_the_visibility_timeout(lab: Lab) -> None:
    made = await mapped(lab, QUEUE)
    failures = iter([True, False])

    def once(event: Any) -> None:
        if next(failures):
            raise ValueError("no")

    lab.runtime.behave = once
    lab.queues.put(QUEUE, "a")
    await lab.clock.advance(29)
    assert len(lab.runtime.events) == 1
    assert (await lab.call("GetEventSourceMapping", UUID=made["UUID"]))["LastProcessingResult"].startswith("PROBLEM")
    await lab.clock.advance(2)
    assert lab.runtime.events[1]["Records"][0]["attributes"] == {"ApproximateReceiveCount": "2"}
    assert lab.queues.bodies(QUEUE) == []


async def test_partial_batch_response(lab: Lab) -> None:
    await mapped(lab, QUEUE, FunctionResponseTypes=["ReportBatchItemFailures"])
    lab.runtime.behave = lambda event: {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]}
    lab.queues.put(QUEUE, "a", "b", "c")
    await lab.clock.advance(0)
    assert lab.queues.bodies(QUEUE) == ["b"]


async def test_batching_window(lab: Lab) -> None:
    await mapped(lab, QUEUE, BatchSize=20, MaximumBatchingWindowInSeconds=5)
    lab.queues.put(QUEUE, "a")
    await lab.clock.advance(3)
    lab.queues.put(QUEUE, "b")
    await lab.clock.advance(1)
    assert not lab.runtime.events
    await lab.clock.advance(1.5)
    assert [bodies(event) for event in lab.runtime.events] == [["a", "b"]]
    lab.queues.put(QUEUE, *map(str, range(20)))
    await lab.clock.advance(0)
    assert len(lab.runtime.events) == 2


async def test_disabled_mappings_rest(lab: Lab) -> None:
    made = await mapped(lab, QUEUE, Enabled=False)
    lab.queues.put(QUEUE, "a")
    await lab.clock.advance(60)
    assert not lab.runtime.events
    assert (await lab.call("UpdateEventSourceMapping", UUID=made["UUID"], Enabled=True))["State"] == "Enabled"
    await lab.clock.advance(0)
    assert len(lab.runtime.events) == 1
    assert (await lab.call("DeleteEventSourceMapping", UUID=made["UUID"]))["State"] == "Deleting"
    lab.queues.put(QUEUE, "b")
    await lab.clock.advance(60)
    assert len(lab.runtime.events) == 1
    assert (await lab.call("ListEventSourceMappings", FunctionName="fn"))["EventSourceMappings"] == []


async def test_rules_of_creation(lab: Lab) -> None:
    await mapped(lab, QUEUE)
    for changes, code in (
        ({"EventSourceArn": QUEUE}, "ResourceConflictException"),
        ({"EventSourceArn": DEAD, "BatchSize": 11}, "InvalidParameterValueException"),
        ({"EventSourceArn": DEAD, "StartingPosition": "LATEST"}, "InvalidParameterValueException"),
        ({"EventSourceArn": STREAM}, "InvalidParameterValueException"),
        ({"EventSourceArn": DEAD, "FilterCriteria": {"Filters": [{"Pattern": "["}]}}, "InvalidParameterValueException"),
        (
            {
                "EventSourceArn": STREAM,
                "StartingPosition": "LATEST",
                "ParallelizationFactor": 2,
                "TumblingWindowInSeconds": 9,
            },
            "NotImplemented",
        ),
        ({"EventSourceArn": DEAD, "ParallelizationFactor": 2}, "InvalidParameterValueException"),
    ):
        with pytest.raises(AwsError) as refused:
            await lab.call("CreateEventSourceMapping", FunctionName="fn", **changes)
        assert refused.value.error_code == code, changes
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=31)
    with pytest.raises(AwsError, match="Queue visibility timeout: 30 seconds is less than Function timeout: 31"):
        await lab.call("CreateEventSourceMapping", FunctionName="fn", EventSourceArn=DEAD)


async def test_stream_records_in_order_with_checkpoint(lab: Lab) -> None:
    lab.streams.add("0", "1", "2")
    made = await mapped(lab, STREAM, BatchSize=2)
    await lab.clock.advance(0)
    assert [datas(event) for event in lab.runtime.events] == [["0", "1"], ["2"]]
    record = lab.runtime.events[0]["Records"][0]
    assert record["eventID"] == "shardId-000000000000:seq0"
    assert record["eventSourceARN"] == STREAM
    assert record["kinesis"]["approximateArrivalTimestamp"] == lab.clock.now()
    lab.streams.add("3")
    await lab.clock.advance(0)
    assert datas(lab.runtime.events[2]) == ["3"]
    [row] = lab.harness.kernel.db.all("SELECT next_offset FROM lambda_checkpoint WHERE mapping=?", (made["UUID"],))
    assert row["next_offset"] == 4


async def test_a_stream_made_again_is_read_from_its_beginning(lab: Lab) -> None:
    lab.streams.add("0", "1")
    made = await mapped(lab, STREAM)
    await lab.clock.advance(0)
    lab.streams.uid, lab.streams.records = "second", {"shardId-000000000000": []}
    lab.streams.add("new 0", "new 1", "new 2")
    await lab.clock.advance(0)
    assert datas(lab.runtime.events[-1]) == ["new 0", "new 1", "new 2"]
    rows = lab.harness.kernel.db.all("SELECT next_offset FROM lambda_checkpoint WHERE mapping=?", (made["UUID"],))
    assert [row["next_offset"] for row in rows] == [3]


async def test_latest_begins_at_the_tip(lab: Lab) -> None:
    lab.streams.add("old")
    await mapped(lab, STREAM, StartingPosition="LATEST")
    lab.streams.add("new")
    await lab.clock.advance(0)
    assert [datas(event) for event in lab.runtime.events] == [["new"]]


async def test_a_poisoned_record_is_bisected_and_given_up(lab: Lab) -> None:
    await mapped(
        lab, STREAM, BatchSize=4, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": DEAD}},
    )  # fmt: skip

    def behave(event: Any) -> None:
        if "poison" in datas(event):
            raise ValueError("no")

    lab.runtime.behave = behave
    lab.streams.add("a", "b", "poison", "c")
    await lab.clock.advance(60)
    done = [one for event in lab.runtime.events if "poison" not in datas(event) for one in datas(event)]
    assert done == ["a", "b", "c"]
    [told] = map(json.loads, lab.queues.bodies(DEAD))
    assert told["KinesisBatchInfo"]["startSequenceNumber"] == "seq2"
    assert told["KinesisBatchInfo"]["batchSize"] == 1


async def test_a_failing_batch_blocks_its_shard(lab: Lab) -> None:
    await mapped(lab, STREAM)

    def behave(event: Any) -> None:
        raise ValueError("no")

    lab.runtime.behave = behave
    lab.streams.add("a")
    await lab.clock.advance(4)
    tried = len(lab.runtime.events)
    assert tried >= 2
    lab.streams.add("b")
    await lab.clock.advance(120)
    assert lab.harness.kernel.meters.snapshot()["resources"][ARN]["lagSeconds"] > 60  # type: ignore[index]
    lab.runtime.behave = lambda event: None
    await lab.clock.advance(61)
    assert lab.harness.kernel.db.one("SELECT next_offset FROM lambda_checkpoint")["next_offset"] == 2  # type: ignore[index]


async def test_stream_partial_failure_goes_on_at_the_first_failed(lab: Lab) -> None:
    await mapped(lab, STREAM, FunctionResponseTypes=["ReportBatchItemFailures"])
    answers = iter([{"batchItemFailures": [{"itemIdentifier": "seq1"}]}, None])
    lab.runtime.behave = lambda event: next(answers)
    lab.streams.add("a", "b", "c")
    await lab.clock.advance(5)
    assert [datas(event) for event in lab.runtime.events] == [["a", "b", "c"], ["b", "c"]]


async def test_filtered_messages_are_deleted_unseen(lab: Lab) -> None:
    pattern = json.dumps({"body": {"kind": ["a"]}})
    made = await mapped(lab, QUEUE, FilterCriteria={"Filters": [{"Pattern": pattern}]}, Tags={"t": "1"})
    assert made["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
    lab.queues.put(QUEUE, '{"kind": "b"}', '{"kind": "a"}', "text")
    await lab.clock.advance(0)
    assert [bodies(event) for event in lab.runtime.events] == [['{"kind": "a"}']]
    lab.queues.put(QUEUE, *(["text"] * 50))
    await lab.clock.advance(0)
    assert lab.queues.bodies(QUEUE) == []
    arn = made["EventSourceMappingArn"]
    await lab.call("TagResource", Resource=arn, Tags={"u": "2"})
    assert (await lab.call("ListTags", Resource=arn))["Tags"] == {"t": "1", "u": "2"}


async def test_filtered_stream_records_are_passed_over(lab: Lab) -> None:
    pattern = json.dumps({"data": {"n": [{"numeric": [">", 1]}]}})
    await mapped(lab, STREAM, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    lab.streams.add('{"n": 1}', '{"n": 2}', "text", '{"n": 3}', '{"n": 0}')
    await lab.clock.advance(0)
    assert [datas(event) for event in lab.runtime.events] == [['{"n": 2}', '{"n": 3}']]
    [row] = lab.harness.kernel.db.all("SELECT next_offset FROM lambda_checkpoint")
    assert row["next_offset"] == 5


async def test_children_wait_for_their_parents(lab: Lab) -> None:
    lab.streams.add("p1", "p2")
    lab.streams.records["shardId-000000000001"] = []
    lab.streams.add("child", shard="shardId-000000000001")
    lab.streams.closed.add("shardId-000000000000")
    await mapped(lab, STREAM, BatchSize=1)
    await lab.clock.advance(1)
    assert [datas(event) for event in lab.runtime.events] == [["p1"], ["p2"], ["child"]]


@given(some.integers(1, 200), some.integers(0, 199), some.booleans(), some.integers(-1, 3))
def test_failures_end_or_go_on_within_bounds(size: int, poison: int, bisect: bool, retries: int) -> None:
    """Play a stream with one poisoned record: everything before it is done once, and with retries it is given up."""
    poison %= size
    mapping = Mapping(
        uuid="u", source=STREAM, function="f", qualifier="", enabled=True, batch_size=100, modified=0.0, bisect=bisect,
        retries=retries,
    )  # fmt: skip
    at, done, lost, steps = Checkpoint(0), 0, 0, 0
    while at.offset < size and steps < 60:
        steps += 1
        end = min(size, at.offset + 100, at.until or size)
        offsets = list(range(at.offset, end))
        if poison in offsets:
            at, gave_up = after_failure(mapping, at, offsets, 0.0)
            lost += len(offsets) if gave_up else 0
        else:
            done += len(offsets)
            at = Checkpoint(end)
    if retries >= 0:
        assert at.offset == size
        assert done + lost == size
        if bisect:
            assert lost == 1
    else:
        assert at.offset <= poison


def test_partial_answers() -> None:
    known = ["a", "b"]
    for payload in (b"null", b"", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}', b'"fine"'):
        assert events.failed_items(payload, known) == []
    assert events.failed_items(b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', known) == ["b"]
    for payload in (
        b'{"batchItemFailures": [{"itemIdentifier": "x"}]}',
        b'{"batchItemFailures": [{"itemIdentifier": ""}]}',
        b'{"batchItemFailures": [{"bad": "a"}]}',
        b'{"batchItemFailures": "a"}',
        b"[1]",
    ):
        assert events.failed_items(payload, known) is None


@given(some.lists(some.integers(1, 3 << 20), min_size=1, max_size=20))
def test_fitting_never_exceeds_an_event(sizes: list[int]) -> None:
    count = events.fitting(sizes)
    assert 1 <= count <= len(sizes)
    assert count == 1 or sum(sizes[:count]) + count + events.ENVELOPE_BYTES <= events.EVENT_BYTES_MAX


async def test_topology_tells_every_configured_way(lab: Lab) -> None:
    await mapped(lab, QUEUE)
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", DeadLetterConfig={"TargetArn": DEAD})
    topology = lab.harness.services["lambda"].topology
    assert topology is not None
    assert [(link.source, link.target) for link in topology(SCOPE)] == [(QUEUE, ARN), (ARN, DEAD)]
    assert topology(Scope("111111111111", "us-east-1")) == []
