"""F4, short: kill -9 while clients put, overwrite, delete and list objects. Each key behaves like a register.

Every key has one writer, so its history is a sequence: a read must give the value of the last acknowledged write, or of
a write that was under way when the server died (then either is allowed, but never a torn body, and never something older).
"""

from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.rig import Server, kill_repeatedly, seed

BUCKET = "register"
KEYS_A_WRITER = 5


class Writer:
    """Owns some keys; remembers for each which values a read may now give (None: absent)."""

    def __init__(self, number: int, server: Server, chosen: int) -> None:
        self._server, self._rng = server, random.Random(chosen * 100 + number)
        self._client = server.client("s3")
        self.keys = [f"w{number}/a{'/b' * slot}" for slot in range(KEYS_A_WRITER)]
        self.allowed: dict[str, set[bytes | None]] = {key: {None} for key in self.keys}
        self.acknowledged, self.in_doubt = 0, 0
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set() and not self.problems:
            key = self._rng.choice(self.keys)
            action = self._rng.random()
            if action < 0.5:
                size = self._rng.choice((0, 10, 1000, 70_000, 400_000))
                self._write(key, self._rng.randbytes(size))
            elif action < 0.65:
                self._write(key, None)
            else:
                self.check(key)

    def _write(self, key: str, value: bytes | None) -> None:
        try:
            if value is None:
                self._client.delete_object(Bucket=BUCKET, Key=key)
            else:
                answer = self._client.put_object(Bucket=BUCKET, Key=key, Body=value)
                if answer["ETag"].strip('"') != hashlib.md5(value).hexdigest():
                    self.problems.append(f"{key}: wrong ETag on put")
        except (BotoCoreError, ClientError):
            self.in_doubt += 1
            self.allowed[key].add(value)
        else:
            self.acknowledged += 1
            self.allowed[key] = {value}

    def check(self, key: str, *, must: bool = False) -> None:
        value: bytes | None
        try:
            answer = self._client.get_object(Bucket=BUCKET, Key=key)
            value = answer["Body"].read()
            if hashlib.md5(value).hexdigest() != answer["ETag"].strip('"'):
                self.problems.append(f"{key}: torn body")
        except ClientError as failure:
            if failure.response["Error"]["Code"] != "NoSuchKey":
                if must:
                    raise
                return
            value = None
        except BotoCoreError:
            if must:
                raise
            return
        if value not in self.allowed[key]:
            sizes = sorted(-1 if one is None else len(one) for one in self.allowed[key])
            got = "nothing" if value is None else f"{len(value)} bytes"
            self.problems.append(f"{key}: read {got}, allowed sizes {sizes}")
        elif len(self.allowed[key]) > 1 and not self._stop.is_set():
            self.allowed[key] = {value}  # what was seen once must stay


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_each_key_is_a_register(tmp_path: Path, kills: int) -> None:
    chosen = seed()
    server = Server(tmp_path / "data")
    server.start()
    try:
        server.client("s3").create_bucket(Bucket=BUCKET)
        writers = [Writer(number, server, chosen) for number in range(4)]
        kill_repeatedly(server, random.Random(chosen), kills, between=(0.05, 0.7))
        for writer in writers:
            writer.stop()
        listed: dict[str, Any] = {}
        for page in (
            server.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 3})
        ):
            listed |= {entry["Key"]: entry for entry in page.get("Contents", [])}
        for writer in writers:
            for key in writer.keys:
                writer.check(key, must=True)
                present = None not in writer.allowed[key] or len(writer.allowed[key]) > 1
                assert key in listed or None in writer.allowed[key]
                assert key not in listed or present
            assert not writer.problems, f"seed {chosen}: {writer.problems}"
        total = sum(writer.acknowledged for writer in writers)
        print(f"{kills} kills, {total} writes acknowledged, {sum(writer.in_doubt for writer in writers)} in doubt")
        assert total > 5 * kills, "hardly anything was acknowledged: the rig proves nothing"
        files = [path for path in (server.data / "objects").rglob("*") if path.is_file() and "drafts" not in path.parts]
        server.stop()
        server.start()
        kept = [path for path in (server.data / "objects").rglob("*") if path.is_file()]
        assert len(kept) == len(listed), f"{len(kept)} files for {len(listed)} objects (before the sweep {len(files)})"
    finally:
        server.stop()
