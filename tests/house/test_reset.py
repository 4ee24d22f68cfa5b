"""Reset: everything is gone, the doors and the seeded principal stay, what comes afterwards is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakebed.cli.pytest_plugin import RunningLakebed
from lakebed.kernel import emptying

KEPT = {
    ".aside", ".emptying", "address.json", "admin.token", "children", "console.token", "lock", "mqtt",
    *(f"{room}.master.key" for room in ("firehose", "glue", "iam", "kms", "sqs")),
}  # fmt: skip
FRESH = {"state.db", "state.db-wal", "state.db-shm", "objects", "log", "lambda", "scratch"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[RunningLakebed]:
    running = RunningLakebed(tmp_path / "data")
    running.start()
    yield running
    running.stop()


def fill(house: RunningLakebed) -> None:
    s3 = house.client("s3")
    s3.create_bucket(Bucket="shelf")
    for number in range(5):
        s3.put_object(Bucket="shelf", Key=str(number), Body=b"x" * 1000)
    kinesis = house.client("kinesis")
    kinesis.create_stream(StreamName="events", ShardCount=2)
    house.advance(1)
    kinesis.put_record(StreamName="events", Data=b"x", PartitionKey="p")
    queue = house.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    house.client("sqs").send_message(QueueUrl=queue, MessageBody="x")
    house.client("iam").create_user(UserName="somebody")
    house.client("iot").create_thing(thingName="sensor")
    house.client("iot").create_keys_and_certificate(setAsActive=True)
    house.client("glue").create_database(DatabaseInput={"Name": "lake"})
    house.client("logs").create_log_group(logGroupName="group")


def everything(house: RunningLakebed) -> list[Any]:
    return [
        house.client("s3").list_buckets()["Buckets"],
        house.client("kinesis").list_streams()["StreamNames"],
        house.client("sqs").list_queues().get("QueueUrls", []),
        house.client("iam").list_users()["Users"],
        house.client("iot").list_things()["things"],
        house.client("iot").list_certificates()["certificates"],
        house.client("glue").get_databases()["DatabaseList"],
        house.client("logs").describe_log_groups()["logGroups"],
        house.client("lambda").list_functions()["Functions"],
        house.client("firehose").list_delivery_streams()["DeliveryStreamNames"],
    ]


def test_everything_is_gone_and_the_doors_stay(house: RunningLakebed) -> None:
    empty = everything(house)
    url, port, kept = house.endpoint_url, house.mqtt_port, house.client("s3")
    authority = house.mqtt_ca.read_bytes()
    (house.data / "lakebed.toml").write_text("# mine\n")
    for _ in range(2):
        fill(house)
        assert everything(house) != empty
        house.reset()
        assert everything(house) == empty
        assert (house.endpoint_url, house.mqtt_port, house.mqtt_ca.read_bytes()) == (url, port, authority)
        assert kept.list_buckets()["Buckets"] == []  # an open connection goes on
    assert house.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert {path.name for path in house.data.iterdir()} <= KEPT | FRESH | {"lakebed.toml"}
    assert [path for path in (house.data / "objects").rglob("*") if path.is_file()] == []


def test_a_request_that_waits_is_ended_and_the_next_finds_the_new_state(house: RunningLakebed) -> None:
    sqs = house.client("sqs")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    told: list[str] = []

    def poll() -> None:
        try:
            sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
        except ClientError as failure:
            told.append(failure.response["Error"]["Code"])

    waiting = threading.Thread(target=poll)
    waiting.start()
    while not house._house._http._running:  # type: ignore[union-attr]  # until it is there
        waiting.join(0.01)
    house.reset()
    waiting.join(30)
    assert told == ["AWS.SimpleQueueService.NonExistentQueue"], "503 was tried again and met the empty house"


def test_what_is_made_after_a_reset_survives_a_restart(tmp_path: Path) -> None:
    house = RunningLakebed(tmp_path / "data")
    house.start()
    fill(house)
    house.reset()
    house.client("s3").create_bucket(Bucket="afterwards")
    house.stop()
    again = RunningLakebed(tmp_path / "data")
    again.start()
    try:
        assert [bucket["Name"] for bucket in again.client("s3").list_buckets()["Buckets"]] == ["afterwards"]
        assert again.client("kinesis").list_streams()["StreamNames"] == []
    finally:
        again.stop()


def test_a_reset_that_a_crash_cut_short_is_finished_at_the_start(tmp_path: Path) -> None:
    house = RunningLakebed(tmp_path / "data")
    house.start()
    fill(house)
    house.stop()
    (tmp_path / "data" / emptying.MARKER).write_bytes(b"begun\n")
    (tmp_path / "data" / "objects").rename(tmp_path / "moved already")
    again = RunningLakebed(tmp_path / "data")
    again.start()
    try:
        assert again.client("s3").list_buckets()["Buckets"] == []
        assert not emptying.is_begun(tmp_path / "data")
    finally:
        again.stop()
