"""Jobs from both ends: operators over the API, devices over MQTT and iot-jobs-data, and what the clock does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.iot.jobs import model
from lakebed.services.iot.jobs.keeper import parse_topic
from lakebed.wire.mqtt import packets as mqtt
from tests.edge.mqtt.world import Device, World

ARN = "arn:aws:iot:us-east-1:000000000000:"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path / "data").start()
    yield made
    await made.stop()


async def things(world: World, *names: str) -> list[str]:
    for name in names:
        await world.harness.call("iot", "CreateThing", thingName=name)
    return [f"{ARN}thing/{name}" for name in names]


async def job(world: World, targets: list[str], name: str = "j", **more: Any) -> None:
    given = {"document": '{"do":"it"}', **more}
    await world.harness.call("iot", "CreateJob", jobId=name, targets=targets, **given)
    await world.harness.clock.advance(0)


async def statuses(world: World, name: str = "j") -> dict[str, str]:
    found = await world.harness.call("iot", "ListJobExecutionsForJob", jobId=name)
    return {
        one["thingArn"].rpartition("/")[2]: one["jobExecutionSummary"]["status"] for one in found["executionSummaries"]
    }


async def status(world: World, name: str = "j") -> str:
    return str((await world.harness.call("iot", "DescribeJob", jobId=name))["job"]["status"])


async def update(world: World, thing: str, to: str, **more: Any) -> Any:
    told = await world.harness.call(
        "iot-jobs-data", "UpdateJobExecution", jobId="j", thingName=thing, status=to, **more
    )
    await world.harness.clock.advance(0)
    return told


async def fails(call: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await call
    return caught.value.error_code


async def test_a_snapshot_job_from_start_to_end(world: World) -> None:
    call = world.harness.call
    await job(world, await things(world, "a", "b"), description="d")
    assert await statuses(world) == {"a": "QUEUED", "b": "QUEUED"}
    pending = await call("iot-jobs-data", "GetPendingJobExecutions", thingName="a")
    assert [one["jobId"] for one in pending["queuedJobs"]] == ["j"]
    started = await call("iot-jobs-data", "StartNextPendingJobExecution", thingName="a", statusDetails={"step": "1"})
    assert (started["execution"]["status"], started["execution"]["jobDocument"]) == ("IN_PROGRESS", '{"do":"it"}')
    assert await fails(update(world, "a", "SUCCEEDED", expectedVersion=1)) == "InvalidRequestException"
    told = await update(world, "a", "SUCCEEDED", expectedVersion=2, includeJobExecutionState=True)
    assert told["executionState"] == {"status": "SUCCEEDED", "statusDetails": {"step": "1"}, "versionNumber": 3}
    assert await fails(update(world, "a", "FAILED")) == "InvalidStateTransitionException"
    assert await status(world) == "IN_PROGRESS"
    await update(world, "b", "REJECTED")
    assert await status(world) == "COMPLETED"
    details = (await call("iot", "DescribeJob", jobId="j"))["job"]["jobProcessDetails"]
    assert (details["numberOfSucceededThings"], details["numberOfRejectedThings"]) == (1, 1)
    assert (await call("iot", "GetJobDocument", jobId="j"))["document"] == '{"do":"it"}'
    listed = await call("iot", "ListJobExecutionsForThing", thingName="a")
    assert listed["executionSummaries"][0]["jobExecutionSummary"]["status"] == "SUCCEEDED"
    await call("iot", "DeleteJob", jobId="j")
    assert await fails(call("iot", "DescribeJob", jobId="j")) == "ResourceNotFoundException"


async def test_continuous_jobs_follow_their_group(world: World) -> None:
    call = world.harness.call
    await things(world, "a", "b")
    await call("iot", "CreateThingGroup", thingGroupName="g")
    await call("iot", "CreateThingGroup", thingGroupName="below", parentGroupName="g")
    await call("iot", "AddThingToThingGroup", thingGroupName="g", thingName="a")
    await job(world, [f"{ARN}thinggroup/g"], targetSelection="CONTINUOUS")
    assert await statuses(world) == {"a": "QUEUED"}
    await call("iot", "AddThingToThingGroup", thingGroupName="below", thingName="b")
    await world.harness.clock.advance(0)
    assert await statuses(world) == {"a": "QUEUED", "b": "QUEUED"}
    await call("iot", "RemoveThingFromThingGroup", thingGroupName="g", thingName="a")
    await world.harness.clock.advance(0)
    assert await statuses(world) == {"a": "REMOVED", "b": "QUEUED"}
    await update(world, "b", "SUCCEEDED")
    assert await status(world) == "IN_PROGRESS"


async def test_rollout_timeouts_retries_and_abortion(world: World) -> None:
    clock = world.harness.clock
    await job(
        world, await things(world, *"abcde"), jobExecutionsRolloutConfig={"maximumPerMinute": 2},
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
        jobExecutionsRetryConfig={"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 1}]},
        abortConfig={"criteriaList": [{"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 60.0,
                                       "minNumberOfExecutedThings": 3}]},
    )  # fmt: skip
    assert len(await statuses(world)) == 2
    await clock.advance(61)
    assert len(await statuses(world)) == 4
    await update(world, "a", "IN_PROGRESS")
    await clock.advance(301)
    assert len(await statuses(world)) == 5
    found = await world.harness.call("iot", "DescribeJobExecution", jobId="j", thingName="a")
    assert (found["execution"]["status"], found["execution"]["executionNumber"]) == ("QUEUED", 2)
    for thing in "abc":
        await update(world, thing, "FAILED" if thing != "c" else "SUCCEEDED")
    await clock.advance(60)
    assert await status(world) == "CANCELED"
    assert (await statuses(world))["d"] == "CANCELED"


async def test_step_timeout_and_cancellation(world: World) -> None:
    call, clock = world.harness.call, world.harness.clock
    await job(world, await things(world, "a", "b", "c"))
    await update(world, "a", "IN_PROGRESS", stepTimeoutInMinutes=1)
    await update(world, "b", "IN_PROGRESS")
    await clock.advance(61)
    assert (await statuses(world))["a"] == "TIMED_OUT"
    assert await fails(call("iot", "CancelJobExecution", jobId="j", thingName="b")) == "InvalidStateTransitionException"
    assert await fails(call("iot", "DeleteJob", jobId="j")) == "InvalidStateTransitionException"
    await call("iot", "CancelJob", jobId="j", comment="no")
    assert await statuses(world) == {"a": "TIMED_OUT", "b": "IN_PROGRESS", "c": "CANCELED"}
    await call("iot", "CancelJob", jobId="j", force=True)
    assert (await statuses(world))["b"] == "CANCELED"
    listed = await call("iot", "ListJobs", status="CANCELED")
    assert [one["jobId"] for one in listed["jobs"]] == ["j"]
    await call("iot", "DeleteJob", jobId="j")


async def test_devices_over_mqtt(world: World) -> None:
    device = Device(world, await world.certificate())
    await device.connect()
    await device.subscribe("$aws/things/a/jobs/#")

    async def hear() -> tuple[str, Any]:
        packet = await device.hear()
        assert isinstance(packet, mqtt.Publish), packet
        device.say(mqtt.Puback(packet.packet_id))
        return packet.topic.removeprefix("$aws/things/a/jobs/"), json.loads(packet.payload)

    async def ask(topic: str, **body: Any) -> tuple[str, Any]:
        """The answer; the request itself comes to its own subscriber first."""
        device.say(mqtt.Publish(f"$aws/things/a/jobs/{topic}", json.dumps(body).encode(), 0))
        while True:
            heard = await hear_any()
            if heard[0].startswith(f"{topic}/"):
                return heard
            noted.append(heard)

    async def hear_any() -> tuple[str, Any]:
        packet = await device.hear()
        assert isinstance(packet, mqtt.Publish), packet
        if packet.qos:
            device.say(mqtt.Puback(packet.packet_id))
        return packet.topic.removeprefix("$aws/things/a/jobs/"), json.loads(packet.payload)

    noted: list[tuple[str, Any]] = []
    await job(world, await things(world, "a"))
    topic, body = await hear()
    assert (topic, [one["jobId"] for one in body["jobs"]["QUEUED"]]) == ("notify", ["j"])
    topic, body = await hear()
    assert (topic, body["execution"]["jobDocument"]) == ("notify-next", {"do": "it"})
    topic, body = await ask("get", clientToken="t")
    assert (topic, body["clientToken"], len(body["queuedJobs"])) == ("get/accepted", "t", 1)
    topic, body = await ask("start-next", statusDetails={"a": "b"})
    assert (topic, body["execution"]["status"], body["execution"]["jobDocument"]) == (
        "start-next/accepted", "IN_PROGRESS", {"do": "it"})  # fmt: skip
    topic, body = await ask("$next/get")
    assert body["execution"]["jobId"] == "j"
    topic, body = await ask("j/update", status="SUCCEEDED", expectedVersion="1")
    assert (topic, body["code"], body["executionState"]["versionNumber"]) == ("j/update/rejected", "VersionMismatch", 2)
    assert (await ask("j/update", status="SUCCEEDED", includeJobExecutionState=True))[1]["executionState"][
        "status"
    ] == "SUCCEEDED"
    topic, body = await ask("j/update", status="FAILED")
    assert body["code"] == "InvalidStateTransition"
    assert {"notify", "notify-next"} <= {topic for topic, _ in noted}
    assert (await ask("none/get"))[1]["code"] == "ResourceNotFound"


async def test_what_is_refused(world: World) -> None:
    targets = await things(world, "a")
    call = world.harness.call
    assert await fails(job(world, [f"{ARN}thing/none"])) == "ResourceNotFoundException"
    assert await fails(job(world, ["arn:aws:s3:::b"])) == "InvalidRequestException"
    assert await fails(job(world, targets, document="{")) == "InvalidRequestException"
    assert await fails(call("iot", "CreateJob", jobId="x", targets=targets)) == "InvalidRequestException"
    assert await fails(job(world, targets, schedulingConfig={"endBehavior": "CANCEL"})) == "NotImplemented"
    await job(world, targets)
    assert await fails(job(world, targets)) == "ResourceAlreadyExistsException"


def test_rates_and_topics() -> None:
    rollout = {"exponentialRate": {"baseRatePerMinute": 10, "incrementFactor": 2.0,
                                   "rateIncreaseCriteria": {"numberOfNotifiedThings": 10}}, "maximumPerMinute": 50}  # fmt: skip
    config = {"jobExecutionsRolloutConfig": rollout}
    assert [model.rate(config, told, 0) for told in (0, 9, 10, 20, 30, 10**6)] == [10, 10, 20, 40, 50, 50]
    assert parse_topic("$aws/things/t/jobs/get") == ("t", "", "get")
    assert parse_topic("$aws/things/t/jobs/$next/get") == ("t", "$next", "get")
    assert parse_topic("$aws/things/t/jobs/j/get/accepted") is None
