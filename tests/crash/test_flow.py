"""F1, short: kill -9 while records flow MQTT (QoS 1) → rule → Kinesis → Firehose → S3. Nothing acknowledged may be lost.

Devices are paho clients with persistent sessions, as real ones are: what was not acknowledged is sent again after the
reconnect, so duplicates are allowed and counted, and order is judged by the first appearance of each message.
"""

from __future__ import annotations

import collections
import hashlib
import json
import random
import ssl
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from tests.crash.rig import Acknowledged, Server, eventually, kill_repeatedly, seed

ACCOUNT = "000000000000"
BUCKET, STREAM, DELIVERY = "landing", "events", "to-landing"


def allow(actions: Any, resources: Any) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(server: Server, name: str, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = server.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=allow("*", "*"))
    return arn


def build(server: Server) -> dict[str, Any]:
    server.client("s3").create_bucket(Bucket=BUCKET)
    server.client("kinesis").create_stream(StreamName=STREAM, ShardCount=2)
    stream_arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{STREAM}"
    firehose_role = role(server, "firehose", "firehose.amazonaws.com")
    server.client("firehose").create_delivery_stream(
        DeliveryStreamName=DELIVERY,
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream_arn, "RoleARN": firehose_role},
        ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
            "RoleARN": firehose_role,
            "Prefix": "in/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "AppendDelimiterToRecord",
                        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                    }
                ],
            },
        },
    )
    iot = server.client("iot")
    iot.create_topic_rule(
        ruleName="all",
        topicRulePayload={
            "sql": "SELECT * FROM 'devices/+/data'",
            "actions": [
                {
                    "kinesis": {
                        "roleArn": role(server, "iot", "iot.amazonaws.com"),
                        "streamName": STREAM,
                        "partitionKey": "${topic(2)}",
                    }
                }
            ],
        },
    )
    keys: dict[str, Any] = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="any", policyDocument=allow("iot:*", "*"))
    iot.attach_policy(policyName="any", target=keys["certificateArn"])
    return keys


class Device:
    """Publishes 0, 1, 2, … until told to stop; a number is promised once its PUBACK came."""

    def __init__(self, name: str, server: Server, tls: ssl.SSLContext, promised: Acknowledged) -> None:
        self.name, self._promised = name, promised
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(50)
        self._window = threading.Semaphore(200)
        self._numbers: dict[int, int] = {}
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self.sent = 0
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", server.mqtt_port)
        self._client.loop_start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _on_publish(self, _client: Any, _userdata: Any, message_id: int, *_: Any) -> None:
        with self._lock:
            number = self._numbers.pop(message_id, None)
            if number is None:
                self._early.add(message_id)  # acknowledged before publish() told us its id
        if number is not None:
            self._promised.add([self.name, number])
        self._window.release()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._window.acquire(timeout=0.05):
                continue
            body = json.dumps({"device": self.name, "number": self.sent, "pad": "x" * 100})
            # Not under our lock: paho holds its own around callbacks.
            message_id = self._client.publish(f"devices/{self.name}/data", body, qos=1).mid
            with self._lock:
                is_early = message_id in self._early
                self._early.discard(message_id)
                if not is_early:
                    self._numbers[message_id] = self.sent
            if is_early:
                self._promised.add([self.name, self.sent])
            self.sent += 1
            self._stop.wait(0.0005)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        eventually(lambda: not self._numbers, 30, f"{self.name} still waits for {len(self._numbers)} acknowledgements")
        self._client.disconnect()
        self._client.loop_stop()


def in_stream(server: Server) -> dict[str, list[int]]:
    kinesis = server.client("kinesis")
    found: dict[str, list[int]] = collections.defaultdict(list)
    for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
        place = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=place, Limit=10_000)
            for record in answer["Records"]:
                body = json.loads(record["Data"])
                found[body["device"]].append(body["number"])
            place = answer["NextShardIterator"]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
    return found


def in_bucket(server: Server) -> collections.Counter[tuple[str, int]]:
    s3 = server.client("s3")
    found: collections.Counter[tuple[str, int]] = collections.Counter()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="in/"):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            assert len(body) == entry["Size"]
            assert hashlib.md5(body).hexdigest() == entry["ETag"].strip('"'), "a torn body"
            assert body.endswith(b"\n")
            for line in body.splitlines():
                record = json.loads(line)
                found[record["device"], record["number"]] += 1
    return found


def first_appearances(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost(tmp_path: Path, kills: int) -> None:
    chosen = seed()
    server = Server(tmp_path / "data")
    server.start()
    try:
        keys = build(server)
        (tmp_path / "c.pem").write_text(keys["certificatePem"])
        (tmp_path / "k.pem").write_text(keys["keyPair"]["PrivateKey"])
        tls = ssl.create_default_context(cafile=server.address["mqtt_ca"])
        tls.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        promised = Acknowledged(tmp_path / "promised.jsonl")
        devices = [Device(f"device-{number}", server, tls, promised) for number in range(3)]
        kill_repeatedly(server, random.Random(chosen), kills, between=(0.3, 1.6))
        for device in devices:
            device.stop()
        wanted = {(name, number) for name, number in promised.entries}
        assert len(wanted) > 10 * kills, "hardly anything was acknowledged: the rig proves nothing"

        streamed = in_stream(server)
        lost_before = wanted - {(name, number) for name, numbers in streamed.items() for number in numbers}
        assert not lost_before, f"seed {chosen}: {len(lost_before)} acknowledged messages never reached the stream"
        for name, numbers in streamed.items():
            assert first_appearances(numbers) == sorted(set(numbers)), f"seed {chosen}: {name} is out of order"

        in_stream_once = {(name, number) for name, numbers in streamed.items() for number in numbers}
        eventually(lambda: in_stream_once <= set(in_bucket(server)), 60, "Firehose did not drain")
        landed = in_bucket(server)
        from_stream = sum(len(numbers) for numbers in streamed.values())
        print(
            f"{kills} kills, {len(wanted):,} acknowledged, {from_stream - len(in_stream_once)} sent twice, "
            f"{sum(landed.values()) - from_stream} delivered twice, slowest start {server.slowest_start:.2f} s"
        )
        assert sum(landed.values()) - from_stream <= 0.001 * from_stream + 500, (
            "too many duplicates for batches in flight"
        )
        assert server.starts == kills + 1
    finally:
        server.stop()
