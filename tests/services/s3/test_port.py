"""The port other services use, and permissions with bucket policies through the real IAM decision's interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from tests.harness import ROOT, Harness, OpenIdentity
from tests.services.s3.conftest import Call, refused

STRANGER = Principal("111111111111", "arn:aws:iam::111111111111:user/eve", "user", "AIDAEVE")


class Guard(OpenIdentity):
    """Denies what the test says and remembers every question."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        self.conditions: dict[str, Any] = {}
        self.denied: set[str] = set()

    def authorise(self, principal: Principal, action: str, resource: str, **more: Any) -> None:
        self.asked.append((action, resource, more.get("resource_policy")))
        self.conditions = dict(more.get("conditions") or {})
        if action in self.denied:
            raise AwsError("AccessDeniedException", f"not authorized to perform: {action}", status=403)


async def test_put_head_read_list_delete(s3: Call, harness: Harness) -> None:
    objects = harness.ports.objects
    info = await objects.put(ROOT, "shelf", "a/1", b"hello", content_type="text/plain", metadata={"m": "1"})
    assert (info.size, info.etag) == (5, "5d41402abc4b2a76b9719d911017c592")
    assert info.path.read_bytes() == b"hello"
    head = await objects.head(ROOT, "shelf", "a/1")
    assert head == info
    assert b"".join([piece async for piece in objects.read(head, 1, 3)]) == b"el"
    await objects.put(ROOT, "shelf", "a/2", b"")
    await objects.put(ROOT, "shelf", "b", b"x")
    assert [entry.key for entry in await objects.list(ROOT, "shelf", "a/")] == ["a/1", "a/2"]
    assert [entry.key for entry in await objects.list(ROOT, "shelf", "", after="a/1", limit=1)] == ["a/2"]
    got = await s3("GetObject", Bucket="shelf", Key="a/1")
    assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"m": "1"})
    await objects.delete(ROOT, "shelf", ["a/1", "none"])
    with pytest.raises(AwsError, match="NoSuchKey"):
        await objects.head(ROOT, "shelf", "a/1")
    assert head.path.read_bytes() == b"hello", "a lent path must outlive its object for a while"
    await harness.clock.advance(601)
    with pytest.raises(AwsError, match="NoSuchKey"):
        async for _ in objects.read(head):
            pass
    assert objects.bucket_exists("shelf")
    assert not objects.bucket_exists("none")


async def test_a_file_is_moved_in(s3: Call, harness: Harness, tmp_path: Path) -> None:
    draft = harness.kernel.blobs.draft_path()
    draft.write_bytes(b"PAR1")
    inode = draft.stat().st_ino
    info = await harness.ports.objects.put_file(ROOT, "shelf", "t/x.parquet", draft)
    assert not draft.exists()
    assert info.path.stat().st_ino == inode
    assert (await s3("GetObject", Bucket="shelf", Key="t/x.parquet"))["Body"] == b"PAR1"


async def test_the_port_asks_with_the_buckets_policy(s3: Call, harness: Harness) -> None:
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},'
        '"Action":"s3:GetObject","Resource":"arn:aws:s3:::shelf/*"}}'
    )
    await s3("PutBucketPolicy", Bucket="shelf", Policy=policy)
    guard = harness.ports.identity = Guard()
    await harness.ports.objects.put(STRANGER, "shelf", "k", b"x")
    assert guard.asked == [("s3:PutObject", "arn:aws:s3:::shelf/k", policy)]
    guard.denied = {"s3:PutObject"}
    with pytest.raises(AwsError, match="AccessDenied: not authorized"):
        await harness.ports.objects.put(STRANGER, "shelf", "k", b"y")
    assert (await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"y"))).error_code == "AccessDenied"
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"x"
    await s3("ListObjectsV2", Bucket="shelf", Prefix="in/")
    assert guard.conditions["s3:prefix"] == "in/"


async def test_who_may_not_list_is_not_told_what_is_missing(s3: Call, harness: Harness) -> None:
    guard = harness.ports.identity = Guard()
    guard.denied = {"s3:ListBucket"}
    assert (await refused(s3("GetObject", Bucket="shelf", Key="none"))).error_code == "AccessDenied"


async def test_a_public_policy_is_silent_for_strangers_while_restricted(s3: Call, harness: Harness) -> None:
    public = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",'
        '"Action":"s3:GetObject","Resource":"arn:aws:s3:::shelf/*"}}'
    )
    await s3("DeletePublicAccessBlock", Bucket="shelf")
    await s3("PutBucketPolicy", Bucket="shelf", Policy=public)
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    guard = harness.ports.identity = Guard()
    await harness.ports.objects.head(STRANGER, "shelf", "k")
    await s3("PutPublicAccessBlock", Bucket="shelf", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    await harness.ports.objects.head(STRANGER, "shelf", "k")
    await harness.ports.objects.head(ROOT, "shelf", "k")
    policies = [asked[2] for asked in guard.asked if asked[0] == "s3:GetObject"]
    assert policies == [public, None, public]


async def test_deleting_many_decides_key_by_key(s3: Call, harness: Harness) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    guard = harness.ports.identity = Guard()
    guard.denied = {"s3:DeleteObject"}
    done = await s3("DeleteObjects", Bucket="shelf", Delete={"Objects": [{"Key": "k"}]})
    assert [entry["Code"] for entry in done["Errors"]] == ["AccessDenied"]
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"x"


async def test_what_flows_is_metered(s3: Call, harness: Harness) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"hello")
    await s3("GetObject", Bucket="shelf", Key="k", Range="bytes=0-1")
    resources: Any = harness.kernel.meters.snapshot()["resources"]
    meter = resources["arn:aws:s3:::shelf"]
    assert (meter["recordsIn"], meter["bytesIn"], meter["recordsOut"], meter["bytesOut"]) == (1, 5, 1, 2)
