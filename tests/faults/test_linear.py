"""F4: kill -9 while 32 clients put, complete uploads, delete, read and list the same keys. Each key is linearizable.

Every call is written down with its times; what was under way at a kill is in doubt, but in its time only: the dead server
did it before it died or never. A listing is a read of every key, by ETag. In the versioned bucket every version whose id
was told must be there in the end, and no other than was tried. https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.crash.rig import UNTOLD, Server, seed
from tests.faults.register import FOREVER, Op, violation

BUCKETS = ("plain", "versioned")
KEYS = [f"{letter}/{number}" for letter in "ab" for number in range(6)]
CLIENTS = 32


class History:
    """All operations, by bucket and key."""

    def __init__(self) -> None:
        self.ops: dict[tuple[str, str], list[Op]] = defaultdict(list)
        self.tried: dict[str, set[str]] = defaultdict(set)
        self.versions: dict[tuple[str, str], str] = {}
        self.problems: list[str] = []
        self.count = 0
        self._lock = threading.Lock()

    def add(self, place: tuple[str, str], op: Op, version: str | None = None) -> None:
        with self._lock:
            self.ops[place].append(op)
            self.count += 1
            if op.writes and op.value is not None:
                self.tried[place[0]].add(op.value)
            if version is not None and op.value is not None:
                self.versions[place[1], version] = op.value


def etag_of(body: bytes, parts: int = 0) -> str:
    """What S3 calls this body; every part here is the whole of it."""
    md5 = hashlib.md5(body)
    return f"{hashlib.md5(md5.digest()).hexdigest()}-{parts}" if parts else md5.hexdigest()


class Client:
    """One client's loop."""

    def __init__(self, number: int, s3: Any, history: History, chosen: int, stop: threading.Event) -> None:
        self._rng = random.Random(chosen * 1000 + number)
        self._number, self._s3, self._history, self._stop = number, s3, history, stop
        self._writes = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        actions = (
            [self._put] * 8 + [self._complete] * 2 + [self._delete] * 3 + [self._get] * 9 + [self._head, self._list]
        )
        while not self._stop.is_set():
            bucket, key = self._rng.choice(BUCKETS), self._rng.choice(KEYS)
            try:
                self._rng.choice(actions)(bucket, key)
            except EndpointConnectionError:
                self._stop.wait(0.05)  # nobody listens: it never happened

    def _body(self) -> bytes:
        self._writes += 1
        return f"{self._number} {self._writes} ".encode() * self._rng.choice((1, 1, 20, 300, 6000))

    def _write(self, place: tuple[str, str], value: str | None, call: Any) -> None:
        """Do it and write down what came of it."""
        began = time.monotonic()
        try:
            told = call()
            etag = told["ETag"].strip('"') if value is not None else None
        except EndpointConnectionError:
            raise
        except (*UNTOLD, KeyError, ClientError) as failure:  # KeyError: the answer ended in its head
            end = FOREVER if isinstance(failure, ReadTimeoutError) else time.monotonic()
            self._history.add(place, Op(began, end, value, writes=True, in_doubt=True))
            return
        version = told.get("VersionId")
        self._history.add(place, Op(began, time.monotonic(), value, writes=True), version)
        if etag != value:
            self._history.problems.append(f"{place}: ETag {etag} for {value}")

    def _put(self, bucket: str, key: str) -> None:
        body = self._body()
        self._write((bucket, key), etag_of(body), lambda: self._s3.put_object(Bucket=bucket, Key=key, Body=body))

    def _delete(self, bucket: str, key: str) -> None:
        def call() -> Any:
            self._s3.delete_object(Bucket=bucket, Key=key)
            return {}

        self._write((bucket, key), None, call)

    def _complete(self, bucket: str, key: str) -> None:
        body, where = self._body(), {"Bucket": bucket, "Key": key}
        try:
            upload = self._s3.create_multipart_upload(**where)["UploadId"]
            part = self._s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=body)["ETag"]
        except (*UNTOLD, ClientError, KeyError):
            return  # no key holds any of it
        parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
        self._write(
            (bucket, key),
            etag_of(body, 1),
            lambda: self._s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts),
        )

    def _get(self, bucket: str, key: str) -> None:
        began = time.monotonic()
        try:
            told = self._s3.get_object(Bucket=bucket, Key=key)
            body, etag = told["Body"].read(), told["ETag"].strip('"')
        except ClientError as failure:
            if failure.response["Error"]["Code"] == "NoSuchKey":
                self._history.add((bucket, key), Op(began, time.monotonic(), None))
            return
        except EndpointConnectionError:
            raise
        except (*UNTOLD, KeyError):
            return
        if etag_of(body, 1 if "-" in etag else 0) != etag:
            self._history.problems.append(f"{bucket}/{key}: a torn body, {len(body)} bytes under {etag}")
        self._history.add((bucket, key), Op(began, time.monotonic(), etag))

    def _head(self, bucket: str, key: str) -> None:
        began = time.monotonic()
        try:
            etag: str | None = self._s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
        except ClientError as failure:
            if failure.response["Error"]["Code"] != "404":
                return
            etag = None
        except EndpointConnectionError:
            raise
        except (*UNTOLD, KeyError):
            return
        self._history.add((bucket, key), Op(began, time.monotonic(), etag))

    def _list(self, bucket: str, key: str) -> None:
        began = time.monotonic()
        try:
            told = self._s3.list_objects_v2(Bucket=bucket, Prefix=key[:2])
        except EndpointConnectionError:
            raise
        except (*UNTOLD, ClientError):
            return
        if "KeyCount" not in told:
            return  # cut between head and body: botocore takes that for an empty answer
        end, there = time.monotonic(), {entry["Key"]: entry["ETag"].strip('"') for entry in told.get("Contents", [])}
        for each in KEYS:
            if each.startswith(key[:2]):
                self._history.add((bucket, each), Op(began, end, there.get(each)))


def _check_versions(s3: Any, history: History) -> int:
    """Every version that was told is there, with its body; each key's newest is what a read gives."""
    kept: dict[tuple[str, str], str] = {}
    newest: dict[str, str | None] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket="versioned"):
        for entry in page.get("Versions", []):
            kept[entry["Key"], entry["VersionId"]] = entry["ETag"].strip('"')
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if entry["IsLatest"]:
                assert entry["Key"] not in newest, f"{entry['Key']} has two newest versions"
                newest[entry["Key"]] = entry.get("ETag", "").strip('"') or None
    lost = {place: etag for place, etag in history.versions.items() if kept.get(place) != etag}
    assert not lost, f"versions lost or changed: {list(lost.items())[:3]}"
    assert set(kept.values()) <= history.tried["versioned"]
    sample = random.Random(1).sample(sorted(kept), min(300, len(kept)))
    for key, version in sample:
        told = s3.get_object(Bucket="versioned", Key=key, VersionId=version)
        body = told["Body"].read()
        assert etag_of(body, 1 if "-" in told["ETag"] else 0) == kept[key, version]
    for key, etag in newest.items():
        last = history.ops["versioned", key][-1]
        assert last.value == etag, f"{key}: read {last.value}, the newest version is {etag}"
    return len(kept)


@pytest.mark.parametrize(("kills", "least"), [(3, 300), pytest.param(100, 100_000, marks=pytest.mark.slow)])
def test_each_key_is_linearizable(tmp_path: Path, kills: int, least: int) -> None:
    chosen = seed()
    rng, history, stop = random.Random(chosen), History(), threading.Event()
    server = Server(tmp_path / "data")
    server.start()
    try:
        s3 = server.client("s3", max_pool_connections=CLIENTS + 4, retries={"total_max_attempts": 1})
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        clients = [Client(number, s3, history, chosen, stop) for number in range(CLIENTS)]
        until = time.monotonic() + 20 * 60
        killed = 0
        while killed < kills or (history.count < least and time.monotonic() < until):
            time.sleep(rng.uniform(0.2, 1.2 if kills < 50 else 4.0))
            server.kill()
            server.start()
            killed += 1
        time.sleep(0.3)
        stop.set()
        for client in clients:
            client.thread.join()
        assert not history.problems, f"seed {chosen}: {history.problems[:3]}"
        last = Client(CLIENTS, s3, history, chosen, stop)  # its loop ends at once: used for the last reads only
        last.thread.join()
        for bucket in BUCKETS:
            for key in KEYS:
                last._get(bucket, key)
        for place, ops in history.ops.items():
            wrong = violation(ops)
            assert wrong is None, f"seed {chosen}, {place}: {wrong}"
        versions = _check_versions(s3, history)
        doubts = sum(op.in_doubt for ops in history.ops.values() for op in ops)
        print(
            f"{killed} kills, {history.count:,} operations on {len(history.ops)} keys, {doubts} in doubt, 0 violations, "
        )
        print(f"{versions} versions, slowest start {server.slowest_start:.2f} s")
        assert history.count >= least, "hardly anything was done: the rig proves nothing"
    finally:
        stop.set()
        server.stop()
