"""kill -9 while producers send to a FIFO queue and a consumer works on it: order within groups, nothing lost, and no
message processed twice inside its windows.

A producer repeats a send until it is confirmed, with the same deduplication id, so a confirmation lost in a crash must not
make a second message. The consumer writes down what it received and deletes it; what it deleted (or tried to, when the
server died) must not come again while the visibility timeout, which outlasts the run, hides it.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.crash.rig import UNTOLD, Server, eventually, kill_repeatedly, seed

GROUPS = 4
PAUSE = 0.02


def is_cut(answer: dict[str, Any], member: str) -> bool:
    """Whether the answer ended in its head or before its body: botocore takes an empty body for an empty answer."""
    length = answer["ResponseMetadata"]["HTTPHeaders"].get("content-length", "")
    return member not in answer and (not length.isdigit() or int(length) > len("{}"))


class Producer:
    """Sends 0, 1, 2, … to its group, each until it is confirmed."""

    def __init__(self, server: Server, url: str, group: str) -> None:
        self._client, self._url, self.group = server.client("sqs"), url, group
        self.confirmed = 0
        self.sequence_numbers: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._until_confirmed(f"{self.group} {self.confirmed}")
            self.confirmed += 1
            time.sleep(PAUSE)

    def _until_confirmed(self, body: str) -> None:
        while True:
            try:
                told = self._client.send_message(
                    QueueUrl=self._url, MessageBody=body, MessageGroupId=self.group,
                    MessageDeduplicationId=body.replace(" ", "-"),
                )  # fmt: skip
            except (*UNTOLD, ClientError):
                time.sleep(PAUSE)
                continue
            if is_cut(told, "SequenceNumber"):
                continue
            self.sequence_numbers.append(told["SequenceNumber"])
            return


class Consumer:
    """Receives, writes down, deletes until it is confirmed."""

    def __init__(self, server: Server, url: str, number: int) -> None:
        self._client, self._url, self._number = server.client("sqs"), url, number
        self.seen: list[tuple[str, str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            attempt += 1
            for message in self._receive(f"{self._number}-{attempt}"):
                self.seen.append((message["Body"], message["MessageId"]))
                self._delete(message["ReceiptHandle"])

    def _receive(self, attempt: str) -> list[dict[str, Any]]:
        """An answer lost in a crash is asked for again by the same attempt id."""
        while not self._stop.is_set():
            try:
                answer = self._client.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=5, WaitTimeSeconds=1, ReceiveRequestAttemptId=attempt
                )
            except (*UNTOLD, ClientError):
                time.sleep(PAUSE)
                continue
            if is_cut(answer, "Messages"):
                continue
            found: list[dict[str, Any]] = answer.get("Messages", [])
            return found
        return []

    def _delete(self, handle: str) -> None:
        while True:
            try:
                self._client.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
            except (*UNTOLD, ClientError):
                time.sleep(PAUSE)
                continue
            return


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_order_and_once_inside_the_windows(tmp_path: Path, kills: int) -> None:
    chosen = seed()
    server = Server(tmp_path / "data")
    server.start()
    try:
        client = server.client("sqs")
        settings = {"FifoQueue": "true", "VisibilityTimeout": "43200"}
        url = client.create_queue(QueueName="q.fifo", Attributes=settings)["QueueUrl"]
        producers = [Producer(server, url, f"g{number}") for number in range(GROUPS)]
        consumers = [Consumer(server, url, number) for number in range(2)]
        kill_repeatedly(server, random.Random(chosen), kills, between=(0.05, 0.6))
        for producer in producers:
            producer.stop()
        total = sum(producer.confirmed for producer in producers)

        def received() -> int:
            return sum(len(consumer.seen) for consumer in consumers)

        eventually(lambda: received() >= total, 60, f"{received()} of {total} received (seed {chosen})")
        for consumer in consumers:
            consumer.stop()
        # Nothing comes twice: not even after all visibility timeouts, for all of it was deleted.
        bodies = [body for consumer in consumers for body, _ in consumer.seen]
        twice = {body for body in bodies if bodies.count(body) > 1}
        assert not twice, f"seed {chosen}: {twice} processed twice"
        assert received() == total, f"seed {chosen}: {received() - total} processed twice"
        for producer in producers:
            assert producer.sequence_numbers == sorted(producer.sequence_numbers)
            for consumer in consumers:
                mine = [int(body.split()[1]) for body, _ in consumer.seen if body.startswith(f"{producer.group} ")]
                assert mine == sorted(mine), f"seed {chosen}: {producer.group} out of order"
            everything = {body for consumer in consumers for body, _ in consumer.seen}
            assert {f"{producer.group} {number}" for number in range(producer.confirmed)} <= everything
        left = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert left["ApproximateNumberOfMessages"] == left["ApproximateNumberOfMessagesNotVisible"] == "0"
        print(f"{kills} kills, {total} messages of {GROUPS} groups")
    finally:
        server.stop()
