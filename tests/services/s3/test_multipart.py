"""Multipart uploads: order, sizes, ETags, checksums, copies of parts, and what is left after their end."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

from tests.harness import Harness
from tests.services.s3.conftest import Call, leftovers, refused

BIG = bytes(range(256)) * (5 << 12)  # 5 MiB
UP = {"Bucket": "shelf", "Key": "k"}


async def upload(s3: Call, *bodies: bytes, **create: Any) -> tuple[str, list[dict[str, Any]]]:
    upload_id = (await s3("CreateMultipartUpload", **UP, **create))["UploadId"]
    parts = []
    for number, body in enumerate(bodies, start=1):
        put = await s3("UploadPart", **UP, UploadId=upload_id, PartNumber=number, Body=body)
        checksum = {name: value for name, value in put.items() if name.startswith("Checksum")}
        parts.append({"PartNumber": number, "ETag": put["ETag"], **checksum})
    return upload_id, parts


async def complete(s3: Call, upload_id: str, parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return await s3("CompleteMultipartUpload", **UP, UploadId=upload_id, MultipartUpload={"Parts": parts}, **more)


async def test_parts_become_one_object(s3: Call, harness: Harness) -> None:
    upload_id, parts = await upload(s3, BIG, b"tail", Metadata={"m": "1"}, ContentType="x/y", Tagging="t=1")
    done = await complete(s3, upload_id, parts)
    digests = hashlib.md5(BIG).digest() + hashlib.md5(b"tail").digest()
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = await s3("GetObject", **UP)
    assert got["Body"] == BIG + b"tail"
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"m": "1"}, "x/y", 1)
    part = await s3("GetObject", **UP, PartNumber=2)
    assert (part["Body"], part["PartsCount"]) == (b"tail", 2)
    assert part["ContentRange"] == f"bytes {len(BIG)}-{len(BIG) + 3}/{len(BIG) + 4}"
    edge = await s3("GetObject", **UP, Range=f"bytes={len(BIG) - 2}-{len(BIG) + 1}")
    assert edge["Body"] == BIG[-2:] + b"ta"
    assert (await complete(s3, upload_id, parts))["ETag"] == done["ETag"], "a lost answer is told again"
    assert (await refused(complete(s3, upload_id, parts[:1]))).error_code == "NoSuchUpload"
    await s3("PutObject", **UP, Body=b"newer")
    assert (await refused(complete(s3, upload_id, parts))).error_code == "NoSuchUpload"
    assert (await s3("GetObject", **UP))["Body"] == b"newer"
    assert await leftovers(harness) == 0, "blobs of parts were left"


async def test_completion_is_checked(s3: Call) -> None:
    upload_id, parts = await upload(s3, BIG, BIG, b"x")
    assert (await refused(complete(s3, upload_id, parts[::-1]))).error_code == "InvalidPartOrder"
    wrong = [parts[0] | {"ETag": '"0"'}]
    assert (await refused(complete(s3, upload_id, wrong))).error_code == "InvalidPart"
    absent = [*parts, {"PartNumber": 9, "ETag": '"0"'}]
    assert (await refused(complete(s3, upload_id, absent))).error_code == "InvalidPart"
    assert (await refused(complete(s3, upload_id, parts, MpuObjectSize=1))).error_code == "InvalidRequest"
    small = await s3("UploadPart", **UP, UploadId=upload_id, PartNumber=2, Body=b"small")
    renamed = [parts[0], {"PartNumber": 2, "ETag": small["ETag"]}, parts[2]]
    too_small = await refused(complete(s3, upload_id, renamed))
    assert (too_small.error_code, too_small.members["PartNumber"]) == ("EntityTooSmall", "2")
    assert (await complete(s3, upload_id, [parts[0], parts[2]]))["ETag"].endswith('-2"')
    assert (await s3("GetObject", **UP))["ContentLength"] == len(BIG) + 1


async def test_part_numbers_and_unknown_uploads(s3: Call) -> None:
    upload_id, _ = await upload(s3)
    for number in (0, 10_001):
        bad = await refused(s3("UploadPart", **UP, UploadId=upload_id, PartNumber=number, Body=b""))
        assert bad.error_code == "InvalidArgument"
    assert (await refused(s3("UploadPart", **UP, UploadId="none", PartNumber=1, Body=b""))).error_code == "NoSuchUpload"
    other_key = s3("UploadPart", Bucket="shelf", Key="other", UploadId=upload_id, PartNumber=1, Body=b"")
    assert (await refused(other_key)).error_code == "NoSuchUpload"


async def test_abort_and_lists(s3: Call, harness: Harness) -> None:
    upload_id, _ = await upload(s3, b"one", b"two", b"three")
    first = await s3("ListParts", **UP, UploadId=upload_id, MaxParts=2)
    assert [part["PartNumber"] for part in first["Parts"]] == [1, 2]
    rest = await s3("ListParts", **UP, UploadId=upload_id, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["Size"] for part in rest["Parts"]] == [5]
    second, _ = await upload(s3)
    listed = await s3("ListMultipartUploads", Bucket="shelf", MaxUploads=1)
    assert [entry["UploadId"] for entry in listed["Uploads"]] == [upload_id]
    more = await s3(
        "ListMultipartUploads",
        Bucket="shelf",
        KeyMarker=listed["NextKeyMarker"],
        UploadIdMarker=listed["NextUploadIdMarker"],
    )
    assert [entry["UploadId"] for entry in more["Uploads"]] == [second]
    for found in (upload_id, second):
        await s3("AbortMultipartUpload", **UP, UploadId=found)
    assert not (await s3("ListMultipartUploads", Bucket="shelf")).get("Uploads")
    assert (await refused(s3("ListParts", **UP, UploadId=upload_id))).error_code == "NoSuchUpload"
    assert await leftovers(harness) == 0


async def test_composite_and_full_object_checksums(s3: Call) -> None:
    upload_id, parts = await upload(s3, BIG, b"tail", ChecksumAlgorithm="SHA256")
    done = await complete(s3, upload_id, parts)
    digests = hashlib.sha256(BIG).digest() + hashlib.sha256(b"tail").digest()
    assert done["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2"
    assert done["ChecksumType"] == "COMPOSITE"
    without = [{name: part[name] for name in ("PartNumber", "ETag")} for part in parts]
    upload_id, _ = await upload(s3, BIG, b"tail", ChecksumAlgorithm="SHA256")
    assert (await refused(complete(s3, upload_id, without))).error_code == "InvalidRequest"
    upload_id, parts = await upload(s3, BIG, b"tail", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    whole = base64.b64encode(zlib.crc32(BIG + b"tail").to_bytes(4, "big")).decode()
    assert (await refused(complete(s3, upload_id, parts, ChecksumCRC32="AAAAAA=="))).error_code == "BadDigest"
    done = await complete(s3, upload_id, parts, ChecksumCRC32=whole)
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (whole, "FULL_OBJECT")
    told = await s3("GetObjectAttributes", **UP, ObjectAttributes=["ObjectParts", "Checksum"], MaxParts=1)
    assert told["ObjectParts"]["TotalPartsCount"] == 2
    assert told["ObjectParts"]["IsTruncated"] is True
    assert told["ObjectParts"]["Parts"][0]["Size"] == len(BIG)


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT")])
async def test_checksum_types_that_do_not_fit(s3: Call, algorithm: str, kind: str) -> None:
    refusal = await refused(s3("CreateMultipartUpload", **UP, ChecksumAlgorithm=algorithm, ChecksumType=kind))
    assert refusal.error_code == "InvalidRequest"


async def test_parts_are_copied(s3: Call) -> None:
    await s3("PutObject", Bucket="shelf", Key="source", Body=b"0123456789")
    upload_id, _ = await upload(s3)
    at = {**UP, "UploadId": upload_id, "CopySource": "shelf/source"}
    copied = await s3("UploadPartCopy", **at, PartNumber=1, CopySourceRange="bytes=2-4")
    assert copied["CopyPartResult"]["ETag"] == f'"{hashlib.md5(b"234").hexdigest()}"'
    for bad in ("bytes=2-", "bytes=5-10", "2-4"):
        assert (
            await refused(s3("UploadPartCopy", **at, PartNumber=1, CopySourceRange=bad))
        ).error_code == "InvalidArgument"
    await complete(s3, upload_id, [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}])
    assert (await s3("GetObject", **UP))["Body"] == b"234"
