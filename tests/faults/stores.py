"""What a fault must not take away: eight ways to have something acknowledged, each with a way to find it again.

A ``Store`` writes numbers, one acknowledged call each, and later tells which of them are there. ``Ledger`` keeps what was
tried and what was acknowledged, and judges: nothing acknowledged is missing, nothing is there that nobody tried, and what
is a sequence is in order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import ssl
import threading
import time
from collections import Counter
from typing import Any

import paho.mqtt.client as mqtt
from botocore.exceptions import ClientError

from tests.crash.rig import UNTOLD, Server, eventually, patience
from tests.crash.test_flow import allow, role

DRAIN_SECONDS = 30.0
# What AWS calls a failure of its own side, by protocol.
OF_AWS = {"InternalFailure", "InternalError", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailureException",
          "503", "500", "SlowDown", "InternalServerError", "ServiceException"}  # fmt: skip


class Store:
    """One kind of durable thing."""

    name = ""
    in_order = False

    def __init__(self, server: Server, port: int = 0) -> None:
        self.server, self.port = server, port

    def client(self, service: str, **config: Any) -> Any:
        """Through the proxy where there is one, and never retried: the ledger must see every failure."""
        return self.server.client(service, port=self.port, retries={"total_max_attempts": 1}, **config)

    def prepare(self) -> None:
        """Make what is written to."""
        raise NotImplementedError

    def write(self, number: int) -> None:
        """One acknowledged write of ``number``; raises when it was not acknowledged."""
        raise NotImplementedError

    def read(self) -> None:
        """A read that must work while writes do not."""
        raise NotImplementedError

    def found(self, wanted: set[int]) -> list[int]:
        """What is there, in order where there is one; waits, bounded, for ``wanted`` where delivery takes time."""
        raise NotImplementedError


class Users(Store):
    """Rows of ``state.db``: IAM users."""

    name = "tables"

    def prepare(self) -> None:
        self.iam = self.client("iam")
        self.read()

    def write(self, number: int) -> None:
        self.iam.create_user(UserName=f"fault-{number}")

    def read(self) -> None:
        self.iam.list_users(MaxItems=1)

    def found(self, wanted: set[int]) -> list[int]:
        pages = self.server.client("iam").get_paginator("list_users").paginate()
        names = [user["UserName"] for page in pages for user in page["Users"]]
        return sorted(int(name[6:]) for name in names if name.startswith("fault-"))


class Messages(Store):
    """SQS: sent, received later."""

    name = "sqs"

    def prepare(self) -> None:
        self.sqs = self.client("sqs")
        self.url = self.sqs.create_queue(QueueName="faults")["QueueUrl"]
        self._received: set[int] = set()

    def write(self, number: int) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=str(number))

    def read(self) -> None:
        self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])

    def found(self, wanted: set[int]) -> list[int]:
        while (
            got := self.server.client("sqs")
            .receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=600)
            .get("Messages")
        ):
            self._received |= {int(message["Body"]) for message in got}
        return sorted(self._received)


class Stream(Store):
    """The segment log of a Kinesis shard."""

    name = "kinesis"
    in_order = True

    def prepare(self) -> None:
        self.kinesis = self.client("kinesis")
        self.kinesis.create_stream(StreamName="faults", ShardCount=1)
        eventually(
            lambda: (
                self.kinesis.describe_stream_summary(StreamName="faults")["StreamDescriptionSummary"]["StreamStatus"]
                == "ACTIVE"
            ),
            10,
            "the stream is not active",
        )

    def write(self, number: int) -> None:
        data = json.dumps({"n": number, "pad": "." * 400}).encode()
        if number % 3:
            self.kinesis.put_record(StreamName="faults", PartitionKey="one", Data=data)
            return
        told = self.kinesis.put_records(StreamName="faults", Records=[{"PartitionKey": "one", "Data": data}])
        if "FailedRecordCount" not in told:
            raise EOFError("the answer ended in its head")
        if told["FailedRecordCount"]:
            raise ClientError(
                {
                    "Error": {"Code": told["Records"][0]["ErrorCode"], "Message": ""},
                    "ResponseMetadata": {"HTTPStatusCode": 500},
                },  # type: ignore[arg-type]
                "PutRecords",
            )

    def read(self) -> None:
        self._records(self.kinesis, once=True)

    def found(self, wanted: set[int]) -> list[int]:
        return self._records(self.server.client("kinesis"))

    def _records(self, client: Any, *, once: bool = False) -> list[int]:
        shard = client.list_shards(StreamName="faults")["Shards"][0]["ShardId"]
        place = client.get_shard_iterator(StreamName="faults", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        numbers: list[int] = []
        last = 0
        while True:
            answer = client.get_records(ShardIterator=place["ShardIterator"], Limit=1000)
            for record in answer["Records"]:
                assert int(record["SequenceNumber"]) > last, "a sequence number fell"
                last = int(record["SequenceNumber"])
                numbers.append(json.loads(record["Data"])["n"])
            place = {"ShardIterator": answer["NextShardIterator"]}
            if once or (not answer["Records"] and answer["MillisBehindLatest"] == 0):
                return numbers


class Objects(Store):
    """S3: an object at once, overwriting its draft never."""

    name = "s3"

    def prepare(self) -> None:
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket=f"faults-{self.name}")
        self.s3.put_object(Bucket=f"faults-{self.name}", Key="first", Body=b"first")

    def body(self, number: int) -> bytes:
        return f"{number} ".encode() * 9000

    def write(self, number: int) -> None:
        self.s3.put_object(Bucket=f"faults-{self.name}", Key=f"n/{number}", Body=self.body(number))

    def read(self) -> None:
        assert self.s3.get_object(Bucket=f"faults-{self.name}", Key="first")["Body"].read() == b"first"

    def found(self, wanted: set[int]) -> list[int]:
        s3, numbers = self.server.client("s3"), []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=f"faults-{self.name}", Prefix="n/"):
            for entry in page.get("Contents", []):
                number = int(entry["Key"][2:])
                body = s3.get_object(Bucket=f"faults-{self.name}", Key=entry["Key"])["Body"].read()
                assert body == self.body(number), f"{entry['Key']}: a torn body of {len(body)} bytes"
                numbers.append(number)
        return sorted(numbers)


class Parts(Objects):
    """S3: blobs put together by CompleteMultipartUpload."""

    name = "multipart"
    _FIRST = b"p" * (5 << 20)

    def body(self, number: int) -> bytes:
        return self._FIRST + str(number).encode()

    def write(self, number: int) -> None:
        where = {"Bucket": "faults-multipart", "Key": f"n/{number}"}
        upload = self.s3.create_multipart_upload(**where)["UploadId"]
        parts = []
        for place, body in ((1, self._FIRST), (2, str(number).encode())):
            etag = self.s3.upload_part(**where, UploadId=upload, PartNumber=place, Body=body)["ETag"]
            if len(etag) != 34:  # the head of the answer was cut within this line, and the client read it so
                raise EOFError(etag)
            parts.append({"PartNumber": place, "ETag": etag})
        told = self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        if "ETag" not in told:  # S3 answers 200 before it knows, and the failure is in the body
            raise ClientError(
                {"Error": {"Code": "InternalError", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 500}},  # type: ignore[arg-type]
                "CompleteMultipartUpload",
            )


class Delivery(Store):
    """Firehose: put, found in the bucket after its buffer's second."""

    name = "firehose"

    def prepare(self) -> None:
        self.server.client("s3").create_bucket(Bucket="faults-delivered")
        self.firehose = self.client("firehose")
        self.firehose.create_delivery_stream(
            DeliveryStreamName="faults",
            ExtendedS3DestinationConfiguration={
                "BucketARN": "arn:aws:s3:::faults-delivered",
                "RoleARN": role(self.server, "faults-firehose", "firehose.amazonaws.com"),
                "Prefix": "in/",
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
            },
        )

    def write(self, number: int) -> None:
        self.firehose.put_record(DeliveryStreamName="faults", Record={"Data": f"{number} {'.' * 400}\n".encode()})

    def read(self) -> None:
        self.firehose.describe_delivery_stream(DeliveryStreamName="faults")

    def found(self, wanted: set[int]) -> list[int]:
        until = time.monotonic() + patience(DRAIN_SECONDS)
        while not wanted <= set(numbers := self._delivered()) and time.monotonic() < until:
            time.sleep(0.2)
        return numbers

    def _delivered(self) -> list[int]:
        s3, numbers = self.server.client("s3"), list[int]()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="faults-delivered", Prefix="in/"):
            for entry in page.get("Contents", []):
                body = s3.get_object(Bucket="faults-delivered", Key=entry["Key"])["Body"].read()
                assert hashlib.md5(body).hexdigest() == entry["ETag"].strip('"'), "a torn body"
                numbers += [int(line.split()[0]) for line in body.splitlines()]
        return sorted(numbers)


class Session(Store):
    """MQTT: what waits for a device that is away, in its persistent session."""

    name = "mqtt"
    in_order = True
    topics, number, device = "faults/#", "n", "away"

    def prepare(self) -> None:
        self._numbers: list[int] = []
        self._heard = threading.Event()
        iot = self.server.client("iot")
        keys = iot.create_keys_and_certificate(setAsActive=True)
        iot.create_policy(policyName=f"faults-{self.device}", policyDocument=allow("iot:*", "*"))
        iot.attach_policy(policyName=f"faults-{self.device}", target=keys["certificateArn"])
        folder = self.server.log.parent
        (folder / "faults-c.pem").write_text(keys["certificatePem"])
        (folder / "faults-k.pem").write_text(keys["keyPair"]["PrivateKey"])
        self.tls = ssl.create_default_context(cafile=self.server.address["mqtt_ca"])
        self.tls.load_cert_chain(folder / "faults-c.pem", folder / "faults-k.pem")
        device = self._connected()
        subscribed = threading.Event()
        device.on_subscribe = lambda *_: subscribed.set()
        device.subscribe(self.topics, qos=1)
        assert subscribed.wait(10), "no SUBACK"
        self._gone(device)
        self.data = self.client("iot-data")

    def write(self, number: int) -> None:
        self.data.publish(topic="faults/n", qos=1, payload=json.dumps({"n": number}).encode())

    def read(self) -> None:
        self.server.client("iot").list_things()

    def found(self, wanted: set[int]) -> list[int]:
        device = self._connected()
        until = time.monotonic() + patience(DRAIN_SECONDS)
        while time.monotonic() < until:
            self._heard.clear()
            if not self._heard.wait(0.7) and wanted <= set(self._numbers):
                break
        self._gone(device)
        return list(self._numbers)

    def _connected(self) -> mqtt.Client:
        device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.device, clean_session=False)
        device.tls_set_context(self.tls)
        there = threading.Event()
        device.on_connect = lambda *_: there.set()
        device.on_message = self._take
        device.connect("127.0.0.1", self.server.mqtt_port)
        device.loop_start()
        assert there.wait(10), "no CONNACK"
        return device

    def _take(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._numbers.append(json.loads(message.payload)[self.number])
        self._heard.set()

    @staticmethod
    def _gone(device: mqtt.Client) -> None:
        device.disconnect()
        device.loop_stop()


ALL: tuple[type[Store], ...] = (Users, Messages, Stream, Objects, Parts, Delivery, Session)


class Ledger:
    """What was tried and what was acknowledged, of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tried: list[int] = []
        self.acknowledged: list[int] = []
        self.failures: Counter[str] = Counter()
        self.wrong: list[str] = []

    def write(self) -> bool:
        """Try the next number; whether it was acknowledged. What a failing server says must be AWS's."""
        number = len(self.tried)
        self.tried.append(number)
        try:
            self.store.write(number)
        except ClientError as failure:
            code = failure.response["Error"]["Code"]
            status = failure.response["ResponseMetadata"]["HTTPStatusCode"]
            self.failures[code] += 1
            if status < 500 or code not in OF_AWS:
                self.wrong.append(f"{self.store.name}: {status} {code}")
            return False
        except (*UNTOLD, EOFError, KeyError) as failure:  # KeyError: an answer cut in its head lacks members
            self.failures[type(failure).__name__] += 1
            return False
        self.acknowledged.append(number)
        return True

    def write_until_acknowledged(self, seconds: float) -> float:
        """How long it took until a write worked again."""
        began = time.monotonic()
        while not self.write():
            assert time.monotonic() - began < seconds, f"{self.store.name}: still {dict(self.failures)}"
            time.sleep(0.05)
        return time.monotonic() - began

    def check(self, what: str) -> int:
        """Nothing lost, nothing invented, order kept; how many came twice."""
        wanted = set(self.acknowledged)
        found = self.store.found(wanted)
        lost = wanted - set(found)
        assert not lost, f"{what}: {self.store.name} lost {sorted(lost)[:10]} of {len(wanted)}"
        invented = set(found) - set(self.tried)
        assert not invented, f"{what}: {self.store.name} has {sorted(invented)[:10]}, which nobody wrote"
        if self.store.in_order:
            first = list(dict.fromkeys(found))
            assert first == sorted(first), f"{what}: {self.store.name} is out of order"
        assert not self.wrong, f"{what}: answers that are not AWS's: {self.wrong[:3]}"
        return len(found) - len(set(found))


class Writers:
    """A thread for each store that writes until it is told to stop; a dead server makes it wait a little."""

    def __init__(self, ledgers: list[Ledger], pause: float = 0.004) -> None:
        self._stop, self._pause = threading.Event(), pause
        self._threads = [threading.Thread(target=self._run, args=(ledger,), daemon=True) for ledger in ledgers]
        for thread in self._threads:
            thread.start()

    def _run(self, ledger: Ledger) -> None:
        while not self._stop.is_set():
            self._stop.wait(self._pause if ledger.write() else 0.05)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def prepared(server: Server, kinds: tuple[type[Store], ...] = ALL, *, port: int = 0) -> list[Ledger]:
    """A ledger for each kind, made on a running server."""
    made = []
    for kind in kinds:
        store = kind(server, port)
        store.prepare()
        made.append(Ledger(store))
    return made


def reads(ledgers: list[Ledger]) -> None:
    """Every store answers reads."""
    for ledger in ledgers:
        with contextlib.suppress(*UNTOLD):
            ledger.store.read()
