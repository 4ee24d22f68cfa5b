"""F3: kill -9 while a standard queue is used. Nothing sent is lost, nothing deleted comes back, what is hidden stays hidden.

Consumers delete most of what they receive and leave the rest, which must come again after its visibility timeout and not a
second early or late; lateness is judged where no kill and no lost answer came between. The FIFO queue's part of F3 is
tests/crash/test_fifo.py. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.rig import Server, eventually, patience, seed
from tests.crash.test_fifo import is_cut

VISIBILITY, TOLERANCE = 3.0, 1.0
LEFT = 0.15  # of what is received is not deleted


class Traffic:
    """Producers and consumers, and what they saw."""

    def __init__(self, server: Server, url: str, chosen: int) -> None:
        self._server, self._url, self._rng = server, url, random.Random(chosen)
        self.sent: set[str] = set()
        self.tried = 0
        self.received: dict[str, list[tuple[float, float]]] = defaultdict(list)  # body -> (called, returned)
        self.deleted: dict[str, float] = {}
        self.doubts: list[float] = []  # when an answer to a receive may have been lost
        self.kills: list[float] = []
        self._lock, self.sending, self.receiving = threading.Lock(), threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=run, daemon=True)
            for run in (self._produce, self._produce, self._consume, self._consume)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.sending.set()
        self.receiving.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> Any:
        return self._server.client("sqs", retries={"total_max_attempts": 1})

    def _produce(self) -> None:
        sqs = self._client()
        while not self.sending.is_set():
            with self._lock:
                self.tried += 1
                body = str(self.tried)
            try:
                sqs.send_message(QueueUrl=self._url, MessageBody=body)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
                continue
            self.sent.add(body)
            time.sleep(0.01)

    def _consume(self) -> None:
        sqs = self._client()
        while not self.receiving.is_set():
            called = time.monotonic()
            try:
                answer = sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            except (BotoCoreError, ClientError):
                self.doubts.append(time.monotonic())
                time.sleep(0.02)
                continue
            if is_cut(answer, "Messages"):
                self.doubts.append(time.monotonic())
                continue
            returned = time.monotonic()
            for message in answer.get("Messages", []):
                with self._lock:
                    self.received[message["Body"]].append((called, returned))
                if self._rng.random() < LEFT and not self.sending.is_set():
                    continue
                try:
                    sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                except (BotoCoreError, ClientError):
                    continue
                self.deleted[message["Body"]] = time.monotonic()


def _judge(traffic: Traffic) -> tuple[int, float, float]:
    """How often messages came again, how early and how late at worst, in seconds against their timeout."""
    early = late = 0.0
    again = 0
    for body, times in traffic.received.items():
        gone = traffic.deleted.get(body)
        assert gone is None or all(called < gone for called, _ in times), f"message {body} came back after its deletion"
        for (called, returned), (_, returned_again) in itertools.pairwise(times):
            again += 1
            early = max(early, VISIBILITY - (returned_again - called))
            troubled = any(called <= moment <= returned_again for moment in (*traffic.doubts, *traffic.kills))
            if not troubled:
                late = max(late, returned_again - returned - VISIBILITY)
    return again, early, late


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_a_standard_queue(tmp_path: Path, kills: int) -> None:
    chosen = seed()
    rng = random.Random(chosen)
    server = Server(tmp_path / "data")
    server.start()
    try:
        attributes = {"VisibilityTimeout": str(int(VISIBILITY))}
        url = server.client("sqs").create_queue(QueueName="q", Attributes=attributes)["QueueUrl"]
        traffic = Traffic(server, url, chosen)
        for number in range(kills):
            time.sleep(VISIBILITY + 2 if number % 20 == 19 else rng.uniform(0.05, 0.6))
            traffic.kills.append(time.monotonic())
            server.kill()
            server.start()
            traffic.kills.append(time.monotonic())
        traffic.sending.set()
        time.sleep(0.1)
        eventually(lambda: traffic.sent <= set(traffic.deleted), patience(30), "acknowledged messages are still there")
        time.sleep(VISIBILITY + TOLERANCE if kills > 20 else 0.5)  # what comes back after its deletion comes now
        traffic.stop()
        assert set(traffic.received) >= traffic.sent, f"seed {chosen}: lost"
        again, early, late = _judge(traffic)
        left = server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert left["ApproximateNumberOfMessages"] == "0", f"seed {chosen}: {left}"
        print(
            f"{kills} kills, {len(traffic.sent)} sent, {len(traffic.deleted)} deleted, {again} came again, "
            f"{early:.2f} s early and {late:.2f} s late at most"
        )
        assert early <= TOLERANCE, f"seed {chosen}: visible {early:.2f} s early"
        assert late <= patience(TOLERANCE), f"seed {chosen}: visible {late:.2f} s late"
        assert len(traffic.sent) > 5 * kills, "hardly anything was sent: the rig proves nothing"
    finally:
        server.stop()


def test_deduplication_outlives_a_crash(tmp_path: Path) -> None:
    """Five minutes of Lakebed's time, through kill -9 and the advanced clock."""
    server = Server(tmp_path / "data")
    server.start()
    try:
        sqs = server.client("sqs")
        url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

        def send() -> tuple[str, str]:
            told = server.client("sqs").send_message(
                QueueUrl=url, MessageBody="one", MessageGroupId="g", MessageDeduplicationId="same"
            )
            return told["MessageId"], told["SequenceNumber"]

        first = send()
        server.kill()
        server.start()
        assert send() == first
        server.advance(290)
        server.kill()
        server.start()
        assert send() == first, "the window was cut short by a crash"
        server.advance(15)
        second = send()
        assert second[0] != first[0]
        assert second[1] > first[1], "a sequence number fell"
    finally:
        server.stop()
