"""Bodies under KMS and customer keys: what lies on the disk, ranges, parts, copies, and keys that are wrong or disabled."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.s3.model.sealing import DSSE, KMS, Sealer, spans
from tests.harness import ROOT, Harness
from tests.services.s3.conftest import Call, refused


def customer(key: bytes, prefix: str = "SSECustomer") -> dict[str, str]:
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{prefix}Algorithm": "AES256",
        f"{prefix}Key": base64.b64encode(key).decode(),
        f"{prefix}KeyMD5": base64.b64encode(digest).decode(),
    }


MINE, OTHER = customer(b"k" * 32), customer(b"o" * 32)
SOURCE = customer(b"k" * 32, "CopySourceSSECustomer")
BODY = bytes(range(256)) * 1000


def on_disk(harness: Harness) -> bytes:
    return b"".join(path.read_bytes() for path in (harness.kernel.data / "objects").rglob("*") if path.is_file())


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from([KMS, DSSE]), st.binary(min_size=16, max_size=16))
def test_any_offset_of_a_sealed_body_opens(body: bytes, offset: int, kind: str, nonce: bytes) -> None:
    offset = min(offset, len(body))
    sealed = Sealer(b"0" * 32, kind, nonce)(body)
    assert Sealer(b"0" * 32, kind, nonce, offset)(sealed[offset:]) == body[offset:]


def test_a_range_touches_only_its_parts() -> None:
    parts = [(10, b"a"), (5, b"b"), (10, b"c")]
    assert [tuple(span) for span in spans(b"", parts, 12, 17)] == [(12, 15, b"b", 2), (15, 17, b"c", 0)]


@pytest.mark.parametrize("kind", ["aws:kms", "aws:kms:dsse"])
async def test_kms(s3: Call, harness: Harness, kind: str) -> None:
    put = await s3("PutObject", Bucket="shelf", Key="k", Body=BODY, ServerSideEncryption=kind, SSEKMSKeyId="mine")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == (kind, "arn:aws:kms:us-east-1:000000000000:key/mine")
    assert BODY[:64] not in on_disk(harness)
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == BODY
    part = await s3("GetObject", Bucket="shelf", Key="k", Range="bytes=1001-3007")
    assert (part["Body"], part["ServerSideEncryption"]) == (BODY[1001:3008], kind)
    keys: Any = harness.ports.keys
    keys.disabled.add("mine")
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k"))).error_code == "KMS.DisabledException"
    missing = s3("PutObject", Bucket="shelf", Key="n", Body=b"", ServerSideEncryption=kind, SSEKMSKeyId="missing")
    assert (await refused(missing)).error_code == "KMS.NotFoundException"


async def test_a_buckets_default_and_neighbours(s3: Call, harness: Harness) -> None:
    chosen = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "mine"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": chosen, "BucketKeyEnabled": True}]}
    await s3("PutBucketEncryption", Bucket="shelf", ServerSideEncryptionConfiguration=rules)
    assert (await s3("GetBucketEncryption", Bucket="shelf"))["ServerSideEncryptionConfiguration"] == rules
    assert (await s3("PutObject", Bucket="shelf", Key="k", Body=b"x"))["BucketKeyEnabled"] is True
    info = await harness.ports.objects.put(ROOT, "shelf", "neighbour", BODY)
    assert info.path.read_bytes() != BODY
    head = await harness.ports.objects.head(ROOT, "shelf", "neighbour")
    assert head.path.read_bytes() == BODY
    assert b"".join([piece async for piece in harness.ports.objects.read(head, 5, 99)]) == BODY[5:99]
    listed = await harness.ports.objects.list(ROOT, "shelf", "n", reading=True)
    assert listed[0].path == head.path
    await s3("DeleteBucketEncryption", Bucket="shelf")
    assert "SSEKMSKeyId" not in await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")


async def test_customer_keys(s3: Call, harness: Harness) -> None:
    put = await s3("PutObject", Bucket="shelf", Key="k", Body=BODY, **MINE)
    assert put["SSECustomerKeyMD5"] == MINE["SSECustomerKeyMD5"]
    assert "ServerSideEncryption" not in put
    assert BODY[:64] not in on_disk(harness)
    assert (await s3("GetObject", Bucket="shelf", Key="k", Range="bytes=7-", **MINE))["Body"] == BODY[7:]
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k"))).error_code == "InvalidRequest"
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k", **OTHER))).error_code == "AccessDenied"
    assert (await refused(s3("HeadObject", Bucket="shelf", Key="k"))).http_status == 400
    await s3("PutObject", Bucket="shelf", Key="plain", Body=b"x")
    assert (await refused(s3("GetObject", Bucket="shelf", Key="plain", **MINE))).error_code == "InvalidRequest"


@pytest.mark.parametrize(
    "wrong",
    [
        {"SSECustomerKeyMD5": OTHER["SSECustomerKeyMD5"]},
        {"SSECustomerKey": "short"},
        {"SSECustomerAlgorithm": "ROT13"},
        {"ServerSideEncryption": "AES256"},
    ],
)
async def test_wrong_customer_keys(s3: Call, wrong: dict[str, str]) -> None:
    assert (await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"", **(MINE | wrong)))).http_status == 400


async def test_parts_and_copies_under_a_customers_key(s3: Call) -> None:
    parts = [os.urandom(5 << 20), b"the end"]
    upload = (await s3("CreateMultipartUpload", Bucket="shelf", Key="m", **MINE))["UploadId"]
    named = []
    for number, part in enumerate(parts, 1):
        target = {"Bucket": "shelf", "Key": "m", "UploadId": upload, "PartNumber": number}
        assert (await refused(s3("UploadPart", **target, Body=part))).error_code == "InvalidRequest"
        etag = (await s3("UploadPart", **target, Body=part, **MINE))["ETag"]
        named.append({"PartNumber": number, "ETag": etag})
    await s3("CompleteMultipartUpload", Bucket="shelf", Key="m", UploadId=upload, MultipartUpload={"Parts": named})
    whole = b"".join(parts)
    assert (await s3("GetObject", Bucket="shelf", Key="m", **MINE))["Body"] == whole
    crossing = f"bytes={len(parts[0]) - 3}-{len(parts[0]) + 2}"
    assert (await s3("GetObject", Bucket="shelf", Key="m", Range=crossing, **MINE))["Body"] == whole[-10:-4]
    await s3("CopyObject", Bucket="shelf", Key="copy", CopySource="shelf/m", **SOURCE, **OTHER)
    assert (await s3("GetObject", Bucket="shelf", Key="copy", **OTHER))["Body"] == whole
    assert (
        await refused(s3("CopyObject", Bucket="shelf", Key="c2", CopySource="shelf/m"))
    ).error_code == "InvalidRequest"


async def test_every_object_has_a_checksum(s3: Call) -> None:
    put = await s3("PutObject", Bucket="shelf", Key="k", Body=b"123456789")
    expected = base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()
    assert (put["ChecksumCRC64NVME"], put["ChecksumType"]) == (expected, "FULL_OBJECT")
    upload = (await s3("CreateMultipartUpload", Bucket="shelf", Key="m"))["UploadId"]
    target = {"Bucket": "shelf", "Key": "m", "UploadId": upload}
    etag = (await s3("UploadPart", **target, PartNumber=1, Body=b"123456789"))["ETag"]
    done = await s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert done["ChecksumCRC64NVME"] == expected
    head = await s3("HeadObject", Bucket="shelf", Key="m", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == expected
