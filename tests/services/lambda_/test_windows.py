"""Stream mappings with lanes (ParallelizationFactor), tumbling windows, metrics, and destinations with their payload."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from lakebed.ports.streams import StreamRecord
from lakebed.services.lambda_.sources.lanes import split
from lakebed.services.lambda_.sources.store import Checkpoint
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import QUEUE, STREAM
from tests.services.lambda_.test_mappings import datas, mapped


@given(some.lists(some.integers(0, 5), min_size=1, max_size=60), some.integers(1, 10), some.integers(1, 7))
def test_lanes_keep_each_keys_order(keys: list[int], lanes: int, batch: int) -> None:
    records = [StreamRecord(n, f"seq{n}", f"k{key}", b"", 0.0) for n, key in enumerate(keys)]
    made = split(records, lanes)
    assert len(made.lanes) <= lanes
    seen: list[StreamRecord] = []
    while not made.is_done():
        for lane in made.lanes.values():
            if rest := lane.rest(batch):
                seen += rest
                lane.at = Checkpoint(rest[-1].offset + 1)
    assert sorted(record.offset for record in seen) == list(range(len(keys)))
    for key in set(keys):
        mine = [record.offset for record in seen if record.partition_key == f"k{key}"]
        assert mine == sorted(mine)
    assert made.end == len(keys)


async def test_a_poisoned_key_holds_up_its_own_lane_alone(lab: Lab) -> None:
    made = await mapped(lab, STREAM, BatchSize=10, ParallelizationFactor=10, MaximumRetryAttempts=2)
    assert made["ParallelizationFactor"] == 10

    def behave(event: Any) -> None:
        if "poison" in datas(event):
            raise ValueError("no")

    lab.runtime.behave = behave
    for number in range(8):
        lab.streams.add(f"a{number}", key=f"key{number}")
    lab.streams.add("poison", key="bad")
    await lab.clock.advance(0.5)
    first = [one for event in lab.runtime.events for one in datas(event)]
    assert {one for one in first if one != "poison"} == {f"a{number}" for number in range(8)}
    lab.streams.add("later")
    await lab.clock.advance(30)
    every = [one for event in lab.runtime.events for one in datas(event)]
    assert every.count("poison") == 3
    assert every.count("a0") == 1
    assert every[-1] == "later"
    [row] = lab.harness.kernel.db.all("SELECT next_offset FROM lambda_checkpoint")
    assert row["next_offset"] == 10


async def test_a_window_hands_its_state_on_and_closes(lab: Lab) -> None:
    await mapped(lab, STREAM, TumblingWindowInSeconds=60, BatchSize=2)
    lab.runtime.behave = lambda event: {"state": {"n": event["state"].get("n", 0) + len(event["Records"])}}
    start = lab.clock.now() // 60 * 60
    await lab.clock.advance(start + 65 - lab.clock.now())  # five seconds into a window
    lab.streams.add("a", "b", "c")
    await lab.clock.advance(1)
    events = lab.runtime.events
    assert [datas(event) for event in events] == [["a", "b"], ["c"]]
    assert [event["state"] for event in events] == [{}, {"n": 2}]
    assert not any(event["isFinalInvokeForWindow"] for event in events)
    await lab.clock.advance(60)
    final = lab.runtime.events[2]
    assert (final["Records"], final["state"], final["isFinalInvokeForWindow"]) == ([], {"n": 3}, True)
    lab.streams.add("d")
    await lab.clock.advance(1)
    assert lab.runtime.events[3]["state"] == {}
    assert lab.runtime.events[3]["window"]["start"] > final["window"]["start"]


async def test_a_windows_state_survives_a_restart(lab: Lab) -> None:
    await mapped(lab, STREAM, TumblingWindowInSeconds=900)
    lab.runtime.behave = lambda event: {"state": {"sum": 7}}
    lab.streams.add("a")
    await lab.clock.advance(1)
    from lakebed.services.lambda_.sources.store import MappingStore
    from tests.harness import SCOPE

    store = MappingStore(lab.harness.kernel.db)
    [mapping] = store.some(SCOPE)
    [checkpoint] = store.checkpoints(SCOPE, mapping.uuid).values()
    assert checkpoint.window is not None
    assert json.loads(checkpoint.window.state) == {"sum": 7}


async def test_a_window_without_state_is_a_failure(lab: Lab) -> None:
    await mapped(lab, STREAM, TumblingWindowInSeconds=900, MaximumRetryAttempts=1)
    lab.runtime.behave = lambda event: None
    lab.streams.add("a")
    await lab.clock.advance(5)
    assert len(lab.runtime.events) == 2


async def test_a_bucket_gets_what_was_lost(lab: Lab) -> None:
    heard: list[tuple[Any, ...]] = []

    class Bucket:
        async def put(self, *given: Any, **_: Any) -> None:
            heard.append(given)

    ports: Any = lab.harness.ports
    ports.objects = Bucket()
    made = await mapped(
        lab, STREAM, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::lost"}}
    )

    def fail(_: Any) -> None:
        raise ValueError("no")

    lab.runtime.behave = fail
    lab.streams.add("a")
    await lab.clock.advance(1)
    [(_, bucket, key, body)] = heard
    assert bucket == "lost"
    assert key.startswith(f"aws/lambda/{made['UUID']}/shardId-000000000000/")
    assert datas(json.loads(json.loads(body)["payload"])) == ["a"]


async def test_a_mappings_own_metrics(lab: Lab) -> None:
    points: dict[str, float] = {}

    class Metrics:
        def put(self, scope: Any, namespace: str, given: Any, **_: Any) -> None:
            for name, of, value, _unit in given:
                if "EventSourceMappingUUID" in of:
                    points[name] = points.get(name, 0) + value

    ports: Any = lab.harness.ports
    ports.metrics = Metrics()
    pattern = json.dumps({"body": [{"wildcard": "keep*"}]})
    await mapped(
        lab, QUEUE, MetricsConfig={"Metrics": ["EventCount"]}, FilterCriteria={"Filters": [{"Pattern": pattern}]}
    )
    lab.queues.put(QUEUE, "keep 1", "keep 2", "drop")
    await lab.clock.advance(0)
    assert points == {
        "PolledEventCount": 3, "FilteredOutEventCount": 1, "InvokedEventCount": 2, "DeletedEventCount": 2,
    }  # fmt: skip
