"""Random work against a dictionary: puts, overwrites, deletes, multipart, versions, with restarts in between."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from lakebed.services import s3 as package
from tests.harness import Harness
from tests.services.s3.conftest import Call, caller_of, leftovers

KEYS = ["a", "a/b", "a/b/", "a/b/c", "b", "ü/ä", "%41", "..", "c\x7f"]
PART = 5 << 20


async def opened(directory: Path) -> tuple[Harness, Call]:
    harness = Harness(directory)
    harness.kernel.ids.__init__(random.randrange(1 << 30))  # type: ignore[misc]  # ids of a restart must not repeat
    harness.add(package.service)
    await harness.start()
    return harness, caller_of(harness)


async def crashed(harness: Harness) -> None:
    """End without any goodbye that would write something."""
    await harness.kernel.tasks.stop()
    harness.kernel.db._connection.close()


async def check(s3: Call, model: dict[str, bytes]) -> None:
    listed = await s3("ListObjectsV2", Bucket="shelf", EncodingType="url")
    found = {unquote(entry["Key"]): entry["Size"] for entry in listed.get("Contents", [])}
    assert found == {key: len(body) for key, body in model.items()}
    assert list(found) == sorted(found, key=str.encode)
    for key, body in model.items():
        assert (await s3("GetObject", Bucket="shelf", Key=key))["Body"] == body


async def multipart(s3: Call, key: str, bodies: list[bytes], *, end: bool) -> None:
    upload = (await s3("CreateMultipartUpload", Bucket="shelf", Key=key))["UploadId"]
    parts = []
    for number, body in enumerate(bodies, start=1):
        put = await s3("UploadPart", Bucket="shelf", Key=key, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": put["ETag"]})
    if end:
        named: dict[str, Any] = {"Parts": parts}
        await s3("CompleteMultipartUpload", Bucket="shelf", Key=key, UploadId=upload, MultipartUpload=named)


@pytest.mark.parametrize("seed", range(3))
async def test_random_work_and_crashes(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    harness, s3 = await opened(tmp_path / "data")
    await s3("CreateBucket", Bucket="shelf")
    model: dict[str, bytes] = {}
    for step in range(120):
        key, action = choose.choice(KEYS), choose.random()
        if action < 0.5:
            body = choose.randbytes(choose.choice([0, 1, 1000, 300_000]))
            await s3("PutObject", Bucket="shelf", Key=key, Body=body)
            model[key] = body
        elif action < 0.7:
            await s3("DeleteObject", Bucket="shelf", Key=key)
            model.pop(key, None)
        elif action < 0.73:
            end = choose.random() < 0.7
            bodies = [choose.randbytes(PART), choose.randbytes(10)]
            await multipart(s3, key, bodies, end=end)
            if end:
                model[key] = b"".join(bodies)
        elif action < 0.8 and model:
            source = choose.choice(sorted(model))
            target = f"copy of {source}"
            copied = quote(f"shelf/{source}")
            await s3("CopyObject", Bucket="shelf", Key=target, CopySource=copied)
            model[target] = model[source]
        elif action < 0.83:
            await crashed(harness)
            harness, s3 = await opened(tmp_path / "data")
            harness.kernel.blobs.sweep(harness.ports.objects.known_blobs())
        if step % 20 == 19:
            await check(s3, model)
    await check(s3, model)
    assert await leftovers(harness) == 0, "live work leaks files"
    await harness.stop()


@pytest.mark.parametrize("seed", range(2))
async def test_random_versions(tmp_path: Path, seed: int) -> None:
    """Versions of one key against a list, newest first; None is a delete marker."""
    choose = random.Random(seed)
    harness, s3 = await opened(tmp_path / "data")
    await s3("CreateBucket", Bucket="shelf")
    at = {"Bucket": "shelf", "Key": "k"}
    model: list[tuple[str, bytes | None]] = []
    state = ""
    for _ in range(150):
        action = choose.random()
        if action < 0.1:
            state = choose.choice(["Enabled", "Suspended"])
            await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": state})
        elif action < 0.5:
            body = choose.randbytes(8)
            version = (await s3("PutObject", **at, Body=body)).get("VersionId", "null")
            model = [entry for entry in model if entry[0] != version]
            model.insert(0, (version, body))
        elif action < 0.7:
            done = await s3("DeleteObject", **at)
            if not state:
                model = []
            else:
                model = [entry for entry in model if entry[0] != done["VersionId"]]
                model.insert(0, (done["VersionId"], None))
        elif model:
            victim = choose.choice(model)
            await s3("DeleteObject", **at, VersionId=victim[0])
            model.remove(victim)
        listed = await s3("ListObjectVersions", Bucket="shelf")
        rows = listed.get("Versions", []) + listed.get("DeleteMarkers", [])
        assert sorted(row["VersionId"] for row in rows) == sorted(version for version, _ in model)
        latest = [row["VersionId"] for row in rows if row["IsLatest"]]
        assert latest == ([model[0][0]] if model else [])
        current = model[0][1] if model else None
        plain = await s3("ListObjectsV2", Bucket="shelf")
        assert plain["KeyCount"] == (1 if current is not None else 0)
        for version, body in model:
            if body is not None:
                assert (await s3("GetObject", **at, VersionId=version))["Body"] == body
    assert await leftovers(harness) == 0
    await harness.stop()


async def test_an_overwrite_while_a_reader_streams(s3: Call, harness: Harness) -> None:
    old, new = b"o" * (3 << 20), b"n" * (3 << 20)
    await s3("PutObject", Bucket="shelf", Key="k", Body=old)
    get = harness.services["s3"].operations["GetObject"].handler
    answer = await get(harness.context("s3", "GetObject"), {"Bucket": "shelf", "Key": "k"})
    unread = await get(harness.context("s3", "GetObject"), {"Bucket": "shelf", "Key": "k"})
    stream = answer["Body"]
    pieces = [await anext(stream)]
    await s3("PutObject", Bucket="shelf", Key="k", Body=new)
    await s3("DeleteObject", Bucket="shelf", Key="k")
    pieces += [piece async for piece in stream]
    assert b"".join(pieces) == old
    assert b"".join([piece async for piece in unread["Body"]]) == old, "a body must be open before its answer is given"


async def test_many_writers_of_one_key(s3: Call, harness: Harness) -> None:
    """Whatever the interleaving, a reader sees one whole body, and nothing is left behind."""
    bodies = [bytes([number]) * 400_000 for number in range(8)]
    await asyncio.gather(*(s3("PutObject", Bucket="shelf", Key="k", Body=body) for body in bodies))
    got = await s3("GetObject", Bucket="shelf", Key="k")
    assert got["Body"] in bodies
    assert await leftovers(harness) == 0
